"""Generates the two convolution kernels: one that gathers, one that sums weight gradients.

Owns their machine code. Neither knows a shape: sizes, strides and taps arrive in tables that
`conv_plan.py` builds, so one compilation serves every layer. Memory is NHWC; a block of input
rows is staged into a padded scratch copy, which leaves no borders to treat. Depthwise
convolutions run the same kernels with tiles that pair channels instead of mixing them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from . import codegen, features, jit, stage_kernels
from .codegen import Function, Kernel, Value, names, parameters, vector
from .stage_kernels import GEOMETRY, fill_zero

MAX_VECTORS = 3
MAX_ROWS = 8

# int64 words of the records in memory, and of the kernels' arguments
PHASE = names("rows per_row source_table target_table runs n_runs run_length weights")
PANEL = names("vectors first tail")
GATHER = names(
    "x x_image x_group x_staged x_geometry x_scratch y y_image y_group y_row "
    "scratch_size groups blocks block_rows row_step low span "
    "weights weights_group bias bias_group phases n_phases panels n_panels"
)
SUM = names(
    "x x_image x_group x_staged x_geometry x_scratch "
    "g g_image g_group g_staged g_geometry g_scratch g_pixel "
    "scratch_size parts units blocks block_rows rows per_row row_step low span "
    "table taps n_taps partial padded panels n_panels"
)


def rows_per_tile(registers: int, vectors: int) -> int:
    """Return how many rows of accumulators fit beside a row of operands and one broadcast."""
    return min(MAX_ROWS, (registers - vectors - 1) // vectors)


@jit.recipe
def gather(machine: features.Machine, element: str, depthwise: bool = False) -> int:
    """Return the address of the kernel that computes output pixels from the taps around them."""
    stage = stage_kernels.stage(machine, element)
    tiles = [_gather_tile(machine, element, n, depthwise) for n in range(1, MAX_VECTORS + 1)]
    f = Kernel("conv_gather", GATHER)

    def unit(chunk: Value) -> None:
        blocks, groups = f.field("blocks"), f.field("groups")
        first = (chunk % blocks) * f.field("block_rows")
        group, image = (chunk // blocks) % groups, chunk // (blocks * groups)
        x_row = first * f.field("row_step") - f.field("low")
        source = _block(f, stage, "x", image, group, x_row, f.field("span"), element)
        target = f.at(_array(f, "y", image, group, element), first * f.field("y_row"), element)
        weights = f.at(f.field("weights", "ptr"), group * f.field("weights_group"), element)
        bias = f.at(f.field("bias", "ptr"), group * f.field("bias_group"), element)

        def phase(i: Value) -> None:
            item = Record(f, "phases", i, PHASE)
            rows = f.smaller(item["rows"] - first, f.field("block_rows"))
            count = rows * item["per_row"]
            depth = item["n_runs"] * item["run_length"]

            def panel(tile: Function, start: Value, tail: Value) -> None:
                f.call(
                    tile,
                    f.at(source, start, element) if depthwise else source,
                    f.at(target, start, element),
                    item.pointer("source_table"),
                    item.pointer("target_table"),
                    count,
                    f.at(weights, item["weights"] + start * depth, element),
                    f.at(bias, start, element),
                    item.pointer("runs"),
                    item["n_runs"],
                    item["run_length"],
                    tail,
                )

            _each_panel(f, tiles, panel)

        f.loop(0, f.field("n_phases"), 1, phase)

    f.each_chunk(unit)
    return jit.compile_function(codegen.module([stage, *tiles, f]), f.name, machine)


@jit.recipe
def weight_sum(machine: features.Machine, element: str, depthwise: bool = False) -> int:
    """Return the address of the kernel that sums weight gradients, one partial sum a chunk."""
    stage = stage_kernels.stage(machine, element)
    tiles = [_sum_tile(machine, element, n, depthwise) for n in range(1, MAX_VECTORS + 1)]
    f = Kernel("conv_weight_sum", SUM)

    def part(chunk: Value) -> None:
        parts, units = f.field("parts"), f.field("units")
        index, group = chunk % parts, chunk // parts
        size = f.field("n_taps") * f.field("padded")
        total = f.at(f.field("partial", "ptr"), chunk * size, element)
        fill_zero(f, total, size, element, machine.width(element))
        start, stop = (index * units) // parts, ((index + 1) * units) // parts
        f.loop(start, stop, 1, lambda u: unit(u, group, total))

    def unit(u: Value, group: Value, total: Value) -> None:
        blocks = f.field("blocks")
        image, first = u // blocks, (u % blocks) * f.field("block_rows")
        rows = f.smaller(f.field("rows") - first, f.field("block_rows"))
        count = rows * f.field("per_row")
        x_row = first * f.field("row_step") - f.field("low")
        x = _block(f, stage, "x", image, group, x_row, f.field("span"), element)
        g = _block(f, stage, "g", image, group, first, rows, element)

        def panel(tile: Function, start: Value, tail: Value) -> None:
            f.call(
                tile,
                f.at(x, start, element) if depthwise else x,
                f.at(g, start, element),
                f.field("g_pixel"),
                f.field("table", "ptr"),
                count,
                f.field("taps", "ptr"),
                f.field("n_taps"),
                f.at(total, start, element),
                f.field("padded"),
            )

        _each_panel(f, tiles, panel)

    f.each_chunk(part)
    return jit.compile_function(codegen.module([stage, *tiles, f]), f.name, machine)


class Record:
    """One record of 64-bit words out of an array of them."""

    def __init__(self, f: Kernel, array: str, index: Value | int, fields: list[str]) -> None:
        self.f, self.fields = f, fields
        offset = index * len(fields)
        self.base = f.at(f.field(array, "ptr"), offset, "i64")

    def __getitem__(self, field: str) -> Value:
        return self.f.load(self.f.at(self.base, self.fields.index(field), "i64"), "i64")

    def pointer(self, field: str) -> Value:
        return self.f.load(self.f.at(self.base, self.fields.index(field), "i64"), "ptr")


def _array(f: Kernel, name: str, image: Value, group: Value, element: str) -> Value:
    offset = image * f.field(f"{name}_image") + group * f.field(f"{name}_group")
    return f.at(f.field(name, "ptr"), offset, element)


def _block(
    f: Kernel,
    stage: Function,
    name: str,
    image: Value,
    group: Value,
    first: Value,
    rows: Value,
    element: str,
) -> Value:
    """Return where a block of rows begins: in the array itself, or in its staged copy."""
    source = _array(f, name, image, group, element)
    geometry = Record(f, f"{name}_geometry", 0, GEOMETRY)
    own = f["worker"] * f.field("scratch_size")
    own = f.at(f.field(f"{name}_scratch", "ptr"), own, element)
    staged = f.compare("ne", f.field(f"{name}_staged"), 0)
    f.when(
        staged,
        lambda: f.call(stage, source, own, first, rows, *(geometry[k] for k in GEOMETRY)),
    )
    direct = f.at(source, first * geometry["row_stride"], element)
    return f.select(staged, own, direct)


def _each_panel(
    f: Kernel, tiles: list[Function], body: Callable[[Function, Value, Value], None]
) -> None:
    """Run `body(tile, first channel, tail lanes)` with the tile of each panel's width."""

    def panel(j: Value) -> None:
        item = Record(f, "panels", j, PANEL)
        start, tail = item["first"], item["tail"]
        for vectors, tile in enumerate(tiles, 1):
            chosen = f.compare("eq", item["vectors"], vectors)
            f.when(chosen, functools.partial(body, tile, start, tail))

    f.loop(0, f.field("n_panels"), 1, panel)


def _gather_tile(
    machine: features.Machine, element: str, vectors: int, depthwise: bool
) -> Function:
    """Emit: for each output pixel, bias plus the products of its runs with a weight panel."""
    width, rows = machine.width(element), rows_per_tile(machine.registers, vectors)
    kind, panel = vector(element, width), width * vectors
    f = Function(
        f"gather_tile{vectors}",
        parameters(
            "ptr source, ptr target, ptr source_table, ptr target_table, i64 count, ptr weights, "
            "ptr bias, ptr runs, i64 n_runs, i64 run_length, i64 tail"
        ),
        private=True,
    )
    source, run_length = f["source"], f["run_length"]

    def entry(table: str, i: Value) -> Value:
        return f.convert("sext", f.load(f.at(f[table], i, "i32"), "i32"), "i64")

    def tile(first: Value) -> None:
        # a short last tile computes its last pixel again instead of fewer rows
        pixels = [f.smaller(first + r, f["count"] - 1) for r in range(rows)]
        starts = [f.at(source, entry("source_table", p), element) for p in pixels]
        bias = [f.load(f.at(f["bias"], v * width, element), kind) for v in range(vectors)]

        def run(i: Value, weights: Value, *sums: Value) -> list[Value]:
            offset = f.load(f.at(f["runs"], i, "i64"), "i64")
            here = [f.at(s, offset, element) for s in starts]

            def step(k: Value, weights: Value, *sums: Value) -> list[Value]:
                row = [f.load(f.at(weights, v * width, element), kind) for v in range(vectors)]
                new = []
                for r in range(rows):
                    x = _operands(f, f.at(here[r], k, element), element, width, vectors, depthwise)
                    new += [f.fma(x[v], row[v], sums[r * vectors + v]) for v in range(vectors)]
                return [f.at(weights, panel, element), *new]

            return f.loop(0, run_length, 1, step, [weights, *sums])

        _, *sums = f.loop(0, f["n_runs"], 1, run, [f["weights"], *bias * rows])
        for r in range(rows):
            target = f.at(f["target"], entry("target_table", pixels[r]), element)
            _store_row(f, sums[r * vectors : (r + 1) * vectors], target, f["tail"], element, width)

    f.loop(0, f["count"], rows, tile)
    return f


def _operands(
    f: Function, place: Value, element: str, width: int, vectors: int, depthwise: bool
) -> list[Value]:
    """Load what meets a row of vectors: one input for all lanes, or each lane's own."""
    if depthwise:
        kind = vector(element, width)
        return [f.load(f.at(place, v * width, element), kind) for v in range(vectors)]
    return [f.splat(f.load(place, element), width)] * vectors


def _store_row(
    f: Function, row: list[Value], target: Value, tail: Value, element: str, width: int
) -> None:
    """Store a row of vectors, of the last one only `tail` lanes where tail is not 0."""
    *full, last = row
    for v, value in enumerate(full):
        f.store(value, f.at(target, v * width, element))
    place = f.at(target, len(full) * width, element)
    if width == 1:
        f.store(last, place)
        return
    f.when(
        f.compare("eq", tail, 0),
        lambda: f.store(last, place),
        lambda: f.store_lanes(last, place, tail),
    )


def _sum_tile(machine: features.Machine, element: str, vectors: int, depthwise: bool) -> Function:
    """Emit: for each tap, add the products of its inputs with the gradients of all pixels."""
    width, rows = machine.width(element), rows_per_tile(machine.registers, vectors)
    kind = vector(element, width)
    f = Function(
        f"sum_tile{vectors}",
        parameters(
            "ptr x, ptr g, i64 g_pixel, ptr table, i64 count, ptr taps, i64 n_taps, "
            "ptr total, i64 padded"
        ),
        private=True,
    )

    def tile(first: Value) -> None:
        # rows past the last tap repeat it: they store the same sums to the same place
        taps = [f.smaller(first + r, f["n_taps"] - 1) for r in range(rows)]
        offsets = [f.convert("sext", f.load(f.at(f["taps"], t, "i32"), "i32"), "i64") for t in taps]
        places = [
            f.at(f.at(f["total"], t * f["padded"], element), v * width, element)
            for t in taps
            for v in range(vectors)
        ]

        def pixel(i: Value, g: Value, *sums: Value) -> list[Value]:
            start = f.convert("sext", f.load(f.at(f["table"], i, "i32"), "i32"), "i64")
            x = f.at(f["x"], start, element)
            row = [f.load(f.at(g, v * width, element), kind) for v in range(vectors)]
            new = []
            for r in range(rows):
                here = f.at(x, offsets[r], element)
                values = _operands(f, here, element, width, vectors, depthwise)
                new += [f.fma(values[v], row[v], sums[r * vectors + v]) for v in range(vectors)]
            return [f.at(g, f["g_pixel"], element), *new]

        before = [f.load(p, kind) for p in places]
        _, *sums = f.loop(0, f["count"], 1, pixel, [f["g"], *before])
        for value, place in zip(sums, places, strict=True):
            f.store(value, place)

    f.loop(0, f["n_taps"], rows, tile)
    return f
