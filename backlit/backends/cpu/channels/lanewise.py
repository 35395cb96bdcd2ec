"""Elementwise instructions on channels-last rows: what a kernel does to each of its values.

A `Lanewise` is a body (a Program of elementwise instructions) with the places of its operands;
kernels of convolution and normalization evaluate it on vectors before they store (an epilogue)
or after they load (a prologue). Formulas become code in `lanes/body.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.backends.cpu.lanes import body as lane_body
from backlit.backends.cpu.lanes.formulas import LaneMath
from backlit.backends.cpu.lanes.masked import load_lane_masked, store_lane_masked
from backlit.backends.cpu.lanes.value import (
    Lane,
    element_of,
    load_lane,
    load_splat,
    memory_element,
    store_lane,
)
from backlit.backends.cpu.native.codegen import Function, Value
from backlit.program.ir import Program
from backlit.program.ir import Value as Name

# the pointer to an operand or a result, by the name of its field
Pointers = Callable[[str], Value]


@dataclass(frozen=True, eq=False)
class Lanewise:
    """A body, and for each input whether it is the kernel's own value ("main"), an array of full
    shape ("full"), one value per channel ("channel") or a single one ("number").

    `stored` are the outputs that go to memory.
    """

    body: Program
    kinds: tuple[str, ...]
    stored: tuple[int, ...]
    prefix: str

    @property
    def fields(self) -> list[str]:
        """The kernel's words for it: an address per array it reads or stores."""
        reads = [f"{self.prefix}_in{i}" for i, kind in enumerate(self.kinds) if kind != "main"]
        return reads + [f"{self.prefix}_out{i}" for i in self.stored]

    def arrays(self) -> list[tuple[str, np.dtype]]:
        """The fields of the full arrays that are read, and their dtypes."""
        inputs = zip(self.body.inputs, self.kinds, strict=True)
        return [
            (f"{self.prefix}_in{i}", value.dtype.numpy)
            for i, (value, kind) in enumerate(inputs)
            if kind == "full"
        ]

    def __repr__(self) -> str:
        """The same in every process: kernels are found by it."""
        return f"Lanewise({str(self.body)!r}, {self.kinds}, {self.stored}, {self.prefix!r})"

    def __hash__(self) -> int:
        return hash(repr(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lanewise) and repr(self) == repr(other)

    def prepare(
        self,
        f: Function,
        pointers: Pointers,
        column: Value,
        vectors: int,
        lanes: int,
        mask: Value | None = None,
    ) -> Callable[..., list[list[Lane]]]:
        """Load what rows share; return `evaluate(place, mains)`, which gives each vector's outputs.

        `place` counts elements from the start of a full array; results that are stored are
        stored. Under a mask only its lanes of the last vector exist in memory.
        """
        shared: dict[int, list[Lane]] = {}
        arrays: dict[int, Value] = {}
        for i, (value, kind) in enumerate(zip(self.body.inputs, self.kinds, strict=True)):
            dtype = value.dtype.numpy
            if kind == "main":
                continue
            pointer = pointers(f"{self.prefix}_in{i}")
            if kind == "full":
                arrays[i] = pointer
            elif kind == "channel":
                here = f.at(pointer, column, memory_element(dtype))
                shared[i] = load_row(f, here, dtype, vectors, lanes, mask)
            else:
                shared[i] = [load_splat(f, pointer, dtype, lanes)] * vectors
        targets = {i: pointers(f"{self.prefix}_out{i}") for i in self.stored}

        def evaluate(place: Value, mains: Sequence[Lane] | None = None) -> list[list[Lane]]:
            rows = dict(shared)
            for i, pointer in arrays.items():
                dtype = self.body.inputs[i].dtype.numpy
                here = f.at(pointer, place, memory_element(dtype))
                rows[i] = load_row(f, here, dtype, vectors, lanes, mask)
            found = []
            for v in range(vectors):
                values = [
                    mains[v] if kind == "main" and mains else rows[i][v]
                    for i, kind in enumerate(self.kinds)
                ]
                found.append(self._run(f, values))
            for i, pointer in targets.items():
                dtype = self._output(i).dtype.numpy
                here = f.at(pointer, place, memory_element(dtype))
                store_row(f, [outputs[i] for outputs in found], here, dtype, mask)
            return found

        return evaluate

    def _run(self, f: Function, values: list[Lane]) -> list[Lane]:
        like = values[0]
        outputs = lane_body.run_body(LaneMath(like), self.body, values)
        return [x if isinstance(x, Lane) else like.number(x) for x in outputs]

    def _output(self, i: int) -> Name:
        value = self.body.outputs[i]
        assert isinstance(value, Name)
        return value


def load_row(
    f: Function, here: Value, dtype: Any, vectors: int, lanes: int, mask: Value | None = None
) -> list[Lane]:
    """Neighbouring vectors of a dtype from memory, the last one under the mask."""
    element = memory_element(dtype)
    places = [f.at(here, v * lanes, element) for v in range(vectors)]
    row = [load_lane(f, place, dtype, lanes) for place in places[:-1]]
    return [*row, load_lane_masked(f, places[-1], dtype, lanes, mask)]


def store_row(
    f: Function, row: Sequence[Lane], here: Value, dtype: Any, mask: Value | None = None
) -> None:
    """Store neighbouring vectors as a dtype, the last one under the mask."""
    element = memory_element(dtype)
    places = [f.at(here, v * lane.width, element) for v, lane in enumerate(row)]
    for lane, place in zip(row[:-1], places):
        store_lane(f, lane, place, dtype)
    store_lane_masked(f, row[-1], places[-1], dtype, mask)


def lane_element(dtype: np.dtype) -> str:
    """The IR type in which values of a dtype are computed."""
    return element_of(dtype)[0]
