"""MNIST's idx format: a magic number, big-endian sizes, then the numbers; plain or gzipped.

Owns reading and writing one file, and refusing a damaged one by name. What the files mean is
mnist.py. Format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats.
"""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from backlit.errors import ArgumentError, DataError

CODES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an idx file, in the machine's byte order; gzipped files are recognized.

    Raises DataError where the file is truncated, corrupt, or longer than its sizes say.

    >>> bl.data.read_idx(__file__)
    Traceback (most recent call last):
    backlit.errors.DataError: ...: not an idx file: it begins with 2222224d
    """
    path = Path(path)
    with path.open("rb") as file:
        return parse_idx(file, str(path))


def parse_idx(file: IO[bytes], name: str) -> np.ndarray:
    """As read_idx, from an open binary file; `name` is what errors call it."""
    import gzip

    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    try:
        if not zipped:
            return _parse(file, name)
        with gzip.GzipFile(fileobj=file) as plain:
            return _parse(plain, name)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{name}: damaged gzip data: {error}") from error


def _parse(file: Any, name: str) -> np.ndarray:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in CODES:
        raise DataError(f"{name}: not an idx file: it begins with {magic.hex() or 'nothing'}")
    dtype, axes = np.dtype(CODES[magic[2]]), magic[3]
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError(f"{name}: truncated within its {axes} sizes")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected = math.prod(shape) * dtype.itemsize
    content = _read_at_most(file, expected + 1)
    if len(content) != expected:
        found = "more" if len(content) > expected else f"{len(content):,}"
        raise DataError(f"{name}: sizes {shape} need {expected:,} bytes, the file has {found}")
    try:
        array = np.frombuffer(content, dtype).reshape(shape)
    except ValueError as error:
        raise DataError(f"{name}: sizes {shape} make no array: {error}") from None
    return array.astype(dtype.newbyteorder("="))


def _read_at_most(file: Any, limit: int) -> bytes:
    # In chunks: a corrupt size must not ask for memory that the file cannot fill.
    content = bytearray()
    while len(content) < limit:
        chunk = file.read(min(CHUNK, limit - len(content)))
        if not chunk:
            break
        content += chunk
    return bytes(content)


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array as an idx file, gzipped where the name ends in .gz.

    Takes uint8, int8, int16, int32, float32 and float64; raises ArgumentError for others.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bl.data.write_idx(os.path.join(folder, "labels.gz"), np.array([5, 0, 4], np.uint8))
    ...     bl.data.read_idx(os.path.join(folder, "labels.gz")).tolist()
    [5, 0, 4]
    """
    import gzip

    array = np.asarray(array)
    codes = {np.dtype(text).newbyteorder("="): code for code, text in CODES.items()}
    if array.dtype.newbyteorder("=") not in codes:
        raise ArgumentError(f"write_idx: the format has no {array.dtype}")
    code = codes[array.dtype.newbyteorder("=")]
    head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = head + array.astype(CODES[code]).tobytes()
    if str(path).endswith(".gz"):
        content = gzip.compress(content, 9, mtime=0)
    Path(path).write_bytes(content)
