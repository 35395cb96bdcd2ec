"""Generates the two convolution kernels: one that gathers, one that sums weight gradients.

Owns their machine code. Neither knows a shape: sizes, strides and taps arrive in tables that
`geometry.py` builds, so one compilation serves every layer. Memory is NHWC; a block of input
rows is staged into a padded scratch copy, which leaves no borders to treat. Depthwise
convolutions run the same kernels with tiles that pair channels instead of mixing them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from backlit.backends.cpu.channels import staging
from backlit.backends.cpu.channels.staging import GEOMETRY, Source, fill_zero
from backlit.backends.cpu.lanes.value import memory_element
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

from .finish import Finish, Finishing, element_dtype

MAX_VECTORS = 3
MAX_ROWS = 8

# int64 words of the records in memory, and of the kernels' arguments
PHASE = names(
    "rows per_row source_table target_table runs row_table limits run_length depth weights"
)
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
    "table taps limits n_taps shifts partial padded panels n_panels"
)


def rows_per_tile(registers: int, vectors: int) -> int:
    """Return how many rows of accumulators fit beside a row of operands and one broadcast."""
    return min(MAX_ROWS, (registers - vectors - 1) // vectors)


@jit.recipe
def gather(
    machine: features.Machine,
    element: str,
    depthwise: bool = False,
    source: Source | None = None,
    finish: Finish | None = None,
) -> int:
    """Return the address of the kernel that computes output pixels from the taps around them."""
    finish = finish or Finish(element_dtype(element))
    before = source.before.fields if source and source.before else []
    fields = [*GATHER, *before, *finish.fields]
    stage = staging.stage(machine, element, source, fields)
    tiles = [
        _gather_tile(machine, element, n, depthwise, finish, fields)
        for n in range(1, MAX_VECTORS + 1)
    ]
    f = Kernel("conv_gather", fields)
    memory = memory_element(source.dtype) if source else element

    def unit(chunk: Value) -> None:
        blocks, groups = f.field("blocks"), f.field("groups")
        first = (chunk % blocks) * f.field("block_rows")
        group, image = (chunk // blocks) % groups, chunk // (blocks * groups)
        x_row = first * f.field("row_step") - f.field("low")
        block = _block(f, stage, "x", image, group, x_row, f.field("span"), element, memory)
        column = group * f.field("y_group")
        origin = image * f.field("y_image") + column + first * f.field("y_row")
        weights = f.at(f.field("weights", "ptr"), group * f.field("weights_group"), element)
        bias = f.at(f.field("bias", "ptr"), group * f.field("bias_group"), element)

        def phase(i: Value) -> None:
            item = Record(f, "phases", i, PHASE)
            rows = f.smaller(item["rows"] - first, f.field("block_rows"))
            count = rows * item["per_row"]
            depth = item["depth"]

            def panel(tile: Function, start: Value, tail: Value) -> None:
                f.call(
                    tile,
                    f.at(block, start, element) if depthwise else block,
                    f["words"],
                    origin + start,
                    column + start,
                    chunk,
                    i,
                    item.pointer("source_table"),
                    item.pointer("target_table"),
                    count,
                    f.at(weights, item["weights"] + start * depth, element),
                    f.at(bias, start, element),
                    item.pointer("runs"),
                    item.pointer("row_table"),
                    f.at(item.pointer("limits"), first * 2, "i64"),
                    item["run_length"],
                    tail,
                )

            _each_panel(f, tiles, panel)

        f.loop(0, f.field("n_phases"), 1, phase)

    f.each_chunk(unit)
    return jit.compile_function(codegen.module([stage, *tiles, f]), f.name, machine)


@jit.recipe
def weight_sum(
    machine: features.Machine,
    element: str,
    depthwise: bool = False,
    source: Source | None = None,
    grad: Source | None = None,
    turned: bool = False,
) -> int:
    """Return the address of the kernel that sums weight gradients, one partial sum a chunk.

    `turned`: vectors run over the inputs, and each output is multiplied to them, for one of
    `shifts` places in the window after the other.
    """
    fields = [*SUM, *(source.before.fields if source and source.before else [])]
    stage_x = staging.stage(machine, element, source, fields, "stage_x")
    stage_g = staging.stage(machine, element, grad, fields, "stage_g")
    x_memory, g_memory = (memory_element(s.dtype) if s else element for s in (source, grad))
    tiles = [_sum_tile(machine, element, n, depthwise, turned) for n in range(1, MAX_VECTORS + 1)]
    f = Kernel("conv_weight_sum", fields)

    def part(chunk: Value) -> None:
        parts, units = f.field("parts"), f.field("units")
        index, group = chunk % parts, chunk // parts
        size = f.field("n_taps") * f.field("shifts") * f.field("padded")
        total = f.at(f.field("partial", "ptr"), chunk * size, element)
        fill_zero(f, total, size, element, machine.width(element))
        start, stop = (index * units) // parts, ((index + 1) * units) // parts
        f.loop(start, stop, 1, lambda u: unit(u, group, total))

    def unit(u: Value, group: Value, total: Value) -> None:
        blocks = f.field("blocks")
        image, first = u // blocks, (u % blocks) * f.field("block_rows")
        rows = f.smaller(f.field("rows") - first, f.field("block_rows"))
        x_row = first * f.field("row_step") - f.field("low")
        x = _block(f, stage_x, "x", image, group, x_row, f.field("span"), element, x_memory)
        g = _block(f, stage_g, "g", image, group, first, rows, element, g_memory)

        def shift(k: Value) -> None:
            taps, limits = f.field("taps", "ptr"), f.field("limits", "ptr")
            there, sums, bounds = x, total, limits
            if turned:
                offset = f.convert("sext", f.load(f.at(taps, k, "i32"), "i32"), "i64")
                there, bounds = f.at(x, offset, element), f.at(limits, k * 2, "i64")
                sums = f.at(total, k * f.field("n_taps") * f.field("padded"), element)

            def panel(tile: Function, start: Value, tail: Value) -> None:
                f.call(
                    tile,
                    f.at(there, start, element) if depthwise or turned else there,
                    g if turned else f.at(g, start, element),
                    f.field("g_pixel"),
                    f.field("table", "ptr"),
                    first,
                    rows,
                    f.field("per_row"),
                    taps,
                    bounds,
                    f.field("n_taps"),
                    f.at(sums, start, element),
                    f.field("padded"),
                )

            _each_panel(f, tiles, panel)

        f.loop(0, f.field("shifts"), 1, shift)

    f.each_chunk(part)
    return jit.compile_function(codegen.module([stage_x, stage_g, *tiles, f]), f.name, machine)


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
    memory: str,
) -> Value:
    """Return where a block of rows begins: in the array itself, or in its staged copy."""
    source = _array(f, name, image, group, memory)
    geometry = Record(f, f"{name}_geometry", 0, GEOMETRY)
    own = f["worker"] * f.field("scratch_size")
    own = f.at(f.field(f"{name}_scratch", "ptr"), own, element)
    staged = f.compare("ne", f.field(f"{name}_staged"), 0)
    f.when(
        staged,
        lambda: f.call(
            stage, source, own, f["words"], first, rows, *(geometry[k] for k in GEOMETRY)
        ),
    )
    direct = f.at(source, first * geometry["row_stride"], memory)
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
    machine: features.Machine,
    element: str,
    vectors: int,
    depthwise: bool,
    finish: Finish,
    fields: Sequence[str],
) -> Function:
    """Emit: for each output pixel, bias plus the products of its runs with a weight panel."""
    width, rows = machine.width(element), rows_per_tile(machine.registers, vectors)
    kind, panel = vector(element, width), width * vectors
    f = Function(
        f"gather_tile{vectors}",
        parameters(
            "ptr source, ptr words, i64 origin, i64 column, i64 chunk, i64 phase, "
            "ptr source_table, ptr target_table, i64 count, ptr weights, "
            "ptr bias, ptr runs, ptr row_table, ptr limits, i64 run_length, i64 tail"
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

        finishing = Finishing(f, finish, fields, element, width)
        finishing.fetch([f["origin"] + entry("target_table", p) for p in pixels], vectors)
        # rows of padding add nothing: the tile's last row has the first run, its first the last
        start = f.load(f.at(f["limits"], entry("row_table", pixels[-1]) * 2, "i64"), "i64")
        stop = f.load(f.at(f["limits"], entry("row_table", first) * 2 + 1, "i64"), "i64")
        weights = f.at(f["weights"], start * run_length * panel, element)
        _, *sums = f.loop(start, stop, 1, run, [weights, *bias * rows])
        places = [f["origin"] + entry("target_table", p) for p in pixels]
        table = [sums[r * vectors : (r + 1) * vectors] for r in range(rows)]
        finishing.tile(table, places, first)

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


def _sum_tile(
    machine: features.Machine, element: str, vectors: int, depthwise: bool, turned: bool
) -> Function:
    """Emit: for each tap, add the products of its inputs with the gradients of all pixels.

    Turned, taps are outputs: for each, add the products of its gradients with the inputs.
    """
    width, rows = machine.width(element), rows_per_tile(machine.registers, vectors)
    kind = vector(element, width)
    f = Function(
        f"sum_tile{vectors}",
        parameters(
            "ptr x, ptr g, i64 g_pixel, ptr table, i64 first_row, i64 rows, i64 per_row, "
            "ptr taps, ptr limits, i64 n_taps, ptr total, i64 padded"
        ),
        private=True,
    )

    def entry(table: str, i: Value) -> Value:
        return f.convert("sext", f.load(f.at(f[table], i, "i32"), "i32"), "i64")

    def tile(first: Value) -> None:
        # rows past the last tap repeat it: they store the same sums to the same place
        taps = [f.smaller(first + r, f["n_taps"] - 1) for r in range(rows)]
        offsets = taps if turned else [entry("taps", t) for t in taps]
        places = [
            f.at(f.at(f["total"], t * f["padded"], element), v * width, element)
            for t in taps
            for v in range(vectors)
        ]

        def pixel(i: Value, g: Value, *sums: Value) -> list[Value]:
            x = f.at(f["x"], entry("table", i), element)
            across, along = (x, g) if turned else (g, x)
            row = [f.load(f.at(across, v * width, element), kind) for v in range(vectors)]
            new = []
            for r in range(rows):
                here = f.at(along, offsets[r], element)
                values = _operands(f, here, element, width, vectors, depthwise)
                new += [f.fma(values[v], row[v], sums[r * vectors + v]) for v in range(vectors)]
            return [f.at(g, f["g_pixel"], element), *new]

        def limit(tap: Value, side: int) -> Value:
            """The first pixel of the block that meets a tap, or the one behind the last."""
            at = f.integer(side) if turned else tap * 2 + side
            row = f.load(f.at(f["limits"], at, "i64"), "i64") - f["first_row"]
            return f.larger(f.smaller(row, f["rows"]), 0) * f["per_row"]

        # rows of padding add nothing: the last tap begins first, the first one ends last
        start, stop = limit(taps[-1], 0), limit(taps[0], 1)
        before = [f.load(p, kind) for p in places]
        grad = f.at(f["g"], start * f["g_pixel"], element)
        _, *sums = f.loop(start, stop, 1, pixel, [grad, *before])
        for value, place in zip(sums, places, strict=True):
            f.store(value, place)

    f.loop(0, f["n_taps"], rows, tile)
    return f
