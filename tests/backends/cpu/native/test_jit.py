"""Compilation and the store of object code on disk."""

import ctypes
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.native import codegen, features, jit, store
from backlit.ops.op import REGISTRY, Elementwise, apply


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    store.set_folder(tmp_path / "kernels")
    yield tmp_path / "kernels"
    store.set_folder(None)


def add_constant(name: str, number: int) -> str:
    f = codegen.Function(name, [("ptr", "cell")])
    f.store(f.load(f["cell"], "i64") + number, f["cell"])
    return codegen.module([f])


def call(address: int, value: int) -> int:
    cell = ctypes.c_int64(value)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(cell))
    return cell.value


def entries(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "swept")


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
    store.set_folder(blocked)
    try:
        address = jit.compile_function(add_constant("blocked", 1), "blocked", features.machine())
        assert call(address, 1) == 2
    finally:
        store.set_folder(None)


def test_the_store_can_be_switched_off(tmp_path: Path) -> None:
    store.set_folder(tmp_path, enabled=False)
    try:
        jit.compile_function(add_constant("nowhere", 1), "nowhere", features.machine())
        assert entries(tmp_path) == []
    finally:
        store.set_folder(None)


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """Several write and read the same entries while one sweeps all away again and again."""
    script = """
import sys, ctypes
import backlit as bl
from backlit.backends.cpu.native import codegen, features, jit, store
from backlit.ops.op import REGISTRY, Elementwise, apply
store.set_folder(sys.argv[1])
machine, call = features.machine(), ctypes.CFUNCTYPE(None, ctypes.c_void_p)
for i in range(12):
    f = codegen.Function(f"add{i}", [("ptr", "cell")])
    f.store(f.load(f["cell"], "i64") + i, f["cell"])
    address = jit.compile_function(codegen.module([f]), f.name, machine)
    cell = ctypes.c_int64(30)
    call(address)(ctypes.addressof(cell))
    assert cell.value == 30 + i
    if sys.argv[2] == "sweeps":
        store.sweep(0)
"""
    roles = ("writes", "writes", "sweeps")
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), role]) for role in roles
    ]
    assert [p.wait() for p in running] == [0, 0, 0]
    assert not [p for p in entries(tmp_path) if p.suffix == ".tmp"]


def test_what_was_not_used_for_longest_goes_first(folder: Path) -> None:
    now = time.time()
    for i, key in enumerate(("aa1", "bb2", "cc3", "aa4")):
        store.write(key, bytes(1000))
        os.utime(folder / key[:2] / f"{key}.o", (now - 1000 * i, now - 1000 * i))
    size = (folder / "aa" / "aa1.o").stat().st_size
    store.sweep(4 * size)
    assert all(map(store.read, ("aa1", "bb2", "cc3", "aa4")))
    store.sweep(2 * size + 10)
    assert [store.read(k) is not None for k in ("aa1", "bb2", "cc3", "aa4")] == [1, 1, 0, 0]


def test_reading_counts_as_use(folder: Path) -> None:
    long_ago = time.time() - 30 * store.DAY
    for key in ("aa1", "bb2"):
        store.write(key, b"code")
        os.utime(folder / key[:2] / f"{key}.o", (long_ago, long_ago))
    assert store.read("aa1") == b"code"
    store.sweep((folder / "aa" / "aa1.o").stat().st_size)
    assert store.read("aa1") == b"code"
    assert store.read("bb2") is None


def test_what_a_killed_writer_left_is_swept(folder: Path) -> None:
    store.write("aa1", b"code")
    old, new = folder / "aa" / "old.tmp", folder / "aa" / "new.tmp"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_the_folder_is_swept_at_the_first_write_of_an_hour(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[bool] = []
    monkeypatch.setattr(store, "sweep", lambda: swept.append(True))
    store.write("aa1", b"code")
    store.write("aa2", b"code")
    store.set_folder(folder)  # another process
    store.write("aa3", b"code")
    assert swept == [True]
    os.utime(folder / "swept", (0, 0))
    store.set_folder(folder)
    store.write("aa4", b"code")
    assert swept == [True, True]


def kernel(name: str, number: int) -> str:
    f = codegen.Kernel(name, ["cells"])

    def body(chunk: codegen.Value) -> None:
        cell = f.at(f.field("cells", "ptr"), chunk, "i64")
        f.store(f.load(cell, "i64") + number, cell)

    f.each_chunk(body)
    return codegen.module([f])


def run_kernel(address: int) -> np.ndarray:
    cells = np.zeros(4, np.int64)
    words = np.array([cells.ctypes.data], np.int64)
    counter = np.zeros(1, np.int64)
    jit.KERNEL_TYPE(address)(words.ctypes.data, counter.ctypes.data, 3, 0)
    return cells


def test_deferred_functions_are_there_at_the_end(folder: Path) -> None:
    machine = features.machine()
    with jit.deferred():
        made = [jit.compile_function(kernel(f"k{i}", i), f"k{i}", machine) for i in range(5)]
        again = jit.compile_function(kernel("k3", 3), "k3", machine)
    assert again == made[3] == jit.compile_function(kernel("k3", 3), "k3", machine)
    for i, address in enumerate(made):
        np.testing.assert_array_equal(run_kernel(address), [i, i, i, 0])
        assert jit.name_of(address) == f"k{i}"
    assert len([p for p in entries(folder) if p.suffix == ".o"]) >= 5


def test_a_deferred_function_that_is_called_early_is_waited_for(folder: Path) -> None:
    with jit.deferred():
        address = jit.compile_function(kernel("early", 6), "early", features.machine())
        np.testing.assert_array_equal(run_kernel(address), [6, 6, 6, 0])
        others = [threading.Thread(target=run_kernel, args=(address,)) for _ in range(3)]
        for other in others:
            other.start()
    for other in others:
        other.join()
    np.testing.assert_array_equal(run_kernel(address), [6, 6, 6, 0])


def test_a_deferred_function_that_fails_is_reported_and_forgotten(folder: Path) -> None:
    wrong = kernel("wrong", 1).replace("ret void", "ret nonsense")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="nonsense"), jit.deferred():
            jit.compile_function(wrong, "wrong", features.machine())
            good = jit.compile_function(kernel("good", 2), "good", features.machine())
        np.testing.assert_array_equal(run_kernel(good), [2, 2, 2, 0])


def test_more_functions_than_one_table_of_jumps(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(jit, "_free_jumps", jit._free_jumps[:1])
    with jit.deferred():
        made = [
            jit.compile_function(kernel(f"many{i}", i), f"many{i}", features.machine())
            for i in range(3)
        ]
    assert [run_kernel(a)[0] for a in made] == [0, 1, 2]


def test_a_recipe_is_followed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[int] = []

    def build(machine: features.Machine, number: int) -> int:
        followed.append(number)
        return jit.compile_function(kernel("by_recipe", number), "by_recipe", machine)

    machine = features.machine()
    for _ in range(2):
        made = jit.recipe(build)
        forget(monkeypatch)
        for number in (3, 4, 3, 4):
            assert run_kernel(made(machine, number))[0] == number
    assert followed == [3, 4]
    for entry in entries(folder):
        entry.write_bytes(b"damaged")
    forget(monkeypatch)
    assert run_kernel(jit.recipe(build)(machine, 4))[0] == 4
    assert followed == [3, 4, 4]


def test_a_recipe_follows_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine, or other source files, and it is followed again."""
    followed: list[str] = []

    def build(number: int) -> int:
        followed.append("")
        return jit.compile_function(kernel("changes", number), "changes", features.machine())

    made = jit.recipe(build)
    made(1)
    try:
        features.set_vector_width(1)
        made(1)
    finally:
        features.set_vector_width(None)
    forget(monkeypatch)
    made(1)
    assert len(followed) == 2
    forget(monkeypatch)
    monkeypatch.setattr(jit, "_sources", lambda: ("another version",))
    made(1)
    assert len(followed) == 3


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process, that has only the disk."""
    for known in ("_functions", "_made"):
        monkeypatch.setattr(jit, known, {})
    monkeypatch.setattr(jit, "_noted", set())


def test_formulas_of_the_user_are_never_remembered(folder: Path, request) -> None:
    """Another formula may come under the same name, in this process or the next."""

    def compiled(factor: float) -> float:
        class Stretched(Elementwise):
            """Times a number."""

            exports = ""

            def formula(m, x):
                return x * factor

            def derivative(m, x, y):
                return factor

        try:
            step = bl.compile(lambda x: apply(Stretched, x) + 1)
            return step(bl.ones(3))[0].item()
        finally:
            del REGISTRY[Stretched.name]

    assert [compiled(f) for f in (2.0, 5.0)] == [3.0, 6.0]


def test_watched(folder: Path) -> None:
    seen: list[tuple[str, str]] = []
    jit.set_watch(lambda name, text, machine: seen.append((name, text)))
    try:
        jit.compile_function(kernel("watched", 1), "watched", features.machine())
    finally:
        jit.set_watch(None)
    assert [name for name, _ in seen] == ["watched"]
    assert "watched:" in jit.assembly(seen[0][1], features.machine())


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="levels of x86")
@pytest.mark.parametrize("level", list(features.ISAS))
def test_the_instruction_set_is_capped(level: str) -> None:
    try:
        features.set_isa(level)
        machine = features.machine()
        text = jit.assembly(kernel("capped", 1) + SUM, machine)
    finally:
        features.set_isa(None)
    assert machine.vector_bytes <= {"avx2": 32, "sse": 16, "scalar": 4}[level]
    assert "zmm" not in text
    if level != "avx2":
        assert "ymm" not in text
        assert "vadd" not in text


SUM = """
define void @sum(ptr %x) "prefer-vector-width"="512" "min-legal-vector-width"="512" {
  %a = load <16 x float>, ptr %x, align 4
  %b = fmul contract <16 x float> %a, %a
  %c = fadd contract <16 x float> %a, %b
  store <16 x float> %c, ptr %x, align 4
  ret void
}
"""


def test_an_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown level 'mmx'"):
        features.set_isa("mmx")


def test_vector_width_is_capped_and_checked() -> None:
    features.set_vector_width(4)
    try:
        assert features.machine().width("float") == 4
        assert features.machine().width("double") == 2
        with pytest.raises(ValueError, match="no vectors of 3 floats"):
            features.set_vector_width(3)
    finally:
        features.set_vector_width(None)
