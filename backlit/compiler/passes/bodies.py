"""The Programs within a Program's instructions, each through the whole pipeline.

The body of a loop is optimized as any step is; what a loop's table around it may not assume is
already in its inputs and outputs. Next: backends/cpu/plans/control.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backlit.program.ir import Program


def bodies(program: Program) -> Program:
    """Optimize every Program among the parameters of instructions."""
    if not any(instr.bodies for instr in program.instrs):
        return program
    instrs = tuple(
        replace(i, params={k: _optimized(v) for k, v in i.params.items()}) if i.bodies else i
        for i in program.instrs
    )
    return replace(program, instrs=instrs)


def _optimized(param: Any) -> Any:
    from backlit.compiler.pipeline import optimize  # of which this is the first pass

    return optimize(param) if isinstance(param, Program) else param
