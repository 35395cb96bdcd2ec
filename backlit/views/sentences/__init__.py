"""The sentence that explains a step, forward and backward, in English and Chinese.

Which words a gate gets is decided here; the words are in elementwise.py and arrays.py. Patterns
are those of the field: add distributes, multiply swaps, max routes, copies add up.
"""

from __future__ import annotations

import numpy as np

from backlit.views.graph import Gate, Wire
from backlit.views.sentences import arrays, elementwise
from backlit.views.sentences.words import Pair, called, receivers, short, upstream

Text = dict[str, str]

_DISTRIBUTES = ("add", "sub", "sum", "mean")
_SWAPS = ("mul", "matmul", "linear", "conv")
_ROUTES = ("maximum", "minimum", "fmax", "fmin", "where", *arrays.WINNERS)
_BLOCKS = ("relu", "relu6", "hardtanh", "clamp", "threshold", "hardshrink", "softshrink")


def pattern(gate: Gate) -> str | None:
    """The pattern of the gradient's flow: "distributes", "swaps", "scales", "routes", "blocks",
    "moves", "adds up"; None where it has no such name."""
    name, found = gate.op.name, receivers(gate)
    if not found:
        return None
    if name in _DISTRIBUTES:
        return "distributes"
    if name in _SWAPS:
        return "swaps" if len(found) > 1 or name != "mul" else "scales"
    if name in _ROUTES:
        return "routes"
    if name in _BLOCKS:
        return "blocks"
    if name == "expand":
        return "adds up"
    if gate.op.moves and name not in ("cast", "dropout"):
        return "moves"
    return "scales" if gate.op.elementwise and len(found) == 1 else None


def forward_text(gate: Gate) -> Text:
    """What the gate computes, with its numbers.

    >>> from backlit.views.sentences import forward_text
    >>> (gate,) = bl.views.record("x * y", x=2, y=3).graph.gates
    >>> forward_text(gate)["en"]
    'The multiply gate multiplies x = 2 by y = 3: f = 6.'
    """
    if gate.op.elementwise:
        return _text(elementwise.forward(gate))
    return _text(arrays.forward(gate) or arrays.general_forward(gate))


def backward_text(gate: Gate, loss: Wire | None = None) -> Text:
    """How the gate hands its upstream gradient on, and what that means.

    >>> from backlit.views.sentences import backward_text
    >>> (gate,) = bl.views.record("x + y", x=2, y=3).graph.gates
    >>> backward_text(gate)["en"]
    'The add gate hands its upstream gradient 1 to both inputs.'
    """
    if upstream(gate) is None or not receivers(gate):
        return _text(_nothing(gate))
    told = [_joining(gate), _backward(gate), _finished(gate), _force(gate, loss)]
    english = " ".join(t[0] for t in told if t is not None)
    chinese = "".join(t[1] for t in told if t is not None)
    return {"en": english, "zh": chinese}


def _text(pair: Pair) -> Text:
    return {"en": pair[0], "zh": pair[1]}


def _nothing(gate: Gate) -> Pair:
    title = gate.op.name.replace("_", " ")
    if not gate.op.differentiable:
        return (f"No gradient flows back: {title} is not differentiable.",
                f"没有梯度往回流：{title} 不可微。")  # fmt: skip
    return (f"No gradient flows back through this {title} gate: nothing before it needs one.",
            f"没有梯度往回流过这个 {title} 门：它之前没有需要梯度的量。")  # fmt: skip


def _backward(gate: Gate) -> Pair:
    name = gate.op.name
    if gate.op.elementwise and all(gate.has_local(i) for i, _, _ in receivers(gate)):
        if name in ("add", "sub", "neg"):
            return elementwise.distributes(gate)
        if name == "mul":
            return elementwise.swaps(gate)
        if name in ("maximum", "minimum"):
            return elementwise.routes(gate)
        if name == "relu":
            return elementwise.blocks(gate)
        return elementwise.scales(gate)
    return arrays.backward(gate) or arrays.general(gate)


# ----- copies add up -----


def _joining(gate: Gate) -> Pair | None:
    """Before the gate: the gradient that arrives is a sum over the readers of its output."""
    wire = gate.output
    if len(wire.contributions) < 2:
        return None
    return _sum_over_readers(wire, ("Copies add up", "各份相加"))


def _finished(gate: Gate) -> Pair | None:
    """After the gate: a leaf that several gates read has its last contribution now."""
    done = []
    for _, wire, _ in receivers(gate):
        if wire.maker is None and len(wire.readers) > 1 and _is_last(gate, wire):
            done.append(wire)
    several = [w for w in dict.fromkeys(done) if len(w.contributions) > 1]
    told = [_sum_over_readers(w, ("Copies add up", "各份相加")) for w in several]
    return (" ".join(t[0] for t in told), "".join(t[1] for t in told)) if told else None


def _is_last(gate: Gate, wire: Wire) -> bool:
    """Whether this is the reader that hands its gradient back last: the first that ran."""
    return next((g is gate for g, i in wire.readers if g.downstream[i] is not None), True)


def _sum_over_readers(wire: Wire, opening: Pair) -> Pair:
    parts = [part for _, _, part in wire.contributions]
    name, many = called(wire), len(parts)
    if wire.grad is not None and wire.grad.ndim == 0:
        terms = " + ".join(
            f"({short(p)})" if p < 0 and i else short(p) for i, p in enumerate(parts)
        )
        total = f"{terms} = {short(wire.grad)}"
        return (
            f"{opening[0]}: {name} was used {many} times, so its gradient is {total}.",
            f"{opening[1]}：{name} 被使用 {many} 次，故其梯度为 {total}。",
        )
    return (
        f"{opening[0]}: {name} was used {many} times, so its gradient is the sum of {many} "
        f"contributions.",
        f"{opening[1]}：{name} 被使用 {many} 次，故其梯度为 {many} 份贡献之和。",
    )


# ----- sign and force -----


def _force(gate: Gate, loss: Wire | None) -> Pair | None:
    """What a number as gradient says: which way its value pushes the result, and how hard."""
    if loss is None or loss.array.size != 1:
        return None
    told: list[Pair] = []
    for wire in dict.fromkeys(w for _, w, _ in receivers(gate)):
        if wire.maker is not None or wire.grad is None or wire.grad.ndim:
            continue
        if _is_last(gate, wire):
            told.append(_push(wire, wire.grad, loss))
    return (" ".join(t[0] for t in told), "".join(t[1] for t in told)) if told else None


def _push(wire: Wire, gradient: np.ndarray, loss: Wire) -> Pair:
    name, result, force = called(wire), called(loss), short(np.abs(gradient))
    if not np.isfinite(gradient):
        return f"{name} has no finite gradient.", f"{name} 没有有限的梯度。"
    if gradient == 0:
        return (f"A small change of {name} leaves {result} as it is.",
                f"{name} 的微小变化不影响 {result}。")  # fmt: skip
    if gradient < 0:
        return (f"Decreasing {name} raises {result}, with force {force}.",
                f"减小 {name} 会使 {result} 增大，力度 {force}。")  # fmt: skip
    return (f"Increasing {name} raises {result}, with force {force}.",
            f"增大 {name} 会使 {result} 增大，力度 {force}。")  # fmt: skip
