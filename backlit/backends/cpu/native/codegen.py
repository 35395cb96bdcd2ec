"""A small builder of LLVM IR text: values with arithmetic, loops, branches, vectors.

Owns how a kernel is written down. It knows neither the CPU (the vector width comes from
`features.py` through the caller) nor any operator. Kernels emit explicit vectors, so no
optimization pass is needed; `jit.py` compiles the text.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence

# Contraction into fused multiply-add is allowed, reordering of sums never.
FAST = "contract nsz"
# Some CPUs prefer 256-bit vectors, and LLVM would split wider ones in two.
ATTRIBUTES = 'nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'
BYTES = {"float": 4, "double": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8}


def vector(element: str, width: int) -> str:
    """Return the IR type of `width` lanes; one lane is the scalar itself."""
    return element if width == 1 else f"<{width} x {element}>"


def names(text: str) -> list[str]:
    """Split the names of a kernel's arguments, or of a record's fields."""
    return text.split()


def parameters(text: str) -> list[tuple[str, str]]:
    """Parse "ptr x, i64 count" into (kind, name) pairs."""
    return [(kind, name) for kind, name in (part.split() for part in text.split(","))]


def halves(vectors: int, width: int) -> list[tuple[int, int]]:
    """Return slice shapes from `vectors` whole vectors down to one lane."""
    shapes = [(v, width) for v in (vectors, 1)] if vectors > 1 else [(1, width)]
    while width > 1:
        width //= 2
        shapes.append((1, width))
    return shapes


@functools.cache
def _element(kind: str) -> str:
    return kind.split()[-1].rstrip(">")


@functools.cache
def _width(kind: str) -> int:
    return int(kind[1:].split()[0]) if kind[0] == "<" else 1


def _is_float(kind: str) -> bool:
    return _element(kind) in ("float", "double")


class Value:
    """One SSA value; arithmetic on it emits instructions into its function."""

    __slots__ = ("function", "kind", "name")

    def __init__(self, function: Function, kind: str, name: str) -> None:
        self.function, self.kind, self.name = function, kind, name

    def _binary(self, other: Operand, integer: str, real: str, swap: bool = False) -> Value:
        f = self.function
        a, b = self, f.constant(self.kind, other)
        a, b = (b, a) if swap else (a, b)
        op = f"{real} {FAST}" if _is_float(self.kind) else integer
        return f.emit(self.kind, f"{op} {self.kind} {a.name}, {b.name}")

    def __add__(self, other: Operand) -> Value:
        return self._binary(other, "add nsw", "fadd")

    def __sub__(self, other: Operand) -> Value:
        return self._binary(other, "sub nsw", "fsub")

    def __rsub__(self, other: Operand) -> Value:
        return self._binary(other, "sub nsw", "fsub", swap=True)

    def __mul__(self, other: Operand) -> Value:
        return self._binary(other, "mul nsw", "fmul")

    def __truediv__(self, other: Operand) -> Value:
        return self._binary(other, "", "fdiv")

    def __floordiv__(self, other: Operand) -> Value:
        return self._binary(other, "udiv", "")

    def __mod__(self, other: Operand) -> Value:
        return self._binary(other, "urem", "")

    def __and__(self, other: Operand) -> Value:
        return self._binary(other, "and", "")

    def __or__(self, other: Operand) -> Value:
        return self._binary(other, "or", "")

    __radd__, __rmul__ = __add__, __mul__


Operand = Value | int | float


class Function:
    """One function under construction: `ptr` and `i64` parameters, no result."""

    def __init__(self, name: str, parameters: Sequence[tuple[str, str]], private: bool = False):
        self.name, self.private = name, private
        self.parameters = tuple(parameters)
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self._count = 0
        self._block = "entry"
        self.values = {n: Value(self, kind, f"%{n}") for kind, n in parameters}

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    # instructions

    def emit(self, kind: str, text: str) -> Value:
        """Append an instruction and name its result."""
        name = f"%v{self._next()}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, kind, name)

    def constant(self, kind: str, number: Operand) -> Value:
        """Return `number` as a value of `kind`, splatted over a vector's lanes."""
        if isinstance(number, Value):
            return number
        element = _element(kind)
        text = _float_text(number, element) if _is_float(kind) else str(int(number))
        return Value(self, kind, text if kind[0] != "<" else f"splat ({element} {text})")

    def integer(self, number: Operand) -> Value:
        return self.constant("i64", number)

    def convert(self, op: str, value: Value, element: str) -> Value:
        """Apply a conversion (sext, trunc, fpext, fptrunc, sitofp) lane by lane."""
        kind = vector(element, _width(value.kind))
        return self.emit(kind, f"{op} {value.kind} {value.name} to {kind}")

    def compare(self, predicate: str, a: Value, b: Operand) -> Value:
        """Compare lane by lane: slt, eq, ... for integers, ogt, uno, ... for reals."""
        op = "fcmp" if _is_float(a.kind) else "icmp"
        right = self.constant(a.kind, b)
        kind = vector("i1", _width(a.kind))
        return self.emit(kind, f"{op} {predicate} {a.kind} {a.name}, {right.name}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """Choose lane by lane, or between whole values by one scalar condition."""
        text = f"select {condition.kind} {condition.name}, {a.kind} {a.name}, {b.kind} {b.name}"
        return self.emit(a.kind, text)

    def smaller(self, a: Value, b: Operand) -> Value:
        b = self.integer(b)
        return self.select(self.compare("slt", a, b), a, b)

    def larger(self, a: Value, b: Operand) -> Value:
        b = self.integer(b)
        return self.select(self.compare("sgt", a, b), a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a * b + c, fused where the CPU can."""
        lanes = _width(a.kind)
        bits = "f32" if _element(a.kind) == "float" else "f64"
        name = f"@llvm.fmuladd.{bits if lanes == 1 else f'v{lanes}{bits}'}"
        kind = a.kind
        self.declarations.add(f"declare {kind} {name}({kind}, {kind}, {kind})")
        return self.emit(
            kind, f"call {FAST} {kind} {name}({kind} {a.name}, {kind} {b.name}, {kind} {c.name})"
        )

    def splat(self, value: Value, width: int) -> Value:
        if width == 1:
            return value
        kind = vector(value.kind, width)
        one = self.emit(kind, f"insertelement {kind} poison, {value.kind} {value.name}, i64 0")
        mask = f"<{width} x i32> zeroinitializer"
        return self.emit(kind, f"shufflevector {kind} {one.name}, {kind} poison, {mask}")

    def lanes(self, value: Value, first: int, count: int) -> Value:
        """Return `count` neighbouring lanes of a vector, from lane `first` on."""
        if count == 1:
            element = _element(value.kind)
            return self.emit(element, f"extractelement {value.kind} {value.name}, i64 {first}")
        return self.shuffle(value, value, range(first, first + count))

    def shuffle(self, a: Value, b: Value, picks: Sequence[int]) -> Value:
        """Return the picked lanes; the lanes of b are numbered after those of a."""
        kind = vector(_element(a.kind), len(picks))
        mask = ", ".join(f"i32 {i}" for i in picks)
        text = f"shufflevector {a.kind} {a.name}, {b.kind} {b.name}, <{len(picks)} x i32> <{mask}>"
        return self.emit(kind, text)

    def call(self, callee: Function, *arguments: Value) -> None:
        text = ", ".join(f"{a.kind} {a.name}" for a in arguments)
        self.lines.append(f"  call void @{callee.name}({text})")

    def next_ticket(self, counter: Value) -> Value:
        """Add one to a counter that threads share; return what it was."""
        return self.emit("i64", f"atomicrmw add ptr {counter.name}, i64 1 monotonic")

    # memory; offsets count elements

    def at(self, pointer: Value, offset: Operand, element: str) -> Value:
        if isinstance(offset, int) and offset == 0:
            return pointer
        index = self.integer(offset)
        return self.emit("ptr", f"getelementptr {element}, ptr {pointer.name}, i64 {index.name}")

    def load(self, pointer: Value, kind: str) -> Value:
        align = BYTES.get(_element(kind), 8)
        return self.emit(kind, f"load {kind}, ptr {pointer.name}, align {align}")

    def store(self, value: Value, pointer: Value) -> None:
        align = BYTES.get(_element(value.kind), 8)
        self.lines.append(f"  store {value.kind} {value.name}, ptr {pointer.name}, align {align}")

    def prefetch(self, pointer: Value) -> None:
        """Bring the cache line that will soon be read."""
        self.declarations.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        text = f"call void @llvm.prefetch.p0(ptr {pointer.name}, i32 0, i32 3, i32 1)"
        self.lines.append(f"  {text}")

    def store_lanes(self, value: Value, pointer: Value, count: Value) -> None:
        """Store the first `count` lanes (fewer than all), halving the vector as it goes."""
        element, half = _element(value.kind), _width(value.kind) // 2
        while half:
            low = self.lanes(value, 0, half)

            def put(low: Value = low, pointer: Value = pointer) -> None:
                self.store(low, pointer)

            bit = self.compare("ne", count & half, 0)
            self.when(bit, put)
            if half > 1:
                # lanes that were stored make room for the next ones
                shifted = self.lanes(value, half, half)
                value = self.select(bit, shifted, low)
                pointer = self.at(pointer, count & half, element)
            half //= 2

    # control flow

    def loop(
        self,
        start: Operand,
        stop: Operand,
        step: Operand,
        body: Callable[..., Sequence[Value] | None],
        carried: Sequence[Value] = (),
    ) -> list[Value]:
        """Run `body(i, *carried)` for i in range(start, stop, step); return the last carried."""
        start, stop, step = self.integer(start), self.integer(stop), self.integer(step)
        head, done = self._label("loop"), self._label("done")
        before = self._block
        self._branch_if(self.compare("slt", start, stop), head, done)
        self._open(head)
        mark = len(self.lines)
        i = Value(self, "i64", f"%i{self._next()}")
        inside = [Value(self, v.kind, f"%c{self._next()}") for v in carried]
        after = list(body(i, *inside) or ())
        following = i + step
        latch = self._block
        self._branch_if(self.compare("slt", following, stop), head, done)
        self.lines[mark:mark] = [
            f"  {new.name} = phi {new.kind} [ {a.name}, %{before} ], [ {b.name}, %{latch} ]"
            for new, a, b in zip((i, *inside), (start, *carried), (following, *after), strict=True)
        ]
        self._open(done)
        return [
            self.emit(a.kind, f"phi {a.kind} [ {a.name}, %{before} ], [ {b.name}, %{latch} ]")
            for a, b in zip(carried, after, strict=True)
        ]

    def when(
        self,
        condition: Value,
        then: Callable[[], object],
        otherwise: Callable[[], object] | None = None,
    ) -> None:
        """Run `then()` where the scalar condition holds, else `otherwise()` if given."""
        yes, done = self._label("then"), self._label("done")
        no = self._label("else") if otherwise else done
        self._branch_if(condition, yes, no)
        self._open(yes)
        then()
        self.lines.append(f"  br label %{done}")
        if otherwise:
            self._open(no)
            otherwise()
            self.lines.append(f"  br label %{done}")
        self._open(done)

    def each_slice(
        self, count: Value, shapes: Sequence[tuple[int, int]], body: Callable[..., None]
    ) -> None:
        """Cover `count` neighbours by slices; `shapes` are (vectors, lanes), largest first.

        Calls `body(start, vectors, lanes)`; each shape takes what those before it left.
        """
        start = self.integer(0)
        for vectors, lanes in shapes:
            size = vectors * lanes
            stop = count - (count - start) % size if size > 1 else count
            self.loop(start, stop, size, lambda i, v=vectors, n=lanes: body(i, v, n))
            start = stop

    def text(self) -> str:
        parameters = ", ".join(f"{kind} %{name}" for kind, name in self.parameters)
        linkage = "internal " if self.private else ""
        body = "\n".join(self.lines)
        return (
            f"define {linkage}void @{self.name}({parameters}) {ATTRIBUTES} {{\n"
            f"entry:\n{body}\n  ret void\n}}\n"
        )

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _label(self, stem: str) -> str:
        return f"{stem}{self._next()}"

    def _open(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self._block = label

    def _branch_if(self, condition: Value, yes: str, no: str) -> None:
        self.lines.append(f"  br i1 {condition.name}, label %{yes}, label %{no}")


class Kernel(Function):
    """A function that threads run together, each drawing the number of its next chunk.

    Its arguments lie in one array of 64-bit words, read by field name; see `threads.py`.
    """

    PARAMETERS = (("ptr", "words"), ("ptr", "counter"), ("i64", "chunks"), ("i64", "worker"))

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        super().__init__(name, self.PARAMETERS)
        self.fields = {field: i for i, field in enumerate(fields)}

    def field(self, name: str, kind: str = "i64") -> Value:
        """Load one argument: an `i64`, a `ptr` or a `double`."""
        return self.load(self.at(self["words"], self.fields[name], "i64"), kind)

    def each_chunk(self, body: Callable[[Value], None]) -> None:
        head, inside, done = self._label("draw"), self._label("chunk"), self._label("end")
        self.lines.append(f"  br label %{head}")
        self._open(head)
        chunk = self.next_ticket(self["counter"])
        self._branch_if(self.compare("slt", chunk, self["chunks"]), inside, done)
        self._open(inside)
        body(chunk)
        self.lines.append(f"  br label %{head}")
        self._open(done)


def module(functions: Sequence[Function]) -> str:
    """Join functions into the text of one module."""
    declarations = sorted(set().union(*(f.declarations for f in functions)))
    return "\n".join([*declarations, *(f.text() for f in functions)])


def _float_text(number: float, element: str) -> str:
    if element == "float":
        number = struct.unpack("<f", struct.pack("<f", number))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
