"""What became of a step: passes, kernels, memory, and what still runs in Python.

Reads a Program, the passes' results and an executable; changes nothing. `compiled.explain()`
gives one Explanation per executable, BACKLIT_DEBUG=1 prints it when a step is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backlit.program.ir import Instr, Program, Value

MOST_NAMES = 6
MOST_PLACES = 3


@dataclass(frozen=True)
class KernelRow:
    """Tasks of one kind: what they compute, how often, and what they cost together."""

    label: str
    fused: str
    implementation: str
    calls: int
    flops: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class CallbackRow:
    """An operator that runs in Python, why, and where it comes from."""

    op: str
    calls: int
    why: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """One compiled form of a step, for printing; its parts are plain data."""

    name: str
    inputs: str
    passes: tuple[tuple[str, int], ...]
    kernels: tuple[KernelRow, ...]
    callbacks: tuple[CallbackRow, ...]
    workers: int
    arena_bytes: int
    sum_bytes: int
    state_bytes: int

    @property
    def seconds(self) -> float:
        """The sum of the tasks' times."""
        return sum(k.seconds for k in self.kernels)

    def __str__(self) -> str:
        return "\n".join((self._head(), *self._pass_lines(), *self._kernel_lines(), *self._rest()))

    __repr__ = __str__

    def _head(self) -> str:
        return f"{self.name}({self.inputs})"

    def _pass_lines(self) -> list[str]:
        steps = [f"{count} {name}" for name, count in self.passes]
        return ["instructions: " + " -> ".join(steps)]

    def _kernel_lines(self) -> list[str]:
        calls = sum(k.calls for k in self.kernels)
        workers = f"{self.workers} worker{'s' if self.workers > 1 else ''}"
        head = f"kernels: {calls} calls of {len(self.kernels)} kinds by {workers}"
        if self.seconds:
            head += f", {_time(self.seconds)} one by one"
        columns = f"  {'time':>9} {'share':>6} {'GFLOP/s':>8} {'GB/s':>6} {'calls':>6}  kernel"
        return [head, columns, *map(self._kernel_line, self.kernels)]

    def _kernel_line(self, k: KernelRow) -> str:
        spent = max(k.seconds, 1e-9)
        share = 100 * k.seconds / max(self.seconds, 1e-12)
        rate = f"{k.flops / spent / 1e9:8.1f}" if k.flops and k.seconds else f"{'':8}"
        moved = f"{k.bytes / spent / 1e9:6.1f}" if k.seconds else f"{'':6}"
        said = "" if k.implementation == "generated" else f" [{k.implementation}]"
        fused = f": {k.fused}" if k.fused and "+" not in k.label else ""
        timed = f"{_time(k.seconds):>9} {share:5.1f}%"
        return f"  {timed} {rate} {moved} {k.calls:6d}  {k.label}{said}{fused}"

    def _rest(self) -> list[str]:
        saved = f" (values of {_size(self.sum_bytes)} share it)"
        lines = [f"memory: arena {_size(self.arena_bytes)}{saved}, state {_size(self.state_bytes)}"]
        if not self.callbacks:
            return [*lines, "calls back into Python: none"]
        lines.append("calls back into Python:")
        for c in self.callbacks:
            where = f" ({'; '.join(c.places)})" if c.places else ""
            lines.append(f"  {c.op} x {c.calls}: {c.why}{where}")
        return lines


def explain(
    program: Program,
    passes: Sequence[tuple[str, Program]],
    executable: Any,
    *,
    measure: bool = True,
) -> Explanation:
    """The Explanation of an executable; `measure` runs its tasks one by one and takes their time.

    `program` is what was captured and `passes` what each pass made of it.
    """
    from backlit.backends.cpu.plans import profile

    tasks = executable.tasks
    times = profile.seconds(executable) if measure else [0.0] * len(tasks)
    return Explanation(
        program.name,
        ", ".join(f"{v.dtype.name}{list(v.shape)}" for v in executable.given),
        tuple((name, len(p.instrs)) for name, p in (("captured", program), *passes)),
        _kernel_rows(tasks, times),
        _callback_rows(tasks),
        executable.workers,
        executable.arena_bytes,
        executable.sum_bytes,
        sum(block.nbytes for block in executable.state()),
    )


def _kernel_rows(tasks: Sequence[Any], times: Sequence[float]) -> tuple[KernelRow, ...]:
    groups: dict[tuple[str, str, str], list[tuple[Any, float]]] = {}
    for task, seconds in zip(tasks, times):
        key = task.label, _fused(task.instr), task.implementation
        groups.setdefault(key, []).append((task, seconds))
    rows = [
        KernelRow(
            *key,
            len(found),
            sum(t.flops for t, _ in found),
            sum(p.nbytes for t, _ in found for p in (*t.reads, *t.writes)),
            sum(seconds for _, seconds in found),
        )
        for key, found in groups.items()
    ]
    return tuple(sorted(rows, key=lambda r: (-r.seconds, -r.calls, r.label)))


def _fused(instr: Instr | None) -> str:
    """The operators that one instruction holds, in order."""
    if instr is None or not instr.bodies:
        return ""
    names = [i.op for body in instr.bodies for i in body.instrs]
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _callback_rows(tasks: Sequence[Any]) -> tuple[CallbackRow, ...]:
    groups: dict[tuple[str, str], list[Instr | None]] = {}
    for task in tasks:
        if task.implementation == "callback":
            groups.setdefault((task.label, _why(task)), []).append(task.instr)
    rows = []
    for (op, why), instrs in groups.items():
        places = dict.fromkeys(_place(i) for i in instrs if i is not None)
        places.pop("", None)
        rows.append(CallbackRow(op, len(instrs), why, tuple(places)[:MOST_PLACES]))
    return tuple(sorted(rows, key=lambda r: -r.calls))


def _why(task: Any) -> str:
    from backlit.backends.cpu.plans.lower import ELEMENTWISE, LOWERINGS
    from backlit.ops.op import REGISTRY, Elementwise

    op = REGISTRY.get(task.label)
    if op is None or task.instr is None:
        return "strided memory is moved by NumPy"
    if not op.__module__.startswith("backlit."):
        return "defined outside Backlit"
    by_formula = ELEMENTWISE is not None and issubclass(op, Elementwise)
    if task.label not in LOWERINGS and not by_formula:
        return "no native form yet"
    kinds = dict.fromkeys(str(x).split(": ")[1] for x in task.instr.inputs if isinstance(x, Value))
    return f"no native form for {', '.join(kinds)}"


def _place(instr: Instr) -> str:
    module = f" in {instr.module}" if instr.module else ""
    return f"{instr.line}{module}" if instr.line else module.strip()


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
