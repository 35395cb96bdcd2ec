"""What becomes of a convolution's outputs: rounded, stored, handed on, summed by channel.

Owns the code at the end of a tile of `kernels.py`. Eager mode only stores; plans go on with
elementwise instructions and take the sums of a normalization (`normed.py`), while the outputs are
still in registers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backlit.backends.cpu.channels.lanewise import Lanewise, load_row
from backlit.backends.cpu.lanes.masked import lane_mask
from backlit.backends.cpu.lanes.value import Lane, memory_element, memory_lane, rounded_to
from backlit.backends.cpu.native.codegen import Function, Value, vector
from backlit.backends.cpu.norm.plan_kernels import deviations, products, values

LINE = 64  # bytes that memory gives at once


@dataclass(frozen=True)
class Finish:
    """What becomes of an output: rounded to `dtype` and stored, or not; handed on to `after`.

    `sums` asks each chunk for the sums of a normalization: "statistics" of the output, or
    "gradient", those of the first result of `after` and of its products with `normed` - `mean`.
    `tails`: some panel has lanes to spare.
    """

    dtype: np.dtype
    stored: bool = True
    after: Lanewise | None = None
    sums: str = ""
    tails: bool = False

    @property
    def fields(self) -> list[str]:
        """The kernel's words for it."""
        found = list(self.after.fields) if self.after else []
        found += ["partial", "partial_step"] if self.sums else []
        return found + (["normed", "mean"] if self.sums == "gradient" else [])


def element_dtype(element: str) -> np.dtype:
    return np.dtype(np.float32 if element == "float" else np.float64)


class Finishing:
    """Emits what becomes of a tile's rows of outputs."""

    def __init__(
        self, f: Function, finish: Finish, fields: Sequence[str], element: str, width: int
    ) -> None:
        self.f, self.finish, self.fields = f, finish, fields
        self.element, self.width = element, width

    def field(self, name: str, kind: str = "ptr") -> Value:
        return self.f.load(self.f.at(self.f["words"], self.fields.index(name), "i64"), kind)

    def fetch(self, places: list[Value], vectors: int) -> None:
        """Ask early for what will be read beside the outputs."""
        finish = self.finish
        arrays = dict(finish.after.arrays()) if finish.after else {}
        if finish.sums == "gradient":
            arrays["normed"] = finish.dtype
        for name, dtype in arrays.items():
            base, memory = self.field(name), memory_element(dtype)
            step = max(1, LINE // dtype.itemsize)
            for place in places:
                for start in range(0, vectors * self.width, step):
                    self.f.prefetch(self.f.at(base, place + start, memory))

    def tile(self, table: list[list[Value]], places: list[Value], first: Value) -> None:
        f, dtype = self.f, self.finish.dtype
        rows = [[rounded_to(Lane(f, v), dtype) for v in row] for row in table]
        if self.finish.stored:
            memory, y = memory_element(dtype), self.field("y")
            for row, place in zip(rows, places, strict=True):
                kept = [memory_lane(lane, dtype).v for lane in row]
                _store_row(f, kept, f.at(y, place, memory), f["tail"], memory, self.width)
        if not (self.finish.after or self.finish.sums):
            return
        whole = functools.partial(self._go_on, rows, places, first, None)
        if not self.finish.tails or self.width == 1:
            whole()
            return

        def masked() -> None:
            self._go_on(rows, places, first, lane_mask(f, f["tail"], self.width))

        f.when(f.compare("eq", f["tail"], 0), whole, masked)

    def _go_on(
        self, rows: list[list[Lane]], places: list[Value], first: Value, mask: Value | None
    ) -> None:
        f, finish, vectors = self.f, self.finish, len(rows[0])
        kind = vector(self.element, self.width)
        read = self.field
        evaluate = None
        if finish.after:
            evaluate = finish.after.prepare(f, read, f["column"], vectors, self.width, mask)
        if finish.sums:
            count = 3 if finish.sums == "statistics" else 2
            step = read("partial_step", "i64")
            partial = f["chunk"] * count * step + f["column"]
            partial = f.at(read("partial"), partial, self.element)
            lines = [
                [f.at(f.at(partial, step * k, self.element), v * self.width, self.element)
                 for v in range(vectors)]
                for k in range(count)
            ]  # fmt: skip
            # the first tile of a chunk finds nothing there yet
            fresh = f.compare("eq", f["phase"] + first, 0)
            zero = f.constant(kind, 0.0)
            kept = [f.select(fresh, zero, f.load(p, kind)) for line in lines[-2:] for p in line]
            if finish.sums == "statistics":
                pilot = [
                    f.select(fresh, lane.v, f.load(p, kind))
                    for lane, p in zip(rows[0], lines[0], strict=True)
                ]
                for value, place in zip(pilot, lines[0], strict=True):
                    f.store(value, place)
            else:
                here = f.at(read("mean"), f["column"], self.element)
                means = values(load_row(f, here, element_dtype(self.element), vectors,
                                        self.width, mask))  # fmt: skip
        for r, (row, place) in enumerate(zip(rows, places, strict=True)):
            results = evaluate(place, row) if evaluate else [[lane] for lane in row]
            if not finish.sums:
                continue
            if finish.sums == "statistics":
                new = deviations(f, values(row), pilot, kept)
            else:
                normed = f.at(read("normed"), place, memory_element(finish.dtype))
                x = load_row(f, normed, finish.dtype, vectors, self.width, mask)
                new = products(f, [v[0].v for v in results], values(x), means, kept)
            # rows past the last pixel repeat it
            counts = f.compare("slt", first + r, f["count"])
            kept = [f.select(counts, n, k) for n, k in zip(new, kept, strict=True)]
        if finish.sums:
            for value, place in zip(kept, [p for line in lines[-2:] for p in line], strict=True):
                f.store(value, place)


def _store_row(
    f: Function, row: list[Value], target: Value, tail: Value, element: str, width: int
) -> None:
    """Store a row of vectors, of the last one only `tail` lanes where tail is not 0."""
    *full, last = row
    for v, value in enumerate(full):
        f.store(value, f.at(target, v * width, element))
    place = f.at(target, len(full) * width, element)
    if width == 1:
        f.store(last, place)
        return
    f.when(
        f.compare("eq", tail, 0),
        lambda: f.store(last, place),
        lambda: f.store_lanes(last, place, tail),
    )
