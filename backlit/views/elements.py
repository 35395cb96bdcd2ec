"""One element of a gate's output as a circuit of scalar gates.

A linear layer, a matrix product and a convolution become multiply gates into one sum. Other
gates become one gate with the elements that it depends on and their local derivatives: the row
of its Jacobian, by the operator's own rule. Only the gradient that flows through this element
is shown, so that over all elements these circuits add up to the whole gate. Numbers are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.views.derivatives import row
from backlit.views.graph import Gate, Wire
from backlit.views.names import tex
from backlit.views.numbers import exact, largest_element
from backlit.views.sentences import pattern
from backlit.views.sentences.words import called, factor, short
from backlit.views.symbols import symbol

TERMS = 8  # products shown one by one; the others are one wire
ROW = 12  # elements of a row of the Jacobian
PRODUCTS = ("linear", "matmul", "conv")
LINEAR = ("sum", "mean", "avg_pool", "adaptive_avg_pool", "sum_to", "cumsum", "interpolate")
Index = tuple[int, ...]


@dataclass
class Circuit:
    """Wires and gates of scalars, as a snapshot has them."""

    prefix: str
    dtype: str
    wires: list[dict[str, Any]] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)

    def wire(
        self, name: str, latex: str, kind: str, value: Any, grad: Any = None, made: bool = False
    ) -> str:
        """A new wire; `made` by the gate that comes next, else it comes from outside."""
        kind = "input" if kind == "value" and not made else kind
        key = f"{self.prefix}w{len(self.wires)}"
        self.wires.append({
            "id": key, "name": name, "tex": latex, "kind": kind, "shape": [],
            "dtype": self.dtype, "maker": f"{self.prefix}g{len(self.gates)}" if made else None,
            "output": 0, "value": {"scalar": exact(value)},
            "grad": None if grad is None else {"scalar": exact(grad)},
        })  # fmt: skip
        return key

    def gate(
        self, op: str, shown: str, latex: str, inputs: Sequence[str], output: str, upstream: Any,
        back: list[tuple[int, Any, Any, str]], flow: str | None, texts: tuple[dict, dict],
    ) -> None:  # fmt: skip
        """A new gate; `back` has (input, local, downstream, local as LaTeX)."""
        arrived = {"scalar": exact(upstream)}
        self.gates.append({
            "id": f"{self.prefix}g{len(self.gates)}", "op": op, "symbol": shown, "tex": latex,
            "inputs": list(inputs), "outputs": [output], "params": {}, "group": None,
            "module": "", "scope": "", "line": "", "code": "",
            "backward": [
                {"input": i, "upstream": arrived, "downstream": {"scalar": exact(d)},
                 "local": {"scalar": exact(slope)}, "local_tex": how, "factored": True}
                for i, slope, d, how in back
            ],
            "upstream": [arrived], "pattern": flow, "forward_text": texts[0],
            "backward_text": texts[1], "inside": None,
        })  # fmt: skip

    def data(self) -> dict[str, Any]:
        return {"wires": self.wires, "gates": self.gates, "groups": []}


def element_circuit(gate: Gate, prefix: str, index: Index | None = None) -> dict[str, Any] | None:
    """The scalar circuit of one element of the output: the one with the largest gradient, if
    none is asked for; None where the gate has no such element.

    >>> from backlit.views.elements import element_circuit
    >>> a, b = bl.ones(2, 2, requires_grad=True), bl.ones(2, 2)
    >>> gate = bl.views.record((a @ b).sum()).graph.gates[0]
    >>> [g["op"] for g in element_circuit(gate, "", (0, 1))["gates"]]
    ['mul', 'mul', 'sum']
    """
    place = next((k for k, u in enumerate(gate.upstream) if u is not None), None)
    if place is None or not any(d is not None for d in gate.downstream):
        return None
    upstream, target = gate.upstream[place], gate.outputs[place]
    assert upstream is not None and target is not None
    if not upstream.ndim and not any(w is not None and w.array.ndim for w in gate.inputs):
        return None
    if not upstream.size or upstream.shape != target.shape:
        return None
    at = largest_element(upstream) if index is None else index
    made = Circuit(prefix, dt.of_array(target.array).name)
    if gate.op.name in PRODUCTS:
        _products(made, gate, target, at, upstream[at])
    else:
        _row(made, gate, target, place, at, upstream[at])
    return made.data() if made.gates else None


def element_name(wire: Wire, index: Index) -> str:
    """`W[2, 0]`."""
    return f"{called(wire)}[{', '.join(map(str, index))}]" if index else called(wire)


def element_tex(wire: Wire, index: Index) -> str:
    r"""`W_{2,0}`; a name that has a subscript already gets brackets."""
    name = tex(called(wire))
    if not index:
        return name
    inner = ",".join(map(str, index))
    return f"{name}[{inner}]" if "_" in name or "^" in name else f"{name}_{{{inner}}}"


# ----- products into one sum -----


@dataclass
class Term:
    """One product: an element of each factor."""

    a: Index
    b: Index


def terms_of(gate: Gate, at: Index) -> Iterator[Term]:
    """The products that make one element of the output of a linear, matmul or conv gate."""
    shapes = [w.shape for w in gate.inputs if w is not None]
    if gate.op.name == "linear":
        return (Term((*at[:-1], k), (at[-1], k)) for k in range(shapes[1][1]))
    if gate.op.name == "matmul":
        return _matmul_terms(shapes[0], shapes[1], at)
    return _conv_terms(shapes[0], shapes[1], gate.params, at)


def _matmul_terms(a: Sequence[int], b: Sequence[int], at: Index) -> Iterator[Term]:
    batch, n, m = at[:-2], at[-2], at[-1]
    before = tuple(i if s > 1 else 0 for i, s in zip(_tail(batch, len(a) - 2), a[:-2]))
    behind = tuple(i if s > 1 else 0 for i, s in zip(_tail(batch, len(b) - 2), b[:-2]))
    for k in range(a[-1]):
        yield Term((*before, n, k), (*behind, k, m))


def _tail(index: Index, count: int) -> Index:
    return index[len(index) - count :]


def _conv_terms(
    x: Sequence[int], w: Sequence[int], params: dict[str, Any], at: Index
) -> Iterator[Term]:
    sample, out, *where = at
    first = out // (w[0] // params["groups"]) * w[1]
    for tap in np.ndindex(*w[1:]):
        spots = tuple(
            p * s - pad + k * d
            for p, s, pad, k, d in zip(
                where, params["stride"], params["padding"], tap[1:], params["dilation"]
            )
        )
        if all(0 <= i < n for i, n in zip(spots, x[2:])):  # what was padded is 0
            yield Term((sample, first + tap[0], *spots), (out, *tap))


def _products(made: Circuit, gate: Gate, target: Wire, at: Index, upstream: Any) -> None:
    a, b = gate.inputs[0], gate.inputs[1]
    assert a is not None and b is not None
    values = [(t, a.array[t.a], b.array[t.b]) for t in terms_of(gate, at)]
    values.sort(key=lambda v: -abs(float(np.nan_to_num(v[1] * 1.0 * v[2]))))
    summands = [_product(made, gate, a, b, term, upstream) for term, _, _ in values[:TERMS]]
    others = values[TERMS:]
    if others:
        total = sum(float(x) * float(y) for _, x, y in others)
        key = made.wire(f"{len(others)} more products", rf"\sum_{{{len(others)}\text{{ more}}}}",
                        "constant", total, upstream)  # fmt: skip
        summands.append((key, total, True))
    bias = gate.inputs[2] if len(gate.inputs) > 2 else None
    if bias is not None:
        place = (at[1],) if gate.op.name == "conv" else (at[-1],)
        flows = gate.downstream[2] is not None
        value = bias.array[place]
        key = made.wire(element_name(bias, place), element_tex(bias, place), bias.kind, value,
                        upstream if flows else None)  # fmt: skip
        summands.append((key, value, flows))
    _sum(made, target, at, summands, upstream)


def _product(
    made: Circuit, gate: Gate, a: Wire, b: Wire, term: Term, upstream: Any
) -> tuple[str, Any, bool]:
    x, w = a.array[term.a], b.array[term.b]
    flows = [gate.downstream[0] is not None, gate.downstream[1] is not None]
    names = element_name(a, term.a), element_name(b, term.b)
    shown = element_tex(a, term.a), element_tex(b, term.b)
    down = [upstream * w if flows[0] else None, upstream * x if flows[1] else None]
    left = made.wire(names[0], shown[0], a.kind, x, down[0])
    right = made.wire(names[1], shown[1], b.kind, w, down[1])
    value = x * w
    out = made.wire(f"{names[0]}·{names[1]}", rf"{shown[0]} {shown[1]}", "value", value,
                    upstream if any(flows) else None, made=True)  # fmt: skip
    back = [
        (i, slope, down[i], shown[1 - i])
        for i, slope in enumerate((w, x))
        if flows[i]
    ]  # fmt: skip
    got = [f"{names[i]} gets {short(upstream)} × {factor(s)} = {short(d)}" for i, s, d, _ in back]
    zh = [g.replace(" gets ", " 得到 ") for g in got]
    texts = (
        {"en": f"One product: {short(x)} × {factor(w)} = {short(value)}.",
         "zh": f"一个乘积：{short(x)} × {factor(w)} = {short(value)}。"},
        {"en": f"The multiply gate {'swaps' if all(flows) else 'scales'}: {'; '.join(got)}.",
         "zh": f"乘法门{'交换两个输入' if all(flows) else '按比例缩放'}：{'；'.join(zh)}。"},
    )  # fmt: skip
    made.gate("mul", "×", rf"{shown[0]} \cdot {shown[1]}", (left, right), out, upstream, back,
              "swaps" if all(flows) else "scales", texts)  # fmt: skip
    return out, value, any(flows)


def _sum(
    made: Circuit, target: Wire, at: Index, summands: list[tuple[str, Any, bool]], upstream: Any
) -> None:
    value = target.array[at]
    name, shown = element_name(target, at), element_tex(target, at)
    out = made.wire(name, shown, "value", value, upstream, made=True)
    back = [(i, 1, upstream, "1") for i, (_, _, flows) in enumerate(summands) if flows]
    texts = (
        {"en": f"The sum gate adds {len(summands)} wires: {name} = {short(value)}.",
         "zh": f"求和门把 {len(summands)} 条线相加：{name} = {short(value)}。"},
        {"en": f"The sum gate hands its upstream gradient {short(upstream)} to all of them.",
         "zh": f"求和门把上游梯度 {short(upstream)} 原样传给每一条。"},
    )  # fmt: skip
    made.gate("sum", "Σ", rf"{shown} = \sum_k (\cdot)_k", [s[0] for s in summands], out, upstream,
              back, "distributes", texts)  # fmt: skip


# ----- any other gate: one row of its Jacobian -----


def _row(made: Circuit, gate: Gate, target: Wire, place: int, at: Index, upstream: Any) -> None:
    entries, count, rest = _entries(gate, place, at)
    inputs: list[str] = []
    back: list[tuple[int, Any, Any, str]] = []
    for wire, where, slope in entries:
        inputs.append(
            made.wire(element_name(wire, where), element_tex(wire, where), wire.kind,
                      wire.array[where], upstream * slope)
        )  # fmt: skip
        back.append((len(back), slope, upstream * slope, _partial(target, at, wire, where)))
    more = count - len(entries)
    if more and gate.op.name in LINEAR:  # the rest is one number: a sum has no order
        name, shown = f"{more} more elements", rf"\sum_{{{more}\text{{ more}}}}"
        inputs.append(made.wire(name, shown, "constant", rest, upstream))
        back.append((len(back), 1, upstream, "1"))
    if not inputs:
        return
    name, value = element_name(target, at), target.array[at]
    out = made.wire(name, element_tex(target, at), "value", value, upstream, made=True)
    latex = rf"{element_tex(target, at)} = {_applied(gate, made)}"
    made.gate(gate.op.name, symbol(gate), latex, inputs, out, upstream, back, pattern(gate),
              _row_texts(gate, name, value, back, count, upstream))  # fmt: skip


def _applied(gate: Gate, made: Circuit) -> str:
    """The gate applied to the elements that are shown."""
    shown = [w["tex"] for w in made.wires if w["maker"] is None]
    if gate.op.elementwise and len(shown) == len(gate.inputs):
        return str(gate.op.latex(*shown, **gate.params))
    title = gate.op.name.replace("_", r"\_")
    listed = ", ".join([*shown[:4], *[r"\ldots"] * (len(shown) > 4)])
    return rf"\operatorname{{{title}}}\left({listed}\right)"


def _entries(gate: Gate, place: int, at: Index) -> tuple[list[tuple[Wire, Index, Any]], int, float]:
    """The elements with the largest local derivatives, how many there are, and the sum of local
    derivative times element over those left out."""
    slopes: list[Any] = [None] * len(gate.inputs)
    if not gate.op.elementwise:
        slopes = row(gate, at, place)
    found: list[tuple[Wire, np.ndarray, np.ndarray]] = []
    for i, wire in enumerate(gate.inputs):
        if wire is None or gate.downstream[i] is None:
            continue
        if gate.op.elementwise:
            where = np.array([_source(at, wire.shape)], np.int64).reshape(1, wire.array.ndim)
            found.append((wire, where, np.array([_local_at(gate, i, at)])))
        elif slopes[i] is not None:
            where = _takes_part(gate, i, at, slopes[i])
            if len(where):
                found.append((wire, where, np.atleast_1d(slopes[i][tuple(where.T)])))
    sizes = [np.abs(np.nan_to_num(s.astype(np.float64))) for _, _, s in found]
    count = sum(len(s) for s in sizes)
    order = np.argsort(-np.concatenate([*sizes, np.zeros(0)]), kind="stable")
    starts = np.cumsum([0, *(len(s) for s in sizes)])
    entries, rest = [], 0.0
    for n in map(int, order[:ROW]):
        part = int(np.searchsorted(starts, n, "right")) - 1
        wire, where, slope = found[part]
        n -= int(starts[part])
        entries.append((wire, tuple(map(int, where[n])), slope[n]))
    if count > ROW:
        products = [np.atleast_1d(w.array[tuple(i.T)]) * 1.0 * s for w, i, s in found]
        rest = float(np.concatenate(products)[order[ROW:]].sum())
    return entries, count, rest


def _source(at: Index, shape: Sequence[int]) -> Index:
    """The element that broadcasting puts at `at`."""
    return tuple(i if n > 1 else 0 for i, n in zip(_tail(at, len(shape)), shape))


def _local_at(gate: Gate, i: int, at: Index) -> Any:
    local = np.asarray(gate.local(i)) * 1.0
    return local[_source(at, local.shape)]


def _partial(target: Wire, at: Index, wire: Wire, where: Index) -> str:
    return rf"\frac{{\partial {element_tex(target, at)}}}{{\partial {element_tex(wire, where)}}}"


def _row_texts(
    gate: Gate, name: str, value: Any, back: list[tuple[int, Any, Any, str]], count: int,
    upstream: Any,
) -> tuple[dict[str, str], dict[str, str]]:  # fmt: skip
    title, made, arrived = gate.op.name.replace("_", " "), short(value), short(upstream)
    if count == 1:
        _, slope, down, _ = back[0]
        step = f"{arrived} × {factor(slope)} = {short(down)}"
        return (
            {"en": f"{name} = {made} is made of one element by the {title} gate.",
             "zh": f"{title} 门由一个元素得到 {name} = {made}。"},
            {"en": f"It gets upstream × local = {step}.",
             "zh": f"它得到 上游 × 局部导数 = {step}。"},
        )  # fmt: skip
    some = (f"; the {ROW} with the largest local derivatives are shown",
            f"，这里显示局部导数最大的 {ROW} 个") if count > ROW else ("", "")  # fmt: skip
    return (
        {"en": f"{name} = {made} is made of {count} elements{some[0]}.",
         "zh": f"{name} = {made} 由 {count} 个元素得到{some[1]}。"},
        {"en": f"Each gets upstream {arrived} × its local derivative: one row of the {title} "
               f"gate's Jacobian.",
         "zh": f"每个元素得到 上游 {arrived} × 局部导数：{title} 门雅可比矩阵的一行。"},
    )  # fmt: skip


_OVER = ("amax", "amin", "max_dim", "min_dim")


def _takes_part(gate: Gate, i: int, at: Index, slope: np.ndarray) -> np.ndarray:
    """Which elements of an input decide the output's: also those that lost against the kept."""
    if i == 0 and gate.op.name == "max_pool":
        return _window(slope.shape, gate.params, at)
    if i == 0 and gate.op.name in _OVER:
        dims = gate.params.get("dims", gate.params.get("dim"))
        return _line(slope.shape, dims, bool(gate.params.get("keepdim")), at)
    return np.argwhere(slope != 0)


def _window(shape: Sequence[int], params: dict[str, Any], at: Index) -> np.ndarray:
    spots = []
    for tap in np.ndindex(*params["kernel"]):
        where = tuple(
            p * s - pad + k * d
            for p, s, pad, k, d in zip(
                at[2:], params["stride"], params["padding"], tap, params["dilation"]
            )
        )
        if all(0 <= i < n for i, n in zip(where, shape[2:])):
            spots.append((*at[:2], *where))
    return np.array(spots)


def _line(shape: Sequence[int], dims: Any, keepdim: bool, at: Index) -> np.ndarray:
    axes = (
        tuple(range(len(shape))) if dims is None else dims if isinstance(dims, tuple) else (dims,)
    )
    axes = tuple(a % len(shape) for a in axes)
    kept = list(at if keepdim else ())
    if not keepdim:
        rest = iter(at)
        kept = [0 if axis in axes else next(rest) for axis in range(len(shape))]
    ranges = [range(n) if axis in axes else (kept[axis],) for axis, n in enumerate(shape)]
    return np.array(np.meshgrid(*ranges, indexing="ij")).reshape(len(shape), -1).T
