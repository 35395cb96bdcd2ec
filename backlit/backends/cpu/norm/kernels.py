"""Generates the kernels of batch normalization over a (rows, channels) matrix.

Owns their machine code: two that reduce (statistics, gradient sums) and two that apply. A chunk
is a fixed block of rows; the reducing kernels write one partial result per block, so sums do
not depend on the number of threads. `eager.py` combines the partial results in float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves, names, vector

# so many independent sums hide the latency of an addition
CHAINS = 8
VECTORS = 4

STATISTICS = names("x rows channels block_rows partial")
APPLY = names("x y rows channels block_rows mean scale shift")
GRAD_SUMS = names("g x rows channels block_rows mean partial")
GRAD_APPLY = names("g x y rows channels block_rows mean scale slope shift")


@functools.lru_cache(maxsize=64)
def statistics(machine: features.Machine, element: str) -> int:
    """Return the kernel of each block's mean, and sums of deviations from it and their squares.

    The mean is rounded; what the deviations sum to repairs it.
    """
    f = Kernel("norm_statistics", STATISTICS)

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")
        x = f.at(f.field("x", "ptr"), first * channels, element)
        partial = f.at(f.field("partial", "ptr"), chunk * channels * 3, element)
        count = f.emit(element, f"sitofp i64 {rows.name} to {element}")
        share = f.emit(element, f"fdiv {element} {f.constant(element, 1.0).name}, {count.name}")

        def columns(start: Value, vectors: int, lanes: int) -> None:
            read = _reader(f, x, start, channels, element, vectors, lanes)
            zeros = [f.constant(vector(element, lanes), 0.0)] * vectors

            def add(row: Value, sums: list[Value]) -> list[Value]:
                return [s + v for v, s in zip(read(row), sums, strict=True)]

            means = [s * f.splat(share, lanes) for s in sum_rows(f, rows, zeros, add)]

            def deviate(row: Value, sums: list[Value]) -> list[Value]:
                away = [v - m for v, m in zip(read(row), means, strict=True)]
                plain = [s + d for d, s in zip(away, sums[:vectors], strict=True)]
                return plain + [f.fma(d, d, s) for d, s in zip(away, sums[vectors:], strict=True)]

            sums = sum_rows(f, rows, zeros * 2, deviate)
            for i, values in enumerate((means, sums[:vectors], sums[vectors:])):
                _write(f, values, f.at(partial, channels * i, element), start, element, lanes)

        f.each_slice(channels, halves(VECTORS, machine.width(element)), columns)

    each_block(f, block)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def apply(machine: features.Machine, element: str) -> int:
    """Return the kernel of y = (x - mean) * scale + shift."""
    f = Kernel("norm_apply", APPLY)

    def formula(row: list[Value], mean: Value, scale: Value, shift: Value) -> Value:
        return f.fma(row[0] - mean, scale, shift)

    _map_rows(f, machine, element, ["x"], ["mean", "scale", "shift"], formula)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def grad_sums(machine: features.Machine, element: str) -> int:
    """Return the kernel that writes each block's sums of g and of g * (x - mean)."""
    f = Kernel("norm_grad_sums", GRAD_SUMS)

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")
        x = f.at(f.field("x", "ptr"), first * channels, element)
        g = f.at(f.field("g", "ptr"), first * channels, element)
        partial = f.at(f.field("partial", "ptr"), chunk * channels * 2, element)

        def columns(start: Value, vectors: int, lanes: int) -> None:
            read_x = _reader(f, x, start, channels, element, vectors, lanes)
            read_g = _reader(f, g, start, channels, element, vectors, lanes)
            means = _read(f, f.field("mean", "ptr"), start, element, vectors, lanes)
            zeros = [f.constant(vector(element, lanes), 0.0)] * (2 * vectors)

            def add(row: Value, sums: list[Value]) -> list[Value]:
                grads = read_g(row)
                away = [v - m for v, m in zip(read_x(row), means, strict=True)]
                plain = [a + s for a, s in zip(grads, sums[:vectors], strict=True)]
                return plain + [
                    f.fma(a, d, s) for a, d, s in zip(grads, away, sums[vectors:], strict=True)
                ]

            sums = sum_rows(f, rows, zeros, add)
            _write(f, sums[:vectors], partial, start, element, lanes)
            _write(f, sums[vectors:], f.at(partial, channels, element), start, element, lanes)

        f.each_slice(channels, halves(VECTORS, machine.width(element)), columns)

    each_block(f, block)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def grad_apply(machine: features.Machine, element: str) -> int:
    """Return the kernel of y = g * scale + (x - mean) * slope + shift."""
    f = Kernel("norm_grad_apply", GRAD_APPLY)

    def formula(row: list[Value], mean: Value, scale: Value, slope: Value, shift: Value) -> Value:
        return f.fma(row[0], scale, f.fma(row[1] - mean, slope, shift))

    _map_rows(f, machine, element, ["g", "x"], ["mean", "scale", "slope", "shift"], formula)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def _map_rows(
    f: Kernel,
    machine: features.Machine,
    element: str,
    arrays: list[str],
    coefficients: list[str],
    formula: Callable[..., Value],
) -> None:
    """Emit y = formula(row of each array, each channel's coefficients)."""

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")
        offset = first * channels
        sources = [f.at(f.field(name, "ptr"), offset, element) for name in arrays]
        target = f.at(f.field("y", "ptr"), offset, element)
        channelwise = [f.field(name, "ptr") for name in coefficients]

        def row(i: Value) -> None:
            offset = i * channels

            def columns(start: Value, vectors: int, lanes: int) -> None:
                place = offset + start
                inputs = [_read(f, a, place, element, vectors, lanes) for a in sources]
                constants = [_read(f, c, start, element, vectors, lanes) for c in channelwise]
                results = [
                    formula([a[v] for a in inputs], *(c[v] for c in constants))
                    for v in range(vectors)
                ]
                _write(f, results, target, place, element, lanes)

            f.each_slice(channels, halves(VECTORS, machine.width(element)), columns)

        f.loop(0, rows, 1, row)

    each_block(f, block)


def each_block(f: Kernel, body: Callable[[Value, Value, Value], None]) -> None:
    """Run `body(first row, rows, chunk)` for every block of rows."""

    def chunk(index: Value) -> None:
        first = index * f.field("block_rows")
        body(first, f.smaller(f.field("rows") - first, f.field("block_rows")), index)

    f.each_chunk(chunk)


def sum_rows(
    f: Kernel,
    rows: Value,
    zeros: list[Value],
    add: Callable[[Value, list[Value]], list[Value]],
) -> list[Value]:
    """Sum over rows in interleaved chains; `add(row, sums)` returns the new sums."""
    size = len(zeros)
    chains = max(1, CHAINS // size)
    whole = rows - rows % chains

    def several(i: Value, *sums: Value) -> list[Value]:
        new: list[Value] = []
        for u in range(chains):
            new += add(i + u, list(sums[u * size : (u + 1) * size]))
        return new

    sums = f.loop(0, whole, chains, several, zeros * chains)
    parts = [sums[u * size : (u + 1) * size] for u in range(chains)]
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [[a + b for a, b in zip(p, q, strict=True)] for p, q in pairs]
    return f.loop(whole, rows, 1, lambda i, *sums: add(i, list(sums)), parts[0])


def _reader(
    f: Kernel, base: Value, start: Value, channels: Value, element: str, vectors: int, lanes: int
) -> Callable[[Value], list[Value]]:
    """Return a function that loads one row's slice of channels."""
    return lambda row: _read(f, base, row * channels + start, element, vectors, lanes)


def _read(
    f: Kernel, base: Value, offset: Value, element: str, vectors: int, lanes: int
) -> list[Value]:
    here, kind = f.at(base, offset, element), vector(element, lanes)
    return [f.load(f.at(here, v * lanes, element), kind) for v in range(vectors)]


def _write(
    f: Kernel, values: list[Value], base: Value, offset: Value, element: str, lanes: int
) -> None:
    here = f.at(base, offset, element)
    for v, value in enumerate(values):
        f.store(value, f.at(here, v * lanes, element))
