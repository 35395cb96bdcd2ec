"""Tables of vectors looked up by number: one_hot, embedding, and bags of embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from backlit.ops.index import add_flat, check_indices, values_of
from backlit.ops.op import Composite, Operator, Spec, apply, slot


class OneHot(Operator):
    """Whole numbers as vectors with a 1 at their place; the classes are the new last axis.

    >>> F.one_hot(bl.tensor([0, 2]), num_classes=3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """

    exports = "F"
    differentiable = False

    def call(tensor, num_classes=-1):
        if num_classes == -1:
            if not tensor.numel():
                raise ArgumentError("one_hot: no classes to count in an empty tensor",
                                    hint="give num_classes")  # fmt: skip
            num_classes = int(values_of(tensor).max()) + 1
        return apply(OneHot, tensor, classes=int(num_classes))

    def infer(index, *, classes):
        if index.dtype.kind != "i":
            raise DTypeError(f"classes must be whole numbers, got {index.dtype.name}",
                             hint="x.long()")  # fmt: skip
        if classes < 1:
            raise ArgumentError(f"num_classes must be positive, got {classes}")
        return Spec((*index.shape, classes), dt.int64)

    def forward(index, *, classes):
        check_indices((index,), [classes], "class", negative=False)
        return (index[..., None] == np.arange(classes)).astype(np.int64)


class Embedding(Operator):
    """The rows of `weight` (rows, features) that `input` names; shape (*, features).

    The row `padding_idx` gets no gradient. `max_norm` rescales longer rows in place.

    >>> F.embedding(bl.tensor([1, 1]), bl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [3., 4.]])
    """

    exports = "F"
    inputs = ("w", "index")
    moves = True

    def call(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
             scale_grad_by_freq=False, sparse=False):  # fmt: skip
        if not hasattr(input, "cell") or input.dtype.kind != "i":
            kind = input.dtype.name if hasattr(input, "cell") else type(input).__name__
            raise DTypeError(f"embedding: input must hold whole numbers, got {kind}",
                             hint="the indices come first, then the weight")  # fmt: skip
        padding = _padding(padding_idx, weight.shape[0])
        if max_norm is not None:
            renormalize(weight, input, float(max_norm), float(norm_type))
        by_frequency = bool(scale_grad_by_freq)
        return apply(Embedding, weight, input, padding=padding, by_frequency=by_frequency)

    def infer(w, index, *, padding, by_frequency):
        if w.ndim != 2:
            raise ShapeError(f"the weight must be (rows, features), got {w.shape}")
        return Spec((*index.shape, w.shape[1]), w.dtype)

    def forward(w, index, *, padding, by_frequency):
        check_indices((index,), [w.shape[0]], negative=False)
        return np.take(w, index, axis=0)

    def grad_w(g, index, w_spec, padding, by_frequency):
        return apply(EmbeddingSum, g, index, count=w_spec.shape[0], padding=padding,
                     by_frequency=by_frequency)  # fmt: skip

    def latex(w, index, **params):
        return rf"{{{w}}}_{{{index}}}"


class EmbeddingSum(Operator):
    """The rows of `g` added up by index: the gradient of a table of embeddings."""

    exports = ""
    inputs = ("g_rows", "index")
    moves = True

    def infer(g_rows, index, *, count, padding, by_frequency):
        return Spec((count, g_rows.shape[-1]), g_rows.dtype)

    def forward(g_rows, index, *, count, padding, by_frequency):
        width = g_rows.shape[-1]
        made = np.zeros((count, width), g_rows.dtype)
        if padding is not None or by_frequency:
            g_rows = g_rows * row_shares(index, padding, by_frequency, g_rows.dtype)
        add_flat(made, index[..., None] * width + np.arange(width), g_rows)
        return made

    def grad_g_rows(g, index, padding):
        rows = apply(Embedding, g, index, padding=None, by_frequency=False)
        if padding is None:  # the frequency counts in the first order only, as in PyTorch
            return rows
        return rows.masked_fill((index == padding).unsqueeze(-1), 0.0)

    def latex(g_rows, index, **params):
        return rf"\sum {g_rows}"


def row_shares(index: np.ndarray, padding: int | None, by_frequency: bool, dtype: Any) -> Any:
    """0 for padding, 1 over its count for a row by frequency, else 1."""
    share = np.ones(index.shape, dtype)
    if by_frequency and index.size:
        share /= np.bincount(index.reshape(-1))[index].astype(dtype)
    if padding is not None:
        share[index == padding] = 0
    return share[..., None]


def _padding(padding_idx: int | None, rows: int) -> int | None:
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise IndexOutOfRange(f"embedding: padding_idx {padding_idx} is not one of {rows} rows")
    return padding_idx % rows


def renormalize(weight: Any, input: Any, max_norm: float, p: float) -> None:
    """Rescale, in place, the rows that will be looked up and are longer than `max_norm`."""
    table, wanted = weight.cell.array, values_of(input)
    check_indices((wanted,), [table.shape[0]], negative=False)
    used = np.unique(wanted)
    norms = np.linalg.norm(table[used], ord=p, axis=1)
    long = used[norms > max_norm]
    if long.size:
        fresh = table.copy()
        scale = max_norm / (norms[norms > max_norm] + 1e-7)
        fresh[long] *= scale[:, None].astype(table.dtype)
        weight.cell.put(fresh)


class EmbeddingBag(Composite):
    """The sum, mean or largest of the embeddings of each bag of indices.

    `input` is (bags, n), or a vector that `offsets` cut into bags.

    >>> F.embedding_bag(bl.tensor([[0, 1]]), bl.tensor([[1.0], [3.0]]), mode="mean")
    tensor([[2.]])
    """

    exports = "F"

    def expand(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False,
               mode="mean", sparse=False, per_sample_weights=None, include_last_offset=False,
               padding_idx=None):  # fmt: skip
        if mode not in ("sum", "mean", "max"):
            raise ArgumentError(f"embedding_bag: mode must be sum, mean or max, got {mode!r}")
        if per_sample_weights is not None and mode != "sum":
            raise ArgumentError(f"embedding_bag: mode {mode!r} takes no per_sample_weights",
                                hint="mode='sum' does")  # fmt: skip
        index, bag, count = _bags(input, offsets, include_last_offset)
        rows = Embedding.call(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
        if per_sample_weights is not None:
            if tuple(per_sample_weights.shape) != tuple(input.shape):
                raise ShapeError(f"embedding_bag: per_sample_weights {per_sample_weights.shape},"
                                 f" input {input.shape}")  # fmt: skip
            rows = rows * per_sample_weights.reshape(-1, 1)
        if padding_idx is not None:
            kept = np.flatnonzero(values_of(index) != _padding(padding_idx, weight.shape[0]))
            rows, bag = rows.index_select(0, slot.wrap(kept)), bag[kept]
        return _bagged(rows, bag, count, mode)


def _bagged(rows: Any, bag: np.ndarray, count: int, mode: str) -> Any:
    """Rows reduced by the number of their bag; an empty bag gives zeros."""
    zeros = rows.new_zeros(count, rows.shape[1])
    if mode == "max":
        index = slot.wrap(np.ascontiguousarray(np.broadcast_to(bag[:, None], rows.shape)))
        return zeros.scatter_reduce(0, index, rows, "amax", include_self=False)
    total = zeros.index_add(0, slot.wrap(bag), rows)
    if mode == "sum":
        return total
    sizes = np.bincount(bag, minlength=count).clip(1)[:, None]
    return total / slot.wrap(sizes.astype(rows.cell.array.dtype))


def _bags(input: Any, offsets: Any, last: bool) -> tuple[Any, np.ndarray, int]:
    """The indices in one row, the bag of each, and the number of bags."""
    if input.ndim == 2:
        if offsets is not None:
            raise ArgumentError("embedding_bag: offsets go with a vector of indices, not a matrix")
        n, length = input.shape
        return input.reshape(-1), np.repeat(np.arange(n), length), n
    if input.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ShapeError(f"embedding_bag: expected (bags, n), or a vector and a vector of offsets,"
                         f" got input {tuple(input.shape)}")  # fmt: skip
    starts = values_of(offsets)
    if starts.size and (starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(input)):
        raise ArgumentError("embedding_bag: offsets must start at 0 and not fall, up to"
                            f" {len(input)}, got {starts.tolist()}")  # fmt: skip
    ends = starts[1:] if last else np.r_[starts[1:], len(input)]
    sizes = ends - starts[: len(ends)]
    bag = np.repeat(np.arange(len(ends)), sizes)
    return input[: int(sizes.sum())], bag, len(ends)
