"""Products by PyTorch's other names: mm, bmm, addmm, dot, outer, kron, cross, tensordot.

All lead to Matmul or to elementwise products, but `cross`, which is its own gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.matmul import Matmul
from backlit.ops.op import (
    Composite,
    Operator,
    Spec,
    apply,
    broadcast_shapes,
    export,
    normalize_axis,
    slot,
)  # fmt: skip
from backlit.ops.shape import Permute, Reshape


def _need(name: str, **wanted: tuple[Any, int]) -> None:
    """Refuse tensors with another number of axes."""
    for argument, (x, ndim) in wanted.items():
        if not hasattr(x, "cell"):
            raise ArgumentTypeError(f"{name}: {argument} must be a tensor, not {type(x).__name__}")
        if x.ndim != ndim:
            shape = tuple(x.shape)
            raise ShapeError(f"{name}: {argument} must have {ndim} axes, got shape {shape}",
                             hint="bl.matmul takes every rank and broadcasts")  # fmt: skip


@export("bl Tensor")
def mm(input, mat2):
    """The product of two matrices.

    >>> bl.mm(bl.eye(2), bl.ones(2, 1)).tolist()
    [[1.0], [1.0]]
    """
    _need("mm", input=(input, 2), mat2=(mat2, 2))
    return apply(Matmul, input, mat2)


@export("bl Tensor")
def mv(input, vec):
    """The product of a matrix and a vector.

    >>> bl.mv(bl.eye(2), bl.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    _need("mv", input=(input, 2), vec=(vec, 1))
    return apply(Matmul, input, vec.unsqueeze(1)).squeeze(1)


@export("bl Tensor")
def bmm(input, mat2):
    """The products of two batches of matrices, of equal size.

    >>> bl.bmm(bl.ones(5, 2, 3), bl.ones(5, 3, 4)).shape
    backlit.Size([5, 2, 4])
    """
    _need("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: batches of {input.shape[0]} and {mat2.shape[0]}")
    return apply(Matmul, input, mat2)


class Dot(Composite):
    """The sum of the products of two vectors.

    >>> bl.dot(bl.tensor([1.0, 2.0]), bl.tensor([3.0, 4.0]))
    tensor(11.)
    """

    aliases = ("vdot",)

    def expand(input, other):
        _need("dot", input=(input, 1), other=(other, 1))
        if input.shape != other.shape:
            raise ShapeError(f"dot: vectors of {input.shape[0]} and {other.shape[0]} elements")
        if input.dtype is not other.dtype:
            raise DTypeError(f"dot: {input.dtype.name} and {other.dtype.name} differ")
        return (input * other).sum(dtype=input.dtype)


class Outer(Composite):
    """All products of the elements of two vectors, as a matrix.

    >>> bl.outer(bl.tensor([1, 2]), bl.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """

    aliases = ("ger",)

    def expand(input, vec2):
        _need("outer", input=(input, 1), vec2=(vec2, 1))
        return input.unsqueeze(1) * vec2

    def latex(a, b):
        return rf"{a} {b}^{{\top}}"


class Inner(Composite):
    """The products over the last axes: of every row of one with every row of the other.

    >>> bl.inner(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), bl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """

    def expand(input, other):
        if not input.ndim or not other.ndim:
            return input * other
        if input.shape[-1] != other.shape[-1]:
            raise ShapeError(f"inner: last axes differ: {input.shape} and {other.shape}")
        return Tensordot.call(input, other, ([-1], [-1]))


class Kron(Composite):
    """The Kronecker product: every element of the first times the whole second.

    >>> bl.kron(bl.tensor([1, 2]), bl.tensor([1, 1]))
    tensor([1, 1, 2, 2])
    """

    def expand(input, other):
        ndim = max(input.ndim, other.ndim)
        a = (1,) * (ndim - input.ndim) + tuple(input.shape)
        b = (1,) * (ndim - other.ndim) + tuple(other.shape)
        left = apply(Reshape, input, shape=tuple(n for size in a for n in (size, 1)))
        right = apply(Reshape, other, shape=tuple(n for size in b for n in (1, size)))
        return apply(Reshape, left * right, shape=tuple(m * n for m, n in zip(a, b)))

    def latex(a, b):
        return rf"{a} \otimes {b}"


class Tensordot(Composite):
    """The sum of products over pairs of axes: a number of them, or two lists.

    >>> bl.tensordot(bl.ones(2, 3), bl.ones(3, 4), dims=1).shape
    backlit.Size([2, 4])
    """

    exports = "bl"

    def expand(a, b, dims=2, out=None):
        left, right = _paired(a, b, dims)
        free_a = [i for i in range(a.ndim) if i not in left]
        free_b = [i for i in range(b.ndim) if i not in right]
        shape = (*(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b))
        inner = math.prod(a.shape[i] for i in left)
        first = _matrix(a, [*free_a, *left], (math.prod(a.shape[i] for i in free_a), inner))
        second = _matrix(b, [*right, *free_b], (inner, math.prod(b.shape[i] for i in free_b)))
        return apply(Reshape, apply(Matmul, first, second), shape=shape)


def _matrix(x: Any, order: list[int], shape: tuple[int, int]) -> Any:
    if order != sorted(order):
        x = apply(Permute, x, dims=tuple(order))
    return apply(Reshape, x, shape=shape)


def _paired(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The axes of each that are summed over, in pairs."""
    if hasattr(dims, "cell"):
        dims = dims.tolist()
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ArgumentError(f"tensordot: dims={dims} for tensors of {a.ndim} and {b.ndim} axes")
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        pair = [[d] if isinstance(d, int) else list(d) for d in dims]
        left = [normalize_axis(d, a.ndim) for d in pair[0]]
        right = [normalize_axis(d, b.ndim) for d in pair[1]]
    sizes = [a.shape[i] for i in left], [b.shape[j] for j in right]
    if sizes[0] != sizes[1]:
        raise ShapeError(f"tensordot: axes of sizes {sizes[0]} and {sizes[1]} do not pair")
    return left, right


class Cross(Operator):
    """The cross product of vectors of three elements along an axis.

    >>> bl.cross(bl.tensor([1, 0, 0]), bl.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])
    """

    exports = "bl Tensor"
    inputs = ("a", "b")

    def call(input, other, dim=None):
        return cross_along(input, other, dim)

    def infer(a, b, *, dim):
        shape = broadcast_shapes(a.shape, b.shape)
        if shape[dim] != 3:
            raise ShapeError(f"axis {dim} must have 3 elements, got shape {shape}")
        return Spec(shape, a.dtype)

    def forward(a, b, *, dim):
        a, b = (np.moveaxis(x, dim, 0) for x in np.broadcast_arrays(a, b))
        made = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
        return np.stack(made, axis=dim)

    def grad_a(g, b, dim):
        return apply(Cross, b, g, dim=dim)

    def grad_b(g, a, dim):
        return apply(Cross, g, a, dim=dim)

    def latex(a, b, *, dim):
        return rf"{a} \times {b}"


def cross_along(a: Any, b: Any, dim: int | None) -> Any:
    """The cross product; without an axis along the first that has three elements."""
    from backlit import dtypes as dt
    from backlit.ops.shape import to

    if a.ndim != b.ndim:
        raise ShapeError(f"cross: tensors of {a.ndim} and {b.ndim} axes")
    if dim is None:
        shape = broadcast_shapes(tuple(a.shape), tuple(b.shape))
        if 3 not in shape:
            raise ShapeError(f"cross: no axis of {shape} has 3 elements")
        dim = shape.index(3)
    common = dt.promote_types(a.dtype, b.dtype)
    return apply(Cross, to(a, common), to(b, common), dim=normalize_axis(dim, a.ndim))


# ----- beta * input + alpha * product -----


def _added(name: str, input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    shape = tuple(product.shape)
    if broadcast_shapes(tuple(input.shape), shape) != shape:
        raise ShapeError(f"{name}: input {tuple(input.shape)} does not fit the product {shape}")
    if input.dtype is not product.dtype:
        raise DTypeError(f"{name}: input is {input.dtype.name}, the product {product.dtype.name}",
                         hint="convert one")  # fmt: skip
    product = product if alpha == 1 else product * alpha
    if beta == 0:  # PyTorch ignores the input then, its NaN too
        return product
    return (input if beta == 1 else input * beta) + product


class Addmm(Composite):
    """beta * input + alpha * (mat1 @ mat2).

    >>> bl.addmm(bl.ones(1), bl.ones(1, 2), bl.ones(2, 1)).tolist()
    [[3.0]]
    """

    def expand(input, mat1, mat2, *, beta=1, alpha=1):
        return _added("addmm", input, mm(mat1, mat2), beta, alpha)


class Addmv(Composite):
    """beta * input + alpha * (mat @ vec).

    >>> bl.addmv(bl.ones(1), bl.ones(1, 2), bl.ones(2))
    tensor([3.])
    """

    def expand(input, mat, vec, *, beta=1, alpha=1):
        return _added("addmv", input, mv(mat, vec), beta, alpha)


class Addr(Composite):
    """beta * input + alpha * outer(vec1, vec2).

    >>> bl.addr(bl.zeros(1, 2), bl.ones(1), bl.ones(2)).tolist()
    [[1.0, 1.0]]
    """

    def expand(input, vec1, vec2, *, beta=1, alpha=1):
        return _added("addr", input, Outer.call(vec1, vec2), beta, alpha)


class Baddbmm(Composite):
    """beta * input + alpha * bmm(batch1, batch2).

    >>> bl.baddbmm(bl.zeros(1), bl.ones(2, 1, 3), bl.ones(2, 3, 1)).flatten()
    tensor([3., 3.])
    """

    def expand(input, batch1, batch2, *, beta=1, alpha=1):
        return _added("baddbmm", input, bmm(batch1, batch2), beta, alpha)


class Addbmm(Composite):
    """beta * input + alpha * the sum of bmm(batch1, batch2) over the batch.

    >>> bl.addbmm(bl.zeros(1, 1), bl.ones(2, 1, 3), bl.ones(2, 3, 1)).tolist()
    [[6.0]]
    """

    def expand(input, batch1, batch2, *, beta=1, alpha=1):
        return _added("addbmm", input, bmm(batch1, batch2).sum(0), beta, alpha)


def _in_place(name: str, op: Any) -> None:
    def method(self, *args, **kwargs):
        slot.refuse_leaf(self, name)
        return slot.refill(self, op.call(self, *args, **kwargs))

    method.__name__ = name
    method.__doc__ = f"`{name[:-1]}`, in place."
    export("Tensor")(method)


for _op in (Addmm, Addmv, Addr, Baddbmm, Addbmm):
    _in_place(_op.name + "_", _op)


# ----- powers and chains -----


class MatrixPower(Composite):
    """A square matrix multiplied with itself n times; of a negative n the inverse.

    >>> bl.matrix_power(bl.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """

    exports = "bl Tensor linalg"

    def expand(input, n):
        if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
            raise ShapeError(f"matrix_power: expected square matrices, got {tuple(input.shape)}")
        if n < 0:
            return MatrixPower.call(input.inverse(), -n)
        if n == 0:
            unit = np.eye(input.shape[-1], dtype=input.cell.array.dtype)
            return slot.wrap(np.broadcast_to(unit, input.shape).copy())
        result, square = None, input
        while True:  # binary powers
            if n & 1:
                result = square if result is None else apply(Matmul, result, square)
            n >>= 1
            if not n:
                return result.clone() if result is input else result
            square = apply(Matmul, square, square)

    def latex(x, n):
        return rf"{{{x}}}^{{{n}}}"


class MultiDot(Composite):
    """The product of a chain of matrices, in the order that needs the fewest multiplications.

    The first and last may be vectors.

    >>> bl.linalg.multi_dot([bl.ones(2, 3), bl.ones(3, 4), bl.ones(4)])
    tensor([12., 12.])
    """

    exports = "linalg"

    def expand(tensors):
        chain = list(tensors)
        if len(chain) < 2:
            raise ArgumentError(f"multi_dot: expected at least 2 tensors, got {len(chain)}")
        row, column = chain[0].ndim == 1, chain[-1].ndim == 1
        if row:
            chain[0] = chain[0].unsqueeze(0)
        if column:
            chain[-1] = chain[-1].unsqueeze(1)
        for x in chain:
            _need("multi_dot", tensors=(x, 2))
        result = _multiplied(chain, _best_cuts(chain), 0, len(chain) - 1)
        result = result.squeeze(-1) if column else result
        return result.squeeze(0) if row else result


def _best_cuts(chain: list) -> dict[tuple[int, int], int]:
    """Where to cut each part of the chain (Cormen et al., dynamic programming)."""
    sizes = [chain[0].shape[0], *(x.shape[1] for x in chain)]
    cost, cuts = {(i, i): 0 for i in range(len(chain))}, {}
    for span in range(1, len(chain)):
        for i in range(len(chain) - span):
            j = i + span
            options = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            ]
            cost[i, j], cuts[i, j] = min(options)
    return cuts


def _multiplied(chain: list, cuts: dict, i: int, j: int) -> Any:
    if i == j:
        return chain[i]
    k = cuts[i, j]
    return apply(Matmul, _multiplied(chain, cuts, i, k), _multiplied(chain, cuts, k + 1, j))


@export("bl")
def chain_matmul(*matrices, out=None):
    """The product of a chain of matrices, as `linalg.multi_dot`.

    >>> bl.chain_matmul(bl.ones(2, 3), bl.ones(3, 4), bl.ones(4, 1)).flatten()
    tensor([12., 12.])
    """
    if len(matrices) == 1:
        return matrices[0]
    return MultiDot.call(matrices)


class Bilinear(Composite):
    """x1ᵀ W x2 + b: for each output feature one matrix between two inputs (..., in1), (..., in2).

    >>> F.bilinear(bl.ones(1, 2), bl.ones(1, 3), bl.ones(4, 2, 3)).flatten()
    tensor([6., 6., 6., 6.])
    """

    exports = "bl F"

    def expand(input1, input2, weight, bias=None):
        if weight.ndim != 3 or (input1.shape[-1], input2.shape[-1]) != tuple(weight.shape[1:]):
            raise ShapeError(
                f"bilinear: inputs {tuple(input1.shape)} and {tuple(input2.shape)} do not fit"
                f" weight {tuple(weight.shape)}", hint="weight is (out, in1, in2)"
            )  # fmt: skip
        if input1.shape[:-1] != input2.shape[:-1]:
            raise ShapeError(f"bilinear: inputs {tuple(input1.shape)} and {tuple(input2.shape)}"
                             " differ in their leading axes")  # fmt: skip
        out, in1, in2 = weight.shape
        lead = tuple(input1.shape[:-1])
        left = Matmul.call(input1, weight.permute(1, 0, 2).reshape(in1, out * in2))
        y = Matmul.call(left.reshape(*lead, out, in2), input2.unsqueeze(-1)).squeeze(-1)
        return y if bias is None else y + bias
