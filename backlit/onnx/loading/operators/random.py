"""Random numbers: drawn anew at every run from Backlit's generator; dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit.creation as make
from backlit.api import NAMESPACES
from backlit.onnx.loading.graph import Values
from backlit.onnx.loading.table import Known, Node, array, dtype_of, operator, setting, tensor
from backlit.random import Generator
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


def _generator(node: Node) -> Generator | None:
    """A node with a seed draws from a generator of its own, so it repeats itself."""
    seed = node.get("seed")
    if seed is None:
        return None
    return Generator().manual_seed(int(np.float32(seed).view(np.uint32)))


def _drawn(node: Node, sizes: Any, default: Any) -> Tensor:
    dtype = dtype_of(node.get("dtype"), node.op) if node.get("dtype") is not None else default
    how: dict[str, Any] = {"dtype": dtype, "generator": _generator(node)}
    if node.op.startswith("RandomNormal"):
        return make.randn(*sizes, **how) * node.get("scale", 1.0) + node.get("mean", 0.0)
    low, high = node.get("low", 0.0), node.get("high", 1.0)
    return make.rand(*sizes, **how) * (high - low) + low


@operator("RandomNormal", "RandomUniform", raw=True)
def draw(node: Node, values: Values) -> Tensor:
    return _drawn(node, node.get("shape"), dtype_of(1, node.op))


@operator("RandomNormalLike", "RandomUniformLike", raw=True)
def draw_like(node: Node, values: Values, x: Any) -> Tensor:
    x = tensor(x)
    return _drawn(node, x.shape, x.dtype)


@operator("Bernoulli", raw=True)
def bernoulli(node: Node, values: Values, p: Any) -> Tensor:
    p = tensor(p)
    dtype = dtype_of(node.get("dtype"), node.op) if node.get("dtype") is not None else p.dtype
    return make.bernoulli(p, generator=_generator(node)).to(dtype)


@operator("Multinomial", raw=True)
def multinomial(node: Node, values: Values, logits: Any) -> Tensor:
    p = F["softmax"](tensor(logits), 1)
    found = make.multinomial(p, node.get("sample_size", 1), True, generator=_generator(node))
    return found.to(dtype_of(node.get("dtype", 6), node.op))


@operator("Dropout", settings=(1, 2), raw=True)
def dropout(node: Node, values: Values, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """Nothing happens unless the node is in training mode."""
    x = tensor(x)
    rate = float(setting(node, "ratio", ratio, np.array(0.5)).reshape(()))
    if training is None or not bool(array(training).reshape(())) or rate == 0:
        return x, Known(np.ones(tuple(x.shape), np.bool_))
    kept = make.rand(*x.shape, generator=_generator(node)) >= rate
    return bl["where"](kept, x / (1 - rate), 0.0), kept
