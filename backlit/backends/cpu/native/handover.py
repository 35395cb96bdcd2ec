"""Native code that hands a kernel call from the caller's thread to the helpers of the team.

A helper that has just worked spins on its mailbox for a moment, so that calls close together
start it in about a microsecond; then it marks itself asleep and goes back to Python, which can
wait without using the CPU. Owns the layout of mailboxes and calls; `threads.py` owns the
threads. Everything is in 64-bit words, a mailbox on cache lines of its own.
"""

from __future__ import annotations

import ctypes
import functools
import sys

from . import features, jit
from .codegen import ATTRIBUTES

# A call: written by threads.py, its stage by `lead`. FREE: helpers may come too late and stay out.
CALL = ("stage", "helpers", "free", "mailboxes", "kernel", "words", "counter", "chunks", "yields")
NEW, POSTED, BEGUN, FINISHED = range(4)
# A mailbox: the job is empty, posted or taken; the helper is asleep or awake.
MAILBOX_WORDS = 16
JOB, STOP, ASLEEP = 0, 6, 8
EMPTY, WAITING, TAKEN = range(3)
# After so many pauses a waiting thread offers its core: the one it waits for may need it.
PATIENCE = 1000


@functools.lru_cache(maxsize=16)
def lead(machine: features.Machine) -> int:
    """The address of lead(call): post the job, and, if nobody sleeps or at the second call, run
    the caller's part and wait for the others."""
    return jit.compile_function(text(machine), "lead", machine)


@functools.lru_cache(maxsize=16)
def serve(machine: features.Machine) -> int:
    """The address of serve(mailbox, unused, spins, worker): work until nothing came for `spins`
    rounds of waiting."""
    return jit.compile_function(text(machine), "serve", machine)


@functools.cache
def yield_address() -> int:
    """The system's function by which a thread offers its core to others."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def pause(machine: features.Machine) -> tuple[str, str]:
    """The declaration and the call that tell the CPU that this thread waits."""
    if machine.triple.startswith(("x86_64", "amd64", "i686")):
        return "declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"
    if machine.triple.startswith(("aarch64", "arm64")):
        return "declare void @llvm.aarch64.hint(i32 immarg)", "call void @llvm.aarch64.hint(i32 1)"
    return "", ""


def text(machine: features.Machine) -> str:
    """Both functions as IR."""
    declare, wait = pause(machine)
    fields = "\n".join(
        f"  %{name}.at = getelementptr i64, ptr %call, i64 {i}\n"
        f"  %{name} = load {'ptr' if name in _POINTERS else 'i64'}, ptr %{name}.at, align 8"
        for i, name in enumerate(CALL)
    )
    return (
        _TEXT.replace("{attributes}", ATTRIBUTES)
        .replace("{declare}", declare)
        .replace("{pause}", wait)
        .replace("{patience}", str(PATIENCE))
        .replace("{fields}", fields)
    )


_POINTERS = ("mailboxes", "kernel", "words", "counter", "yields")

_TEXT = """
{declare}

define void @serve(ptr %mailbox, ptr %unused, i64 %spins, i64 %worker) {attributes} {
entry:
  %stop.at = getelementptr i64, ptr %mailbox, i64 6
  %asleep.at = getelementptr i64, ptr %mailbox, i64 8
  store atomic i64 0, ptr %asleep.at seq_cst, align 8
  br label %look

look:
  %left = phi i64 [ %spins, %entry ], [ %fewer, %nothing ], [ %spins, %work ], [ %rest, %take ]
  %job = load atomic i64, ptr %mailbox monotonic, align 8
  %posted = icmp eq i64 %job, 1
  br i1 %posted, label %take, label %nothing

nothing:
  {pause}
  %stop = load atomic i64, ptr %stop.at monotonic, align 8
  %stopped = icmp ne i64 %stop, 0
  %fewer = sub i64 %left, 1
  %over = icmp slt i64 %fewer, 0
  %ends = or i1 %stopped, %over
  br i1 %ends, label %tired, label %look

tired:
  ; the caller posts and then looks whether we sleep; we say so and then look for a post
  store atomic i64 1, ptr %asleep.at seq_cst, align 8
  %late = load atomic i64, ptr %mailbox seq_cst, align 8
  %is.late = icmp eq i64 %late, 1
  br i1 %is.late, label %awake, label %out

awake:
  store atomic i64 0, ptr %asleep.at seq_cst, align 8
  br label %take

take:
  %rest = phi i64 [ %left, %look ], [ 0, %awake ]
  %tried = cmpxchg ptr %mailbox, i64 1, i64 2 seq_cst seq_cst
  %taken = extractvalue { i64, i1 } %tried, 1
  br i1 %taken, label %work, label %look  ; else the caller took it back

work:
  %kernel.at = getelementptr i64, ptr %mailbox, i64 1
  %kernel = load ptr, ptr %kernel.at, align 8
  %words.at = getelementptr i64, ptr %mailbox, i64 2
  %words = load ptr, ptr %words.at, align 8
  %counter.at = getelementptr i64, ptr %mailbox, i64 3
  %counter = load ptr, ptr %counter.at, align 8
  %chunks.at = getelementptr i64, ptr %mailbox, i64 4
  %chunks = load i64, ptr %chunks.at, align 8
  call void %kernel(ptr %words, ptr %counter, i64 %chunks, i64 %worker)
  store atomic i64 0, ptr %mailbox seq_cst, align 8
  br label %look

out:
  ret void
}

define void @lead(ptr %call, ptr %unused, i64 %none, i64 %nothing) {attributes} {
entry:
{fields}
  %new = icmp eq i64 %stage, 0
  br i1 %new, label %post, label %ready

post:
  %h = phi i64 [ 0, %entry ], [ %h.next, %post ]
  %sleepers = phi i64 [ 0, %entry ], [ %sleepers.now, %post ]
  %box.word = mul i64 %h, 16
  %box = getelementptr i64, ptr %mailboxes, i64 %box.word
  %kernel.to = getelementptr i64, ptr %box, i64 1
  store ptr %kernel, ptr %kernel.to, align 8
  %words.to = getelementptr i64, ptr %box, i64 2
  store ptr %words, ptr %words.to, align 8
  %counter.to = getelementptr i64, ptr %box, i64 3
  store ptr %counter, ptr %counter.to, align 8
  %chunks.to = getelementptr i64, ptr %box, i64 4
  store i64 %chunks, ptr %chunks.to, align 8
  store atomic i64 1, ptr %box seq_cst, align 8
  %asleep.at = getelementptr i64, ptr %box, i64 8
  %asleep = load atomic i64, ptr %asleep.at seq_cst, align 8
  %sleepers.now = add i64 %sleepers, %asleep
  %h.next = add i64 %h, 1
  %more = icmp slt i64 %h.next, %helpers
  br i1 %more, label %post, label %posted

posted:
  store i64 1, ptr %call, align 8
  %some = icmp sgt i64 %sleepers.now, 0
  br i1 %some, label %out, label %run

ready:
  %is.posted = icmp eq i64 %stage, 1
  br i1 %is.posted, label %run, label %out

run:
  store i64 2, ptr %call, align 8
  call void %kernel(ptr %words, ptr %counter, i64 %chunks, i64 0)
  %is.free = icmp ne i64 %free, 0
  br label %join

join:
  %j = phi i64 [ 0, %run ], [ %j.next, %joined ]
  %j.word = mul i64 %j, 16
  %j.box = getelementptr i64, ptr %mailboxes, i64 %j.word
  br i1 %is.free, label %revoke, label %wait

revoke:
  %revoked = cmpxchg ptr %j.box, i64 1, i64 0 seq_cst seq_cst
  br label %wait

wait:
  %waited = phi i64 [ 0, %join ], [ 0, %revoke ], [ %longer, %spin ], [ %longer, %yield ]
  %job = load atomic i64, ptr %j.box acquire, align 8
  %empty = icmp eq i64 %job, 0
  br i1 %empty, label %joined, label %spin

spin:
  {pause}
  %longer = add i64 %waited, 1
  %patient = icmp slt i64 %longer, {patience}
  br i1 %patient, label %wait, label %yield

yield:
  call void %yields()
  br label %wait

joined:
  %j.next = add i64 %j, 1
  %j.more = icmp slt i64 %j.next, %helpers
  br i1 %j.more, label %join, label %finished

finished:
  store i64 3, ptr %call, align 8
  br label %out

out:
  ret void
}
"""
