"""Slices of lines between memory and lanes: whole vectors, short ends, any stride.

A slice is `width` lanes of which the first `part` are real: None for all, a number, or a value
that is known at run time. Lanes beyond are never read from or written to memory.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.backends.cpu.native.codegen import BYTES, Function, Value, vector

from .formulas import LaneMath
from .value import Lane, _from_memory, memory_element, memory_lane, select, truth

Part = int | Value | None


def load(f: Function, pointer: Value, dtype: Any, width: int, part: Part = None,
         stride: int | Value = 1) -> Lane:  # fmt: skip
    """A slice; `stride` in elements, 0 for one element that all lanes share (then of width 1)."""
    element = memory_element(dtype)
    if width == 1 or (isinstance(stride, int) and stride == 0):
        return _from_memory(f, f.load(pointer, element), dtype)
    if not (isinstance(stride, int) and stride == 1):
        return _from_memory(f, _gather(f, pointer, element, width, part, stride), dtype)
    kind = vector(element, width)
    if part is None:
        return _from_memory(f, f.load(pointer, kind), dtype)
    if isinstance(part, int):
        few = f.load(pointer, vector(element, part))
        return _from_memory(f, _widened(f, few, part, width), dtype)
    mask = first(f, part, width)
    name = f"@llvm.masked.load.{_suffix(element, width)}.p0"
    f.declarations.add(f"declare {kind} {name}(ptr, i32, {mask.v.kind}, {kind})")
    loaded = f.emit(kind, f"call {kind} {name}(ptr {pointer.name}, i32 {BYTES.get(element, 2)}, "
                    f"{mask.v.kind} {mask.v.name}, {kind} zeroinitializer)")  # fmt: skip
    return _from_memory(f, loaded, dtype)


def store(f: Function, x: Lane, pointer: Value, dtype: Any, part: Part = None,
          stride: int | Value = 1) -> None:  # fmt: skip
    """Store a slice of lanes in the type that computes `dtype`."""
    value = memory_lane(x, dtype).v
    element, width = memory_element(dtype), x.width
    if width == 1:
        f.store(value, pointer)
    elif not (isinstance(stride, int) and stride == 1):
        _scatter(f, value, pointer, element, width, part, stride)
    elif part is None:
        f.store(value, pointer)
    elif isinstance(part, int):
        f.store(f.lanes(value, 0, part), pointer)
    else:
        mask, kind = first(f, part, width), value.kind
        name = f"@llvm.masked.store.{_suffix(element, width)}.p0"
        f.declarations.add(f"declare void {name}({kind}, ptr, i32, {mask.v.kind})")
        f.lines.append(
            f"  call void {name}({kind} {value.name}, ptr {pointer.name}, "
            f"i32 {BYTES.get(element, 2)}, {mask.v.kind} {mask.v.name})"
        )


def first(f: Function, part: Part, width: int) -> Lane:
    """The mask of the real lanes."""
    if part is None:
        return Lane(f, truth(f, True, width))
    if isinstance(part, int):
        listed = ", ".join(f"i1 {'true' if i < part else 'false'}" for i in range(width))
        return Lane(f, Value(f, vector("i1", width), f"<{listed}>"))
    count = f.emit("i32", f"trunc i64 {part.name} to i32")
    return Lane(f, f.compare("slt", counting(f, "i32", width), f.splat(count, width)))


def counting(f: Function, element: str, width: int) -> Value:
    """0, 1, 2, ... in the lanes."""
    if width == 1:
        return f.constant(element, 0)
    return Value(f, vector(element, width),
                 "<" + ", ".join(f"{element} {i}" for i in range(width)) + ">")  # fmt: skip


def _suffix(element: str, width: int) -> str:
    short = {"float": "f32", "double": "f64"}.get(element, element)
    return f"v{width}{short}"


def _widened(f: Function, few: Value, part: int, width: int) -> Value:
    """The lanes of a shorter vector, and others whose contents do not matter."""
    if part == 1:
        kind = vector(few.kind, width)
        return f.emit(kind, f"insertelement {kind} zeroinitializer, {few.kind} {few.name}, i64 0")
    return f.shuffle(few, few, [min(i, part - 1) for i in range(width)])


def _places(f: Function, pointer: Value, element: str, width: int, part: Part,
            stride: int | Value) -> list[Value]:  # fmt: skip
    """The address of each lane; lanes that are not real share the last real one."""
    count = part if isinstance(part, int) else width
    step = f.integer(stride)
    found = []
    for i in range(count):
        lane: Any = i
        if isinstance(part, Value) and i:
            lane = f.smaller(f.emit("i64", f"add i64 {part.name}, -1"), i)
        found.append(f.at(pointer, step * lane if i else 0, element))
    return found


def _gather(f: Function, pointer: Value, element: str, width: int, part: Part,
            stride: int | Value) -> Value:  # fmt: skip
    kind = vector(element, width)
    whole = Value(f, kind, "zeroinitializer")
    for i, place in enumerate(_places(f, pointer, element, width, part, stride)):
        one = f.load(place, element)
        text = f"insertelement {kind} {whole.name}, {element} {one.name}, i64 {i}"
        whole = f.emit(kind, text)
    return whole


def _scatter(f: Function, value: Value, pointer: Value, element: str, width: int, part: Part,
             stride: int | Value) -> None:  # fmt: skip
    step = f.integer(stride)
    for i in range(part if isinstance(part, int) else width):

        def put(i: int = i) -> None:
            f.store(f.lanes(value, i, 1), f.at(pointer, step * i if i else 0, element))

        if isinstance(part, Value) and i:
            f.when(f.compare("sgt", part, i), put)
        else:
            put()


# ----- joining lanes -----


def join(kind: str, a: Lane, b: Lane) -> Lane:
    """Two partial results of a reduction."""
    if kind == "sum":
        return a + b
    if kind == "product":
        return a * b
    if kind == "or":
        return a | b
    if kind == "and":
        return a & b
    math_ = LaneMath(a)
    return math_.maximum(a, b) if kind == "max" else math_.minimum(a, b)


def identity(kind: str, like: Lane) -> Lane:
    """What changes nothing when joined."""
    if kind in ("or", "and"):
        return Lane(like.f, truth(like.f, kind == "and", like.width))
    if kind in ("sum", "product"):
        return like.number(1 if kind == "product" else 0)
    if like.is_float:
        return like.number(-math.inf if kind == "max" else math.inf)
    if like.is_mask:
        return like.number(kind == "min")
    bits = int(like.element[1:])
    low, high = (0, 2**bits - 1) if like.unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return like.number(low if kind == "max" else high)


def masked(kind: str, x: Lane, part: Part) -> Lane:
    """The lanes that are not real replaced by what changes nothing."""
    if part is None or x.width == 1:
        return x
    return select(first(x.f, part, x.width), x, identity(kind, x))


def across(kind: str, x: Lane) -> Lane:
    """All lanes joined into one."""
    while x.width > 1:
        half = x.width // 2
        low = Lane(x.f, x.f.lanes(x.v, 0, half), x.unsigned)
        x = join(kind, low, Lane(x.f, x.f.lanes(x.v, half, half), x.unsigned))
    return x


def accumulator(dtype: Any) -> np.dtype:
    """The dtype in which partial results lie in memory."""
    found = np.dtype(dtype)
    return np.dtype(np.float32) if found.name in ("float16", "bfloat16") else found
