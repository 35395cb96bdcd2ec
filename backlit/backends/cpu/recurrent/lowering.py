"""Lowering of recurrent layers: one product for all inputs, a walk in time, products at the end.

Each layer is: the input weights times all steps at once; a walk in which every slice of the batch
goes through all steps by itself (kernels.py); and, going back, weight gradients as one
product over all steps. The number of tasks and the code do not depend on the number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.backends.cpu.matmul import cuts as matmul_plan
from backlit.backends.cpu.matmul import lowering as matmul
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.words import ELEMENTS, ordered
from backlit.backends.cpu.plans.lower import lower_instr
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Instr, Value

from . import cells as recurrent_cells
from . import kernels
from .cells import Cell

SLICE_ROWS = 64  # a slice's rows of gates stay in the second cache


@dataclass
class Layer:
    """Sizes of one layer in one direction."""

    cell: Cell
    steps: int
    batch: int
    size: int
    dtype: np.dtype
    reverse: bool

    @property
    def flops(self) -> int:
        return 2 * self.steps * self.batch * self.cell.gates * self.size**2


def lower_lstm(plan: Plan, instr: Instr) -> Any:
    x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr = instr.inputs
    layer = _layer(recurrent_cells.LSTM, instr, x, h0, w_hr)
    if layer is None:
        return NotImplemented
    y, h, c, *kept = instr.outputs
    shape = (layer.steps, layer.batch)
    names = ("gates", "cells", "squashed")
    places = {
        name: _place(plan, v, (*shape, n * layer.size), layer)
        for name, v, n in zip(names, kept, (4, 1, 1))
    }  # fmt: skip
    places["y"] = _place(plan, y, (*shape, layer.size), layer)
    _enter(plan, x, w_ih, (b_ih, b_hh), places["gates"])
    starts = {"h0": plan.dense(h0), "c0": plan.dense(c0)}  # type: ignore[arg-type]
    _walk(plan, layer, w_hh, places, starts, None)
    _last(plan, layer, h, places["y"])
    _last(plan, layer, c, places["cells"])
    return None


def lower_gru(plan: Plan, instr: Instr) -> Any:
    x, h0, w_ih, w_hh, b_ih, b_hh = instr.inputs
    layer = _layer(recurrent_cells.GRU, instr, x, h0)
    if layer is None:
        return NotImplemented
    y, h, gates = instr.outputs
    shape = (layer.steps, layer.batch)
    places = {
        "y": _place(plan, y, (*shape, layer.size), layer),
        "gates": _place(plan, gates, (*shape, 4 * layer.size), layer),
        "entered": plan.temporary((*shape, 3 * layer.size), layer.dtype),
    }
    _enter(plan, x, w_ih, (b_ih,), places["entered"])
    _walk(plan, layer, w_hh, places, {"h0": plan.dense(h0)}, b_hh)  # type: ignore[arg-type]
    _last(plan, layer, h, places["y"])
    return None


def lower_rnn(plan: Plan, instr: Instr) -> Any:
    x, h0, w_ih, w_hh, b_ih, b_hh = instr.inputs
    layer = _layer(_rnn(instr), instr, x, h0)
    if layer is None:
        return NotImplemented
    y, h = instr.outputs
    shape = (layer.steps, layer.batch, layer.size)
    places = {"y": _place(plan, y, shape, layer), "entered": plan.temporary(shape, layer.dtype)}
    _enter(plan, x, w_ih, (b_ih, b_hh), places["entered"])
    _walk(plan, layer, w_hh, places, {"h0": plan.dense(h0)}, None)  # type: ignore[arg-type]
    _last(plan, layer, h, places["y"])
    return None


def _rnn(instr: Instr) -> Cell:
    relu = instr.params["relu"]
    return recurrent_cells.RNN_RELU if relu else recurrent_cells.RNN_TANH


def _layer(cell: Cell, instr: Instr, x: Any, h0: Any, projection: Any = None) -> Layer | None:
    """The sizes; None where there is no kernel: other dtypes, nothing to do, projections."""
    if not (isinstance(x, Value) and isinstance(h0, Value)) or projection is not None:
        return None
    if x.dtype.numpy not in ELEMENTS or not math.prod(x.shape) or not math.prod(h0.shape):
        return None
    return Layer(cell, x.shape[0], x.shape[1], h0.shape[1], x.dtype.numpy, instr.params["reverse"])


def _place(plan: Plan, value: Value | None, shape: Sequence[int], layer: Layer) -> Place:
    """Memory of an output, or, if nobody wants it, for the layer's own use."""
    return plan.temporary(shape, layer.dtype) if value is None else plan.result(value)


def _last(plan: Plan, layer: Layer, value: Value | None, states: Place) -> None:
    """The last state: a window into all of them."""
    if value is None:
        return
    t = 0 if layer.reverse else layer.steps - 1
    offset = states.offset + t * states.strides[0] * states.dtype.itemsize
    plan.alias(value, Place(states.buffer, offset, states.shape[1:], states.strides[1:],
                            states.dtype))  # fmt: skip


def _enter(plan: Plan, x: Any, w_ih: Any, biases: Sequence[Any], target: Place) -> None:
    """What enters the gates from outside, for all steps."""
    given = [b for b in biases if b is not None]
    weights = matmul.transposed(plan.place(w_ih))
    matmul.multiply(plan, plan.place(x), weights, given, [target], f"given {len(given)}",
                    matmul.with_given)  # fmt: skip


# ----- walks -----


def _walk(plan: Plan, layer: Layer, w_hh: Any, places: dict[str, Place],
          starts: dict[str, Place], bias: Any) -> None:  # fmt: skip
    """The steps, each after the other."""
    cell, size, element = layer.cell, layer.size, ELEMENTS[layer.dtype]
    units = 2 if cell.gates == 1 else 1
    width = plan.machine.width(element)
    columns = units * width
    panels = -(-size // columns)
    shape = _shape(plan.machine, layer, tile_height(plan.machine, cell.gates * units), units)
    weights = plan.temporary((panels, size, cell.gates * columns), layer.dtype)
    w = plan.dense(w_hh)
    plan.add(
        Task(
            label="pack",
            kernel=kernels.pack(plan.machine, cell, element, units),
            words=ordered(kernels.PACK, w=w, w_row=size, weights=weights, size=size),
            chunks=panels,
            reads=(w,),
            writes=(weights,),
        )
    )
    used = dict(places) | starts
    if cell.gates == 3:
        zeros = np.zeros(3 * size, layer.dtype)
        used["bias"] = plan.constant(zeros) if bias is None else plan.dense(bias)
    backwards = (layer.steps - 1, -1) if layer.reverse else (0, 1)
    block_rows, chunks = _slices(plan, layer, shape.height)
    words = ordered(
        kernels.WALK,
        steps=layer.steps, batch=layer.batch, size=size, first=backwards[0], step=backwards[1],
        block_rows=block_rows, full_rows=layer.batch - shape.rest,
        full_panels=size // columns, weights=weights, tail=size % columns % width, before=0,
        **{n: used.get(n, 0) for n in kernels.WALK[11:]},
    )  # fmt: skip
    reads = (weights, *starts.values(), *(used[n] for n in ("bias", "entered") if n in used))
    if cell.has_state:
        reads = (*reads, places["gates"])
    plan.add(
        Task(
            label=cell.name,
            kernel=kernels.walk(plan.machine, cell, shape),
            words=words,
            chunks=chunks,
            reads=reads,
            writes=tuple(p for n, p in places.items() if n != "entered"),
            flops=layer.flops,
        )
    )


def tile_height(machine: features.Machine, vectors: int) -> int:
    """Rows of a tile: its sums leave some registers for operands."""
    return (24 if machine.registers >= 32 else 12) // vectors


def _shape(machine: features.Machine, layer: Layer, height: int, units: int,
           given: tuple[bool, ...] = ()) -> kernels.Shape:  # fmt: skip
    element = ELEMENTS[layer.dtype]
    width = machine.width(element)
    height = -(-layer.batch // -(-layer.batch // height))
    rest = layer.size % (units * width)
    return kernels.Shape(element, height, units, layer.batch % height, -(-rest // width),
                                   rest % width != 0, given)  # fmt: skip


def _slices(plan: Plan, layer: Layer, height: int) -> tuple[int, int]:
    """Rows of a slice of the batch, and how many slices there are."""
    tiles = -(-layer.batch // height)
    parts = -(-layer.batch // (SLICE_ROWS * plan.workers)) * plan.workers
    rows = -(-tiles // parts) * height
    return rows, -(-layer.batch // rows)


# ----- gradients -----


def lower_lstm_grad(plan: Plan, instr: Instr) -> Any:
    g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, _, _, w_hr, y, gates, cells, squashed = instr.inputs
    layer = _layer(recurrent_cells.LSTM, instr, x, h0, w_hr)
    if layer is None:
        return NotImplemented
    gx, gh0, gc0, gw_ih, gw_hh, gb, _ = instr.outputs
    kept = {"y": y, "gates": gates, "cells": cells, "squashed": squashed, "h0": h0, "c0": c0}
    found = _walk_back(plan, layer, w_hh, kept, (g_y, g_h, g_c), (gh0, gc0))
    d = found["d"]
    _weight_gradients(plan, layer, d, d, (x, y, h0, w_ih), (gx, gw_ih, gw_hh))
    _column_sum(plan, d, gb)
    return None


def lower_gru_grad(plan: Plan, instr: Instr) -> Any:
    g_y, g_h, x, h0, w_ih, w_hh, _, _, y, gates = instr.inputs
    layer = _layer(recurrent_cells.GRU, instr, x, h0)
    if layer is None:
        return NotImplemented
    gx, gh0, gw_ih, gw_hh, gb_ih, gb_hh = instr.outputs
    kept = {"y": y, "gates": gates, "h0": h0}
    found = _walk_back(plan, layer, w_hh, kept, (g_y, g_h, None), (gh0, None))
    d, inner = found["d"], found["inner"]
    _weight_gradients(plan, layer, d, inner, (x, y, h0, w_ih), (gx, gw_ih, gw_hh))
    _column_sum(plan, d, gb_ih)
    _column_sum(plan, inner, gb_hh)
    return None


def lower_rnn_grad(plan: Plan, instr: Instr) -> Any:
    g_y, g_h, x, h0, w_ih, w_hh, _, _, y = instr.inputs
    layer = _layer(_rnn(instr), instr, x, h0)
    if layer is None:
        return NotImplemented
    gx, gh0, gw_ih, gw_hh, gb = instr.outputs
    found = _walk_back(plan, layer, w_hh, {"y": y, "h0": h0}, (g_y, g_h, None), (gh0, None))
    d = found["d"]
    _weight_gradients(plan, layer, d, d, (x, y, h0, w_ih), (gx, gw_ih, gw_hh))
    _column_sum(plan, d, gb)
    return None


def _walk_back(
    plan: Plan,
    layer: Layer,
    w_hh: Any,
    kept: dict[str, Any],
    gradients: Sequence[Any],
    states: Sequence[Value | None],
) -> dict[str, Place]:
    """The gradients of the gates, and of the first states into `states`."""
    cell, size, element = layer.cell, layer.size, ELEMENTS[layer.dtype]
    height, vectors = matmul_plan.tile_shape(plan.machine, element, layer.batch, size)
    width = plan.machine.width(element)
    columns = vectors * width
    given = tuple(g is not None for g in gradients)
    shape = _shape(plan.machine, layer, height, vectors, given)
    weights = matmul.packed(plan, plan.dense(w_hh), vectors)
    reads = {n: plan.dense(v) for n, v in kept.items()}
    for name, g in zip(("g_y", "g_h", "g_c"), gradients):
        if g is not None:
            reads[name] = _last_axis_dense(plan, g) if name == "g_y" else plan.dense(g)
    lead = (layer.steps, layer.batch)
    names = ("dh", "dc") if cell.has_state else ("dh",)
    writes = {n: _place(plan, v, (layer.batch, size), layer) for n, v in zip(names, states)}
    for n in {"d", cell.inner}:
        writes[n] = plan.temporary((*lead, cell.gates * size), layer.dtype)
    used = reads | writes
    steps = reads["g_y"].strides if given[0] else (0, 0, 0)
    block_rows, chunks = _slices(plan, layer, shape.height)
    words = ordered(
        kernels.BACK,
        steps=layer.steps, batch=layer.batch, size=size,
        first=0 if layer.reverse else layer.steps - 1, step=1 if layer.reverse else -1,
        block_rows=block_rows, full_rows=layer.batch - shape.rest, full_panels=size // columns,
        weights=weights, tail=size % columns % width, g_y=used.get("g_y", 0), g_y_step=steps[0],
        g_y_row=steps[1], **{n: used.get(n, 0) for n in kernels.BACK[13:]},
    )  # fmt: skip
    plan.add(
        Task(
            label=f"{cell.name}_grad",
            kernel=kernels.walk_back(plan.machine, cell, shape),
            words=words,
            chunks=chunks,
            reads=(weights, *reads.values()),
            writes=tuple(writes.values()),
            flops=layer.flops,
        )
    )
    return writes


def _last_axis_dense(plan: Plan, value: Value) -> Place:
    place = plan.place(value)
    return place if place.shape[-1] == 1 or place.strides[-1] == 1 else plan.dense(value)


def _weight_gradients(
    plan: Plan,
    layer: Layer,
    entered: Place,
    inner: Place,
    operands: Sequence[Any],
    outputs: Sequence[Value | None],
) -> None:
    """By x, W_ih and W_hh: products over all steps."""
    x, y, h0, w_ih = operands
    gx, gw_ih, gw_hh = outputs
    if gx is not None:
        matmul.multiply(plan, entered, plan.place(w_ih), [], [gx], "sum", matmul.total_alone)
    if gw_ih is not None:
        a, b = matmul.transposed(_flat(entered)), _flat(plan.dense(x))
        matmul.multiply(plan, a, b, [], [gw_ih], "sum", matmul.total_alone)
    if gw_hh is None:
        return
    first = slice(layer.steps - 1, None) if layer.reverse else slice(0, 1)
    first_d = matmul.transposed(_flat(_steps(inner, first)))
    start, states = plan.dense(h0), plan.dense(y)
    if layer.steps == 1:
        matmul.multiply(plan, first_d, start, [], [gw_hh], "sum", matmul.total_alone)
        return
    by_start = plan.temporary(gw_hh.shape, layer.dtype)
    matmul.multiply(plan, first_d, start, [], [by_start], "sum", matmul.total_alone)
    later, earlier = slice(1, None), slice(0, layer.steps - 1)
    if layer.reverse:
        later, earlier = earlier, later
    a, b = matmul.transposed(_flat(_steps(inner, later))), _flat(_steps(states, earlier))
    matmul.multiply(plan, a, b, [by_start], [gw_hh], "given 1", matmul.with_given)


def _flat(place: Place) -> Place:
    """A dense (T, N, n) as (T * N, n)."""
    t, batch, n = place.shape
    return Place(place.buffer, place.offset, (t * batch, n), (n, 1), place.dtype)


def _steps(place: Place, part: slice) -> Place:
    """Some of the steps."""
    start, stop, _ = part.indices(place.shape[0])
    offset = place.offset + start * place.strides[0] * place.dtype.itemsize
    shape = (stop - start, *place.shape[1:])
    return Place(place.buffer, offset, shape, place.strides, place.dtype)


def _column_sum(plan: Plan, d: Place, target: Value | None) -> None:
    """The sum over steps and batch: a bias's gradient."""
    if target is None:
        return
    value = Value(f"{target.name}.terms", d.shape, target.dtype)
    plan.alias(value, d)
    lower_instr(plan, Instr("sum", (value,), (target,), {"dims": (0, 1), "keepdim": False}))
