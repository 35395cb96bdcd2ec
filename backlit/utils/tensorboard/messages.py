"""The messages in event files, as protocol buffers: a number, an image, a histogram, a text.

Only the fields that are used are written here, by their numbers in TensorBoard's public .proto
files. Next: writer.py, who turns values into these.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

DOUBLE, STRING = 2, 7  # dtypes of a TensorProto
SCALARS = 1  # data class of numbers that are kept as tensors


# ----- protocol buffers -----


def _varint(value: int) -> bytes:
    found = bytearray()
    value &= (1 << 64) - 1  # negative numbers are their two's complement
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def whole(field: int, value: int) -> bytes:
    """An integer field."""
    return _varint(field << 3) + _varint(value)


def double(field: int, value: float) -> bytes:
    """A float64 field."""
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    """A float32 field."""
    with np.errstate(over="ignore"):
        return _varint(field << 3 | 5) + np.array(value, "<f4").tobytes()


def block(field: int, raw: bytes | str) -> bytes:
    """A field of bytes, text or a message."""
    raw = raw.encode() if isinstance(raw, str) else raw
    return _varint(field << 3 | 2) + _varint(len(raw)) + raw


# ----- messages -----


class Histogram(NamedTuple):
    """Counts of buckets; each ends at its limit, the first begins at the one before it."""

    values: np.ndarray  # all of them, finite, float64
    limits: np.ndarray
    counts: np.ndarray


def event(wall_time: float, step: int | None, *parts: bytes) -> bytes:
    """One record: when, at which step, and what."""
    where = b"" if step is None else whole(2, step)
    return double(1, wall_time) + where + b"".join(parts)


def version() -> bytes:
    """What every file begins with."""
    return block(3, "brain.Event:2")


def session_start() -> bytes:
    """Steps from here on replace older ones, after a crash."""
    return block(7, whole(1, 1))


def summary(tag: str, value: bytes) -> bytes:
    """A tagged value, as a part of an event."""
    return block(5, block(1, block(1, tag) + value))


def scalar(value: float) -> bytes:
    """A number, in single precision."""
    return single(2, value)


def exact_scalar(value: float) -> bytes:
    """A number in double precision: a tensor without axes."""
    tensor = whole(1, DOUBLE) + block(2, b"") + block(6, struct.pack("<d", value))
    return block(8, tensor) + _metadata("scalars", SCALARS)


def text(words: str) -> bytes:
    """A text, which TensorBoard reads as Markdown: a tensor of one string."""
    tensor = whole(1, STRING) + block(2, block(2, whole(1, 1))) + block(8, words)
    return block(8, tensor) + _metadata("text")


def image(height: int, width: int, channels: int, png: bytes) -> bytes:
    """A picture as PNG."""
    size = whole(1, height) + whole(2, width) + whole(3, channels)
    return block(4, size + block(4, png))


def histogram(found: Histogram) -> bytes:
    """Buckets with the sums that moments are made of."""
    values = found.values
    facts = (values.min(), values.max(), values.size, values.sum(), np.square(values).sum())
    numbers = b"".join(double(field, float(fact)) for field, fact in enumerate(facts, 1))
    packed = (array.astype("<f8").tobytes() for array in (found.limits, found.counts))
    return block(5, numbers + b"".join(block(field, raw) for field, raw in enumerate(packed, 6)))


def _metadata(plugin: str, data_class: int = 0) -> bytes:
    kind = whole(4, data_class) if data_class else b""
    return block(9, block(1, block(1, plugin)) + kind)
