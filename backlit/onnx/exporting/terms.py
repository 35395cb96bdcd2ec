"""Terms, the values that ONNX nodes are built of, and the Builder that collects the nodes.

Terms compute with Python's operators like arrays do, so rules and formulas read as mathematics.
Numbers beside a Term take its dtype. Read next: formulas.py, lowering.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import NotAvailable
from backlit.onnx.exporting.graph import Body, Node, Port, renamed
from backlit.ops.op import Spec
from backlit.program.ir import Instr

Binary = Callable[[Any, Any], Any]

# ----- what Python's operators mean -----


def common(a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands in the dtype in which they meet."""
    specs = [Spec((), x.dtype) if isinstance(x, Term) else x for x in (a, b)]
    specs = [s._replace(shape=(1,)) if isinstance(s, Spec) else s for s in specs]
    met = dt.result_type(*specs)
    g = a.g if isinstance(a, Term) else b.g
    return tuple(x.to(met) if isinstance(x, Term) else g.constant(x, met) for x in (a, b))  # type: ignore[return-value]


def _arithmetic(op: str) -> Binary:
    def compute(a: Any, b: Any) -> Term:
        a, b = common(a, b)
        if op == "Div" and not a.dtype.is_floating_point:
            a, b = a.to(dt.get_default_dtype()), b.to(dt.get_default_dtype())
        if a.dtype is dt.bool_:  # sums and products of bools are theirs as numbers, cut off
            return a.g({"Add": "Or", "Mul": "And"}[op], a, b)
        return a.g(op, a, b)

    return compute


def _relation(op: str) -> Binary:
    def compare(a: Any, b: Any) -> Term:
        a, b = common(a, b)
        if op != "Equal" and a.dtype in (dt.bool_, dt.int16, dt.int8, dt.uint8):
            a, b = a.to(dt.int32), b.to(dt.int32)  # what every runtime compares
        return a.g(op, a, b, dtype=dt.bool_)

    return compare


def _bits(logical: str, bitwise: str) -> Binary:
    def combine(a: Any, b: Any) -> Term:
        a, b = common(a, b)
        return a.g(logical if a.dtype is dt.bool_ else bitwise, a, b)

    return combine


def _shift(left: bool) -> Binary:
    def shift(a: Any, b: Any) -> Term:
        a, b = common(a, b)
        g, bits = a.g, 8 * a.dtype.itemsize - 1
        whole = (b >= 0) & (b <= bits - (not left))
        power = g("Pow", g.constant(2, a.dtype), g.where(whole, b, 0))
        if left:
            return g.where(whole, a * power, 0)
        return g.where(whole, a // power, g.where(a < 0, g.constant(-1, a.dtype), 0))

    return shift


def _floor_quotient(a: Any, b: Any) -> Term:
    """Exact also where the rounded quotient reaches the next whole number."""
    a, b = common(a, b)
    rest = a - a % b
    return a.g("Round", rest / b) if a.dtype.is_floating_point else a.g("Div", rest, b)


def _remainder(a: Any, b: Any) -> Term:
    """With the sign of the divisor."""
    a, b = common(a, b)
    if not a.dtype.is_floating_point:
        return a.g("Mod", a, b)
    rest = a.g("Mod", a, b, fmod=1)
    turn = (rest != 0) & ((rest < 0) ^ (b < 0))
    return a.g("Where", turn, rest + b, rest, dtype=a.dtype)


def _power(a: Any, b: Any) -> Term:
    return (a if isinstance(a, Term) else b).g.power(a, b)


def _different(a: Any, b: Any) -> Term:
    return a.g("Not", a == b)


def _sides(function: Binary) -> tuple[Binary, Binary]:
    """An operator, and the one for a Term on its right side."""
    return function, lambda a, b: function(b, a)


class Term:
    """A value of the graph; `shape` is known for those that the Program names."""

    __slots__ = ("dtype", "g", "name", "shape")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, g: Builder, name: str, dtype: dt.dtype, shape: tuple[int, ...] = ()):
        self.g, self.name, self.dtype, self.shape = g, name, dtype, shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def to(self, dtype: dt.dtype) -> Term:
        """Converted, or the same where nothing changes."""
        if dtype is self.dtype:
            return self
        if dtype is dt.bool_ and self.dtype is not dt.bool_:
            return self != 0  # runtimes differ in how they cast NaN
        return self.g("Cast", self, to=dtype, dtype=dtype)

    def __neg__(self) -> Term:
        return 0 - self if self.dtype.kind == "u" else self.g("Neg", self)

    def __invert__(self) -> Term:
        return self.g("Not" if self.dtype is dt.bool_ else "BitwiseNot", self)

    __add__, __radd__ = _sides(_arithmetic("Add"))
    __sub__, __rsub__ = _sides(_arithmetic("Sub"))
    __mul__, __rmul__ = _sides(_arithmetic("Mul"))
    __truediv__, __rtruediv__ = _sides(_arithmetic("Div"))
    __floordiv__, __rfloordiv__ = _sides(_floor_quotient)
    __mod__, __rmod__ = _sides(_remainder)
    __pow__, __rpow__ = _sides(_power)
    __and__, __rand__ = _sides(_bits("And", "BitwiseAnd"))
    __or__, __ror__ = _sides(_bits("Or", "BitwiseOr"))
    __xor__, __rxor__ = _sides(_bits("Xor", "BitwiseXor"))
    __lshift__, __rlshift__ = _sides(_shift(True))
    __rshift__, __rrshift__ = _sides(_shift(False))
    __eq__ = _relation("Equal")  # type: ignore[assignment]
    __ne__ = _different  # type: ignore[assignment]
    __lt__, __gt__ = _relation("Less"), _relation("Greater")
    __le__, __ge__ = _relation("LessOrEqual"), _relation("GreaterOrEqual")


class Builder:
    """Collects nodes and constants. Calling it applies an ONNX operator: `g("Relu", x)`."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.instr = Instr("", (), ())
        self.wanted: tuple[bool, ...] = ()  # which outputs of the instruction are read
        self.known: dict[str, Term] = {}  # the Terms of the Program's values
        self.stem, self._count = "", 0

    def start(self, instr: Instr, wanted: tuple[bool, ...]) -> None:
        """What follows belongs to this instruction."""
        self.instr, self.wanted = instr, wanted
        self.stem = next((v.name for v in instr.outputs if v is not None), instr.op)

    def fresh(self, what: str) -> str:
        self._count += 1
        return f"{self.stem}/{what}_{self._count}"

    def __call__(self, op: str, *inputs: Any, dtype: dt.dtype | None = None, outputs: int = 1,
                 shape: tuple[int, ...] = (), **attributes: Any) -> Any:  # fmt: skip
        """Apply an operator: its Term, or a tuple of them for several outputs.

        Numbers among the inputs take the dtype of the first Term, sequences are int64.
        """
        first = next((x.dtype for x in inputs if isinstance(x, Term)), dt.int64)
        given = list(inputs)
        while given and given[-1] is None:
            del given[-1]  # an absent input at the end is not written
        names = tuple("" if x is None else self.term(x, first).name for x in given)
        made = [Term(self, self.fresh(op), dtype or first, shape) for _ in range(outputs)]
        node = Node(op, names, tuple(t.name for t in made), attributes,
                    self.instr.module, self.instr.line)  # fmt: skip
        self.nodes.append(node)
        return made[0] if outputs == 1 else tuple(made)

    def term(self, x: Any, dtype: dt.dtype) -> Term:
        """A Term of what a rule has at hand: a Term, an array, a number or a sequence of sizes."""
        if isinstance(x, Term):
            return x
        if isinstance(x, (list, tuple)):
            return self.constant(np.array(x, np.int64), dt.int64)
        return self.constant(x, dt.of_array(x) if isinstance(x, np.ndarray) else dtype)

    def constant(self, value: Any, dtype: dt.dtype) -> Term:
        """An array or number as a constant of the graph."""
        with np.errstate(all="ignore"):
            array = np.asarray(value).astype(dtype.numpy)
        name = self.fresh("constant")
        self.constants[name] = array
        return Term(self, name, dtype, array.shape)

    def named(self, made: Term, name: str, since: int) -> None:
        """Give a Term made by one of the latest nodes its own name."""
        for node in self.nodes[since:]:
            renamed(node, {made.name: name})
        made.name = name

    def inner(self) -> Builder:
        """A builder for a body: it shares the constants and the names."""
        made = Builder(self.opset)
        made.constants, made._count = self.constants, self._count
        made.stem = f"{self.stem}/body"
        return made

    def body(self, inner: Builder, inputs: list[Port], outputs: list[Port]) -> Body:
        """The graph that an inner builder has collected."""
        self._count = inner._count
        return Body(inputs, inner.nodes, outputs)

    def out(self, index: int = 0) -> Any:
        """The Value that the instruction makes."""
        return self.instr.outputs[index]

    # ----- what many rules need -----

    def power(self, a: Any, b: Any) -> Term:
        a, b = common(a, b)
        return self("Pow", a, b)

    def where(self, condition: Term, a: Any, b: Any) -> Term:
        a, b = common(a, b)
        if a.dtype is dt.bool_:
            return (condition & a) | (~condition & b)
        if a.dtype in (dt.int8, dt.int16):  # no runtime chooses between these
            return self("Where", condition, a.to(dt.int32), b.to(dt.int32)).to(a.dtype)
        return self("Where", condition, a, b, dtype=a.dtype)

    def reshape(self, x: Term, shape: Sequence[int]) -> Term:
        shape = tuple(shape)
        if 0 in shape:  # without this ONNX reads a 0 as `keep`
            return self("Reshape", x, shape, allowzero=1, shape=shape)
        return self("Reshape", x, shape, shape=shape)

    def filled(self, shape: Sequence[int], value: float, kind: dt.dtype) -> Term:
        """One value everywhere."""
        value_of_one = np.array([value], kind.numpy)
        return self("ConstantOfShape", tuple(shape), value=value_of_one, dtype=kind,
                    shape=tuple(shape))  # fmt: skip

    def transpose(self, x: Term, perm: Sequence[int]) -> Term:
        perm = tuple(perm)
        if perm == tuple(range(len(perm))):
            return x
        shape = tuple(x.shape[p] for p in perm) if x.ndim == len(perm) else ()
        return self("Transpose", x, perm=perm, shape=shape)

    def matrix_transposed(self, x: Term, ndim: int) -> Term:
        return self.transpose(x, (*range(ndim - 2), ndim - 1, ndim - 2))

    def reduce(self, kind: str, x: Term, dims: Sequence[int], keepdim: bool) -> Term:
        if not dims:
            return x
        return self(f"Reduce{kind}", x, tuple(dims), keepdims=int(keepdim))

    def cut(self, x: Term, axis: int, start: int, stop: int, step: int = 1) -> Term:
        return self("Slice", x, (start,), (stop,), (axis,), (step,))

    def pick(self, x: Term, axis: int, i: int) -> Term:
        """One position of an axis, without the axis."""
        return self("Gather", x, np.array(i, np.int64), axis=axis)

    def refuse(self, why: str, hint: str | None = None) -> NotAvailable:
        """The error of an instruction that can't be exported, with its place."""
        return refusal(self.instr, why, hint)


def refusal(instr: Instr, why: str, hint: str | None = None) -> NotAvailable:
    """`svd: no ONNX operator computes it`, with the line and the module."""
    error = NotAvailable(f"onnx.export: {instr.op}: {why}", hint=hint)
    place = " in ".join(x for x in (instr.line, instr.module) if x)
    error.place(place)
    return error
