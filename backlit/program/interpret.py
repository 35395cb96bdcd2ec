"""A Program run instruction by instruction with its operators' own rules.

The operators come as a mapping from names to classes with `run`, so this file knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backlit.errors import ProgramError
from backlit.program.ir import Program, Value


def interpret(
    program: Program, arrays: Sequence[np.ndarray], operators: Mapping[str, Any]
) -> tuple[Any, ...]:
    """The outputs of a Program for arrays of its inputs."""
    if len(arrays) != len(program.inputs):
        raise ProgramError(f"{len(program.inputs)} inputs, {len(arrays)} arrays")
    env: dict[str, Any] = {v.name: a for v, a in zip(program.inputs, arrays)}

    def look(x: Any) -> Any:
        return env[x.name] if isinstance(x, Value) else x

    with np.errstate(all="ignore"):
        for instr in program.instrs:
            op = operators[instr.op]
            results, _ = op.run([look(x) for x in instr.inputs], instr.params)
            listed = results if isinstance(results, tuple) else (results,)
            for value, result in zip(instr.outputs, listed):
                if value is not None:
                    env[value.name] = np.asarray(result)
    return tuple(look(x) for x in program.outputs)
