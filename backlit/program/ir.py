"""The intermediate representation: Values, Instrs, Programs.

A Program is a list of instructions in single assignment: every Value is made once, by an input or
by one Instr, before it is used, so it can't hold a cycle. All of it is plain data that compares,
prints and parses. Numbers and None stand in place of operands that are not Values. Parameters
may hold Programs (the body of a scan): they see nothing but their own inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backlit.dtypes import dtype


@dataclass(frozen=True)
class Value:
    """A typed name."""

    name: str
    shape: tuple[int, ...]
    dtype: dtype

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype.name}[{', '.join(map(str, self.shape))}]"


Operand = Value | int | float | bool | None


@dataclass(frozen=True)
class Instr:
    """One application: operator name, operands, outputs (None where absent), parameters.

    `line` and `module` say where it came from, `scope` which composite operator it belongs to,
    `backward_of` the first output of the forward Instr whose gradient it helps to compute.
    """

    op: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Value | None, ...]
    params: dict[str, Any] = field(default_factory=dict)
    line: str = ""
    module: str = ""
    scope: str = ""
    backward_of: str = ""

    @property
    def bodies(self) -> tuple[Program, ...]:
        """The Programs among the parameters, in order."""
        return tuple(_programs(tuple(self.params.values())))


def _programs(x: Any) -> Iterator[Program]:
    if isinstance(x, Program):
        yield x
    elif isinstance(x, (tuple, list, dict)):
        for value in x.values() if isinstance(x, dict) else x:
            yield from _programs(value)


@dataclass(frozen=True, repr=False)
class Program:
    """Inputs, instructions, outputs."""

    name: str
    inputs: tuple[Value, ...]
    instrs: tuple[Instr, ...]
    outputs: tuple[Operand, ...]

    def __str__(self) -> str:
        from backlit.program.text import write

        return write(self)

    def __repr__(self) -> str:  # short: Nodes and Instrs show their parameters
        return f"<program {self.name}, {len(self.instrs)} instructions>"
