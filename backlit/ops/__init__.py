"""Operators, one class each, by family. Importing this package fills the registry."""

from __future__ import annotations

from importlib import import_module

FAMILIES = (
    "elementwise", "activation", "special", "shape", "arithmetic", "views", "index", "join",
    "scatter", "select", "arrange", "diagonal", "pad", "combine", "mask", "sort", "embedding",
    "convert", "reduce", "extreme", "running", "distance", "statistics", "matmul",
    "products", "einsum",
    "linalg", "spectral", "lu", "softmax", "conv", "norm", "pool", "pool_adaptive", "norm_rows",
    "norm_groups", "attention", "random", "loss", "loss_regression", "loss_binary", "fused",
    "scan", "cond", "callback",
    "loss_margin", "loss_ctc", "recurrent", "image", "image_grid", "multihead",
)  # fmt: skip

for _family in FAMILIES:
    import_module(f"backlit.ops.{_family}")
import_module("backlit.ops.precision")
