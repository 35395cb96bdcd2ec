"""The safetensors file that `save` writes: named arrays, and our structure in its metadata.

One metadata key holds the JSON structure and a checksum over everything. The package
`safetensors` owns the format; objects.py says what structure and names mean.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import IO

import numpy as np

from backlit.dtypes import BY_NAME
from backlit.errors import CheckpointError
from backlit.serialization.objects import STORED

STRUCTURE = "backlit"  # metadata key of {"crc32": ..., "root": ...}
LONGEST_HEADER = 100_000_000  # the limit of the package, in bytes


def pack(arrays: dict[str, np.ndarray], root: str) -> bytes:
    """The bytes of a file."""
    from safetensors.numpy import save as packed

    native = {
        name: a.astype(a.dtype.newbyteorder("="), "C", copy=False) for name, a in arrays.items()
    }
    # One key: the package writes several in random order, and equal objects are equal files.
    return packed(native, {STRUCTURE: json.dumps({"crc32": _checksum(native, root), "root": root})})


def _checksum(arrays: dict[str, np.ndarray], root: str) -> int:
    check = zlib.crc32(root.encode())
    for name, array in sorted(arrays.items()):
        check = zlib.crc32(json.dumps([name, array.dtype.name, array.shape]).encode(), check)
        check = zlib.crc32(array.reshape(-1).view(np.uint8).data, check)
    return check


def read(
    file: IO[bytes], name: str, whole: bool = False
) -> tuple[dict[str, np.ndarray], str | None]:
    """Named arrays and the JSON structure; a stream is left where the object ends."""
    raw = file.read()
    metadata, promised = _header(raw, name)
    if len(raw) < promised or (whole and len(raw) > promised):
        state = "truncated" if len(raw) < promised else "corrupt"
        numbers = f"{len(raw)} bytes where the header promises {promised}"
        raise CheckpointError(f"load: {name}: {state}: {numbers}")
    if len(raw) > promised:
        file.seek(promised - len(raw), os.SEEK_CUR)
    arrays = _unpack(raw[:promised], name)
    # A damaged key must not turn our file into one of another tool.
    texts = [text for text in metadata.values() if str(text).startswith('{"crc32"')]
    if STRUCTURE not in metadata and not texts:
        return arrays, None
    try:
        seal = json.loads(metadata.get(STRUCTURE, *texts))
        written, root = seal["crc32"], str(seal["root"])
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"load: {name}: corrupt structure: {error!r}") from None
    if written != _checksum(arrays, root):
        raise CheckpointError(f"load: {name}: corrupt: its bytes differ from those written")
    return arrays, root


def _header(raw: bytes, name: str) -> tuple[dict[str, str], int]:
    """The metadata and the object's length in bytes, which the package does not hand out."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= length <= LONGEST_HEADER:
        raise CheckpointError(f"load: {name}: not a safetensors file, or its start is lost")
    if len(raw) < 8 + length:
        raise CheckpointError(f"load: {name}: truncated inside the header")
    try:
        entries = json.loads(raw[8 : 8 + length])
        metadata = dict(entries.pop("__metadata__", None) or {})
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise CheckpointError(f"load: {name}: corrupt header: {error!r}") from None
    return metadata, 8 + length + max(ends, default=0)


def _unpack(raw: bytes, name: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(raw)
        return {
            key: np.frombuffer(entry["data"], _numpy_dtype(key, entry["dtype"])).reshape(
                entry["shape"]
            )
            for key, entry in entries
        }
    except (SafetensorError, ValueError, OverflowError) as error:
        raise CheckpointError(f"load: {name}: can't be read: {error}") from None


def _numpy_dtype(key: str, code: str) -> np.dtype:
    if code not in STORED:
        raise ValueError(f"{key!r} has the dtype {code}, which Backlit has not")
    return BY_NAME[STORED[code]].numpy if STORED[code] in BY_NAME else np.dtype(STORED[code])
