"""Every operator row, forward and backward, as a compiled program: equal to eager."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import harness
import numpy as np
import pytest
from rows import Row
from samples import ROWS as ALL

import backlit as bl
from backlit.backends.cpu import executable, features
from backlit.compiler.pipeline import optimize
from backlit.errors import ProgramError
from backlit.program import Captured, Program, capture
from backlit.tensor import Tensor

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
ROWS = [r for r in ALL if r.args and harness.is_published(r)]
NAMES = [f"{r.name}-{i}" for i, r in enumerate(ROWS)]


@pytest.fixture(autouse=True)
def widest() -> Iterator[None]:
    yield
    features.set_vector_width(None)


def turned(a: np.ndarray) -> np.ndarray:
    """Memory in which the array's elements lie in another order, or apart."""
    return a.T.copy() if a.ndim > 1 else np.repeat(a, 2) if a.ndim else a


def turned_back(t: Tensor) -> Tensor:
    return t.permute(*range(t.ndim)[::-1]) if t.ndim > 1 else t[::2] if t.ndim else t


def arrays_of(case: harness.Case, dtype: str, strided: bool) -> list[np.ndarray]:
    arrays = case.arrays(np.dtype(dtype))
    return [turned(a) for a in arrays] if strided else arrays


def step_of(row: Row, case: harness.Case, strided: bool) -> Callable[..., list]:
    plain = harness.step_of(row, case)
    return (lambda *tensors: plain(*map(turned_back, tensors))) if strided else plain


class Compiled:
    """All cases of a row that can be captured, in both precisions, in one executable."""

    def __init__(self, row: Row, strided: bool) -> None:
        self.row, self.strided, self.parts = row, strided, []
        for position, args in enumerate(row.args):
            case = harness.Case(args, harness.seed_of(row, position))
            for dtype in TOLERANCE:
                if self.is_captured(case, dtype):
                    self.parts.append((position, case, dtype))

    def tensors(self, case: harness.Case, dtype: str) -> list[Tensor]:
        return [bl.from_numpy(a) for a in arrays_of(case, dtype, self.strided)]

    def is_captured(self, case: harness.Case, dtype: str) -> bool:
        """Rows that read values or answer with numbers are refused; see test_programs.py."""
        try:
            capture(step_of(self.row, case, self.strided), *self.tensors(case, dtype))
        except ProgramError:
            return False
        return True

    def captured(self) -> Captured:
        """One program of all parts, one after the other."""
        tensors = [self.tensors(case, dtype) for _, case, dtype in self.parts]

        def whole(*given: Tensor) -> list:
            waiting, outputs = iter(given), []
            for (_, case, _), own in zip(self.parts, tensors):
                step = step_of(self.row, case, self.strided)
                outputs += step(*[next(waiting) for _ in own])
            return outputs

        return capture(whole, *(t for own in tensors for t in own))

    def agrees(self, made: executable.Executable, rest: list[np.ndarray], what: str) -> None:
        """On other samples than those of the capture; `rest` are its constants."""
        arrays, expected = [], []
        for position, case, dtype in self.parts:
            other = harness.Case(case_args(self.row, position), other_seed(self.row, position))
            own = arrays_of(other, dtype, self.strided)
            arrays += own
            step = step_of(self.row, case, self.strided)
            outputs = step(*(bl.from_numpy(a) for a in own))
            expected += [(y.detach().cell.array, position, dtype) for y in outputs]
        found = made.run([*arrays, *rest])
        assert len(found) == len(expected)
        for y, (array, position, dtype) in zip(found, expected):
            assert y.dtype == array.dtype
            tolerance = TOLERANCE.get(str(y.dtype), TOLERANCE[dtype])
            if y.dtype == np.float32:  # rows whose numbers lie far from zero say so
                tolerance = max(tolerance, self.row.tol32)
            harness.close(y, array, tolerance, f"{what}, arguments {position}, {dtype}")


def case_args(row: Row, position: int) -> tuple:
    return row.args[position]


def other_seed(row: Row, position: int) -> np.random.Generator:
    return harness.seed_of(row, position, 7)


def compiled(row: Row, strided: bool) -> tuple[Compiled, Program, list[np.ndarray]]:
    parts = Compiled(row, strided)
    if not parts.parts:
        pytest.skip("reads values, or answers with Python numbers")
    found = parts.captured()
    given = sum(len(case.drawn) for _, case, _ in parts.parts)
    # what else it reads: the gradient that a backward starts with, tables
    return parts, optimize(found.program), list(found.arrays[given:])


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_compiled_row_equals_eager(row: Row) -> None:
    parts, program, rest = compiled(row, strided=False)
    parts.agrees(executable.build(program, {}, {}), rest, row.name)


@pytest.mark.parametrize("row, width", list(zip(ROWS, itertools.cycle([8, 4, 1]))), ids=NAMES)
def test_a_compiled_row_takes_any_strides(row: Row, width: int) -> None:
    """Narrow vectors as well, in turn."""
    features.set_vector_width(width)
    parts, program, rest = compiled(row, strided=True)
    parts.agrees(executable.build(program, {}, {}), rest, f"{row.name}, strided, width {width}")


SHAPES = [
    ((17,), (17,)), ((31, 33), (31, 33)), ((1,), (1,)), ((), (5,)), ((33, 1), (1, 17)),
    ((2, 3, 17), (3, 1)), ((0, 3), (0, 3)), ((4, 0), (1, 1)), ((31, 1, 9), (1, 9)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
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
