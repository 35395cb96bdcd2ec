"""From the instructions of a Program to the tasks of a plan: one table, operator to lowering.

A view is an alias with strides. What the table does not have, or what a lowering declines with
NotImplemented, becomes a call back into Python that runs the operator's own rules, so every
Program runs; `explain()` lists these. Next: plan.py for what lowerings write to.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from backlit.backends.cpu.native import features
from backlit.ops.op import REGISTRY, Elementwise
from backlit.program.ir import Instr, Program, Value

from .plan import Place, Plan, Task

# operator -> (module of this package, function); the function is lowering(plan, instr)
LOWERINGS: dict[str, tuple[str, str]] = {
    "fused": ("loops.lowering", "lower_fused"),
    "cast": ("loops.lowering", "lower_instr"),
    "clone": ("loops.lowering", "lower_instr"),
    "sum": ("loops.lowering", "lower_instr"),
    "mean": ("loops.lowering", "lower_instr"),
    "amax": ("loops.lowering", "lower_instr"),
    "amin": ("loops.lowering", "lower_instr"),
    "prod": ("loops.lowering", "lower_instr"),
    "any": ("loops.lowering", "lower_instr"),
    "all": ("loops.lowering", "lower_instr"),
    "count_nonzero": ("loops.lowering", "lower_instr"),
    "scan": ("plans.control", "lower_scan"),
    "branch": ("plans.control", "lower_branch"),
    "matmul": ("matmul.lowering", "lower_matmul"),
    "linear": ("matmul.lowering", "lower_linear"),
    "attention": ("attention.lowering", "lower_attention"),
    "attention_grad": ("attention.lowering", "lower_attention_grad"),
    "lstm": ("recurrent.lowering", "lower_lstm"),
    "lstm_grad": ("recurrent.lowering", "lower_lstm_grad"),
    "gru": ("recurrent.lowering", "lower_gru"),
    "gru_grad": ("recurrent.lowering", "lower_gru_grad"),
    "rnn": ("recurrent.lowering", "lower_rnn"),
    "rnn_grad": ("recurrent.lowering", "lower_rnn_grad"),
    "conv": ("conv.lowering", "lower_conv"),
    "conv_grad_input": ("conv.lowering", "lower_conv_grad_input"),
    "conv_grad_weight": ("conv.lowering", "lower_conv_grad_weight"),
    "batch_norm": ("norm.lowering", "lower_batch_norm"),
    "batch_norm_grad": ("norm.lowering", "lower_batch_norm_grad"),
    "max_pool": ("pool.lowering", "lower_max_pool"),
    "max_pool_grad": ("pool.lowering", "lower_max_pool_grad"),
    "avg_pool": ("pool.lowering", "lower_avg_pool"),
    "avg_pool_grad": ("pool.lowering", "lower_avg_pool_grad"),
    "cumsum": ("loops.running", "lower_scan"),
    "cumprod": ("loops.running", "lower_scan"),
    "linear_scan": ("loops.running", "lower_scan"),
    "tril": ("loops.positions", "lower_triangle"),
    "triu": ("loops.positions", "lower_triangle"),
    "argmax": ("loops.positions", "lower_extreme"),
    "argmin": ("loops.positions", "lower_extreme"),
    "keep_mask": ("philox", "lower_keep_mask"),
    "uniform": ("philox", "lower_uniform"),
    "cat": ("indexing.joins", "lower_cat"),
    "stack": ("indexing.joins", "lower_stack"),
    "repeat": ("indexing.joins", "lower_repeat"),
    "slice_put": ("indexing.joins", "lower_slice_put"),
    "diagonal_put": ("indexing.joins", "lower_diagonal_put"),
    "view_put": ("indexing.joins", "lower_view_put"),
    "pad_constant": ("indexing.joins", "lower_pad_constant"),
    "flip": ("indexing.joins", "lower_flip"),
    "roll": ("indexing.joins", "lower_roll"),
    "index": ("indexing.lowering", "lower_index"),
    "index_sum": ("indexing.lowering", "lower_index_sum"),
    "index_put": ("indexing.lowering", "lower_index_put"),
    "gather": ("indexing.lowering", "lower_gather"),
    "gather_sum": ("indexing.lowering", "lower_gather_sum"),
    "scatter": ("indexing.lowering", "lower_scatter"),
    "scatter_add": ("indexing.lowering", "lower_scatter_add"),
    "index_select": ("indexing.lowering", "lower_index_select"),
    "select_sum": ("indexing.lowering", "lower_select_sum"),
    "index_add": ("indexing.lowering", "lower_index_add"),
    "embedding": ("indexing.lowering", "lower_embedding"),
    "embedding_sum": ("indexing.lowering", "lower_embedding_sum"),
    "one_hot": ("indexing.lowering", "lower_one_hot"),
}
# of a `fused` instruction: by the first in its body that stands here
FUSED_HEADS: dict[str, tuple[str, str]] = {
    "matmul": ("matmul.lowering", "lower_body"),
    "linear": ("matmul.lowering", "lower_body"),
    "batch_norm": ("conv.normed", "lower_fused_norm"),
    "batch_norm_grad": ("conv.normed", "lower_fused_norm"),
}
# of every elementwise operator, from its formula
ELEMENTWISE: tuple[str, str] | None = ("loops.lowering", "lower_instr")
COPY = ("loops.lowering", "lower_copy")


def lower(program: Program, places: dict[str, Place], workers: int) -> Plan:
    """The plan of a Program whose inputs lie at `places`."""
    plan = Plan(program, features.machine(), workers)
    plan.places.update(places)
    for instr in program.instrs:
        plan.instr = instr
        lower_instr(plan, instr)
    plan.instr = None
    return plan


def lower_instr(plan: Plan, instr: Instr) -> None:
    """Tasks for one instruction: a view, a lowering, or a call back into Python."""
    if _lower_view(plan, instr) or _lower_native(plan, instr):
        return
    if instr.op == "fused":
        _lower_one_by_one(plan, instr)
        return
    lower_callback(plan, instr)


def _lower_one_by_one(plan: Plan, instr: Instr) -> None:
    """A body that no single kernel computes: each instruction by itself."""
    body: Program = instr.params["body"]
    for v, x in zip(body.inputs, instr.inputs):
        plan.alias(v, plan.place(x) if isinstance(x, Value) else plan.constant(
            np.asarray(x, v.dtype.numpy)))  # fmt: skip
    for i in body.instrs:
        lower_instr(plan, i)
    for made, wanted in zip(body.outputs, instr.outputs):
        if isinstance(made, Value) and wanted is not None:
            plan.alias(wanted, plan.place(made))


def _lower_native(plan: Plan, instr: Instr) -> bool:
    entry = LOWERINGS.get(instr.op)
    if instr.op == "fused":
        ops = (i.op for i in instr.params["body"].instrs)
        entry = next((FUSED_HEADS[op] for op in ops if op in FUSED_HEADS), entry)
    if entry is None and issubclass(REGISTRY[instr.op], Elementwise):
        entry = ELEMENTWISE
    if entry is None:
        return False
    return _load(*entry)(plan, instr) is not NotImplemented


@functools.cache
def _load(module: str, function: str) -> Callable[..., Any]:
    return getattr(import_module(f"backlit.backends.cpu.{module}"), function)


# ----- views -----

SEVERAL_VIEWS = ("split", "unbind")  # several windows into their input


def _lower_view(plan: Plan, instr: Instr) -> bool:
    """Alias the outputs where the operator's own NumPy form gives windows into its input."""
    op = REGISTRY[instr.op]
    source = instr.inputs[0] if instr.inputs else None
    if not (op.view or op.name in SEVERAL_VIEWS) or not isinstance(source, Value):
        return False
    if any(isinstance(x, Value) for x in instr.inputs[1:]) or op.elementwise:
        return False
    for whole in (False, True):  # a reshape may need it without gaps
        place = plan.dense(source) if whole else plan.place(source)
        window = _window(place)
        if window is None:
            return False
        found = op.forward(window, *instr.inputs[1:], **instr.params)
        views = found if isinstance(found, tuple) else (found,)
        if all(np.may_share_memory(v, window) for v in views if v.size):
            _alias(plan, instr, place, window, views)
            return True
    return False


def _alias(plan: Plan, instr: Instr, place: Place, window: np.ndarray, views: tuple) -> None:
    start, itemsize = window.__array_interface__["data"][0], place.dtype.itemsize
    for value, view in zip(instr.outputs, views):
        if value is not None:
            offset = view.__array_interface__["data"][0] - start if view.size else 0
            strides = tuple(s // itemsize for s in view.strides)
            where = Place(place.buffer, place.offset + offset, view.shape, strides, place.dtype)
            plan.alias(value, where)


LARGEST_WINDOW = 1 << 30
_ground = np.empty(1 << 16, np.uint8)


def _window(place: Place) -> np.ndarray | None:
    """An array of the place's shape and strides whose contents nobody cares about."""
    global _ground
    span = sum((n - 1) * abs(s) for n, s in zip(place.shape, place.strides) if n)
    needed = (span + 1) * place.dtype.itemsize
    if needed > LARGEST_WINDOW or any(s < 0 for s in place.strides):
        return None
    if needed > _ground.nbytes:
        _ground = np.empty(needed, np.uint8)
    strides = [s * place.dtype.itemsize for s in place.strides]
    return np.ndarray(place.shape, place.dtype, _ground, 0, strides)


# ----- calls back into Python -----


def lower_callback(plan: Plan, instr: Instr) -> None:
    """Run the operator in Python on arrays that show the plan's memory."""
    op = REGISTRY[instr.op]
    given = [plan.place(x) if isinstance(x, Value) else x for x in instr.inputs]
    reads = tuple(x for x in given if isinstance(x, Place))
    writes = tuple(plan.result(v) for v in instr.outputs if v is not None)
    wanted = [v is not None for v in instr.outputs]
    fixed = [None if isinstance(x, Place) else (x,) for x in given]

    def call(*arrays: np.ndarray) -> None:
        waiting = iter(arrays)
        operands = [next(waiting) if f is None else f[0] for f in fixed]
        results, _ = op.run(operands, instr.params)
        listed = results if isinstance(results, tuple) else (results,)
        for result, want in zip(listed, wanted):
            if want:
                next(waiting)[...] = result

    plan.add(Task(instr.op, call, [*reads, *writes], reads=reads, writes=writes,
                  implementation="callback"))  # fmt: skip


def lower_copy(plan: Plan, source: Place, target: Place) -> None:
    """Copy between places of one shape, whatever their strides."""
    if _load(*COPY)(plan, source, target) is not NotImplemented:
        return

    def call(a: np.ndarray, b: np.ndarray) -> None:
        b[...] = a

    plan.add(Task("copy", call, [source, target], reads=(source,), writes=(target,),
                  implementation="callback"))  # fmt: skip
