"""Lowering of matrix products: where operands lie, in what tiles and blocks they are multiplied.

`matmul` and `linear`, and `fused` instructions whose body holds one of them and elementwise
instructions of its result's shape (`can_fuse`): the sums pass through these before they are
stored, and what else they read (biases, masks, parameters and moments of an update) is read at the
place of the sums; several results may be written. Such bodies may read operands of any shape that
broadcasts to the product's. Kernels: kernels.py, packing.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backlit import dtypes
from backlit.backends.cpu.lanes.body import is_lanewise
from backlit.backends.cpu.lanes.value import Lane, Unsupported, element_of, rounded_to
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.words import ELEMENTS, ordered
from backlit.backends.cpu.plans.lower import lower_instr
from backlit.backends.cpu.plans.plan import Place, Plan, Task, Word
from backlit.program.ir import Instr, Program, Value

from . import dots, kernels, packing
from . import epilogue as matmul_epilogue
from .cuts import SMALL_FLOPS, Choice, Geometry, along_of, as_dots, choose, geometry
from .epilogue import Epilogue, Evaluate, Operand
from .kernels import Tiling

PRODUCTS = ("matmul", "linear")
# multiplied and summed in float32, rounded once
HALF = ("bfloat16", "float16")
# Instructions that may follow each vector of sums; more of them stand once, in a loop over rows,
# which costs little where k is long.
INLINE, INLINE_SMALL, SMALL_DEPTH = 12, 40, 64

# ----- what may follow a product in a body -----


def can_fuse(product: Instr, following: Sequence[Instr]) -> bool:
    """Whether instructions after a product may go into one `fused` body with it.

    They must be elementwise, on the product's result or on what comes of it, with that shape.
    """
    out = product.outputs[0]
    if product.op not in PRODUCTS or out is None or not _native(product):
        return False
    for instr in following:
        value = instr.outputs[0]
        if len(instr.outputs) != 1 or value is None or not is_lanewise(instr):
            return False
        dtype = value.dtype.numpy
        if value.shape != out.shape or not (_computable(dtype) or dtype.kind == "b"):
            return False
    return True


def _native(product: Instr) -> bool:
    """Whether a product has kernels: two floating-point arrays that are not empty."""
    values = [x for x in (*product.inputs, *product.outputs) if x is not None]
    if not all(isinstance(v, Value) for v in values):
        return False
    return all(_computable(v.dtype.numpy) and math.prod(v.shape) for v in values)  # type: ignore[union-attr]


def _computable(dtype: np.dtype) -> bool:
    return dtype in ELEMENTS or dtype.name in HALF


# ----- lowerings -----


def lower_matmul(plan: Plan, instr: Instr) -> Any:
    """C = A B."""
    if not _native(instr):
        return NotImplemented
    a, b = (plan.place(v) for v in instr.inputs)  # type: ignore[arg-type]
    (out,) = instr.outputs
    multiply(plan, a, b, [], [out], "sum", total_alone)  # type: ignore[list-item]
    return None


def lower_linear(plan: Plan, instr: Instr) -> Any:
    """Y = X W^T + b."""
    if not _native(instr):
        return NotImplemented
    b = instr.inputs[2]
    (out,) = instr.outputs
    given = [] if b is None else [b]
    a, matrix = _operands(plan, instr)
    key, evaluate = ("sum", total_alone) if b is None else ("biased", with_given)
    multiply(plan, a, matrix, given, [out], key, evaluate)  # type: ignore[arg-type, list-item]
    return None


def lower_body(plan: Plan, instr: Instr) -> Any:
    """A `fused` instruction whose body holds a product."""
    body: Program = instr.params["body"]
    product = next(i for i in body.instrs if i.op in PRODUCTS)
    following = tuple(i for i in body.instrs if i is not product)
    if not can_fuse(product, following) or any(
        not isinstance(x, Value) for x in (*instr.inputs, *body.outputs)
    ):
        return NotImplemented
    outer = dict(zip((v.name for v in body.inputs), instr.inputs))
    inner = Instr(product.op, tuple(_renamed(x, outer) for x in product.inputs), product.outputs,
                  product.params)  # fmt: skip
    used = {x.name for i in following for x in i.inputs if isinstance(x, Value)}
    used |= {x.name for x in body.outputs if isinstance(x, Value)}
    joined = [v for v in body.inputs if v.name in used]
    given = [outer[v.name] for v in joined]
    total = product.outputs[0]
    assert total is not None
    bias = [] if product.op == "matmul" or product.inputs[2] is None else [inner.inputs[2]]
    rest = Program("epilogue", (total, *joined), following, body.outputs)
    evaluate = matmul_epilogue.of_body(rest)
    evaluate = _after_product(evaluate, len(bias), total.dtype.numpy)
    a, matrix = _operands(plan, inner)
    key = f"{len(bias)} {total.dtype.name} {_anonymous(rest)}"
    try:
        multiply(plan, a, matrix, [*bias, *given], list(instr.outputs), key, evaluate)  # type: ignore[arg-type, list-item]
    except Unsupported:
        return NotImplemented
    return None


def _renamed(x: Any, outer: dict[str, Any]) -> Any:
    return outer[x.name] if isinstance(x, Value) else x


def _anonymous(body: Program) -> str:
    """The body's text with names of its own and without shapes: equal code, equal text."""
    names: dict[str, str] = {}

    def name(x: Any) -> str:
        if not isinstance(x, Value):
            return repr(x)
        return names.setdefault(x.name, f"v{len(names)}") + ":" + x.dtype.name

    lines = [" ".join(map(name, body.inputs))]
    for i in body.instrs:
        made = " ".join(map(name, i.outputs))
        lines.append(f"{made} = {i.op} {' '.join(map(name, i.inputs))} {sorted(i.params.items())}")
    return "\n".join([*lines, " ".join(map(name, body.outputs))])


def total_alone(total: Lane, given: Sequence[Lane]) -> Sequence[Lane]:
    return [total]


def with_given(total: Lane, given: Sequence[Lane]) -> Sequence[Lane]:
    for x in given:
        total = total + x
    return [total]


def _after_product(evaluate: Evaluate, biases: int, dtype: np.dtype) -> Evaluate:
    """What follows the product's own result: its bias added, rounded to its dtype."""

    def run(total: Lane, given: Sequence[Lane]) -> Sequence[Lane]:
        (total,) = with_given(total, given[:biases])
        return evaluate(rounded_to(total, dtype), given[biases:])

    return run


def _operands(plan: Plan, product: Instr) -> tuple[Place, Place]:
    """The places of A and B."""
    a, b = (plan.place(v) for v in product.inputs[:2])  # type: ignore[arg-type]
    return (a, transposed(b)) if product.op == "linear" else (a, b)


def transposed(place: Place) -> Place:
    """The last two axes exchanged."""
    shape, strides = place.shape, place.strides
    return Place(place.buffer, place.offset, (*shape[:-2], shape[-1], shape[-2]),
                 (*strides[:-2], strides[-1], strides[-2]), place.dtype)  # fmt: skip


# ----- tasks -----


def multiply(plan: Plan, a: Place, b: Place, given: Sequence[Value | Place],
             outputs: Sequence[Value | Place], key: str, evaluate: Evaluate,
             panels: Callable[[int], Place] | None = None) -> None:  # fmt: skip
    """Plan A B and what follows; `given` joins the sums in `evaluate`, which gives `outputs`.

    `key` names the evaluation. Operands and outputs that are no Values lie where they say.
    `panels` makes the panels of so many vectors of a B that lies nowhere else.
    """
    a, b = _wide(plan, a), _wide(plan, b)
    shape = outputs[0].shape if len(outputs[0].shape) > 1 else (1, *outputs[0].shape)
    if len(a.shape) == 1:
        a = Place(a.buffer, a.offset, (1, *a.shape), (0, *a.strides), a.dtype)
    reads = [v if isinstance(v, Place) else _along_columns(plan, v) for v in given]
    writes = [v if isinstance(v, Place) else plan.result(v) for v in outputs]
    g = geometry(shape, a, b, [*reads, *writes])
    if panels is None and as_dots(g, a, b):
        return _multiply_dots(plan, g, (a, b), reads, writes, (key, evaluate))
    c = choose(plan.machine, plan.workers, g, a, b)
    if panels is not None:
        c = replace(c, packed=True, packs="")
    epilogue = _epilogue(plan.machine, a.dtype, g, reads, writes, key, evaluate)
    kernel = kernels.product(plan.machine, _tiling(plan.machine, g, c, a.dtype), epilogue)
    starts = g.starts()
    b_j, b_k = b.strides[-1], b.strides[-2]
    b_panel = c.panel * b_j
    if c.packed:
        b = panels(c.vectors) if panels else packed(plan, b, c.vectors)
        b_k, b_panel = c.panel, g.depth * c.panel
    table = [plan.constant(starts)] if g.batch else []
    words, scratch = _words(plan, g, c, a, (b, b_j, b_k, b_panel), table)
    for place, stride in zip((*reads, *writes), g.by_row[2:]):
        words += [place, stride]
    blocks = -(-g.rows // c.block_rows) * -(-c.panels // c.block_panels)
    plan.add(
        Task(
            label=plan.instr.op if plan.instr else "matmul",
            kernel=kernel,
            words=words,
            chunks=g.items * blocks,
            reads=(a, b, *reads, *table, *scratch),
            writes=(*writes, *scratch),
            in_place=_in_place(reads, writes, (a, b)),
            flops=g.flops,
        )
    )  # fmt: skip


def _wide(plan: Plan, place: Place) -> Place:
    """The operand in a dtype that products have, converted once however often it is used."""
    if place.dtype in ELEMENTS:
        return place
    name = f"{id(place.buffer)}.{place.offset}.{place.shape}.{place.strides}"
    given = Value(name, place.shape, dtypes.of_numpy(place.dtype))
    made = Value(f"{name}.wide", place.shape, dtypes.float32)
    if made.name not in plan.places:
        plan.alias(given, place)
        lower_instr(plan, Instr("cast", (given,), (made,), {"dtype": dtypes.float32}))
    return plan.place(made)


def _in_place(reads: Sequence[Place], writes: Sequence[Place],
              operands: Sequence[Place]) -> tuple[tuple[Place, Place], ...]:  # fmt: skip
    """Which results may take over the memory of what the epilogue reads."""
    taken = [p.buffer for p in operands]
    return tuple(
        (r, w) for r in reads for w in writes if r.buffer not in taken and _same_layout(r, w)
    )  # fmt: skip


def _multiply_dots(
    plan: Plan,
    g: Geometry,
    operands: tuple[Place, Place],
    reads: Sequence[Place],
    writes: Sequence[Place],
    made: tuple[str, Evaluate],
) -> None:
    """Plan a product by dot products."""
    a, b = operands
    element = ELEMENTS[a.dtype]
    height = dots.height_for(plan.machine, g.columns)
    height = -(-g.rows // -(-g.rows // height))
    tiles = -(-g.rows // height)
    blocks = plan.workers if g.flops > SMALL_FLOPS else 1
    block_rows = -(-tiles // blocks) * height
    d = dots.Dots(element, height, g.rows % height, dots.groups(g.columns),
                         g.depth % plan.machine.width(element) != 0)  # fmt: skip
    words = ordered(
        dots.DOTS, a=a, a_i=g.by_row[0], b=b, b_j=b.strides[-1], depth=g.depth,
        rows=g.rows, full_rows=g.rows - g.rows % height, block_rows=block_rows, columns=g.columns,
    )  # fmt: skip
    for place, stride in zip((*reads, *writes), g.by_row[2:]):
        words += [place, stride]
    epilogue = _epilogue(plan.machine, a.dtype, g, reads, writes, *made)
    plan.add(
        Task(
            label=plan.instr.op if plan.instr else "matmul",
            kernel=dots.dots(plan.machine, d, epilogue),
            words=words,
            chunks=-(-g.rows // block_rows),
            reads=(a, b, *reads),
            writes=tuple(writes),
            in_place=_in_place(reads, writes, operands),
            flops=g.flops,
        )
    )


def _epilogue(
    machine: features.Machine,
    dtype: np.dtype,
    g: Geometry,
    reads: Sequence[Place],
    writes: Sequence[Place],
    key: str,
    evaluate: Evaluate,
) -> Epilogue:
    inputs = tuple(_operand(p, s) for p, s in zip(reads, g.moving()[2:]))
    outputs = tuple(Operand(p.dtype.name, True, True) for p in writes)
    element = ELEMENTS[dtype]
    limit = INLINE_SMALL if g.depth < SMALL_DEPTH else INLINE
    lines = matmul_epilogue.lines(evaluate, element, machine.width(element), inputs)
    return Epilogue(inputs, outputs, key, evaluate, lines > limit)


def _tiling(machine: features.Machine, g: Geometry, c: Choice, dtype: np.dtype) -> Tiling:
    element, rest = ELEMENTS[dtype], g.columns % c.panel
    width = machine.width(element)
    return Tiling(
        element=element, height=c.height, vectors=c.vectors, rest=g.rows % c.height,
        tail=-(-rest // width), masked=rest % width, padded=c.packed or bool(c.packs),
        packs=c.packs,
        along=c.along, copied=c.copied, blocked=c.depth_block < g.depth, batched=bool(g.batch),
    )  # fmt: skip


def _words(plan: Plan, g: Geometry, c: Choice, a: Place, b: tuple[Place, int, int, int],
           table: Sequence[Place]) -> tuple[list[Word], list[Place]]:  # fmt: skip
    """The kernel's words up to its epilogue's, and the memory that it works in."""
    slots = c.block_rows * c.block_panels * c.panel if c.depth_block < g.depth else 0
    # a copied line may spill lanes over its end
    spilled = plan.machine.width(ELEMENTS[a.dtype])
    copy = c.block_rows * c.depth_block + spilled if c.copied else 0
    pack = c.depth_block * c.panel if c.packs else 0
    made = {
        name: plan.temporary((plan.workers, size), a.dtype)
        for name, size in (("scratch", slots), ("copy", copy), ("pack", pack)) if size
    }  # fmt: skip
    words = ordered(
        kernels.PRODUCT,
        a=a, a_i=g.by_row[0], a_k=a.strides[-1], b=b[0], b_j=b[1], b_k=b[2], b_panel=b[3],
        depth=g.depth, depth_block=c.depth_block, full_rows=g.rows - g.rows % c.height, rows=g.rows,
        full_panels=g.columns // c.panel, panels=c.panels,
        block_rows=c.block_rows, block_panels=c.block_panels,
        row_blocks=-(-g.rows // c.block_rows), column_blocks=-(-c.panels // c.block_panels),
        table=table[0] if table else 0, table_words=len(g.by_row),
        scratch=made.get("scratch", 0), scratch_size=slots, copy=made.get("copy", 0),
        copy_size=copy, pack=made.get("pack", 0), pack_size=pack, columns=g.columns,
    )  # fmt: skip
    return words, list(made.values())


def _same_layout(a: Place, b: Place) -> bool:
    return a.shape == b.shape and a.strides == b.strides and a.dtype == b.dtype


def _along_columns(plan: Plan, value: Value) -> Place:
    """An operand whose last axis has stride 1, or does not move."""
    place = plan.place(value)
    if not place.shape or place.shape[-1] == 1 or place.strides[-1] in (0, 1):
        return place
    return plan.dense(value)


def _operand(place: Place, rows: bool) -> Operand:
    element_of(place.dtype)  # refuses what lanes can't hold
    columns = bool(place.shape) and place.shape[-1] > 1 and place.strides[-1] == 1
    return Operand(place.dtype.name, rows, columns)


def packed(plan: Plan, b: Place, vectors: int) -> Place:
    """B (depth, columns) in panels of so many vectors."""
    element = ELEMENTS[b.dtype]
    panel = vectors * plan.machine.width(element)
    (depth, columns), (b_k, b_j) = b.shape[-2:], b.strides[-2:]
    panels = -(-columns // panel)
    target = plan.temporary((panels, depth, panel), b.dtype)
    words = ordered(
        packing.PACK, b=b, b_j=b_j, b_k=b_k, target=target, depth=depth, columns=columns
    )
    kernel = packing.pack(plan.machine, element, vectors, along_of(b))
    plan.add(Task("pack", kernel, words, panels, reads=(b,), writes=(target,)))
    return target
