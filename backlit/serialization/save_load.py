"""`bl.save` and `bl.load`: which file becomes what.

A saved object is one safetensors file: its tensors under dotted names, and the structure around
them, with a checksum, as JSON in the file's metadata. A file can't run code, and other tools
read it. What PyTorch wrote is told by its content and read without pickle.
Next: archive.py, our file; torch_files.py, PyTorch's; backlit/files.py, how a file is replaced.
"""

from __future__ import annotations

import io
import os
from typing import IO, Any

from backlit.errors import CheckpointError, NotAvailable
from backlit.files import atomic_write, saving
from backlit.serialization import archive, torch_files
from backlit.serialization.objects import assemble, flatten

LONGEST_START = 300  # bytes that tell one kind of file from another


def save(
    obj: Any,
    f: str | os.PathLike[str] | IO[bytes],
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write an object to a path or binary file as safetensors; a path is replaced atomically.

    Takes nested dicts, lists and tuples of tensors, NumPy arrays, numbers, strings, dtypes and
    None. Tensors that share a cell are written once and are tied again by `load`. Nothing is
    pickled: the last three are accepted for PyTorch's sake. Raises ArgumentError naming what
    can't be saved; CheckpointError where the file can't be written, and the old one is untouched.

    >>> import io; file = io.BytesIO()
    >>> bl.save({"weight": bl.ones(2), "epoch": 3}, file); _ = file.seek(0); bl.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    packed = archive.pack(*flatten(obj))
    if not isinstance(f, str | os.PathLike):
        f.write(packed)
        return
    path = os.fspath(f)
    with saving(path), atomic_write(path) as file:
        file.write(packed)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    encoding: str = "utf-8",
) -> Any:
    """Read what `save`, any tool that writes safetensors, or `torch.save` has written.

    Nothing is unpickled or run: of PyTorch's files tensors, numbers and plain containers are
    read, and any other name in them is refused. So the last four change nothing, and
    `map_location` may only name the CPU. Raises CheckpointError with the file's name and the
    reason where it is damaged, foreign or holds more; FileNotFoundError where there is none.

    >>> import io; file = io.BytesIO()
    >>> bl.save([bl.tensor([1, 2]), "two"], file); _ = file.seek(0); bl.load(file)
    [tensor([1, 2]), 'two']
    """
    _only_cpu(map_location)
    if not isinstance(f, str | os.PathLike):
        file = f if f.seekable() else io.BytesIO(f.read())
        return _read(file, str(getattr(f, "name", "file")), whole=False)
    path = os.fspath(f)
    if os.path.isdir(path):
        raise CheckpointError(f"load: {path} is a folder, not a file")
    with open(path, "rb") as file:
        return _read(file, path, whole=True)


def _read(file: IO[bytes], name: str, whole: bool) -> Any:
    """The object at the file's position, by the kind that its first bytes show."""
    begin = file.tell()
    start = file.read(LONGEST_START)
    file.seek(begin)
    if start[4:9] == b"\0\0\0\0{":  # a header below 4 GB and its JSON, whatever its length
        return assemble(*archive.read(file, name, whole), name)
    if start[:4] == b"PK\x03\x04":
        if b".npy" in start[:264]:
            raise CheckpointError(f"load: {name} is a NumPy .npz file", hint="use numpy.load")
        return torch_files.read_zip(file, name)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return torch_files.read_stream(file, name)
    if start[257:262] == b"ustar":
        raise CheckpointError(
            f"load: {name} is a tar file, as PyTorch wrote them before 0.2; it can't be read",
            hint="load it in PyTorch and save it again",
        )
    return assemble(*archive.read(file, name, whole), name)


def _only_cpu(location: Any) -> None:
    places = location.values() if isinstance(location, dict) else [location]
    for place in places:
        if place is not None and not callable(place) and not str(place).startswith("cpu"):
            raise NotAvailable(f"load: map_location {place}: Backlit runs on the CPU only")
