"""What travels between a DataLoader's processes: tensors and arrays go as raw buffers.

Owns packing and unpacking. The bytes never leave the two ends of a pipe, so pickle is safe here;
nothing read from a file comes this way. Knows nothing of tasks and batches.
"""

from __future__ import annotations

import io
import pickle
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any


class Parcel:
    """Something that is unpacked inside the worker, where a failure can be reported."""

    def __init__(self, contents: Any):
        self.contents = contents

    def __getstate__(self) -> bytes:
        stream = io.BytesIO()
        ForkingPickler(stream, pickle.HIGHEST_PROTOCOL).dump(self.contents)
        return stream.getvalue()

    def __setstate__(self, packed: bytes) -> None:
        self.packed = packed

    def open(self) -> Any:
        return pickle.loads(self.packed)


def encode(epoch: int, kind: str, content: Any) -> list[bytes]:
    """An answer as the parts to send: a head, the structure, then each array's bytes."""
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    ForkingPickler(body, pickle.HIGHEST_PROTOCOL, True, buffers.append).dump(content)
    head = pickle.dumps((epoch, kind, len(buffers)))
    # Copied now: a dataset may fill the same array again while the thread still writes.
    return [head, body.getvalue(), *(bytes(buffer.raw()) for buffer in buffers)]


def receive(connection: Connection) -> tuple[int, str, Any]:
    """The next answer: epoch, kind and content."""
    epoch, kind, count = pickle.loads(connection.recv_bytes())
    body = connection.recv_bytes()
    # bytearray, so that arrays in a batch can be written to as usual.
    buffers = [bytearray(connection.recv_bytes()) for _ in range(count)]
    return epoch, kind, pickle.loads(body, buffers=buffers)
