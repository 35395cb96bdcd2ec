"""fit: the training loop, to be read from top to bottom.

Steps until a rule or a maximum ends it; around that validation, metrics, callbacks and
checkpoints. What a step is, and how it is compiled, is steps.py's; what must survive a kill is
run.py's, how it gets to disk is checkpoint.py's.
"""

from __future__ import annotations

import copy
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import backlit as bl
from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    BacklitError,
    CheckpointError,
    DataError,
    DivergedError,
    TrainingInterrupted,
)
from backlit.files import sole_writer, sweep
from backlit.train.batches import Reader, checked
from backlit.train.callbacks import Callback
from backlit.train.checkpoint import Checkpoints
from backlit.train.history import History
from backlit.train.metrics import Mean, named_metrics
from backlit.train.progress import Progress, batches_of, choose
from backlit.train.run import (
    Limits,
    Run,
    Saving,
    check_finite,
    random_state,
    restore_random,
    run_folder,
)
from backlit.train.signals import StopSignals
from backlit.train.steps import Steps
from backlit.train.stop import EarlyStop, StopRule


def fit(
    model: Any,
    train_data: Iterable[Any],
    *,
    loss: Callable[..., Any],
    optimizer: Any,
    epochs: int = 1,
    val_data: Iterable[Any] | None = None,
    metrics: Any = None,
    scheduler: Any = None,
    scheduler_per_batch: bool = False,
    clip_grad_norm: float | None = None,
    early_stop: int | EarlyStop | None = None,
    stop: StopRule | Sequence[StopRule] = (),
    max_steps: int | None = None,
    max_seconds: float | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    run_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    checkpoint_every_epochs: int = 1,
    checkpoint_every_steps: int | None = None,
    checkpoint_every_seconds: float | None = 60.0,
    keep_checkpoints: int = 3,
    progress: bool | str | Progress | None = None,
) -> History:
    """Train `model` on batches `(inputs..., target)` until a rule or a maximum ends it.

    `loss(output, target)` gives the mean over the batch. With `run_dir` the run leaves
    metrics.jsonl and checkpoints there, and `resume=True` goes on from the latest as if never
    interrupted. Ctrl-C ends the step, saves, and raises TrainingInterrupted.
    Raises DivergedError at a NaN or infinite loss, DataError for empty or malformed batches.

    >>> model = nn.Linear(1, 1); x = bl.tensor([[0.0], [1.0]])
    >>> sgd = bl.optim.SGD(model.parameters(), lr=0.5)
    >>> rule = bl.train.GradientNorm(1e-3)
    >>> data = [(x, 2 * x + 1)]
    >>> history = bl.train.fit(model, data, loss=F.mse_loss, optimizer=sgd, epochs=1000,
    ...                        stop=[rule], progress=False)
    >>> history.stopped[:24], round(model(bl.tensor([[2.0]])).item(), 2)
    ('converged: gradient norm', 5.0)
    """
    rules = _listed(stop)
    if early_stop is not None:
        rules.append(early_stop if isinstance(early_stop, EarlyStop) else EarlyStop(early_stop))
    saving = None
    if run_dir is not None:
        folder = run_folder(run_dir)
        checkpoints = Checkpoints(folder / "checkpoints", keep=keep_checkpoints)
        every = (checkpoint_every_epochs, checkpoint_every_steps, checkpoint_every_seconds)
        saving = Saving(folder, checkpoints, *every)
    found = named_metrics(metrics)
    run = Run(
        model=model,
        optimizer=optimizer,
        loss=loss,
        train_data=train_data,
        val_data=val_data,
        scheduler=scheduler,
        scheduler_per_batch=scheduler_per_batch,
        clip_grad_norm=clip_grad_norm,
        rules=rules,
        callbacks=_listed(callbacks),
        train_metrics=found,
        val_metrics=copy.deepcopy(found),
        limits=Limits(epochs, max_steps, max_seconds),
        saving=saving,
        progress=choose(progress),
    )
    _check_arguments(run, resume)
    return train(run, resume)


def train(run: Run, resume: bool = False) -> History:
    """The loop of `fit` over a Run; nobody else writes in its folder meanwhile."""
    with nullcontext() if run.saving is None else sole_writer(run.saving.folder):
        return _train_alone(run, resume)


def _train_alone(run: Run, resume: bool) -> History:
    mode = run.model.training
    _begin(run, resume)
    with StopSignals() as signals:
        run.progress.start(run)
        try:
            steps = Steps(run)
            for callback in run.callbacks:
                callback.on_start(run)
            while run.goes_on():
                complete = _train_epoch(run, steps, signals)
                row = _measure(run, steps, signals, complete)
                _end_epoch(run, row, complete)
                if not complete:
                    break
            _finish(run)
        except Exception as error:
            _say_where(run, error)
            raise
        finally:
            run.model.train(mode)
            run.progress.close()
    return run.history


def _begin(run: Run, resume: bool) -> None:
    """Go to the latest checkpoint, or save the start: a refused write shows at once."""
    if run.saving is None:
        return
    checkpoints = run.saving.checkpoints
    sweep(run.saving.folder)
    found = checkpoints.latest(run.progress.message) if resume else None
    if found is not None:
        run.restore(found)
    elif checkpoints.names():
        raise ArgumentError(
            f"fit: {run.saving.folder} already holds a run",
            hint="resume=True goes on with it; else choose another run_dir",
        )
    else:
        run.save()
    run.history.write(run.saving.metrics)


def _train_epoch(run: Run, steps: Steps, signals: StopSignals) -> bool:
    """The batches of this epoch that are still to do; False if a maximum cut it short."""
    if run.trained or run.cut():
        return run.trained
    run.model.train()
    run.progress.epoch(run)
    if run.position.batch == 0:
        run.start_measures()
    started = time.perf_counter()
    reader = Reader(_remaining(run), run.position.batch)
    while chunks := reader.take(min(run.room(), steps.wanted())):
        for chunk in chunks:
            losses = steps.train(chunk)
            for loss in losses:
                run.train_loss.update(loss, chunk.size)
            run.batch_loss = losses[-1]
            now = time.perf_counter()
            run.advance(chunk.size * chunk.count, now - started, chunk.count)
            started = now
            for callback in run.callbacks:
                callback.on_batch(run)
        if signals.requested:
            _interrupt(run, signals)
        if run.cut():
            run.try_save()
            return False
        if run.saving is not None and run.saving.due(run.position.step):
            run.try_save()
    if run.position.batch == 0:
        raise _no_batches("train_data", run.train_data)
    return True


def _measure(run: Run, steps: Steps, signals: StopSignals, complete: bool) -> dict[str, Any]:
    """Validation, and the row of this epoch."""
    check_finite(run)
    if complete:
        run.before_validation()
    started = time.perf_counter()
    row: dict[str, Any] = {"epoch": run.position.epoch + 1, "train_loss": run.train_loss.compute()}
    row |= {f"train_{name}": metric.compute() for name, metric in run.train_metrics.items()}
    if run.val_data is not None:
        row["val_loss"] = _validate(run, steps, signals)
        row |= {f"val_{name}": metric.compute() for name, metric in run.val_metrics.items()}
    if run.watches_gradient:
        row["grad_norm"] = run.grad_norm.compute()
    spent = time.perf_counter() - started
    row["lr"] = float(run.optimizer.param_groups[0]["lr"])
    row["seconds"] = round(run.position.epoch_seconds + spent, 3)
    run.position.seconds += spent
    return row


def _validate(run: Run, steps: Steps, signals: StopSignals) -> float:
    """The mean loss over `val_data`, metrics gathered on the way."""
    assert run.val_data is not None
    for metric in run.val_metrics.values():
        metric.reset()
    mean = Mean()
    run.model.eval()
    with bl.no_grad():
        for number, batch in enumerate(run.val_data, 1):
            *inputs, target = checked(batch, number)
            loss, output = steps.evaluate(inputs, target)
            mean.update(loss, len(target))
            for metric in run.val_metrics.values():
                metric.update(output, target)
            if signals.requested:
                _interrupt(run, signals)
    if not mean.weight:
        raise _no_batches("val_data", run.val_data)
    return mean.compute()


def _end_epoch(run: Run, row: dict[str, Any], complete: bool) -> None:
    """Callbacks, rules, schedule, record. An epoch cut short stays open: no rule, no schedule."""
    for callback in run.callbacks:
        callback.on_epoch(run, row)
    if complete:
        for rule in run.rules:
            if reason := rule.reason(row):
                run.stop(reason)
        if run.scheduler is not None and not run.scheduler_per_batch:
            _schedule(run, row)
        run.next_epoch()
    run.history.append(row)
    run.progress.row(run, row)
    if run.saving is not None:
        due = complete and run.position.epoch % run.saving.every_epochs == 0
        run.try_save(history=True, checkpoint=due)


def _schedule(run: Run, row: dict[str, Any]) -> None:
    if isinstance(run.scheduler, bl.optim.lr_scheduler.ReduceLROnPlateau):
        run.scheduler.step(row.get("val_loss", row["train_loss"]))
    else:
        run.scheduler.step()


def _finish(run: Run) -> None:
    """The reason, the last save (this one must succeed), the last callbacks."""
    run.history.stopped = run.history.stopped or run.limit()
    for callback in run.callbacks:
        callback.on_end(run)
    if run.saving is not None:
        run.save()
        run.history.write(run.saving.metrics)


def _interrupt(run: Run, signals: StopSignals) -> None:
    """Save this moment, if there is a run_dir, and leave."""
    where = f"{signals.requested} in epoch {run.position.epoch + 1} after step {run.position.step}"
    try:
        saved = run.save()
        how = f"saved {saved}" if saved else "nothing saved, since there is no run_dir"
    except CheckpointError as error:
        saved, how = None, f"not saved: {error}"
    interrupted = TrainingInterrupted(f"{where}; {how}", saved, run.history)
    if run.saving is not None:
        interrupted.add_note("the same fit(...) with resume=True goes on from the last checkpoint")
    raise interrupted


def _remaining(run: Run) -> Iterator[Any]:
    """The batches of the epoch; after a resume those not seen yet."""
    if not run.position.batch or hasattr(run.train_data, "load_state_dict"):
        return iter(run.train_data)
    # Data without a position of its own is read again; that must not move the generators.
    before = random_state()
    batches = iter(run.train_data)
    for _ in itertools.islice(batches, run.position.batch):
        pass
    restore_random(before)
    return batches


def _no_batches(name: str, data: Any) -> DataError:
    samples = batches_of(getattr(data, "dataset", None))
    size = getattr(data, "batch_size", None)
    dropped = getattr(data, "drop_last", False) and samples
    return DataError(
        f"fit: {name} has no batches" + (f" ({samples} samples)" if samples is not None else ""),
        hint=f"drop_last leaves nothing of batches of {size}" if dropped else "give it samples",
    )


def _say_where(run: Run, error: Exception) -> None:
    """Every error tells how far the training was and what is safe."""
    if isinstance(error, DivergedError):
        return  # says it itself
    names = run.saving.checkpoints.names() if run.saving else []
    safe = f"; the last checkpoint is {names[-1]}" if names else ""
    epoch = min(run.position.epoch + 1, run.limits.epochs)
    note = f"fit: epoch {epoch}, after step {run.position.step}{safe}"
    if isinstance(error, BacklitError):
        error.where.append(note)
    else:
        error.add_note(note)


def _listed(one_or_more: Any) -> list[Any]:
    return list(one_or_more) if isinstance(one_or_more, Iterable) else [one_or_more]


def _check_arguments(run: Run, resume: bool) -> None:
    limits = run.limits
    if limits.epochs < 1:
        raise ArgumentError(f"fit: epochs={limits.epochs}: at least one is needed")
    numbers = {
        "max_steps": limits.steps,
        "max_seconds": limits.seconds,
        "clip_grad_norm": run.clip_grad_norm,
    }
    if run.saving is not None:
        for unit in ("epochs", "steps", "seconds"):
            numbers[f"checkpoint_every_{unit}"] = getattr(run.saving, f"every_{unit}")
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise ArgumentError(f"fit: {name}={value} must be above zero")
    if resume and run.saving is None:
        raise ArgumentError("fit: resume=True needs the run_dir of the run to go on with")
    for name, data in (("train_data", run.train_data), ("val_data", run.val_data)):
        if hasattr(data, "__next__"):
            raise ArgumentError(
                f"fit: {name} is an iterator, which can be read only once",
                hint="give a DataLoader or a list of batches",
            )
    for rule in run.rules:
        if not hasattr(rule, "reason"):
            raise ArgumentTypeError(
                f"fit: stop takes rules, got {type(rule).__name__}",
                hint="such as train.LossPlateau() or train.GradientNorm()",
            )
        key = str(getattr(rule, "key", ""))
        if run.val_data is None and key.startswith("val_"):
            raise ArgumentError(f"fit: {type(rule).__name__} watches {key}: give val_data")
    _check_optimizer(run)


def _check_optimizer(run: Run) -> None:
    for name, given, fits, expected in (
        ("loss", run.loss, callable(run.loss), "a function such as F.cross_entropy"),
        ("optimizer", run.optimizer, isinstance(getattr(run.optimizer, "param_groups", None), list),
         "one that is made, such as optim.SGD(model.parameters(), lr=0.1)"),
    ):  # fmt: skip
        if not fits:
            raise ArgumentTypeError(f"fit: {name}={given!r}", hint=f"give {expected}")
    known = {id(p) for p in run.model.parameters()}
    if not any(id(p) in known for g in run.optimizer.param_groups for p in g["params"]):
        raise ArgumentError(
            "fit: the optimizer holds none of the model's parameters",
            hint="make it with optim.SGD(model.parameters(), ...) after the model",
        )
