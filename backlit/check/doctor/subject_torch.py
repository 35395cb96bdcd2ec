"""Functions on PyTorch's tensors as subjects, where PyTorch is installed.

Nothing here is loaded before a PyTorch tensor or Function is handed in.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from backlit.check.doctor.repeatable import Chance, generators_of, repeatable
from backlit.check.doctor.subject_tensor import _by_keyword, _in_order
from backlit.check.doctor.subjects import SEED, Subject, named
from backlit.errors import ArgumentError


def is_torch(subject: Any, inputs: Any) -> bool:
    """Whether this is about PyTorch: its tensors among the inputs, or its Function."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "Tensor"):
        return False
    values = inputs.values() if isinstance(inputs, Mapping) else inputs
    if isinstance(values, torch.Tensor) or any(isinstance(v, torch.Tensor) for v in values):
        return True
    owner = getattr(subject, "__self__", subject)
    return isinstance(owner, type) and issubclass(owner, torch.autograd.Function)


class TorchSubject(Subject):
    """A callable on PyTorch tensors, or a `torch.autograd.Function`."""

    def __init__(self, subject: Any, inputs: Any):
        import torch

        self.torch: Any = torch
        owner = getattr(subject, "__self__", subject)
        user = isinstance(owner, type) and issubclass(owner, torch.autograd.Function)
        self.function: Callable[..., Any] = owner.apply if user else subject
        signature = owner.forward if user else subject
        self.functions = (owner.forward, owner.backward) if user else (subject,)
        self.accumulates = user
        self.chance = Chance()
        self.generators = generators_of(*self.functions)
        if not isinstance(inputs, Mapping) and user:
            names = _names_of_forward(owner)
            listed = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
            if len(names) < len(listed):
                names = [str(i) for i in range(len(listed))]
            inputs, keyed = dict(zip(names, listed)), False
        else:
            keyed = isinstance(inputs, Mapping)
        self.inputs = _in_order(signature, named(signature, _listed(inputs, torch)))
        self.keywords = keyed and not user and _by_keyword(subject, self.inputs)
        floats = [n for n, v in self.inputs.items() if self._floating(v)]
        asked = [n for n in floats if getattr(self.inputs[n], "requires_grad", False)]
        if not floats:
            raise ArgumentError("doctor: no input is a floating point tensor")
        self.values = {n: self._array(self.inputs[n]).astype(np.float64) for n in asked or floats}
        self.lowered = tuple(
            n for n in self.values if getattr(self.inputs[n], "dtype", None) == torch.float32
        )
        self.dtype = torch.float64
        try:
            leaves = self._leaves(self._tensors(self.values))
        except RuntimeError:  # meets tensors of its own in float32: examined as given
            self.dtype = torch.float32
            leaves = self._leaves(self._tensors(self.values))
        if not leaves:
            raise ArgumentError("doctor: the function returns no floating point tensor")
        with_grad = [i for i, y in enumerate(leaves) if y.requires_grad]
        self.claimed = with_grad or list(range(len(leaves)))

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """One thread: waking several costs more than thousands of small calls."""
        threads = self.torch.get_num_threads()
        self.torch.set_num_threads(1)
        try:
            yield
        finally:
            self.torch.set_num_threads(threads)

    def _floating(self, v: Any) -> bool:
        if isinstance(v, self.torch.Tensor):
            return bool(v.is_floating_point())
        return isinstance(v, np.ndarray) and v.dtype.kind == "f"

    def _array(self, v: Any) -> np.ndarray:
        return np.array(v.detach().cpu().numpy() if isinstance(v, self.torch.Tensor) else v)

    def _tensors(self, values: Mapping[str, np.ndarray], dtype: Any = None) -> dict[str, Any]:
        torch, given = self.torch, {}
        dtype = dtype or self.dtype
        for name, v in self.inputs.items():
            if name in values:
                given[name] = torch.tensor(values[name], dtype=dtype, requires_grad=True)
            elif self._floating(v):
                given[name] = torch.tensor(self._array(v), dtype=dtype)
            else:
                given[name] = v.detach().clone() if isinstance(v, torch.Tensor) else v
        return given

    def _call(self, tensors: dict[str, Any]) -> Any:
        with self.torch.enable_grad():
            return self.function(**tensors) if self.keywords else self.function(*tensors.values())

    def _floats(self, result: Any) -> list[Any]:
        if isinstance(result, self.torch.Tensor):
            return [result] if result.is_floating_point() else []
        if isinstance(result, Mapping):
            result = tuple(result.values())
        if isinstance(result, (tuple, list)):
            return [y for r in result for y in self._floats(r)]
        return []

    def _leaves(self, tensors: dict[str, Any]) -> list[Any]:
        return self.chance.run(lambda: self._floats(self._call(tensors)), SEED, self.generators)  # type: ignore[no-any-return]

    def outputs(self, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        leaves = self._leaves(self._tensors(values))
        return [self._array(leaves[i]) for i in self.claimed if i < len(leaves)]

    def claims(self, values: dict[str, np.ndarray], seeds: list[np.ndarray], *,
               reseed: int | None = None, before: Any = None, between: Any = None,
               ) -> dict[str, np.ndarray | None]:  # fmt: skip
        with repeatable(SEED, self.generators) as again:
            if before is not None:
                self._call(self._tensors(before))
                again(SEED)
            tensors = self._tensors(values)
            leaves = self._floats(self._call(tensors))
            if between is not None:
                self._call(self._tensors(between))
            if reseed is not None:
                again(reseed)
            return self._grads([leaves[i] for i in self.claimed], tensors, seeds)

    def at_given_precision(self, seeds: list[np.ndarray]) -> dict[str, np.ndarray | None] | None:
        if not self.lowered:
            return None
        with repeatable(SEED, self.generators):
            tensors = self._tensors(self.values, self.torch.float32)
            leaves = self._floats(self._call(tensors))
            return self._grads([leaves[i] for i in self.claimed], tensors, seeds)

    def trace(self, values: dict[str, np.ndarray], seeds: list[np.ndarray]) -> Any:
        """The tape of the twin; whoever uses it compares it with the claims."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return None if self._twin is None else self._twin.trace(values, seeds)
        except Exception:  # as in twin.py
            return None

    @cached_property
    def _twin(self) -> Any:
        from backlit.check.doctor.twin import twin_of

        return twin_of(self)

    def _grads(self, outputs: list[Any], tensors: dict[str, Any],
               seeds: list[np.ndarray]) -> dict[str, np.ndarray | None]:  # fmt: skip
        torch = self.torch
        if not outputs[0].requires_grad:
            return dict.fromkeys(self.values)
        weights = [torch.tensor(s, dtype=y.dtype) for s, y in zip(seeds, outputs)]
        found = torch.autograd.grad(outputs, [tensors[n] for n in self.values], weights,
                                    allow_unused=True)  # fmt: skip
        return {n: None if g is None else self._array(g) for n, g in zip(self.values, found)}


def _listed(inputs: Any, torch: Any) -> Any:
    return [inputs] if isinstance(inputs, torch.Tensor) else inputs


def _names_of_forward(owner: Any) -> list[str]:
    import inspect

    names = list(inspect.signature(owner.forward).parameters)
    return names[1:] if names and names[0] == "ctx" else names
