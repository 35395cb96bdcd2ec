"""Rows of backlit/ops/image.py and image_grid.py."""

from __future__ import annotations

from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, NotAvailable, ShapeError

LINE, IMAGE, VOLUME = T((2, 3, 5)), T((2, 3, 5, 4)), T((1, 2, 3, 4, 2))
FAMILY = ("interpolate", "interpolate_grad")


def _resized(x: T, sizes: list, modes: list[str]) -> list[tuple]:
    made = []
    for mode in modes:
        aligned = (None, True) if "linear" in mode or "cubic" in mode else (None,)
        for align in aligned:
            made += [(x, *s, {"mode": mode, "align_corners": align}) for s in sizes]
    return made


FACTORS = {"scale_factor": 1.7, "recompute_scale_factor": True}
SIZES = [
    Row("F.interpolate", op=FAMILY, args=[
        *_resized(LINE, [(8,), (3,), (None, 1.7)], ["nearest", "nearest-exact", "linear", "area"]),
        *_resized(IMAGE, [((7, 9),), ((3, 2),), (None, (0.6, 2.0)), (1,)],
                  ["nearest", "nearest-exact", "bilinear", "bicubic"]),
        *_resized(VOLUME, [((5, 3, 4),), (None, 2.0)], ["nearest", "trilinear"]),
        (LINE, {**FACTORS, "mode": "linear"}), (IMAGE, {**FACTORS, "mode": "bicubic"}),
        (IMAGE, (5, 4), {"mode": "bilinear"}), (T((0, 3, 5, 4)), 7, {"mode": "bilinear"}),
    ], bad=[
        ((LINE, 4, {"mode": "bilinear"}), ShapeError, "axes"),
        ((LINE, 4, 2.0), ArgumentError, "either"), ((LINE,), ArgumentError, "either"),
        ((LINE, (4, 4)), ArgumentError, "size must have 1"),
        ((LINE, 4, {"mode": "spline"}), ArgumentError, "mode"),
        ((LINE, 4, {"align_corners": True}), ArgumentError, "align_corners"),
        ((IMAGE, 4, {"mode": "bilinear", "antialias": True}), NotAvailable, "antialias"),
        ((LINE, 0), ShapeError, "positive"), ((LINE, None, -1.0), ArgumentError, "scale_factor"),
        ((T((2, 3, 5), dtype="int64"), 4), DTypeError, "floating point"),
        ((1.0, 4), ArgumentTypeError, "expected a Tensor"),
    ]),
    Row("F.upsample_nearest", op=(), torch="F.interpolate", args=[(IMAGE, (7, 9))], grad=True),
    Row("F.upsample_bilinear", op=(), grad=True, torch=lambda x, s: _torch_resized(x, s),
        args=[(IMAGE, (7, 9))]),
    Row("F.upsample", op=(), torch="F.interpolate", args=[(IMAGE, (7, 9))], grad=True),
]  # fmt: skip


def _torch_resized(x: object, size: tuple) -> object:
    import torch

    return torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=True)


GRID = T((2, 4, 3, 2), domain=(-1.4, 1.4))
INSIDE = T((1, 2, 3, 2, 3), domain=(-0.9, 0.9))


def _sampled(x: T, grid: T, modes: list[str]) -> list[tuple]:
    paddings = ("zeros", "border", "reflection")
    return [(x, grid, m, p, align) for m in modes for p in paddings for align in (True, False)]


GRIDS = [
    Row("F.grid_sample", op=("grid_sample", "plane_take", "plane_put"), grad=True, args=[
        *_sampled(IMAGE, GRID, ["bilinear", "nearest", "bicubic"]),
        *_sampled(VOLUME, INSIDE, ["bilinear", "nearest"]),
        (IMAGE, GRID, {"align_corners": False}),
        (T((0, 3, 5, 4)), T((0, 2, 2, 2)), {"align_corners": False}),
    ], half=False, bad=[
        ((IMAGE, T((3, 4, 3, 2))), ShapeError, "images"),
        ((IMAGE, T((2, 4, 3, 3))), ShapeError, "grid"),
        ((VOLUME, INSIDE, "bicubic"), ShapeError, "bicubic"),
        ((IMAGE, GRID, "cubic"), ArgumentError, "mode"),
        ((IMAGE, GRID, "nearest", "wrap"), ArgumentError, "padding_mode"),
        ((IMAGE, T((2, 4, 3, 2), dtype="float32")), DTypeError, "floating-point"),
        ((IMAGE, 1.0), ArgumentTypeError, "expected a Tensor"),
    ]),
    Row("F.affine_grid", args=[
        (T((2, 2, 3)), (2, 1, 4, 3), True), (T((2, 2, 3)), (2, 1, 4, 3), False),
        (T((1, 3, 4)), (1, 1, 2, 3, 4), False), (T((1, 2, 3)), (1, 1, 1, 2), False),
    ], grad=True, bad=[
        ((T((2, 2, 3)), (3, 1, 4, 3)), ShapeError, "theta"),
        ((T((2, 2, 3)), (2, 1, 0, 3)), ArgumentError, "positive"),
    ]),
]  # fmt: skip

ROWS = [*SIZES, *GRIDS]
