"""Vectors of which only some lanes count: masks, and loads and stores under a mask.

Used at the ends of rows; a mask of None means all lanes. Knows no kernel.
"""

from __future__ import annotations

from typing import Any

from backlit.backends.cpu.native.codegen import Function, Value, _element, _width, vector

from .value import Lane, _from_memory, memory_element, memory_lane

SUFFIX = {"float": "f32", "double": "f64", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64"}
BYTES = {"float": 4, "double": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8}


def lane_mask(f: Function, count: Value, width: int) -> Value:
    """True in the first `count` lanes."""
    if width == 1:
        return f.compare("sgt", count, 0)
    narrow = f.emit("i32", f"trunc i64 {count.name} to i32")
    numbers = ", ".join(f"i32 {n}" for n in range(width))
    kind = vector("i32", width)
    return f.compare("sgt", f.splat(narrow, width), Value(f, kind, f"<{numbers}>"))


Mask = Value | int | None  # a number: so many lanes from the first on


def load_masked(f: Function, place: Value, kind: str, mask: Mask) -> Value:
    """Load a vector; lanes outside the mask are 0 and not touched."""
    element, width = _element(kind), _width(kind)
    align = BYTES[element]
    if mask is None or width == 1:
        return f.emit(kind, f"load {kind}, ptr {place.name}, align {align}")
    mask = _as_value(f, mask, width)
    name = f"@llvm.masked.load.v{width}{SUFFIX[element]}.p0"
    f.declarations.add(f"declare {kind} {name}(ptr, {mask.kind}, {kind})")
    text = f"ptr align {align} {place.name}, {mask.kind} {mask.name}, {kind} zeroinitializer"
    return f.emit(kind, f"call {kind} {name}({text})")


def store_masked(f: Function, value: Value, place: Value, mask: Mask) -> None:
    """Store a vector's lanes inside the mask."""
    kind = value.kind
    element, width = _element(kind), _width(kind)
    align = BYTES[element]
    if mask is None or width == 1:
        f.lines.append(f"  store {kind} {value.name}, ptr {place.name}, align {align}")
        return
    if isinstance(mask, int) and (mask.bit_count() < 3 or width * align < 64):
        _store_first(f, value, place, mask)
        return
    mask = _as_value(f, mask, width)
    name = f"@llvm.masked.store.v{width}{SUFFIX[element]}.p0"
    f.declarations.add(f"declare void {name}({kind}, ptr, {mask.kind})")
    target = f"ptr align {align} {place.name}, {mask.kind} {mask.name}"
    f.lines.append(f"  call void {name}({kind} {value.name}, {target})")


def _as_value(f: Function, mask: Value | int, width: int) -> Value:
    if isinstance(mask, Value):
        return mask
    lanes = ", ".join(f"i1 {'true' if n < mask else 'false'}" for n in range(width))
    return Value(f, vector("i1", width), f"<{lanes}>")


def _store_first(f: Function, value: Value, place: Value, count: int) -> None:
    """Store the first lanes in pieces: on many CPUs cheaper than one store under a mask."""
    element, first = _element(value.kind), 0
    while first < count:
        size = 1 << (count - first).bit_length() - 1
        store_masked(f, f.lanes(value, first, size), f.at(place, first, element), None)
        first += size


def load_lane_masked(f: Function, place: Value, dtype: Any, width: int, mask: Mask) -> Lane:
    """`load_lane` under a mask."""
    kind = vector(memory_element(dtype), width)
    return _from_memory(f, load_masked(f, place, kind, mask), dtype)


def store_lane_masked(f: Function, x: Lane, place: Value, dtype: Any, mask: Mask) -> None:
    """`store_lane` under a mask."""
    store_masked(f, memory_lane(x, dtype).v, place, mask)
