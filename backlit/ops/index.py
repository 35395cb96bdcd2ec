"""Reading and writing by index: slices, index tensors, masks.

A Python index is split once, in `parse`, into printable data: basic parts (slices, numbers, None)
make a view; index tensors are inputs of `Index`. Repeated indices: `IndexPut` lets the last write
win, and it alone gets the gradient; with accumulate=True contributions add up.
Picking along one axis (gather, scatter, index_select) is in scatter.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentTypeError, DTypeError, IndexOutOfRange, ShapeError
from backlit.ops.op import Operator, Spec, apply, broadcast_shapes
from backlit.state import state

# Parts of an index as data: ("int", i) ("slice", start, stop, step) ("new",) ("all",) ("tensor",)
Part = tuple
_ALL, _NEW = ("all",), ("new",)


def parse(index: Any, shape: tuple) -> tuple[tuple[Part, ...], list[Any]]:
    """Split a Python index into parts, one or more per axis, and its index tensors."""
    parts = _basic_parts(index if type(index) is tuple else (index,), shape)
    return (parts, []) if parts is not None else _parse(index, shape)


def _basic_parts(items: tuple, shape: tuple) -> tuple[Part, ...] | None:
    """The parts of a basic index, quickly; None where there is more to it."""
    parts, ndim = [], len(shape)
    axis = 0
    for k, item in enumerate(items):
        kind = type(item)
        if item is None:
            parts.append(_NEW)
        elif item is Ellipsis:
            rest = items[k + 1 :]
            used = sum(i is not None for i in rest)
            if any(i is Ellipsis for i in rest) or axis + used > ndim:
                return None
            parts.extend([_ALL] * (ndim - axis - used))
            axis = ndim - used
        elif axis == ndim or (kind is not int and kind is not slice):
            return None
        else:
            size = shape[axis]
            parts.append(("int", position(item, size, axis)) if kind is int else _slice(item, size))
            axis += 1
    parts.extend([_ALL] * (ndim - axis))
    return tuple(parts)


def _parse(index: Any, shape: tuple) -> tuple[tuple[Part, ...], list[Any]]:
    """`parse` for an index with tensors, lists or masks in it."""
    items = list(index) if isinstance(index, tuple) else [index]
    if isinstance(index, list) and any(isinstance(i, (slice, type(None))) for i in index):
        items = index
    items = [i if type(i) in _PLAIN else _tensor_like(i) for i in items]
    items = _numbers_among_tensors(_filled(items, shape))
    parts: list[Part] = []
    tensors: list[Any] = []
    axis = 0
    for item in items:
        if item is None:
            parts.append(_NEW)
        elif isinstance(item, slice):
            parts.append(_slice(item, shape[axis]))
            axis += 1
        elif isinstance(item, int):
            parts.append(("int", position(item, shape[axis], axis)))
            axis += 1
        else:
            found = _true_positions(item, shape, axis) if is_mask(item) else (item,)
            parts.extend([("tensor",)] * len(found))
            tensors.extend(found)
            axis += len(found)
    return tuple(parts), tensors


_PLAIN = frozenset((int, slice, type(None), type(Ellipsis)))


def is_mask(item: Any) -> bool:
    return getattr(getattr(item, "dtype", None), "kind", "") == "b"


def _filled(items: list, shape: tuple) -> list:
    """The items with whole axes in place of `...` and at the end."""
    used = sum(
        item.ndim if is_mask(item) else item is not None and item is not Ellipsis for item in items
    )
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if used > len(shape) or len(dots) > 1:
        raise IndexOutOfRange(f"too many indices ({used}) for a tensor of shape {tuple(shape)}")
    at = dots[0] if dots else len(items)
    return items[:at] + [slice(None)] * (len(shape) - used) + items[at + 1 :]


def _tensor_like(item: Any) -> Any:
    """Lists become index arrays; 0-dim index tensors stay tensors."""
    if isinstance(item, (bool, np.bool_)) or (is_mask(item) and not item.ndim):
        raise ArgumentTypeError("a single True or False is not an index",
                                hint="use a bool tensor with axes")  # fmt: skip
    if isinstance(item, (list, range)):
        if any(hasattr(i, "cell") for i in item):
            item = [i.tolist() if hasattr(i, "cell") else i for i in item]
        try:
            array = np.asarray(item)
        except ValueError:
            raise ArgumentTypeError("the lists in an index differ in length") from None
        return array if array.size else array.astype(np.int64)
    if isinstance(item, np.integer):
        return int(item)
    if hasattr(item, "dtype"):
        if item.dtype.kind not in "bi":
            hint = "bytes: convert to bool or int64" if item.dtype.kind == "u" else "x.long()"
            raise DTypeError(f"an index tensor must hold whole numbers or bools, not {item.dtype}",
                             hint=hint)  # fmt: skip
        return item
    if hasattr(item, "__index__"):
        return item.__index__()
    raise ArgumentTypeError(f"an index must be a number, slice, None, ... or tensor, not {item!r}")


def _numbers_among_tensors(items: list) -> list:
    """0-dim index tensors beside larger ones count as numbers, as in PyTorch."""
    sizes = {item.ndim for item in items if hasattr(item, "dtype")}
    if 0 not in sizes or len(sizes) == 1:
        return items
    return [int(i) if hasattr(i, "dtype") and not i.ndim else i for i in items]


def position(i: int, size: int, axis: int) -> int:
    """A non-negative index; refuses one outside its axis."""
    if not -size <= i < size:
        raise IndexOutOfRange(f"index {i} is out of range for axis {axis} of size {size}")
    return i + size if i < 0 else i


def _slice(s: slice, size: int) -> Part:
    if s.start is None and s.stop is None and s.step is None:
        return _ALL
    step = 1 if s.step is None else int(s.step)
    if step <= 0:
        raise IndexOutOfRange("the step of a slice must be positive", hint="use .flip() first")
    start, stop, _ = slice(_bound(s.start), _bound(s.stop), step).indices(size)
    stop = max(stop, start)
    return _ALL if (start, stop, step) == (0, size, 1) else ("slice", start, stop, step)


def _bound(value: Any) -> Any:
    return value if value is None else value.__index__()


def values_of(tensor: Any) -> np.ndarray:
    """The array, for a choice that Python makes by its values: a capture must refuse it."""
    for observer in state.observers:
        told = getattr(observer, "read", None)
        if told is not None:
            told(tensor)
    return tensor.cell.array


def _true_positions(mask: Any, shape: tuple, axis: int) -> tuple:
    """A bool mask as one index array per axis; its shape decides, so this reads values."""
    array = values_of(mask) if hasattr(mask, "cell") else np.asarray(mask)
    if array.shape != tuple(shape[axis : axis + array.ndim]):
        raise IndexOutOfRange(
            f"mask of shape {array.shape} does not fit axes {axis}... of {tuple(shape)}"
        )
    return np.nonzero(array)


# ----- parts as an index that NumPy understands, in two steps: basic first, as in PyTorch -----


def basic_index(parts: tuple[Part, ...]) -> tuple:
    """The slices, numbers and new axes; whole axes where a tensor will choose."""
    return (*(_item(p) for p in parts), ...)  # the dots keep a view also of one element


def _item(part: Part) -> Any:
    kind = part[0]
    if kind == "slice":
        return slice(part[1], part[2], part[3])
    if kind == "int":
        return part[1]
    return None if kind == "new" else slice(None)


def window(x: np.ndarray, parts: tuple[Part, ...]) -> np.ndarray:
    """The view that the basic parts show."""
    if all(p[0] in ("all", "tensor") for p in parts):
        return x
    return x[basic_index(parts)]


def tensor_index(parts: tuple[Part, ...], tensors: tuple) -> tuple:
    """The index tensors, for use on the window."""
    given = iter(tensors)
    return tuple(next(given) if p[0] == "tensor" else slice(None) for p in parts if p[0] != "int")


def window_shape(shape: tuple, parts: tuple[Part, ...]) -> tuple:
    """The shape of the window."""
    sizes, axis = [], 0
    for p in parts:
        if p[0] == "new":
            sizes.append(1)
            continue
        if p[0] == "slice":
            sizes.append(-(-(p[2] - p[1]) // p[3]))
        elif p[0] != "int":
            sizes.append(shape[axis])
        axis += 1
    return tuple(sizes)


def _chosen(parts: tuple[Part, ...]) -> list[int]:
    """The axes of the window that index tensors choose from."""
    return [k for k, p in enumerate(p for p in parts if p[0] != "int") if p[0] == "tensor"]


def _spread(shape: tuple, parts: tuple[Part, ...], common: tuple) -> tuple[tuple, tuple]:
    """Sizes of the result before and after those of the broadcast index tensors."""
    axes = _chosen(parts)
    rest = [n for k, n in enumerate(shape) if k not in axes]
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    first = axes[0] if together else 0
    return tuple(rest[:first]), tuple(rest[first:])


def indexed_shape(shape: tuple, parts: tuple[Part, ...], tensors: tuple) -> tuple:
    """The shape of `x[index]`."""
    seen = window_shape(shape, parts)
    if not tensors:
        return seen
    common = broadcast_shapes(*(tuple(t.shape) for t in tensors))
    if 0 not in common and any(seen[a] == 0 for a in _chosen(parts)):
        raise IndexOutOfRange(f"an index into an axis of size 0: shape {tuple(shape)}")
    before, after = _spread(seen, parts, common)
    return (*before, *common, *after)


def check_indices(arrays: Any, sizes: Any, what: str = "index", negative: bool = True) -> None:
    """Refuse index values outside their axis."""
    for array, size in zip(arrays, sizes):
        if not array.size:
            continue
        low, high = array.min(), array.max()
        if high >= size or low < (-size if negative else 0):
            bad = int(high if high >= size else low)
            raise IndexOutOfRange(f"{what} {bad} is out of range for an axis of size {size}")


class Slice(Operator):
    """A basic index: numbers, slices, new axes. A view of its input."""

    exports = ""
    view = True
    moves = True

    @classmethod
    def run(cls, arrays, params):
        return Slice.forward(arrays[0], **params), arrays  # `parse` has checked

    def infer(x, *, parts):
        return Spec(window_shape(x.shape, parts), x.dtype)

    def forward(x, *, parts):
        return x[basic_index(parts)]

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
        made[basic_index(parts)] = x
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

    @classmethod
    def run(cls, arrays, params):
        try:
            if all(i.dtype.kind == "i" for i in arrays[1:]):
                return Index.forward(*arrays, **params), arrays
        except IndexError:
            pass
        return super().run(arrays, params)  # says what is wrong

    def infer(x, *indices, parts):
        for i in indices:
            if i.dtype.kind not in "i":
                raise DTypeError(f"an index tensor must hold whole numbers or bools, not {i.dtype}")
        return Spec(indexed_shape(x.shape, parts, indices), x.dtype)

    def forward(x, *indices, parts):
        x = window(x, parts)
        check_indices(indices, [x.shape[a] for a in _chosen(parts)])
        return np.asarray(x[tensor_index(parts, indices)])

    def backward(g, x_spec, xs, parts):
        grad = apply(IndexSum, g, *xs, shape=x_spec.shape, parts=parts)
        return (grad, *(None for _ in xs))

    def latex(x, *indices, parts):
        return rf"{{{x}}}_{{{_latex_index(parts)}}}"


class IndexSum(Operator):
    """Zeros of a shape with `v` added at an index; repeated indices add up."""

    exports = ""
    inputs = ("v",)
    variadic = True
    moves = True

    def infer(v, *indices, shape, parts):
        return Spec(tuple(shape), v.dtype)

    def forward(v, *indices, shape, parts):
        made = np.zeros(shape, v.dtype)
        add_at(made, parts, indices, v)
        return made

    def backward(g, xs, parts):
        return (apply(Index, g, *xs, parts=parts), *(None for _ in xs))

    def latex(v, *indices, shape, parts):
        return rf"\operatorname{{put}}_{{{_latex_index(parts)}}}\left({v}\right)"


class IndexPut(Operator):
    """`x` with `v` written (or added) at an index. The last write to an element wins."""

    exports = ""
    inputs = ("x", "v")
    variadic = True

    def infer(x, v, *indices, parts, accumulate):
        shape = indexed_shape(x.shape, parts, indices)
        if isinstance(v, Spec):
            extra = max(len(v.shape) - len(shape), 0)
            if any(n != 1 for n in v.shape[:extra]) or (
                broadcast_shapes(v.shape[extra:], shape) != shape
            ):
                raise ShapeError(
                    f"a value of shape {v.shape} does not fit the indexed shape {shape}"
                )
        return x

    def forward(x, v, *indices, parts, accumulate):
        fresh = x.copy(order="K")
        IndexPut.into(fresh, v, *indices, parts=parts, accumulate=accumulate)
        return fresh

    def into(x, v, *indices, parts, accumulate):
        seen = window_shape(x.shape, parts)
        check_indices(indices, [seen[a] for a in _chosen(parts)])
        if isinstance(v, np.ndarray):
            v = v.astype(x.dtype, copy=False)
        if accumulate:
            add_at(x, parts, indices, v)
        elif indices:
            window(x, parts)[tensor_index(parts, indices)] = v
        else:
            x[basic_index(parts)] = v

    def backward(g, x_spec, v_spec, xs, parts, accumulate, needs):
        kept = back = None
        if needs[0]:
            kept = g if accumulate else apply(IndexPut, g, 0.0, *xs, parts=parts, accumulate=False)
        if needs[1]:
            back = apply(Index, g, *xs, parts=parts) if xs else apply(Slice, g, parts=parts)
            if xs and not accumulate:
                back = back * apply(LastWrite, *xs, shape=x_spec.shape, parts=parts, dtype=g.dtype)
            if isinstance(v_spec, Spec) and v_spec.ndim > back.ndim:
                back = back.reshape(*(1,) * (v_spec.ndim - back.ndim), *back.shape)
        return (kept, back, *(None for _ in xs))

    def latex(x, v, *indices, parts, accumulate):
        sign = r"\mathrel{+}=" if accumulate else "="
        return rf"{x}_{{{_latex_index(parts)}}} {sign} {v}"


class LastWrite(Operator):
    """1 where a write at an index is the last to its element, else 0."""

    exports = ""
    variadic = True
    differentiable = False

    def infer(*indices, shape, parts, dtype):
        return Spec(indexed_shape(shape, parts, indices), dtype)

    def forward(*indices, shape, parts, dtype):
        return last_write(positions(shape, parts, indices), math.prod(shape)).astype(dtype.numpy)


def last_write(at: np.ndarray, size: int) -> np.ndarray:
    """Whether each of the flat positions `at` is the last of its value."""
    stamp = np.arange(at.size).reshape(at.shape)
    seen = np.empty(size, np.int64)
    seen[at] = stamp
    return seen[at] == stamp


def positions(shape: tuple, parts: tuple[Part, ...], indices: tuple) -> np.ndarray:
    """The flat position, in row-major order, of every element that an index shows."""
    start, steps = 0, []  # of the window: where it starts, its step along each axis
    strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    axis = 0
    for p in parts:
        if p[0] == "new":
            steps.append(0)
            continue
        start += strides[axis] * (p[1] if p[0] in ("int", "slice") else 0)
        if p[0] != "int":
            steps.append(strides[axis] * (p[3] if p[0] == "slice" else 1))
        axis += 1
    seen = window_shape(shape, parts)
    chosen = _chosen(parts)
    rest = [(n, step) for k, (n, step) in enumerate(zip(seen, steps)) if k not in chosen]
    common = broadcast_shapes(*(i.shape for i in indices))
    at = np.full(common, start, np.intp)
    for a, index in zip(chosen, indices):
        at = at + np.where(index < 0, index + seen[a], index) * steps[a]
    before, after = _spread(seen, parts, common) if indices else ((), seen)
    at = at.reshape((1,) * len(before) + at.shape + (1,) * len(after))
    for k, (n, step) in enumerate(rest):
        trailing = len(rest) - k - 1 + (len(common) if k < len(before) else 0)
        at = at + (np.arange(n) * step).reshape(n, *(1,) * trailing)
    return at


def add_at(x: np.ndarray, parts: tuple[Part, ...], indices: tuple, v: Any) -> None:
    """`x[index] += v` with repeated indices adding up."""
    if not indices:
        x[basic_index(parts)] += v
        return
    add_flat(x, positions(x.shape, parts, indices), v)


def add_flat(x: np.ndarray, at: np.ndarray, v: Any) -> None:
    """Add `v` at flat positions, which may repeat; 16-bit floats are summed in 32 bits."""
    half = x.dtype.itemsize == 2 and x.dtype.kind in "fV"
    flat = x.reshape(-1)
    target = flat.astype(np.float32) if half else flat
    values = np.broadcast_to(v, at.shape) if np.ndim(v) <= at.ndim else np.reshape(v, at.shape)
    np.add.at(target, at.reshape(-1), np.ascontiguousarray(values, target.dtype).reshape(-1))
    if half or not np.may_share_memory(flat, x):
        x[...] = target.reshape(x.shape)


def getitem(x: Any, index: Any) -> Any:
    """`x[index]`: basic parts give a view, index tensors a new tensor."""
    parts, tensors = parse(index, x.cell.array.shape)
    if not tensors:
        return apply(Slice, x, parts=parts)
    return apply(Index, x, *tensors, parts=parts)
