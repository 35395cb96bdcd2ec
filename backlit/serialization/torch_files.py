"""Files that `torch.save` wrote: where in them the opcodes and the storages lie.

Since PyTorch 1.6 a zip whose entries are stored as they are, before that one stream of pickles
with the storages behind. Nothing is extracted, unpickled or run.
Next: opcodes.py, torch_names.py, windows.py.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from backlit.errors import BacklitError, CheckpointError
from backlit.serialization.opcodes import LONGEST, Machine, Refusal
from backlit.serialization.torch_names import HINT, TorchNames
from backlit.serialization.windows import Storage

MAGIC = 0x1950A86A20F9469CFC6C  # the first object of a stream
PROTOCOL = 1001  # the second


def read_zip(file: IO[bytes], name: str) -> Any:
    """The object in a zip file; CheckpointError where it is damaged or holds more than data."""
    with _explained(name), zipfile.ZipFile(file) as found:
        top = _top(found.namelist(), name)
        entries = _entries(found, file.seek(0, os.SEEK_END))
        order = entries.get(f"{top}/byteorder")
        big = order is not None and found.read(order) == b"big"
        program = entries[f"{top}/data.pkl"]
        if program.file_size > LONGEST:
            raise Refusal(f"a data.pkl of {program.file_size} bytes")
        names = TorchNames()
        made = Machine(found.read(program), names).run()
        for key, storage in names.storages.items():
            entry = entries.get(f"{top}/data/{key}")
            if entry is None:
                raise Refusal(f"storage {key!r} without an entry of its own")
            if entry.file_size != storage.nbytes:  # before anything of that size is read
                raise Refusal(f"storage {key!r} of {entry.file_size} bytes, not {storage.nbytes}")
            storage.fill(found.read(entry), ">" if big else "<")
        return made


def _entries(found: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: each once, stored as it is, all together no larger than the file."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in found.infolist():
        if entry.filename in entries:
            raise Refusal(f"the entry {entry.filename[:80]!r} twice")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Refusal(f"{entry.filename[:80]!r}, compressed or encrypted; torch.save does not")
        entries[entry.filename] = entry
    total = sum(entry.file_size for entry in entries.values())
    if total > size:
        raise Refusal(f"entries of {total} bytes in a file of {size}: they overlap")
    return entries


def _top(entries: list[str], name: str) -> str:
    """The folder that everything is in."""
    tops = [entry.split("/")[0] for entry in entries if re.fullmatch(r"[^/]+/data\.pkl", entry)]
    if len(tops) != 1:
        hint = "load reads files of bl.save, safetensors and torch.save"
        raise CheckpointError(f"load: {name} is a zip file, but not one of PyTorch", hint=hint)
    if any(entry.startswith((f"{tops[0]}/code/", f"{tops[0]}/constants.pkl")) for entry in entries):
        raise Refusal("a TorchScript program", HINT)
    return tops[0]


def read_stream(file: IO[bytes], name: str) -> Any:
    """The object in a stream of pickles, as PyTorch wrote them before 1.6."""
    raw = file.read()
    with _explained(name):
        at = _after_magic(raw, name)
        protocol, at = _next(raw, at, TorchNames())
        if protocol != PROTOCOL:
            raise Refusal(f"a stream of the protocol {protocol}")
        system, at = _next(raw, at, TorchNames())
        order = "<" if system["little_endian"] else ">"
        names = TorchNames()
        made, at = _next(raw, at, names)
        keys, at = _next(raw, at, TorchNames())
        at = _fill(names.storages, keys, raw, at, order)
        file.seek(at - len(raw), os.SEEK_CUR)
        return made


def _next(raw: bytes, at: int, names: TorchNames) -> tuple[Any, int]:
    """The pickled object at a position, and the position behind it."""
    machine = Machine(raw, names, at)
    return machine.run(), machine.at


def _after_magic(raw: bytes, name: str) -> int:
    try:
        magic, at = _next(raw, 0, TorchNames())
    except (Refusal, *DAMAGE):
        magic, at = None, 0
    if magic != MAGIC:
        raise CheckpointError(
            f"load: {name} is a pickle that torch.save did not write; a pickle can run any code,"
            " so Backlit does not read it",
            hint="in PyTorch torch.save(state_dict, path); elsewhere safetensors",
        )
    return at


def _fill(storages: dict[str, Storage], keys: Any, raw: bytes, at: int, order: str) -> int:
    """Read what lies behind the pickles, each storage with its size; returns where they end."""
    if sorted(keys) != sorted(storages):
        raise Refusal("other storages than its tensors name")
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack_from(order + "q", raw, at)
        start, at = at + 8, at + 8 + storage.nbytes
        if count != storage.count or at > len(raw):
            raise Refusal(f"storage {key!r} of {count} elements, cut off or not {storage.count}")
        storage.fill(memoryview(raw)[start:at], order)
    return at


DAMAGE = (zipfile.BadZipFile, struct.error, IndexError, KeyError, ValueError, TypeError,
          OverflowError, AttributeError, RecursionError, EOFError, NotImplementedError,
          MemoryError)  # fmt: skip


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Every refusal and every damage as one error with the file's name."""
    try:
        yield
    except Refusal as error:
        raise CheckpointError(f"load: {name} holds {error.message}", hint=error.hint) from None
    except CheckpointError:
        raise
    except BacklitError as error:
        raise CheckpointError(f"load: {name}: {error.message}", hint=error.hint) from None
    except DAMAGE as error:
        raise CheckpointError(f"load: {name} is damaged: {str(error)[:200]!r}") from None
