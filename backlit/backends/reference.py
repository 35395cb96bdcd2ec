"""The reference interpreter: a Program run operator by operator in NumPy. The oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.ops.op import REGISTRY, Spec
from backlit.program.interpret import interpret
from backlit.program.ir import Program
from backlit.program.verify import verify


def run(program: Program, arrays: Sequence[np.ndarray]) -> tuple[Any, ...]:
    """The outputs of a Program for arrays of its inputs."""
    return interpret(program, arrays, REGISTRY)


def check(program: Program) -> Program:
    """`verify` with the registered operators."""
    return verify(program, REGISTRY, Spec)
