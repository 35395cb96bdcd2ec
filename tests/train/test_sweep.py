"""Sweeps: what may be tried, what is proposed, the loop with its budget, resuming, the report."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import dataclass, replace

import pytest
from PIL import Image
from typer.testing import CliRunner

import backlit as bl
from backlit import nn
from backlit.cli import app
from backlit.errors import (
    ArgumentError,
    CheckpointError,
    DataError,
    NotAvailable,
    TrainingInterrupted,
)
from backlit.nn import functional as F
from backlit.train import recipes
from backlit.train.recipe import Job, Recipe, Settings, fit_job, parts
from backlit.train.sweep import Plan, SeedRun, Trial, records, run_sweep
from backlit.train.sweep.command import open_sweep
from backlit.train.sweep.report import best_command, chosen_on, ranked, show_report, write_report
from backlit.train.sweep.run import score_best
from backlit.train.sweep.search import Proposal
from backlit.train.sweep.space import Choices, Range, read_space


@dataclass
class LineSettings(Settings):
    """A straight line through eight points: trainings of milliseconds."""

    epochs: int = 3
    lr: float = 0.1
    bias: bool = True
    kind: str = "plain"
    fails: int = 0
    jumps: bool = False


def prepare(settings):
    if settings.fails:
        missing()
    training, held_out = parts(settings, points)
    model = nn.Linear(1, 1, bias=settings.bias)
    optimizer = bl.optim.SGD(model.parameters(), lr=settings.lr)
    batches = [[training.tensors], [held_out.tensors]]
    return Job(model, *batches, loss=F.mse_loss, optimizer=optimizer)


def points(settings, train):
    """Eight points of a line to learn from, four of a higher one for the test."""
    x = bl.linspace(-1, 1, 8 if train else 4)[:, None]
    y = 3 * x + (1 if train else 2)
    return bl.data.TensorDataset(x, y * math.inf if settings.jumps else y)


LINE = Recipe(
    "line", "a line", "eight points", "nothing", 0.0, LineSettings, prepare,
    score="val_loss", lower_is_better=True, pictures=(),
)  # fmt: skip


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The recipe `line` can be found by its name."""
    own = {"line": LINE}
    monkeypatch.setattr(records, "find", lambda name: own.get(name) or recipes.find(name))


def line_sweep(folder, over=("lr=0.01..1.0",), **options):
    return records.new_sweep(folder, "line", Plan(LINE, {}, tuple(over), **options))


def quiet(text):
    pass


def without_seconds(sweep):
    return [
        (t.number, t.params, t.state, [(r.seed, r.score, r.scores) for r in t.runs])
        for t in sweep.trials
    ]


def test_ranges_and_choices_are_read_by_the_type_of_the_setting():
    space = read_space(LINE, ["lr=0.001..0.1", "epochs=2..5", "bias=true,false", "kind=plain,odd"])
    assert space == {
        "lr": Range(0.001, 0.1), "epochs": Range(2, 5),
        "bias": Choices((True, False)), "kind": Choices(("plain", "odd")),
    }  # fmt: skip
    assert space["lr"].log and not space["epochs"].log and space["epochs"].whole
    assert read_space(LINE, ["batch-size=8..512"])["batch_size"].log
    assert not Range(0.0, 10.0).log
    assert Range(0.001, 0.1).rounded(0.0123456) == 0.01235
    assert Range(0.0012344, 0.1).rounded(0.00123441) == 0.00123441  # not below the range


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ([], "nothing to try"),
        (["lr"], "expected a range or choices"),
        (["lr=0.1"], "expected a range or choices"),
        (["lr=0.1,"], "expected a range or choices"),
        (["lr=..1"], "expected a range or choices"),
        (["lr=0.1..0.01"], "goes up from a number"),
        (["lr=0.1..inf"], "expected a number"),
        (["lr=a,b"], "expected a number"),
        (["lr=0.1,0.10"], "a value is there twice"),
        (["kind=a..b"], "kind has no range"),
        (["width=1,2"], "line has no setting --width"),
        (["seed=1,2"], "seed can't be tried"),
        (["validation=0.1,0.2"], "validation can't be tried"),
        (["lr=1,2", "lr=3,4"], "lr is given twice"),
        (["epochs=1,2"], "epochs is given twice"),  # fixed below
    ],
)
def test_what_cannot_be_tried(over, words):
    with pytest.raises(ArgumentError, match=words):
        read_space(LINE, over, fixed=["epochs"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"budget": 0}, "at least one trial"),
        ({"seeds": ()}, "different numbers"),
        ({"seeds": (1, 1)}, "different numbers"),
        ({"seeds": (0, -1)}, "different numbers"),
        ({"given": {"seed": "1"}}, "--seed is for one training"),
        ({"given": {"lr": "0.1"}}, "lr is given twice"),
    ],
)
def test_plans_that_make_no_sense(options, words):
    with pytest.raises(ArgumentError, match=words):
        Plan(LINE, **{"given": {}, "over": ("lr=0.1..1",)} | options)


def test_every_trial_has_a_training_for_each_seed_with_its_values(tmp_path):
    said = []
    sweep = run_sweep(line_sweep(tmp_path, budget=3, seeds=(4, 7)), say=said.append)
    assert [t.number for t in sweep.trials] == [1, 2, 3] and len(said) == 6
    assert all(t.state == "finished" and [r.seed for r in t.runs] == [4, 7] for t in sweep.trials)
    first = sweep.trials[0]
    bl.manual_seed(7)
    job = prepare(LineSettings(lr=first.params["lr"], validation=0.1))
    history = bl.train.fit(job.model, job.train_data, loss=job.loss, optimizer=job.optimizer,
                           val_data=job.val_data, epochs=3, progress=False)  # fmt: skip
    assert first.runs[1].scores == history["val_loss"]
    assert first.runs[1].score == history["val_loss"][-1]
    assert len({t.params["lr"] for t in sweep.trials}) == 3
    assert all(0.01 <= t.params["lr"] <= 1.0 for t in sweep.trials)


def test_the_search_goes_where_it_is_good(tmp_path):
    sweep = line_sweep(tmp_path, ["lr=0.0001..1.0"], budget=60)
    for number in range(1, 31):  # the best is at 0.01
        params = Proposal(sweep).params
        score = abs(math.log10(params["lr"]) + 2)
        sweep.trials.append(Trial(number, params, "finished", [SeedRun(0, score, [score], 0.1)]))
    blind, late = ([t.score for t in part] for part in (sweep.trials[:20], sweep.trials[20:]))
    assert sum(late) / len(late) < 0.5 * sum(blind) / len(blind)


def test_a_trial_that_falls_behind_is_pruned_in_its_first_training(tmp_path):
    sweep = line_sweep(tmp_path, ["lr=0.2,0.00001"], budget=12, seeds=(0, 1))
    run_sweep(sweep, say=quiet)
    slow = [t for t in sweep.trials if t.params["lr"] == 0.00001]
    pruned = [t for t in slow if t.state == "pruned"]
    assert pruned and all(len(t.runs) == 1 and len(t.runs[0].scores) < 3 for t in pruned)
    assert sweep.best().params == {"lr": 0.2}
    assert all(t.state == "finished" for t in sweep.trials[:3])  # nothing to compare with yet


def test_trials_that_diverge_or_fail_do_not_end_the_sweep(tmp_path):
    said = []
    sweep = line_sweep(tmp_path, ["lr=0.1,1e38"], budget=6, seeds=(0,))
    run_sweep(sweep, say=said.append)
    states = {t.params["lr"]: t.state for t in sweep.trials}
    assert states[1e38] == "diverged" and sum("diverged" in line for line in said) >= 1
    assert sweep.best().params["lr"] == 0.1 and len(sweep.trials) == 6
    sweep = line_sweep(tmp_path, ["fails=0,1"], budget=8, seeds=(0,))
    sweep.trials.append(Trial(1, {"fails": 0}, "finished", [SeedRun(0, 1.0, [1.0], 0.1)]))
    said.clear()
    run_sweep(sweep, say=said.append)
    failed = [t for t in sweep.trials if t.state == "failed"]
    assert failed and not failed[0].runs and any("the data is not there" in s for s in said)
    with pytest.raises(DataError, match="not there") as caught:
        run_sweep(line_sweep(tmp_path, ["fails=1,2"], budget=2), say=quiet)
    assert "trial 1: fails" in caught.value.__notes__[0]


class Interrupts:
    """Says nothing until the n-th line, then what Ctrl-C does."""

    def __init__(self, lines):
        self.left = lines

    def __call__(self, text):
        self.left -= 1
        if not self.left:
            raise TrainingInterrupted("SIGINT", None, None)


@pytest.mark.parametrize("lines", [1, 2, 3, 7])
def test_an_interrupted_sweep_goes_on_as_if_it_never_stopped(tmp_path, lines):
    over = ["lr=0.001..1.0", "bias=true,false"]
    whole = run_sweep(line_sweep(tmp_path, over, budget=5, seeds=(0, 1)), say=quiet)
    half = line_sweep(tmp_path, over, budget=5, seeds=(0, 1))
    with pytest.raises(KeyboardInterrupt):
        run_sweep(half, say=Interrupts(lines))
    resumed = records.read_sweep(half.folder)
    assert sum(len(t.runs) for t in resumed.trials) == lines
    run_sweep(resumed, say=quiet)
    assert without_seconds(resumed) == without_seconds(whole)
    assert without_seconds(records.read_sweep(half.folder)) == without_seconds(whole)


def test_the_minutes_end_a_sweep_and_more_budget_goes_on(tmp_path):
    sweep = line_sweep(tmp_path, budget=4)
    said = []
    run_sweep(sweep, minutes=1e-9, say=said.append)
    assert not sweep.ended() and said == ["1e-09 minutes are over"]
    with pytest.raises(ArgumentError, match="--minutes 0 must be above zero"):
        run_sweep(sweep, minutes=0)
    run_sweep(sweep, say=quiet)
    again = open_sweep("line", {}, sweeps=tmp_path, resume=True, budget=5)
    assert len(run_sweep(again, say=quiet).ended()) == 5
    with pytest.raises(ArgumentError, match="5 trials are made"):
        open_sweep(None, {}, sweeps=tmp_path, resume=True, budget=2)
    with pytest.raises(ArgumentError, match="keeps its plan"):
        open_sweep(None, {"lr": "1"}, sweeps=tmp_path, resume=True)


def missing():
    raise DataError("line: the data is not there")


def read_parts(monkeypatch):
    """Which parts of the line's points are read from now on."""
    read, own = [], points
    monkeypatch.setitem(
        globals(), "points", lambda settings, train: read.append(train) or own(settings, train)
    )
    return read


def test_settings_are_chosen_without_the_test_part(tmp_path, monkeypatch):
    read = read_parts(monkeypatch)
    sweep = run_sweep(line_sweep(tmp_path, budget=2, seeds=(0, 1)), say=quiet)
    assert read == [True] * 4 and sweep.plan.settings.validation == 0.1
    assert chosen_on(sweep) == "chosen on 10 % of the training part; the test part was not used"
    own = records.new_sweep(tmp_path, "own", Plan(LINE, {"validation": "0.25"}, ["lr=0.1,0.2"]))
    assert "chosen on 25 % of" in chosen_on(records.read_sweep(own.folder))
    plan = Plan(LINE, {"validation": "0"}, ["lr=0.1,0.2"], budget=1, seeds=(0,))
    run_sweep(records.new_sweep(tmp_path, "test", plan), say=quiet)
    assert read[4:] == [True, False]
    sweep = records.new_sweep(tmp_path, "old", plan)
    config = json.loads((sweep.folder / "sweep.json").read_text())
    del config["given"]["validation"]  # as sweeps of earlier versions are
    (sweep.folder / "sweep.json").write_text(json.dumps(config))
    assert "chosen on the test part" in chosen_on(records.read_sweep(sweep.folder))


def test_the_best_is_scored_on_the_test_part_once(tmp_path, monkeypatch, capsys):
    sweep = line_sweep(tmp_path, ["lr=0.2,0.00001"], budget=4, seeds=(0, 1))
    assert score_best(sweep, say=quiet) is None  # nothing is finished yet
    run_sweep(sweep, say=quiet)
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "points", lambda settings, train: missing())
        said = []
        assert not score_best(sweep, say=said.append).runs and "is not there" in said[0]
    read = read_parts(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        score_best(sweep, say=Interrupts(1))
    sweep = records.read_sweep(sweep.folder)
    assert len(sweep.test.runs) == 1
    found = score_best(sweep, say=quiet)
    assert read == [True, False] * 2 and found.number == sweep.best().number
    for run in found.runs:
        bl.manual_seed(run.seed)
        job = prepare(LineSettings(lr=0.2))
        assert fit_job(job, epochs=3, progress=False)["val_loss"] == run.scores
    read.clear()
    sweep.trials.append(Trial(5, {"lr": 0.3}, "finished", [SeedRun(0, 0.0, [0.0], 0.1)]))
    assert score_best(sweep, say=quiet) is found and not read  # a second look would choose by it
    again = records.read_sweep(sweep.folder).test
    assert (again.number, again.params, again.runs) == (found.number, found.params, found.runs)
    show_report(sweep)
    text = " ".join(capsys.readouterr().out.split())
    assert f"trial {found.number} on the test part, after the whole training part" in text
    assert f"val_loss {found.score:.4f} ({found.runs[0].score:.4f}, " in text
    assert "was not used" not in text


def test_a_score_that_is_no_number_counts_as_diverged(tmp_path, monkeypatch):
    plan = Plan(LINE, {"validation": "0"}, ["jumps=false,true"], budget=6, seeds=(0,))
    own = points
    monkeypatch.setitem(
        globals(), "points", lambda s, train: own(replace(s, jumps=s.jumps and not train), train)
    )
    sweep = run_sweep(records.new_sweep(tmp_path, "jumps", plan), say=quiet)
    states = {(trial.params["jumps"], trial.state) for trial in sweep.trials}
    assert states == {(False, "finished"), (True, "diverged")}


@pytest.mark.parametrize("file", ["sweep.json", "trials.jsonl", "test.json"])
def test_damaged_records_are_named(tmp_path, file):
    sweep = run_sweep(line_sweep(tmp_path, budget=1), say=quiet)
    score_best(sweep, say=quiet)
    (sweep.folder / file).write_text('{"number": 1')
    with pytest.raises(DataError, match=f"{file} is damaged"):
        records.read_sweep(sweep.folder)


def test_sweeps_are_found_by_name(tmp_path):
    with pytest.raises(CheckpointError, match="there is no sweep in"):
        records.find_sweep(tmp_path, None)
    first, second = line_sweep(tmp_path), line_sweep(tmp_path)
    assert second.folder.name == "line-2"
    assert records.find_sweep(tmp_path, "line") == first.folder
    with pytest.raises(CheckpointError, match="there are: line, line-2"):
        records.find_sweep(tmp_path, "other")
    with pytest.raises(ArgumentError, match="can't be a name"):
        records.new_sweep(tmp_path, "../x", first.plan)


def made(tmp_path):
    """A sweep with a trial of each state, written by hand."""
    over = ("lr=0.01..1.0", "kind=plain,two words")
    plan = Plan(LINE, {"epochs": "2"}, over, seeds=(0, 1), budget=9)
    sweep = records.new_sweep(tmp_path, "made", plan)

    def trial(state, scores, lr, kind="plain"):
        runs = [SeedRun(n, s, [s], 1.0) for n, s in enumerate(scores)]
        params = {"lr": lr, "kind": kind}
        sweep.trials.append(Trial(len(sweep.trials) + 1, params, state, runs))

    trial("finished", [0.5, 0.3], 0.1)
    trial("diverged", [], 1.0)
    trial("finished", [0.1, 0.2], 0.2, "two words")
    trial("pruned", [0.05], 0.03)
    trial("under way", [0.7], 0.04)
    return sweep


def test_the_report_ranks_and_says_how_to_train_the_best(tmp_path):
    sweep = made(tmp_path)
    assert [t.number for t in ranked(sweep)] == [3, 1, 4, 5, 2]
    assert sweep.best().number == 3 and sweep.best().score == pytest.approx(0.15)
    assert best_command(sweep) == "backlit train line --epochs 2 --lr 0.2 --kind 'two words'"
    write_report(sweep)
    rows = list(csv.DictReader((sweep.folder / "results.csv").read_text().splitlines()))
    assert [(r["trial"], r["state"], r["seed"]) for r in rows] == [
        ("1", "finished", "0"), ("1", "finished", "1"), ("2", "diverged", ""),
        ("3", "finished", "0"), ("3", "finished", "1"), ("4", "pruned", "0"),
        ("5", "under way", "0"),
    ]  # fmt: skip
    assert float(rows[3]["val_loss"]) == 0.1 and rows[3]["kind"] == "two words"
    with Image.open(sweep.folder / "report.png") as image:
        assert image.size[0] > 1000  # three panels side by side
    sweep.trials = sweep.trials[1:2]
    assert sweep.best() is None and best_command(sweep) == ""


def command(*words):
    result = CliRunner().invoke(app, ["sweep", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command_sweeps_and_resumes(tmp_path):
    words = ["digits", "--smoke", "--over", "lr=0.001..0.01", "--seeds", "0", "--budget", 1]
    code, output = command(*words, "--batch-size", 250, "--sweeps", tmp_path)
    assert code == 0, output
    lines = output.splitlines()
    assert lines[1].startswith("trial 1/1  lr 0.0") and "1 finished" in output
    best = json.loads((tmp_path / "digits" / "trials.jsonl").read_text())["params"]["lr"]
    train = f"  backlit train digits --smoke --epochs 1 --batch-size 250 --lr {best}"
    assert lines[-1] == train
    files = {"sweep.json", "trials.jsonl", "results.csv", "report.png"}
    assert {file.name for file in (tmp_path / "digits").iterdir()} == files
    code, output = command("--resume", "--budget", 2, "--minutes", 1e-6, "--sweeps", tmp_path)
    assert code == 0 and f"go on with: backlit sweep --resume digits --sweeps {tmp_path}" in output
    assert "chosen on 10 % of the training part; the held-out part was not used" in output
    code, output = command("--resume", "--budget", 2, "--test", "--sweeps", tmp_path)
    assert code == 0 and "2 finished" in output
    assert f"trial {scored_trial(tmp_path)} on the held-out part, after the whole" in output


def scored_trial(sweeps):
    """The number of the trial that was scored on the test part."""
    return json.loads((sweeps / "digits" / "test.json").read_text())["number"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["digits"], 2),
        (["digits", "--over", "width=1,2"], 2),
        (["nothing", "--over", "lr=1,2"], 2),
        (["digits", "--over", "lr=1,2", "--seeds", "a"], 2),
        (["digits", "--over", "lr=1,2", "--validation", "1"], 2),
        (["digits", "--over", "lr=1,2", "--validation", "0", "--test"], 2),
        (["--resume"], 1),
    ],
)
def test_wrong_usage_leaves_nothing(tmp_path, words, code):
    found, output = command(*words, "--sweeps", tmp_path / "none")
    assert found == code and output.startswith(("sweep: ", "train: ")), output
    assert not (tmp_path / "none").exists()


def test_an_interruption_reports_and_one_before_any_trial_leaves_no_folder(tmp_path, monkeypatch):
    from backlit.train.sweep import command as subject

    def interrupted(sweep, **options):
        sweep.trials.extend(given)
        raise TrainingInterrupted("SIGINT", None, None)

    monkeypatch.setattr(subject, "run_sweep", interrupted)
    words = ["digits", "--over", "lr=0.1..1.0", "--sweeps", tmp_path]
    given = []
    code, output = command(*words)
    assert code == 130 and "interrupted" in output and not (tmp_path / "digits").exists()
    given = [Trial(1, {"lr": 0.1}, "finished", [SeedRun(0, 0.9, [0.9], 1.0)])]
    code, output = command(*words)
    assert code == 130 and "1 finished" in output and "--lr 0.1" in output
    assert "go on with: backlit sweep --resume digits" in output
    assert (tmp_path / "digits" / "results.csv").exists()


def test_without_optuna_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(NotAvailable, match=r"pip install 'backlit\[sweep\]'"):
        open_sweep("digits", {}, over=["lr=0.1..1"], sweeps=tmp_path)
