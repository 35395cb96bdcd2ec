"""fit: what it computes, when it stops, and that a mistake loses nothing."""

from __future__ import annotations

import json
import math
import os
import signal

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    CheckpointError,
    DataError,
    DivergedError,
    ShapeError,
    TrainingInterrupted,
)
from backlit.nn import functional as F
from backlit.train import (
    Callback,
    Checkpoints,
    EarlyStop,
    GradientNorm,
    History,
    LossPlateau,
    fit,
)

X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
Y = X @ np.array([[2.0], [-1.0]]) + 0.5


def line():
    """A linear model in float64, its optimizer, and the whole data as one batch."""
    bl.manual_seed(0)
    model = nn.Linear(2, 1).double()
    return model, bl.optim.SGD(model.parameters(), lr=0.1), [(bl.tensor(X), bl.tensor(Y))]


def classifier(n=24, batch=4, **loader):
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    x = bl.randn(n, 3)
    data = bl.data.TensorDataset(x, (x.sum(1) > 0).long())
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, bl.data.DataLoader(data, batch, shuffle=True, **loader)


def run(model, optimizer, data, loss=F.mse_loss, **options):
    options = {"epochs": 3, "progress": False, **options}
    return fit(model, data, loss=loss, optimizer=optimizer, **options)


def classify(model, optimizer, data, **options):
    return run(model, optimizer, data, F.cross_entropy, **options)


def test_fit_is_the_loop_one_writes_by_hand():
    model, optimizer, data = line()
    history = run(model, optimizer, data, epochs=5)
    w, b = (p.detach().numpy().copy() for p in line()[0].parameters())
    for loss in history["train_loss"]:
        error = X @ w.T + b - Y
        assert loss == pytest.approx((error**2).mean(), rel=1e-12)
        w = w - 0.1 * (2 * error.T @ X / len(X))
        b = b - 0.1 * (2 * error.mean(0))
    assert np.allclose(model.weight.detach().numpy(), w, rtol=1e-12)
    assert np.allclose(model.bias.detach().numpy(), b, rtol=1e-12)
    assert history.stopped == "5 epochs done" and len(history) == 5


def test_losses_are_means_over_samples_not_batches():
    model, _, _ = line()
    frozen = bl.optim.SGD(model.parameters(), lr=0.0)
    x, y = bl.tensor(X), bl.tensor(Y)
    uneven = [(x[:3], y[:3]), (x[3:], y[3:])]
    history = run(model, frozen, uneven, epochs=1, val_data=uneven)
    expected = F.mse_loss(model(x), y).item()
    assert history["train_loss"] == pytest.approx([expected])
    assert history["val_loss"] == pytest.approx([expected])


# Stop rules (contract rows N17, P14)


def test_converged_by_gradient_norm():
    model, optimizer, data = line()
    history = run(model, optimizer, data, epochs=5000, stop=[GradientNorm(1e-6)])
    assert history.stopped.startswith("converged: gradient norm")
    assert len(history) < 5000
    norms = history["grad_norm"]
    assert norms[-1] < 1e-6 <= norms[-2]
    assert np.allclose(model.weight.detach().numpy(), [[2, -1]], atol=1e-5)


def test_gradient_norm_is_of_the_regularised_loss():
    """At the optimum of loss + wd/2 |w|^2 the loss alone still has a gradient."""
    model, _, data = line()
    decayed = bl.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    history = run(model, decayed, data, epochs=5000, stop=[GradientNorm(1e-8)])
    assert history.stopped.startswith("converged")
    a = np.hstack([X, np.ones((4, 1))])
    closed = np.linalg.solve(2 * a.T @ a / 4 + 0.1 * np.eye(3), 2 * a.T @ Y / 4)
    found = [*model.weight.detach().numpy()[0], model.bias.item()]
    assert np.allclose(found, closed[:, 0], atol=1e-6)


def test_converged_by_loss_plateau():
    model, _, data = line()
    rule = LossPlateau(1e-3, epochs=3)
    decay = bl.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    history = run(model, decay, data, epochs=5000, stop=[rule])
    losses = np.array(history["train_loss"])
    change = np.abs(np.diff(losses)) / losses[:-1]
    assert history.stopped.startswith("converged: train_loss changed by less than 1e-03")
    assert (change[-3:] <= 1e-3).all() and change[-4] > 1e-3


@pytest.mark.parametrize(
    ("options", "steps", "reason"),
    [
        ({"epochs": 2}, 12, "2 epochs done"),
        ({"epochs": 1}, 6, "1 epoch done"),
        ({"epochs": 9, "max_steps": 8}, 8, "8 steps done"),
        ({"epochs": 9, "max_steps": 6}, 6, "6 steps done"),
        ({"epochs": 9, "max_seconds": 1e-9}, 1, "1e-09 seconds are over"),
    ],
)
def test_maxima(options, steps, reason):
    taken = []

    class Count(Callback):
        def on_batch(self, run):
            taken.append(run.position.step)

    history = classify(*classifier(), callbacks=[Count()], **options)
    assert taken == list(range(1, steps + 1)) and history.stopped == reason


def test_steps_cut_short_go_on_with_a_higher_maximum(tmp_path):
    whole = classifier()
    classify(*whole, epochs=3, run_dir=tmp_path / "whole")
    for steps in (8, 8, 10, None):
        parts = classifier()
        history = classify(*parts, max_steps=steps, run_dir=tmp_path / "parts", resume=True)
        lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(x)["epoch"] for x in lines] == history["epoch"]
        assert history["epoch"] == ([1, 2, 3] if steps is None else [1, 2])
    for a, b in zip(whole[0].parameters(), parts[0].parameters(), strict=True):
        assert bl.equal(a, b)


def test_early_stop():
    model, _, data = classifier()
    stuck = bl.optim.SGD(model.parameters(), lr=0.0)
    data = list(data)  # one order, so that equal losses have equal bits
    history = classify(model, stuck, data, epochs=50, val_data=data, early_stop=3)
    assert len(history) == 4 and history.stopped.startswith("early stop: val_loss")
    best = EarlyStop(2, key="val_accuracy", mode="max")
    history = classify(
        model, stuck, data, epochs=50, val_data=data, metrics=["accuracy"], early_stop=best
    )
    assert len(history) == 3 and "val_accuracy" in history.stopped


def test_a_callback_sees_every_moment_and_may_stop():
    seen = []

    class Watch(Callback):
        def on_start(self, run):
            seen.append("start")

        def on_batch(self, run):
            seen.append(run.position.batch)

        def on_epoch(self, run, row):
            seen.append(row["epoch"])
            row["note"] = 5
            if row["epoch"] == 2:
                run.stop("enough")

        def on_end(self, run):
            seen.append("end")

    history = classify(*classifier(8), epochs=9, callbacks=[Watch()])
    assert seen == ["start", 1, 2, 1, 1, 2, 2, "end"]
    assert history.stopped == "enough" and history["note"] == [5, 5]


def test_schedules_per_epoch_per_batch_and_by_plateau():
    schedulers = bl.optim.lr_scheduler
    model, optimizer, data = classifier(8)
    history = classify(model, optimizer, data, scheduler=schedulers.StepLR(optimizer, 1, 0.5))
    assert history["lr"] == pytest.approx([0.1, 0.05, 0.025])
    model, optimizer, data = classifier(8)
    steps = schedulers.StepLR(optimizer, 1, 0.5)
    classify(model, optimizer, data, scheduler=steps, scheduler_per_batch=True)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 2**6)
    model, _, data = classifier(8)
    stuck = bl.optim.SGD(model.parameters(), lr=1e-30)
    plateau = schedulers.ReduceLROnPlateau(stuck, patience=0, threshold=0.5, eps=0)
    history = classify(model, stuck, data, scheduler=plateau)
    assert history["lr"] == pytest.approx([1e-30, 1e-30, 1e-31])


def test_clipping_bounds_the_step():
    model, _, data = line()
    fast = bl.optim.SGD(model.parameters(), lr=1.0)
    before = [p.detach().clone() for p in model.parameters()]
    run(model, fast, data, epochs=1, clip_grad_norm=0.01)
    moved = sum(
        float(((a - b) ** 2).sum()) for a, b in zip(before, model.parameters(), strict=True)
    )
    assert math.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


def test_lbfgs_gets_its_closure():
    model, _, data = line()
    newton = bl.optim.LBFGS(model.parameters(), lr=1, max_iter=20)
    assert run(model, newton, data, epochs=3)["train_loss"][-1] < 1e-8


def test_modes_during_and_after():
    seen = []
    model, optimizer, data = classifier(8)
    model.register_forward_hook(lambda m, x, y: seen.append((m.training, bl.is_grad_enabled())))
    model.eval()
    classify(model, optimizer, data, epochs=1, val_data=data)
    assert seen == [(True, True)] * 2 + [(False, False)] * 2 and not model.training


def test_metrics_jsonl_has_the_four_keys(tmp_path):
    model, optimizer, data = classifier()
    classify(model, optimizer, data, val_data=data, metrics=["accuracy"], run_dir=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [list(row)[:4] for row in rows] == [
        ["epoch", "train_loss", "val_loss", "val_accuracy"]
    ] * 3
    assert set(rows[0]) == {*list(rows[0])[:4], "train_accuracy", "lr", "seconds"}
    assert all(isinstance(row["val_accuracy"], float) for row in rows)
    assert History.read(tmp_path / "metrics.jsonl").rows == rows


def test_without_validation_the_keys_are_null(tmp_path):
    classify(*classifier(), epochs=1, run_dir=tmp_path)
    (row,) = History.read(tmp_path / "metrics.jsonl")
    assert row["val_loss"] is None and row["val_accuracy"] is None


# Mistakes and trouble: clear errors, nothing lost


def test_nan_loss_names_epoch_step_and_checkpoint(tmp_path):
    model, optimizer, data = line()
    bad = [*data, (bl.tensor(X) * math.nan, bl.tensor(Y))]
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(DivergedError) as error:
        run(model, optimizer, bad, run_dir=tmp_path, checkpoint_every_steps=1)
    text = str(error.value)
    assert "the loss is nan in epoch 1, step 2" in text
    assert "the last good checkpoint is epoch0000-step00000001" in text and "hint" in text
    assert not any(bl.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(bool(bl.isfinite(p.detach()).all()) for p in model.parameters())


def test_weights_that_overflow_are_never_a_checkpoint(tmp_path):
    model, _, data = line()
    wild = bl.optim.SGD(model.parameters(), lr=1e308)
    with pytest.raises(
        DivergedError, match=r"weight has become NaN or infinite in epoch 1, step 1"
    ):
        run(model, wild, data, run_dir=tmp_path)
    state = Checkpoints(tmp_path / "checkpoints").latest().state
    assert state["position"]["step"] == 0


def test_non_finite_gradient_norm_when_clipping():
    model = nn.Linear(1, 1)
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)

    def rooted(output, target):
        return (output * 0).abs().sqrt().sum() + (output - target).pow(2).sum() * 0

    with pytest.raises(DivergedError, match="gradient norm is"):
        run(model, optimizer, [(bl.ones(1, 1), bl.ones(1, 1))], rooted, clip_grad_norm=1.0)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ([], DataError, "train_data has no batches"),
        ([bl.ones(2, 2)], DataError, r"a batch is a Tensor, expected \(inputs..., target\)"),
        ([(bl.ones(2, 2), bl.ones(3, 1))], DataError, r"different lengths: \(2, 2\), \(3, 1\)"),
        (bl.data.TensorDataset(bl.ones(4, 2), bl.ones(4)), DataError, "DataLoader.* makes batches"),
        ([(bl.ones(0, 2), bl.ones(0, 1))], DataError, "batch 1 is empty"),
        ([(bl.ones(2, 2), bl.ones(2, 1), 1)], DataError, "batch 1 holds the int 1"),
        ([(bl.ones(2, 5), bl.ones(2, 1))], RuntimeError, "epoch 1, after step 0"),
        (iter([]), ArgumentError, "train_data is an iterator"),
    ],
)
def test_bad_data(data, kind, words):
    model = nn.Linear(2, 1)
    with pytest.raises(kind, match=words):
        run(model, bl.optim.SGD(model.parameters(), lr=0.1), data)


def test_empty_loaders_say_why():
    model, optimizer, data = classifier(3, batch=4, drop_last=True)
    with pytest.raises(DataError, match=r"(?s)no batches \(3 samples\)\n.*drop_last leaves.*of 4"):
        classify(model, optimizer, data)
    model, optimizer, data = classifier()
    with pytest.raises(DataError, match="val_data has no batches"):
        classify(model, optimizer, data, val_data=[])


def test_labels_out_of_range_lose_nothing(tmp_path):
    model, optimizer, data = classifier(8)
    x, y = next(iter(data))
    words = r"(?s)target (9|10) .*the last checkpoint is epoch0000-step00000001"
    with pytest.raises(IndexError, match=words):
        classify(model, optimizer, [(x, y), (x, y + 9)], run_dir=tmp_path, checkpoint_every_steps=1)


def test_losses_that_are_not_one_number():
    model, optimizer, data = line()
    with pytest.raises(ShapeError, match=r"the loss has shape \(4, 1\)"):
        run(model, optimizer, data, lambda o, t: (o - t) ** 2)
    with pytest.raises(ArgumentTypeError, match="the loss is a float"):
        run(model, optimizer, data, lambda o, t: 1.0)


def test_a_stop_that_is_no_rule_is_refused_before_the_training():
    with pytest.raises(ArgumentTypeError, match=r"stop takes rules, got int\n.*LossPlateau"):
        run(*line(), stop=3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"max_steps": 0}, "max_steps=0 must be above zero"),
        ({"clip_grad_norm": -1.0}, "clip_grad_norm=-1.0"),
        ({"checkpoint_every_steps": 0, "run_dir": "."}, "checkpoint_every_steps=0"),
        ({"resume": True}, "needs the run_dir"),
        ({"early_stop": 3}, "EarlyStop watches val_loss: give val_data"),
        ({"metrics": ["f1"]}, "unknown metric 'f1'"),
        ({"metrics": [3]}, "expected an instance"),
        ({"progress": "loud"}, "progress='loud'"),
        ({"val_data": iter([])}, "val_data is an iterator"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(ArgumentError, match=words):
        run(*line(), **options)


def test_an_optimizer_of_another_model_is_refused():
    model, _, data = line()
    with pytest.raises(ArgumentError, match="none of the model's parameters"):
        run(model, line()[1], data)


def test_a_class_or_a_name_is_no_optimizer_or_loss():
    model, sgd, data = line()
    with pytest.raises(ArgumentTypeError, match="fit: optimizer=<class"):
        run(model, bl.optim.SGD, data)
    with pytest.raises(ArgumentTypeError, match="fit: loss='mse'"):
        run(model, sgd, data, loss="mse")


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    classify(*classifier(), run_dir=tmp_path)
    with pytest.raises(ArgumentError, match="already holds a run"):
        classify(*classifier(), run_dir=tmp_path)


def test_a_run_has_one_writer_at_a_time(tmp_path):
    refused = []

    class Second(Callback):
        def on_batch(self, now):
            with pytest.raises(CheckpointError, match="in use: another training writes") as info:
                run(*line(), run_dir=tmp_path, resume=True)
            refused.append(info)

    run(*line(), run_dir=tmp_path, callbacks=[Second()])
    assert len(refused) == 3 and len(History.read(tmp_path / "metrics.jsonl")) == 3
    assert len(run(*line(), run_dir=tmp_path, resume=True, epochs=5)) == 5


def test_resume_after_completion_does_nothing(tmp_path):
    model, optimizer, data = classifier()
    first = classify(model, optimizer, data, run_dir=tmp_path)
    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "checkpoints").iterdir()}
    fresh, optimizer, data = classifier()
    again = classify(fresh, optimizer, data, run_dir=tmp_path, resume=True)
    assert again.rows == first.rows and again.stopped == "3 epochs done"
    assert files == {f: f.stat().st_mtime_ns for f in (tmp_path / "checkpoints").iterdir()}
    for a, b in zip(model.parameters(), fresh.parameters(), strict=True):
        assert bl.equal(a, b)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    classify(*classifier(), run_dir=tmp_path)
    model = nn.Linear(3, 2)
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match="does not fit this training"):
        classify(model, optimizer, classifier()[2], run_dir=tmp_path, resume=True)


def test_a_checkpoint_of_another_optimizer_or_schedule_is_refused(tmp_path):
    model, sgd, data = classifier()
    classify(model, sgd, data, run_dir=tmp_path)
    before = model[0].weight.detach().clone()
    adam = bl.optim.Adam(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match="its optimizer was SGD, now it is Adam"):
        classify(model, adam, data, run_dir=tmp_path, resume=True, epochs=9)
    steps = bl.optim.lr_scheduler.StepLR(sgd, 1)
    with pytest.raises(CheckpointError, match="its scheduler was none, now it is StepLR"):
        classify(model, sgd, data, run_dir=tmp_path, resume=True, scheduler=steps, epochs=9)
    assert (model[0].weight == before).all()


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch, capsys):
    real, full = os.fsync, []

    def fsync(descriptor):
        if full:
            raise OSError(28, "No space left on device")
        real(descriptor)

    class Fill(Callback):
        def on_epoch(self, run, row):
            if row["epoch"] == 2:
                full.append(True)
            if row["epoch"] == 3:
                full.clear()

    monkeypatch.setattr(os, "fsync", fsync)
    model, optimizer, data = classifier()
    history = classify(
        model, optimizer, data, run_dir=tmp_path, callbacks=[Fill()], progress="lines"
    )
    told = capsys.readouterr().out
    assert told.count("No space left on device") == 1 and "the training goes on" in told
    assert len(history) == 3 and len(History.read(tmp_path / "metrics.jsonl")) == 3
    names = Checkpoints(tmp_path / "checkpoints").names()
    assert "epoch0001-step00000006" in names and "epoch0002-step00000012" not in names
    saved = Checkpoints(tmp_path / "checkpoints").latest().state["model"]
    assert all(bl.equal(saved[k], v) for k, v in model.state_dict().items())


def test_a_last_save_that_fails_is_an_error_and_the_model_stands(tmp_path, monkeypatch):
    model, optimizer, data = classifier()

    class Fill(Callback):
        def on_epoch(self, run, row):
            if row["epoch"] == 3:
                full = OSError(28, "No space left on device")
                monkeypatch.setattr(os, "fsync", lambda d: (_ for _ in ()).throw(full))

    with pytest.raises(CheckpointError, match="No space left"):
        classify(model, optimizer, data, run_dir=tmp_path, callbacks=[Fill()])
    monkeypatch.undo()
    fresh = classifier()
    classify(*fresh, run_dir=tmp_path, resume=True)
    for a, b in zip(model.parameters(), fresh[0].parameters(), strict=True):
        assert bl.equal(a, b)


def test_an_unwritable_run_folder_shows_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    steps = []

    class Count(Callback):
        def on_batch(self, run):
            steps.append(1)

    with pytest.raises(CheckpointError, match=r"run folder .*file/run can't be made"):
        classify(*classifier(), run_dir=tmp_path / "file" / "run", callbacks=[Count()])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoints").write_text("in the way")
    with pytest.raises(CheckpointError, match="can't be written"):
        classify(*classifier(), run_dir=tmp_path / "run", callbacks=[Count()])
    assert not steps


class SignalAt(Callback):
    def __init__(self, step, number, twice=False):
        self.step, self.number, self.twice = step, number, twice

    def on_batch(self, run):
        if run.position.step == self.step:
            os.kill(os.getpid(), self.number)
            if self.twice:
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_resumes_exactly(tmp_path, number):
    whole = classifier()
    expected = classify(*whole, run_dir=tmp_path / "whole")
    with pytest.raises(TrainingInterrupted, match="in epoch 2 after step 8; saved") as stopped:
        classify(*classifier(), run_dir=tmp_path / "run", callbacks=[SignalAt(8, number)])
    assert stopped.value.checkpoint.endswith("epoch0001-step00000008.safetensors")
    assert bl.load(stopped.value.checkpoint)["position"]["step"] == 8
    assert len(stopped.value.history) == 1
    rest = classifier()
    history = classify(
        *rest, run_dir=tmp_path / "run", resume=True, callbacks=[SignalAt(0, number)]
    )
    assert history["train_loss"] == expected["train_loss"]
    for a, b in zip(whole[0].parameters(), rest[0].parameters(), strict=True):
        assert bl.equal(a, b)


def test_a_signal_during_validation_repeats_only_the_validation(tmp_path):
    model, optimizer, data = classifier()
    expected = classify(model, optimizer, data, val_data=data, run_dir=tmp_path / "whole")
    model, optimizer, data = classifier()
    sent = []

    class Interrupting(type(data)):
        def __iter__(self):
            for batch in data:
                if not sent:
                    sent.append(os.kill(os.getpid(), signal.SIGINT))
                yield batch

        state_dict, load_state_dict = data.state_dict, data.load_state_dict

    val_data = Interrupting(data.dataset, data.batch_size)
    with pytest.raises(TrainingInterrupted, match="in epoch 1 after step 6"):
        classify(model, optimizer, data, val_data=val_data, run_dir=tmp_path / "run")
    model, optimizer, data = classifier()
    history = classify(model, optimizer, data, val_data=data, run_dir=tmp_path / "run", resume=True)
    assert history["val_loss"] == expected["val_loss"]
    assert history["train_loss"] == expected["train_loss"]


def test_the_second_signal_stops_at_once(tmp_path):
    at = SignalAt(8, signal.SIGINT, twice=True)
    with pytest.raises(KeyboardInterrupt, match="at once") as stopped:
        classify(*classifier(), run_dir=tmp_path, callbacks=[at])
    assert not isinstance(stopped.value, TrainingInterrupted)
    assert Checkpoints(tmp_path / "checkpoints").names()[-1] == "epoch0001-step00000006"


def test_one_rule_metric_or_callback_needs_no_list():
    model, optimizer, data = line()
    rule, late = GradientNorm(1e9), SignalAt(0, signal.SIGINT)
    history = run(model, optimizer, data, stop=rule, callbacks=late)
    assert len(history) == 1 and history.stopped.startswith("converged")
    assert classify(*classifier(), metrics="accuracy")["train_accuracy"]


def test_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(*line())
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_data_without_a_position_is_skipped_to_it(tmp_path):
    x = bl.tensor(X)
    batches = [(x[i : i + 1], bl.tensor(Y)[i : i + 1]) for i in range(4)]
    whole, optimizer, _ = line()
    run(whole, optimizer, batches)
    model, optimizer, _ = line()
    with pytest.raises(TrainingInterrupted):
        run(model, optimizer, batches, run_dir=tmp_path, callbacks=[SignalAt(6, signal.SIGINT)])
    model, optimizer, _ = line()
    run(model, optimizer, batches, run_dir=tmp_path, resume=True, callbacks=[SignalAt(0, 2)])
    for a, b in zip(whole.parameters(), model.parameters(), strict=True):
        assert bl.equal(a, b)
