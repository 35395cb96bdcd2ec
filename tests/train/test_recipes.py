"""Every recipe, shortly: what a run leaves, what it says, what its pictures show."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import backlit as bl
from backlit import models, nn
from backlit.cli import app
from backlit.data.skeleton import BONES
from backlit.errors import ArgumentError, TrainingInterrupted
from backlit.train import recipes
from backlit.train.progress import Progress
from backlit.train.recipe import Recipe, Settings, parts, start, train_recipe
from backlit.train.recipes import characters, pen_digits, skeleton
from backlit.train.run_folders import read_settings, settings_from_text

# What makes a smoke test shorter, where there is something.
LESS = {"characters": ["--depth", "1", "--width", "32", "--written", "20"]}


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.setattr("backlit.config.flags.data", "")


def backlit(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def smoke_settings(name: str, **given: str):
    recipe = recipes.find(name)
    return recipe, settings_from_text(recipe, {"smoke": "true", "epochs": "1", **given})


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_smoke_run_leaves_its_files_and_resumes(name: str, tmp_path: Path) -> None:
    recipe = recipes.find(name)
    words = ["train", name, "--smoke", *LESS.get(name, []), "--runs", tmp_path, "--seed", 3]
    code, output = backlit(*words)
    assert code == 0, output
    folder = tmp_path / name
    kept = {"config.json", "metrics.jsonl", "checkpoints"}
    assert {file.name for file in folder.iterdir()} == kept | set(recipe.files())
    (row,) = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert math.isfinite(row["train_loss"]) and math.isfinite(row[recipe.score])
    assert recipe.says.format(part=recipe.part, **row) in output
    for file in recipe.files():
        if file.endswith(".png"):
            assert np.asarray(Image.open(folder / file).convert("L")).std() > 1
    assert "nothing to do" in backlit("train", "--resume", name, "--runs", tmp_path)[1]
    before = {file: (folder / file).read_bytes() for file in recipe.files()}
    for file in recipe.files():
        (folder / file).unlink()
    assert backlit("train", "--resume", name, "--runs", tmp_path)[0] == 0
    assert {file: (folder / file).read_bytes() for file in recipe.files()} == before


@pytest.mark.parametrize("name", recipes.NAMES)
def test_what_a_recipe_promises(name: str) -> None:
    recipe = recipes.find(name)
    assert recipe.name == name and recipe.minutes > 0 and recipe.title and recipe.data
    assert any(digit.isdigit() for digit in recipe.expects)
    with pytest.raises(ArgumentError, match=f"{name} has no setting --speed"):
        settings_from_text(recipe, {"speed": "9"})
    code, output = backlit("recipes", name)
    listed = {line.split()[0] for line in output.splitlines() if line.startswith("--")}
    assert code == 0
    assert listed == {f"--{f.name.replace('_', '-')}" for f in fields(recipe.settings)}


def test_the_page_of_recipes_has_them_all() -> None:
    page = Path(__file__).parents[2] / "docs" / "recipes.md"
    rows = {line.split("](")[0][3:] for line in page.read_text().splitlines() if "| [" in line}
    assert rows == set(recipes.NAMES)


def test_the_table_lists_all() -> None:
    code, output = backlit("recipes")
    firsts = {line.split(" ")[0] for line in output.splitlines()}
    assert code == 0 and set(recipes.NAMES) <= firsts


class StopAfter(Progress):
    """Ctrl-C when so many epochs are done."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def row(self, run, row) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def test_random_views_go_on_where_an_interrupted_run_stopped(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("backlit.config.flags.compile", False)  # three trainings, seconds less
    recipe, settings = smoke_settings("pen-digits", epochs="3")
    whole = train_recipe(recipe, settings, made(tmp_path / "whole"))
    with pytest.raises(TrainingInterrupted):
        train_recipe(recipe, settings, made(tmp_path / "cut"), progress=StopAfter(1))
    resumed = train_recipe(recipe, settings, tmp_path / "cut", resume=True)
    name = "model.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert [r["train_loss"] for r in resumed] == [r["train_loss"] for r in whole]


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", ["pen-digits", "hand-movements", "skeleton", "nuclei"])
def test_data_that_is_nowhere_says_where_it_comes_from(name: str, tmp_path: Path) -> None:
    code, output = backlit("train", name, "--runs", tmp_path / "runs")
    assert code == 1 and "BACKLIT_DATA" in output and "--data" in output
    assert any(site in output for site in ("archive.ics.uci.edu", "github.com"))
    assert not any((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("name", "model"),
    [("pen-digits", "fly"), ("hand-movements", "conv3d"), ("skeleton", "fly"), ("adding", "fly")],
)
def test_a_model_that_is_none_is_refused(name: str, model: str) -> None:
    recipe, settings = smoke_settings(name, model=model)
    with pytest.raises(ArgumentError, match=f"'{model}'"):
        start(recipe, settings)


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "attention", "conv3d"])
def test_skeletons_are_read_up_to_their_lengths(model: str) -> None:
    recipe, settings = smoke_settings("skeleton", model=model, hidden="16")
    net = start(recipe, settings).model.eval()
    bl.manual_seed(0)
    poses, lengths = bl.randn(4, 20, 15, 2), bl.tensor([20, 15, 9, 1])
    # Two convolutions over three frames read two frames on.
    beyond = bl.arange(20) >= (lengths.unsqueeze(1) + 2)
    changed = poses.masked_fill(beyond.reshape(4, 20, 1, 1), 7.0)
    assert bl.allclose(net(poses, lengths), net(changed, lengths), atol=1e-5)
    assert not bl.allclose(net(poses, lengths), net(-poses, lengths), rtol=1e-3, atol=0.0)


def test_pose_features_are_places_steps_and_distances() -> None:
    bl.manual_seed(0)
    poses, lengths = bl.randn(2, 4, 15, 2), bl.tensor([4, 2])
    found = skeleton.pose_features(poses, lengths).numpy()
    p = poses.numpy()
    assert found.shape == (2, 4, 60 + 105)
    np.testing.assert_array_equal(found[..., :30], p.reshape(2, 4, 30))
    steps = found[..., 30:60].reshape(2, 4, 15, 2)
    np.testing.assert_allclose(steps[0, 1:], 5 * np.diff(p[0], axis=0), rtol=1e-5)
    assert not steps[:, 0].any() and not steps[1, 2:].any()
    pairs = [(a, b) for a in range(15) for b in range(a)]
    distances = [np.linalg.norm(p[0, 3, a] - p[0, 3, b]) for a, b in pairs]
    np.testing.assert_allclose(found[0, 3, 60:], distances, atol=1e-4)


def test_a_spot_is_where_its_joint_is() -> None:
    poses = bl.zeros(1, 5, 15, 2)
    poses[0, :, 3, 0] = bl.linspace(-1.2, 1.2, 5)  # from left to right
    poses[0, :, 4, 1] = 0.6
    images = skeleton.spots(poses, bl.tensor([5]), frames=5, side=17).numpy()[0]
    assert images.shape == (15, 5, 17, 17)
    for frame in range(5):
        assert np.unravel_index(images[3, frame].argmax(), (17, 17)) == (8, 4 * frame)
        assert np.unravel_index(images[4, frame].argmax(), (17, 17)) == (12, 8)
    halved = skeleton.spots(poses, bl.tensor([3]), frames=5, side=17).numpy()[0]
    assert np.unravel_index(halved[3, 4].argmax(), (17, 17)) == (8, 8)  # ends at its third frame


def test_a_plain_text_is_learned_from_and_written(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text("to be or not to be. " * 60)
    recipe = recipes.find("characters")
    given = {"data": str(tmp_path), "context": "8", "width": "32", "depth": "1", "heads": "2",
             "epochs": "4", "batch_size": "8", "lr": "0.01", "written": "60"}  # fmt: skip
    history = train_recipe(recipe, settings_from_text(recipe, given), made(tmp_path / "run"))
    last = history.rows[-1]
    assert last["val_perplexity"] == math.exp(last["val_loss"]) < 4
    text = (tmp_path / "run" / "samples.txt").read_text()
    assert text.count("----- temperature") == len(characters.TEMPERATURES)
    assert "to be" in text


def test_gradients_by_step_are_those_of_each_sequence() -> None:
    from backlit.train.recipes.adding import gradient_by_step

    class Weighted(nn.Module):
        def forward(self, x):
            return (x * bl.arange(1.0, 6.0).reshape(5, 1)).sum((1, 2)).unsqueeze(1)

    found = gradient_by_step(Weighted(), bl.rand(3, 5, 2))
    np.testing.assert_allclose(found, [math.sqrt(2) * step for step in range(1, 6)], rtol=1e-6)


def test_wrong_curves_and_clips_are_drawn_and_counted(tmp_path: Path) -> None:
    class First(nn.Module):
        """Takes everything for the first class."""

        def forward(self, *inputs):
            return bl.tensor([[1.0, 0.0]]).expand(len(inputs[0]), -1)

    labels = bl.tensor([0, 1, 1, 1])
    curves, poses = bl.rand(4, 9, 2), bl.rand(4, 7, 15, 2)
    net = First().train()
    drawn = bl.train.plot_trajectories(
        net, [(curves, labels)], tmp_path / "curves.png", classes="ab", y_down=True
    )
    lengths = bl.tensor([7, 7, 1, 3])
    clips = bl.train.plot_clips(
        net, [(poses, lengths, labels)], tmp_path / "clips.png", classes="ab", bones=BONES
    )
    assert drawn == clips == 3 and net.training
    none = bl.train.plot_trajectories(
        net, [(curves, labels * 0)], tmp_path / "none.png", classes="ab"
    )
    assert none == 0
    for name in ("curves", "clips"):
        ink = np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")) < 250
        empty = np.asarray(Image.open(tmp_path / "none.png").convert("L")) < 250
        assert ink.sum() > 2 * empty.sum()


def test_shipped_samples_are_parts_of_the_real_rows() -> None:
    digits = [pen_digits.PenDigits(pen_digits.SAMPLE, train=part) for part in (True, False)]
    counts = [np.bincount(part.labels.numpy()).tolist() for part in digits]
    assert counts == [[40] * 10, [10] * 10]


def test_a_recipe_counts_what_a_run_ends_with() -> None:
    kept = bl.train.History([{"epoch": 1, "val_loss": 0.3}, {"epoch": 2, "val_loss": 0.5}])
    recipe = Recipe("x", "x", "x", "1", 1, Settings, object, score="val_loss",
                    says="{val_loss} on the {part} part", part="held-out")  # fmt: skip
    assert recipe.result(kept) == 0.5 and math.isnan(recipe.result(bl.train.History()))
    assert recipe.said(Settings(), kept) == "0.5 on the held-out part"
    assert recipe.said(Settings(validation=0.1), kept) == "0.5 on the validation part"
    assert recipe.said(Settings(smoke=True), kept).startswith("smoke test, on little data: 0.5")


def samples(loader: Any) -> Counter[bytes]:
    """All inputs that a loader gives, as bytes."""
    return Counter(row.numpy().tobytes() for inputs, *_ in loader for row in inputs)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_a_validation_part_is_taken_from_the_training_part(name: str, monkeypatch) -> None:
    read: list[bool] = []

    def noted(settings, reader, shuffle=True):
        def reads(settings, train):
            read.append(train)
            return reader(settings, train)

        return parts(settings, reads, shuffle)

    recipe, settings = smoke_settings(name, validation="0.3")
    module = sys.modules[recipe.prepare.__module__]
    monkeypatch.setattr(module, "parts", noted)
    job = start(recipe, settings)
    assert read == [True]  # the test part was not touched
    held_out = samples(job.val_data)
    read.clear()
    whole = start(recipe, replace(settings, validation=0.0))
    assert read == [True, False]
    size = len(job.train_data.dataset) + held_out.total()
    assert size == len(whole.train_data.dataset)
    assert not held_out & samples(whole.val_data)
    assert 0.2 < held_out.total() / size < 0.4
    again = start(recipe, replace(settings, seed=5))
    if name not in ("adding", "skeleton"):  # whose smoke data are drawn from the seed
        assert samples(again.val_data) == held_out


@pytest.mark.parametrize("share", ["1", "1.5", "nan", "-0.1", "half"])
def test_a_validation_share_that_is_none_is_refused(share: str, tmp_path: Path) -> None:
    code, output = backlit("train", "digits", "--validation", share, "--runs", tmp_path / "runs")
    assert code == 2 and "--validation" in output and not (tmp_path / "runs").exists()


def test_a_run_with_a_validation_part_says_so(tmp_path: Path) -> None:
    words = ["train", "pen-digits", "--smoke", "--validation", "0.2", "--runs", tmp_path]
    code, output = backlit(*words)
    assert code == 0 and "of the validation digits are right" in output
    config = json.loads((tmp_path / "pen-digits" / "config.json").read_text())
    assert config["validation"] == 0.2
    del config["validation"]  # as runs of earlier versions are
    (tmp_path / "pen-digits" / "config.json").write_text(json.dumps(config))
    assert read_settings(tmp_path / "pen-digits", {})[1].validation == 0.0


@pytest.mark.parametrize("name", ["resnet20", "densenet"])
def test_pictures_are_scored_with_their_mirror_images(name: str) -> None:
    job = start(*smoke_settings("cifar10", model=name))
    alone = models.resnet20() if name == "resnet20" else models.DenseNet(40, 12, bottleneck=True)
    alone.load_state_dict(job.model.state_dict())
    images = next(iter(job.val_data))[0][:4]
    plain, mirrored = alone.eval()(images), alone(images.flip(-1))
    assert not bl.equal(plain, mirrored)
    assert bl.equal(job.model.eval()(images), (plain + mirrored) / 2)
    assert bl.equal(job.model.train()(images), alone.train()(images))
