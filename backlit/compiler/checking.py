"""BACKLIT_CHECK=1: every run beside the reference, and every capture beside another.

A run is compared with the reference interpreter on the Program as it was captured. Where they
differ, the Program is compiled once more with all of its values as outputs, and the first that
differs is named. Next: build.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backlit.backends import reference
from backlit.compiler.step import Step
from backlit.errors import CaptureError, ProgramError
from backlit.program.ir import Program, Value

TOLERANCE = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 6e-2}


SMALL = 1.0  # what should cancel to zero is compared with this


class Checked:
    """An executable that is compared with the reference at every step."""

    def __init__(
        self,
        program: Program,
        blocks: Mapping[int, np.ndarray],
        writes: Mapping[int, np.ndarray],
        executable: Any,
    ):
        self._program, self._blocks, self._writes = program, blocks, writes
        self._executable = executable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executable, name)

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """One step, and its comparison."""
        waiting = iter(arrays)
        inputs = [
            np.array(self._blocks[i] if i in self._blocks else next(waiting))
            for i in range(len(self._program.inputs))
        ]
        expected = reference.run(self._program, inputs)
        outputs = self._executable.run(arrays)
        rest = iter(outputs)
        for i, (value, e) in enumerate(zip(self._program.outputs, expected)):
            found = self._writes[i] if i in self._writes else next(rest)
            if isinstance(value, Value) and not agree(found, e):
                raise ProgramError(
                    f"{self._program.name}: the compiled step differs from the reference:"
                    f" {self._first(inputs) or _told(value, found, e)}"
                )
        return outputs

    def loop(self, arrays: Sequence[np.ndarray], stacked: Sequence[bool], steps: int) -> list[Any]:
        """The steps one by one."""
        rows = [
            self.run([a[i] if many else a for a, many in zip(arrays, stacked)])
            for i in range(steps)
        ]
        return [np.stack(column) for column in zip(*rows)]

    def _first(self, inputs: list[np.ndarray]) -> str | None:
        """The first value that differs even when every value is an output."""
        from backlit.backends.cpu.plans.executable import build
        from backlit.compiler.pipeline import optimize

        values = [v for i in self._program.instrs for v in i.outputs if v is not None]
        whole = replace(self._program, outputs=tuple(values))
        found = build(optimize(whole), {}, {}).run([np.ascontiguousarray(a) for a in inputs])
        lines = {v.name: i for i in self._program.instrs for v in i.outputs if v is not None}
        for value, f, e in zip(values, found, reference.run(whole, inputs)):
            if not agree(f, e):
                instr = lines[value.name]
                where = f", {instr.op} at {instr.line} {instr.module}".rstrip(" ")
                return _told(value, f, e) + where
        return None


def agree(found: Any, expected: Any) -> bool:
    """Whether two arrays are equal up to rounding."""
    a, b = np.asarray(found), np.asarray(expected)
    tolerance = TOLERANCE.get(b.dtype.name)
    if tolerance is None or a.shape != b.shape:
        return bool(np.array_equal(a, b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.abs(b[np.isfinite(b)])
    scale = max(float(finite.max()), SMALL) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


def _told(value: Value, found: Any, expected: Any) -> str:
    a, b = np.asarray(found).astype(np.float64), np.asarray(expected).astype(np.float64)
    place = np.unravel_index(int(np.nanargmax(np.abs(a - b))), b.shape) if b.size else ()
    index = ", ".join(map(str, place))
    return f"{value.name}[{index}] is {a[place]!r}, should be {b[place]!r}"


def compare_captures(first: Step, second: Step) -> None:
    """Refuse a step whose second capture is not the first: it depends on what no guard sees."""
    a, b = _numbered(first.program), _numbered(second.program)
    for x, y in zip(a.instrs, b.instrs):
        if x != y and not x.op == y.op == "callback":
            raise _differs(f"{x.op} at {x.line or 'the backward'} became {y.op} {y.params}")
    if len(a.instrs) != len(b.instrs) or len(a.inputs) != len(b.inputs):
        raise _differs(f"{len(a.instrs)} instructions became {len(b.instrs)}")
    for (kind, x), (other, y), value in zip(first.origins, second.origins, a.inputs):
        same = kind == other and (not isinstance(x, np.ndarray) or np.array_equal(x, y))
        if not same:
            raise _differs(f"the constant {value} has other values")


def _numbered(program: Program) -> Program:
    """The Program with inputs named by their position: labels may be known only later."""
    names = {v.name: replace(v, name=f"input_{i}") for i, v in enumerate(program.inputs)}
    instrs = tuple(
        replace(i, inputs=tuple(names.get(x.name, x) if isinstance(x, Value) else x
                                for x in i.inputs))
        for i in program.instrs
    )  # fmt: skip
    return replace(program, inputs=tuple(names.values()), instrs=instrs)


def _differs(what: str) -> CaptureError:
    return CaptureError(
        f"the step is not the same when it runs again: {what}",
        hint="pass what changes as an argument, or keep it in a tensor",
    )
