"""Sentences for gates that work on whole arrays: products, convolutions, sums, pools, moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backlit.views.graph import Gate
from backlit.views.sentences.words import (
    Pair,
    amount,
    called,
    given,
    joined,
    listed,
    receivers,
    short,
    size,
    upstream,
    valued,
)

# What a gate does forward; {0}, {1}, ... are its inputs as named, {y} its first output.
FORWARD: dict[str, Pair] = {
    "linear": ("multiplies {0} by the weights {1}", "用权重 {1} 乘 {0}"),
    "matmul": ("forms the matrix product of {0} and {1}", "计算 {0} 与 {1} 的矩阵乘积"),
    "conv": ("slides the filters {1} over {0}", "让滤波器 {1} 在 {0} 上滑动"),
    "batch_norm": ("brings every channel of {0} to mean 0 and variance 1 over the batch",
                   "按批把 {0} 的每个通道归一化到均值 0、方差 1"),
    "layer_norm": ("brings every row of {0} to mean 0 and variance 1",
                   "把 {0} 的每一行归一化到均值 0、方差 1"),
    "group_norm": ("brings every group of channels of {0} to mean 0 and variance 1",
                   "把 {0} 的每组通道归一化到均值 0、方差 1"),
    "rms_norm": ("divides every row of {0} by its root mean square", "用均方根除 {0} 的每一行"),
    "softmax": ("turns the scores {0} into probabilities", "把得分 {0} 变成概率"),
    "log_softmax": ("turns the scores {0} into log-probabilities", "把得分 {0} 变成对数概率"),
    "nll_loss": ("takes the log-probability of each right class out of {0}, with a minus sign",
                 "从 {0} 取出各样本正确类别的对数概率并取负"),
    "sum": ("adds up the elements of {0}", "把 {0} 的元素求和"),
    "mean": ("averages the elements of {0}", "对 {0} 的元素求平均"),
    "max_pool": ("keeps the largest element of every window of {0}", "取 {0} 每个窗口中的最大元素"),
    "avg_pool": ("averages every window of {0}", "对 {0} 的每个窗口求平均"),
    "amax": ("keeps the largest elements of {0}", "取 {0} 中的最大元素"),
    "amin": ("keeps the smallest elements of {0}", "取 {0} 中的最小元素"),
    "max_dim": ("keeps the largest elements of {0}", "取 {0} 中的最大元素"),
    "min_dim": ("keeps the smallest elements of {0}", "取 {0} 中的最小元素"),
    "embedding": ("looks rows up in the table {0}", "在表 {0} 中按行查找"),
    "dropout": ("drops elements of {0} at random and scales the others up",
                "随机丢弃 {0} 的元素并放大其余元素"),
    "lstm": ("runs {0} through an LSTM, step by step", "让 {0} 逐步通过 LSTM"),
    "gru": ("runs {0} through a GRU, step by step", "让 {0} 逐步通过 GRU"),
    "rnn": ("runs {0} through a recurrent layer, step by step", "让 {0} 逐步通过循环层"),
    "attention": ("mixes the values {2} by how well queries {0} and keys {1} match",
                  "按查询 {0} 与键 {1} 的匹配程度混合值 {2}"),
    "cast": ("converts {0} to another dtype", "把 {0} 转换为另一种类型"),
    "expand": ("repeats {0}", "重复 {0}"),
    "sum_to": ("adds up what was stretched in {0}", "把 {0} 被广播的部分加起来"),
    "cat": ("puts its inputs side by side", "把各输入拼接起来"),
    "stack": ("stacks its inputs", "把各输入堆叠起来"),
    "split": ("cuts {0} into pieces", "把 {0} 切成几段"),
    "unbind": ("cuts {0} into slices", "把 {0} 切成薄片"),
}  # fmt: skip

# Who gets what backward, by the place of the input; "" names the gate's usual other inputs.
BACKWARD: dict[str, dict[int, Pair]] = {
    "linear": {0: ("{x} gets G·{1}", "{x} 得到 G·{1}"),
               1: ("{x} gets Gᵀ·{0}, summed over the samples", "{x} 得到 Gᵀ·{0}（对样本求和）"),
               2: ("{x} gets the sum of G over the samples", "{x} 得到 G 对样本的和")},
    "matmul": {0: ("{x} gets G·{1}ᵀ", "{x} 得到 G·{1}ᵀ"),
               1: ("{x} gets {0}ᵀ·G", "{x} 得到 {0}ᵀ·G")},
    "conv": {0: ("{x} gets G spread back through the turned filters",
                 "{x} 得到经翻转滤波器散回的 G"),
             1: ("{x} gets {0} correlated with G", "{x} 得到 {0} 与 G 的互相关"),
             2: ("{x} gets the sum of G over samples and places", "{x} 得到 G 对样本与位置的和")},
}  # fmt: skip
_NORMALIZED: dict[int, Pair] = {
    0: ("{x} gets what is left of G without its mean and without its part along the normalized "
        "values, divided by the deviation",
        "{x} 得到去掉均值、去掉沿归一化值方向的分量、再除以标准差的 G"),
    1: ("{x} gets the sum of G times the normalized values", "{x} 得到 G 与归一化值乘积之和"),
    2: ("{x} gets the sum of G", "{x} 得到 G 之和"),
}  # fmt: skip
BACKWARD |= dict.fromkeys(("batch_norm", "layer_norm", "group_norm", "rms_norm"), _NORMALIZED)

_WHOLE: dict[str, Pair] = {
    "softmax": ("{x} gets y ⊙ (G - Σ G⊙y): what raises one probability lowers the others",
                "{x} 得到 y ⊙ (G - Σ G⊙y)：抬高一个概率就压低其余"),
    "log_softmax": ("{x} gets G minus the probabilities times the sum of G, row by row",
                    "{x} 逐行得到 G 减去概率乘以 G 之和"),
    "dropout": ("the same mask: elements that were dropped get 0, the others G scaled up",
                "用同一个掩码：被丢弃的元素得到 0，其余得到放大的 G"),
    "cast": ("{x} gets the gradient in its own dtype", "{x} 得到自身类型的梯度"),
    "expand": ("copies add up: {x} gets the sum over its repetitions",
               "各份相加：{x} 得到对其各副本的和"),
    "sum_to": ("every element of {x} gets the gradient of the sum it went into",
               "{x} 的每个元素得到其所在和的梯度"),
    "embedding": ("every row of {x} that was looked up gets its gradient, one that was looked up "
                  "twice gets the sum, the others get 0",
                  "{x} 中被查到的行得到各自的梯度，多次查到则相加，其余为 0"),
    "avg_pool": ("every element of a window gets its equal share", "窗口内每个元素得到相等的一份"),
    "lstm": ("the gradient walks back through time, last step first; every step adds to the "
             "weights", "梯度沿时间从最后一步往回走，每一步都累加到权重上"),
    "split": ("the gradients of the pieces are put together again", "各段的梯度重新拼接"),
    "unbind": ("the gradients of the slices are put together again", "各片的梯度重新拼接"),
    "cat": ("each input gets its own piece of the gradient", "每个输入得到梯度中属于自己的一段"),
    "stack": ("each input gets its own slice of the gradient", "每个输入得到梯度中属于自己的一片"),
}  # fmt: skip
_WHOLE |= dict.fromkeys(("gru", "rnn"), _WHOLE["lstm"])

PICKS = ("slice", "index", "index_select", "gather", "diagonal", "max_pool_take", "unfold")
WINNERS = ("max_pool", "adaptive_max_pool", "amax", "amin", "max_dim", "min_dim", "median_dim",
           "kth_axis", "mode_dim", "running_max", "running_min", "nanmedian_dim")  # fmt: skip


def forward(gate: Gate) -> Pair | None:
    """What the gate computes, where it has words of its own."""
    words = FORWARD.get(gate.op.name)
    made = valued(gate.output)
    shown = [valued(w) for w in given(gate)]
    name = gate.op.name.replace("_", " ")
    if words is None and gate.op.moves and len(shown) == 1:
        words = ("puts the elements of {0} in other places", "改变 {0} 中元素的位置")
    if gate.op.name in PICKS:
        words = ("picks elements of {0}", "从 {0} 中取出元素")
    if words is None:
        return None
    extra = ("", "")
    if gate.op.name in ("linear", "conv") and len(shown) > 2:
        extra = (f" and adds {called(given(gate)[2])}", f"，再加 {called(given(gate)[2])}")
    try:
        told = words[0].format(*shown), words[1].format(*shown)
    except IndexError:
        return None
    return (
        f"The {name} gate {told[0]}{extra[0]}: {made}.",
        f"{name} 门{told[1]}{extra[1]}：{made}。",
    )


def backward(gate: Gate) -> Pair | None:
    """Who gets what, where the gate has words of its own."""
    special = SPECIAL.get(gate.op.name)
    if special is not None:
        return special(gate)
    if gate.op.name in WINNERS:
        return _winners(gate)
    named = BACKWARD.get(gate.op.name)
    names = [called(w) if w is not None else "" for w in gate.inputs]
    if named is not None:
        told = joined(
            tuple(text.format(*names, x=called(w)) for text in named[i])  # type: ignore[misc]
            for i, w, _ in receivers(gate)
            if i in named
        )
    else:
        words = _WHOLE.get(gate.op.name) or _moved(gate)
        if words is None:
            return None
        told = tuple(t.format(x=called(receivers(gate)[0][1])) for t in words)  # type: ignore
    arrived = upstream(gate)
    assert arrived is not None
    size_of = amount(arrived)
    title = gate.op.name.replace("_", " ")
    return (
        f"With G, the upstream gradient {size_of[0]}, at the {title} gate: {told[0]}.",
        f"记上游梯度为 G{size_of[1] if arrived.ndim else ' = ' + size_of[1]}，在 {title} 门："
        f"{told[1]}。",
    )


def _moved(gate: Gate) -> Pair | None:
    if gate.op.name in PICKS:
        return ("what was picked from {x} gets its gradient, the rest gets 0",
                "{x} 中被取出的元素得到各自的梯度，其余为 0")  # fmt: skip
    if gate.op.moves and len(receivers(gate)) == 1:
        return ("elements of {x} were only moved: their gradients move back",
                "{x} 的元素只是换了位置：梯度照原路移回")  # fmt: skip
    return None


def _share(gate: Gate) -> Pair:
    """Sum and mean: one gradient for all elements."""
    _, w, d = receivers(gate)[0]
    arrived = upstream(gate)
    assert arrived is not None
    per = w.array.size // max(arrived.size, 1)
    what = amount(arrived)
    if gate.op.name == "mean":
        told: Pair = (
            f"The mean gate spreads its upstream gradient {what[0]}: each of {per} elements of "
            f"{called(w)} gets 1/{per} of it",
            f"均值门平分上游梯度 {what[1]}：{called(w)} 的 {per} 个元素各得 1/{per}",
        )
    else:
        told = (
            f"The sum gate hands its upstream gradient {what[0]} to each of {per} elements of "
            f"{called(w)}",
            f"求和门把上游梯度 {what[1]} 传给 {called(w)} 的 {per} 个元素",
        )
    if arrived.ndim == 0 and d.size:
        each = short(d.reshape(-1)[0])
        return f"{told[0]}: {each}.", f"{told[1]}：{each}。"
    return f"{told[0]}.", f"{told[1]}。"


def _winners(gate: Gate) -> Pair:
    """Max over windows or axes: the gradient goes to the elements that were kept."""
    _, w, d = receivers(gate)[0]
    hit, total = int(np.count_nonzero(d)), d.size
    name = gate.op.name.replace("_", " ")
    return (
        f"The {name} gate routes each gradient to the element of {called(w)} that was kept; "
        f"{hit} of {total} elements get one, the others 0.",
        f"{name} 门把每个梯度送给 {called(w)} 中被选中的元素；{total} 个元素中 {hit} 个得到梯度，"
        f"其余为 0。",
    )


def _picked_classes(gate: Gate) -> Pair:
    """The negative log-likelihood: only right classes get a gradient."""
    _, w, d = receivers(gate)[0]
    hit = int(np.count_nonzero(d))
    smallest = short(d.reshape(-1)[int(np.argmin(d))]) if d.size else "0"
    return (
        f"Only the right class of each sample in {called(w)} gets a gradient "
        f"({hit} elements, the largest in size {smallest}); the others get 0.",
        f"{called(w)} 中只有各样本的正确类别得到梯度（{hit} 个元素，绝对值最大为 {smallest}）；"
        f"其余为 0。",
    )


SPECIAL: dict[str, Callable[[Gate], Pair]] = {
    "sum": _share,
    "mean": _share,
    "nll_loss": _picked_classes,
}


def general(gate: Gate) -> Pair:
    """Any operator: upstream times Jacobian."""
    arrived = upstream(gate)
    assert arrived is not None
    what, parts = amount(arrived), []
    for _, w, d in receivers(gate):
        got = amount(d)
        parts.append((f"{called(w)} gets one {got[0]}", f"{called(w)} 得到 {got[1]}"))
    told = joined(parts)
    title = gate.op.name.replace("_", " ")
    own = hasattr(gate.op, "user")
    return (
        f"{'Your' if own else 'The'} {title} backward turns the upstream gradient {what[0]} "
        f"({size(arrived.shape) or 'a number'}) into upstream × Jacobian: {told[0]}.",
        f"{'你的 ' if own else ''}{title} 的反向把上游梯度 {what[1]}变为 上游 × 雅可比："
        f"{told[1]}。",
    )


def general_forward(gate: Gate) -> Pair:
    """Any operator: what it reads and makes."""
    names = listed(valued(w) for w in given(gate))
    title, made = gate.op.name.replace("_", " "), valued(gate.output)
    if not names[0]:
        return f"{title} makes {made}.", f"{title} 产生 {made}。"
    return f"{title} of {names[0]} gives {made}.", f"对 {names[1]} 作 {title}，得到 {made}。"
