"""Rows of backlit/ops/conv.py."""

from __future__ import annotations

import warnings
from typing import Any

from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.nn import functional as F

FAMILY = ("conv", "conv_grad_input", "conv_grad_weight")
SEQUENCE, IMAGE, VOLUME = T((2, 4, 7)), T((2, 4, 6, 5)), T((1, 2, 4, 5, 3))
B6 = T((6,))

CONVOLUTIONS = [
    Row("F.conv1d", op=FAMILY, args=[
        (SEQUENCE, T((6, 4, 3)), B6), (SEQUENCE, T((6, 4, 3))),
        (SEQUENCE, T((6, 2, 3)), B6, 2, 1, 1, 2), (SEQUENCE, T((8, 1, 2)), None, 1, 2, 3, 4),
        (T((4, 7)), T((6, 4, 3)), B6, {"padding": "same"}),
        (SEQUENCE, T((6, 4, 2)), B6, {"padding": "valid", "dilation": 2}),
        (T((0, 4, 7)), T((6, 4, 3)), B6),
    ], bad=[
        ((SEQUENCE, T((6, 3, 3))), ShapeError, "channels"),
        ((SEQUENCE, T((6, 4, 9))), ShapeError, "larger than the padded input"),
        ((SEQUENCE, T((6, 4, 3)), T((5,))), ShapeError, "bias"),
        ((SEQUENCE, T((5, 2, 3)), None, 1, 0, 1, 2), ArgumentError, "groups"),
        ((SEQUENCE, T((6, 4, 3)), None, 0), ArgumentError, "stride"),
        ((SEQUENCE, T((6, 4, 3)), None, 1, -1), ArgumentError, "padding"),
        ((SEQUENCE, T((6, 4, 3)), None, 2, "same"), ArgumentError, "stride of 1"),
        ((SEQUENCE, T((6, 4, 3)), None, 1, "full"), ArgumentError, "'same' or 'valid'"),
        ((SEQUENCE, T((6, 4, 3), dtype="int64")), DTypeError, "weight"),
        ((T((7,)), T((6, 4, 3))), ShapeError, "axes"),
        ((3.0, T((6, 4, 3))), ArgumentTypeError, "tensors"),
    ]),
    Row("F.conv2d", op=FAMILY, args=[
        (IMAGE, T((6, 4, 3, 3)), B6), (IMAGE, T((6, 4, 1, 1)), None, 2),
        (IMAGE, T((6, 2, 3, 2)), B6, (2, 1), (1, 0), (1, 2), 2),
        (IMAGE, T((4, 1, 3, 3)), None, 1, 1, 1, 4),
    ], bad=[((IMAGE, T((6, 4, 3, 3)), None, (1, 2, 3)), ArgumentError, "stride")]),
    Row("F.conv3d", op=FAMILY, args=[
        (VOLUME, T((4, 2, 2, 3, 2)), T((4,))),
        (VOLUME, T((4, 1, 2, 3, 2)), None, (1, 2, 1), 1, 1, 2),
        (T((2, 4, 5, 3)), T((4, 2, 1, 2, 3))),
    ]),
]  # fmt: skip


def padded_to_the_same_size(x: Any, w: Any) -> Any:
    return F.conv2d(x, w, padding="same")


def _torch_same(x: Any, w: Any) -> Any:
    """PyTorch's answer without its warning that an odd padding copies."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.conv2d(x, w, padding="same")


def padded_beyond_the_stride(x: Any, w: Any) -> Any:
    return F.conv_transpose2d(x, w, None, (1, 2), 0, (1, 2), 1, 3)


def _torch_beyond(x: Any, w: Any) -> Any:
    import torch

    return torch.conv_transpose2d(x, w, None, (1, 2), 0, (1, 2), 1, 3)


ODD = [
    Row(padded_to_the_same_size, op=FAMILY, torch=_torch_same,
        args=[(T((4, 6, 5)), T((3, 4, 2, 3))), (IMAGE, T((3, 4, 4, 2)))]),
    Row(padded_beyond_the_stride, op=FAMILY, torch=_torch_beyond, args=[(IMAGE, T((4, 3, 2, 2)))]),
]  # fmt: skip

TRANSPOSED = [
    Row("F.conv_transpose1d", op=FAMILY, args=[
        (SEQUENCE, T((4, 6, 3)), B6), (SEQUENCE, T((4, 3, 3)), B6, 2, 1, 1, 2),
        (T((4, 7)), T((4, 6, 2)), None, 3), (SEQUENCE, T((4, 6, 3)), None, 1, 0, 1, 1, 2),
    ], bad=[
        ((SEQUENCE, T((3, 6, 3))), ShapeError, "does not fit weight"),
        ((SEQUENCE, T((4, 6, 3)), T((5,))), ShapeError, "bias"),
        ((SEQUENCE, T((4, 6, 3)), None, 2, 0, 2), ArgumentError, "output_padding"),
        ((SEQUENCE, T((4, 6, 1)), None, 1, 4), ShapeError, "size"),
    ]),
    Row("F.conv_transpose2d", op=FAMILY, args=[
        (IMAGE, T((4, 3, 2, 2)), T((3,)), 2),
        (IMAGE, T((4, 3, 3, 2)), T((6,)), (2, 1), 1, (1, 0), 2),
    ]),
    Row("F.conv_transpose3d", op=FAMILY, args=[
        (VOLUME, T((2, 3, 2, 1, 2)), T((3,)), 2), (T((2, 2, 3, 2)), T((2, 3, 1, 2, 2))),
    ]),
]  # fmt: skip

ROWS = [*CONVOLUTIONS, *ODD, *TRANSPOSED]
