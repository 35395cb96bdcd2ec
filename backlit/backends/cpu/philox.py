"""Random numbers in kernels: Philox4x32-10, the same bits as backlit/random.py.

A group of lanes computes as many counters, whose words are then put in the order of elements, so
nothing is computed twice. Owns the lowerings of masks and uniform numbers; distributions that need
logarithms stay with NumPy, whose last bits they have.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import random as rng
from backlit.backends.cpu.lanes.formulas import Lane, memory_element, store_lane
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, vector
from backlit.backends.cpu.native.codegen import Value as Word
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Instr, Value

FIELDS = ["y", "seed", "offset", "count", "threshold"]
BLOCK = 16384  # elements that one chunk draws
LEAST = 4  # lanes: LLVM splits them where vectors are shorter
COST = 16  # of an element, in bytes moved


@jit.recipe
def address_of(kind: str, machine: features.Machine) -> int:
    """The kernel that draws "bool" (a word is at least the threshold), "float32" or "float64"."""
    f = Kernel(f"philox_{kind}", FIELDS)
    lanes = max(LEAST, machine.width("i32"))
    scratch = f.emit("ptr", f"alloca <{4 * lanes} x i64>, align 64")
    draw = _Draw(f, kind, lanes)
    f.each_chunk(lambda chunk: draw.run(chunk, scratch))
    return jit.compile_function(codegen.module([f]), f.name, machine)


class _Draw:
    """The code of one chunk."""

    def __init__(self, f: Kernel, kind: str, lanes: int) -> None:
        self.f, self.kind, self.lanes = f, kind, lanes
        self.element = memory_element(kind)

    def run(self, chunk: Word, scratch: Word) -> None:
        """Groups of 4 * lanes elements, from the counter that holds the chunk's first word on."""
        f = self.f
        self.y = f.field("y", "ptr")
        self.seed = Lane(f, f.load(f.field("seed", "ptr"), "i64"))
        offset = f.load(f.field("offset", "ptr"), "i64")
        self.threshold = f.field("threshold")
        start = chunk * BLOCK
        stop = f.smaller(start + BLOCK, f.field("count"))
        first = Lane(f, start + offset).shift("lshr", 2).v
        size = 4 * self.lanes
        # where the first counter's words would lie, up to three elements ahead of the chunk
        ahead = first * 4 - offset

        def group(i: Word) -> None:
            counter = first + Lane(f, i).shift("lshr", 2).v
            self.group(counter, ahead + i, start, stop, scratch)

        f.loop(0, stop - ahead, size, group)

    def group(self, counter: Word, at: Word, start: Word, stop: Word, scratch: Word) -> None:
        f, size = self.f, 4 * self.lanes
        drawn = self.numbers(counter)
        inside = f.compare("sge", at, start)
        inside = f.select(inside, f.compare("sle", at + size, stop), inside)

        def edge() -> None:
            store_lane(f, drawn, scratch, self.kind)
            low = f.larger(start - at, 0)
            high = f.smaller(stop - at, size)

            def one(i: Word) -> None:
                value = f.load(f.at(scratch, i, self.element), self.element)
                f.store(value, f.at(self.y, at + i, self.element))

            f.loop(low, high, 1, one)

        f.when(inside, lambda: store_lane(f, drawn, f.at(self.y, at, self.element), self.kind),
               edge)  # fmt: skip

    def numbers(self, counter: Word) -> Lane:
        if self.kind == "bool":
            words = self.words(counter, 0)
            first = self.f.convert("trunc", self.threshold, "i32")
            bound = Lane(self.f, self.f.splat(first, 4 * self.lanes), True)
            return Lane(self.f, words.v, True) >= bound
        if self.kind == "float32":
            high = self.words(counter, 0).shift("lshr", 8)
            return high.cast("sitofp", "float") * 2.0**-24
        high = self.words(counter, 0).shift("lshr", 5).cast("sitofp", "double")
        low = self.words(counter, 1).shift("lshr", 6).cast("sitofp", "double")
        return (high * 67108864.0 + low) * 2.0**-53

    def words(self, counter: Word, stream: int) -> Lane:
        """The words of `lanes` counters from `counter` on, in the order of elements."""
        f, lanes = self.f, self.lanes
        steps = ", ".join(f"i64 {k}" for k in range(lanes))
        ramp = Word(f, vector("i64", lanes), f"<{steps}>")
        block = Lane(f, f.splat(counter, lanes)) + Lane(f, ramp)
        zero = block.cast("trunc", "i32").number(0)
        c = [block.cast("trunc", "i32"), block.shift("lshr", 32).cast("trunc", "i32"),
             zero + stream, zero]  # fmt: skip
        key = [self.seed.cast("trunc", "i32"), self.seed.shift("lshr", 32).cast("trunc", "i32")]
        for _ in range(rng.ROUNDS):
            high0, low0 = _product(c[0], rng.MULTIPLIERS[0])
            high1, low1 = _product(c[2], rng.MULTIPLIERS[1])
            k0, k1 = (Lane(f, f.splat(k.v, lanes)) for k in key)
            c = [high1 ^ c[1] ^ k0, low1, high0 ^ c[3] ^ k1, low0]
            key = [k + w for k, w in zip(key, rng.WEYL)]
        left, right = (_woven(f, a.v, b.v) for a, b in ((c[0], c[1]), (c[2], c[3])))
        pairs = [p for k in range(lanes) for p in (2 * k, 2 * k + 1, 2 * (lanes + k),
                                                   2 * (lanes + k) + 1)]  # fmt: skip
        return Lane(f, f.shuffle(left, right, pairs))


def _product(x: Lane, factor: int) -> tuple[Lane, Lane]:
    """Upper and lower half of a product of 32-bit words."""
    wide = x.cast("zext", "i64") * factor
    return wide.shift("lshr", 32).cast("trunc", "i32"), wide.cast("trunc", "i32")


def _woven(f: Any, a: Word, b: Word) -> Word:
    count = codegen._width(a.kind)
    return f.shuffle(a, b, [p for k in range(count) for p in (k, count + k)])


# ----- lowerings -----


def _state(plan: Plan, x: Any) -> Place:
    """Where seed or offset lies; a whole number of up to 64 bits becomes a constant."""
    if isinstance(x, Value):
        return plan.place(x)
    return plan.constant(np.array(int(x) & (2**64 - 1), np.uint64).view(np.int64))


def _draw(plan: Plan, instr: Instr, kind: str, threshold: int = 0) -> Any:
    seed, offset = instr.inputs
    (out,) = instr.outputs
    assert out is not None
    if 0 in out.shape or any(isinstance(x, Value) and x.dtype.itemsize != 8 for x in instr.inputs):
        return NotImplemented
    places = [_state(plan, x) for x in (seed, offset)]
    target = plan.result(out)
    plan.add(
        Task(
            instr.op,
            address_of(kind, plan.machine),
            [target, *places, target.size, threshold],
            -(-target.size // BLOCK),
            tuple(places),
            (target,),
            work=COST * target.size,
        )
    )
    return None


def lower_keep_mask(plan: Plan, instr: Instr) -> Any:
    threshold = rng.threshold(instr.params["p"])
    if threshold >= 2**32:  # no word is so large
        return NotImplemented
    return _draw(plan, instr, "bool", threshold)


def lower_uniform(plan: Plan, instr: Instr) -> Any:
    (out,) = instr.outputs
    assert out is not None
    kind = out.dtype.name
    return _draw(plan, instr, kind) if kind in ("float32", "float64") else NotImplemented
