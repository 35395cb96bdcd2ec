"""Generates attention and its gradient: one pair of batch item and head a chunk.

All that a chunk makes on the way lies in its worker's scratch: packed panels, and in the gradient
the rows of the scores' gradient. Weights are rows padded with zeros to whole vectors. Owns this
machine code; sizes, strides and where items begin arrive in words and a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from backlit.backends.cpu.lanes.formulas import LaneMath
from backlit.backends.cpu.lanes.masked import lane_mask, load_lane_masked, load_masked, store_masked
from backlit.backends.cpu.lanes.slices import across
from backlit.backends.cpu.lanes.value import Lane, load_splat, memory_element
from backlit.backends.cpu.matmul import packing as matmul_pack
from backlit.backends.cpu.matmul.kernels import Tiling, emit_sums
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

SIZES = names("rows columns inner outer padded scale table table_words scratch scratch_size")
FORWARD = [*SIZES, *names("q q_row k k_row v v_row mask mask_row y weights")]
BACKWARD = [*SIZES, *names("g g_row q q_row k k_row v v_row weights weights_row gq gk gv")]
# operands of an item in the table's order
FORWARD_ITEM = names("q k v mask y weights")
BACKWARD_ITEM = names("g q k v weights gq gk gv")


@dataclass(frozen=True)
class Attention:
    """What is baked into the kernels."""

    element: str
    causal: bool
    mask: str = ""  # dtype of the mask; "": none
    mask_columns: bool = False  # whether it changes along a row


class _Item(Kernel):
    """A kernel over items: arrays at their item's place, scratch of the worker's own."""

    def __init__(self, name: str, fields: list[str], order: list[str], element: str, width: int):
        super().__init__(name, fields)
        self.order, self.element, self.width = order, element, width
        self.helpers: dict[str, Function] = {}

    def open(self, chunk: Value) -> None:
        self.item = self.at(self.field("table", "ptr"), chunk * self.field("table_words"), "i64")
        own = self["worker"] * self.field("scratch_size")
        self.scratch = self.at(self.field("scratch", "ptr"), own, self.element)

    def array(self, name: str, element: str = "") -> Value:
        place = self.at(self.item, self.order.index(name), "i64")
        return self.at(self.field(name, "ptr"), self.load(place, "i64"), element or self.element)

    def panels(self, columns: Value, vectors: int) -> Value:
        size = vectors * self.width
        return (columns + (size - 1)) // size

    def pack(self, source: Value, step: Value, along: str, depth: Value, columns: Value,
             vectors: int, target: Value) -> None:  # fmt: skip
        """Columns of a matrix into panels; `step` is its stride that is not 1."""
        name = f"pack_{along}{vectors}"
        if name not in self.helpers:
            made = matmul_pack.panel(self.element, vectors, self.width, along)
            made.name = name
            self.helpers[name] = made
        one, panel = self.integer(1), vectors * self.width
        by_j, by_k = (one, step) if along == "j" else (step, one)

        def each(p: Value) -> None:
            here = self.at(source, by_j * (p * panel), self.element)
            there = self.at(target, p * panel * depth, self.element)
            left = columns - p * panel
            self.call(self.helpers[name], here, by_j, by_k, depth, left, there)

        self.loop(0, self.panels(columns, vectors), 1, each)

    def multiply(self, a: tuple[Value, Value, Value], rows: Value, b: Value, depth: Value,
                 vectors: int, c: tuple[Value, Value], columns: Value, whole: bool,
                 scaled: bool) -> None:  # fmt: skip
        """C = A B with packed B; `whole` rows of C take whole vectors, else just `columns`."""
        name = f"multiply{vectors}{'w' if whole else ''}{'s' if scaled else ''}"
        if name not in self.helpers:
            self.helpers[name] = _multiply(name, self, vectors, whole, scaled)
        self.call(self.helpers[name], a[0], a[1], a[2], rows, b, depth, c[0], c[1], columns,
                  self["words"])  # fmt: skip

    def compiled(self, machine: features.Machine) -> int:
        text = codegen.module([*self.helpers.values(), self])
        return jit.compile_function(text, self.name, machine)


def _height(vectors: int) -> int:
    return {1: 8, 2: 6, 3: 4}[vectors]


def _multiply(name: str, like: _Item, vectors: int, whole: bool, scaled: bool) -> Function:
    """Emit: a small product; a short last tile computes its last row again."""
    element, width, height = like.element, like.width, _height(vectors)
    f = Function(name, parameters(
        "ptr source, i64 a_row, i64 a_k, i64 rows, ptr packed, i64 depth, ptr target, i64 c_row, "
        "i64 columns, ptr words"
    ), private=True)  # fmt: skip
    kind, panel = vector(element, width), vectors * width
    tiling = Tiling(element, height, vectors, 0, 0, False, True, "", "", False, False, False)
    scale = None
    if scaled:
        word = f.load(f.at(f["words"], SIZES.index("scale"), "i64"), "double")
        single = f.convert("fptrunc", word, "float") if element == "float" else word
        scale = f.splat(single, width)
    zero = f.constant(kind, 0.0)

    def each(p: Value) -> None:
        first = p * panel
        masks = [None if whole else lane_mask(f, f["columns"] - (first + v * width), width)
                 for v in range(vectors)]  # fmt: skip

        def tile(i: Value) -> None:
            picked = [f.smaller(i + r, f["rows"] - 1) for r in range(height)]
            arguments = {
                "a": f["source"], "a_k": f["a_k"], "b_k": f.integer(panel), "depth": f["depth"],
                "b": f.at(f["packed"], first * f["depth"], element),
            }  # fmt: skip
            offsets = [row * f["a_row"] for row in picked]
            sums = emit_sums(f, tiling, height, vectors, width, [zero] * (height * vectors), None,
                             arguments, offsets)  # fmt: skip
            for r in range(height):
                line = f.at(f["target"], picked[r] * f["c_row"] + first, element)
                for v in range(vectors):
                    value = sums[r * vectors + v]
                    value = value if scale is None else value * scale
                    place = f.at(line, v * width, element)
                    mask = masks[v]
                    if width == 1 and mask is not None:
                        f.when(mask, lambda x=value, at=place: f.store(x, at))  # type: ignore[misc]
                    else:
                        store_masked(f, value, place, mask)

        f.loop(0, f["rows"], height, tile)

    f.loop(0, (f["columns"] + (panel - 1)) // panel, 1, each)
    return f


def vectors_for(width: int, columns: int) -> int:
    needed = -(-columns // width)
    return min(needed, 3 if needed == 3 else 2)


# ----- forward -----


@jit.recipe
def forward(machine: features.Machine, a: Attention, vectors: tuple[int, int]) -> int:
    """The address of the kernel; `vectors` of a panel of scores and of one of the output."""
    width = machine.width(a.element)
    f = _Item("attention", FORWARD, FORWARD_ITEM, a.element, width)
    softmax = _softmax(a, width)

    def item(chunk: Value) -> None:
        f.open(chunk)
        rows, columns, inner, outer, padded = (f.field(n) for n in SIZES[:5])
        weights, one = f.array("weights"), f.integer(1)
        # both packed matrices take turns in the same scratch
        f.pack(f.array("k"), f.field("k_row"), "k", inner, columns, vectors[0], f.scratch)
        f.multiply((f.array("q"), f.field("q_row"), one), rows, f.scratch, inner, vectors[0],
                   (weights, padded), columns, True, True)  # fmt: skip
        mask = f.array("mask", memory_element(a.mask)) if a.mask else weights
        f.call(softmax, weights, rows, columns, padded, mask, f.field("mask_row"))
        f.pack(f.array("v"), f.field("v_row"), "j", columns, outer, vectors[1], f.scratch)
        f.multiply((weights, padded, one), rows, f.scratch, columns, vectors[1],
                   (f.array("y"), outer), outer, False, False)  # fmt: skip

    f.each_chunk(item)
    f.helpers["softmax"] = softmax
    return f.compiled(machine)


def _softmax(a: Attention, width: int) -> Function:
    """Emit: softmax of each row in place; lanes past the columns become 0."""
    arguments = "ptr weights, i64 rows, i64 columns, i64 padded, ptr mask, i64 mask_row"
    f = Function("softmax", parameters(arguments), private=True)
    kind = vector(a.element, width)
    closed = bool(a.causal or a.mask)
    low = Lane(f, f.constant(kind, -math.inf))
    m = LaneMath(low)

    def row(i: Value) -> None:
        line = f.at(f["weights"], i * f["padded"], a.element)

        def scores(j: Value) -> Lane:
            place = f.at(line, j, a.element)
            allowed = Lane(f, lane_mask(f, f["columns"] - j, width))
            if a.causal:
                allowed = allowed & Lane(f, lane_mask(f, i + 1 - j, width))
            x = Lane(f, f.load(place, kind))
            if a.mask:
                other = _mask_lane(f, a, i, j, width)
                x, allowed = (x, allowed & other) if other.is_mask else (x + other, allowed)
            x = m.where(allowed, x, low)
            f.store(x.v, place)
            return x

        def find(j: Value, top: Value) -> list[Value]:
            return [_larger(Lane(f, top), scores(j)).v]

        (top,) = f.loop(0, f["columns"], width, find, [low.v])
        highest = _highest(Lane(f, top))
        if closed:  # a row with nothing allowed
            highest = LaneMath(highest).where(highest == -math.inf, 0.0, highest)
        spread = Lane(f, f.splat(highest.v, width))

        def raise_(j: Value, total: Value) -> list[Value]:
            place = f.at(line, j, a.element)
            x = _exp(m, Lane(f, f.load(place, kind)) - spread)
            f.store(x.v, place)
            return [(Lane(f, total) + x).v]

        zero = f.constant(kind, 0.0)
        (total,) = f.loop(0, f["columns"], width, raise_, [zero])
        whole = across("sum", Lane(f, total))
        if closed:
            whole = LaneMath(whole).where(whole == 0.0, 1.0, whole)
        factor = Lane(f, f.splat((1.0 / whole).v, width))

        def scale(j: Value) -> None:
            place = f.at(line, j, a.element)
            f.store((Lane(f, f.load(place, kind)) * factor).v, place)

        f.loop(0, f["columns"], width, scale)

    f.loop(0, f["rows"], 1, row)
    return f


def _larger(x: Lane, y: Lane) -> Lane:
    """The larger, in one instruction; a NaN it misses comes back in the sum."""
    return LaneMath(x).where(x > y, x, y)


def _highest(x: Lane) -> Lane:
    while x.width > 1:
        half = x.width // 2
        x = _larger(Lane(x.f, x.f.lanes(x.v, 0, half)), Lane(x.f, x.f.lanes(x.v, half, half)))
    return x


def _exp(m: LaneMath, x: Lane) -> Lane:
    """e^x for x of at most 0; what would be subnormal is 0."""
    low = -87.0 if m.single else -708.0
    return m.where(x < low, 0.0, m.exp_bounded(m.at_least(x, low)))


def _mask_lane(f: Function, a: Attention, i: Value, j: Value, width: int) -> Lane:
    base = f.at(f["mask"], i * f["mask_row"], memory_element(a.mask))
    if not a.mask_columns:
        return load_splat(f, base, a.mask, width)
    inside = lane_mask(f, f["columns"] - j, width)
    return load_lane_masked(f, f.at(base, j, memory_element(a.mask)), a.mask, width, inside)


# ----- backward -----


@jit.recipe
def backward(machine: features.Machine, a: Attention, vectors: tuple[int, int, int]) -> int:
    """The address of the gradient's kernel; `vectors` of panels of scores, of q and of v."""
    width, element = machine.width(a.element), a.element
    f = _Item("attention_grad", BACKWARD, BACKWARD_ITEM, element, width)
    rows_back = _softmax_back(element, width)

    def item(chunk: Value) -> None:
        f.open(chunk)
        rows, columns, inner, outer, padded = (f.field(n) for n in SIZES[:5])
        one, weights_row = f.integer(1), f.field("weights_row")
        scores, packed = f.scratch, f.at(f.scratch, rows * padded, element)
        g, weights = f.array("g"), f.array("weights")
        f.pack(g, f.field("g_row"), "j", rows, outer, vectors[2], packed)
        f.multiply((weights, one, weights_row), columns, packed, rows, vectors[2],
                   (f.array("gv"), outer), outer, False, False)  # fmt: skip
        f.pack(f.array("v"), f.field("v_row"), "k", outer, columns, vectors[0], packed)
        f.multiply((g, f.field("g_row"), one), rows, packed, outer, vectors[0],
                   (scores, padded), columns, True, False)  # fmt: skip
        f.call(rows_back, scores, weights, weights_row, rows, columns, padded)
        f.pack(f.array("k"), f.field("k_row"), "j", columns, inner, vectors[1], packed)
        f.multiply((scores, padded, one), rows, packed, columns, vectors[1],
                   (f.array("gq"), inner), inner, False, True)  # fmt: skip
        f.pack(f.array("q"), f.field("q_row"), "j", rows, inner, vectors[1], packed)
        f.multiply((scores, one, padded), columns, packed, rows, vectors[1],
                   (f.array("gk"), inner), inner, False, True)  # fmt: skip

    f.each_chunk(item)
    f.helpers["rows"] = rows_back
    return f.compiled(machine)


def _softmax_back(element: str, width: int) -> Function:
    """Emit: scores become weights times (scores less their weighted mean), row by row."""
    f = Function("softmax_back", parameters(
        "ptr scores, ptr weights, i64 weights_row, i64 rows, i64 columns, i64 padded"
    ), private=True)  # fmt: skip
    kind = vector(element, width)

    def row(i: Value) -> None:
        line = f.at(f["scores"], i * f["padded"], element)
        other = f.at(f["weights"], i * f["weights_row"], element)

        def pair(j: Value) -> tuple[Lane, Lane]:
            inside = lane_mask(f, f["columns"] - j, width)
            p = load_masked(f, f.at(other, j, element), kind, inside)
            return Lane(f, f.load(f.at(line, j, element), kind)), Lane(f, p)

        def add(j: Value, total: Value) -> list[Value]:
            x, p = pair(j)
            return [f.fma(x.v, p.v, total)]

        (total,) = f.loop(0, f["columns"], width, add, [f.constant(kind, 0.0)])
        mean = Lane(f, f.splat(across("sum", Lane(f, total)).v, width))

        def put(j: Value) -> None:
            x, p = pair(j)
            f.store((p * (x - mean)).v, f.at(line, j, element))

        f.loop(0, f["columns"], width, put)

    f.loop(0, f["rows"], 1, row)
    return f
