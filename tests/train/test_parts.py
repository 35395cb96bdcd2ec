"""Metrics, stop rules, history, pictures and progress, each by itself."""

from __future__ import annotations

import io
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, CheckpointError, DataError, IndexOutOfRange, ShapeError
from backlit.nn import functional as F
from backlit.train import (
    Accuracy,
    ConfusionMatrix,
    EarlyStop,
    GradientNorm,
    History,
    LossPlateau,
    Mean,
    fit,
    plot_curves,
    plot_mistakes,
)
from backlit.train.progress import Bar, clock
from backlit.train.stop import gradient_norm

SCORES = bl.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.4, 0.35, 0.25]])
TRUE = bl.tensor([1, 1, 0, 0])


def test_accuracy_and_top_k():
    one, two, three = Accuracy(), Accuracy(top_k=2), Accuracy(top_k=3)
    for metric in (one, two, three):
        metric.update(SCORES[:3], TRUE[:3])
        metric.update(SCORES[3:], TRUE[3:])
    assert (one.compute(), two.compute(), three.compute()) == (0.5, 0.75, 1.0)
    one.reset()
    assert math.isnan(one.compute())


def test_accuracy_of_maps_soft_targets_and_ignored_ones():
    maps = SCORES.reshape(2, 2, 3).permute(0, 2, 1)
    metric = Accuracy()
    metric.update(maps, TRUE.reshape(2, 2))
    assert metric.compute() == 0.5
    soft = Accuracy()
    soft.update(SCORES, F.one_hot(TRUE, 3).float())
    assert soft.compute() == 0.5
    part = Accuracy(ignore_index=0)
    part.update(SCORES, TRUE)
    assert part.compute() == 0.5 and part.count == 2
    with pytest.raises(ShapeError, match=r"output \(4, 3\) does not fit target \(3,\)"):
        metric.update(SCORES, TRUE[:3])


def test_confusion_matrix():
    metric = ConfusionMatrix(3)
    metric.update(SCORES, TRUE)
    metric.update(SCORES[:1], TRUE[:1])
    assert metric.compute().tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 0]]
    with pytest.raises(IndexOutOfRange, match="class 7 of 3"):
        metric.update(SCORES[:1], bl.tensor([7]))


def test_metric_states_come_back():
    for metric, fresh in ((Accuracy(), Accuracy()), (ConfusionMatrix(3), ConfusionMatrix(3))):
        metric.update(SCORES, TRUE)
        state = metric.state_dict()
        fresh.load_state_dict(state)
        metric.update(SCORES, TRUE)
        fresh.update(SCORES, TRUE)
        assert np.array_equal(fresh.compute(), metric.compute())
    mean = Mean()
    mean.update(1.0, 2)
    mean.update(4.0)
    assert mean.compute() == 2.0 and math.isnan(Mean().compute())


def test_plateau_counts_only_what_is_in_a_row():
    rule = LossPlateau(0.1, epochs=2)
    losses = [10, 9.5, 8, 7.9, 7.8, 7.7]
    answers = [bool(rule.reason({"train_loss": x})) for x in losses]
    assert answers == [False, False, False, False, True, True]
    assert not LossPlateau(0.1).reason({"train_loss": math.inf})


def test_early_stop_needs_min_delta():
    rule = EarlyStop(2, min_delta=0.1)
    losses = [1.0, 0.95, 0.8, 0.75, 0.74]
    answers = [bool(rule.reason({"epoch": e, "val_loss": x})) for e, x in enumerate(losses, 1)]
    assert answers == [False, False, False, False, True]
    with pytest.raises(ArgumentError, match=r"no 'val_loss' to watch; there are: epoch"):
        EarlyStop(1).reason({"epoch": 1, "val_loss": None})


@pytest.mark.parametrize("make", [GradientNorm, LossPlateau, EarlyStop])
def test_rules_refuse_nonsense(make):
    with pytest.raises(ArgumentError, match="above zero"):
        make(0)
    with pytest.raises(ArgumentError, match="mode='most'"):
        EarlyStop(1, mode="most")


def test_gradient_norm_of_groups_with_and_without_decay():
    a, b = nn.Parameter(bl.tensor([3.0])), nn.Parameter(bl.tensor([1.0]))
    groups = [{"params": [a], "weight_decay": 1.0}, {"params": [b]}]
    (2 * b + 0 * a).sum().backward()
    assert gradient_norm(bl.optim.SGD(groups, lr=1)) == pytest.approx(math.hypot(3, 2))
    assert gradient_norm(bl.optim.AdamW([a, b], weight_decay=1.0)) == pytest.approx(2)


def test_history_writes_json_that_every_reader_takes(tmp_path):
    history = History([{"epoch": 1, "train_loss": math.nan, "x": np.float32(0.5)}])
    history.append({"epoch": 2, "train_loss": math.inf, "matrix": np.eye(2)})
    history.write(tmp_path / "m.jsonl")

    def no_constant(name):
        raise AssertionError(name)

    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    first, second = (json.loads(line, parse_constant=no_constant) for line in lines)
    assert first["train_loss"] is None and first["x"] == 0.5 and first["val_loss"] is None
    assert second["matrix"] == [[1, 0], [0, 1]]
    assert len(History.read(tmp_path / "m.jsonl")) == 2
    (tmp_path / "bad").write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(DataError, match="bad: line 2"):
        History.read(tmp_path / "bad")
    with pytest.raises(CheckpointError, match="can't be written"):
        history.write(tmp_path / "none" / "m.jsonl")


def test_a_history_is_a_table_in_a_notebook():
    history = History([{"epoch": 1, "train_loss": 0.712345678, "note": "<b>"}])
    history.append({"epoch": 2, "train_loss": float("nan")})
    history.stopped = "2 epochs done"
    page = history._repr_html_()
    assert re.sub(r"</?t[hdr][^>]*>|</?table>", " ", page).split() == [
        "epoch", "train_loss", "note", "1", "0.71235", "&lt;b&gt;", "2", "nan",
        "<p>2", "epochs", "done</p>",
    ]  # fmt: skip
    assert (page.count("<tr>"), page.count("<th"), page.count("<td")) == (3, 3, 6)
    assert "<td" not in History()._repr_html_()


def test_history_columns_and_best():
    history = History([{"epoch": e, "val_loss": v} for e, v in enumerate([3.0, 1.0, math.nan], 1)])
    assert history.best()["epoch"] == 2 and history.best(mode="max")["epoch"] == 1
    assert history["epoch"] == [1, 2, 3] and [row["epoch"] for row in history] == [1, 2, 3]
    with pytest.raises(KeyError, match="there are: epoch"):
        history["f1"]
    with pytest.raises(KeyError, match="no row has a number"):
        history.best("train_loss")


def png(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def test_curves_are_drawn(tmp_path):
    rows = [{"epoch": e, "train_loss": 1 / e, "val_loss": 2 / e} for e in (1, 2, 3)]
    plot_curves(History(rows), tmp_path / "loss.png")
    rows = [{**row, "val_accuracy": 0.9, "train_accuracy": math.nan} for row in rows]
    plot_curves(History(rows), tmp_path / "both.png")
    one, two = png(tmp_path / "loss.png"), png(tmp_path / "both.png")
    assert two.shape[1] > 1.5 * one.shape[1]
    blue = (one[..., 2] - one[..., 0]).max()
    assert blue > 50
    with pytest.raises(ArgumentError, match="no rows yet"):
        plot_curves(History(), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


class Says(nn.Module):
    """Answers with fixed scores."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def forward(self, x):
        return self.scores[: len(x)]


def test_mistakes_are_drawn(tmp_path):
    images = bl.rand(4, 1, 8, 8)
    count = plot_mistakes(Says(SCORES), [(images, TRUE)], tmp_path / "m.png")
    assert count == 2 and png(tmp_path / "m.png").size
    assert plot_mistakes(Says(SCORES), [(images, SCORES.argmax(1))], tmp_path / "none.png") == 0
    assert plot_mistakes(
        Says(SCORES), [(bl.rand(4, 3, 8, 8), TRUE)], tmp_path / "rgb.png", classes="abc", count=1
    )
    with pytest.raises(ArgumentError, match=r"\(2, 8, 8\), expected \(1 or 3, H, W\)"):
        plot_mistakes(Says(SCORES), [(bl.rand(4, 2, 8, 8), TRUE)], tmp_path / "two.png")


def small_fit(progress, **options):
    model = nn.Linear(3, 2)
    data = bl.data.TensorDataset(bl.randn(12, 3), bl.tensor([0, 1] * 6))
    loader = bl.data.DataLoader(data, 4)
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)
    return fit(
        model, loader, loss=F.cross_entropy, optimizer=optimizer, epochs=2, val_data=loader,
        metrics=["accuracy"], progress=progress, **options,
    )  # fmt: skip


def test_lines_are_one_per_epoch(capsys):
    small_fit("lines")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1/2  train loss ")
    assert "val accuracy" in lines[1] and " %" in lines[1]
    small_fit(False)
    assert capsys.readouterr().out == ""


def test_the_bar_shows_loss_accuracy_speed_and_time_left(monkeypatch):
    from rich.console import Console

    monkeypatch.setattr("backlit.train.progress.FLUSH_SECONDS", 0.0)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, highlight=False)
    small_fit(Bar("images", console))
    shown = screen.getvalue()
    for words in ("epoch 2/2", "loss ", "accuracy ", "images/s", "left", "3/3"):
        assert words in shown


def test_clock():
    assert [clock(s) for s in (7.24, 65, 3725)] == ["7.2 s", "1:05", "1:02:05"]
