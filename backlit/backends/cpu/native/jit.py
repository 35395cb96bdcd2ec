"""From IR text to callable addresses, with a cache in the process and one on disk.

Owns compilation: entries are named by the hash of everything that shaped them (text, CPU, LLVM).
Inside `deferred()` what is not cached is compiled by threads in the background while the caller
generates the next kernel. `store.py` keeps object code on disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from backlit import config

from . import features, store

# Level 1 schedules as well as level 3 here: the vectors are explicit.
OPTIONS = {"opt": 1, "reloc": "pic", "jit": True}
# Calling through CFUNCTYPE releases the GIL, which is what makes threads run side by side.
KERNEL_TYPE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)
Watch = Callable[[str, str, features.Machine], None]
_lock = threading.RLock()
_functions: dict[str, int] = {}  # key -> address
_libraries: list[Any] = []  # code lives as long as these
_origins: dict[int, tuple[str, str]] = {}  # address -> key, name
_serial = itertools.count()
_watch: Watch | None = None
_here = threading.local()  # the batch that this thread gathers, if any


def compile_function(text: str, name: str, machine: features.Machine) -> int:
    """Return the address of function `name` in the module `text`, compiled for `machine`.

    Inside `deferred()` it may be an address that jumps to the function.
    """
    key = _key(text, name, machine)
    with _lock:
        found = _functions.get(key)
        if found is not None:
            return found
        if _watch is not None:
            _watch(name, text, machine)
        batch = getattr(_here, "batch", None)
        code = store.read(key)
        if code is None and batch is not None:
            address = batch.add(key, text, name, machine)
        else:
            address = _link(_object_code(key, text, machine) if code is None else code, name)
        _functions[key] = address
        _origins[address] = key, name
        return address


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Compile the kernels that are asked for inside side by side; all are there at the end.

    For functions with the arguments of a kernel. One that is called earlier is waited for.
    """
    if getattr(_here, "batch", None) is not None:
        yield
        return
    _here.batch = batch = _Batch()
    try:
        yield
    finally:
        _here.batch = None
        batch.finish()


def recipe(build: Callable[..., int]) -> Callable[..., int]:
    """Decorate a function that generates a kernel, so that it runs `once` for its arguments."""
    name = f"{build.__module__}.{build.__qualname__}"

    @functools.wraps(build)
    def kernel(*args: Any, **options: Any) -> int:
        given = (name, args, *sorted(options.items()))
        return once(given, lambda: build(*args, **options))

    return kernel


def once(given: tuple, build: Callable[[], int]) -> int:
    """The kernel that `build` generates, which it does once, also from process to process: what is
    on disk is loaded without generating the text again.

    `given` names the builder and, with the package's own code, everything that the text depends
    on; it is hashable and prints the same in every process.
    """
    place = (given, features.machine())
    found = _made.get(place)
    if found is not None:
        return found
    shown = repr(place)
    if any(repr(name) in shown or f"{name}(" in shown for name in _foreign()):
        return build()  # a formula of the user's own may be another one next time
    note = hashlib.sha256(f"{shown}\0{_sources()}\0{OPTIONS}".encode()).hexdigest()
    found = _made[place] = _remembered(note) or build()
    if found in _origins:
        _remember(note, found)
    return found


def name_of(address: int) -> str:
    """The name of the function at an address that `compile_function` gave."""
    return _origins.get(address, ("", ""))[1]


def set_watch(watch: Watch | None) -> None:
    """Call `watch(name, text, machine)` for every function before it is compiled or loaded."""
    global _watch
    _watch = watch


def assembly(text: str, machine: features.Machine) -> str:
    """The assembly that a module becomes."""
    builder, parsed = _parsed(text, machine)
    return str(builder.emit_assembly(parsed))


def _remembered(note: str) -> int:
    """The address that a recipe led to when it was last followed, in whatever process; or 0."""
    words = (store.read(note) or b"").decode().split()
    if _watch is not None or len(words) != 2:
        return 0
    key, name = words
    with _lock:
        if key not in _functions:
            code = store.read(key)
            if code is None:
                return 0
            address = _functions[key] = _link(code, name)
            _origins[address] = key, name
            _noted.add(note)
        return _functions[key]


def _remember(note: str, address: int) -> None:
    if note not in _noted:
        _noted.add(note)
        store.write(note, " ".join(_origins[address]).encode())


_made: dict[tuple, int] = {}  # by what a recipe was given
_noted: set[str] = set()


def _foreign() -> list[str]:
    """Operators that are not the package's."""
    from backlit.ops.op import REGISTRY

    return [n for n, op in REGISTRY.items() if not op.__module__.startswith("backlit.")]


@functools.cache
def _sources() -> tuple[Any, ...]:
    """What changes when the code that generates kernels, or a formula, does."""
    import llvmlite

    package = Path(__file__).parents[3]
    files = (f for room in ("backends/cpu", "ops") for f in (package / room).rglob("*.py"))
    stats = ((str(f.relative_to(package)), f.stat()) for f in files)
    found = sorted((name, s.st_size, s.st_mtime_ns) for name, s in stats)
    return llvmlite.__version__, tuple(found)


def _key(text: str, name: str, machine: features.Machine) -> str:
    import llvmlite

    build = (machine.triple, machine.cpu, machine.features, llvmlite.__version__, str(OPTIONS))
    parts = (text, name, *build)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _object_code(key: str, text: str, machine: features.Machine) -> bytes:
    code = store.read(key)
    if code is None:
        code = _compile(text, machine)
        store.write(key, code)
    return code


def _compile(text: str, machine: features.Machine) -> bytes:
    from llvmlite.binding import ffi

    builder, parsed = _parsed(text, machine)
    # llvmlite lets one thread in at a time; modules in contexts of their own need no such care.
    emit = ffi.lib.LLVMPY_TargetMachineEmitToMemory
    emit = getattr(emit, "_cfn", emit)
    with ffi.OutputString() as trouble:
        memory = emit(builder, parsed, 1, trouble)
        if not memory:
            raise RuntimeError(str(trouble))
    try:
        start = ffi.lib.LLVMPY_GetBufferStart(memory)
        return ctypes.string_at(start, ffi.lib.LLVMPY_GetBufferSize(memory))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(memory)


def _parsed(text: str, machine: features.Machine) -> tuple[Any, Any]:
    import llvmlite.binding as llvm

    _initialize()
    target = llvm.Target.from_triple(machine.triple)
    builder = target.create_target_machine(cpu=machine.cpu, features=machine.features, **OPTIONS)
    context = llvm.create_context()
    parsed = llvm.parse_assembly(f'target triple = "{machine.triple}"\n{text}', context)
    parsed.verify()
    return builder, parsed


def _link(code: bytes, name: str) -> int:
    return _load(code, name)[0]


def _load(code: bytes, *names: str) -> list[int]:
    """The addresses of names in object code, loaded for good."""
    import llvmlite.binding as llvm

    builder = llvm.JITLibraryBuilder().add_object_img(code)
    for name in names:
        builder.export_symbol(name)
    library = builder.link(_engine(), f"backlit{next(_serial)}")
    _libraries.append(library)
    return [int(library[name]) for name in names]


@functools.cache
def _initialize() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


@functools.cache
def _engine() -> Any:
    import llvmlite.binding as llvm

    _initialize()
    return llvm.create_lljit_compiler()


class _Batch:
    """Functions that are being compiled while their addresses are already in use."""

    def __init__(self) -> None:
        self.waiting: list[_Promise] = []

    def add(self, key: str, text: str, name: str, machine: features.Machine) -> int:
        if not machine.triple.startswith(("x86_64", "amd64")):  # no jumps written for others yet
            return _link(_object_code(key, text, machine), name)
        promise = _Promise(key, name, _compilers().submit(_object_code, key, text, machine))
        self.waiting.append(promise)
        return promise.address

    def finish(self) -> None:
        """Wait for all; if one failed, forget it and say so."""
        failed = None
        for promise in self.waiting:
            try:
                promise.keep()
            except RuntimeError as error:
                failed = error
                with _lock:
                    _functions.pop(promise.key, None)
        if failed:
            raise failed


class _Promise:
    """A jump that leads to a function as soon as it is compiled, and to a wait until then."""

    def __init__(self, key: str, name: str, code: Any) -> None:
        self.key, self.name, self.code = key, name, code
        self.address, self.slot = _jump()
        self.lock = threading.Lock()
        self.kept = 0
        self.early = KERNEL_TYPE(self._call_early)
        _libraries.append(self.early)  # a thread may be in it when nobody needs it any more
        self.slot.value = ctypes.cast(self.early, ctypes.c_void_p).value or 0

    def keep(self) -> int:
        with self.lock:
            if not self.kept:
                self.kept = _link(self.code.result(), self.name)
                self.slot.value = self.kept
            return self.kept

    def _call_early(self, words: int, counter: int, chunks: int, worker: int) -> None:
        KERNEL_TYPE(self.keep())(words, counter, chunks, worker)


JUMPS = 256
_free_jumps: list[tuple[int, Any]] = []
_JUMP_TEXT = f"""
.text
.p2align 4
.globl jumps
jumps:
.set at, 0
.rept {JUMPS}
jmpq *targets+at(%rip)
.p2align 3
.set at, at+8
.endr
.data
.p2align 3
.globl targets
targets:
.zero {8 * JUMPS}
"""


def _jump() -> tuple[int, Any]:
    """The address of a jump that nobody uses yet, and the word that says where it leads."""
    with _lock:
        if not _free_jumps:
            text = "\n".join(f'module asm "{line}"' for line in _JUMP_TEXT.split("\n"))
            code = _compile(text, features.machine())
            jumps, targets = _load(code, "jumps", "targets")
            _free_jumps.extend(
                (jumps + 8 * i, ctypes.c_uint64.from_address(targets + 8 * i)) for i in range(JUMPS)
            )
        return _free_jumps.pop()


@functools.cache
def _compilers() -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(config.cores(), thread_name_prefix="backlit-compile")


if hasattr(os, "register_at_fork"):
    # a forked child has no threads but its own
    os.register_at_fork(after_in_child=_compilers.cache_clear)
