"""The gradient as a prediction: move a value a little, and the loss moves by delta times that.

The prediction reads the graph's own delta; the truth is the graph run again from the moved wire
on, in float64, so that rounding does not hide how fast the two meet. Next: rerun.py.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import figures
from backlit.autograd.modes import no_grad
from backlit.errors import ArgumentError, ArgumentTypeError, GradError, IndexOutOfRange, ShapeError
from backlit.tensor import wrap
from backlit.views import charts
from backlit.views.graph import Graph, Wire
from backlit.views.record import record
from backlit.views.rerun import rerun

TENTHS = 3  # the move itself, a tenth of it, a hundredth


@dataclass(frozen=True)
class Move:
    """What one move of size `dz` does to the loss."""

    dz: float
    predicted: float
    actual: float

    @property
    def gap(self) -> float:
        return self.actual - self.predicted

    @property
    def relative_error(self) -> float:
        """The gap over the true change; 0 where nothing changes."""
        if self.gap == 0:
            return 0.0
        return abs(self.gap) / abs(self.actual) if self.actual else math.inf


@dataclass(frozen=True)
class Nudge:
    """What delta predicts and what is true; `moves` are of sizes dz, dz / 10, dz / 100.

    `chosen` moves every element of the wire by -eta delta, at most |dz| each.
    """

    name: str
    value: float | None  # None where several elements move
    delta: float  # the sum over the moved elements
    loss: float
    moves: tuple[Move, ...]
    eta: float
    chosen: Move

    @property
    def predicted(self) -> float:
        return self.moves[0].predicted

    @property
    def actual(self) -> float:
        return self.moves[0].actual

    @property
    def gap(self) -> float:
        return self.moves[0].gap

    @property
    def relative_error(self) -> float:
        return self.moves[0].relative_error

    @property
    def verdict(self) -> str:
        """What the shrinking of the gap says, in words."""
        errors = [m.relative_error for m in self.moves]
        if not all(map(math.isfinite, errors)):
            return "the loss or its slope is not finite here: nothing can be predicted"
        if max(errors) < 1e-9:
            return "the loss is a straight line here: the prediction is exact"
        if errors[-1] < max(0.1 * errors[0], 1e-6):  # a hundredth, but for kinks on the way
            return "a tenth of the move, about a tenth of the relative error: delta is the slope"
        return (
            "the relative error does not shrink with the move: a kink, a value that the program"
            " detached, a gradient that a hook changed, or rounding"
        )

    def _rows(self) -> list[list[str]]:
        return [
            [f"{m.dz:g}", f"{m.predicted:.8e}", f"{m.actual:.8e}", f"{m.gap:.2e}",
             f"{m.relative_error:.2e}"]
            for m in self.moves
        ]  # fmt: skip

    def __str__(self) -> str:
        return "\n".join([self._head(), *charts.table(HEAD, self._rows()), *self._foot()])

    __repr__ = __str__

    def _head(self) -> str:
        value = "" if self.value is None else f" = {self.value:.8g}"
        return f"{self.name}{value}, delta {self.delta:.8g}; the loss is {self.loss:.8g}"

    def _foot(self) -> list[str]:
        way = "falls" if self.chosen.actual < 0 else "does not fall"
        return [
            self.verdict,
            f"every element of it by -eta delta, eta = {self.eta:.4g}: predicted"
            f" {self.chosen.predicted:.6e}, true {self.chosen.actual:.6e}: the loss {way}",
        ]

    def _repr_html_(self) -> str:
        foot = "".join(f"<p>{html.escape(line)}</p>" for line in self._foot())
        head = f"<p>{html.escape(self._head())}</p>"
        return f"{head}{charts.html_table(HEAD, self._rows())}{self.svg()}{foot}"

    def svg(self) -> str:
        """The relative error against the move, both in powers of ten, as an SVG picture."""
        made = figures.new_figure(3.6, 2.4)
        panel = charts.axes(made, title="relative error of the prediction")
        sizes = [abs(m.dz) for m in self.moves]
        errors = [max(m.relative_error, 1e-16) for m in self.moves]
        panel.loglog(sizes, errors, "o-", color=charts.BLUE)
        panel.loglog(sizes, [errors[0] * s / sizes[0] for s in sizes], ":", color=charts.GREY)
        panel.set_xlabel("size of the move (dotted: proportional to it)", fontsize=8)
        return charts.svg(made)


HEAD = ("dz", "predicted", "true", "gap", "relative error")


def nudge(node: Any, index: Any = None, dz: Any = 1e-3, *, of: Any = None) -> Nudge:
    """Move a value by `dz`: the change of the loss as delta predicts it, and the true one.

    `node` is a wire of a recorded graph; or a tensor or a name, with the loss as `of`. `index`
    picks what moves, as in `z[index]`; by default the element with the largest delta. Both
    changes are in units of the loss. Raises GradError where no gradient reaches the node.

    >>> z = bl.tensor([1.0, 2.0], dtype=bl.float64, requires_grad=True)
    >>> moved = bl.see.nudge(z, 1, 1e-3, of=(z * z).sum())
    >>> round(moved.predicted, 12), round(moved.actual, 12)
    (0.004, 0.004001)
    """
    wire = _wire(node, of)
    if wire.grad is None:
        raise GradError(f"no gradient reaches {wire.name}", hint="it needs requires_grad=True")
    delta = wire.grad.astype(np.float64)
    dz = dz.detach().numpy() if hasattr(dz, "detach") else dz
    if np.asarray(dz).dtype.kind not in "iuf" or not np.size(dz):
        raise ArgumentTypeError(f"nudge: dz must be a number or an array of them, got {dz!r}")
    size = float(np.max(np.abs(dz)))
    if not 0 < size < math.inf:
        raise ArgumentError(f"nudge: dz must be finite and not zero, got {dz}")
    if index is None and np.ndim(dz) == 0:
        index = np.unravel_index(int(np.abs(delta).argmax()), delta.shape)
    step = _step(wire, index, dz)
    with np.errstate(invalid="ignore", over="ignore"):  # infinite slopes say so themselves
        return _moved(wire, index, dz, step, delta, size)


def _moved(wire: Wire, index: Any, dz: Any, step: np.ndarray, delta: np.ndarray,
           size: float) -> Nudge:  # fmt: skip
    graph = wire.graph
    base = _loss(graph, wire, np.zeros_like(step))
    scales = [10.0**-k for k in range(TENTHS)]
    shown = float(dz) if np.ndim(dz) == 0 else size
    moves = tuple(
        Move(shown * s, float((delta * step).sum()) * s, _loss(graph, wire, step * s) - base)
        for s in scales
    )
    eta = size / (float(np.abs(delta).max()) or 1.0)
    down = -eta * delta
    chosen = Move(eta, float((delta * down).sum()), _loss(graph, wire, down) - base)
    moved = step != 0
    value = float(wire.array[moved][0]) if moved.sum() == 1 else None
    name = wire.name + _subscript(index, wire)
    return Nudge(name, value, float(delta[moved].sum()), base, moves, eta, chosen)


def _wire(node: Any, of: Any) -> Wire:
    if isinstance(node, Wire):
        return node
    if of is None:
        raise ArgumentTypeError(
            f"nudge: a {type(node).__name__} does not say which loss it leads to",
            hint="pass it: bl.see.nudge(z, index, dz, of=loss)",
        )
    return record(of).graph.wire(node)


def _step(wire: Wire, index: Any, dz: Any) -> np.ndarray:
    """The move as an array of the wire's shape."""
    step = np.zeros(wire.shape)
    try:
        step[() if index is None else index] = dz
    except IndexError as error:
        raise IndexOutOfRange(f"nudge: {wire.name} has shape {wire.shape}: {error}") from None
    except ValueError:
        raise ShapeError(
            f"nudge: dz of shape {np.shape(dz)} does not fit {wire.name} of shape {wire.shape}"
        ) from None
    return step


def _loss(graph: Graph, wire: Wire, step: np.ndarray) -> float:
    """The loss with the wire moved; with a gradient to start from, their product."""
    with no_grad():
        moved = wrap(wire.array.astype(np.float64) + step)
        found = rerun(graph, {wire: moved}, wide=True)[graph.loss].cell.array
    seed = graph.loss.grad
    return float((found * (1.0 if seed is None else seed)).sum())


def _subscript(index: Any, wire: Wire) -> str:
    if index is None or not wire.shape:
        return ""
    parts = index if isinstance(index, tuple) else (index,)
    return "[" + ", ".join(map(_shown, parts)) + "]"


def _shown(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if x is None else str(x) for x in (part.start, part.stop)]
        return ":".join(ends)
    return "..." if part is Ellipsis else str(part)
