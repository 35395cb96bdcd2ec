"""From IR text to callable addresses, with a cache in the process and one on disk.

Owns compilation and the store of object code: entries are named by the hash of everything that
shaped them (text, CPU, LLVM), written atomically and checked by their own hash when read, so a
damaged or half-written one is simply built again. Reads no environment variable:
`set_cache_folder` is for `config.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from . import features

MAGIC = b"backlit object 1\n"
# Level 1 schedules as well as level 3 here: the vectors are explicit.
OPTIONS = {"opt": 1, "reloc": "pic", "jit": True}
DIGEST_BYTES = 32
_lock = threading.RLock()
_libraries: dict[str, Any] = {}
_serial = itertools.count()
_folder: Path | None = None
_on_disk = True


def set_cache_folder(folder: str | os.PathLike[str] | None, *, enabled: bool = True) -> None:
    """Keep object code in `folder` (None: the user's cache folder), or nowhere."""
    global _folder, _on_disk
    _folder = None if folder is None else Path(folder)
    _on_disk = enabled


def cache_folder() -> Path | None:
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


def compile_function(text: str, name: str, machine: features.Machine) -> int:
    """Return the address of function `name` in the module `text`, compiled for `machine`."""
    key = _key(text, name, machine)
    with _lock:
        library = _libraries.get(key)
        if library is None:
            library = _libraries[key] = _link(_object_code(key, text, machine), name)
        return int(library[name])


def _key(text: str, name: str, machine: features.Machine) -> str:
    import llvmlite

    build = (machine.triple, machine.cpu, machine.features, llvmlite.__version__, str(OPTIONS))
    parts = (text, name, *build)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _object_code(key: str, text: str, machine: features.Machine) -> bytes:
    folder = cache_folder() if _on_disk else None
    path = folder / key[:2] / f"{key}.o" if folder else None
    code = _read(path) if path else None
    if code is None:
        code = _compile(text, machine)
        if path:
            _write(path, code)
    return code


def _compile(text: str, machine: features.Machine) -> bytes:
    import llvmlite.binding as llvm

    _initialize()
    target = llvm.Target.from_triple(machine.triple)
    builder = target.create_target_machine(cpu=machine.cpu, features=machine.features, **OPTIONS)
    context = llvm.create_context()
    parsed = llvm.parse_assembly(f'target triple = "{machine.triple}"\n{text}', context)
    parsed.verify()
    return bytes(builder.emit_object(parsed))


def _link(code: bytes, name: str) -> Any:
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder().add_object_img(code).export_symbol(name)
    return builder.link(_engine(), f"backlit{next(_serial)}")


@functools.cache
def _initialize() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@functools.cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    _initialize()
    return llvm.create_lljit_compiler()


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head = len(MAGIC) + DIGEST_BYTES
    digest, code = data[len(MAGIC) : head], data[head:]
    sound = data.startswith(MAGIC) and hashlib.sha256(code).digest() == digest
    return code if sound else None


def _write(path: Path, code: bytes) -> None:
    """Store object code; a cache that can't be written is no reason to stop."""
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


# Calling through CFUNCTYPE releases the GIL, which is what makes threads run side by side.
KERNEL_TYPE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)
