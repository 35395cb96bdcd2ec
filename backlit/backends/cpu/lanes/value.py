"""Vector values of every dtype: Python's operators on them, conversion, loads and stores.

A `Lane` is a vector of floats, whole numbers or truth values (a mask). 16-bit floats live in
memory only: loading widens them to float32, storing rounds once, to the nearest even. Whole
numbers follow NumPy: they wrap around, and a division by zero gives zero.
The functions of formulas are in formulas.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.codegen import (
    FAST,
    Function,
    Value,
    _element,
    _is_float,
    _width,
    vector,
)

INTEGERS = {"int8": "i8", "uint8": "i8", "int16": "i16", "int32": "i32", "int64": "i64"}
BITS = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}


class Unsupported(Exception):
    """What has no vector form."""


def element_of(dtype: Any) -> tuple[str, bool]:
    """The IR type in which values of a NumPy dtype are computed, and whether it is unsigned."""
    name = np.dtype(dtype).name
    if name in INTEGERS:
        return INTEGERS[name], name == "uint8"
    floats = {"float64": "double", "float32": "float", "float16": "float", "bfloat16": "float"}
    if name == "bool":
        return "i1", False
    if name not in floats:
        raise Unsupported(f"values of {name}")
    return floats[name], False


class Lane:
    """A vector value with Python's operators, as formulas write them."""

    __slots__ = ("f", "unsigned", "v")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, f: Function, v: Value, unsigned: bool = False):
        self.f, self.v, self.unsigned = f, v, unsigned

    @property
    def element(self) -> str:
        return _element(self.v.kind)

    @property
    def width(self) -> int:
        return _width(self.v.kind)

    @property
    def is_float(self) -> bool:
        return _is_float(self.v.kind)

    @property
    def is_mask(self) -> bool:
        return self.element == "i1"

    def number(self, x: Any) -> Lane:
        """A Python number in the type of this lane."""
        if self.is_float:
            return Lane(self.f, self.f.constant(self.v.kind, float(x)))
        if self.is_mask:
            return Lane(self.f, truth(self.f, bool(x), self.width))
        if x != int(x):
            raise Unsupported(f"{x} beside whole numbers")
        return Lane(self.f, self.f.constant(self.v.kind, _wrapped(int(x), self)), self.unsigned)

    def _with(self, other: Any) -> Value:
        if isinstance(other, Lane):
            if other.v.kind != self.v.kind:
                raise Unsupported(f"{self.v.kind} beside {other.v.kind}")
            return other.v
        if isinstance(other, (int, float)):
            return self.number(other).v
        raise Unsupported(f"an operand of type {type(other).__name__}")

    def _make(self, operation: str, a: Value, b: Value) -> Lane:
        kind = self.v.kind
        text = f"{operation} {kind} {a.name}, {b.name}"
        return Lane(self.f, self.f.emit(kind, text), self.unsigned)

    def _binary(self, real: str, integer: str, mask: str, o: Any, swap: bool = False) -> Lane:
        name = f"{real} {FAST}" if self.is_float else mask if self.is_mask else integer
        if not name:
            raise Unsupported(f"{real} of {self.v.kind}")
        a, b = self.v, self._with(o)
        return self._make(name, *((b, a) if swap else (a, b)))

    def __add__(self, o: Any) -> Lane:
        return self._binary("fadd", "add", "or", o)

    def __sub__(self, o: Any) -> Lane:
        return self._binary("fsub", "sub", "", o)

    def __rsub__(self, o: Any) -> Lane:
        return self._binary("fsub", "sub", "", o, swap=True)

    def __mul__(self, o: Any) -> Lane:
        return self._binary("fmul", "mul", "and", o)

    def __truediv__(self, o: Any) -> Lane:
        if self.is_float and type(o) in (int, float) and o and math.frexp(o)[0] in (0.5, -0.5):
            return self * (1.0 / o)  # exact
        return self._binary("fdiv", "", "", o)

    def __rtruediv__(self, o: Any) -> Lane:
        return self._binary("fdiv", "", "", o, swap=True)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Lane:
        if self.is_float:
            return Lane(self.f, self.f.emit(self.v.kind, f"fneg {self.v.kind} {self.v.name}"))
        return 0 - self

    # ----- bits; of masks, the logic -----

    def _bitwise(self, name: str, o: Any, swap: bool = False) -> Lane:
        if self.is_float:
            raise Unsupported(f"{name} of {self.v.kind}")
        a, b = self.v, self._with(o)
        return self._make(name, *((b, a) if swap else (a, b)))

    def __and__(self, o: Any) -> Lane:
        return self._bitwise("and", o)

    def __or__(self, o: Any) -> Lane:
        return self._bitwise("or", o)

    def __xor__(self, o: Any) -> Lane:
        return self._bitwise("xor", o)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def _shifted(self, name: str, a: Lane, o: Any) -> Lane:
        """Bits moved by each lane's own count; by all or more, none is left but the sign's."""
        b = o if isinstance(o, Lane) else a.number(o)
        last = BITS[a.element] - 1
        far = (b < 0) | (b > last)
        moved = a._make(name, a.v, a.f.select(far.v, b.number(last).v, a._with(b)))
        return select(far, a.number(0), moved) if name != "ashr" else moved

    def __lshift__(self, o: Any) -> Lane:
        return self._shifted("shl", self, o)

    def __rlshift__(self, o: Any) -> Lane:
        return self.number(o) << self

    def __rrshift__(self, o: Any) -> Lane:
        return self.number(o) >> self

    def __rshift__(self, o: Any) -> Lane:
        return self._shifted("lshr" if self.unsigned else "ashr", self, o)

    def __invert__(self) -> Lane:
        return self._bitwise("xor", True if self.is_mask else -1)

    # ----- comparisons -----

    def _compare(self, predicate: str, o: Any) -> Lane:
        if self.is_float:
            name = "une" if predicate == "ne" else f"o{predicate}"
            return Lane(self.f, self.f.compare(name, self.v, self._with(o)))
        if type(o) is float and (not math.isfinite(o) or o != int(o)):
            return convert_lane(self, np.float64)._compare(predicate, o)
        signed = "u" if self.unsigned or self.is_mask else "s"
        name = predicate if predicate in ("eq", "ne") else signed + predicate
        return Lane(self.f, self.f.compare(name, self.v, self._with(o)))

    def __gt__(self, o: Any) -> Lane:
        return self._compare("gt", o)

    def __lt__(self, o: Any) -> Lane:
        return self._compare("lt", o)

    def __ge__(self, o: Any) -> Lane:
        return self._compare("ge", o)

    def __le__(self, o: Any) -> Lane:
        return self._compare("le", o)

    def __eq__(self, o: Any) -> Lane:  # type: ignore[override]
        return self._compare("eq", o)

    def __ne__(self, o: Any) -> Lane:  # type: ignore[override]
        return self._compare("ne", o)

    # ----- quotients and remainders -----

    def __floordiv__(self, o: Any) -> Lane:
        return _quotient(self, o)

    def __rfloordiv__(self, o: Any) -> Lane:
        return _quotient(self.number(o), self)

    def __mod__(self, o: Any) -> Lane:
        return _remainder(self, o)

    # ----- bits of a float as whole numbers, and back -----

    def cast(self, operation: str, element: str) -> Lane:
        """One of LLVM's conversions: bitcast, sitofp, ..."""
        kind = vector(element, self.width)
        text = f"{operation} {self.v.kind} {self.v.name} to {kind}"
        return Lane(self.f, self.f.emit(kind, text))

    def bits(self) -> Lane:
        return self.cast("bitcast", "i32" if self.element == "float" else "i64")

    def shift(self, operation: str, count: int) -> Lane:
        """`shl`, `lshr` or `ashr` by a constant."""
        return self._make(operation, self.v, self.f.constant(self.v.kind, count))


def truth(f: Function, value: bool, width: int) -> Value:
    """A mask with one truth value in all lanes."""
    text = "true" if value else "false"
    return Value(f, vector("i1", width), text if width == 1 else f"splat (i1 {text})")


def select(condition: Lane, a: Lane, b: Lane) -> Lane:
    return Lane(a.f, a.f.select(condition.v, a.v, b.v), a.unsigned)


def _wrapped(x: int, like: Lane) -> int:
    """A number as the constant of a signed type of the lane's width, as IR text has it."""
    bits = BITS[like.element]
    x &= (1 << bits) - 1
    return x - (1 << bits) if x >> (bits - 1) else x


# ----- whole numbers divided as NumPy does -----


def _divided(a: Lane, o: Any) -> tuple[Lane, Lane, Lane]:
    """Quotient and remainder towards zero, and the divisor; by zero both count as zero."""
    b = o if isinstance(o, Lane) else a.number(o)
    a._with(b)
    if a.unsigned:
        safe = select(b == 0, b.number(1), b)
        q, r = a._make("udiv", a.v, safe.v), a._make("urem", a.v, safe.v)
    else:
        lowest = -(1 << (BITS[a.element] - 1))
        overflow = (a == lowest) & (b == -1)
        safe = select((b == 0) | overflow, b.number(1), b)
        q, r = a._make("sdiv", a.v, safe.v), a._make("srem", a.v, safe.v)
    zero = b == 0
    return select(zero, a.number(0), q), select(zero, a.number(0), r), b


def _quotient(a: Lane, o: Any) -> Lane:
    if a.is_float:
        from .formulas import LaneMath

        return LaneMath(a).floor_quotient(a, o)
    if a.is_mask:
        raise Unsupported("a floored quotient of truth values")
    q, r, b = _divided(a, o)
    if a.unsigned:
        return q
    return select((r != 0) & ((r ^ b) < 0), q - 1, q)


def _remainder(a: Lane, o: Any) -> Lane:
    """With the sign of the divisor."""
    if a.is_float or a.is_mask:
        raise Unsupported("a remainder of these")
    _, r, b = _divided(a, o)
    if a.unsigned:
        return r
    return select((r != 0) & ((r ^ b) < 0), r + b, r)


def truncated_remainder(a: Lane, o: Any) -> Lane:
    """With the sign of the dividend."""
    if a.is_float or a.is_mask:
        raise Unsupported("a remainder of these")
    return _divided(a, o)[1]


# ----- conversion -----


def convert_lane(x: Lane, dtype: Any) -> Lane:
    """The lane in the type that computes `dtype`, as `astype` converts.

    float16 and bfloat16 become float32 lanes rounded to their precision.
    """
    target, unsigned = element_of(dtype)
    if x.element == "double" and np.dtype(dtype).name == "float16":
        return rounded_to(_odd_single(x), dtype)
    return rounded_to(_to_element(x, target, unsigned), dtype)


def rounded_to(x: Lane, dtype: Any) -> Lane:
    """A float32 lane rounded as if it were stored in `dtype` and loaded again."""
    name = np.dtype(dtype).name
    if name == "bfloat16":
        return _widen_bfloat16(_to_bfloat16(x))
    if name == "float16":
        return _widen_half(_to_half(x))
    return x


def _to_element(x: Lane, target: str, unsigned: bool) -> Lane:
    if x.element == target:
        return Lane(x.f, x.v, unsigned)
    if target == "i1":
        return x != 0
    if x.is_mask:
        return x.cast("uitofp" if target in ("float", "double") else "zext", target)
    if target in ("float", "double"):
        if x.is_float:
            return x.cast("fpext" if target == "double" else "fptrunc", target)
        return x.cast("uitofp" if x.unsigned else "sitofp", target)
    if x.is_float:
        # narrow types take the low bits of an int32, as C compilers on this machine do
        whole = x.cast("fptosi", "i64" if target == "i64" else "i32")
        found = whole if whole.element == target else whole.cast("trunc", target)
    elif BITS[target] < BITS[x.element]:
        found = x.cast("trunc", target)
    else:
        found = x.cast("zext" if x.unsigned else "sext", target)
    return Lane(found.f, found.v, unsigned)


# ----- 16-bit floats -----


def _widen_bfloat16(bits: Lane) -> Lane:
    return bits.cast("zext", "i32").shift("shl", 16).cast("bitcast", "float")


def _to_bfloat16(x: Lane) -> Lane:
    """The upper half of a float32, rounded to the nearest even; i16 lanes."""
    bits = x.bits()
    odd = bits.shift("lshr", 16) & 1
    rounded = (bits + 0x7FFF + odd).shift("lshr", 16)
    quiet = bits.shift("lshr", 16) | 0x40
    return select(x != x, quiet, rounded).cast("trunc", "i16")


def _to_half(x: Lane) -> Lane:
    """float32 as the bits of float16, rounded to the nearest even; i16 lanes."""
    if _has_half():
        return x.cast("fptrunc", "half").cast("bitcast", "i16")
    bits = x.bits()
    size = bits & 0x7FFFFFFF
    normal = (size - (112 << 23) + 0xFFF + (size.shift("lshr", 13) & 1)).shift("lshr", 13)
    # beside 1/2 a float32 has just the digits that a subnormal float16 has
    small = (size.cast("bitcast", "float") + 0.5).bits() - 0x3F000000
    found = select(size < 0x38800000, small, normal)
    far = select(size > 0x7F800000, size.number(0x7E00), size.number(0x7C00))
    found = select(size >= 0x47800000, far, found)
    return (found | (bits.shift("lshr", 16) & 0x8000)).cast("trunc", "i16")


def _widen_half(bits: Lane) -> Lane:
    if _has_half():
        return bits.cast("bitcast", "half").cast("fpext", "float")
    wide = bits.cast("zext", "i32")
    size = (wide & 0x7FFF).shift("shl", 13)
    scaled = (size.cast("bitcast", "float") * 2.0**112).bits()
    found = select(size >= 0x7C00 << 13, size | 0x7F800000, scaled)
    return (found | (wide & 0x8000).shift("shl", 16)).cast("bitcast", "float")


def _has_half() -> bool:
    """Whether the CPU converts float16; LLVM would call a function that may not be there."""
    machine = features.machine()
    arm = machine.triple.split("-")[0] in ("aarch64", "arm64")
    return arm or "+f16c" in machine.features


def _odd_single(x: Lane) -> Lane:
    """float64 to float32 such that a second rounding sees what was lost: rounded to odd."""
    near = x.cast("fptrunc", "float")
    back = near.cast("fpext", "double")
    bits = near.bits()
    too_far = absolute(back) > absolute(x)
    bits = select(too_far, bits - 1, bits)
    bits = select(back != x, bits | 1, bits)
    return select(x == x, bits.cast("bitcast", "float"), near)


def absolute(x: Lane) -> Lane:
    """The size of floats."""
    bits = "f32" if x.element == "float" else "f64"
    name = f"@llvm.fabs.{bits if x.width == 1 else f'v{x.width}{bits}'}"
    kind = x.v.kind
    x.f.declarations.add(f"declare {kind} {name}({kind})")
    return Lane(x.f, x.f.emit(kind, f"call {kind} {name}({kind} {x.v.name})"))


# ----- memory -----


def memory_element(dtype: Any) -> str:
    """The IR type of one element of a dtype in memory: for addresses."""
    name = np.dtype(dtype).name
    return {"float16": "i16", "bfloat16": "i16", "bool": "i8"}.get(name) or element_of(dtype)[0]


def load_lane(f: Function, pointer: Value, dtype: Any, width: int) -> Lane:
    """`width` neighbours of a dtype from memory; bools come as a mask."""
    return _from_memory(f, _load(f, pointer, dtype, width), dtype)


def load_splat(f: Function, pointer: Value, dtype: Any, width: int) -> Lane:
    """One element of a dtype from memory in all lanes."""
    one = load_lane(f, pointer, dtype, 1)
    return Lane(f, f.splat(one.v, width), one.unsigned)


def store_lane(f: Function, x: Lane, pointer: Value, dtype: Any) -> None:
    """Store a lane that computes `dtype`; see `convert_lane` for lanes of another one."""
    value = memory_lane(x, dtype).v
    bytes_ = np.dtype(dtype).itemsize
    f.lines.append(f"  store {value.kind} {value.name}, ptr {pointer.name}, align {bytes_}")


def memory_lane(x: Lane, dtype: Any) -> Lane:
    """A lane in the form in which memory holds it."""
    name = np.dtype(dtype).name
    if x.element != element_of(dtype)[0]:
        if not (name in ("float16", "bfloat16") and x.element == "double"):
            raise Unsupported(f"{x.v.kind} stored as {name}")
        x = _odd_single(x) if name == "float16" else x.cast("fptrunc", "float")
    if name == "bool":
        return x.cast("zext", "i8")
    if name == "bfloat16":
        return _to_bfloat16(x)
    return _to_half(x) if name == "float16" else x


def _load(f: Function, pointer: Value, dtype: Any, width: int) -> Value:
    kind = vector(memory_element(dtype), width)
    return f.emit(kind, f"load {kind}, ptr {pointer.name}, align {np.dtype(dtype).itemsize}")


def _from_memory(f: Function, loaded: Value, dtype: Any) -> Lane:
    name = np.dtype(dtype).name
    lane = Lane(f, loaded, name == "uint8")
    if name == "bool":
        return lane != 0
    if name == "bfloat16":
        return _widen_bfloat16(lane)
    if name == "float16":
        return _widen_half(lane)
    return lane
