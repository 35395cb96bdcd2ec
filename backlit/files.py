"""Files that are replaced whole or not at all: the write under every file that Backlit leaves.

A kill or a full disk at any moment leaves the old file or the new one, and a folder has one writer
at a time. Knows nothing of what is in a file; tensors in files are the serialization room's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backlit.errors import CheckpointError

TEMPORARY = ".backlit-*.tmp"  # what an interrupted write may leave behind


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file whose bytes replace `path` once all of them are on disk, or never."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:  # a device or a pipe must not be replaced
            yield file
        return
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, TEMPORARY.replace("*", secrets.token_hex(6)))
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(folder)


def sweep(folder: str | os.PathLike[str]) -> None:
    """Remove what writes that were killed have left in a folder."""
    for leftover in Path(folder).glob(TEMPORARY):
        leftover.unlink(missing_ok=True)


@contextmanager
def sole_writer(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep others from writing in a folder; CheckpointError where another does.

    The system's lock on the folder itself: a kill frees it, and no file is left behind.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(
                f"{os.fspath(folder)} is in use: another training writes there",
                hint="wait for its end or stop it, or choose another folder",
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Put the folder's entries on disk, so that renames survive a power cut in order."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def saving(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's refusal to write `path` into a CheckpointError that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(
            f"save: {os.fspath(path)} can't be written: {reason}",
            hint="nothing was replaced; mend the folder or free space, then save again",
        ) from error
