"""Lanes: every function to the last places, whole numbers and 16-bit floats as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from backlit.backends.cpu.lanes.formulas import (
    LaneMath,
    convert_lane,
    load_lane,
    memory_element,
    store_lane,
)
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves
from backlit.backends.cpu.native.threads import parallel_for

FLOATS = [np.float32, np.float64]
WIDE = np.longdouble
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
ALL = [np.dtype(d) for d in ("bool", "int8", "uint8", "int16", "int32", "int64", "float16",
                             "float32", "float64")] + [BFLOAT16]  # fmt: skip


def run(function: Callable[..., Any], out: Any, *arrays: np.ndarray) -> np.ndarray:
    """`function(math, *lanes)` over arrays of one length, as a kernel."""
    out = np.dtype(out)
    machine = features.machine()
    f = Kernel("lanes", ["y", "count", *(f"x{i}" for i in range(len(arrays)))])

    def block(chunk: Value) -> None:
        target = f.field("y", "ptr")
        sources = [f.field(f"x{i}", "ptr") for i in range(len(arrays))]

        def piece(i: Value, _: int, lanes: int) -> None:
            given = [
                load_lane(f, f.at(p, i, memory_element(a.dtype)), a.dtype, lanes)
                for p, a in zip(sources, arrays)
            ]
            found = function(LaneMath(given[0]), *given)
            store_lane(f, found, f.at(target, i, memory_element(out)), out)

        f.each_slice(f.field("count"), halves(1, machine.width("float")), piece)

    f.each_chunk(block)
    address = jit.compile_function(codegen.module([f]), f.name, machine)
    arrays = tuple(np.ascontiguousarray(a) for a in arrays)
    y = np.empty(arrays[0].shape, out)
    words = np.array([y.ctypes.data, y.size, *(a.ctypes.data for a in arrays)], np.int64)
    parallel_for(1, address, words, small=True)
    return y


def special(dtype: Any) -> np.ndarray:
    info = np.finfo(dtype)
    tiny = float(info.smallest_subnormal)
    return np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, tiny, -tiny, 8 * tiny, info.max,
                     info.min, info.tiny, -info.tiny, 0.5, -0.5, 2, 3, -3], dtype)  # fmt: skip


def samples(dtype: Any, count: int = 20000) -> np.ndarray:
    """Numbers of every exponent, many of ordinary size, and the special ones."""
    rng = np.random.default_rng(0)
    whole = np.int32 if dtype == np.float32 else np.int64
    limits = np.iinfo(whole)
    anything = rng.integers(limits.min, limits.max, count, whole, endpoint=True).view(dtype)
    scales = (1e-3, 0.05, 0.5, 1, 3, 10, 100)
    usual = [(rng.standard_normal(count) * s).astype(dtype) for s in scales]
    return np.concatenate([anything, *usual, special(dtype)])


def erf_exactly(x: np.ndarray) -> np.ndarray:
    """By Taylor's series up to 3; beyond by what NumPy's oracle says of the small rest."""
    from backlit.ops.formula import erfc

    near = np.where(np.abs(x) < 3, x, 0)
    total, term = np.zeros_like(near), near.copy()
    for k in range(90):
        total += term / (2 * k + 1)
        term = -term * near * near / WIDE(k + 1)
    far = np.copysign(1 - erfc(np.abs(x).astype(np.float64)).astype(WIDE), x)
    return np.where(np.abs(x) < 3, total * 2 / np.sqrt(4 * np.arctan(WIDE(1))), far)


# function: NumPy's, in long double, and how many units in the last place it may be off
UNARY: dict[str, tuple[Callable, float]] = {
    "exp": (np.exp, 2), "expm1": (np.expm1, 2), "exp2": (np.exp2, 2), "log": (np.log, 2),
    "log1p": (np.log1p, 2), "log2": (np.log2, 2), "log10": (np.log10, 3), "tanh": (np.tanh, 2),
    "erf": (erf_exactly, 2), "sinh": (np.sinh, 4), "cosh": (np.cosh, 4), "asinh": (np.arcsinh, 3),
    "acosh": (np.arccosh, 3), "atanh": (np.arctanh, 3), "sin": (np.sin, 3), "cos": (np.cos, 3),
    "tan": (np.tan, 4), "asin": (np.arcsin, 3), "acos": (np.arccos, 3), "atan": (np.arctan, 3),
    "sqrt": (np.sqrt, 0.5),
}  # fmt: skip


def within(found: np.ndarray, exact: np.ndarray, units: float, x: Any) -> None:
    """NaN, infinities and signs agree; the rest is at most so many units off."""
    dtype = found.dtype
    with np.errstate(all="ignore"):
        near = exact.astype(dtype)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(near))
    np.testing.assert_array_equal(found[np.isinf(near)], near[np.isinf(near)])
    finite = np.isfinite(near)
    size = np.abs(near[finite])
    unit = size.astype(WIDE) - np.nextafter(size, dtype.type(0)).astype(WIDE)
    unit = np.maximum(unit, WIDE(np.finfo(dtype).smallest_subnormal))
    error = np.abs(found[finite].astype(WIDE) - exact[finite]) / unit
    worst = error.argmax()
    assert error[worst] <= units, f"{float(error[worst])} units off at {x[finite][worst]!r}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions_are_accurate_everywhere(name: str, dtype: Any) -> None:
    oracle, units = UNARY[name]
    x = samples(dtype)
    with np.errstate(all="ignore"):
        exact = oracle(x.astype(WIDE))
    found = run(lambda m, v: getattr(m, name)(v), dtype, x)
    within(found, exact, units, x)
    if name not in ("exp", "exp2", "cosh", "acosh", "acos", "cos", "log", "log2", "log10"):
        zeros = np.array([0.0, -0.0], dtype)
        signs = np.signbit(run(lambda m, v: getattr(m, name)(v), dtype, zeros))
        np.testing.assert_array_equal(signs, [False, True])


@pytest.fixture
def old_cpu() -> Iterator[None]:
    """Without fused multiply-add and conversions of float16."""
    features.set_isa("sse")
    yield
    features.set_isa(None)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["exp", "expm1", "log", "log1p", "tanh", "erf", "sin"])
def test_accurate_on_old_cpus(name: str, dtype: Any, old_cpu: None) -> None:
    test_functions_are_accurate_everywhere(name, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_powers_on_old_cpus(dtype: Any, old_cpu: None) -> None:
    test_powers(dtype)


@pytest.mark.parametrize("other", ["float16", "float32", "float64", "int64", "bool"])
def test_float16_on_old_cpus(other: str, old_cpu: None) -> None:
    half = np.dtype(np.float16)
    test_conversions_are_those_of_astype(half, np.dtype(other))
    test_conversions_are_those_of_astype(np.dtype(other), half)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "erf", "sin", "atan", "power", "fmod"])
def test_every_vector_width_gives_the_same(name: str, dtype: Any, vector_width: int) -> None:
    x = samples(dtype, 500)
    others = (np.roll(x, 77),) if name in ("power", "fmod") else ()
    found = run(lambda m, *v: getattr(m, name)(*v), dtype, x, *others)
    features_machine = features.machine
    try:
        features.machine = features._host  # type: ignore[assignment]
        expected = run(lambda m, *v: getattr(m, name)(*v), dtype, x, *others)
    finally:
        features.machine = features_machine  # type: ignore[assignment]
    np.testing.assert_array_equal(found, expected)


def pairs(dtype: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    x, s = samples(dtype, 2000), special(dtype)
    positive = np.exp(rng.standard_normal(20000) * 3).astype(dtype)
    whole = np.concatenate([np.arange(-12, 13)] * 9).astype(dtype)
    return [
        (positive, (rng.standard_normal(20000) * 10).astype(dtype)),
        (x, np.roll(x, 1234)),
        (np.repeat(s, s.size), np.tile(s, s.size)),
        (whole, rng.integers(-9, 9, whole.size).astype(dtype)),
    ]


@pytest.mark.parametrize("dtype", FLOATS)
def test_powers(dtype: Any) -> None:
    for x, y in pairs(dtype):
        with np.errstate(all="ignore"):
            exact = np.power(x.astype(WIDE), y.astype(WIDE))
        found = run(lambda m, a, b: m.power(a, b), dtype, x, y)
        within(found, exact, 2, x)
        zero = exact == 0
        np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(exact[zero]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
def test_remainders_of_floats_are_exact(name: str, dtype: Any) -> None:
    for x, y in pairs(dtype):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(x, y)
        found = run(
            lambda m, a, b: a // b if name == "floor_divide" else getattr(m, name)(a, b),
            dtype, x, y,
        )  # fmt: skip
        np.testing.assert_array_equal(found, expected)
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("dtype", FLOATS)
def test_angles_of_two_coordinates(dtype: Any) -> None:
    for y, x in pairs(dtype):
        with np.errstate(invalid="ignore"):
            expected = np.arctan2(y, x)
        found = run(lambda m, a, b: m.atan2(a, b), dtype, y, x)
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["minimum", "maximum", "copysign"])
def test_choices(name: str, dtype: Any) -> None:
    s = special(dtype)
    x, y = np.repeat(s, s.size), np.tile(s, s.size)
    found = run(lambda m, a, b: getattr(m, name)(a, b), dtype, x, y)
    np.testing.assert_array_equal(found, getattr(np, name)(x, y))
    if name != "copysign":
        for bound in (0.0, -1.5, np.inf):
            found = run(lambda m, a, b=bound: getattr(m, name)(a, b), dtype, s)
            np.testing.assert_array_equal(found, getattr(np, name)(s, dtype(bound)))


# ----- whole numbers -----

WHOLE: dict[str, tuple[Callable, Callable]] = {
    "add": (np.add, lambda m, a, b: a + b),
    "subtract": (np.subtract, lambda m, a, b: a - b),
    "multiply": (np.multiply, lambda m, a, b: a * b),
    "floor_divide": (np.floor_divide, lambda m, a, b: a // b),
    "remainder": (np.remainder, lambda m, a, b: m.remainder(a, b)),
    "fmod": (np.fmod, lambda m, a, b: m.fmod(a, b)),
    "minimum": (np.minimum, lambda m, a, b: m.minimum(a, b)),
    "maximum": (np.maximum, lambda m, a, b: m.maximum(a, b)),
    "and": (np.bitwise_and, lambda m, a, b: a & b),
    "or": (np.bitwise_or, lambda m, a, b: a | b),
    "xor": (np.bitwise_xor, lambda m, a, b: a ^ b),
    "where": (lambda a, b: np.where(a > b, a, b), lambda m, a, b: m.where(a > b, a, b)),
    "sign": (lambda a, b: np.sign(a), lambda m, a, b: m.sign(a)),
    "abs": (lambda a, b: np.abs(a), lambda m, a, b: m.abs(a)),
    "negative": (lambda a, b: -a, lambda m, a, b: -a),
    "invert": (lambda a, b: ~a, lambda m, a, b: ~a),
    "number": (lambda a, b: a * a.dtype.type(3), lambda m, a, b: a * 3),
}


def whole_numbers(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    limits = np.iinfo(dtype)
    edge = [limits.min, limits.max, 0, 1, 2, 3, 7, limits.max - 1]
    edge += [-1, -2, -7, limits.min + 1] if limits.min else []
    rng = np.random.default_rng(2)
    drawn = rng.integers(limits.min, limits.max, 300, np.dtype(dtype), endpoint=True)
    x = np.concatenate([np.repeat(edge, len(edge)).astype(dtype), drawn])
    return x, np.concatenate([np.tile(edge, len(edge)).astype(dtype), drawn[::-1] // 8])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_whole_numbers(dtype: Any) -> None:
    x, y = whole_numbers(dtype)
    for name, (oracle, function) in WHOLE.items():
        with np.errstate(all="ignore"):
            expected = oracle(x, y)
        np.testing.assert_array_equal(run(function, dtype, x, y), expected, name)
    for name, compare in {
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    }.items():  # fmt: skip
        found = run(lambda m, a, b, compare=compare: compare(a, b), bool, x, y)
        np.testing.assert_array_equal(found, compare(x, y), name)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_powers_and_shifts_of_whole_numbers(dtype: Any) -> None:
    x, _ = whole_numbers(dtype)
    y = (np.arange(x.size) % 11).astype(dtype)
    np.testing.assert_array_equal(run(lambda m, a, b: m.power(a, b), dtype, x, y), x**y)
    y = (np.arange(x.size) % 70).astype(dtype)
    np.testing.assert_array_equal(run(lambda m, a, b: a << b, dtype, x, y), x << y)
    np.testing.assert_array_equal(run(lambda m, a, b: a >> b, dtype, x, y), x >> y)


def test_truth_values() -> None:
    a, b = np.array([[0, 0, 1, 1] * 9, [0, 1, 0, 1] * 9], bool)
    for oracle, function in (
        (np.logical_and, lambda m, x, y: m.logical_and(x, y)),
        (np.logical_or, lambda m, x, y: m.logical_or(x, y)),
        (np.logical_xor, lambda m, x, y: m.logical_xor(x, y)),
        (np.add, lambda m, x, y: x + y),
        (np.multiply, lambda m, x, y: x * y),
        (np.not_equal, lambda m, x, y: x != y),
        (np.greater, lambda m, x, y: x > y),
        (lambda x, y: ~x, lambda m, x, y: m.logical_not(x)),
    ):
        np.testing.assert_array_equal(run(function, bool, a, b), oracle(a, b))


# ----- conversions and memory -----


def values_of(dtype: np.dtype) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype.kind == "b":
        return rng.integers(0, 2, 200).astype(bool)
    if dtype.kind in "iu":
        return whole_numbers(dtype)[0]
    bits = rng.integers(0, 2**16, 4000).astype(np.uint16)
    if dtype.itemsize == 2:
        return bits.view(dtype)
    usual = rng.standard_normal(4000) * np.exp(rng.standard_normal(4000) * 6)
    halves_ = bits.view(np.float16).astype(np.float64) * (1 + 2.0**-11)
    return np.concatenate([usual, halves_, special(dtype)]).astype(dtype)


@pytest.mark.parametrize("target", ALL, ids=lambda d: d.name)
@pytest.mark.parametrize("source", ALL, ids=lambda d: d.name)
def test_conversions_are_those_of_astype(source: np.dtype, target: np.dtype) -> None:
    with np.errstate(all="ignore"):
        x = values_of(source)
        if source.kind in "fV" and target.kind in "iu":  # beyond the range it is nobody's promise
            limit = min(2.0**31, 2.0 ** (8 * target.itemsize - 1))
            low = 0 if target.kind == "u" else -limit
            wide = x.astype(np.float64)
            x = x[(wide > low) & (wide < limit)]
        expected = x.astype(target)
    found = run(lambda m, a: convert_lane(a, target), target, x)
    assert found.dtype == target
    with np.errstate(invalid="ignore"):
        nan = found != found
        np.testing.assert_array_equal(nan, expected != expected)
    np.testing.assert_array_equal(found[~nan].view(np.uint8), expected[~nan].view(np.uint8))
