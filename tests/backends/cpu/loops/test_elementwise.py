"""Formulas as generated kernels: the values of NumPy, at every vector width and thread count."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.loops import elementwise
from backlit.backends.cpu.native import features, threads
from backlit.ops.op import REGISTRY

SIZE = 3 * elementwise.BLOCK + 17  # several chunks and a ragged end
ACCURATE = dict.fromkeys(("exp", "log", "expm1", "log1p", "tanh", "erf"), 2.0)
UNARY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "sqrt",
    "tanh",
    "erf",
    "sigmoid",
    "relu",
    "silu",
    "softplus",
    "floor",
    "ceil",
    "round",
    "trunc",
    "abs",
    "sign",
    "neg",
    "reciprocal",
]


@pytest.fixture(params=[16, 8, 4, 1])
def width(request):
    features.set_vector_width(request.param)
    yield request.param
    features.set_vector_width(None)


def params_of(op):
    return dict(op.defaults)


def sample(name: str, dtype: type) -> np.ndarray:
    x = np.random.default_rng(0).standard_normal(SIZE) * 3
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e4, -1e4]
    x[: len(special)] = special
    return (np.abs(x) if name in ("log", "log2", "sqrt") else x).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNARY)
def test_a_kernel_equals_numpy(name, dtype, width):
    op, x = REGISTRY[name], sample(name, dtype)
    address = elementwise.address_of(
        op, None, features.machine(), elementwise.ELEMENTS[x.dtype], (False,),
        tuple(sorted(params_of(op).items())),
    )  # fmt: skip
    assert address is not None, f"{name} has no kernel"
    with np.errstate(all="ignore"):
        found, expected = (
            elementwise.kernel_of(op)(x, **params_of(op)),
            op.forward(x, **params_of(op)),
        )
    tolerance = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(ACCURATE))
def test_accuracy_in_units_of_the_last_place(name, dtype):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.standard_normal(20000) * s for s in (0.01, 0.5, 1, 10)])
    if name in ("log", "log1p"):
        x = np.abs(x)
    x = x.astype(dtype)
    wide = x.astype(np.longdouble)
    if name == "erf":
        import math

        exact = np.array([math.erf(float(v)) for v in x], np.longdouble)
    else:
        with np.errstate(all="ignore"):
            exact = getattr(np, name)(wide)
    found = elementwise.kernel_of(REGISTRY[name])(x)
    finite = np.isfinite(exact.astype(dtype))
    unit = np.spacing(np.maximum(np.abs(exact.astype(dtype)), np.finfo(dtype).tiny))
    error = np.abs(found.astype(np.longdouble) - exact)[finite] / unit[finite]
    assert error.max() <= ACCURATE[name], f"{error.max()} units at {x[finite][error.argmax()]}"


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "minimum"])
def test_two_arrays_or_an_array_and_a_number(name, width):
    op, rng = REGISTRY[name], np.random.default_rng(2)
    a, b = rng.standard_normal((2, SIZE)).astype(np.float32)
    run = elementwise.kernel_of(op)
    np.testing.assert_array_equal(run(a, b), op.forward(a, b))
    np.testing.assert_array_equal(run(a, 0.5), op.forward(a, 0.5))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "silu", "exp"])
def test_gradients_in_one_pass(name):
    op = REGISTRY[name]
    x = bl.tensor(sample(name, np.float32)[9:], requires_grad=True)
    assert x.numel() >= op.smallest
    y = getattr(bl.nn.functional, name, None) or getattr(bl, name)
    g = bl.randn(x.numel())
    (found,) = bl.autograd.grad(y(x), x, g)
    product, op.product = op.product, None
    try:
        (expected,) = bl.autograd.grad(y(x), x, g)
    finally:
        op.product = product
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_one_and_two_threads_give_the_same_bits():
    before = threads.get_num_threads()
    x = np.random.default_rng(3).standard_normal(1 << 20).astype(np.float32)
    run = elementwise.kernel_of(REGISTRY["tanh"])
    try:
        results = []
        for count in (1, 2):
            threads.set_num_threads(count)
            results.append(run(x))
    finally:
        threads.set_num_threads(before)
    assert results[0].tobytes() == results[1].tobytes()


def test_memory_order_is_kept_and_holes_are_closed():
    x = np.random.default_rng(4).standard_normal((8, 33, 33, 8)).astype(np.float32)
    run, op = elementwise.kernel_of(REGISTRY["exp"]), REGISTRY["exp"]
    nhwc = x.transpose(0, 3, 1, 2)
    found = run(nhwc)
    assert found.strides == nhwc.strides
    np.testing.assert_allclose(found, op.forward(nhwc), rtol=1e-6)
    holes = x[:, ::2]
    np.testing.assert_allclose(run(holes), op.forward(holes), rtol=1e-6)


def test_without_kernels_numpy_runs():
    from backlit.config import flags

    x = bl.randn(40000)
    op, kernel = REGISTRY["sigmoid"], REGISTRY["sigmoid"].kernel
    flags.kernels = False
    op.kernel = None
    try:
        plain = x.sigmoid()
    finally:
        flags.kernels, op.kernel = True, kernel
    np.testing.assert_allclose(x.sigmoid().numpy(), plain.numpy(), rtol=1e-6)
