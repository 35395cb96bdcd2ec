"""Every operator row, forward and backward, as a compiled program: equal to eager."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import harness
import numpy as np
import pytest
from rows import Row
from samples import ROWS as ALL

import backlit as bl
from backlit.backends.cpu.native import features
from backlit.backends.cpu.plans import executable
from backlit.compiler.pipeline import optimize
from backlit.errors import ProgramError
from backlit.program import capture
from backlit.tensor import Tensor

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
HALF = {"bfloat16": 2.0**-4, "float16": 2.0**-5}  # eager rounds after every operator
TOGETHER = 8  # cases in one executable
ROWS = [r for r in ALL if r.args and harness.is_published(r)]
NAMES = [f"{r.name}-{i}" for i, r in enumerate(ROWS)]


@pytest.fixture(autouse=True)
def widest() -> Iterator[None]:
    yield
    features.set_vector_width(None)


class Part:
    """One case of a row in one precision; `strided`: its tensors lie in another order."""

    def __init__(self, row: Row, position: int, dtype: str, strided: bool) -> None:
        self.row, self.position, self.dtype, self.strided = row, position, dtype, strided
        self.case = self.drawn(0)

    def drawn(self, attempt: int) -> harness.Case:
        seed = harness.seed_of(self.row, self.position, attempt)
        return harness.Case(self.row.args[self.position], seed)

    def arrays(self, attempt: int = 0) -> list[np.ndarray]:
        arrays = self.drawn(attempt).arrays(bl.dtypes.BY_NAME[self.dtype].numpy)
        return [turned(a) for a in arrays] if self.strided else arrays

    def step(self, *tensors: Tensor) -> list:
        given = map(turned_back, tensors) if self.strided else tensors
        return harness.step_of(self.row, self.case)(*given)

    def is_captured(self) -> bool:
        """Those that read values or answer with numbers are refused; see test_programs.py."""
        try:
            capture(self.step, *map(bl.from_numpy, self.arrays()))
        except ProgramError:
            return False
        return True

    def agrees(self, found: np.ndarray, expected: np.ndarray, width: int | None) -> None:
        assert found.dtype == expected.dtype
        kind = found.dtype.name
        tolerance = HALF.get(self.dtype) or TOLERANCE.get(kind, TOLERANCE["float32"])
        if kind == "float32":  # rows whose numbers lie far from zero say so
            tolerance = max(tolerance, self.row.tol32)
        what = f"{self.row.name}, arguments {self.position}, {self.dtype}, width {width}"
        if kind in HALF:
            found, expected = found.astype(np.float64), expected.astype(np.float64)
        harness.close(found, expected, tolerance, what)


def turned(a: np.ndarray) -> np.ndarray:
    """Memory in which the array's elements lie in another order, or apart."""
    return a.T.copy() if a.ndim > 1 else np.repeat(a, 2) if a.ndim else a


def turned_back(t: Tensor) -> Tensor:
    return t.permute(*range(t.ndim)[::-1]) if t.ndim > 1 else t[::2] if t.ndim else t


def parts_of(row: Row, strided: bool) -> list[Part]:
    """Every case in both precisions; in turn where strides are the matter, or cases many."""
    both, count = list(TOLERANCE), len(row.args)
    chosen = [both[i % 2 :: 2] if strided or count > TOGETHER else both for i in range(count)]
    return captured_of([Part(row, i, d, strided) for i, ds in enumerate(chosen) for d in ds])


def captured_of(parts: list[Part]) -> list[Part]:
    found = [part for part in parts if part.is_captured()]
    if not found:
        pytest.skip("reads values, or answers with Python numbers")
    return found


def check(parts: list[Part], width: int | None) -> None:
    """All parts as one executable, run on other samples than those of the capture."""
    first = [part.arrays() for part in parts]

    def whole(*given: Tensor) -> list:
        waiting = iter(given)
        return [y for p, own in zip(parts, first) for y in p.step(*[next(waiting) for _ in own])]

    captured = capture(whole, *(bl.from_numpy(a) for own in first for a in own))
    rest = captured.arrays[sum(map(len, first)) :]  # what a backward starts with, tables
    other = [part.arrays(7) for part in parts]
    features.set_vector_width(width)
    made = executable.build(optimize(captured.program), {}, {})
    found = iter(made.run([*(a for own in other for a in own), *rest]))
    for part, own in zip(parts, other):
        for expected in part.step(*map(bl.from_numpy, own)):
            part.agrees(next(found), expected.detach().cell.array, width)
    assert next(found, None) is None


def check_all(row: Row, strided: bool, width: int | None) -> None:
    parts = parts_of(row, strided)
    for start in range(0, len(parts), TOGETHER):
        check(parts[start : start + TOGETHER], width)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_compiled_row_equals_eager(row: Row) -> None:
    check_all(row, strided=False, width=None)


@pytest.mark.parametrize("row, width", list(zip(ROWS, itertools.cycle([8, 4, 1]))), ids=NAMES)
def test_a_compiled_row_takes_any_strides(row: Row, width: int) -> None:
    """Narrow vectors as well, in turn."""
    check_all(row, strided=True, width=width)


HALVES = [r for r in ROWS if r.half and harness.has_gradient(r)]


@pytest.mark.parametrize("row", HALVES, ids=[f"{r.name}-{i}" for i, r in enumerate(HALVES)])
def test_a_compiled_row_in_16_bits(row: Row) -> None:
    """The first case; both ways round, but not at the same places."""
    check(captured_of([Part(row, 0, dtype, strided=False) for dtype in HALF]), None)


SHAPES: list[tuple[tuple, tuple]] = [
    ((17,), (17,)), ((31, 33), (31, 33)), ((1,), (1,)), ((), (5,)), ((33, 1), (1, 17)),
    ((2, 3, 17), (3, 1)), ((0, 3), (0, 3)), ((4, 0), (1, 1)), ((31, 1, 9), (1, 9)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("a, b", SHAPES)
def test_elementwise_shapes(a: tuple, b: tuple, dtype: str) -> None:
    """Broadcast, odd and empty: values, gradients and sums."""

    def step(x: Tensor, y: Tensor) -> list:
        x, y = x.requires_grad_(), y.requires_grad_()
        h = bl.tanh(x) * y + bl.where(x > y, x, y * y)
        whole = bl.cat([h.reshape(-1), bl.exp(-h.abs()).reshape(-1)])
        return [h, whole, *bl.autograd.grad((h * h).sum() + whole.sum(), [x, y])]

    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(dtype) for s in (a, b)]
    captured = capture(step, *map(bl.from_numpy, arrays))
    made = executable.build(optimize(captured.program), {}, {})
    found = made.run([*arrays, *captured.arrays[2:]])
    for y, e in zip(found, step(*map(bl.from_numpy, arrays))):
        harness.close(y, e.detach().cell.array, TOLERANCE[dtype], f"{a} and {b}")
