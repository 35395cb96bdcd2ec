"""Is the data on a scale that training can work with? The gradient of a weight has the scale of
what the weight multiplies.

Statistics of the data by feature; and, for each parameter that reads the data directly, its
gradient with the arriving gradient held fixed: once for the data as it is, once for a thousand
times the data. Next: docs/design/lenses.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.autograd.modes import enable_grad
from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.ops.op import apply
from backlit.random import default_generator
from backlit.state import state
from backlit.tensor import Parameter, Tensor, wrap

FACTOR = 1000.0
SMALL, LARGE = 0.03, 10.0  # root mean squares that are no scale to train at
FAR, SPREAD = 3.0, 100.0  # mean over deviation; largest over smallest feature
LISTED = 5


@dataclass(frozen=True)
class Reader:
    """A parameter that multiplies the data, and its gradient for data times 1000.

    `ratio` compares the norms of its gradient, `path_ratio` those of the gradient that reaches
    the data, which does not depend on the data.
    """

    name: str
    operator: str
    grad_norm: float
    ratio: float
    path_ratio: float


@dataclass(frozen=True, eq=False)
class InputsReport:
    """Statistics by feature, the readers, and what is wrong; `.ok` where nothing is."""

    shape: tuple[int, ...]
    mean: np.ndarray
    std: np.ndarray
    rms: float  # over all elements
    readers: tuple[Reader, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.warnings

    @property
    def learning_rate_factor(self) -> float:
        """What the learning rate is to be multiplied by for the steps of data of scale one."""
        return 1.0 / self.rms if self.rms else 1.0

    def __str__(self) -> str:
        features = len(self.mean)
        lines = [
            f"data of shape {self.shape}: {features} feature{'s' * (features > 1)}, means"
            f" {self.mean.min():.4g} to {self.mean.max():.4g}, deviations {self.std.min():.4g} to"
            f" {self.std.max():.4g}, root mean square {self.rms:.4g}"
        ]
        for r in self.readers:
            lines.append(
                f"{r.name} ({r.operator}): gradient norm {r.grad_norm:.4g}; for data times"
                f" {FACTOR:g} it is {r.ratio:.10g} times that, the gradient of the data"
                f" {r.path_ratio:.10g} times"
            )
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])

    __repr__ = __str__


def inputs(
    model: Callable[..., Any],
    x: Tensor,
    loss_fn: Callable[..., Any] | None = None,
    y: Any = None,
) -> InputsReport:
    """The scale of the data `x` against the scale of the gradients of the weights that read it.

    `x` is (N, features), (N, T, features) or (N, channels, ...), floating. The gradient arriving
    comes from `loss_fn(model(x), y)`, by default half the mean square of the output. Warns of
    NaN and constant features, data far from scale one or from mean zero, and unequal features.

    >>> report = bl.check.inputs(nn.Linear(3, 1), 1000 * bl.rand(8, 3))
    >>> report.ok, round(report.readers[0].ratio, 6), round(report.readers[0].path_ratio, 6)
    (False, 1000.0, 1.0)
    """
    if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
        kind = x.dtype.name if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(
            f"check.inputs: expected a floating tensor, got {kind}", hint="x.float() / 255"
        )
    if not x.numel():
        raise ArgumentError(f"check.inputs: the batch of shape {tuple(x.shape)} is empty")
    array = x.detach().numpy().astype(np.float64)
    by_feature = np.moveaxis(array, _axis(array.ndim), 0).reshape(
        array.shape[_axis(array.ndim)], -1
    )
    finite = np.where(np.isfinite(by_feature), by_feature, 0.0)
    rms = float(np.sqrt((finite**2).mean()))
    with enable_grad():
        readers = _readers(model, x, loss_fn, y) if np.isfinite(array).all() else ()
    found = _broken(by_feature, finite)
    if not readers or any(r.ratio > 1.01 for r in readers):  # else the model normalizes it itself
        found += _scale(finite, rms)
    return InputsReport(tuple(x.shape), finite.mean(1), finite.std(1), rms, readers, tuple(found))


def _axis(ndim: int) -> int:
    """Where the features are: the last axis of tables and sequences, the channels of images."""
    return 1 if ndim > 3 else ndim - 1


# ----- the data -----


def _broken(values: np.ndarray, finite: np.ndarray) -> list[str]:
    """What no scale mends."""
    found = []
    broken = np.flatnonzero(~np.isfinite(values).all(1))
    if len(broken):
        count = int((~np.isfinite(values)).sum())
        found.append(f"NaN or infinite values: {count}, in {_features(broken)}")
    constant = np.flatnonzero(_constant(finite))
    if len(constant) and values.shape[1] > 1:
        found.append(f"the same for every sample, so it tells nothing: {_features(constant)}")
    return found


def _constant(finite: np.ndarray) -> np.ndarray:
    return finite.std(1) <= 1e-12 * np.abs(finite.mean(1))  # type: ignore[no-any-return]


def _scale(finite: np.ndarray, rms: float) -> list[str]:
    """What (x - mean) / std mends."""
    found = []
    std, mean = finite.std(1), finite.mean(1)
    moving = np.flatnonzero(~_constant(finite))
    if rms and not SMALL <= rms <= LARGE:
        found.append(
            f"not normalized: the root mean square is {rms:.4g}, so gradients of the weights that"
            f" read it are {rms:.4g} times those of data of scale one, and the learning rate has"
            f" to be {1 / rms:.3g} times as large; use (x - mean) / std"
        )
    far = moving[np.abs(mean[moving]) > FAR * std[moving]]
    if len(far):
        found.append(f"the mean is far from zero, over {FAR:g} deviations: {_features(far)}")
    scales = np.sqrt((finite[moving] ** 2).mean(1))
    if len(scales) and scales.max() > SPREAD * scales.min():
        low, high = moving[scales.argmin()], moving[scales.argmax()]
        found.append(
            f"features of different scales: {scales.max():.4g} in feature {high},"
            f" {scales.min():.4g} in feature {low}: no learning rate fits both weights"
        )
    return found


def _features(indices: np.ndarray) -> str:
    shown = ", ".join(map(str, indices[:LISTED]))
    more = f" and {len(indices) - LISTED} more" if len(indices) > LISTED else ""
    return f"feature{'s' * (len(indices) > 1)} {shown}{more}"


# ----- the weights that read it -----


class _Readers(Observer):
    """Finds the operators that read the data, or a view of it, together with a parameter."""

    def __init__(self, x: Tensor):
        self.data = {id(x.cell.array)}
        self.found: dict[int, tuple[Any, tuple, dict, str]] = {}
        self.upstream: dict[int, list] = {}
        self._alive = [x]  # an id is only good while its array lives

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        tensors = [t for t in inputs if isinstance(t, Tensor)]
        if state.backward_of is not None or not any(id(t.cell.array) in self.data for t in tensors):
            return
        if any(isinstance(t, Parameter) for t in tensors) and node is not None:
            self.found[node.id] = (op, inputs, params, state.module)
        elif (op.view or op.moves) and outputs[0] is not None:
            self.data.add(id(outputs[0].cell.array))
            self._alive.append(outputs[0])

    def before_backward(self, node: Any, grads: list) -> None:
        if node.id in self.found:
            self.upstream[node.id] = list(grads)


def _readers(model: Any, x: Tensor, loss_fn: Any, y: Any) -> tuple[Reader, ...]:
    watch = _Readers(x)
    generator = default_generator.get_state()
    kept = {k: v.detach().clone() for k, v in _buffers(model).items()}
    try:
        with observe(watch):
            out = model(x)
            if isinstance(out, tuple) and loss_fn is None:  # of a recurrent layer: its outputs
                out = out[0]
            result = (out * out).mean() / 2 if loss_fn is None else loss_fn(out, *_given(y))
            leaves = [t for _, inputs, _, _ in watch.found.values() for t in inputs
                      if isinstance(t, Parameter) and t.requires_grad]  # fmt: skip
            if leaves:
                grad(result, leaves, allow_unused=True)
    finally:
        default_generator.set_state(generator)
        for name, buffer in _buffers(model).items():
            buffer.data = kept[name]
    listed = model.named_parameters() if hasattr(model, "named_parameters") else ()
    names = {id(p): n for n, p in listed}
    found: list[Reader] = []
    for key, (op, inputs, params, _) in watch.found.items():
        if watch.upstream.get(key):
            found += _scaled(op, inputs, params, watch, key, names)
    return tuple(found)


def _buffers(model: Any) -> dict[str, Tensor]:
    return dict(model.named_buffers()) if hasattr(model, "named_buffers") else {}


def _given(y: Any) -> tuple:
    return () if y is None else (y,)


def _scaled(
    op: Any, inputs: tuple, params: dict, watch: _Readers, key: int, names: dict[int, str]
) -> list[Reader]:
    """The gradients of one operator's parameters for the data and for the data times FACTOR."""
    grads = [_pulled(op, inputs, params, watch, key, scale) for scale in (1.0, FACTOR)]
    path = [np.linalg.norm(g[-1]) for g in grads]
    found = []
    chosen = [t for t in inputs if isinstance(t, Parameter)]
    for i, parameter in enumerate(chosen):
        norms = [float(np.linalg.norm(g[i])) for g in grads]
        if not norms[0] or norms[0] == norms[1] or norms[1] < 0.9 * norms[0]:
            continue  # a bias, or a weight of the state: it multiplies no data
        name = names.get(id(parameter), f"parameter {tuple(parameter.shape)}")
        moved = float(path[1] / path[0]) if path[0] else 1.0
        found.append(Reader(name, op.name, norms[0], norms[1] / norms[0], moved))
    return found


def _pulled(op: Any, inputs: tuple, params: dict, watch: _Readers, key: int,
            scale: float) -> list[np.ndarray]:  # fmt: skip
    """Gradients by the parameters and by the data, in float64, for the gradient that arrived."""
    wide: list[Any] = []
    for t in inputs:
        if isinstance(t, Tensor) and t.dtype.is_floating_point:
            factor = scale if id(t.cell.array) in watch.data else 1.0
            wide.append(wrap(t.cell.array.astype(np.float64) * factor).requires_grad_())
        else:
            wide.append(t)
    outer, state.observers = state.observers, ()
    try:
        results = apply(op, *wide, **params)
        listed = results if isinstance(results, tuple) else (results,)
        arrived = watch.upstream[key]
        pairs = [(y, wrap(g.cell.array.astype(np.float64)))
                 for y, g in zip(listed, arrived) if y is not None and g is not None]  # fmt: skip
        chosen = [w for w, t in zip(wide, inputs) if isinstance(t, Parameter)]
        data = [w for w, t in zip(wide, inputs)
                if isinstance(t, Tensor) and id(t.cell.array) in watch.data]  # fmt: skip
        found = grad([y for y, _ in pairs], [*chosen, data[0]], [g for _, g in pairs],
                     materialize_grads=True)  # fmt: skip
    finally:
        state.observers = outer
    return [g.numpy() for g in found]
