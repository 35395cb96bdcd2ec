"""What the tests of lowerings share: a captured function, compiled, against the reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.backends import reference
from backlit.backends.cpu.plans import executable
from backlit.program import capture
from backlit.program.ir import Program

from .helpers import assert_close

# two roundings to the eight bits of a bfloat16
HALF_TOLERANCE = 2**-7


def compiled(
    program: Program, arrays: list[np.ndarray], callbacks: int | None = 0
) -> list[np.ndarray]:
    """The outputs by native code, which are the same bits for one and two workers.

    `callbacks` is how many instructions may run in Python (None: any number).
    """
    found = []
    for workers in (1, 2):
        made = executable.build(program, {}, {}, workers)
        python = [t.label for t in made.tasks if t.implementation == "callback"]
        if callbacks is not None:
            assert len([p for p in python if p != "copy"]) == callbacks, python
        for _ in range(2):
            found.append([np.array(a) for a in made.run(arrays)])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    return found[0]


def check_lowering(function: Callable, *arrays: np.ndarray, callbacks: int | None = 0) -> Program:
    """Compile `function` of tensors and compare its outputs with the reference's."""
    captured = capture(function, *(bl.from_numpy(a) for a in arrays))
    check_program(captured.program, list(captured.arrays), callbacks)
    return captured.program


def check_program(program: Program, arrays: list[np.ndarray], callbacks: int | None = 0) -> None:
    """Compare the outputs of native code with the reference's."""
    expected = reference.run(program, arrays)
    actual = compiled(program, arrays, callbacks)
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        if a.dtype.itemsize == 2 and a.dtype.kind in "fV":
            a, e = a.astype(np.float32), e.astype(np.float32)
            scale = float(np.abs(e).max())
            np.testing.assert_allclose(a, e, rtol=0, atol=HALF_TOLERANCE * scale)
            continue
        if a.dtype.kind == "f":
            np.testing.assert_array_equal(np.isnan(a), np.isnan(e))
            assert_close(np.nan_to_num(a), np.nan_to_num(e))
        else:
            np.testing.assert_array_equal(a, e)
