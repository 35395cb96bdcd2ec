"""Reading and writing by index: slices, index tensors, gather and scatter.

A Python index is split once, in `parse`, into printable data: basic parts (slices, numbers, None)
make a view; index tensors are inputs of `Index`. Repeated indices: `IndexPut` lets the last write
win, and it alone gets the gradient; with accumulate=True contributions add up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError, IndexOutOfRange, ShapeError
from backlit.ops.op import Operator, Spec, apply, broadcast_shapes, normalize_axis

# Parts of an index as data: ("int", i) ("slice", start, stop, step) ("new",) ("all",) ("tensor",)
Part = tuple


def parse(index: Any, shape: tuple) -> tuple[tuple[Part, ...], list[Any]]:
    """Split a Python index into parts, one or more per axis, and its index tensors."""
    items = list(index) if isinstance(index, tuple) else [index]
    if isinstance(index, list) and any(isinstance(i, (slice, type(None))) for i in index):
        items = index
    items = [_tensor_like(i) for i in items]
    used = sum(_axes_used(i) for i in items)
    dots = sum(i is Ellipsis for i in items)
    if used > len(shape) or dots > 1:
        raise IndexOutOfRange(f"too many indices ({used}) for a tensor of shape {tuple(shape)}")
    fill = [slice(None)] * (len(shape) - used)
    at = next((k for k, i in enumerate(items) if i is Ellipsis), None)
    items = items + fill if at is None else items[:at] + fill + items[at + 1 :]
    parts: list[Part] = []
    tensors: list[Any] = []
    axis = 0
    for item in items:
        if item is None:
            parts.append(("new",))
            continue
        if isinstance(item, bool):
            raise ArgumentTypeError("a plain True or False is not an index; use a bool tensor")
        if isinstance(item, slice):
            parts.append(_slice(item, shape[axis]))
        elif isinstance(item, int):
            parts.append(("int", _position(item, shape[axis], axis)))
        elif item.dtype == np.bool_ or getattr(item.dtype, "kind", "") == "b":
            for indices in _true_positions(item, shape, axis):
                parts.append(("tensor",))
                tensors.append(indices)
        else:
            parts.append(("tensor",))
            tensors.append(item)
        axis += _axes_used(item)
    return tuple(parts), tensors


def _tensor_like(item: Any) -> Any:
    """Lists become index arrays; 0-dim index tensors stay tensors."""
    if isinstance(item, (list, range)):
        array = np.asarray([np.asarray(getattr(i, "array", i)) for i in item])
        return array if array.size else array.astype(np.int64)
    if isinstance(item, (np.integer,)):
        return int(item)
    if hasattr(item, "__index__") and not hasattr(item, "dtype"):
        return item if isinstance(item, bool) else item.__index__()
    if item is None or item is Ellipsis or isinstance(item, slice) or hasattr(item, "dtype"):
        return item
    raise ArgumentTypeError(f"an index must be a number, slice, None, ... or tensor, not {item!r}")


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    boolean = hasattr(item, "dtype") and getattr(item.dtype, "kind", "") == "b"
    return item.ndim if boolean else 1


def _position(i: int, size: int, axis: int) -> int:
    if not -size <= i < size:
        raise IndexOutOfRange(f"index {i} is out of range for axis {axis} of size {size}")
    return i + size if i < 0 else i


def _slice(s: slice, size: int) -> Part:
    step = 1 if s.step is None else int(s.step)
    if step <= 0:
        raise IndexOutOfRange("the step of a slice must be positive", hint="use .flip() first")
    start, stop, _ = slice(_bound(s.start), _bound(s.stop), step).indices(size)
    stop = max(stop, start)
    return ("all",) if (start, stop, step) == (0, size, 1) else ("slice", start, stop, step)


def _bound(value: Any) -> Any:
    return value if value is None else value.__index__()


def _true_positions(mask: Any, shape: tuple, axis: int) -> tuple:
    """A bool mask as one index array per axis; its shape decides, so this reads values."""
    array = np.asarray(mask.cell.array if hasattr(mask, "cell") else mask)
    if array.shape != tuple(shape[axis : axis + array.ndim]):
        raise IndexOutOfRange(
            f"mask of shape {array.shape} does not fit axes {axis}... of {tuple(shape)}"
        )
    return np.nonzero(array)


def numpy_index(parts: tuple[Part, ...], tensors: tuple = ()) -> tuple:
    """Parts as an index that NumPy understands."""
    given = iter(tensors)
    made: list[Any] = []
    for part in parts:
        kind = part[0]
        if kind == "int":
            made.append(part[1])
        elif kind == "slice":
            made.append(slice(*part[1:]))
        elif kind == "tensor":
            made.append(next(given))
        else:
            made.append(None if kind == "new" else slice(None))
    return tuple(made)


def indexed_shape(shape: tuple, parts: tuple[Part, ...], tensors: tuple) -> tuple:
    """The shape of `x[index]`, worked out on an array without memory."""
    ghost = np.broadcast_to(np.int8(0), shape)
    arrays = [np.broadcast_to(np.int64(0), t.shape) for t in tensors]
    if any(0 in (shape[k],) for k in _indexed_axes(parts)) and any(a.size for a in arrays):
        raise IndexOutOfRange(f"an index into an axis of size 0: shape {tuple(shape)}")
    return ghost[numpy_index(parts, tuple(arrays))].shape


def _indexed_axes(parts: tuple[Part, ...]) -> list[int]:
    axes, axis = [], 0
    for part in parts:
        if part[0] == "tensor":
            axes.append(axis)
        axis += part[0] != "new"
    return axes


def check_indices(arrays: tuple, sizes: list[int], what: str = "index") -> None:
    """Refuse index values outside their axis."""
    for array, size in zip(arrays, sizes):
        if array.size and (array.max() >= size or array.min() < -size):
            bad = int(array.max()) if array.max() >= size else int(array.min())
            raise IndexOutOfRange(f"{what} {bad} is out of range for an axis of size {size}")


class Slice(Operator):
    """A basic index: numbers, slices, new axes. A view of its input."""

    exports = ""
    view = True
    moves = True

    def infer(x, *, parts):
        ghost = np.broadcast_to(np.int8(0), x.shape)
        return Spec(ghost[numpy_index(parts)].shape, x.dtype)

    def forward(x, *, parts):
        return x[(*numpy_index(parts), ...)]  # the dots keep a view also of one element

    def grad_x(g, x_spec, parts):
        return apply(SlicePut, g, shape=x_spec.shape, parts=parts)

    def latex(x, *, parts):
        return rf"{{{x}}}_{{{_latex_index(parts)}}}"


def _latex_index(parts: tuple[Part, ...]) -> str:
    shown = {"all": lambda p: ":", "new": lambda p: "*", "tensor": lambda p: "I",
             "int": lambda p: str(p[1]), "slice": lambda p: f"{p[1]}:{p[2]}"}  # fmt: skip
    return ", ".join(shown[p[0]](p) for p in parts)


class SlicePut(Operator):
    """Zeros of a shape with `x` in the place that a basic index shows."""

    exports = ""
    moves = True

    def infer(x, *, shape, parts):
        return Spec(tuple(shape), x.dtype)

    def forward(x, *, shape, parts):
        made = np.zeros(shape, x.dtype)
        made[numpy_index(parts)] = x
        return made

    def grad_x(g, parts):
        return apply(Slice, g, parts=parts)

    def latex(x, *, shape, parts):
        return rf"\operatorname{{put}}_{{{_latex_index(parts)}}}\left({x}\right)"


class Index(Operator):
    """An index with index tensors, which broadcast against each other."""

    exports = ""
    inputs = ("x",)
    variadic = True
    moves = True

    def infer(x, *indices, parts):
        for i in indices:
            if i.dtype.kind not in "iu":
                raise DTypeError(f"an index tensor must hold whole numbers or bools, not {i.dtype}")
        broadcast_shapes(*(i.shape for i in indices))
        return Spec(indexed_shape(x.shape, parts, indices), x.dtype)

    def forward(x, *indices, parts):
        check_indices(indices, [x.shape[a] for a in _indexed_axes(parts)])
        return np.asarray(x[numpy_index(parts, indices)])

    def backward(g, x_spec, xs, parts):
        zero = np.zeros(x_spec.shape, x_spec.dtype.numpy)
        grad = apply(IndexPut, zero, g, *xs, parts=parts, accumulate=True)
        return (grad, *(None for _ in xs))

    def latex(x, *indices, parts):
        return rf"{{{x}}}_{{{_latex_index(parts)}}}"


class IndexPut(Operator):
    """`x` with `v` written (or added) at an index. The last write to an element wins."""

    exports = ""
    inputs = ("x", "v")
    variadic = True

    def infer(x, v, *indices, parts, accumulate):
        shape = indexed_shape(x.shape, parts, indices)
        if isinstance(v, Spec) and broadcast_shapes(v.shape, shape) != shape:
            raise ShapeError(f"a value of shape {v.shape} does not fit the indexed shape {shape}")
        return x

    def forward(x, v, *indices, parts, accumulate):
        fresh = x.copy(order="K")
        IndexPut.into(fresh, v, *indices, parts=parts, accumulate=accumulate)
        return fresh

    def into(x, v, *indices, parts, accumulate):
        check_indices(indices, [x.shape[a] for a in _indexed_axes(parts)])
        where = numpy_index(parts, indices)
        if isinstance(v, np.ndarray):
            v = v.astype(x.dtype, copy=False)
        if accumulate:
            add_at(x, where, v)
        else:
            x[where] = v

    def backward(g, x_spec, v_spec, xs, parts, accumulate, needs):
        kept = back = None
        if needs[0]:
            kept = g if accumulate else apply(IndexPut, g, 0.0, *xs, parts=parts, accumulate=False)
        if needs[1]:
            back = apply(Index, g, *xs, parts=parts) if xs else apply(Slice, g, parts=parts)
            if xs and not accumulate:
                back = back * _last_writes(x_spec.shape, xs, parts, g.dtype)
        return (kept, back, *(None for _ in xs))

    def latex(x, v, *indices, parts, accumulate):
        sign = r"\mathrel{+}=" if accumulate else "="
        return rf"{x}_{{{_latex_index(parts)}}} {sign} {v}"


def add_at(x: np.ndarray, where: tuple, v: Any) -> None:
    """`x[where] += v` with repeated indices adding up."""
    arrays = [i for i in where if isinstance(i, np.ndarray)]
    plain = len(arrays) == 1 and isinstance(where[0], np.ndarray) and where[0].ndim == 1
    if plain and all(isinstance(i, slice) for i in where[1:]) and len(where) >= 1 and x.ndim > 1:
        return _add_rows(x, where, v)
    np.add.at(x, where, v)


def _add_rows(x: np.ndarray, where: tuple, v: Any) -> None:
    """Rows in sorted order are summed in one pass, many times faster than add.at."""
    rows = np.where(where[0] < 0, where[0] + x.shape[0], where[0])
    if not rows.size:
        return
    order = np.argsort(rows, kind="stable")
    values = np.broadcast_to(v, x[where].shape)[order]
    firsts = np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0])
    x[(rows[order][firsts], *where[1:])] += np.add.reduceat(values, firsts, axis=0)


def _last_writes(shape: tuple, indices: tuple, parts: tuple, dtype: dt.dtype) -> Any:
    """1 where a write is the last to its element, else 0."""
    arrays = tuple(i.cell.array for i in indices)
    where = numpy_index(parts, arrays)
    target = np.broadcast_to(np.int8(0), shape)[where].shape
    stamp = np.arange(int(np.prod(target))).reshape(target)
    seen = np.full(shape, -1, np.int64)
    seen[where] = stamp
    return (seen[where] == stamp).astype(dtype.numpy)


def getitem(x: Any, index: Any) -> Any:
    """`x[index]`: basic parts give a view, index tensors a new tensor."""
    parts, tensors = parse(index, x.cell.array.shape)
    if not tensors:
        return apply(Slice, x, parts=parts)
    return apply(Index, x, *tensors, parts=parts)


class Gather(Operator):
    """`out[i][j] = input[index[i][j]][j]` along `dim`, as index and input agree elsewhere.

    >>> bl.gather(bl.tensor([[1, 2], [3, 4]]), 1, bl.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """

    moves = True

    def call(input, dim, index, *, sparse_grad=False):
        return apply(Gather, input, index, dim=normalize_axis(dim, input.ndim))

    def infer(x, index, *, dim):
        check_along(x, index, dim)
        return Spec(index.shape, x.dtype)

    def forward(x, index, *, dim):
        if not x.ndim:
            return x.reshape(index.shape) if index.ndim else x
        check_indices((index,), [x.shape[dim]])
        return x[along(index, dim)]

    def grad_x(g, index, x_spec, dim):
        zero = np.zeros(x_spec.shape, x_spec.dtype.numpy)
        return apply(ScatterAdd, zero, index, g, dim=dim)

    def latex(x, index, *, dim):
        return rf"{{{x}}}_{{{index}}}"


def check_along(x: Spec, index: Spec, dim: int) -> None:
    if index.dtype.kind not in "iu":
        raise DTypeError(f"index must hold whole numbers, got {index.dtype.name}")
    if max(x.ndim, 1) != max(index.ndim, 1):
        raise ShapeError(f"index has {index.ndim} axes, input {x.ndim}")
    for axis, (n, k) in enumerate(zip(x.shape, index.shape)):
        if axis != dim and k > n:
            raise ShapeError(f"index {index.shape} is larger than {x.shape} at axis {axis}")


def along(index: np.ndarray, dim: int) -> tuple:
    """The NumPy index of elements addressed by `index` along `dim`."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[dim] = index
    return tuple(grid)


class ScatterAdd(Operator):
    """`input` with `src` added at `index` along `dim`; repeated indices add up.

    >>> bl.scatter_add(bl.zeros(3), 0, bl.tensor([0, 2, 0]), bl.ones(3))
    tensor([2., 0., 1.])
    """

    def call(input, dim, index, src):
        return apply(ScatterAdd, input, index, src, dim=normalize_axis(dim, input.ndim))

    def infer(x, index, v, *, dim):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim):
        if not x.ndim:
            return x + v.reshape(())
        check_indices((index,), [x.shape[dim]])
        fresh = x.copy(order="K")
        np.add.at(fresh, along(index, dim), v[tuple(slice(n) for n in index.shape)])
        return fresh

    def grad_x(g):
        return g

    def grad_v(g, index, v_spec, dim):
        back = apply(Gather, g, index, dim=dim)
        return back if back.shape == v_spec.shape else place(back, v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} \mathrel{{+}}= {v}"


def place(x: Any, shape: tuple) -> Any:
    """Zeros of `shape` with `x` in the corner."""
    parts = tuple(("slice", 0, n, 1) for n in x.shape)
    return apply(SlicePut, x, shape=tuple(shape), parts=parts)


def check_scatter(x: Spec, index: Spec, v: Any, dim: int) -> None:
    check_along(x, index, dim)
    if not isinstance(v, Spec):
        return
    if v.dtype is not x.dtype:
        raise DTypeError(f"src is {v.dtype.name}, input {x.dtype.name}", hint="convert one")
    if len(v.shape) != len(index.shape) or any(k > n for k, n in zip(index.shape, v.shape)):
        raise ShapeError(f"index {index.shape} is larger than src {v.shape}")


class Scatter(Operator):
    """`input` with `src` (a tensor or number) written at `index` along `dim`.

    `reduce` is None, "add" or "multiply". Repeated indices: the last write wins.

    >>> bl.scatter(bl.zeros(3), 0, bl.tensor([2, 0]), bl.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """

    def call(input, dim, index, src=None, *, value=None, reduce=None):
        src = value if src is None else src
        dim = normalize_axis(dim, input.ndim)
        if not hasattr(src, "cell"):
            src = index.to(input.dtype) * 0 + src
        if reduce in ("add", "sum"):
            return apply(ScatterAdd, input, index, src, dim=dim)
        if reduce is not None:
            from backlit.errors import ArgumentError

            raise ArgumentError(f"scatter: reduce must be None or 'add', got {reduce!r}")
        return apply(Scatter, input, index, src, dim=dim)

    def infer(x, index, v, *, dim):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim):
        if not x.ndim:
            return v.reshape(()).copy()
        check_indices((index,), [x.shape[dim]])
        fresh = x.copy(order="K")
        fresh[along(index, dim)] = v[tuple(slice(n) for n in index.shape)]
        return fresh

    def grad_x(g, index, dim):
        return apply(Scatter, g, index, index.to(g.dtype) * 0, dim=dim)

    def grad_v(g, index, v_spec, dim):
        back = apply(Gather, g, index, dim=dim) * _last_along(g.shape, index, dim, g.dtype)
        return back if back.shape == v_spec.shape else place(back, v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} = {v}"


def _last_along(shape: tuple, index: Any, dim: int, dtype: dt.dtype) -> Any:
    array = index.cell.array
    if not array.ndim:
        return np.ones((), dtype.numpy)
    stamp = np.arange(array.size).reshape(array.shape)
    seen = np.full(shape, -1, np.int64)
    seen[along(array, dim)] = stamp
    return (seen[along(array, dim)] == stamp).astype(dtype.numpy)
