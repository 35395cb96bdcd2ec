"""Generates batch normalization for plans: passes over (rows, channels) with bodies beside them.

Owns their machine code. What is elementwise before or after (masks, activations, sums with a
residual) is evaluated in the same pass, as a `Lanewise`. A chunk is a block of rows and writes a
partial sum of its own; `join_*` add these in their order in float64. The kernels of eager mode
are in `kernels.py`; `lowering.py` makes the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backlit.backends.cpu.channels.lanewise import Lanewise, lane_element, load_row
from backlit.backends.cpu.lanes.value import Lane, memory_element
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, vector

from .kernels import each_block, sum_rows

STATISTICS = names("x rows channels block_rows partial")
APPLY = names("x rows channels block_rows mean scale shift")
GRAD_SUMS = names("x rows channels block_rows mean partial")
GRAD_APPLY = names("x rows channels block_rows mean scale slope shift")
JOIN_STATISTICS = names(
    "partial step blocks counts rows channels weight has_weight bias has_bias eps "
    "mean rstd scale shift"
)
JOIN_GRADIENT = names(
    "partial step blocks rows channels weight has_weight rstd gw gb scale slope shift"
)


def column_shapes(width: int) -> list[tuple[int, int]]:
    """Slices of a row of channels: four, two or one vectors, then ever fewer lanes."""
    shapes = [(4, width), (2, width), (1, width)]
    while width > 1:
        width //= 2
        shapes.append((1, width))
    return shapes


@jit.recipe
def statistics(machine: features.Machine, dtype: np.dtype) -> int:
    """Each block's first row, and the sums of deviations from it and of their squares."""
    f = Kernel("norm_first", STATISTICS)
    element = lane_element(dtype)

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")
        partial = f.at(f.field("partial", "ptr"), chunk * channels * 3, element)
        read = _reader(f, "x", first, dtype)

        def columns(start: Value, vectors: int, lanes: int) -> None:
            pilot = values(read(f.integer(0), start, vectors, lanes))
            zeros = [f.constant(vector(element, lanes), 0.0)] * vectors

            def add(row: Value, sums: list[Value]) -> list[Value]:
                found = read(row, start, vectors, lanes)
                return deviations(f, values(found), pilot, sums)

            sums = sum_rows(f, rows, zeros * 2, add)
            for i, row in enumerate((pilot, sums[:vectors], sums[vectors:])):
                _write(f, row, f.at(partial, channels * i + start, element), element, lanes)

        f.each_slice(channels, column_shapes(machine.width(element)), columns)

    each_block(f, block)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def deviations(
    f: Function, row: Sequence[Value], pilot: Sequence[Value], sums: Sequence[Value]
) -> list[Value]:
    """Add deviations from the pilot to the first half of sums, their squares to the second."""
    count = len(row)
    away = [x - p for x, p in zip(row, pilot, strict=True)]
    plain = [s + d for d, s in zip(away, sums[:count], strict=True)]
    return plain + [f.fma(d, d, s) for d, s in zip(away, sums[count:], strict=True)]


@jit.recipe
def grad_sums(machine: features.Machine, dtype: np.dtype, before: Lanewise) -> int:
    """Each block's sums of g and of g * (x - mean); g is the first output of `before`."""
    f = Kernel("norm_grad_sums", [*GRAD_SUMS, *before.fields])
    element = lane_element(dtype)

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")
        partial = f.at(f.field("partial", "ptr"), chunk * channels * 2, element)
        read = _reader(f, "x", first, dtype)

        def columns(start: Value, vectors: int, lanes: int) -> None:
            means = _channel(f, "mean", start, element, vectors, lanes)
            gradient = before.prepare(f, _pointers(f), start, vectors, lanes)
            zeros = [f.constant(vector(element, lanes), 0.0)] * (2 * vectors)

            def add(row: Value, sums: list[Value]) -> list[Value]:
                grads = [v[0].v for v in gradient((first + row) * channels + start)]
                x = values(read(row, start, vectors, lanes))
                return products(f, grads, x, means, sums)

            sums = sum_rows(f, rows, zeros, add)
            _write(f, sums[:vectors], f.at(partial, start, element), element, lanes)
            _write(f, sums[vectors:], f.at(partial, channels + start, element), element, lanes)

        f.each_slice(channels, column_shapes(machine.width(element)), columns)

    each_block(f, block)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def products(
    f: Function,
    grads: Sequence[Value],
    x: Sequence[Value],
    means: Sequence[Value],
    sums: Sequence[Value],
) -> list[Value]:
    """Add gradients to the first half of sums, their products with x - mean to the second."""
    count = len(grads)
    plain = [s + g for g, s in zip(grads, sums[:count], strict=True)]
    away = [a - m for a, m in zip(x, means, strict=True)]
    return plain + [f.fma(g, d, s) for g, d, s in zip(grads, away, sums[count:], strict=True)]


@jit.recipe
def apply(machine: features.Machine, dtype: np.dtype, after: Lanewise) -> int:
    """What `after` makes of (x - mean) * scale + shift."""
    f = Kernel("norm_apply", [*APPLY, *after.fields])
    element = lane_element(dtype)

    def columns(start: Value, vectors: int, lanes: int) -> Callable[[Value], None]:
        mean, scale, shift = (
            _channel(f, name, start, element, vectors, lanes) for name in ("mean", "scale", "shift")
        )
        then = after.prepare(f, _pointers(f), start, vectors, lanes)
        base = f.field("x", "ptr")

        def row(place: Value) -> None:
            x = load_row(f, f.at(base, place, memory_element(dtype)), dtype, vectors, lanes)
            y = [f.fma(a.v - m, s, t) for a, m, s, t in zip(x, mean, scale, shift, strict=True)]
            then(place, [Lane(f, v) for v in y])

        return row

    _map_rows(f, machine.width(element), columns)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@jit.recipe
def grad_apply(
    machine: features.Machine, dtype: np.dtype, before: Lanewise, after: Lanewise
) -> int:
    """What `after` makes of g * scale + (x - mean) * slope + shift."""
    f = Kernel("norm_grad_apply", [*GRAD_APPLY, *before.fields, *after.fields])
    element = lane_element(dtype)

    def columns(start: Value, vectors: int, lanes: int) -> Callable[[Value], None]:
        mean, scale, slope, shift = (
            _channel(f, name, start, element, vectors, lanes)
            for name in ("mean", "scale", "slope", "shift")
        )
        gradient = before.prepare(f, _pointers(f), start, vectors, lanes)
        then = after.prepare(f, _pointers(f), start, vectors, lanes)
        base = f.field("x", "ptr")

        def row(place: Value) -> None:
            x = load_row(f, f.at(base, place, memory_element(dtype)), dtype, vectors, lanes)
            g = [v[0].v for v in gradient(place)]
            found = [
                f.fma(g[v], scale[v], f.fma(x[v].v - mean[v], slope[v], shift[v]))
                for v in range(vectors)
            ]
            then(place, [Lane(f, v) for v in found])

        return row

    _map_rows(f, machine.width(element), columns)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@jit.recipe
def join_statistics(machine: features.Machine, element: str) -> int:
    """Mean, 1 / sqrt(variance + eps), and the factor and summand of each channel.

    The parallel axis theorem joins the blocks' spreads about their own means.
    """
    f = Kernel("norm_join", JOIN_STATISTICS)

    def columns(start: Value, lanes: int) -> None:
        step, blocks, counts = f.field("step"), f.field("blocks"), f.field("counts", "ptr")
        base = f.at(f.field("partial", "ptr"), start, element)
        zero = f.constant(vector("double", lanes), 0.0)

        def block(i: Value) -> tuple[Value, Value, Value]:
            """Mean, spread and count of a block."""
            here = f.at(base, i * step * 3, element)
            pilot, plain, squares = (
                _double(f, f.at(here, step * k, element), element, lanes) for k in range(3)
            )
            count, share = (
                f.splat(f.load(f.at(counts, i * 2 + k, "double"), "double"), lanes)
                for k in range(2)
            )
            away = plain * share
            return pilot + away, squares - plain * away, count

        def total(i: Value, s: Value) -> list[Value]:
            mean, _, count = block(i)
            return [f.fma(mean, count, s)]

        rows = f.splat(f.convert("sitofp", f.field("rows"), "double"), lanes)
        (found,) = f.loop(0, blocks, 1, total, [zero])
        mean = found / rows

        def spread(i: Value, s: Value) -> list[Value]:
            own, square, count = block(i)
            away = own - mean
            return [f.fma(away * away, count, s + square)]

        (found,) = f.loop(0, blocks, 1, spread, [zero])
        eps = f.splat(f.field("eps", "double"), lanes)
        root = _sqrt(f, found / rows + eps)
        rstd = f.constant(root.kind, 1.0)._binary(root, "", "fdiv")
        _put(f, "mean", mean, start, element)
        _put(f, "rstd", rstd, start, element)
        _put(f, "scale", rstd * _parameter(f, "weight", 1.0, start, element, lanes), start, element)
        _put(f, "shift", _parameter(f, "bias", 0.0, start, element, lanes), start, element)

    _each_channel(f, machine, columns)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@jit.recipe
def join_gradient(machine: features.Machine, element: str) -> int:
    """Gradients of weight and bias, and the coefficients of the gradient by x."""
    f = Kernel("norm_grad_join", JOIN_GRADIENT)

    def columns(start: Value, lanes: int) -> None:
        step = f.field("step")
        base = f.at(f.field("partial", "ptr"), start, element)
        zero = f.constant(vector("double", lanes), 0.0)

        def add(i: Value, *sums: Value) -> list[Value]:
            here = f.at(base, i * step * 2, element)
            return [
                s + _double(f, f.at(here, step * k, element), element, lanes)
                for k, s in enumerate(sums)
            ]

        total, product = f.loop(0, f.field("blocks"), 1, add, [zero, zero])
        rows = f.splat(f.convert("sitofp", f.field("rows"), "double"), lanes)
        rstd = _double(f, f.at(f.field("rstd", "ptr"), start, element), element, lanes)
        scale = rstd * _parameter(f, "weight", 1.0, start, element, lanes)
        share = f.constant(scale.kind, 0.0) - scale / rows
        _put(f, "gw", product * rstd, start, element)
        _put(f, "gb", total, start, element)
        _put(f, "scale", scale, start, element)
        _put(f, "slope", share * rstd * rstd * product, start, element)
        _put(f, "shift", share * total, start, element)

    _each_channel(f, machine, columns)
    return jit.compile_function(codegen.module([f]), f.name, machine)


# ----- rows and columns -----


def values(row: Sequence[Lane]) -> list[Value]:
    return [lane.v for lane in row]


def _map_rows(f: Kernel, width: int, columns: Callable[..., Callable[[Value], None]]) -> None:
    """Run what `columns` returns for every row of a block; it loads what the rows share."""

    def block(first: Value, rows: Value, chunk: Value) -> None:
        channels = f.field("channels")

        def slice_(start: Value, vectors: int, lanes: int) -> None:
            row = columns(start, vectors, lanes)
            f.loop(0, rows, 1, lambda i: row((first + i) * channels + start))

        f.each_slice(channels, column_shapes(width), slice_)

    each_block(f, block)


def _each_channel(f: Kernel, machine: features.Machine, columns: Callable[..., None]) -> None:
    """A chunk is one vector of channels in float64."""
    width = machine.width("double")

    def chunk(index: Value) -> None:
        start = index * width
        left = f.field("channels") - start
        if width == 1:
            columns(start, 1)
            return
        f.when(
            f.compare("sge", left, width),
            lambda: columns(start, width),
            lambda: f.loop(0, left, 1, lambda i: columns(start + i, 1)),
        )

    f.each_chunk(chunk)


def _pointers(f: Kernel) -> Callable[[str], Value]:
    return lambda name: f.field(name, "ptr")


def _reader(f: Kernel, name: str, first: Value, dtype: np.dtype) -> Callable[..., list[Lane]]:
    """Return a function that loads a slice of channels of one row of a block."""
    channels, element = f.field("channels"), memory_element(dtype)
    base = f.at(f.field(name, "ptr"), first * channels, element)

    def read(row: Value, start: Value, vectors: int, lanes: int) -> list[Lane]:
        return load_row(f, f.at(base, row * channels + start, element), dtype, vectors, lanes)

    return read


def _channel(
    f: Kernel, name: str, start: Value, element: str, vectors: int, lanes: int
) -> list[Value]:
    here, kind = f.at(f.field(name, "ptr"), start, element), vector(element, lanes)
    return [f.load(f.at(here, v * lanes, element), kind) for v in range(vectors)]


def _write(f: Kernel, row: Sequence[Value], here: Value, element: str, lanes: int) -> None:
    for v, value in enumerate(row):
        f.store(value, f.at(here, v * lanes, element))


# ----- float64 -----


def _double(f: Kernel, here: Value, element: str, lanes: int) -> Value:
    value = f.load(here, vector(element, lanes))
    return value if element == "double" else f.convert("fpext", value, "double")


def _put(f: Kernel, name: str, value: Value, start: Value, element: str) -> None:
    value = value if element == "double" else f.convert("fptrunc", value, "float")
    f.store(value, f.at(f.field(name, "ptr"), start, element))


def _parameter(
    f: Kernel, name: str, absent: float, start: Value, element: str, lanes: int
) -> Value:
    """A parameter per channel; the pointer of an absent one is to any readable array."""
    given = _double(f, f.at(f.field(name, "ptr"), start, element), element, lanes)
    here = f.compare("ne", f.field(f"has_{name}"), 0)
    return f.select(here, given, f.constant(given.kind, absent))


def _sqrt(f: Function, value: Value) -> Value:
    lanes = 1 if value.kind == "double" else int(value.kind[1:].split()[0])
    name = f"@llvm.sqrt.{'f64' if lanes == 1 else f'v{lanes}f64'}"
    f.declarations.add(f"declare {value.kind} {name}({value.kind})")
    return f.emit(value.kind, f"call {value.kind} {name}({value.kind} {value.name})")
