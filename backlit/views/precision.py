"""Rounding made visible: the same computation in float32 and in float64, step by step.

The recorded graph is run again in float64 from the leaves on, so that both runs have the same
gates and the same random masks. With an optimizer both take steps, each in its own precision, on
copies. Next: rerun.py.
"""

from __future__ import annotations

import copy
import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import figures
from backlit.autograd.engine import grad
from backlit.autograd.modes import enable_grad
from backlit.errors import ArgumentError, ArgumentTypeError, GradError
from backlit.random import default_generator
from backlit.tensor import Tensor, wrap
from backlit.views import charts
from backlit.views.graph import Graph, Wire
from backlit.views.record import record
from backlit.views.rerun import leaf, rerun


@dataclass(frozen=True)
class Layer:
    """Largest relative deviations (by norm) of one layer at one step.

    `activation` is over the values that the layer made, `gradient` over those of its parameters
    and values; None where it has none. A gradient that is zero but for rounding (a bias before a
    BatchNorm) is compared with the largest gradient at its operator.
    """

    step: int
    name: str
    activation: float | None
    gradient: float | None


@dataclass(frozen=True)
class Step:
    """The loss in both precisions."""

    step: int
    loss: float
    loss64: float

    @property
    def deviation(self) -> float:
        return abs(self.loss - self.loss64) / max(abs(self.loss64), 1e-300)


@dataclass(frozen=True)
class Precision:
    """Deviations of float32 from float64, |a - a64| / |a64|, per step and layer."""

    steps: tuple[Step, ...]
    layers: tuple[Layer, ...]

    @property
    def worst(self) -> Layer:
        """The layer and step whose gradient deviates most."""
        return max(self.layers, key=lambda layer: layer.gradient or 0.0)

    def of_step(self, step: int) -> tuple[Layer, ...]:
        """The layers at one step, from 0, in the order in which they ran."""
        return tuple(layer for layer in self.layers if layer.step == step)

    def _cells(self) -> list[list[str]]:
        last = self.steps[-1].step
        return [
            [layer.name, _shown(layer.activation), _shown(layer.gradient)]
            for layer in self.of_step(last)
        ]

    def _foot(self) -> list[str]:
        first, last = self.steps[0], self.steps[-1]
        said = f"loss {last.loss:.9g} in float32, {last.loss64:.9g} in float64"
        lines = [f"step {last.step}: {said}, deviation {last.deviation:.1e}"]
        if first is not last:
            lines.append(f"step {first.step}: deviation of the loss {first.deviation:.1e}")
        lines.append(f"the largest of a gradient: {self.worst.gradient or 0.0:.1e} in"
                     f" {self.worst.name}, step {self.worst.step}")  # fmt: skip
        return lines

    def __str__(self) -> str:
        return "\n".join([*charts.table(HEAD, self._cells()), *self._foot()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        foot = "".join(f"<p>{html.escape(line)}</p>" for line in self._foot())
        return charts.html_table(HEAD, self._cells()) + charts.svg(self._figure()) + foot

    def _repr_png_(self) -> bytes:
        return figures.png(self._figure())

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write the plot: deviations by layer, and of the loss by step."""
        figures.write_png(self._figure(), path)

    def _figure(self) -> Any:
        layers = self.of_step(self.steps[-1].step)
        many = len(self.steps) > 1
        made = figures.new_figure(8.0 if many else 5.0, max(2.2, 0.22 * len(layers) + 1.0))
        panel = charts.axes(made, (1, 1 + many, 1), "relative deviation by layer")
        places = np.arange(len(layers))
        for key, colour, mark in (("activation", charts.BLUE, "o"), ("gradient", charts.RED, "s")):
            found = [getattr(layer, key) for layer in layers]
            shown = [v or np.nan for v in found]  # zero has no logarithm
            panel.semilogx(shown, places, mark, color=colour, label=key, markersize=4)
        panel.set_yticks(places)
        panel.set_yticklabels([layer.name for layer in layers], fontsize=7)
        panel.set_ylim(len(layers) - 0.5, -0.5)
        panel.legend(frameon=False, fontsize=8)
        if many:
            panel = charts.axes(made, (1, 2, 2), "relative deviation of the loss by step")
            values = [s.deviation or np.nan for s in self.steps]
            panel.semilogy([s.step for s in self.steps], values, "o-", color=charts.BLUE)
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.set_xlabel("step", fontsize=8)
        return made


CANCELLED = float(np.finfo(np.float32).eps)
HEAD = ("layer", "activations", "gradients")


def precision(
    model: Any,
    *inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    steps: int = 1,
    optimizer: Callable[[Any], Any] | None = None,
) -> Precision:
    """float32 against float64: loss, activations and gradients, per step and layer.

    `model` is a module, or a function of the inputs. `loss` makes one number of its output; by
    default the output itself, or its mean square. For several steps `optimizer` makes an
    optimizer of parameters, as in `lambda p: bl.optim.SGD(p, lr=0.1)`; the module is copied.

    >>> _ = bl.manual_seed(0); model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    >>> found = bl.see.precision(model, bl.randn(5, 3))
    >>> [layer.name for layer in found.layers], 0 < found.worst.gradient < 1e-5
    (['0', '1', '2', 'loss'], True)
    """
    if steps < 1 or (steps > 1 and optimizer is None):
        raise ArgumentError(f"precision: {steps} steps need an optimizer", hint="optimizer=...")
    for name, given in (("model", model), ("loss", loss), ("optimizer", optimizer)):
        if given is not None and not callable(given):
            raise ArgumentTypeError(
                f"precision: {name} is a {type(given).__name__}, no function",
                hint="bl.see.precision(model, x, loss=lambda out: ..., optimizer=lambda p: ...)",
            )
    module = hasattr(model, "named_parameters")
    if optimizer is not None and not module:
        raise ArgumentTypeError("precision: an optimizer needs a module, whose copies it trains")
    single = copy.deepcopy(model) if module else model
    double = copy.deepcopy(model).double() if module else None
    generator = default_generator.get_state()
    try:
        with enable_grad():
            return _compare(single, double, inputs, loss, steps, optimizer)
    finally:
        default_generator.set_state(generator)


def _compare(single: Any, double: Any, inputs: tuple, loss: Any, steps: int,
             optimizer: Any) -> Precision:  # fmt: skip
    pairs = [] if double is None else list(zip(single.parameters(), double.parameters()))
    trained = optimizer and (optimizer(single.parameters()), optimizer(double.parameters()))
    found: list[Step] = []
    layers: list[Layer] = []
    for step in range(steps):
        graph = _graph(single, inputs, loss)
        values, grads = _in_double(graph, {id(p.cell.array): q for p, q in pairs})
        loss64 = float(values[graph.loss].cell.array)
        found.append(Step(step, float(graph.loss.array), loss64))
        layers += _layers(step, graph, values, grads)
        if trained:
            own = {id(w.value): w.grad for w in graph.leaves}
            for p, q in pairs:
                g, wide = own.get(id(p.cell.array)), grads.get(id(p.cell.array))
                p.grad = None if g is None else wrap(g)
                q.grad = None if wide is None else wrap(wide)
            for one in trained:
                one.step()
    return Precision(tuple(found), tuple(layers))


def _graph(model: Any, inputs: tuple, loss: Any) -> Graph:
    out = model(*inputs)
    if isinstance(out, tuple):
        out = out[0]
    result = loss(out) if loss is not None else out if out.numel() == 1 else (out * out).mean()
    graph = record(result).graph
    if all(w.array.dtype == np.float64 for w in graph.leaves):
        raise GradError("precision: it computes in float64 already", hint="pass model.float()")
    return graph


def _in_double(
    graph: Graph, known: dict[int, Tensor]
) -> tuple[dict[Wire, Tensor], dict[int, np.ndarray]]:
    """The values in float64, and gradients by the id of the float32 array that they belong to."""
    leaves = {w: known.get(id(w.value), leaf(w, wide=True)) for w in graph.leaves}
    values = rerun(graph, leaves, wide=True)
    tracked = [w for w in values if w.grad is not None and values[w].requires_grad]
    found = grad(values[graph.loss], [values[w] for w in tracked], allow_unused=True)
    return values, {id(w.value): g.numpy() for w, g in zip(tracked, found) if g is not None}


def _layers(
    step: int, graph: Graph, values: dict[Wire, Tensor], grads: dict[int, np.ndarray]
) -> list[Layer]:
    """The worst deviations by the layer that made a value or reads a parameter."""
    forward: dict[str, float] = {}
    backward: dict[str, float] = {}
    names: dict[str, None] = {}
    for gate in graph.gates:
        name = _layer(gate.module)
        names.setdefault(name)
        made = [w for w in gate.outputs if w is not None and w in values]
        for wire in made:
            if wire.array.dtype.kind in "fV":
                found = _deviation(wire.array, values[wire].cell.array)
                forward[name] = max(forward.get(name, 0.0), found)
        leaves = (w for w in gate.inputs if w is not None and w.maker is None)
        pairs = [
            (part.grad, grads[id(part.value)])
            for part in (*made, *leaves)
            if part.grad is not None and id(part.value) in grads
        ]
        largest = max((_norm(wide) for _, wide in pairs), default=0.0)
        for narrow, wide in pairs:
            found = _deviation(narrow, wide, largest)
            backward[name] = max(backward.get(name, 0.0), found)
    return [Layer(step, n, forward.get(n), backward.get(n)) for n in names]


def _layer(module: str) -> str:
    """`fc1` for `model.fc1`; `loss` for what no module did."""
    return str(module).partition(".")[2] or ("loss" if not module else str(module))


def _norm(wide: np.ndarray) -> float:
    return float(np.linalg.norm(wide[np.isfinite(wide)]))


def _deviation(narrow: np.ndarray, wide: np.ndarray, largest: float = 0.0) -> float:
    """The relative deviation; of the `largest` beside it where the true value cancels to zero."""
    differ = narrow != wide  # masked scores are minus infinity in both
    norm = _norm(wide)
    if norm <= CANCELLED * largest:  # such as a bias before a BatchNorm
        norm = largest
    with np.errstate(invalid="ignore"):
        gap = float(np.linalg.norm(narrow[differ].astype(np.float64) - wide[differ]))
    return gap / norm if norm else gap


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
