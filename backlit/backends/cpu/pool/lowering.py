"""Pooling and its gradients as tasks of a plan.

Owns what a plan can know and an eager call can't: who reads the indices of a maximum. If only its
own gradient does they are kept as the number of the tap in its window, a byte as a rule. Windows
come from `eager.py`, code from `plan_kernels.py`; what no kernel covers is declined.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.backends.cpu.channels.places import channels_last_place
from backlit.backends.cpu.native.words import ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task, channels_last
from backlit.program.ir import Instr, Value

from . import eager
from . import plan_kernels as kernels

FLOATS = ("float32", "float64", "bfloat16", "float16")
Sizes = tuple[int, ...]


class _Windows:
    """The windows over a plane of `size`."""

    def __init__(self, size: Sizes, params: dict[str, Any]) -> None:
        kernel, stride, padding = (tuple(params[name]) for name in ("kernel", "stride", "padding"))
        self.dilation = tuple(params.get("dilation") or (1,) * len(kernel))
        include = params.get("count_include_pad", True)
        self.tables = eager.all_windows(
            size, kernel, stride, padding, self.dilation, params["ceil_mode"], include
        )
        self.taps = math.prod(kernel)
        cut = any((t[:, 1] != k).any() for t, k in zip(self.tables, kernel, strict=True))
        self.whole = None if cut or self.taps > 32 else self._three(kernel)
        outputs = tuple(len(t) for t in self.tables)
        exact = all(o * s == n for o, s, n in zip(outputs, stride, size, strict=True))
        self.once = self.whole is not None and exact and kernel == stride

    def words(self, plan: Plan, shape: Sizes) -> dict[str, Any]:
        given = eager.shape_words(shape, self.tables, self.dilation)
        return {k: plan.constant(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}

    def divisors(self) -> set[int]:
        """The numbers that means divide by."""
        found = {1}
        for table in self.tables:
            found = {a * int(b) for a in found for b in np.unique(table[:, 2])}
        return found

    @staticmethod
    def _three(kernel: Sizes) -> tuple[int, int, int]:
        first, *rest = kernel
        middle, last = [1] * (2 - len(rest)) + rest
        return first, middle, last


def lower_max_pool(plan: Plan, instr: Instr) -> Any:
    """Maxima and their places."""
    (x,), (y, indices) = _values(instr.inputs), _values(instr.outputs)
    if not _known(x):
        return NotImplemented
    windows = _Windows(x.shape[2:], instr.params)
    order = channels_last(len(x.shape))
    shape = (*x.shape[:2], *(len(t) for t in windows.tables))
    if 0 in shape:
        return NotImplemented
    source = channels_last_place(plan, x)
    target = _result(plan, y, shape, source.dtype)
    index = _index_dtype(plan, indices, windows)
    marks = target
    if index:
        marks = plan.temporary(shape, index, order)
        plan.alias(indices, marks)
    plan.add(
        Task(
            "max_pool",
            kernels.maximum(plan.machine, source.dtype, index, windows.whole),
            ordered(kernels.MAX, x=source, y=target, indices=marks, **windows.words(plan, x.shape)),
            x.shape[0] * len(windows.tables[0]),
            reads=(source,),
            writes=(target, marks) if index else (target,),
        )
    )
    return None


def lower_max_pool_grad(plan: Plan, instr: Instr) -> Any:
    """Gradients at the places of their maxima; only where the maximum was taken here too."""
    (g, indices), (gx,) = _values(instr.inputs), _values(instr.outputs)
    maker = _maker(plan, indices) if isinstance(indices, Value) else None
    if not _known(g) or not _known(gx) or maker is None:
        return NotImplemented
    windows = _Windows(gx.shape[2:], maker.params)
    marks = plan.place(indices)
    if not _has_kernel(instr, windows):
        return NotImplemented
    order = channels_last(len(g.shape))
    if not marks.is_dense(order):
        return NotImplemented
    source = channels_last_place(plan, g)
    target = plan.result(gx, order)
    words = ordered(
        kernels.MAX_GRAD, g=source, gx=target, indices=marks, **windows.words(plan, gx.shape)
    )
    kernel = kernels.maximum_grad(
        plan.machine, source.dtype, marks.dtype.name, windows.whole, windows.once
    )
    plan.add(
        Task(
            "max_pool_grad",
            kernel,
            words,
            _chunks(g.shape, windows),
            reads=(source, marks),
            writes=(target,),
        )
    )
    return None


def lower_avg_pool(plan: Plan, instr: Instr) -> Any:
    """Means of windows."""
    (x,), (y,) = _values(instr.inputs), _values(instr.outputs)
    if not _known(x) or not _known(y):
        return NotImplemented
    windows = _Windows(x.shape[2:], instr.params)
    source = channels_last_place(plan, x)
    target = plan.result(y, channels_last(len(x.shape)))
    divisor = _divisor(instr, windows)
    words = ordered(
        kernels.AVERAGE, x=source, y=target, divisor=divisor or 1.0, **windows.words(plan, x.shape)
    )
    kernel = kernels.average(plan.machine, source.dtype, windows.whole, divisor is not None)
    chunks = x.shape[0] * len(windows.tables[0])
    plan.add(Task("avg_pool", kernel, words, chunks, reads=(source,), writes=(target,)))
    return None


def lower_avg_pool_grad(plan: Plan, instr: Instr) -> Any:
    """Gradients shared out among their windows."""
    (g,), (gx,) = _values(instr.inputs), _values(instr.outputs)
    if not _known(g) or not _known(gx):
        return NotImplemented
    windows = _Windows(gx.shape[2:], instr.params)
    if g.dtype.numpy.itemsize == 2 and not windows.once:
        return NotImplemented
    source = channels_last_place(plan, g)
    target = plan.result(gx, channels_last(len(g.shape)))
    divisor = _divisor(instr, windows)
    words = ordered(
        kernels.AVERAGE_GRAD,
        g=source,
        gx=target,
        divisor=divisor or 1.0,
        **windows.words(plan, gx.shape),
    )
    kernel = kernels.average_grad(
        plan.machine, source.dtype, windows.whole, divisor is not None, windows.once
    )
    chunks = _chunks(g.shape, windows)
    plan.add(Task("avg_pool_grad", kernel, words, chunks, reads=(source,), writes=(target,)))
    return None


def _values(operands: Any) -> Any:
    """Operands whose kind `_known` finds out."""
    return operands


def _known(x: Any) -> bool:
    if not isinstance(x, Value) or x.dtype.name not in FLOATS:
        return False
    return 3 <= len(x.shape) <= 5 and 0 < math.prod(x.shape) < 2**31


def _chunks(shape: Sizes, windows: _Windows) -> int:
    return shape[0] * (len(windows.tables[0]) if windows.once else 1)


def _divisor(instr: Instr, windows: _Windows) -> float | None:
    """The one number that all means divide by, if there is one."""
    if instr.params["divisor"] is not None:
        return float(instr.params["divisor"])
    found = windows.divisors()
    return float(found.pop()) if len(found) == 1 else None


def _result(plan: Plan, value: Value | None, shape: Sizes, dtype: np.dtype) -> Place:
    order = channels_last(len(shape))
    return plan.temporary(shape, dtype, order) if value is None else plan.result(value, order)


def _index_dtype(plan: Plan, indices: Value | None, windows: _Windows) -> str | None:
    """How indices are kept; as places in the plane if anybody else reads them."""
    if indices is None:
        return None
    if any(isinstance(x, Value) and x.name == indices.name for x in plan.program.outputs):
        return kernels.PLACED
    readers = [i for i in plan.program.instrs if _reads(i, indices)]
    if all(i.inputs[1:] == (indices,) and _has_kernel(i, windows) for i in readers):
        small, large = kernels.COUNTED
        return small if windows.taps < 128 else large
    return kernels.PLACED


def _has_kernel(instr: Instr, windows: _Windows) -> bool:
    """Whether a gradient takes marks; sums of 16-bit floats would be rounded at every step."""
    g, gx = _values((instr.inputs[0], instr.outputs[0]))
    if instr.op != "max_pool_grad" or not _known(g) or not _known(gx):
        return False
    return g.dtype.itemsize != 2 or windows.once


def _reads(instr: Instr, value: Value) -> bool:
    return any(isinstance(x, Value) and x.name == value.name for x in instr.inputs)


def _maker(plan: Plan, indices: Value) -> Instr | None:
    """The max_pool whose indices these are."""
    for instr in plan.program.instrs:
        if instr.op == "max_pool" and instr.outputs[1] == indices:
            return instr
    return None
