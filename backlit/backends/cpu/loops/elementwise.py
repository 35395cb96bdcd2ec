"""One generated kernel for any formula: a pass over memory, on the team of threads.

Takes arrays of one shape, dtype and memory order, and numbers; everything else is left to NumPy.
The code depends on the formula, the dtype, its parameters and which operands are numbers.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.backends.cpu.lanes.formulas import Lane, LaneMath, Unsupported
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves
from backlit.backends.cpu.native.threads import parallel_for
from backlit.backends.cpu.native.words import ELEMENTS

BLOCK = 16384
SMALL_WORK = 65536


def kernel_of(op: Any) -> Callable[..., Any]:
    """The eager form of an elementwise operator: generated where it applies, else NumPy."""

    def run(*operands: Any, **params: Any) -> Any:
        found = _run(op, None, operands, params)
        return op.forward(*operands, **params) if found is None else found

    return run


def product_of(op: Any) -> Callable[..., Any]:
    """The gradient by input `index` in one pass: `g` times the local derivative; None where there
    is no kernel for it."""

    def run(index: int, g: np.ndarray, values: tuple, params: dict) -> Any:
        return _run(op, index, (g, *values), params)

    return run


def _run(op: Any, index: int | None, operands: tuple, params: dict) -> Any:
    first = operands[0]
    if type(first) is not np.ndarray or first.dtype not in ELEMENTS:
        return None
    numbers = tuple(type(x) is not np.ndarray for x in operands)
    arrays = [x for x, number in zip(operands, numbers) if not number]
    if any(x.shape != first.shape or x.dtype is not first.dtype for x in arrays):
        return None
    key = tuple(sorted(params.items()))
    address = address_of(op, index, features.machine(), ELEMENTS[first.dtype], numbers, key)
    return None if address is None else _launch(address, operands, arrays)


def _launch(address: int, operands: tuple, arrays: list[np.ndarray]) -> Any:
    """Run over the operands as flat memory; the result has the memory order of the first that
    has neither holes nor repetitions."""
    order = next((x for x in arrays if _dense(x)), None)
    y = np.empty(arrays[0].shape, arrays[0].dtype) if order is None else np.empty_like(order)
    words, alive = [y.ctypes.data, y.size], []
    for x in operands:
        if type(x) is np.ndarray:
            if x.strides != y.strides:
                alive.append(np.empty_like(y))
                np.copyto(alive[-1], x)
                x = alive[-1]
            words.append(x.ctypes.data)
        else:
            words.append(struct.unpack("<q", struct.pack("<d", float(x)))[0])
    chunks = -(-y.size // BLOCK)
    parallel_for(chunks, address, np.array(words, np.int64), small=y.size < SMALL_WORK)
    return y


def _dense(x: np.ndarray) -> bool:
    return x.flags.c_contiguous or np.empty_like(x).strides == x.strides


@functools.lru_cache(maxsize=512)
def address_of(op: Any, index: int | None, machine: features.Machine, element: str,
               numbers: tuple[bool, ...], params: tuple) -> int | None:  # fmt: skip
    """The compiled kernel, or None where the formula needs what lanes lack."""
    try:
        f = _build(op, index, machine, element, numbers, dict(params))
    except (Unsupported, NotImplementedError):  # the latter: a primitive without a formula
        return None
    return jit.compile_function(codegen.module([f]), f.name, machine)


def _build(op: Any, index: int | None, machine: features.Machine, element: str,
           numbers: tuple[bool, ...], params: dict) -> Kernel:  # fmt: skip
    names = [f"x{i}" for i in range(len(numbers))]
    f = Kernel(f"formula_{op.name}", ["y", "count", *names])

    def block(chunk: Value) -> None:
        start = chunk * BLOCK
        count = f.smaller(f.field("count") - start, BLOCK)
        y = f.at(f.field("y", "ptr"), start, element)
        sources = [
            f.field(n, "double") if number else f.at(f.field(n, "ptr"), start, element)
            for n, number in zip(names, numbers)
        ]

        def piece(place: Value, _: int, lanes: int) -> None:
            given = [
                _number(f, s, element, lanes) if number
                else Lane(f, f.load(f.at(s, place, element), codegen.vector(element, lanes)))
                for s, number in zip(sources, numbers)
            ]  # fmt: skip
            math = LaneMath(given[0])
            result = math.lift(_formula(op, index, math, given, params))
            if result.v.kind != math.kind:
                raise Unsupported("a result of another type")
            f.store(result.v, f.at(y, place, element))

        f.each_slice(count, halves(1, machine.width(element)), piece)

    f.each_chunk(block)
    return f


def _formula(op: Any, index: int | None, math: LaneMath, given: list[Lane], params: dict) -> Any:
    """The operator's formula, or the first operand times a local derivative."""
    if index is None:
        return op.formula(math, *given, **params)
    values = dict(zip(op.locals[index][1], given[1:]))
    return given[0] * op.local(math, index, values, params)


def _number(f: Kernel, value: Value, element: str, lanes: int) -> Lane:
    single = f.convert("fptrunc", value, "float") if element == "float" else value
    return Lane(f, f.splat(single, lanes))
