"""The one native function that runs a plan: a table of kernel calls, step after step.

Every worker of the team walks the same table with words of its own. A task is either run by one
worker, or by all, each over its fixed range of chunks; all meet before it where the table says.
Before each step the words that depend on the call or the step are filled in. A table may call
another table, a loop within the step, whose slots are the words of that entry. Knows nothing of
what is computed; schedule.py decides the turns.
"""

from __future__ import annotations

from backlit.backends.cpu.native import features, jit
from backlit.backends.cpu.native.codegen import ATTRIBUTES
from backlit.backends.cpu.native.handover import PATIENCE, pause

# The header of a table: 64-bit words.
HEADER = (
    "entries", "table", "patches", "patch_table", "slots", "strides", "steps", "words", "row",
    "barrier",
)  # fmt: skip
FIELD = {name: i for i, name in enumerate(HEADER)}
# An entry: address, first word, chunks, worker and flags. A patch: word, slot, offset in bytes.
ENTRY_WORDS, PATCH_WORDS = 4, 3
SHARED, MEET, TABLE, WORKER_SHIFT = 1, 2, 4, 8
# The barrier: who is here (word 0), whose turn (word 8), how to let other threads run (word 16).
BARRIER_WORDS, YIELDS = 32, 16


@jit.recipe
def address(machine: features.Machine) -> int:
    """The compiled driver, called as a kernel: (header, slots or null, workers, worker)."""
    return jit.compile_function(text(machine), "drive", machine)


def text(machine: features.Machine) -> str:
    """The driver as IR."""
    declare, wait = pause(machine)
    fields = "\n".join(
        f"  %{name}.at = getelementptr i64, ptr %header, i64 {i}\n"
        f"  %{name} = load {'ptr' if name in _POINTERS else 'i64'}, ptr %{name}.at, align 8"
        for name, i in FIELD.items()
    )
    return (
        _TEXT.replace("{fields}", fields)
        .replace("{attributes}", ATTRIBUTES)
        .replace("{declare}", declare)
        .replace("{pause}", wait)
        .replace("{patience}", str(PATIENCE))
        .replace("{yields}", str(YIELDS))
    )


_POINTERS = ("table", "patch_table", "slots", "strides", "words", "barrier")

_TEXT = """
{declare}

define internal void @meet(ptr %barrier, i64 %workers) {attributes} {
entry:
  %turn.at = getelementptr i64, ptr %barrier, i64 8
  %turn = load atomic i64, ptr %turn.at acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel
  %here = add i64 %before, 1
  %last = icmp eq i64 %here, %workers
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %barrier monotonic, align 8
  %next = add i64 %turn, 1
  store atomic i64 %next, ptr %turn.at release, align 8
  ret void
wait:
  %spins = phi i64 [ 0, %entry ], [ %spins.next, %again ]
  {pause}
  %now = load atomic i64, ptr %turn.at acquire, align 8
  %same = icmp eq i64 %now, %turn
  br i1 %same, label %longer, label %done
longer:
  %spins.next = add i64 %spins, 1
  %patient = icmp slt i64 %spins.next, {patience}
  br i1 %patient, label %again, label %yield
yield:
  %yield.at = getelementptr i64, ptr %barrier, i64 {yields}
  %yielding = load ptr, ptr %yield.at, align 8
  call void %yielding()
  br label %again
again:
  br label %wait
done:
  ret void
}

define void @drive(ptr %header, ptr %given, i64 %workers, i64 %worker) {attributes} {
entry:
  %counter = alloca i64, align 8
{fields}
  %own.slots = icmp eq ptr %given, null
  %where = select i1 %own.slots, ptr %slots, ptr %given
  %skip = mul i64 %row, %worker
  %mine = getelementptr i64, ptr %words, i64 %skip
  %team = icmp ugt i64 %workers, 1
  %after = add i64 %worker, 1
  %some.steps = icmp sgt i64 %steps, 0
  br i1 %some.steps, label %step, label %out

step:
  %s = phi i64 [ 0, %entry ], [ %s.next, %step.end ]
  %some.patches = icmp sgt i64 %patches, 0
  br i1 %some.patches, label %patch, label %tasks

patch:
  %p = phi i64 [ 0, %step ], [ %p.next, %patch ]
  %p.word = mul i64 %p, 3
  %patch.at = getelementptr i64, ptr %patch_table, i64 %p.word
  %word = load i64, ptr %patch.at, align 8
  %slot.at = getelementptr i64, ptr %patch.at, i64 1
  %slot = load i64, ptr %slot.at, align 8
  %offset.at = getelementptr i64, ptr %patch.at, i64 2
  %offset = load i64, ptr %offset.at, align 8
  %base.at = getelementptr i64, ptr %where, i64 %slot
  %base = load i64, ptr %base.at, align 8
  %stride.at = getelementptr i64, ptr %strides, i64 %slot
  %stride = load i64, ptr %stride.at, align 8
  %moved = mul i64 %stride, %s
  %there = add i64 %base, %offset
  %there.now = add i64 %there, %moved
  %word.at = getelementptr i64, ptr %mine, i64 %word
  store i64 %there.now, ptr %word.at, align 8
  %p.next = add i64 %p, 1
  %more.patches = icmp slt i64 %p.next, %patches
  br i1 %more.patches, label %patch, label %tasks

tasks:
  %some.tasks = icmp sgt i64 %entries, 0
  br i1 %some.tasks, label %task, label %step.end

task:
  %t = phi i64 [ 0, %tasks ], [ %t.next, %task.end ]
  %t.word = mul i64 %t, 4
  %entry.at = getelementptr i64, ptr %table, i64 %t.word
  %kernel = load ptr, ptr %entry.at, align 8
  %first.at = getelementptr i64, ptr %entry.at, i64 1
  %first.word = load i64, ptr %first.at, align 8
  %chunks.at = getelementptr i64, ptr %entry.at, i64 2
  %chunks = load i64, ptr %chunks.at, align 8
  %flags.at = getelementptr i64, ptr %entry.at, i64 3
  %flags = load i64, ptr %flags.at, align 8
  %own = getelementptr i64, ptr %mine, i64 %first.word
  %meet.bit = and i64 %flags, 2
  %wanted = icmp ne i64 %meet.bit, 0
  %meets = and i1 %wanted, %team
  br i1 %meets, label %meet.now, label %met

meet.now:
  call void @meet(ptr %barrier, i64 %workers)
  br label %met

met:
  %table.bit = and i64 %flags, 4
  %is.table = icmp ne i64 %table.bit, 0
  br i1 %is.table, label %inner, label %plain

inner:
  %inner.header = load ptr, ptr %own, align 8
  %inner.slots = getelementptr i64, ptr %own, i64 1
  call void @drive(ptr %inner.header, ptr %inner.slots, i64 %workers, i64 %worker)
  br label %task.end

plain:
  %shared.bit = and i64 %flags, 1
  %is.shared = icmp ne i64 %shared.bit, 0
  %split = and i1 %is.shared, %team
  br i1 %split, label %shared, label %single

single:
  %chosen = lshr i64 %flags, 8
  %my.turn = icmp eq i64 %chosen, %worker
  %alone.turn = xor i1 %team, true
  %mine.now = or i1 %my.turn, %alone.turn
  br i1 %mine.now, label %whole, label %task.end

whole:
  store i64 0, ptr %counter, align 8
  call void %kernel(ptr %own, ptr %counter, i64 %chunks, i64 %worker)
  br label %task.end

shared:
  %from.times = mul i64 %chunks, %worker
  %from = udiv i64 %from.times, %workers
  %to.times = mul i64 %chunks, %after
  %to = udiv i64 %to.times, %workers
  %some.chunks = icmp slt i64 %from, %to
  br i1 %some.chunks, label %part, label %task.end

part:
  store i64 %from, ptr %counter, align 8
  call void %kernel(ptr %own, ptr %counter, i64 %to, i64 %worker)
  br label %task.end

task.end:
  %t.next = add i64 %t, 1
  %more.tasks = icmp slt i64 %t.next, %entries
  br i1 %more.tasks, label %task, label %last.meeting

last.meeting:
  br i1 %team, label %meet.last, label %step.end

meet.last:
  call void @meet(ptr %barrier, i64 %workers)
  br label %step.end

step.end:
  %s.next = add i64 %s, 1
  %more.steps = icmp slt i64 %s.next, %steps
  br i1 %more.steps, label %step, label %out

out:
  ret void
}
"""
