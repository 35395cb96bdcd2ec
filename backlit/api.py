"""The public names: every operator's function, placed where its class says.

Reads the registry once and fills the namespaces (`bl`, `Tensor`, `F`, `linalg`, `special`);
attaches the methods, their in-place forms and Python's arithmetic to Tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit import ops as ops
from backlit import outputs
from backlit.autograd import record
from backlit.backends import eager
from backlit.ops.elementwise import (
    Add,
    BitwiseAnd,
    BitwiseLeftShift,
    BitwiseNot,
    BitwiseOr,
    BitwiseRightShift,
    BitwiseXor,
    Div,
    Eq,
    FloorDivide,
    Ge,
    Gt,
    Le,
    Lt,
    Mul,
    Ne,
    Neg,
    Pow,
    Remainder,
    Sub,
)  # fmt: skip
from backlit.ops.index import IndexPut, getitem, parse
from backlit.ops.mask import MaskedFill, whole_mask
from backlit.ops.op import FUNCTIONS, REGISTRY, Elementwise, slot
from backlit.ops.shape import Permute
from backlit.spelling import accept
from backlit.tensor import Tensor

NAMESPACES: dict[str, dict[str, Callable[..., Any]]] = {
    "bl": {}, "Tensor": {}, "F": {}, "linalg": {}, "special": {},
}  # fmt: skip


def names(owner: str) -> list[str]:
    """The public names of a namespace, or of Tensor."""
    if owner == "Tensor":
        return [n for n in dir(Tensor) if not n.startswith("_")]
    if owner in ("backlit", "bl"):
        import backlit

        return dir(backlit)
    return list(NAMESPACES.get("F" if owner == "nn.functional" else owner, {}))


def _place(namespaces: str, public: tuple[str, ...], function: Callable[..., Any]) -> None:
    for space in namespaces.split():
        for name in public:
            NAMESPACES[space][name] = function


def _publish_operators() -> None:
    for op in REGISTRY.values():
        function = getattr(op, "call", None)
        if function is None or not op.exports:
            continue
        name = getattr(op, "public", op.name)
        function.__name__ = function.__qualname__ = name
        function.__module__ = __name__
        function.__doc__ = op.__doc__
        function.operator = op
        _place(op.exports, (name, *op.aliases), function)
        if issubclass(op, Elementwise) and "Tensor" in op.exports.split():
            _publish_in_place(op, (name, *op.aliases))
    for namespaces, public, function in FUNCTIONS:
        _place(namespaces, public, function)
    spelled = {f: accept(f) for space in NAMESPACES.values() for f in space.values()}
    for space in NAMESPACES.values():
        space.update({name: spelled[f] for name, f in space.items()})
    functions = NAMESPACES["bl"]  # methods have no `out`, in PyTorch neither
    writing = {f: outputs.accept(f) for f in functions.values() if f.__name__[-1] != "_"}
    functions.update({name: writing.get(f, f) for name, f in functions.items()})


def _publish_in_place(op: Any, public: tuple[str, ...]) -> None:
    """`name_`: the operator into its own first input."""
    call, writes = op.call, "into" in vars(op)

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if writes and not kwargs and len(args) + 1 == len(op.inputs):
            return record.in_place(op, self, *args)
        record.refuse_leaf(self, op.name + "_")
        return record.refill(self, call(self, *args, **kwargs))

    in_place.__name__ = in_place.__qualname__ = public[0] + "_"
    in_place.__doc__ = f"`{public[0]}`, in place."
    for name in public:
        NAMESPACES["Tensor"].setdefault(name + "_", in_place)
        if len(op.inputs) == 1 and "bl" in op.exports.split():
            NAMESPACES["bl"].setdefault(name + "_", in_place)  # PyTorch's `torch.exp_(x)`


_OPERANDS = (Tensor, int, float, bool, np.ndarray, np.generic)


def _binary(op: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    apply = record.apply

    def forward(self: Tensor, other: Any) -> Any:
        return apply(op, self, other) if isinstance(other, _OPERANDS) else NotImplemented

    def reflected(self: Tensor, other: Any) -> Any:
        return apply(op, other, self) if isinstance(other, _OPERANDS) else NotImplemented

    return forward, reflected


def _attach_arithmetic() -> None:
    cls: Any = Tensor  # what the stubs declare is attached here
    table = {"add": Add, "sub": Sub, "mul": Mul, "truediv": Div, "floordiv": FloorDivide,
             "mod": Remainder, "pow": Pow, "and": BitwiseAnd, "or": BitwiseOr, "xor": BitwiseXor,
             "lshift": BitwiseLeftShift, "rshift": BitwiseRightShift}  # fmt: skip
    for name, op in table.items():
        forward, reflected = _binary(op)
        setattr(cls, f"__{name}__", forward)
        setattr(Tensor, f"__r{name}__", reflected)
        setattr(Tensor, f"__i{name}__", _augmented(op))
    for name, op in {"lt": Lt, "le": Le, "gt": Gt, "ge": Ge, "eq": Eq, "ne": Ne}.items():
        setattr(cls, f"__{name}__", _binary(op)[0])
    cls.__hash__ = object.__hash__
    methods = NAMESPACES["Tensor"]
    cls.__neg__ = lambda self: record.apply(Neg, self)
    cls.__invert__ = lambda self: record.apply(BitwiseNot, self)
    cls.__pos__ = lambda self: self
    cls.__abs__ = methods["abs"]
    cls.__matmul__ = methods["matmul"]
    cls.__rmatmul__ = lambda self, other: (
        methods["matmul"](slot.wrap(np.asarray(other)), self)
        if isinstance(other, _OPERANDS)
        else NotImplemented
    )
    cls.__getitem__ = getitem
    cls.__setitem__ = setitem


def _augmented(op: Any) -> Callable[..., Any]:
    def in_place(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return record.in_place(op, self, other)

    return in_place


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`, recorded where a gradient is due."""
    if isinstance(value, (list, tuple)):
        value = np.asarray(value)
    if isinstance(value, Tensor) and value.dtype is not self.dtype:
        value = value.to(self.dtype)  # type: ignore[attr-defined]
    mask = whole_mask(self, index, value)
    if mask is not None:
        record.in_place(MaskedFill, self, mask, value)
        return
    parts, tensors = parse(index, self.cell.array.shape)
    indices = [slot.wrap(np.asarray(t)) if not isinstance(t, Tensor) else t for t in tensors]
    record.in_place(IndexPut, self, value, *indices, parts=parts, accumulate=False)


def _swapped(self: Tensor, dims: tuple[int, ...]) -> Tensor:
    return record.apply(Permute, self, dims=dims)


def _transposed(self: Tensor) -> Tensor:
    return _swapped(self, tuple(reversed(range(self.ndim))))


def _matrix_transposed(self: Tensor) -> Tensor:
    from backlit.errors import ShapeError

    if self.ndim < 2:
        raise ShapeError(f"mT: a tensor of {self.ndim} axes is not a matrix")
    return _swapped(self, (*range(self.ndim - 2), self.ndim - 1, self.ndim - 2))


def attach() -> None:
    """Fill the namespaces and Tensor; done once, when `backlit` is imported."""
    _publish_operators()
    for name, function in NAMESPACES["Tensor"].items():
        if name not in vars(Tensor):
            setattr(Tensor, name, function)
    cls: Any = Tensor
    cls.T = property(_transposed, doc="The axes in reverse order.")
    cls.mT = cls.H = cls.mH = property(_matrix_transposed, doc="The last two axes swapped.")
    _attach_arithmetic()
    eager.install()


attach()
