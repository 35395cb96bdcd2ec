"""Rows of backlit/ops/shape.py, views.py and diagonal.py."""

from rows import Row, T

from backlit.errors import ArgumentError, IndexOutOfRange, NotAvailable, ShapeError

M = T((3, 4))


def cast(x):
    return x.float() * 1


def expand_then_use(x):
    return x.expand(2, 3, 4) * 2


def sum_to(x):
    return x.sum_to_size(3, 1)


def write_through_views(x, v):
    y = x * 1
    y.transpose(0, 1)[1:, 0] = v
    return y


def squeeze_in_place(x):
    y = x * 1
    y.unsqueeze_(0).squeeze_(0).t_()
    y[0] = 5.0
    return y * x.T


ROWS = [
    Row(
        cast,
        op="cast",
        args=[(M,)],
        torch=lambda x: x.float() * 1,
        tol=1e-6,
        half=False,
        double=False,
        grad=False,
    ),
    Row(
        "Tensor.to",
        op="cast",
        args=[(T((2, 3), dtype="float32"), {"dtype": None})],
        torch=lambda x, dtype: x,
        grad=False,
    ),
    Row(
        "Tensor.expand",
        args=[(T((3, 1)), 3, 4), (T((1, 3)), 2, -1, 3), (T(()), 2), (M, 2, 3, 4)],
        bad=[((M, 3), ShapeError, "2 axes"), ((M, 3, 5), ShapeError, "does not expand")],
    ),
    Row(
        expand_then_use,
        op="expand",
        args=[(M,), (T((3, 1)),)],
        torch=lambda x: x.expand(2, 3, 4) * 2,
    ),
    Row(
        sum_to,
        op="sum_to",
        args=[(T((2, 3, 4)),), (T((3, 4)),), (T((3, 1)),)],
        torch=lambda x: x.sum_to_size(3, 1),
    ),
    Row(
        "reshape",
        args=[(M, (2, -1)), (M, (12,)), (T((0, 3)), (3, 0)), (T(()), (1, 1))],
        bad=[
            ((M, (5, 2)), ShapeError, "12 elements"),
            ((M, (-1, -1)), ShapeError, "at most one"),
            ((M, (5, -1)), ShapeError, "do not fit"),
        ],
    ),
    Row(
        "permute",
        args=[(T((2, 3, 4)), (2, 0, 1)), (T((2, 3, 4)), (-1, 0, 1)), (T(()), ())],
        bad=[((M, (0,)), ShapeError, "1 dims"), ((M, (0, 0)), ShapeError, "not a permutation")],
    ),
    Row(write_through_views, op="view_put", args=[(M, T((3,)))], torch=write_through_views),
    Row(
        "unsqueeze",
        args=[(M, 0), (M, -1), (T(()), 0), (M, 1)],
        bad=[((M, 3), IndexOutOfRange, "out of range")],
    ),
    Row(
        "squeeze",
        args=[(T((1, 3, 1)),), (T((1, 3, 1)), 0), (T((1, 3, 1)), (0, 2)), (M, 0)],
        bad=[((M, 2), IndexOutOfRange, "out of range")],
    ),
    Row(squeeze_in_place, op=(), args=[(T((3, 3)),)], torch=squeeze_in_place),
    # other spellings
    Row(
        "Tensor.view",
        op=(),
        args=[(M, 2, 6), (M, (4, -1))],
        bad=[((M, 5), ShapeError, "do not fit")],
    ),
    Row(
        "transpose",
        op=(),
        args=[(M, 0, 1), (T((2, 3, 4)), -1, 0), (T(()), 0, 0)],
        bad=[((M, 0, 2), IndexOutOfRange, "out of range")],
    ),
    Row(
        "t",
        op=(),
        args=[(M,), (T((3,)),), (T(()),)],
        bad=[((T((1, 2, 3)),), ShapeError, "at most 2")],
    ),
    Row(
        "flatten",
        op=(),
        args=[(T((2, 3, 4)),), (T((2, 3, 4)), 1), (T((2, 3, 4)), 0, 1), (T(()),)],
        bad=[((T((2, 3)), 1, 0), ShapeError, "comes after")],
    ),
    Row("ravel", op=(), args=[(M,), (T(()),)]),
    Row(
        "unflatten",
        op=(),
        args=[(M, 1, (2, 2)), (M, -1, (2, -1))],
        bad=[((M, 1, (3, 2)), ShapeError, "do not fit")],
    ),
    Row("Tensor.view_as", op=(), args=[(M, T((2, 6), grad=False))]),
    Row("Tensor.reshape_as", op=(), args=[(M, T((2, 6), grad=False))]),
    Row("Tensor.expand_as", op=(), args=[(T((3, 1)), T((3, 4), grad=False))]),
    Row("broadcast_to", op=(), args=[(T((3, 1)), (2, 3, 4))]),
    Row(
        "broadcast_tensors",
        op=(),
        args=[(T((3, 1)), T((4,)))],
        bad=[((T((3,)), T((4,))), ShapeError, "do not broadcast")],
    ),
    Row(
        "movedim",
        op=(),
        args=[(T((2, 3, 4)), 0, -1), (T((2, 3, 4)), (0, 1), (-1, 0))],
        bad=[
            ((M, (0, 1), (0,)), ShapeError, "2 axes"),
            ((M, (0, 0), (0, 1)), ArgumentError, "twice"),
        ],
    ),
    Row("adjoint", op=(), args=[(M,), (T((2, 3, 4)),)]),
    Row("broadcast_shapes", op=(), args=[((3, 1), (4,)), ((2, 1), 3)], grad=False),
    Row("atleast_1d", op=(), args=[(T(()),), (M,), (T(()), M)]),
    Row("atleast_2d", op=(), args=[(T(()),), (T((3,)),), (M,)]),
    Row("atleast_3d", op=(), args=[(T(()),), (T((3,)),), (M,), (T((1, 2, 3, 4)),)]),
    Row("Tensor.resize_", op=(), args=[], bad=[((M, 2), NotAvailable, "keeps its number")]),
    # triangles and diagonals
    Row(
        "tril",
        args=[(M,), (M, 1), (T((2, 3, 3)), -1)],
        bad=[((T((3,)),), ShapeError, "at least 2 axes")],
    ),
    Row(
        "triu",
        args=[(M,), (M, 1), (T((2, 3, 3)), -1)],
        bad=[((T((3,)),), ShapeError, "at least 2 axes")],
    ),
    Row(
        "tril_indices",
        op=(),
        args=[(3, 4), (3, 4, 1), (3, 4, -1), (0, 2)],
        grad=False,
        bad=[((-1, 2), ArgumentError, "negative")],
    ),
    Row("triu_indices", op=(), args=[(3, 4), (3, 4, 1), (4, 3, -1)], grad=False),
    Row(
        "diagonal",
        args=[(M,), (M, 1), (M, -2), (T((2, 3, 4)), 1, -1, 0), (M, 7)],
        bad=[((T((3,)),), ShapeError, "at least 2"), ((M, 0, 1, 1), ArgumentError, "must differ")],
    ),
    Row(
        "diag_embed",
        op=("diag_embed", "diagonal_put"),
        args=[(T((3,)),), (M, 1), (M, -1, 0, 2), (M, 1, 2, 0)],
        bad=[((T(()),), ShapeError, "no last axis")],
    ),
    Row(
        "diag",
        args=[(T((3,)),), (T((3,)), 1), (M,), (M, -1)],
        bad=[((T((2, 2, 2)),), ShapeError, "vector or matrix")],
    ),
    Row("diagflat", op=(), args=[(T((2, 2)),), (T((2,)), -1)]),
    Row("trace", args=[(M,), (T((3, 3)),)], bad=[((T((3,)),), ShapeError, "expected a matrix")]),
    Row(
        "diagonal_scatter",
        op=(),
        args=[(M, T((3,))), (M, T((3,)), 1)],
        bad=[((M, T((2,))), ShapeError, "window has shape")],
    ),
    Row(
        "select_scatter",
        op=(),
        args=[(M, T((4,)), 0, 1), (M, T((3,)), -1, -2)],
        bad=[((M, T((3,)), 0, 0), ShapeError, "window has shape")],
    ),
    Row("slice_scatter", op=(), args=[(M, T((2, 4)), 0, 1), (M, T((3, 2)), 1, 0, 4, 2)]),
]
