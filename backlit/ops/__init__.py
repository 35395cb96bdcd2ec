"""Operators, one class each, by family. Importing this package fills the registry."""

from __future__ import annotations

from importlib import import_module

FAMILIES = (
    "elementwise", "activation", "shape", "views", "join", "pad", "mask", "convert", "reduce",
    "index", "matmul", "softmax", "conv", "pool", "norm", "attention", "random", "loss",
    "recurrent",
)  # fmt: skip

for _family in FAMILIES:
    import_module(f"backlit.ops.{_family}")
