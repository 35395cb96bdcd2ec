"""Python loops that a capture wrote out step by step: found, so that one hint can name bl.scan.

Equal runs of instructions from the same lines, each reading what the one before it made, more than
a few dozen times: such a Program grows with the loop, and so does the time to compile it.
"""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from typing import Any

from backlit.program.ir import Program, Value

MOST = 64  # equal steps that go without a word
_told: set[str] = set()


def hint(program: Program) -> None:
    """Warn once a line about a loop that was unrolled many times."""
    found = unrolled(program)
    if found is None or found[0] in _told:
        return
    line, count = found
    _told.add(line)
    warnings.warn(
        f"a loop at {line} was captured as {count} equal steps, one after the other; bl.scan makes"
        " it one instruction, and compiling takes as long as for one step", stacklevel=2
    )  # fmt: skip


def unrolled(program: Program) -> tuple[str, int] | None:
    """The user's line and the number of steps of a loop that was written out, if there is one."""
    forward = [i for i in program.instrs if not i.backward_of]
    if len(forward) <= MOST:
        return None
    tokens = [_token(i) for i in forward]
    frequent = [t for t, n in Counter(tokens).most_common(8) if n > MOST and t[1]]
    for token in frequent:
        at = [i for i, t in enumerate(tokens) if t == token]
        distances = Counter(b - a for a, b in itertools.pairwise(at))
        for period, _ in distances.most_common(2):
            start, end = _longest_run(tokens, period)
            count = (end - start) // period + 1
            if count > MOST and _hands_on(forward, start, end, period):
                return token[1], count
    return None


def _token(instr: Any) -> tuple:
    outputs = tuple((v.shape, v.dtype.name) for v in instr.outputs if v is not None)
    return instr.op, instr.line, instr.module, outputs


def _longest_run(tokens: list, period: int) -> tuple[int, int]:
    """The longest range in which every token is that of one period later."""
    best, start = (0, 0), 0
    for i in range(len(tokens) - period + 1):
        if i == len(tokens) - period or tokens[i] != tokens[i + period]:
            if i - start > best[1] - best[0]:
                best = (start, i)
            start = i + 1
    return best


def _hands_on(instrs: list, start: int, end: int, period: int) -> bool:
    """Whether every step reads a value of the step before it."""
    maker = {v.name: n for n, i in enumerate(instrs) for v in i.outputs if v is not None}
    for first in range(start + period, end - period + 1, period):
        here = range(first, first + period)
        read = {maker.get(x.name, -1) for n in here for x in instrs[n].inputs
                if isinstance(x, Value)}  # fmt: skip
        if not any(first - period <= n < first for n in read):
            return False
    return True
