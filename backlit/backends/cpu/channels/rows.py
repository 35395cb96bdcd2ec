"""Generates the copy of rows of channels between memories with different gaps between rows.

Owns its machine code; `places.py` uses it to cut along the channels.
"""

from __future__ import annotations

from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves, names, vector

COPY_ROWS = names("source target rows channels source_step target_step block_rows")
VECTORS = 2


@jit.recipe
def copy_rows(machine: features.Machine, element: str) -> int:
    """Copy `rows` rows of `channels` neighbours; a chunk is a block of rows."""
    f = Kernel("copy_rows", COPY_ROWS)

    def chunk(index: Value) -> None:
        first = index * f.field("block_rows")
        rows = f.smaller(f.field("rows") - first, f.field("block_rows"))
        step, there = f.field("source_step"), f.field("target_step")
        source = f.at(f.field("source", "ptr"), first * step, element)
        target = f.at(f.field("target", "ptr"), first * there, element)
        channels = f.field("channels")

        def row(i: Value) -> None:
            here, to = f.at(source, i * step, element), f.at(target, i * there, element)

            def piece(start: Value, vectors: int, lanes: int) -> None:
                kind = vector(element, lanes)
                values = [
                    f.load(f.at(here, start + v * lanes, element), kind) for v in range(vectors)
                ]
                for v, value in enumerate(values):
                    f.store(value, f.at(to, start + v * lanes, element))

            f.each_slice(channels, halves(VECTORS, machine.width(element)), piece)

        f.loop(0, rows, 1, row)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)
