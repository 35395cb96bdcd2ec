"""Compilation and the store of object code on disk."""

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backlit.backends.cpu import codegen, features, jit


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    jit.set_cache_folder(tmp_path / "kernels")
    yield tmp_path / "kernels"
    jit.set_cache_folder(None)


def add_constant(name: str, number: int) -> str:
    f = codegen.Function(name, [("ptr", "cell")])
    f.store(f.load(f["cell"], "i64") + number, f["cell"])
    return codegen.module([f])


def call(address: int, value: int) -> int:
    cell = ctypes.c_int64(value)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(cell))
    return cell.value


def entries(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def test_compiles_once_per_text(folder: Path) -> None:
    machine = features.machine()
    first = jit.compile_function(add_constant("add", 41), "add", machine)
    assert call(first, 1) == 42
    assert jit.compile_function(add_constant("add", 41), "add", machine) == first
    assert call(jit.compile_function(add_constant("add", 2), "add", machine), 1) == 3
    assert len(entries(folder)) == 2


def test_entries_differ_by_machine(folder: Path) -> None:
    from dataclasses import replace

    text, machine = add_constant("by_machine", 5), features.machine()
    jit.compile_function(text, "by_machine", machine)
    other = replace(machine, features=machine.features + ",")
    jit.compile_function(text, "by_machine", other)
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "text"])
def test_a_damaged_entry_is_built_again(folder: Path, damage: str) -> None:
    text, machine = add_constant(f"damage_{damage}", 7), features.machine()
    key = jit._key(text, f"damage_{damage}", machine)
    code = jit._object_code(key, text, machine)
    (entry,) = entries(folder)
    sound = entry.read_bytes()
    flipped = bytearray(sound)
    flipped[-1] ^= 1
    entry.write_bytes(
        {"truncated": sound[:-9], "flipped": flipped, "empty": b"", "text": b"hello"}[damage]
    )
    assert jit._object_code(key, text, machine) == code
    assert entry.read_bytes() == sound
    assert entries(folder) == [entry]


def test_a_sound_entry_is_not_compiled_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, machine = add_constant("kept", 7), features.machine()
    key = jit._key(text, "kept", machine)
    code = jit._object_code(key, text, machine)
    monkeypatch.setattr(jit, "_compile", lambda *_: pytest.fail("compiled again"))
    assert jit._object_code(key, text, machine) == code


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    jit.set_cache_folder(blocked)
    try:
        address = jit.compile_function(add_constant("blocked", 1), "blocked", features.machine())
        assert call(address, 1) == 2
    finally:
        jit.set_cache_folder(None)


def test_the_store_can_be_switched_off(tmp_path: Path) -> None:
    jit.set_cache_folder(tmp_path, enabled=False)
    try:
        jit.compile_function(add_constant("nowhere", 1), "nowhere", features.machine())
        assert entries(tmp_path) == []
    finally:
        jit.set_cache_folder(None)


def test_processes_share_a_folder(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from backlit.backends.cpu import conv_kernels, features, jit\n"
        "jit.set_cache_folder(sys.argv[1])\n"
        "assert conv_kernels.gather(features.machine(), 'float')\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [p.wait() for p in running] == [0, 0, 0]
    (entry,) = entries(tmp_path)
    assert entry.suffix == ".o"


def test_vector_width_is_capped_and_checked() -> None:
    features.set_vector_width(4)
    try:
        assert features.machine().width("float") == 4
        assert features.machine().width("double") == 2
        with pytest.raises(ValueError, match="no vectors of 3 floats"):
            features.set_vector_width(3)
    finally:
        features.set_vector_width(None)
