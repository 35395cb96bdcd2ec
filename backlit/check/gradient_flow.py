"""Does the gradient arrive? Its size layer by layer, and alarms: saturated, dead, vanishing,
exploding, not finite.

One walk back over a loss that was computed, under an observer; nothing is changed and nothing is
kept. A layer is a run of Nodes of one module, or, outside modules, of one line of the program.
Read next: docs/design/lenses.md.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.autograd.engine import collect, grad, resolve
from backlit.autograd.node import FREED, Node
from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentTypeError, GradError
from backlit.figures import new_figure, write_png
from backlit.ops import formula as fm
from backlit.tensor import Tensor

FLAT = 0.01  # a local derivative below this passes next to nothing on
SHARE = 0.5  # of the units, from which on an alarm is due
FADING, GROWING = 1e-3, 1e3  # first delta over last
ENOUGH = 8  # samples, to call a rectified unit dead


@dataclass
class LayerHealth:
    """One layer: sizes (2-norms) of its delta and of its parameters' gradients.

    `flat` is the share of units whose local derivative is below 0.01 (NaN for layers without an
    activation), `slope` the mean local derivative, `dead` the share of rectified units that no
    sample opens.
    """

    name: str
    operators: list[str] = field(default_factory=list)
    delta: float = 0.0
    weights: float = 0.0
    flat: float = math.nan
    slope: float = math.nan
    dead: float = 0.0


@dataclass(frozen=True)
class Alarm:
    """What is wrong: saturated, dead, vanishing, exploding or not_finite; where; and a remedy."""

    name: str
    layer: str
    evidence: str
    hint: str

    def __str__(self) -> str:
        return f"{self.name} in {self.layer}: {self.evidence}; {self.hint}"


@dataclass(frozen=True)
class HealthReport:
    """Layers from the input to the loss, and the alarms; `.ok` where there is none."""

    layers: tuple[LayerHealth, ...]
    alarms: tuple[Alarm, ...]
    norm: float  # of all parameters' gradients together

    @property
    def ok(self) -> bool:
        return not self.alarms

    @property
    def ratio(self) -> float:
        """The delta of the first layer with parameters over that of the last."""
        ends = _with_parameters(self.layers)
        return ends[0].delta / ends[-1].delta if ends[-1].delta else math.inf

    def __str__(self) -> str:
        wide = max(len(layer.name) for layer in self.layers)
        lines = [f"{'layer':<{wide}}  {'delta':>9}  {'weights':>9}  {'slope':>9}  operators"]
        for layer in self.layers:
            slope = "" if math.isnan(layer.slope) else f"{layer.slope:.3e}"
            weights = f"{layer.weights:.3e}" if layer.weights else ""
            lines.append(
                f"{layer.name:<{wide}}  {layer.delta:.3e}  {weights:>9}  {slope:>9}"
                f"  {', '.join(layer.operators)}"
            )
        said = [f"alarm: {alarm}" for alarm in self.alarms] or ["no alarm"]
        return "\n".join([*lines, *said])

    __repr__ = __str__

    def png(self, path: str | os.PathLike[str]) -> None:
        """Plot the deltas by layer, as a picture in a PNG file."""
        made = new_figure(6.0, 3.2)
        panel = made.add_subplot()
        places = range(1, len(self.layers) + 1)
        panel.semilogy(places, [x.delta or math.nan for x in self.layers], "o-", label="delta")
        weights = [x.weights or math.nan for x in self.layers]
        panel.semilogy(places, weights, "s", label="gradient of the weights")
        panel.set_xlabel("layer, from the input to the loss")
        panel.set_title("size of the gradient")
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
        write_png(made, path)


def health(loss: Tensor) -> HealthReport:
    """The size of the gradient at each layer of a computed loss, with alarms.

    Alarms name the layer: saturated (half of the units have a local derivative below 0.01), dead
    (half of the rectified units are shut for all of at least 8 samples), vanishing and exploding
    (a factor of 1000 between the deltas of the first and the last layer with parameters),
    not_finite. Raises GradError for a loss without a graph, or whose backward has run.

    >>> z = bl.full((4, 3), 10.0, requires_grad=True)
    >>> [alarm.name for alarm in bl.check.health(z.sigmoid().sum()).alarms]
    ['saturated']
    """
    if not isinstance(loss, Tensor):
        raise ArgumentTypeError(f"health: expected the loss, got {type(loss).__name__}")
    if loss.node is None:
        raise GradError(
            "health: the loss has no graph", hint="compute it with gradients on, before backward()"
        )
    nodes = list(reversed(collect([loss], None)[0]))
    if any(node.saved is FREED for node in nodes):
        raise GradError("health: the backward of this loss has run", hint="ask before it runs")
    layers, of = _layers(nodes)
    leaves = _leaves(nodes)
    watch = _Deltas(of)
    with observe(watch):
        found = grad(loss, leaves, retain_graph=True, allow_unused=True)
    norm = math.sqrt(sum(_norm(g) ** 2 for g in found if g is not None))
    seen = tuple(layer for layer in layers if id(layer) in watch.seen)
    return HealthReport(seen, tuple(_alarms(seen, norm)), norm)


# ----- layers -----


def _layers(nodes: list[Node]) -> tuple[list[LayerHealth], dict[int, LayerHealth]]:
    """Runs of Nodes by module or line, in the order in which they ran."""
    layers: list[LayerHealth] = []
    of: dict[int, LayerHealth] = {}
    counts: dict[str, int] = {}
    last = None
    for node in nodes:
        key = str(node.module) or node.line
        # The same operator on the same line again: a loop has come round.
        if key != last or (not node.module and node.op.name in layers[-1].operators):
            counts[key] = counts.get(key, 0) + 1
            again = f" #{counts[key]}" if counts[key] > 1 else ""
            layers.append(LayerHealth(key + again))
        last = key
        layer = of[node.id] = layers[-1]
        layer.operators.append(node.op.name)
        _measure(node, layer)
    return layers, of


def _leaves(nodes: list[Node]) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for node in nodes:
        for edge in node.edges:
            target = resolve(edge)[0] if edge is not None else None
            if isinstance(target, Tensor):
                found.setdefault(id(target), target)
    return list(found.values())


class _Deltas(Observer):
    """Norms of what arrives at each layer's last Node and at its parameters."""

    def __init__(self, of: dict[int, LayerHealth]):
        self.of = of
        self.seen: set[int] = set()

    def before_backward(self, node: Any, grads: list) -> None:
        layer = self.of.get(node.id)
        if layer is not None and id(layer) not in self.seen:
            self.seen.add(id(layer))
            layer.delta = math.sqrt(sum(_norm(g) ** 2 for g in grads if g is not None))

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        layer = self.of.get(node.id)
        if layer is None:
            return
        for edge, g in zip(node.edges, input_grads):
            target = resolve(edge)[0] if edge is not None else None
            if g is not None and isinstance(target, Tensor):
                layer.weights = math.hypot(layer.weights, _norm(g))


def _norm(g: Tensor) -> float:
    return float(np.linalg.norm(g.cell.array.astype(np.float64)))


# ----- activations -----


def _measure(node: Node, layer: LayerHealth) -> None:
    """Slopes of an activation: how much of the gradient it lets through."""
    op = node.op
    if not op.elementwise or len(op.inputs) != 1 or "F" not in op.exports.split():
        return
    if 0 not in op.locals or type(node.saved) is not dict:
        return
    if any(name not in node.saved for name in op.locals[0][1]):
        return
    with np.errstate(all="ignore"):
        slopes = np.abs(np.asarray(op.local(fm.NUMPY, 0, node.saved, node.params), np.float64))
    slopes = np.broadcast_to(slopes, node.outputs[0][0])
    if not slopes.size:
        return
    layer.slope = float(slopes.mean())
    if not _rectifies(op, node.params):
        layer.flat = float((slopes < FLAT).mean())
    elif slopes.ndim > 1 and len(slopes) >= ENOUGH:
        others = tuple(i for i in range(slopes.ndim) if i != 1)
        layer.dead = float((slopes == 0).all(others).mean())


def _rectifies(op: Any, params: dict) -> bool:
    """Whether the derivative is exactly zero somewhere, as for ReLU, rather than small."""
    x = np.linspace(-10.0, 10.0, 21)
    with np.errstate(all="ignore"):
        values = {op.inputs[0]: x, op.outputs[0]: op.formula(fm.NUMPY, x, **params)}
        return bool((np.asarray(op.local(fm.NUMPY, 0, values, params)) == 0).any())


# ----- alarms -----


def _alarms(layers: tuple[LayerHealth, ...], norm: float) -> list[Alarm]:
    found = []
    for layer in layers:
        if layer.flat >= SHARE:
            text = (
                f"{layer.flat:.0%} of its units have a local derivative below {FLAT:g}"
                f" (mean {layer.slope:.3e})"
            )
            hint = "smaller weights or inputs, or cross-entropy on logits after a sigmoid"
            found.append(Alarm("saturated", layer.name, text, hint))
        if layer.dead >= SHARE:
            text = f"{layer.dead:.0%} of its units are shut for every sample"
            hint = "a smaller learning rate, another initialization, or a leaky rectifier"
            found.append(Alarm("dead", layer.name, text, hint))
    return found + (_chain(layers, norm) or ([] if found else _blocked(layers)))


def _blocked(layers: tuple[LayerHealth, ...]) -> list[Alarm]:
    """An alarm where one layer alone gets a gradient, and none before it any."""
    learning = [x for x in layers if x.weights]
    before = layers[: layers.index(learning[0])] if len(learning) == 1 else ()
    if not before or any(x.delta for x in before):
        return []
    text = f"its delta is 0, that of {learning[0].name} {learning[0].delta:.3e}"
    hint = "weights that are all zero pass nothing on: He or Xavier initialization"
    return [Alarm("vanishing", before[0].name, text, hint)]


def _chain(layers: tuple[LayerHealth, ...], norm: float) -> list[Alarm]:
    """Alarms about the whole way back."""
    broken = [x for x in layers if not math.isfinite(x.delta + x.weights)]
    if broken:
        last = broken[-1]
        text = f"its delta is {last.delta:g}, its own gradient {last.weights:g}"
        hint = "with bl.autograd.detect_anomaly(): names the operator"
        return [Alarm("not_finite", last.name, text, hint)]
    ends = _with_parameters(layers)
    first, last = ends[0], ends[-1]
    if not first.delta or not last.delta or first is last:
        return []
    ratio = first.delta / last.delta
    each = ratio ** (1 / (len(ends) - 1))
    text = (
        f"its delta is {first.delta:.3e}, that of {last.name} {last.delta:.3e}: a factor of"
        f" {ratio:.3e}, {each:.3g} per layer"
    )
    if ratio < FADING:
        hint = "skip connections, ReLU, normalization, or He or Xavier initialization"
        return [Alarm("vanishing", first.name, text, hint)]
    if ratio > GROWING:
        hint = (
            f"the gradient's norm is {norm:.3g}: clip it, nn.utils.clip_grad_norm_(parameters,"
            " 1.0), or keep the largest singular value of the weights near 1"
        )
        return [Alarm("exploding", first.name, text, hint)]
    return []


def _with_parameters(layers: tuple[LayerHealth, ...]) -> list[LayerHealth]:
    """Layers that have a gradient of their own; all, where fewer than two have."""
    found = [x for x in layers if x.weights]
    return found if len(found) > 1 else list(layers)
