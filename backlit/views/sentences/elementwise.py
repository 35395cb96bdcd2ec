"""Sentences for gates that work element by element: add, multiply, max, sigmoid and the like."""

from __future__ import annotations

import numpy as np

from backlit.views.graph import Gate
from backlit.views.sentences.words import (
    Pair,
    amount,
    called,
    factor,
    given,
    joined,
    listed,
    receivers,
    short,
    upstream,
    valued,
)

# The name of the gate and what it does to its inputs {0}, {1}.
DOES: dict[str, tuple[str, str, str, str]] = {
    "add": ("add", "加法", "adds {0} and {1}", "把 {0} 与 {1} 相加"),
    "sub": ("subtract", "减法", "takes {1} from {0}", "从 {0} 减去 {1}"),
    "mul": ("multiply", "乘法", "multiplies {0} by {1}", "把 {0} 与 {1} 相乘"),
    "div": ("divide", "除法", "divides {0} by {1}", "用 {1} 除 {0}"),
    "neg": ("negate", "取负", "turns the sign of {0}", "改变 {0} 的符号"),
    "maximum": ("max", "最大值", "keeps the larger of {0} and {1}", "取 {0} 与 {1} 中较大者"),
    "minimum": ("min", "最小值", "keeps the smaller of {0} and {1}", "取 {0} 与 {1} 中较小者"),
    "exp": ("exp", "指数", "raises e to the power {0}", "计算 e 的 {0} 次幂"),
    "log": ("log", "对数", "takes the logarithm of {0}", "取 {0} 的自然对数"),
    "pow": ("power", "幂", "raises {0} to the power {1}", "计算 {0} 的 {1} 次幂"),
    "square": ("square", "平方", "squares {0}", "计算 {0} 的平方"),
    "sqrt": ("square root", "平方根", "takes the root of {0}", "取 {0} 的平方根"),
    "reciprocal": ("1/x", "倒数", "inverts {0}", "取 {0} 的倒数"),
    "sigmoid": ("sigmoid", "sigmoid", "squashes {0} between 0 and 1", "把 {0} 压到 0 与 1 之间"),
    "tanh": ("tanh", "tanh", "squashes {0} between -1 and 1", "把 {0} 压到 -1 与 1 之间"),
    "relu": ("ReLU", "ReLU", "keeps what is positive of {0}", "只保留 {0} 的正数部分"),
    "abs": ("absolute value", "绝对值", "drops the sign of {0}", "去掉 {0} 的符号"),
    "where": ("choose", "选择", "takes {1} where {0} holds, {2} elsewhere",
              "在 {0} 成立处取 {1}，其余取 {2}"),
    "clamp": ("clamp", "截断", "cuts {0} to its range", "把 {0} 限制在范围内"),
}  # fmt: skip

# The local derivative by the first input {0}, where it has a usual form.
SLOPES = {
    "exp": "exp {0}", "log": "1/{0}", "square": "2·{0}", "sqrt": "1/(2√{0})", "pow": "n·{0}ⁿ⁻¹",
    "reciprocal": "-1/{0}²", "sigmoid": "σ(1 - σ)", "tanh": "1 - tanh²", "sin": "cos {0}",
    "cos": "-sin {0}", "silu": "σ + {0}·σ(1 - σ)", "softplus": "σ({0})",
}  # fmt: skip


def gate_name(gate: Gate) -> Pair:
    """What the gate is called: "add gate"."""
    if gate.op.name in DOES:
        name, chinese, *_ = DOES[gate.op.name]
        return f"{name} gate", f"{chinese} 门" if chinese.isascii() else f"{chinese}门"
    name = gate.op.name.replace("_", " ")
    return f"{name} gate", f"{name} 门"


def forward(gate: Gate) -> Pair:
    """What the gate computes."""
    shown = [valued(w) for w in given(gate)]
    made = valued(gate.output)
    if gate.op.name in DOES and len(shown) == len(gate.op.inputs):
        _, _, english, chinese = DOES[gate.op.name]
        name = gate_name(gate)
        return (
            f"The {name[0]} {english.format(*shown)}: {made}.",
            f"{name[1]}{chinese.format(*shown)}：{made}。",
        )
    names = listed(shown)
    title = gate.op.name.replace("_", " ")
    return f"{title} of {names[0]} gives {made}.", f"对 {names[1]} 作 {title}，得到 {made}。"


def distributes(gate: Gate) -> Pair:
    """Add and subtract: the upstream gradient as it is, or with its sign turned."""
    arrived, name = amount(_arrived(gate)), gate_name(gate)
    turned = [i for i, _, _ in receivers(gate) if gate.op.name == "neg" or (
        gate.op.name == "sub" and i == 1)]  # fmt: skip
    same = [(w, d) for i, w, d in receivers(gate) if i not in turned]
    parts: list[Pair] = []
    if len(same) == 2:
        parts.append(("to both inputs", "传给两个输入"))
    elif same:
        parts.append((f"to {called(same[0][0])}, unchanged", f"原样传给 {called(same[0][0])}"))
    for i, w, _ in receivers(gate):
        if i in turned:
            parts.append((f"with its sign turned to {called(w)}", f"变号后传给 {called(w)}"))
    told = ", and ".join(p[0] for p in parts), "，".join(p[1] for p in parts)
    text = (
        f"The {name[0]} hands its upstream gradient {arrived[0]} {told[0]}.",
        f"{name[1]}把上游梯度 {arrived[1]} {told[1]}。",
    )
    stretched = [called(w) for _, w, d in receivers(gate) if d.shape != _arrived(gate).shape]
    if not stretched:
        return text
    names = listed(stretched)
    return (
        f"{text[0]} {names[0]} was stretched to fit: what its copies get adds up.",
        f"{text[1]}{names[1]} 曾被广播：各副本得到的梯度相加。",
    )


def swaps(gate: Gate) -> Pair:
    """Multiply: each input gets the upstream gradient times the other one."""
    arrived, name = _arrived(gate), gate_name(gate)
    parts: list[Pair] = []
    for i, w, d in receivers(gate):
        other = gate.inputs[1 - i]
        assert other is not None
        if arrived.ndim:
            parts.append(
                (f"{called(w)} gets upstream × {called(other)}",
                 f"{called(w)} 得到 上游 × {called(other)}")
            )  # fmt: skip
            continue
        sum_text = f"{short(arrived)} × {factor(other.array)} = {short(d)}"
        shown = "" if called(other) == short(other.value) else f"upstream × {called(other)} = "
        parts.append(
            (f"{called(w)} gets {shown}{sum_text}",
             f"{called(w)} 得到 {shown.replace('upstream', '上游')}{sum_text}")
        )  # fmt: skip
    told = joined(parts)
    if len(parts) < 2:
        return f"The {name[0]} scales: {told[0]}.", f"{name[1]}按比例缩放：{told[1]}。"
    return f"The {name[0]} swaps: {told[0]}.", f"{name[1]}交换两个输入：{told[1]}。"


def routes(gate: Gate) -> Pair:
    """Max and min: the gradient goes to the input that was kept."""
    arrived, name = _arrived(gate), gate_name(gate)
    pair = given(gate)
    if arrived.ndim:
        return _routed_arrays(gate, name)
    got = {i: d for i, _, d in receivers(gate)}
    a, b = pair[0].array, pair[1].array
    if a == b:
        shares = listed(f"{called(pair[i])}: {short(d)}" for i, d in got.items())
        return (
            f"A tie: both inputs of the {name[0]} are {short(a)}, and share {short(arrived)} "
            f"({shares[0]}), one choice of subgradient.",
            f"平局：{name[1]}的两个输入都是 {short(a)}，分享上游梯度 {short(arrived)}"
            f"（{shares[1]}），这是次梯度的一种取法。",
        )
    kept = 0 if (a > b) == (gate.op.name == "maximum") else 1
    winner, loser = called(pair[kept]), called(pair[1 - kept])
    return (
        f"The {name[0]} routes its whole upstream gradient {short(arrived)} to {winner}, the input "
        f"that it kept; {loser} gets 0.",
        f"{name[1]}把全部上游梯度 {short(arrived)} 送给被选中的 {winner}；{loser} 得到 0。",
    )


def _routed_arrays(gate: Gate, name: Pair) -> Pair:
    shares = []
    for i, w, _ in receivers(gate):
        kept = np.asarray(gate.local(i)) if gate.has_local(i) else np.zeros(())
        shares.append(f"{called(w)} {short(100 * np.mean(kept != 0))} %")
    told = listed(shares)
    return (
        f"The {name[0]} routes each element's gradient to the input that it kept: {told[0]}.",
        f"{name[1]}把每个元素的梯度送给被选中的输入：{told[1]}。",
    )


def blocks(gate: Gate) -> Pair:
    """ReLU and other gates that are open or shut."""
    i, w, d = receivers(gate)[0]
    arrived, name = _arrived(gate), gate_name(gate)
    passed = np.asarray(gate.local(i)) != 0
    if arrived.ndim:
        count, total = int(np.count_nonzero(passed)), passed.size
        return (
            f"The {name[0]} lets the gradient through at {count} of {total} elements and blocks it "
            f"at the others, where {called(w)} was not positive.",
            f"{name[1]}在 {total} 个元素中的 {count} 个放行梯度，其余（{called(w)} 不为正处）"
            f"全部阻断。",
        )
    value = short(w.value)
    if passed.all():
        return (
            f"The {name[0]} is open ({called(w)} = {value} > 0): it lets {short(arrived)} through.",
            f"{name[1]}打开（{called(w)} = {value} > 0）：放行 {short(arrived)}。",
        )
    return (
        f"The {name[0]} is shut ({called(w)} = {value}): it blocks the gradient, {called(w)} "
        f"gets {short(d)}.",
        f"{name[1]}关闭（{called(w)} = {value}）：阻断梯度，{called(w)} 得到 {short(d)}。",
    )


def scales(gate: Gate) -> Pair:
    """Upstream times local, for every input."""
    arrived, name = _arrived(gate), gate_name(gate)
    slope = SLOPES.get(gate.op.name, "").format(called(given(gate)[0]))
    known: Pair = (f" ({slope})", f"（{slope}）") if slope else ("", "")
    parts: list[Pair] = []
    for i, w, d in receivers(gate):
        if arrived.ndim:
            parts.append((f"{called(w)} gets upstream × local{known[0]}, element by element",
                          f"{called(w)} 逐元素得到 上游 × 局部导数{known[1]}"))  # fmt: skip
        else:
            local = np.asarray(gate.local(i))
            text = f"{short(arrived)} × {factor(local)} = {short(d)}"
            parts.append((f"{called(w)} gets upstream × local{known[0]} = {text}",
                          f"{called(w)} 得到 上游 × 局部导数{known[1]} = {text}"))  # fmt: skip
    told = joined(parts)
    return f"At the {name[0]}, {told[0]}.", f"在{name[1]}，{told[1]}。"


def _arrived(gate: Gate) -> np.ndarray:
    found = upstream(gate)
    assert found is not None
    return found
