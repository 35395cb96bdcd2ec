"""Grouping of instructions into `fused` ones: each becomes one kernel.

Greedy, in program order: an instruction joins the groups that make its operands where one loop
nest can compute the whole (`loops_space.roles`) and no path leads out of the group and back in.
Views that only rename axes are repeated inside. A product heads a group of elementwise
instructions on its result. Next: backends/cpu/loops/lowering.py.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from backlit.backends.cpu.lanes.body import SAME, is_lanewise
from backlit.backends.cpu.loops.nest import cost_of
from backlit.backends.cpu.loops.space import REDUCTIONS, Roles, is_loop, roles, space_of
from backlit.backends.cpu.matmul import lowering as matmul
from backlit.ops.op import REGISTRY
from backlit.program.ir import Instr, Program, Value

from .simplify import drop_dead, merge_equal

HEADS = ("matmul", "linear")
LARGEST = 160  # instructions of one group; scalar groups are straight lines and may be longer
LONGEST_LINE = 32768  # elements that one worker walks several times, if there are few rows
FEWEST_ROWS = 8
REPEATED = 6  # instructions that may be repeated for every row


def fuse(program: Program) -> Program:
    """Group what one kernel can compute."""
    return _Fusion(program).result()


@dataclass
class _Group:
    """Instructions by number; `before` has a bit for every group that must come first."""

    number: int
    members: list[int]
    mask: int
    before: int = 0
    sources: set[int] = field(default_factory=set)  # groups whose values it reads
    kind: str = "other"  # loop, scalar, product, view or other
    gradient: bool = False  # part of a backward
    shape: tuple[int, ...] | None = None  # of all results, where all is elementwise
    renamed: set[int] = field(default_factory=set)  # who made what it reads under other axes
    places: dict[str, tuple] = field(default_factory=dict)  # where in the nest a result belongs


class _Fusion:
    def __init__(self, program: Program) -> None:
        self.program, self.instrs = program, program.instrs
        self.maker: dict[str, int] = {}
        for number, instr in enumerate(self.instrs):
            for v in instr.outputs:
                if v is not None:
                    self.maker[v.name] = number
        self.kept = {x.name for x in program.outputs if isinstance(x, Value)}
        self.users = self._users()
        self.summed = self._summed()
        self.groups: dict[int, _Group] = {}
        self.places: dict[str, tuple] = {}
        self.home: list[int] = []  # the group of each instruction
        for number, instr in enumerate(self.instrs):
            self._place(number, instr)
        self._meet()

    # ----- values and who reads them -----

    def _is_renaming(self, number: int) -> bool:
        """A view that only names axes anew, so that a nest sees through it."""
        instr = self.instrs[number]
        if instr.op not in SAME or instr.op == "clone" or not REGISTRY[instr.op].view:
            return False
        x, out = instr.inputs[0], instr.outputs[0]
        if not isinstance(x, Value) or out is None:
            return False
        plain = [n for n in x.shape if n != 1] == [n for n in out.shape if n != 1]
        return instr.op in ("permute", "expand") or plain

    def _root(self, x: Value) -> Value:
        """The value behind renamings."""
        number = self.maker.get(x.name)
        while number is not None and self._is_renaming(number):
            x = self.instrs[number].inputs[0]  # type: ignore[assignment]
            number = self.maker.get(x.name)
        return x

    def _users(self) -> dict[str, set[int]]:
        """Who reads a value, seen through renamings; -1 for the program's outputs."""
        found: dict[str, set[int]] = {}
        for number, instr in enumerate(self.instrs):
            if self._is_renaming(number):
                continue
            for x in instr.inputs:
                if isinstance(x, Value):
                    found.setdefault(self._root(x).name, set()).add(number)
        for x in self.program.outputs:
            if isinstance(x, Value):
                found.setdefault(self._root(x).name, set()).add(-1)
        return found

    def _outputs(self, members: Iterable[int]) -> list[Value]:
        inside = set(members)
        return [
            v for m in sorted(inside) for v in self.instrs[m].outputs
            if v is not None and not self.users.get(v.name, set()) <= inside
        ]  # fmt: skip

    # ----- growing groups -----

    def _place(self, number: int, instr: Instr) -> None:
        """Put an instruction into a group: one that makes its operands, or a new one."""
        if self._is_renaming(number) or REGISTRY[instr.op].view:
            kind = "view"
        elif is_loop(instr) and not _is_empty(instr):
            kind = "scalar" if _is_scalar(instr) else "loop"
        else:
            kind = "product" if instr.op in HEADS else "other"
        group = _Group(number, [number], 1 << number, kind=kind, gradient=bool(instr.backward_of))
        if kind == "loop" and is_lanewise(instr) and instr.op not in SAME:
            group.shape = instr.outputs[0].shape  # type: ignore[union-attr]
        for x in instr.inputs:
            root = self.maker.get(self._root(x).name) if isinstance(x, Value) else None
            if root is not None:
                group.sources.add(self.home[root])
                if root != self.maker.get(x.name):  # type: ignore[union-attr]
                    group.renamed.add(root)
        group.before = self._closure(group.sources)
        self.groups[number] = group
        self.home.append(number)
        if kind in ("loop", "scalar"):
            self._join(group, instr)

    def _closure(self, sources: Iterable[int]) -> int:
        found = 0
        for s in sources:
            found |= self.groups[s].mask | self.groups[s].before
        return found

    def _join(self, group: _Group, instr: Instr) -> None:
        near: dict[int, None] = {}
        for x in instr.inputs:
            if isinstance(x, Value):
                maker = self.maker.get(self._root(x).name)
                if maker is not None:
                    near[self.home[maker]] = None
        makers = [self.groups[n] for n in near if self._may_follow(instr, self.groups[n])]
        loops = [g for g in makers if g.kind == "loop" or (g.kind == group.kind == "scalar")]
        products = [g for g in makers if g.kind == "product"]
        tries = [[p, *loops] for p in products] if loops else []
        tries += [[p] for p in products]
        tries += [loops] if len(loops) > 1 else []
        tries += [[g] for g in sorted(loops, key=lambda g: -g.number)]
        if group.kind == "scalar":
            others = [g for g in reversed(self.groups.values()) if g.kind == "scalar"]
            tries += [[g] for g in others[1:4] if g not in loops]
        for chosen in tries:
            if self._fits([*chosen, group]):
                self._merge([*chosen, group])
                return

    def _may_follow(self, instr: Instr, group: _Group) -> bool:
        """The gradient's part of a formula waits for the gradient: nothing is kept for it."""
        return group.gradient or not instr.backward_of

    def _fits(self, parts: list[_Group]) -> bool:
        mask = sum(g.mask for g in parts)
        inside = {g.number for g in parts}
        for g in parts:
            for s in g.sources - inside:
                if self.groups[s].before & mask:
                    return False
        kinds = {g.kind for g in parts}
        if kinds == {"scalar"}:
            return True
        if sum(len(g.members) for g in parts) > LARGEST:
            return False
        self.places = {}
        if self._is_map(parts, inside) or self._goes_along(parts, inside):
            return True
        members = sorted(m for g in parts for m in g.members)
        if "product" in kinds:
            return self._follows_product(members)
        return self._is_nest(members)

    def _is_map(self, parts: list[_Group], inside: set[int]) -> bool:
        """Elementwise instructions of one shape, which need no closer look."""
        shape = parts[0].shape
        if shape is None or any(g.shape != shape for g in parts):
            return False
        return not any(self.home[m] in inside for g in parts for m in g.renamed)

    def _goes_along(self, parts: list[_Group], inside: set[int]) -> bool:
        """Whether an elementwise instruction belongs where its operands of the group do."""
        group, last = parts[0], parts[-1]
        if len(parts) != 2 or not group.places or last.shape is None:
            return False
        instr = self.instrs[last.number]
        given = [x for x in instr.inputs if isinstance(x, Value)]
        made = [x for x in given if self.home_of(x) == group.number]
        found = {group.places.get(x.name) for x in made}
        if len(found) != 1 or None in found or any(x.shape != last.shape for x in made):
            return False
        if any(self.home[m] in inside for m in last.renamed):
            return False
        out = instr.outputs[0]
        assert out is not None
        self.places = {**group.places, out.name: found.pop()}  # type: ignore[dict-item]
        return True

    def home_of(self, x: Value) -> int:
        number = self.maker.get(x.name)
        return -1 if number is None else self.home[number]

    def _follows_product(self, members: list[int]) -> bool:
        """Whether the new instruction may go through the product's epilogue."""
        heads = [m for m in members if self.instrs[m].op in HEADS]
        if len(heads) != 1:
            return False
        following = [self.instrs[m] for m in members if m != heads[0]]
        made = {v.name for i in following for v in i.outputs if v is not None}
        if any(x.name in made for x in _values(self.instrs[heads[0]])):
            return False
        if not all(is_lanewise(i) for i in following):
            return False
        if any(self._root(x) != x and self.maker.get(self._root(x).name) in members
               for i in following for x in i.inputs if isinstance(x, Value)):  # fmt: skip
            return False  # another order of axes than the tile's
        if max(members) in self.summed:
            return False  # the nest that sums it makes it on the way
        return matmul.can_fuse(self.instrs[heads[0]], following)

    def _summed(self) -> set[int]:
        """Elementwise instructions that only nests read, and of these in the end a reduction."""
        found: set[int] = set()
        depth = self._depth()
        for number in reversed(range(len(self.instrs))):
            instr = self.instrs[number]
            if not (is_loop(instr) and is_lanewise(instr)):
                continue
            users = self.users.get(instr.outputs[0].name, set())  # type: ignore[union-attr]
            if any(u < 0 or not is_loop(self.instrs[u]) or depth[u] > depth[number] for u in users):
                continue  # stored anyway
            if any(self.instrs[u].op in REDUCTIONS or u in found for u in users):
                found.add(number)
        return found

    def _depth(self) -> list[int]:
        """How many instructions that no nest computes come before each, one after the other."""
        found: list[int] = []
        for instr in self.instrs:
            makers = (self.maker.get(x.name) for x in instr.inputs if isinstance(x, Value))
            before = max((found[m] for m in makers if m is not None), default=0)
            found.append(before + (not is_loop(instr) and not REGISTRY[instr.op].view))
        return found

    def _is_nest(self, members: list[int]) -> bool:
        body = self.body_of(members)
        space = space_of(body)
        if space is None:
            return False
        outputs = self._outputs(members)
        for r in roles(space, body, outputs):
            if self._pays(r, body, outputs):
                legal = {r.all, r.all - (r.line or frozenset())}
                self.places = {
                    v.name: (space.of(v), v.name in r.late) for i in body for v in i.outputs
                    if v is not None and (v.name in r.late or space.set_of(v) in legal)
                }  # fmt: skip
                return True
        return False

    def _pays(self, r: Roles, body: list[Instr], outputs: list[Value]) -> bool:
        """Whether a nest repeats little and leaves enough to share."""
        line = r.line or frozenset()
        size = math.prod(r.space.extents[a] for a in line)
        total = math.prod(r.space.extents[a] for a in r.all)
        if "line" in r.kinds.values() and size > LONGEST_LINE and total // size < FEWEST_ROWS:
            return False
        early = {v.name for v in outputs if v.name not in r.late}
        repeated = 0
        for i in reversed(body):
            (out,) = i.outputs
            assert out is not None
            if out.name not in r.kinds and (out.name in r.late or out.name not in early):
                continue
            early.update(x.name for x in i.inputs if isinstance(x, Value))
            x = i.inputs[0] if i.inputs else None
            in_line = r.kinds.get(out.name) == "line" and isinstance(x, Value)
            if in_line and r.space.set_of(x) != r.all:  # type: ignore[arg-type]
                return False  # every row would sum the same
            axes = r.space.set_of(out)
            if axes and axes != r.all and (not line or axes & line) and out.name not in r.kinds:
                repeated += 0 if i.op in SAME else cost_of(i)  # every row computes it again
        return repeated <= REPEATED

    def _meet(self) -> None:
        """Merge groups of which one reads the other where less is stored then."""
        for number in sorted(self.groups):
            group = self.groups.get(number)
            if group is None or group.kind != "loop":
                continue
            for s in sorted(group.sources, reverse=True):
                source = self.groups[s]
                if source.kind != "loop" or not self._fits([source, group]):
                    continue
                apart = self._stored(source.members) + self._stored(group.members)
                if self._stored([*source.members, *group.members]) < apart:
                    self._merge([source, group])
                    break

    def _stored(self, members: list[int]) -> int:
        return sum(math.prod(v.shape) for v in self._outputs(members))

    def body_of(self, members: Iterable[int]) -> list[Instr]:
        """The instructions of a group in order, with the renamings between them."""
        inside = set(members)
        found: dict[int, Instr] = {}
        for m in sorted(inside, key=lambda m: (self.instrs[m].op not in HEADS, m)):
            for x in self.instrs[m].inputs:
                if isinstance(x, Value) and self.maker.get(self._root(x).name) in inside:
                    self._bring(x, inside, found)
            found[m] = self.instrs[m]
        return list(found.values())

    def _bring(self, x: Value, inside: set[int], found: dict[int, Instr]) -> None:
        """The renamings that lead from a value of the group to x."""
        number = self.maker.get(x.name)
        if number is None or number in inside or number in found:
            return
        source = self.instrs[number].inputs[0]
        assert isinstance(source, Value)
        self._bring(source, inside, found)
        found[number] = self.instrs[number]

    def _merge(self, parts: list[_Group]) -> None:
        first = parts[0]
        for other in parts[1:]:
            first.members += other.members
            first.mask |= other.mask
            first.sources |= other.sources
            first.renamed |= other.renamed
            first.gradient |= other.gradient
            first.shape = first.shape if first.shape == other.shape else None
            del self.groups[other.number]
            for m in other.members:
                self.home[m] = first.number
        first.places = self.places
        kinds = {g.kind for g in parts}
        first.kind = "product" if "product" in kinds else "loop" if "loop" in kinds else "scalar"
        first.members.sort()
        unread = len(parts) == 2 and parts[-1].number == len(self.home) - 1
        if not unread:
            numbers = {g.number for g in parts}
            for g in self.groups.values():
                if g.sources & numbers:
                    g.sources = {first.number if s in numbers else s for s in g.sources}
        first.sources -= {g.number for g in parts}
        before, first.before = first.before, self._closure(first.sources) & ~first.mask
        if first.before & ~before or not unread:
            later = first.mask | first.before
            for g in self.groups.values():
                if g.before & first.mask:
                    g.before |= later

    # ----- the new Program -----

    def result(self) -> Program:
        instrs: list[Instr] = []
        for group in self._ordered():
            if len(group.members) == 1:
                instrs.append(self.instrs[group.members[0]])
            else:
                instrs.append(self._fused(group))
        made = Program(self.program.name, self.program.inputs, tuple(instrs), self.program.outputs)
        return drop_dead(made)

    def _ordered(self) -> list[_Group]:
        """Groups in an order that dependences allow: as late as their last instruction, unless
        an earlier one waits for them."""
        readers: dict[int, list[int]] = {n: [] for n in self.groups}
        for n, g in self.groups.items():
            g.sources = self._read(g)
            for s in g.sources:
                readers[s].append(n)
        due = {n: self._head(g) for n, g in self.groups.items()}
        for g in reversed(self._sorted(readers, due)):
            due[g.number] = min(due[g.number], *(due[r] for r in readers[g.number]), len(self.home))
        return self._sorted(readers, due)

    def _head(self, group: _Group) -> int:
        """A product, or the first instruction; what else it took along may have come earlier."""
        heads = (m for m in group.members if self.instrs[m].op in HEADS)
        return next(heads, group.members[0])

    def _sorted(self, readers: dict[int, list[int]], due: dict[int, int]) -> list[_Group]:
        """Groups after those that they read, else by when they are due."""
        waiting = {n: len(g.sources) for n, g in self.groups.items()}
        ready = [(due[n], n) for n in self.groups if not waiting[n]]
        heapq.heapify(ready)
        listed = []
        while ready:
            _, n = heapq.heappop(ready)
            listed.append(self.groups[n])
            for r in readers[n]:
                waiting[r] -= 1
                if not waiting[r]:
                    heapq.heappush(ready, (due[r], r))
        assert len(listed) == len(self.groups), "a group that waits for itself"
        return listed

    def _read(self, group: _Group) -> set[int]:
        """The groups, views too, whose results a group reads."""
        body = self._body(group)
        made = {v.name for i in body for v in i.outputs if v is not None}
        makers = {
            self.maker.get(x.name) for i in body for x in i.inputs
            if isinstance(x, Value) and x.name not in made
        }  # fmt: skip
        return {self.home[m] for m in makers if m is not None}

    def _body(self, group: _Group) -> list[Instr]:
        single = len(group.members) == 1
        return [self.instrs[group.members[0]]] if single else self.body_of(group.members)

    def _fused(self, group: _Group) -> Instr:
        outputs = tuple(self._outputs(group.members))
        body = self.body_of(group.members)
        if group.kind != "product":
            body = merge_equal(body, {v.name for v in outputs})
        made = {v.name for i in body for v in i.outputs if v is not None}
        inputs: dict[str, Value] = {}
        for i in body:
            for x in i.inputs:
                if isinstance(x, Value) and x.name not in made:
                    inputs[x.name] = x
        program = Program("body", tuple(inputs.values()), tuple(body), outputs)
        first = self.instrs[group.members[0]]
        return Instr("fused", tuple(inputs.values()), outputs, {"body": program}, first.line,
                     first.module, first.scope, first.backward_of)  # fmt: skip


def _values(instr: Instr) -> list[Value]:
    return [x for x in (*instr.inputs, *instr.outputs) if isinstance(x, Value)]


def _is_scalar(instr: Instr) -> bool:
    return is_lanewise(instr) and all(v.shape == () for v in _values(instr))


def _is_empty(instr: Instr) -> bool:
    return any(n == 0 for v in _values(instr) for n in v.shape)
