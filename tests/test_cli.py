"""The `backlit` command as people run it: files, exit codes, errors, kill and resume."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from typer.testing import CliRunner

import backlit as bl
from backlit.cli import app
from backlit.files import sole_writer
from backlit.train import checkpoint, recipes, run_folders
from backlit.train.sweep.records import Plan, new_sweep

FILES = {
    "config.json", "metrics.jsonl", "checkpoints", "model.safetensors", "curves.png",
    "mistakes.png",
}  # fmt: skip


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """A folder in MNIST's layout with 100 digits to train on and 60 held out."""
    folder = tmp_path_factory.mktemp("few")
    shipped = bl.data.digits("val")
    images = np.round(shipped.images.numpy()[:, 0] * 255).astype(np.uint8)
    labels = shipped.labels.numpy().astype(np.uint8)
    for name, part in (("train", slice(0, 100)), ("t10k", slice(100, 160))):
        bl.data.write_idx(folder / f"{name}-images-idx3-ubyte", images[part])
        bl.data.write_idx(folder / f"{name}-labels-idx1-ubyte", labels[part])
    return folder


def backlit(*words, cwd=None):
    """The command in this process: its exit code, and everything it printed."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def new_run(runs, name):
    """The folder of a run of digits that was never trained."""
    digits = recipes.find("digits")
    return run_folders.new_run(runs, name, digits, digits.settings())


def command(*words):
    return [sys.executable, "-W", "error", "-m", "backlit", *map(str, words)]


def rows(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in found]


@pytest.fixture(scope="session")
def finished(few, tmp_path_factory):
    """A finished run and the arguments it was started with."""
    runs = tmp_path_factory.mktemp("runs")
    words = ["train", "--data", few, "--epochs", 3, "--batch-size", 20, "--lr", 0.01, "--seed", 5]
    code, output = backlit(*words, "--runs", runs, "--name", "first")
    assert code == 0, output
    return words, runs / "first", output


def test_a_run_leaves_its_files(finished):
    _, folder, output = finished
    assert {f.name for f in folder.iterdir()} == FILES
    assert "% of the held-out digits are right after 3 epochs" in output
    assert [list(row)[:4] for row in rows(folder)] == [
        ["epoch", "train_loss", "val_loss", "val_accuracy"]
    ] * 3
    config = json.loads((folder / "config.json").read_text())
    assert config["epochs"] == 3 and config["lr"] == 0.01 and config["seed"] == 5
    model = bl.models.LeNet()
    model.load_state_dict(bl.load(folder / "model.safetensors"))
    assert rows(folder)[-1]["train_loss"] < rows(folder)[0]["train_loss"]


def test_the_same_seed_gives_the_same_bits_and_a_taken_name_a_number(finished):
    words, folder, _ = finished
    code, output = backlit(*words, "--runs", folder.parent, "--name", "first")
    assert code == 0 and "first-2" in output
    again = folder.parent / "first-2"
    for file in ("model.safetensors", "mistakes.png"):
        assert (again / file).read_bytes() == (folder / file).read_bytes()
    assert rows(again) == rows(folder)
    assert new_run(folder.parent, "first").name == "first-3"


def test_resume_after_completion(finished):
    _, folder, _ = finished
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    code, output = backlit("train", "--resume", "first", "--runs", folder.parent)
    assert code == 0 and "nothing to do" in output
    assert before == {f: f.stat().st_mtime_ns for f in folder.rglob("*")}


def test_what_is_missing_at_the_end_is_made_again(finished, tmp_path):
    words = finished[0]
    code, _ = backlit(*words, "--runs", tmp_path)
    whole = (tmp_path / "digits" / "model.safetensors").read_bytes()
    for name in ("model.safetensors", "mistakes.png"):
        (tmp_path / "digits" / name).unlink()
    assert code == 0 and backlit("train", "--resume", "--runs", tmp_path)[0] == 0
    assert {f.name for f in (tmp_path / "digits").iterdir()} == FILES
    assert (tmp_path / "digits" / "model.safetensors").read_bytes() == whole


def start(words, runs, lines):
    """The command in a process of its own, and what it printed until `lines` epochs were done."""
    process = subprocess.Popen(
        command(*words, "--runs", runs, "--name", "x"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = 0
    while seen < lines:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        seen += line.startswith("epoch")
    return process


def test_killed_and_resumed_is_bit_equal(finished, tmp_path):
    words, folder, _ = finished
    process = start(words, tmp_path, 1)
    process.kill()
    process.communicate()
    done = subprocess.run(
        command("train", "--resume", "--runs", tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    resumed = tmp_path / "x"
    assert (resumed / "model.safetensors").read_bytes() == (
        folder / "model.safetensors"
    ).read_bytes()
    assert rows(resumed) == rows(folder) and {f.name for f in resumed.iterdir()} == FILES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_says_how_to_resume(finished, tmp_path, number):
    words = finished[0]
    longer = [*words[:4], 300, *words[5:], "--threads", 1]
    process = start(longer, tmp_path, 1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "saved" in err and "Traceback" not in err
    assert f"go on with: backlit train --resume x --runs {tmp_path}" in err
    lines = (tmp_path / "x" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert json.loads((tmp_path / "x" / "config.json").read_text())["threads"] == 1


def test_errors_are_one_line_and_a_hint(tmp_path, few, finished):
    code, output = backlit("train", "--data", tmp_path / "none", "--runs", tmp_path / "a")
    assert code == 1 and "none: no such folder" in output and "Traceback" not in output
    assert list((tmp_path / "a").iterdir()) == []  # what never started leaves no run behind
    code, output = backlit("train", "--resume", "--runs", tmp_path / "b")
    assert code == 1 and "there is no run" in output and "hint" in output
    _, folder, _ = finished
    code, output = backlit("train", "--resume", "other", "--runs", folder.parent)
    assert code == 1 and "no run 'other'" in output and "there are: first" in output
    code, output = backlit("train", "--resume", "first", "--lr", 1, "--runs", folder.parent)
    assert code == 2 and "--lr 1.0 differs from the 0.01 of the run first" in output
    (tmp_path / "file").write_text("")
    code, output = backlit("train", "--data", few, "--runs", tmp_path / "file")
    assert code == 1 and "can't be written" in output
    code, output = backlit("train", "--name", "../x", "--runs", tmp_path / "a")
    assert code == 1 and "can't be a run's name" in output


def test_a_disk_too_full_for_the_last_checkpoint_leaves_the_weights(few, tmp_path, monkeypatch):
    real = checkpoint._write_state

    def full(path, state):
        if state["checkpoint"]["epoch"]:
            raise OSError(28, "No space left on device")
        return real(path, state)

    monkeypatch.setattr(checkpoint, "_write_state", full)
    words = ["train", "--data", few, "--epochs", 2, "--runs", tmp_path, "--name", "x"]
    code, output = backlit(*words)
    assert code == 1 and "No space left" in output and "the weights alone are in" in output
    weights = bl.load(tmp_path / "x" / "model.safetensors")
    bl.models.LeNet().load_state_dict(weights)
    monkeypatch.undo()
    code, output = backlit("train", "--resume", "--runs", tmp_path)
    assert code == 0 and "resumed from epoch0000-step00000000" in output
    again = bl.load(tmp_path / "x" / "model.safetensors")
    assert all(bl.equal(again[name], value) for name, value in weights.items())


def test_the_flag_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("backlit.config.flags.traceback", True)
    words = ["train", "--resume", "--runs", str(tmp_path)]
    assert isinstance(CliRunner().invoke(app, words).exception, bl.errors.CheckpointError)


def test_damaged_config_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "config.json").write_text('{"epochs": 3}')
    code, output = backlit("train", "--resume", "--runs", tmp_path)
    assert code == 1 and "config.json is damaged" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--epochs", "0"], "--epochs 0: expected a whole number of at least 1"),
        (["train", "--lr", "x"], "--lr x: expected a number, not below 0"),
        (["train", "--lr", "-0.1"], "--lr -0.1: expected a number, not below 0"),
        (["train", "--lr", "inf"], "--lr inf: expected a number, not below 0"),
        (["train", "--lr", "nan"], "--lr nan: expected a number, not below 0"),
        (["train", "--smoke=perhaps"], "does not take a"),
        (["train", "fly"], "there is no recipe 'fly'"),
        (["train", "digits", "--speed", "9"], "digits has no setting --speed"),
        (["train", "--speed"], "--speed needs a value"),
        (["train", "digits", "mnist"], "one recipe at a time, got digits mnist"),
        (["train", "--resume", "--name", "x"], "write --resume NAME"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_wrong_usage_is_exit_code_two(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = backlit(*words)
    assert code == 2 and said in output
    assert not any(tmp_path.iterdir())


def test_version_and_help():
    assert backlit("version") == (0, f"{bl.__version__}\n")
    code, output = backlit("train", "--help")
    words = " ".join(output.replace("│", " ").split())
    assert code == 0 and "--resume" in words
    code, output = backlit("recipes", "digits")
    lines = [line.split() for line in output.splitlines()]
    assert code == 0 and "LeNet" in output
    for name, default in asdict(recipes.find("digits").settings()).items():
        assert [f"--{name.replace('_', '-')}", str(default)] in lines


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from backlit.cli import main; sys.argv = ['backlit', 'train', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'matplotlib', 'llvmlite', 'PIL', 'scipy', 'backlit.train', 'ml_dtypes'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_a_run_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    def refuse(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_folders, "atomic_write", refuse)
    code, output = backlit("train", "--runs", tmp_path)
    assert code == 1 and "No space left on device" in output
    assert not any(tmp_path.iterdir())


def test_a_run_killed_at_its_making_is_no_run(tmp_path):
    (tmp_path / ".new-0").mkdir()
    (tmp_path / ".new-0" / "config.json").write_text("{}")
    code, output = backlit("train", "--resume", "--runs", tmp_path)
    assert code == 1 and "there is no run in" in output


def test_a_folder_in_use_is_left_alone(tmp_path):
    """Nothing of it is written or removed by a second command."""
    run = new_run(tmp_path, "x")
    with sole_writer(run):
        code, output = backlit("train", "--resume", "--runs", tmp_path)
    assert code == 1 and "x is in use: another training writes there" in output
    plan = Plan(recipes.find("digits"), {"smoke": "true"}, ("lr=0.001..0.01",))
    sweep = new_sweep(tmp_path, "y", plan).folder
    with sole_writer(sweep):
        code, output = backlit("sweep", "--resume", "--sweeps", tmp_path)
    assert code == 1 and "y is in use: another training writes there" in output
    assert [[f.name for f in folder.iterdir()] for folder in (run, sweep)] == [
        ["config.json"], ["sweep.json"]
    ]  # fmt: skip


def test_newest_run_is_the_one_resumed(tmp_path):
    for number, name in enumerate("abc"):
        folder = new_run(tmp_path, name)
        os.utime(folder, (number, number) if name != "b" else (9e9, 9e9))
    assert run_folders.find_run(tmp_path, None).name == "b"
