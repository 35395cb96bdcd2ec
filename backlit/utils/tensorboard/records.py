"""The file format of events: records with a length and two checksums each (TFRecord).

A record is its length (uint64), the masked CRC-32C of that, the bytes, and their masked CRC-32C.
Knows nothing of what a record says: messages.py.
"""

from __future__ import annotations

import struct

POLYNOMIAL = 0x82F63B78  # Castagnoli's, with the bits reversed
MASK = 0xA282EAD8  # so that a checksum of data with checksums in it stays strong


def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
        found.append(byte)
    return tuple(found)


TABLE = _table()


def crc32c(raw: bytes) -> int:
    """The cyclic redundancy check of RFC 3720, which `zlib` does not have.

    >>> from backlit.utils.tensorboard.records import crc32c
    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, check = TABLE, 0xFFFFFFFF
    for byte in raw:
        check = table[(check ^ byte) & 255] ^ check >> 8
    return check ^ 0xFFFFFFFF


def record(raw: bytes) -> bytes:
    """One framed record."""
    length = struct.pack("<Q", len(raw))
    return length + _masked(length) + raw + _masked(raw)


def _masked(raw: bytes) -> bytes:
    check = crc32c(raw)
    return struct.pack("<I", ((check >> 15 | check << 17) + MASK) & 0xFFFFFFFF)
