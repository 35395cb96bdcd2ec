"""Checkpoints: what is kept, what is refused, and by which words."""

from __future__ import annotations

import json

import pytest

import backlit as bl
from backlit.errors import ArgumentError, CheckpointError
from backlit.train import Checkpoints


def fill(folder, scores, keep=2):
    checkpoints = Checkpoints(folder, keep=keep)
    for epoch, score in enumerate(scores, 1):
        checkpoints.save({"w": bl.tensor(epoch)}, epoch=epoch, step=10 * epoch, score=score)
    return checkpoints


def epochs(checkpoints):
    return [int(name[5:9]) for name in checkpoints.names()]


def test_the_last_and_the_best_are_kept(tmp_path):
    checkpoints = fill(tmp_path, [3.0, 1.0, 2.0, None, 5.0])
    assert epochs(checkpoints) == [2, 4, 5]
    assert checkpoints.best() == "epoch0002-step00000020"
    assert len(list(tmp_path.iterdir())) == 6
    checkpoints.save({"w": bl.tensor(6)}, epoch=6, step=60, score=0.5)
    assert epochs(checkpoints) == [5, 6]


def test_equal_scores_keep_the_earliest_and_none_is_no_score(tmp_path):
    assert epochs(fill(tmp_path / "a", [1.0, 1.0, 1.0], keep=1)) == [1, 3]
    checkpoints = fill(tmp_path / "b", [None, None, None], keep=1)
    assert epochs(checkpoints) == [3] and checkpoints.best() is None


def test_the_manifest_says_what_it_seals(tmp_path):
    fill(tmp_path, [0.5]).save({"w": bl.ones(1)}, epoch=2, step=20, summary={"data": {"batch": 3}})
    manifest = json.loads((tmp_path / "epoch0002-step00000020.json").read_text())
    assert manifest["epoch"] == 2 and manifest["step"] == 20 and manifest["data"] == {"batch": 3}
    assert len(manifest["sha256"]) == 64 and manifest["versions"]["backlit"] == bl.__version__


def test_a_damaged_one_is_refused_and_the_previous_offered(tmp_path):
    checkpoints = fill(tmp_path, [3.0, 2.0, 1.0])
    file = tmp_path / "epoch0003-step00000030.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    words = r"epoch0003-\w+ is damaged: the sha256 of .*\n  hint: the previous one is epoch0002"
    with pytest.raises(CheckpointError, match=words):
        checkpoints.load("epoch0003-step00000030")
    told: list[str] = []
    assert checkpoints.latest(told.append).state["w"].item() == 2
    assert len(told) == 1 and told[0].endswith("using epoch0002-step00000020 instead")


def test_a_manifest_of_another_save_is_noticed(tmp_path):
    fill(tmp_path, [1.0])
    seal = tmp_path / "epoch0001-step00000010.json"
    manifest = json.loads(seal.read_text())
    seal.write_text(json.dumps({**manifest, "step": 11}))
    with pytest.raises(CheckpointError, match="describes another state"):
        Checkpoints(tmp_path).load("epoch0001-step00000010")
    seal.write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        Checkpoints(tmp_path).load("epoch0001-step00000010")


def test_none_left_is_an_error_and_none_ever_is_none(tmp_path):
    assert Checkpoints(tmp_path).latest() is None
    fill(tmp_path, [1.0, 2.0])
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"(?s)no checkpoint can be used.*epoch0002.*epoch0001"
    ):
        Checkpoints(tmp_path).latest()


def test_leftovers_of_a_kill_are_swept(tmp_path):
    (tmp_path / ".backlit-0123.tmp").write_bytes(b"half")
    (tmp_path / "epoch0000-step00000000.safetensors").write_bytes(b"unsealed")
    (tmp_path / "notes.json").write_text("{}")
    checkpoints = fill(tmp_path, [1.0])
    assert epochs(checkpoints) == [1]
    assert {f.suffix for f in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert (tmp_path / "notes.json").exists() and len(list(tmp_path.iterdir())) == 3


def test_a_failed_save_leaves_the_others(tmp_path, monkeypatch):
    checkpoints = fill(tmp_path, [1.0])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(CheckpointError, match="No space left"):
            checkpoints.save({"w": bl.ones(1)}, epoch=2, step=20)
    assert epochs(checkpoints) == [1] and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ArgumentError, match="w: a function"):
        checkpoints.save({"w": fill}, epoch=2, step=20)
    assert epochs(checkpoints) == [1] and len(list(tmp_path.iterdir())) == 2


def test_keep_must_keep_one():
    with pytest.raises(ArgumentError, match="keep=0"):
        Checkpoints("nowhere", keep=0)
