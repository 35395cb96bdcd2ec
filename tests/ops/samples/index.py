"""Rows of backlit/ops/index.py, scatter.py, select.py, mask.py, sort.py and embedding.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Row, T

import backlit as bl
from backlit.api import NAMESPACES
from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexOutOfRange,
    ShapeError,
)  # fmt: skip

M = T((3, 4))
CUBE = T((2, 3, 4))
APART = T((3, 4), distinct=True)


def whole(values: Any) -> T:
    return T(np.shape(values), dtype="int64", values=values)


def bits(values: Any) -> T:
    return T(np.shape(values), dtype="bool", values=values)


ROWS_AT = whole([2, 0, 2, -1])
REPEATED = whole([1, 0, 1, 1])
MASK = bits([[True, False, True, False], [False, False, True, True], [True, True, False, False]])


# ----- x[index] and x[index] = v: what an index means is PyTorch's -----


def at(*index: Any):
    def pick(x, *tensors):
        given = iter(tensors)
        return x[tuple(next(given) if i is T else i for i in index)]

    return pick


def put(*index: Any):
    def write(x, v, *tensors):
        given = iter(tensors)
        y = x * 1
        y[tuple(next(given) if i is T else i for i in index)] = v
        return y

    return write


def same(function: Any, op: str, *args: tuple, **kw: Any) -> Row:
    """A row of a function that means the same in both frameworks."""
    return Row(function, op=op, args=list(args), torch=function, **kw)


TWO = whole([[0, 1], [1, 0]])
BASIC = [
    same(at(1), "slice", (M,), (CUBE,), bad=[((T((1, 2)),), IndexOutOfRange, "index 1")]),
    same(at(slice(1, None), -1), "slice", (M,)),
    same(at(None, ..., slice(None, None, 2), None), "slice", (M,), (CUBE,)),
    same(at(slice(3, 1)), ("slice", "slice_put"), (M,)),
    same(at(slice(-2, 10), slice(1, 3)), "slice", (M,)),
    same(at(...), "slice", (M,), (T(()),)),
    same(at(0, 0, 0), "slice", (CUBE,), bad=[((M,), IndexOutOfRange, "too many indices")]),
]
ADVANCED = [
    same(
        at(T),
        ("index", "index_sum"),
        (M, ROWS_AT),
        (CUBE, TWO),
        (M, MASK),
        (M, whole(1)),
        (M, bits([True, False, True])),
        (M, whole(np.zeros((0,), np.int64))),
        bad=[
            ((M, whole([3])), IndexOutOfRange, "index 3"),
            ((M, T((2,))), DTypeError, "whole"),
            ((M, bits([True])), IndexOutOfRange, "mask of shape"),
            ((M, T((2,), dtype="uint8")), DTypeError, "uint8"),
        ],
    ),
    same(at(slice(None), T), "index", (M, ROWS_AT), (CUBE, TWO)),
    same(
        at(T, T),
        "index",
        (M, ROWS_AT, REPEATED),
        (CUBE, TWO, whole([2, 1])),
        (M, TWO, whole(2)),
        bad=[((M, whole([0, 1, 2]), whole([0, 1])), ShapeError, "do not broadcast")],
    ),
    same(at(T, slice(None), T), "index", (CUBE, whole([0, 1, 1]), whole([1, 3, 2]))),
    same(at(0, slice(None), T), "index", (CUBE, whole([1, 3]))),
    same(at(T, slice(None), 1), "index", (CUBE, whole([1, 0, 1]))),
    same(at(slice(None), T, slice(1, 3)), "index", (CUBE, TWO)),
    same(at(None, T, ..., T), "index", (CUBE, whole([1, 0]), whole([3, 0]))),
    same(at(slice(None), T), "index", (CUBE, bits(np.arange(12).reshape(3, 4) % 3 == 0))),
    same(at(T, slice(None), T), "index", (CUBE, whole(1), whole([0, 2]))),
    same(at([0, 2], slice(None, None, 2)), "index", (M,)),
]
WRITING = [
    same(
        put(1),
        "index_put",
        (M, T((4,))),
        (M, T(())),
        (M, T((1, 4))),
        bad=[((M, T((3,))), ShapeError, "do not broadcast")],
    ),
    same(put(slice(None, None, 2), slice(1, 3)), "index_put", (M, T((2, 1))), (M, T((1, 1, 2)))),
    same(
        put(T),
        "index_put",
        (M, T((2, 4)), whole([2, 0])),
        (M, T((4,)), whole([1])),
        (M, T(()), MASK),
        (M, T((6,)), MASK),
    ),
    Row(
        put(T),
        op=("index_put", "last_write"),
        args=[(M, T((4, 4)), REPEATED), (M, T(()), REPEATED)],
        torch=None,
        numpy=put(T),
        grad=True,
    ),  # PyTorch gives the overwritten values a gradient too
    same(
        put(T, slice(None), T),
        "index_put",
        (CUBE, T((2, 3)), whole([0, 1]), whole([1, 3])),
        (CUBE, T(()), whole([0, 0]), whole([1, 2])),
    ),
    same(put(0, slice(None), T), "index_put", (CUBE, T((3, 2)), whole([1, 3]))),
]

# ----- one axis -----

G = whole([[0, 2, 1, 1], [2, 2, 0, 1]])
WIDE = whole([[0, 3], [1, 1], [2, 0]])
OUT = whole([[0, 9, 1, 1]])
SEL = whole([2, 0, 2])
DISTINCT_SRC = T((2, 4), distinct=True, domain=(-1.7, 1.9))
ZEROS = T((3, 4), values=[[0.0, 1, 2, 0], [3, 0, 1, 2], [1, 1, 0, 2]])


def torch_index_reduce(x, dim, index, source, reduce, include_self):
    """By scatter_reduce: PyTorch's index_reduce warns that it is in beta."""
    wide = index.reshape(-1, 1).expand(source.shape)
    return x.scatter_reduce(dim, wide, source, reduce, include_self=include_self)


ALONG = [
    Row(
        "gather",
        op=("gather", "gather_sum"),
        args=[
            (M, 0, G),
            (M, 1, WIDE),
            (M, -1, WIDE),
            (T((4,)), 0, whole([3, 3, 0])),
            (M, 0, whole(np.zeros((0, 4), int))),
        ],
        bad=[
            ((M, 0, OUT), IndexOutOfRange, "index 9"),
            ((M, 0, whole([0])), ShapeError, "1 axes"),
            ((M, 0, whole([[-1]])), IndexOutOfRange, "-1"),
            ((M, 0, M), DTypeError, "whole"),
            ((M, 0, whole(np.zeros((1, 5), int))), ShapeError, "larger"),
        ],
    ),
    Row(
        "scatter_add",
        args=[(M, 0, G, T((2, 4))), (T((4,)), 0, whole([3, 3, 0]), T((3,)))],
        bad=[
            ((M, 0, G, T((1, 4))), ShapeError, "larger than src"),
            ((M, 0, G, T((2, 4), dtype="int64")), DTypeError, "int64"),
        ],
    ),
    Row(
        "scatter_add",
        args=[(M, 1, WIDE, T((3, 3)))],
        torch=None,
        numpy=lambda x, d, i, v: x + np.stack([np.bincount(a, b[:2], 4) for a, b in zip(i, v)]),
    ),
    Row(
        "scatter",
        args=[
            (M, 0, whole([[0, 2, 1, 1]]), T((1, 4))),
            (M, 1, whole([[0, 3], [1, 2], [2, 0]]), T((3, 2))),
            (M, 0, G, 2.5),
        ],
        bad=[
            ((M, 0, OUT, T((1, 4))), IndexOutOfRange, "index 9"),
            ((M, 0, G, T((2, 4)), {"reduce": "mode"}), ArgumentError, "reduce"),
        ],
    ),
    Row(
        "scatter",
        args=[(M, 0, G, T((2, 4)), {"reduce": "add"})],
        torch=lambda x, d, i, v, reduce: x.scatter_add(d, i, v),
    ),
    Row(
        "scatter",
        args=[(APART, 0, G, DISTINCT_SRC, {"reduce": "multiply"})],
        torch=lambda x, d, i, v, reduce: x.scatter_reduce(d, i, v, "prod"),
    ),
    Row(
        "scatter",
        op=("scatter", "last_scatter"),
        args=[(T((2,)), 0, whole([1, 1]), T((3,)))],
        torch=None,
        numpy=lambda x, d, i, v: np.array([x[0], v[1]]),
        grad=True,
    ),
    Row(
        "scatter_reduce",
        op=("scatter_reduce", "scatter_extreme", "scatter_prod"),
        args=[
            (APART, 0, G, DISTINCT_SRC, reduce, {"include_self": own})
            for reduce in ("sum", "prod", "mean", "amax", "amin")
            for own in (True, False)
        ],
        bad=[((M, 0, G, T((2, 4)), "median"), ArgumentError, "median")],
    ),
    Row(
        "scatter_reduce",
        op="scatter_prod",
        args=[(ZEROS, 0, G, T((2, 4), values=[[0.0, 1, 0, 2], [3, 0, 1, 2]]), "prod")],
        double=False,
        half=False,
    ),
    Row(
        "index_select",
        op=("index_select", "select_sum"),
        args=[(M, 0, SEL), (M, -1, SEL), (CUBE, 1, SEL), (T(()), 0, whole([0]))],
        bad=[
            ((M, 0, whole([3])), IndexOutOfRange, "index 3"),
            ((M, 0, G), ShapeError, "one axis"),
            ((M, 0, whole([-1])), IndexOutOfRange, "-1"),
        ],
    ),
    Row(
        "index_add",
        args=[
            (M, 0, SEL, T((3, 4))),
            (M, 1, SEL, M.__class__((3, 3))),
            (CUBE, 1, SEL, CUBE, {"alpha": 2.0}),
        ],
        bad=[
            ((M, 0, SEL, T((2, 4))), ShapeError, "do not fit"),
            ((M, 0, whole([0, 1, 5]), M), IndexOutOfRange, "index 5"),
        ],
    ),
    Row(
        "index_reduce",
        args=[
            (APART, 0, whole([2, 0]), DISTINCT_SRC, reduce, {"include_self": own})
            for reduce in ("prod", "mean", "amax", "amin")
            for own in (True, False)
        ],
        torch=torch_index_reduce,
        bad=[
            ((M, 0, SEL, M, "sum"), ArgumentError, "sum"),
            ((M, 0, SEL, T((2, 4)), "amax"), ShapeError, "does not fit"),
        ],
    ),
    Row(
        "unravel_index",
        op=(),
        args=[(whole([[1, 5], [0, 3]]), (2, 3)), (whole(4), 6)],
        grad=False,
        bad=[((whole([6]), (2, 3)), IndexOutOfRange, "position 6")],
    ),
    Row(
        "index_copy",
        op=(),
        args=[(M, 0, whole([2, 0]), T((2, 4))), (M, 1, whole([3]), T((3, 1)))],
        bad=[((M, 0, SEL, T((2, 4))), ShapeError, "expected (3, 4)")],
    ),
    Row(
        "index_fill",
        op=(),
        args=[(M, 0, whole([2, 0]), 1.5), (M, 1, SEL, 2.0)],
        bad=[((M, 0, G, 1.0), ShapeError, "one axis")],
    ),
    Row(
        "index_put",
        op=(),
        args=[
            (M, (SEL,), T((3, 4)), True),
            (M, (SEL, SEL), T((3,)), True),
            (M, (whole([1, 2]), whole([3, 0])), T((2,))),
        ],
        bad=[
            ((M, SEL, M), ArgumentTypeError, "tuple"),
            ((M, (SEL,), T((3, 4), dtype="int64")), DTypeError, "int64"),
        ],
    ),
    Row(
        "take",
        op=(),
        args=[(M, whole([[0, 11], [-1, 5]]))],
        bad=[((M, whole([12])), IndexOutOfRange, "index 12"), ((M, M), DTypeError, "whole")],
    ),
    Row(
        "put",
        op=(),
        args=[(M, whole([0, 11, 4]), T((3,))), (M, whole([0, 0]), T((2,)), True)],
        torch=lambda x, *a: x.put(*a),
        bad=[((M, SEL, T((2,))), ShapeError, "2 values")],
    ),
    Row(
        "take_along_dim",
        op=(),
        args=[(M, WIDE, 1), (M, whole([[0, 2]]), 1), (M, whole([3, 0]))],
        bad=[((M, SEL, 1), ShapeError, "axes")],
    ),
]

# ----- masks -----

BOOLS = T((3, 4), dtype="bool")
MASKS = [
    Row(
        "masked_fill",
        args=[(M, MASK, 1.5), (M, bits([True, False, True, False]), 0.0), (M, MASK, T(()))],
        bad=[
            ((M, M, 0.0), DTypeError, "bool"),
            ((M, MASK, T((4,))), ShapeError, "0-dim"),
            ((T((3, 4), dtype="int64"), MASK, 0.5), DTypeError, "does not fit"),
        ],
    ),
    Row("masked_fill", args=[(T((3, 4), dtype="int64"), MASK, 7), (BOOLS, MASK, True)], grad=False),
    Row(
        "Tensor.where",
        op="where",
        args=[(M, MASK, M), (M, MASK, 0.0), (M, bits([True] * 4), T(()))],
        bad=[((M, 1.0, M), ArgumentTypeError, "bool tensor")],
    ),
    Row(
        "nonzero",
        args=[(MASK,), (T((4,), dtype="int64", domain=(-1, 1)),), (bits(True),)],
        grad=False,
    ),
    Row("nonzero", args=[(MASK, {"as_tuple": True})], grad=False),
    Row("argwhere", op=(), args=[(MASK,)], grad=False),
    Row(
        "masked_select",
        op=(),
        args=[(M, MASK), (M, bits([True, False, True, True])), (T((4,)), MASK)],
        bad=[((M, M), DTypeError, "bool")],
    ),
    Row(
        "masked_scatter",
        op=(),
        args=[(M, MASK, T((2, 4))), (M, bits([True, False, True, True]), T((12,)))],
        bad=[((M, MASK, T((3,))), ShapeError, "source has 3")],
    ),
]

# ----- order -----

TIES = T((2, 6), values=[[2.0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 5]])
LONG = T((40,), distinct=True)
NANS = T((5,), values=[1.0, np.nan, 0.0, np.inf, -np.inf], grad=False)
ORDER = [
    Row(
        "sort",
        op="sort_axis",
        args=[(APART,), (APART, 0), (APART, -1, True), (T(()),)],
        bad=[((M, 2), IndexOutOfRange, "dim 2")],
    ),
    Row(
        "sort",
        op="sort_axis",
        args=[(TIES, -1, False), (TIES, -1, True), (NANS,), (NANS, 0, True)],
        torch=lambda x, d=-1, down=False: __import__("torch").sort(
            x, dim=d, descending=down, stable=True
        ),
        grad=False,
        half=False,
    ),
    Row(
        "argsort", args=[(APART,), (APART, 0, True), (T((4,), dtype="int64", values=[3, 1, 2, 0]),)]
    ),
    Row("msort", op=(), args=[(APART,)]),
    Row(
        "topk",
        op="topk_axis",
        args=[
            (APART, 2),
            (APART, 2, 0, False),
            (LONG, 3),
            (LONG, 3, -1, False),
            (APART, 4),
            (T(()), 1),
        ],
        bad=[((M, 5), ArgumentError, "k=5")],
    ),
    Row(
        "kthvalue",
        op="kth_axis",
        args=[(APART, 2), (APART, 1, 0, True), (T(()), 1)],
        bad=[((M, 5), ArgumentError, "k=5"), ((M, 0), ArgumentError, "counts from 1")],
    ),
    Row(
        "unique",
        op="unique_values",
        args=[
            (TIES,),
            (whole([3, 1, 3, 2]), True, True, True),
            (whole([[1, 2], [0, 1], [1, 2]]), True, True, True, 0),
            (NANS,),
        ],
        grad=False,
        half=False,
    ),
    Row(
        "unique_consecutive",
        op="unique_runs",
        args=[
            (TIES,),
            (whole([3, 3, 1, 1, 3]), True, True),
            (whole([[1, 1, 2], [0, 0, 2]]), True, True, 1),
            (T((0,)),),
        ],
        grad=False,
        half=False,
    ),
    Row(
        "searchsorted",
        args=[
            (whole([1, 3, 3, 5]), whole([[3, 4], [0, 9]])),
            (whole([1, 3, 3, 5]), whole([3]), {"right": True}),
            (whole([[1, 2], [3, 4]]), whole([[2], [2]]), {"side": "right"}),
            (whole([1, 3, 5]), 4),
            (whole([1, 3]), whole([2]), {"out_int32": True}),
        ],
        grad=False,
        bad=[
            ((whole(1), SEL), ShapeError, "must have an axis"),
            ((SEL, SEL, {"side": "up"}), ArgumentError, "side"),
            ((whole([[1]]), whole([[1], [2]])), ShapeError, "do not fit"),
        ],
    ),
    Row(
        "bucketize",
        op=(),
        args=[(M, T((3,), values=[-1.0, 0.0, 1.0], grad=False))],
        grad=False,
        half=False,
    ),
    Row(
        "isin",
        args=[
            (whole([[1, 2], [3, 4]]), whole([2, 3])),
            (whole([1, 2]), 2),
            (whole([1, 2]), whole([2]), {"invert": True}),
        ],
        grad=False,
    ),
]

# ----- embeddings -----

TABLE = T((5, 3))
WORDS = whole([[1, 4, 1], [0, 2, 4]])
FLAT = whole([1, 4, 1, 0, 2])
OFFSETS = whole([0, 2, 2])


def embedding_gradient(index, weight, **how):
    rows = NAMESPACES["F"]["embedding"](index, weight.requires_grad_(), **how)
    (first,) = bl.autograd.grad((rows * rows).sum(), weight, create_graph=True)
    return first, bl.autograd.grad((first * first).sum(), weight)


def torch_embedding_gradient(index, weight, **how):
    import torch

    rows = torch.nn.functional.embedding(index, weight.requires_grad_(), **how)
    (first,) = torch.autograd.grad((rows * rows).sum(), weight, create_graph=True)
    return first, torch.autograd.grad((first * first).sum(), weight)


def bounded_embedding(index, weight):
    rows = NAMESPACES["F"]["embedding"](index, weight, max_norm=1.0)
    return rows, weight


def torch_bounded_embedding(index, weight):
    import torch

    return torch.nn.functional.embedding(index, weight, max_norm=1.0), weight


EMBEDDINGS = [
    Row(
        "F.one_hot",
        args=[(whole([0, 2, 1]),), (WORDS, 6)],
        bad=[
            ((whole([0, 3]), 3), IndexOutOfRange, "class 3"),
            ((T((2,)),), DTypeError, "whole"),
            ((whole([-1]), 3), IndexOutOfRange, "class -1"),
        ],
    ),
    Row(
        "F.embedding",
        op=("embedding", "embedding_sum"),
        args=[(WORDS, TABLE), (whole(3), TABLE), (whole(np.zeros((0, 2), int)), TABLE)],
        bad=[
            ((whole([5]), TABLE), IndexOutOfRange, "index 5"),
            ((TABLE, WORDS), DTypeError, "first"),
            ((WORDS, TABLE, 7), IndexOutOfRange, "padding_idx"),
            ((WORDS, T((5,))), ShapeError, "(rows, features)"),
        ],
    ),
    Row(
        embedding_gradient,
        op="embedding_sum",
        args=[
            (WORDS, TABLE, {"padding_idx": 1}),
            (WORDS, TABLE, {"padding_idx": -1}),
            (WORDS, TABLE, {"scale_grad_by_freq": True}),
        ],
        torch=torch_embedding_gradient,
        grad=False,
        half=False,
    ),
    Row(
        bounded_embedding,
        op="embedding",
        args=[(WORDS, T((5, 3), grad=False))],
        torch=torch_bounded_embedding,
        grad=False,
        half=False,
    ),
    Row(
        "F.embedding_bag",
        args=[(WORDS, TABLE, {"mode": mode}) for mode in ("sum", "mean", "max")]
        + [(FLAT, TABLE, OFFSETS, {"mode": mode}) for mode in ("sum", "mean", "max")]
        + [
            (WORDS, TABLE, {"mode": "sum", "per_sample_weights": T((2, 3))}),
            (WORDS, TABLE, {"mode": "mean", "padding_idx": 1}),
            (FLAT, TABLE, whole([0, 2, 5]), {"include_last_offset": True}),
        ],
        bad=[
            ((WORDS, TABLE, {"mode": "min"}), ArgumentError, "mode"),
            ((FLAT, TABLE), ShapeError, "offsets"),
            ((WORDS, TABLE, OFFSETS), ArgumentError, "vector"),
            ((FLAT, TABLE, whole([1])), ArgumentError, "start at 0"),
        ],
    ),
]


ROWS = [*BASIC, *ADVANCED, *WRITING, *ALONG, *MASKS, *ORDER, *EMBEDDINGS]
