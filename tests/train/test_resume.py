"""A training killed at any moment and resumed ends bit-equal to one never interrupted."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("child.py")


def run_child(folder: Path, die_at: int = 0) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", str(CHILD), str(folder), str(die_at)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def result(process: subprocess.CompletedProcess) -> dict:
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.rpartition("END ")[2])


def metrics(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    found = result(run_child(folder))
    assert [row["epoch"] for row in found["rows"]] == [1, 2, 3]
    assert metrics(folder) == found["rows"]
    return found, (folder / "model.safetensors").read_bytes()


def check_same(folder: Path, uninterrupted, done=None) -> None:
    """The run in the folder, gone on with unless it is done, ends as the whole one."""
    whole, weights = uninterrupted
    resumed = result(done or run_child(folder))
    assert (folder / "model.safetensors").read_bytes() == weights
    assert resumed["rows"] == whole["rows"] == metrics(folder)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_two_moments(tmp_path, uninterrupted, seed):
    moments = uninterrupted[0]["moments"]
    rng = random.Random(seed)
    # The first falls on any step or change of a file, the second early in what is left.
    for die_at in (rng.randrange(2, moments), rng.randrange(2, 12)):
        died = run_child(tmp_path, die_at)
        assert died.returncode in (-signal.SIGKILL, 0), died.stderr
    check_same(tmp_path, uninterrupted)


def test_killed_within_one_save(tmp_path, uninterrupted):
    """Some moments of the first save in the middle of an epoch."""
    for die_at in (16, 18, 20, 22):
        folder = tmp_path / str(die_at)
        assert run_child(folder, die_at).returncode == -signal.SIGKILL
        check_same(folder, uninterrupted)


def test_killed_by_the_clock(tmp_path, uninterrupted):
    for _ in range(2):
        command = [sys.executable, str(CHILD), str(tmp_path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        while not (tmp_path / "metrics.jsonl").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.Random().random() * 0.05)
        process.kill()
        process.communicate()
    check_same(tmp_path, uninterrupted)


def test_a_script_that_is_interrupted_exits_with_130(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(CHILD.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130
    assert "Ctrl-C in epoch 1 after step 3; saved" in done.stderr
    assert "resume=True goes on" in done.stderr and "Traceback" not in done.stderr


SCRIPT = """
import os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
import child
child.EachStep.on_batch = lambda self, run: (
    run.position.step == 3 and os.kill(os.getpid(), signal.SIGINT)
)
child.train(pathlib.Path(sys.argv[2]), resume=False)
"""


def newest(folder: Path) -> Path:
    return max((folder / "checkpoints").glob("*.json")).with_suffix("")


def truncate(stem: Path) -> str:
    tensors = stem.with_suffix(".safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-7])
    return "bytes instead of"


def flip(stem: Path) -> str:
    tensors = stem.with_suffix(".safetensors")
    raw = bytearray(tensors.read_bytes())
    raw[len(raw) // 2] ^= 4
    tensors.write_bytes(raw)
    return "sha256"


def lose_manifest(stem: Path) -> str:
    stem.with_suffix(".json").unlink()
    return "has no manifest"


def lose_tensors(stem: Path) -> str:
    stem.with_suffix(".safetensors").unlink()
    return "is missing"


def break_manifest(stem: Path) -> str:
    stem.with_suffix(".json").write_text("{")
    return "manifest .* is corrupt"


@pytest.mark.parametrize("damage", [truncate, flip, lose_manifest, lose_tensors, break_manifest])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(tmp_path, uninterrupted, damage):
    whole = uninterrupted[0]
    assert run_child(tmp_path, whole["moments"] * 2 // 3).returncode == -signal.SIGKILL
    stem = newest(tmp_path)
    words = damage(stem)
    done = run_child(tmp_path)
    assert re.search(f"checkpoint {stem.name} is damaged: .*{words}.*; using", done.stdout)
    check_same(tmp_path, uninterrupted, done)
