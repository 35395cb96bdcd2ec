"""What each pass over a line does: what it reduces and stores, and what it keeps for later.

A reduction over the line ends a pass, because what follows needs its total. Values that a later
pass needs again are computed again, or kept in a line of scratch memory where they are dear.
"""

from __future__ import annotations

from backlit.backends.cpu.native.codegen import Kernel
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from .nest import HEAVY, Nest, Operand, _out
from .space import REDUCTIONS
from .values import Writer


class Passes(Writer):
    """The passes over the lines of a nest."""

    def __init__(self, nest: Nest, f: Kernel):
        super().__init__(nest, f)
        self.passes = self._passes()
        self.spilled: dict[str, int] = {}  # by name: the pass that keeps it
        if not nest.held and len(self.passes) > 1:
            self._spill()

    def _passes(self) -> list[tuple[list[Instr], list[Instr], list[Instr], list[Operand]]]:
        """Per pass over the line: what it reduces, sums by column, sums up, and stores."""
        nest, level = self.nest, self.nest.level

        def depth(i: Instr) -> int:
            x = i.inputs[0]
            return level.get(x.name, 0) if isinstance(x, Name) else 0

        def is_line(i: Instr, kind: str) -> bool:
            if nest.kinds.get(_out(i).name) != kind:
                return False
            x = i.inputs[0]
            return isinstance(x, Name) and self.kind_of(x.name) == "slice"

        stored = self.outputs(lambda n: n not in nest.late and self.kind_of(n) == "slice")
        found = []
        deepest = max([0, *(level.get(o.name, 0) for o in stored)])
        for i in nest.instrs:
            if any(is_line(i, k) for k in ("line", "column", "full")):
                deepest = max(deepest, depth(i))
        for k in range(deepest + 1):
            at = [i for i in nest.instrs if i.op in REDUCTIONS and depth(i) == k]
            found.append((
                [i for i in at if is_line(i, "line")], [i for i in at if is_line(i, "column")],
                [i for i in at if is_line(i, "full")],
                [o for o in stored if level.get(o.name, 0) == k],
            ))  # fmt: skip
        return found

    def needs(self, number: int) -> set[str]:
        """Values of the line that a pass computes, stopping at those that an earlier one kept."""
        reduced, columns, fulls, stored = self.passes[number]
        waiting = [x.name for i in (*reduced, *columns, *fulls) for x in i.inputs
                   if isinstance(x, Name)] + [o.name for o in stored]  # fmt: skip
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in found or self.kind_of(name) != "slice" or name not in self.made:
                continue
            found.add(name)
            if self.spilled.get(name, number) == number:
                waiting += [x.name for x in self.made[name].inputs if isinstance(x, Name)]
        return found

    def _spill(self) -> None:
        """Dear values that a later pass needs again are kept in a line of scratch memory."""
        for number in range(len(self.passes) - 1):
            later: set[str] = set().union(
                *(self.needs(k) for k in range(number + 1, len(self.passes)))
            )
            for name in sorted(self.needs(number) & later):
                if self.made[name].op in HEAVY and name not in self.spilled:
                    self.spilled[name] = number
