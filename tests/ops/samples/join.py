"""Rows of backlit/ops/join.py, combine.py, arrange.py and pad.py."""

from rows import Row, T

from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexOutOfRange,
    ShapeError,
)  # fmt: skip

M = T((3, 4))
CUBE = T((2, 3, 4))
COUNTS = T((3,), dtype="int64", values=[2, 0, 3])


def pad_in_conv(x):
    from backlit.ops.pad import pad_constant

    return pad_constant(x, (1, -2, 2, 0), 1.5)


ROWS = [
    Row(
        "cat",
        args=[
            ([M, M],),
            ([M, T((2, 4))], 0),
            ([M, T((3, 1))], -1),
            ([T((0,)), M],),
            ([M, T((3, 4), dtype="int64")],),
        ],
        bad=[
            (([],), ArgumentError, "at least one"),
            ((M,), ArgumentTypeError, "list or tuple"),
            (([M, T((2, 3))],), ShapeError, "differ"),
            (([T(())],), ShapeError, "stack"),
        ],
    ),
    Row(
        "stack",
        args=[([M, M],), ([M, M, M], -1), ([T(()), T(())],)],
        bad=[(([M, T((3, 3))],), ShapeError, "differ")],
    ),
    Row(
        "split",
        op="split",
        args=[(M, 2), (M, [1, 2]), (M, 3, 1), (T((0, 2)), 1)],
        bad=[((M, [1, 1]), ArgumentError, "do not add up"), ((M, 0), ArgumentError, "positive")],
    ),
    Row("split_with_sizes", op=(), args=[(M, [1, 3], 1)]),
    Row(
        "chunk",
        op=(),
        args=[(M, 2), (M, 3, -1), (M, 5)],
        bad=[((M, 0), ArgumentError, "at least one")],
    ),
    Row(
        "tensor_split",
        op=(),
        args=[(M, 2), (M, (1, 3), 1), (M, 5), (M, (2, 1), 1), (M, (-1,), 1)],
        bad=[((M, 0), ArgumentError, "at least one")],
    ),
    Row("unbind", op="unbind", args=[(M,), (M, -1)], bad=[((T(()),), ShapeError, "0-dim")]),
    Row(
        "narrow",
        op=(),
        args=[(M, 1, 1, 2), (M, 0, -1, 1)],
        bad=[((M, 0, 2, 2), IndexOutOfRange, "2 from 2")],
    ),
    Row(
        "select", op=(), args=[(M, 1, -1), (M, 0, 2)], bad=[((M, 0, 3), IndexOutOfRange, "index 3")]
    ),
    Row(
        "hsplit", op=(), args=[(M, 2), (T((4,)), [1, 3])], bad=[((M, 3), ArgumentError, "multiple")]
    ),
    Row("vsplit", op=(), args=[(M, 3), (M, [1])], bad=[((T((3,)), 1), ShapeError, "at least 2")]),
    Row("dsplit", op=(), args=[(CUBE, 2)], bad=[((M, 1), ShapeError, "at least 3")]),
    # combine.py
    Row("hstack", op=(), args=[([M, M],), ([T((2,)), T((3,))],), ([T(()), T(())],)]),
    Row("vstack", op=(), args=[([M, M],), ([T((2,)), T((2,))],)]),
    Row("dstack", op=(), args=[([M, M],), ([T((2,)), T((2,))],)]),
    Row("column_stack", op=(), args=[([M, T((3,))],), ([T((2,)), T((2,))],)]),
    Row(
        "meshgrid",
        op=(),
        args=[
            (T((2,)), T((3,)), {"indexing": "ij"}),
            (T((2,)), T((3,)), T(()), {"indexing": "xy"}),
        ],
        bad=[
            ((M, {"indexing": "ij"}), ShapeError, "vectors"),
            ((T((2,)), {"indexing": "no"}), ArgumentError, "indexing"),
        ],
    ),
    Row("cartesian_prod", op=(), args=[(T((2,)), T((3,))), (T((2,)),)]),
    Row(
        "combinations",
        op=(),
        args=[(T((4,)),), (T((3,)), 2, True), (T((4,)), 3)],
        bad=[((M,), ShapeError, "vector")],
    ),
    Row("block_diag", op=(), args=[(T((2, 1)), T((3,)), T((1, 2)))]),
    # arrange.py
    Row("flip", args=[(M, (0,)), (CUBE, (0, -1))], bad=[((M, (2,)), IndexOutOfRange, "dim 2")]),
    Row("fliplr", op=(), args=[(M,)], bad=[((T((3,)),), ShapeError, "at least 2")]),
    Row("flipud", op=(), args=[(M,)], bad=[((T(()),), ShapeError, "at least 1")]),
    Row(
        "rot90",
        args=[(M,), (M, 2), (M, 3), (M, 4), (CUBE, 1, (0, 2)), (CUBE, -1, (2, 1))],
        bad=[((M, 1, (0, 0)), ArgumentError, "differ"), ((T((3,)),), ShapeError, "plane")],
    ),
    Row(
        "roll",
        args=[(M, 1), (M, 1, 0), (M, (1, -2), (0, 1)), (M, 5, -1)],
        bad=[
            ((M, (1, 2)), ArgumentError, "as many dims"),
            ((M, 1, (0, 1)), ArgumentError, "2 dims"),
        ],
    ),
    Row(
        "Tensor.repeat",
        args=[(M, 2, 1), (M, 2, 1, 3), (M, 0, 1), (T(()), 2)],
        bad=[((M, 2), ShapeError, "name every axis"), ((M, -1, 2), ArgumentError, "negative")],
    ),
    Row("tile", op=(), args=[(M, (2,)), (M, (2, 1, 3))]),
    Row(
        "repeat_interleave",
        args=[(M, 2), (M, 2, 0), (M, COUNTS, 0), (M, 3, -1)],
        bad=[
            ((M, -1), ArgumentError, "negative"),
            ((M, COUNTS, 1), ShapeError, "3 repeats"),
            ((M, T((3,)), 0), DTypeError, "whole"),
        ],
    ),
    Row("repeat_interleave", args=[(COUNTS,)], grad=False),
    Row(
        "pixel_shuffle",
        args=[(T((1, 8, 2, 3)), 2), (T((4, 2, 2)), 2)],
        bad=[
            ((T((1, 3, 2, 2)), 2), ArgumentError, "no multiple"),
            ((M, 2), ShapeError, "(*, C, H, W)"),
        ],
    ),
    Row(
        "pixel_unshuffle",
        args=[(T((1, 2, 4, 6)), 2)],
        bad=[((T((1, 3, 3, 2)), 2), ArgumentError, "no multiples")],
    ),
    Row(
        "channel_shuffle",
        args=[(T((1, 6, 2)), 3), (T((2, 4, 2, 2)), 2)],
        bad=[((T((1, 3, 2)), 2), ArgumentError, "no multiple")],
    ),
    # pad.py
    Row(
        pad_in_conv,
        op="pad_constant",
        args=[(M,)],
        torch=lambda x: __import__("torch").nn.functional.pad(x, (1, -2, 2, 0), value=1.5),
    ),
    Row(
        "F.pad",
        args=[
            (M, (1, 2)),
            (M, (1, -1, 0, 2), "constant", 2.5),
            (CUBE, (2, 1), "reflect"),
            (CUBE, (2, 1), "replicate"),
            (CUBE, (3, 1), "circular"),
            (CUBE, (2, -1), "circular"),
            (CUBE, (-1, 2), "circular"),
            (CUBE, (2, -1), "reflect"),
            (CUBE, (-1, 2), "replicate"),
            (T((1, 2, 4, 3)), (1, 2, 3, 1), "reflect"),
            (T((1, 2, 2, 3, 4)), (1, 1, 2, 0, 1, 1), "replicate"),
            (T((2, 3, 4)), (1, 1, 2, 0), "circular"),
        ],
        bad=[
            ((M, (1,)), ShapeError, "1 sides"),
            ((CUBE, (4, 0), "reflect"), ShapeError, "do not fit"),
            ((M, (1, 1), "wrong"), ArgumentError, "mode"),
            ((M, (-9, 0)), ShapeError, "cut off"),
        ],
    ),
    Row(
        "Tensor.unfold",
        op=("unfold", "unfold_sum"),
        args=[(M, 1, 2, 1), (M, -1, 3, 2), (T((7,)), 0, 3, 2)],
        bad=[((M, 1, 5, 1), ArgumentError, "do not fit")],
    ),
    Row(
        "F.unfold",
        op=("im2col", "col2im"),
        args=[(T((2, 3, 4, 5)), 2), (T((1, 2, 5, 5)), (2, 3), 1, 1, 2), (T((2, 5, 5)), 2, 2)],
        bad=[((M, 2), ShapeError, "images"), ((T((1, 1, 2, 2)), 3), ShapeError, "do not fit")],
    ),
    Row(
        "F.fold",
        op="col2im",
        args=[(T((2, 12, 12)), (4, 5), 2), (T((12, 12)), (4, 5), 2)],
        bad=[((T((1, 12, 5)), (4, 5), 2), ShapeError, "do not fit")],
    ),
]
