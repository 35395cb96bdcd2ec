"""Tar archives as sources of data: members are read, never extracted, and checked first.

Owns which members are refused (names that leave the folder, links, devices) and damage found
while reading. Knows nothing of images and labels.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from backlit.errors import DataError

if TYPE_CHECKING:
    import tarfile

BLOCK = 512  # of a tar archive
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether this names a tar archive that exists."""
    return str(path).lower().endswith(ENDINGS) and Path(path).is_file()


@contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[tarfile.TarFile]:
    """An archive for reading; whatever is wrong with it becomes a DataError with its name."""
    import lzma
    import tarfile

    try:
        with tarfile.open(path) as archive:
            yield archive
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        raise DataError(f"{path}: damaged archive: {error}") from error


def plain_files(
    archive: tarfile.TarFile, path: str | os.PathLike[str]
) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo]]:
    """The ordinary files of an archive. Raises DataError for a member that is anything else."""
    for member in archive:
        name = PurePosixPath(member.name)
        unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.name
        if unsafe or member.name[1:2] == ":":
            raise DataError(f"{path}: member {member.name!r} leaves the folder")
        if member.issparse() or not (member.isfile() or member.isdir()):
            raise DataError(f"{path}: member {member.name!r} is neither a plain file nor a folder")
        if member.isfile():
            yield name, member
    _check_end(archive, path)


def content_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """The bytes of a member, all of them."""
    file = archive.extractfile(member)
    content = file.read() if file is not None else b""
    if len(content) != member.size:
        raise EOFError(f"{member.name} is truncated")
    return content


def _check_end(archive: tarfile.TarFile, path: str | os.PathLike[str]) -> None:
    # tarfile takes a file that breaks off between two members for a complete one.
    stream = archive.fileobj
    assert stream is not None
    stream.seek(archive.offset)
    if stream.read(BLOCK) != bytes(BLOCK):
        raise DataError(f"{path}: damaged archive: it breaks off before its end mark")
    # Reading on to the end is what makes gzip compare its checksum.
    while stream.read(1 << 20):
        pass
