"""Object code on disk: found by key, sound or absent, never more than a set size.

Entries are written atomically and checked by their own hash when read, so a damaged or
half-written one is simply built again, and any number of processes may share a folder. What was
not used for longest goes first. Knows neither LLVM nor kernels; `jit.py` asks it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

MAGIC = b"backlit object 1\n"
DIGEST_BYTES = 32
LARGEST = 512 << 20  # bytes of all entries together
HOUR, DAY = 3600.0, 86400.0
_folder: Path | None = None
_on_disk = True
_swept = False


def set_folder(folder: str | os.PathLike[str] | None, *, enabled: bool = True) -> None:
    """Keep object code in `folder` (None: the user's cache folder), or nowhere."""
    global _folder, _on_disk, _swept
    _folder = None if folder is None else Path(folder)
    _on_disk, _swept = enabled, False


def folder() -> Path | None:
    """Return the folder that holds object code (it need not exist); None without a home."""
    if _folder is not None:
        return _folder
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "backlit" / "kernels"
    if sys.platform == "win32":
        return home / "AppData" / "Local" / "backlit" / "kernels"
    return home / ".cache" / "backlit" / "kernels"


def read(key: str) -> bytes | None:
    """Return the object code of a key, or None where there is no sound entry."""
    path = _path(key)
    try:
        data = path.read_bytes() if path else b""
    except OSError:
        return None
    head = len(MAGIC) + DIGEST_BYTES
    digest, code = data[len(MAGIC) : head], data[head:]
    if path is None or not data.startswith(MAGIC) or hashlib.sha256(code).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)  # many file systems do not keep the time of reading
    return code


def write(key: str, code: bytes) -> None:
    """Store object code; a cache that can't be written is no reason to stop."""
    path = _path(key)
    if path is None:
        return
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + hashlib.sha256(code).digest() + code)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    _sweep_now_and_then()


def sweep(largest: int = LARGEST) -> None:
    """Remove what was not used for longest until `largest` bytes are left."""
    entries, total = [], 0
    root = folder()
    for path in root.glob("??/*") if root else ():
        with contextlib.suppress(OSError):  # another process may sweep too
            found = path.stat()
            if path.suffix == ".tmp" and time.time() - found.st_mtime > HOUR:
                path.unlink()  # its writer was killed
            elif path.suffix == ".o":
                entries.append((found.st_mtime, found.st_size, path))
                total += found.st_size
    for _, size, path in sorted(entries):
        if total <= largest:
            break
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


def _path(key: str) -> Path | None:
    root = folder() if _on_disk else None
    return root / key[:2] / f"{key}.o" if root else None


def _sweep_now_and_then() -> None:
    """Once an hour, by whichever process writes first."""
    global _swept
    root = folder()
    if _swept or root is None:
        return
    _swept = True
    mark = root / "swept"
    with contextlib.suppress(OSError):
        if mark.exists() and time.time() - mark.stat().st_mtime < HOUR:
            return
        mark.touch()
        sweep()
