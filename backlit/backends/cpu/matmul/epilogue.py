"""What happens to the sums of a product before they are stored: a bias, an activation, an update.

`Epilogue` says which operands join and what is made of them; `Bound` emits it for one tile.
Operands lie at the place of the sums with any stride between rows; along a row they are
neighbours, or one element for all. Knows neither tiles nor plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backlit.backends.cpu.lanes.body import run_body
from backlit.backends.cpu.lanes.formulas import LaneMath
from backlit.backends.cpu.lanes.masked import Mask, load_lane_masked, store_lane_masked
from backlit.backends.cpu.lanes.value import Lane, element_of, load_splat, memory_element
from backlit.backends.cpu.native import features, jit
from backlit.backends.cpu.native.codegen import Function, Value, vector
from backlit.program.ir import Program

Evaluate = Callable[[Lane, Sequence[Lane]], Sequence[Lane]]


@dataclass(frozen=True)
class Operand:
    """An array beside the sums: whether it changes from row to row, and along a row."""

    dtype: str
    rows: bool
    columns: bool


@dataclass(frozen=True)
class Epilogue:
    """Operands read and written, and the lanes to write from the sum's and the operands' lanes.

    `key` names the evaluation; `heavy` ones are emitted once a tile, in a loop over its rows.
    """

    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    key: str
    evaluate: Evaluate
    heavy: bool

    @property
    def fields(self) -> list[str]:
        """Names of words: address and stride of each operand."""
        count = len(self.inputs) + len(self.outputs)
        return [name for n in range(count) for name in (f"operand{n}", f"stride{n}")]


def of_body(body: Program) -> Evaluate:
    """The evaluation of a Program of elementwise instructions whose first input is the sum."""

    def evaluate(total: Lane, given: Sequence[Lane]) -> Sequence[Lane]:
        return run_body(LaneMath(total), body, [total, *given])

    return evaluate


def lines(evaluate: Evaluate, element: str, width: int, inputs: Sequence[Operand]) -> int:
    """How many instructions an evaluation is."""
    f = Function("size", [])
    poison = Lane(f, Value(f, vector(element, width), "poison"))
    given = []
    for operand in inputs:
        kind, unsigned = element_of(operand.dtype)
        given.append(Lane(f, Value(f, vector(kind, width), "poison"), unsigned))
    evaluate(poison, given)
    return len(f.lines)


def compiled(
    name: str,
    text: Callable[[features.Machine, Any, Epilogue], str],
    machine: features.Machine,
    shape: Any,
    epilogue: Epilogue,
) -> int:
    """The address of the kernel `name` that `text` writes for a shape of tiles and an epilogue."""
    e = epilogue
    given = (name, machine, shape, e.inputs, e.outputs, e.key, e.heavy)
    return jit.once(given, lambda: jit.compile_function(text(machine, shape, e), name, machine))


class Bound:
    """An epilogue at one tile: row `i`, column `j` is where the tile begins."""

    def __init__(self, f: Function, epilogue: Epilogue, words: Value, first_field: int,
                 entry: Value | None, i: Value, j: Value) -> None:  # fmt: skip
        self.f, self.epilogue = f, epilogue
        self.places: list[tuple[Value, Value | None]] = []
        self.known: dict[tuple[int, Value | int], Lane] = {}
        for n, operand in enumerate((*epilogue.inputs, *epilogue.outputs)):
            word = first_field + 2 * n
            kind = memory_element(operand.dtype)
            base = f.load(f.at(words, word, "i64"), "ptr")
            if entry is not None:
                base = f.at(base, f.load(f.at(entry, 2 + n, "i64"), "i64"), kind)
            stride = None
            if operand.rows:
                stride = f.load(f.at(words, word + 1, "i64"), "i64")
                base = f.at(base, i * stride, kind)
            self.places.append((f.at(base, j, kind) if operand.columns else base, stride))

    def emit(self, r: Value | int, v: Value | int, total: Value, width: int, mask: Mask) -> None:
        """Finish vector `v` of row `r` of the tile."""
        f, given = self.f, self.epilogue.inputs
        lanes = [self._load(n, operand, r, v, width, mask) for n, operand in enumerate(given)]
        results = self.epilogue.evaluate(Lane(f, total), lanes)
        for n, (operand, lane) in enumerate(zip(self.epilogue.outputs, results), len(given)):
            place = self._place(n, operand, r, v, width)
            store_lane_masked(f, lane, place, operand.dtype, mask)

    def _place(self, n: int, operand: Operand, r: Value | int, v: Value | int, width: int) -> Value:
        base, stride = self.places[n]
        kind = memory_element(operand.dtype)
        if stride is not None and not (isinstance(r, int) and r == 0):
            base = self.f.at(base, stride * r, kind)
        return self.f.at(base, v * width, kind) if operand.columns else base

    def _load(self, n: int, operand: Operand, r: Value | int, v: Value | int, width: int,
              mask: Mask) -> Lane:  # fmt: skip
        # what stays from row to row is loaded once, where no loop stands between
        key = (n, v if operand.columns else 0)
        stays = not operand.rows and isinstance(r, int)
        if stays and key in self.known:
            return self.known[key]
        place = self._place(n, operand, r, v, width)
        if operand.columns:
            lane = load_lane_masked(self.f, place, operand.dtype, width, mask)
        else:
            lane = load_splat(self.f, place, operand.dtype, width)
        if stays:
            self.known[key] = lane
        return lane
