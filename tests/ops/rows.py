"""The form of an operator's samples: one Row holds calls, and the harness checks each of them.

A row names a public function and lists argument tuples. `T` stands in them for a tensor, drawn
anew for every check; a dict at the end of a tuple holds keyword arguments; lists may hold T's.
Read next: harness.py (what is checked), samples/ (the rows of each family).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MARGIN = 0.05  # floats stay this far from a declared kink


@dataclass(frozen=True)
class T:
    """A tensor to be drawn: shape, then how. Without a dtype it is a float of the tested width.

    `domain` bounds it (whole numbers: both ends included), `kink` lists values to keep away from,
    `distinct` keeps all elements apart, `values` gives them outright, `make(rng)` builds them.
    A float with `grad=False` is a constant, such as a weight or a mask.
    """

    shape: tuple[int, ...] = ()
    domain: tuple[float, float] = (-2.0, 2.0)
    dtype: str | None = None
    kink: tuple[float, ...] = ()
    distinct: bool = False
    values: Any = None
    make: Callable[[np.random.Generator], Any] | None = None
    grad: bool = True

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Values in float64, or in the dtype given."""
        if self.values is not None or self.make is not None:
            drawn = np.asarray(self.values if self.make is None else self.make(rng))
            return drawn.astype(_numpy(self.dtype or "float64"))
        if self.dtype == "bool":
            return rng.random(self.shape) < 0.5
        if self.dtype is not None and not self.is_float:
            low, high = int(self.domain[0]), int(self.domain[1])
            return rng.integers(low, high, self.shape, endpoint=True).astype(self.dtype)
        return np.asarray(self._floats(rng)).astype(_numpy(self.dtype or "float64"))

    @property
    def is_float(self) -> bool:
        return self.dtype is None or "float" in self.dtype

    def _floats(self, rng: np.random.Generator) -> np.ndarray:
        low, high = self.domain
        if self.distinct:
            count = int(np.prod(self.shape))
            steps = (np.arange(count) + rng.uniform(0.3, 0.7, count)) / max(count, 1)
            return rng.permutation(low + (high - low) * steps).reshape(self.shape)
        drawn = rng.uniform(low, high, self.shape)
        for _ in range(100):
            near = np.zeros(self.shape, bool)
            for k in self.kink:
                near |= np.abs(drawn - k) < MARGIN
            if not near.any():
                break
            drawn = np.where(near, rng.uniform(low, high, self.shape), drawn)
        return drawn


def _numpy(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


@dataclass(frozen=True)
class Row:
    """Samples of one public function.

    `call`: "sigmoid" (in bl), "F.softplus", "Tensor.masked_fill", "linalg.inv", or a callable of
    tensors. `op`: names of the operators that the row covers (default: the one behind the call).
    `torch`: PyTorch's dotted name (default: the same), a callable, or None; then `numpy` is the
    oracle of the values. `bad`: (arguments, error type, words of the message).
    `grad`: whether there is a gradient (default: as the operator declares); `double`: whether to
    check the second order; `half`: whether 16-bit floats are taken. `smooth=False`: the samples sit
    at kinks on purpose, where PyTorch's choice of a gradient is the judge, not differences.
    `tol`, `tol32`: relative to the largest value, against PyTorch in float64 and float32.
    """

    call: str | Callable[..., Any]
    op: str | tuple[str, ...] | None = None
    args: list[tuple] = field(default_factory=list)
    torch: str | Callable[..., Any] | None = ""
    numpy: Callable[..., Any] | None = None
    bad: list[tuple[tuple, type[Exception], str]] = field(default_factory=list)
    grad: bool | None = None
    double: bool = True
    half: bool = True
    smooth: bool = True
    tol: float = 1e-10
    tol32: float = 1e-5

    @property
    def name(self) -> str:
        return self.call if isinstance(self.call, str) else self.call.__name__
