"""Lowering of attention and its gradient: one item of the batch and one head a chunk.

The weights that attention keeps for its gradient lie in rows padded to whole vectors. Kernels:
kernels.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.backends.cpu.native.words import ELEMENTS, ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Instr, Value

from . import kernels
from .kernels import Attention, vectors_for


def lower_attention(plan: Plan, instr: Instr) -> Any:
    """softmax(q k^T scale + mask) v, and the weights."""
    inputs: Any = instr.inputs
    q, k, v, mask = inputs
    y, weights = instr.outputs
    if not _native(q, k, v) or y is None:
        return NotImplemented
    lead = y.shape[:-2]
    if weights is not None and weights.shape[:-2] != lead:
        return NotImplemented
    sizes = _sizes(q, k, v)
    rows, columns, _, outer = sizes
    element, width = ELEMENTS[q.dtype.numpy], plan.machine.width(ELEMENTS[q.dtype.numpy])
    vectors = (vectors_for(width, columns), vectors_for(width, outer))
    padded = _padded(columns, vectors[0] * width)
    reads = {n: _rows_dense(plan, x) for n, x in zip("qkv", (q, k, v))}
    if isinstance(mask, Value):
        reads["mask"] = _rows_dense(plan, mask)
    kept = plan.temporary((*lead, rows, padded), q.dtype.numpy)
    shown = Place(kept.buffer, 0, (*lead, rows, columns), kept.strides, kept.dtype)
    if weights is not None:
        plan.alias(weights, shown)
    writes = {"y": plan.result(y), "weights": shown}
    baked = Attention(
        element, instr.params["causal"], reads["mask"].dtype.name if "mask" in reads else "",
        "mask" in reads and reads["mask"].strides[-1] == 1 and reads["mask"].shape[-1] > 1,
    )  # fmt: skip
    scratch = max(_padded(columns, vectors[0] * width) * sizes[2],
                  _padded(outer, vectors[1] * width) * columns)  # fmt: skip
    table, items = _table(plan, lead, kernels.FORWARD_ITEM, reads | writes)
    own = plan.temporary((plan.workers, scratch), q.dtype.numpy)
    mask_row = _row_stride(reads["mask"]) if "mask" in reads else 0
    words = ordered(
        kernels.FORWARD,
        **_common(sizes, padded, instr, table, len(kernels.FORWARD_ITEM), own, scratch),
        **{name: reads[name] for name in "qkv"},
        **{f"{name}_row": reads[name].strides[-2] for name in "qkv"},
        mask=reads.get("mask", 0), mask_row=mask_row, **writes,
    )  # fmt: skip
    kernel = kernels.forward(plan.machine, baked, vectors)
    _add(plan, instr, kernel, words, items, (reads, writes, table, own), sizes, 2)
    return None


def lower_attention_grad(plan: Plan, instr: Instr) -> Any:
    """The gradients by q, k and v."""
    inputs: Any = instr.inputs
    g, q, k, v, _, weights = inputs
    gq, gk, gv, gmask = instr.outputs
    if gmask is not None or not _native(g, q, k, v, weights):
        return NotImplemented
    lead = g.shape[:-2]
    if weights.shape[:-2] != lead:
        return NotImplemented
    sizes = _sizes(q, k, v)
    rows, columns, inner, outer = sizes
    element, width = ELEMENTS[q.dtype.numpy], plan.machine.width(ELEMENTS[q.dtype.numpy])
    vectors = (vectors_for(width, columns), vectors_for(width, inner), vectors_for(width, outer))
    padded = _padded(columns, vectors[0] * width)
    given = zip(("g", "q", "k", "v", "weights"), (g, q, k, v, weights))
    reads = {n: _rows_dense(plan, x) for n, x in given}
    shapes = ((rows, inner), (columns, inner), (columns, outer))
    writes = {
        name: plan.result(x) if x is not None else plan.temporary((*lead, *shape), q.dtype.numpy)
        for name, x, shape in zip(("gq", "gk", "gv"), (gq, gk, gv), shapes)
    }
    panels = [_padded(n, v * width) for n, v in zip((columns, inner, outer), vectors)]
    packed = max(panels[0] * outer, panels[1] * max(rows, columns), panels[2] * rows)
    scratch = rows * padded + packed
    table, items = _table(plan, lead, kernels.BACKWARD_ITEM, reads | writes)
    own = plan.temporary((plan.workers, scratch), q.dtype.numpy)
    words = ordered(
        kernels.BACKWARD,
        **_common(sizes, padded, instr, table, len(kernels.BACKWARD_ITEM), own, scratch),
        **reads, **{f"{name}_row": p.strides[-2] for name, p in reads.items()}, **writes,
    )  # fmt: skip
    kernel = kernels.backward(plan.machine, Attention(element, False), vectors)
    _add(plan, instr, kernel, words, items, (reads, writes, table, own), sizes, 4)
    return None


def _native(*values: Any) -> bool:
    return all(
        isinstance(v, Value) and v.dtype.numpy in ELEMENTS and math.prod(v.shape) for v in values
    )


def _sizes(q: Any, k: Any, v: Any) -> tuple[int, int, int, int]:
    """Rows and columns of the scores, sizes of q and of v."""
    return q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]


def _padded(columns: int, panel: int) -> int:
    return -(-columns // panel) * panel


def _rows_dense(plan: Plan, value: Value) -> Place:
    """An operand whose rows have no gaps, or one element for all columns."""
    place = plan.place(value)
    repeated = place.strides[-1:] == (0,) and value.dtype.numpy.kind == "f"
    simple = not place.shape or place.shape[-1] == 1 or place.strides[-1] in (0, 1)
    return place if simple and not repeated else plan.dense(value)


def _row_stride(place: Place) -> int:
    """The stride from row to row of what broadcasts."""
    return place.strides[-2] if len(place.shape) > 1 and place.shape[-2] > 1 else 0


def _table(plan: Plan, lead: Sequence[int], order: Sequence[str],
           places: dict[str, Place]) -> tuple[Place, int]:  # fmt: skip
    """Where the operands of every item begin, in elements."""
    items = math.prod(lead)
    starts = np.zeros((items, len(order)), np.int64)
    grid = np.indices(tuple(lead), np.int64).reshape(len(lead), items)
    for n, name in enumerate(order):
        if name in places:
            own = places[name]
            for axis in range(1, len(own.shape) - 1):
                at = -2 - axis  # from the last leading axis out
                if own.shape[at] > 1:
                    starts[:, n] += grid[at + 2] * own.strides[at]
    return plan.constant(starts), items


def _common(sizes: Sequence[int], padded: int, instr: Instr, table: Place, table_words: int,
            scratch: Place, scratch_size: int) -> dict[str, Any]:  # fmt: skip
    rows, columns, inner, outer = sizes
    return {
        "rows": rows, "columns": columns, "inner": inner, "outer": outer, "padded": padded,
        "scale": float(instr.params["scale"]), "table": table, "table_words": table_words,
        "scratch": scratch, "scratch_size": scratch_size,
    }  # fmt: skip


def _add(plan: Plan, instr: Instr, kernel: int, words: list, items: int, memory: tuple,
         sizes: Sequence[int], products: int) -> None:  # fmt: skip
    reads, writes, table, own = memory
    rows, columns, inner, outer = sizes
    plan.add(
        Task(
            label=instr.op,
            kernel=kernel,
            words=words,
            chunks=items,
            reads=(*reads.values(), table, own),
            writes=(*writes.values(), own),
            flops=products * items * rows * columns * (inner + outer),
        )
    )
