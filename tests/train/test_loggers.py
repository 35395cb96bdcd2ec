"""CSV, JSON Lines and event files: what fit measured is what a reader finds, also after a resume.

Event files are read back by the package `tensorboard`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.util.tensor_util import make_ndarray

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ArgumentTypeError, CheckpointError, NotAvailable
from backlit.train import Callback, CSVLogger, History, JSONLogger, TensorBoardLogger, fit
from backlit.utils.tensorboard import SummaryWriter
from backlit.utils.tensorboard.records import crc32c


def events(folder):
    """Every event of a folder's files, in order, behind the version."""
    found = []
    for name in sorted(os.listdir(folder)):
        if name.startswith("events"):
            first, *rest = LegacyEventFileLoader(os.path.join(folder, name)).Load()
            assert first.file_version == "brain.Event:2"
            found += rest
    return found


def values(folder):
    """(tag, step, value) of what was logged."""
    return [(v.tag, e.step, v) for e in events(folder) for v in e.summary.value]


def accumulated(folder):
    made = EventAccumulator(str(folder), {"images": 0, "histograms": 0, "tensors": 0, "scalars": 0})
    made.Reload()
    return made


# ----- the writer -----


def test_scalars_of_every_kind(tmp_path):
    half, leaf = bl.tensor(0.5, dtype=bl.bfloat16), bl.tensor([[5.0]], requires_grad=True)
    numbers = [1, 1.5, True, np.float64(-2), np.array([3.0]), bl.tensor(4.0), math.inf, leaf, half]
    with SummaryWriter(tmp_path) as writer:
        for step, number in enumerate(numbers):
            writer.add_scalar("a/b", number, step, walltime=100.0 + step)
        writer.add_scalar("nan", float("nan"))
    *found, (tag, step, last) = values(tmp_path)
    assert [(t, s, v.simple_value) for t, s, v in found] == [
        ("a/b", i, v) for i, v in enumerate([1, 1.5, 1, -2, 3, 4, math.inf, 5, 0.5])
    ]
    assert (tag, step) == ("nan", 0) and math.isnan(last.simple_value)
    assert [e.wall_time for e in events(tmp_path)][:2] == [100, 101]


def test_steps_and_exact_numbers(tmp_path):
    third = 1 / 3
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("x", third, 2**40)
        writer.add_scalar("x", third, -1, double_precision=True)
        writer.add_scalar("x", 1e300, bl.tensor(7))
    (_, first, single), (_, second, exact), (_, third_step, large) = values(tmp_path)
    assert (first, second, third_step) == (2**40, -1, 7)
    assert single.simple_value == np.float32(third) and large.simple_value == math.inf
    assert make_ndarray(exact.tensor) == third and make_ndarray(exact.tensor).shape == ()
    assert exact.metadata.plugin_data.plugin_name == "scalars"


def test_texts(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "ä *word*\n" * 50, 3)
    ((tag, step, found),) = values(tmp_path)
    assert (tag, step) == ("note/text_summary", 3)
    assert make_ndarray(found.tensor).tolist() == [("ä *word*\n" * 50).encode()]
    assert found.metadata.plugin_data.plugin_name == "text"


def pixels(found):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(found.image.encoded_image_string)))


def test_images_in_every_layout(tmp_path):
    grey, colour = np.random.default_rng(0).random((4, 5)), np.zeros((3, 4, 5), np.uint8)
    colour[0], colour[1, 2, 3] = 200, 7
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("hw", grey, dataformats="HW")
        writer.add_image("chw", bl.tensor(grey)[None])
        writer.add_image("hwc", grey[..., None], dataformats="hwc")
        writer.add_image("colour", colour)
        writer.add_images("batch", bl.tensor(np.stack([colour] * 9)))
        writer.add_image("clipped", np.array([[[-1.0, 2.0, float("nan")]]]))
    found = {tag: v for tag, _, v in values(tmp_path)}
    for tag in ("hw", "chw", "hwc"):
        assert np.array_equal(pixels(found[tag]), (grey * 255).astype(np.uint8))
        assert found[tag].image.colorspace == 1
    assert np.array_equal(pixels(found["colour"]), colour.transpose(1, 2, 0))
    grid = pixels(found["batch"])
    assert grid.shape == (8, 40, 3) == (found["batch"].image.height, found["batch"].image.width, 3)
    assert np.array_equal(grid[4:, :5], colour.transpose(1, 2, 0)) and not grid[4:, 5:].any()
    assert pixels(found["clipped"]).tolist() == [[0, 255, 0]]


def test_figures(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    figure.add_subplot().plot([1, 2, 3])
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("one", figure, 1)
        writer.add_figure("two", [figure, figure], 1)
    (_, _, one), (_, _, two) = values(tmp_path)
    assert pixels(one).shape == (50, 100, 4) and pixels(two).shape == (50, 200, 4)
    assert len(np.unique(pixels(one))) > 10


def test_histograms_keep_count_and_moments(tmp_path):
    data = np.random.default_rng(0).normal(size=1000)
    data[:2] = np.nan, 0.0
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("h", bl.tensor(data), 1)
        writer.add_histogram("auto", data[1:], 1, bins="auto")
        writer.add_histogram("few", data, 1, max_bins=5)
        writer.add_histogram("flat", bl.full((3,), 2.0), 1, bins=4)
        writer.add_histogram("far", [-1e30, 1e30])
    good = data[1:]
    for tag, _, v in values(tmp_path)[:3]:
        h = v.histo
        assert (h.num, h.min, h.max) == (999, good.min(), good.max())
        assert h.sum == pytest.approx(good.sum()) and h.sum_squares == pytest.approx(
            (good**2).sum()
        )
        assert sum(h.bucket) == 999 and len(h.bucket) == len(h.bucket_limit)
        limits = np.array(h.bucket_limit)
        assert (np.diff(limits) > 0).all()
        expected = np.histogram(good, limits)[0]
        assert h.bucket[0] == 0 and (np.abs(np.array(h.bucket[1:]) - expected) <= 1).all()
        assert tag != "few" or len(h.bucket) <= 6
    flat, far = (v.histo for _, _, v in values(tmp_path)[3:])
    assert sum(flat.bucket) == 3 and sum(far.bucket) == 2 and far.max == 1e30


def test_tensorboard_itself_reads_it(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in range(3):
            writer.add_scalar("loss", 1 / (step + 1), step)
        writer.add_histogram("h", np.arange(9.0), 1)
        writer.add_image("i", np.ones((1, 2, 3)), 1)
    found = accumulated(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [
        (0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]  # fmt: skip
    assert found.Histograms("h")[0].histogram_value.num == 9
    assert (found.Images("i")[0].height, found.Images("i")[0].width) == (2, 3)


def test_several_numbers_in_one_chart(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("loss/all", {"train": 1.0, "val": 2.0}, 4)
        writer.add_scalars("loss/all", {"train": 0.5}, 5)
    found = values(tmp_path / "loss_all_train")
    assert [(t, s, v.simple_value) for t, s, v in found] == [
        ("loss/all", 4, 1),
        ("loss/all", 5, 0.5),
    ]
    assert [v.simple_value for _, _, v in values(tmp_path / "loss_all_val")] == [2]


def test_what_waits_is_written_in_time(tmp_path, monkeypatch):
    writer = SummaryWriter(tmp_path / "a" / "b", max_queue=3, filename_suffix=".mine")
    assert writer.get_logdir() == str(tmp_path / "a" / "b")
    for step in range(3):
        writer.add_scalar("x", step, step)
    assert len(values(tmp_path / "a" / "b")) == 0
    writer.add_scalar("x", 3, 3)
    assert len(values(tmp_path / "a" / "b")) == 4
    writer.add_scalar("x", 4, 4)
    writer.flush()
    assert len(values(tmp_path / "a" / "b")) == 5
    writer.flush_secs = 0
    writer.add_scalar("x", 5, 5)
    assert len(values(tmp_path / "a" / "b")) == 6
    writer.flush_secs = 100
    writer.close()
    writer.close()
    writer.add_scalar("x", 6, 6)  # into a new file, as in PyTorch
    writer.close()
    assert len(os.listdir(tmp_path / "a" / "b")) == 2 and len(values(tmp_path / "a" / "b")) == 7
    monkeypatch.chdir(tmp_path)
    default = SummaryWriter(comment="_here")
    assert default.log_dir.startswith("runs") and default.log_dir.endswith("_here")
    del default


def test_the_end_of_python_writes_what_waits(tmp_path):
    program = (
        "import sys; from backlit.utils.tensorboard import SummaryWriter as W;"
        "w = W(sys.argv[1]); w.add_scalar('x', 1, 1)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert len(values(tmp_path)) == 1


def test_a_crash_hides_what_was_logged_beyond_it(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in range(6):
            writer.add_scalar("x", 0, step, walltime=step)
    with SummaryWriter(tmp_path, purge_step=3) as writer:
        writer.add_scalar("x", 1, 3)
    found = accumulated(tmp_path).Scalars("x")
    assert [(e.step, e.value) for e in found] == [(0, 0), (1, 0), (2, 0), (3, 1)]


def test_bad_values_are_refused(tmp_path):
    writer = SummaryWriter(tmp_path)
    cases = [
        (lambda: writer.add_scalar("x", [1, 2]), ArgumentError, "one number is wanted"),
        (lambda: writer.add_scalar("x", "word"), ArgumentTypeError, "str is not numbers"),
        (lambda: writer.add_image("x", np.ones((2, 3))), ArgumentError, "not laid out as"),
        (lambda: writer.add_image("x", np.ones((2, 3, 4))), ArgumentError, "2 channels"),
        (lambda: writer.add_histogram("x", [float("nan")]), ArgumentError, "no finite number"),
        (lambda: writer.add_figure("x", []), ArgumentError, "or none"),
        (lambda: writer.add_graph(nn.Linear(1, 1)), NotAvailable, r"add_graph.*\n.*bl.see"),
        (lambda: writer.add_audio("x", [1]), NotAvailable, "add_audio does not exist"),
        (lambda: writer.nonsense, AttributeError, "nonsense"),
    ]
    for call, error, words in cases:
        with pytest.raises(error, match=words):
            call()
    assert not values(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="can't be written"):
        SummaryWriter(tmp_path / "file" / "below")


def test_checksums_of_the_standard():
    """RFC 3720, B.4."""
    assert crc32c(b"\0" * 32) == 0x8A9136AA and crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


# ----- the callbacks of fit -----


def batches():
    bl.manual_seed(1)
    return [(bl.randn(4, 3), bl.randn(4, 1)) for _ in range(5)]


def training(callbacks, **settings):
    bl.manual_seed(0)
    model = nn.Linear(3, 1)
    sgd = bl.optim.SGD(model.parameters(), lr=0.01)
    settings = {"epochs": 3, "progress": False, "val_data": batches()[:2]} | settings
    return fit(model, batches(), loss=nn.functional.mse_loss, optimizer=sgd, callbacks=callbacks,
               **settings)  # fmt: skip


class Late(Callback):
    def on_epoch(self, run, row):
        row["extra"] = [row["epoch"], float("nan")] if row["epoch"] > 1 else float("nan")


def test_csv_and_json_hold_the_history(tmp_path):
    logs = [CSVLogger(tmp_path / "log.csv"), JSONLogger(tmp_path / "log.jsonl")]
    history = training([*logs, Late()])
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["train_loss"]) for r in rows] == history["train_loss"]
    assert [float(r["val_loss"]) for r in rows] == history["val_loss"]
    assert [int(r["epoch"]) for r in rows] == [1, 2, 3]
    assert rows[0]["val_accuracy"] == rows[0]["extra"] == ""
    assert json.loads(rows[1]["extra"].replace("NaN", "null")) == [2, None]
    read = History.read(tmp_path / "log.jsonl")
    assert read["train_loss"] == history["train_loss"] and read["extra"] == [
        None, [2, None], [3, None]]  # fmt: skip


def test_a_resumed_run_has_each_row_once(tmp_path):
    def run(epochs):
        logs = [CSVLogger(tmp_path / "l.csv"), JSONLogger(tmp_path / "l.jsonl"),
                TensorBoardLogger(tmp_path / "board", every_steps=2)]  # fmt: skip
        return training(logs, epochs=epochs, run_dir=tmp_path / "run", resume=epochs > 2)

    run(2)
    with SummaryWriter(tmp_path / "board") as lost:  # what a crash had not saved
        lost.add_scalar("loss/train", 99, 12, walltime=0)
    history = run(4)
    assert len((tmp_path / "l.csv").read_text().splitlines()) == 5
    assert History.read(tmp_path / "l.jsonl")["epoch"] == [1, 2, 3, 4]
    board = accumulated(tmp_path / "board")
    found = board.Scalars("loss/train")
    assert [e.step for e in found] == [5, 10, 15, 20]
    assert [e.value for e in found] == pytest.approx(history["train_loss"])
    steps = [e.step for e in board.Scalars("loss/batch")]
    assert steps == sorted(set(steps)) and steps[-1] == 20


def test_tensorboard_shows_measures_steps_and_histograms(tmp_path):
    history = training(TensorBoardLogger(tmp_path, every_steps=1, histograms=True))
    board = accumulated(tmp_path)
    assert {"loss/train", "loss/val", "lr", "epoch", "loss/batch"} <= set(board.Tags()["scalars"])
    assert [e.value for e in board.Scalars("loss/val")] == pytest.approx(history["val_loss"])
    assert "parameters/weight" in board.Tags()["histograms"]
    assert board.Histograms("parameters/weight")[-1].histogram_value.num == 3
    assert len(board.Scalars("lr")) == 3


def test_a_log_that_can_not_be_written_shows_before_the_first_step(tmp_path):
    seen = []

    class Count(Callback):
        def on_batch(self, run):
            seen.append(1)

    missing = tmp_path / "none" / "log.csv"
    for log in (CSVLogger(missing), JSONLogger(missing)):
        with pytest.raises(CheckpointError, match="can't be written"):
            training([log, Count()])
    assert not seen
    with pytest.raises(ArgumentError, match="every_steps=0"):
        TensorBoardLogger(tmp_path, every_steps=0)
