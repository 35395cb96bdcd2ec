"""How batches become steps: compiled, many of them in one native call, or eager.

Owns what a step is (forward, loss, backward, clipping, update) and the way back from a loss that
is no number. Which batches, and what happens between steps, is fit.py's; batches.py reads them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

import backlit as bl
from backlit.config import flags
from backlit.errors import ArgumentTypeError, BacklitError, DivergedError, ShapeError
from backlit.nn.utils import clip_grad_norm_
from backlit.tensor import Tensor, wrap
from backlit.train.batches import Chunk
from backlit.train.callbacks import Callback
from backlit.train.metrics import Accuracy, ConfusionMatrix
from backlit.train.run import Run, diverged
from backlit.train.stop import gradient_norm, squared_gradient

CALL_SECONDS = 0.06  # of one native call, so that Ctrl-C and progress come in time
GROWTH = 8
MOST_SHAPES = 6
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Steps:
    """The steps of one training."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pace = 0.0  # seconds a step took, the last time several ran together
        self.last = 1  # how many those were
        self.shapes: set[Any] = set()
        self.watched = any(type(c).on_batch is not Callback.on_batch for c in run.callbacks)
        self.numbers = _Numbers(run) if run.scheduler and run.scheduler_per_batch else None
        self.compiled = self.evaluation = None
        if flags.compile and not self._refuse(_cause(run)):
            self.compiled = bl.compile(_train_step(run, self.numbers, self.watched))
            self.evaluation = bl.compile(_evaluation(run))

    def wanted(self) -> int:
        """How many batches the next native call should take."""
        if self.compiled is None or self.watched or not self.pace:
            return 1
        return max(1, min(GROWTH * self.last, int(CALL_SECONDS / self.pace)))

    # ----- training -----

    def train(self, chunk: Chunk) -> list[float]:
        """Run the steps of a chunk; returns their losses. Raises DivergedError before the update
        of the step that left the finite numbers."""
        if self.compiled is not None:
            self._check(chunk)
        if self.compiled is None:
            return [self._eager(*chunk.split(j)) for j in range(chunk.count)]
        before = _Snapshot(self.run)
        numbers = self.numbers.rows(chunk.count) if self.numbers else None
        began = time.perf_counter()
        try:
            found = self._native(chunk, numbers)
        except Exception as error:
            before.restore()
            return self._give_up(chunk, numbers, error)
        self._learn(chunk, time.perf_counter() - began)
        bad = _first_bad(found)
        if bad is not None:
            before.restore()
            self._stop_at(bad, chunk, found, numbers)
        if self.numbers:
            self.numbers.settle()
        return self._gather(chunk, found)

    def _native(self, chunk: Chunk, numbers: np.ndarray | None) -> dict[str, Any]:
        """The results of a chunk's steps, each with an axis of steps in front."""
        assert self.compiled is not None
        rows = [] if numbers is None else [bl.from_numpy(numbers[: chunk.count])]
        if chunk.count > 1:
            many: dict[str, Any] = self.compiled.loop(*rows, *chunk.parts)
            return many
        found = self.compiled(*(r[0] for r in rows), *chunk.batch(0))
        return {name: _tree(value, _with_axis) for name, value in found.items()}

    def _gather(self, chunk: Chunk, found: dict[str, Any]) -> list[float]:
        run = self.run
        if "output" in found:
            self._measure(chunk, found["output"])
        for norm in found["gradient"].tolist() if "gradient" in found else ():
            run.grad_norm.update(norm)
        losses: list[float] = found["loss"].tolist()
        return losses

    def _measure(self, chunk: Chunk, output: Any) -> None:
        for metric in self.run.train_metrics.values():
            counts = type(metric) in (Accuracy, ConfusionMatrix) and isinstance(output, Tensor)
            if counts and not chunk.single:
                metric.update(output.flatten(0, 1), chunk.parts[-1].flatten(0, 1))
                continue
            for j in range(chunk.count):
                metric.update(_tree(output, itemgetter(j)), chunk.batch(j)[-1])

    def _stop_at(self, bad: int, chunk: Chunk, found: dict[str, Any], numbers: Any) -> None:
        """Do the steps before the bad one, and that one eagerly, which says what is wrong."""
        if bad:
            self._gather(chunk.first(bad), self._native(chunk.first(bad), numbers))
            self.run.advance(bad * chunk.size, 0.0, bad)
        if numbers is not None and self.numbers:
            self.numbers.set(numbers[bad])
        self._eager(*chunk.split(bad))
        what, value = _culprit(found, bad)  # eager mode was just within the finite numbers
        raise self._diverged(f"{what} is {value}")

    def _learn(self, chunk: Chunk, seconds: float) -> None:
        """The pace, from calls that compiled nothing."""
        shape = chunk.shapes
        if shape in self.shapes:
            self.pace, self.last = seconds / chunk.count, chunk.count
        self.shapes.add(shape)

    def _eager(self, inputs: Sequence[Any], target: Any) -> float:
        """One step, operator by operator."""
        run = self.run
        first: list[Any] = []

        def closure() -> Any:
            run.optimizer.zero_grad()
            output = run.model(*inputs)
            loss = run.loss(output, target)
            check_loss(loss)
            value = float(loss.item())
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value}")
            loss.backward()
            if not first:  # LBFGS asks several times
                first.extend((value, output))
                if run.watches_gradient:
                    run.grad_norm.update(gradient_norm(run.optimizer))
            if run.clip_grad_norm is not None:
                norm = float(clip_grad_norm_(run.model.parameters(), run.clip_grad_norm))
                if not math.isfinite(norm):
                    raise self._diverged(f"the gradient norm is {norm}")
            return loss

        run.optimizer.step(closure)
        if run.scheduler is not None and run.scheduler_per_batch:
            run.scheduler.step()
        for metric in run.train_metrics.values():
            metric.update(first[1], target)
        return float(first[0])

    def _diverged(self, what: str) -> DivergedError:
        return diverged(self.run, what, self.run.position.step + 1)

    # ----- validation -----

    def evaluate(self, inputs: Sequence[Any], target: Any) -> tuple[float, Any]:
        """The loss and the output of a batch, without gradients."""
        if self.evaluation is not None and _are_tensors((*inputs, target)):
            try:
                found = self.evaluation(*inputs, target)
                return float(found["loss"].item()), found["output"]
            except Exception as error:
                reason = error
            output = self.run.model(*inputs)
            loss = float(self.run.loss(output, target).item())
            self.evaluation = None
            self._say(f"validation runs eagerly: {reason}")
            return loss, output
        output = self.run.model(*inputs)
        return float(self.run.loss(output, target).item()), output

    # ----- falling back -----

    def _check(self, chunk: Chunk) -> None:
        if not _are_tensors(chunk.parts):
            self._refuse("a batch holds more than tensors")
        elif len(self.shapes | {chunk.shapes}) > MOST_SHAPES:
            self._refuse(f"batches come in more than {MOST_SHAPES} shapes")

    def _give_up(self, chunk: Chunk, numbers: Any, error: Exception) -> list[float]:
        """What can't be compiled runs eagerly; an error of the user's shows up there again."""
        if numbers is not None and self.numbers:
            self.numbers.back()
        losses = [self._eager(*chunk.split(j)) for j in range(chunk.count)]
        self._refuse(str(error) if isinstance(error, BacklitError) else repr(error))
        return losses

    def _refuse(self, reason: str) -> bool:
        """Run eagerly from now on, and say so once."""
        if reason:
            self.compiled = self.evaluation = None
            self._say(f"fit runs its steps eagerly: {reason}")
        return bool(reason)

    def _say(self, text: str) -> None:
        self.run.progress.message(text)


def check_loss(loss: Any) -> None:
    """Refuse what can't be a loss."""
    if not isinstance(loss, Tensor):
        raise ArgumentTypeError(f"fit: the loss is a {type(loss).__name__}, expected a Tensor")
    if loss.numel() != 1:
        raise ShapeError(
            f"fit: the loss has shape {tuple(loss.shape)}, expected one number",
            hint="take its mean over the batch",
        )


def _train_step(run: Run, numbers: _Numbers | None, keeps: bool) -> Callable[..., dict[str, Any]]:
    """The step that is compiled. It must not see the Run, whose numbers change all the time."""
    model, loss_of, optimizer = run.model, run.loss, run.optimizer
    clip, watches, measured = run.clip_grad_norm, run.watches_gradient, bool(run.train_metrics)
    cells = numbers.cells if numbers else ()

    def step(*batch: Tensor) -> dict[str, Any]:
        if cells:
            with bl.no_grad():
                for i, cell in enumerate(cells):
                    cell.copy_(batch[0][i])
        *inputs, target = batch[1:] if cells else batch
        optimizer.zero_grad()
        output = model(*inputs)
        loss = loss_of(output, target)
        check_loss(loss)
        loss.backward()
        found = {"loss": loss.detach().reshape(())}
        if measured:
            found["output"] = _tree(output, Tensor.detach)
        if watches:
            found["gradient"] = squared_gradient(optimizer).sqrt()
        if clip is not None:
            found["norm"] = clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if not keeps:  # nobody looks at gradients between steps
            optimizer.zero_grad()
        return found

    return step


def _evaluation(run: Run) -> Callable[..., dict[str, Any]]:
    model, loss_of = run.model, run.loss

    def evaluate(*batch: Tensor) -> dict[str, Any]:
        *inputs, target = batch
        output = model(*inputs)
        return {"loss": loss_of(output, target), "output": output}

    return evaluate


def _cause(run: Run) -> str:
    """Why the steps of this run can't be compiled, as far as one sees it beforehand."""
    if isinstance(run.optimizer, bl.optim.LBFGS):
        return "LBFGS evaluates the loss several times in a step"
    for name, module in run.model.named_modules():
        if any(getattr(module, hooks, None) for hooks in HOOKS):
            place = f"{type(module).__name__} {name}".strip()
            return f"{place} has a hook, which may be more than arithmetic"
    return ""


class _Numbers:
    """Rates that a scheduler changes at every batch, worked out for several steps ahead."""

    NAMES = ("lr", "momentum", "betas")

    def __init__(self, run: Run) -> None:
        self.optimizer, self.scheduler = run.optimizer, run.scheduler
        self.names = [
            (group, name) for group in run.optimizer.param_groups for name in self.NAMES
            if name in group
        ]  # fmt: skip
        self.cells = [cell for group, name in self.names for cell in group.cells(name)]
        self._before: Any = None

    def rows(self, steps: int) -> np.ndarray:
        """The numbers of so many steps; the scheduler has then taken them."""
        self._before = self.scheduler.state_dict(), [group[name] for group, name in self.names]
        found = np.empty((steps, len(self.cells)))
        self.optimizer._opt_called = True
        for j in range(steps):
            found[j] = [float(n) for group, name in self.names for n in _numbers(group[name])]
            self.scheduler.step()
        return found

    def set(self, row: np.ndarray) -> None:
        """Write one row into the groups."""
        left = iter(row.tolist())
        for group, name in self.names:
            many = isinstance(group[name], tuple | list)
            group[name] = tuple(next(left) for _ in group[name]) if many else next(left)

    def settle(self) -> None:
        """Bring the cells to where the scheduler stands; the steps left them at the last row."""
        for group, name in self.names:
            group[name] = group[name]

    def back(self) -> None:
        """As it was before the last `rows`."""
        state, values = self._before
        self.scheduler.load_state_dict(state)
        for (group, name), value in zip(self.names, values):
            group[name] = value


class _Snapshot:
    """The tensors of a training and its generator, to go back to."""

    def __init__(self, run: Run) -> None:
        kept = [t for state in run.optimizer.state.values() for t in state.values()]
        tensors = [*run.model.parameters(), *run.model.buffers(), *kept]
        self.arrays = [(t, t.array) for t in tensors if isinstance(t, Tensor)]
        self.random = bl.get_rng_state()

    def restore(self) -> None:
        with bl.no_grad():
            for tensor, array in self.arrays:
                if tensor.array is not array:
                    tensor.copy_(bl.from_numpy(array))
        bl.set_rng_state(self.random)


def _numbers(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _are_tensors(parts: Sequence[Any]) -> bool:
    return all(isinstance(p, Tensor) for p in parts)


def _first_bad(found: dict[str, Any]) -> int | None:
    """The first step whose loss, or norm of the gradient, is no finite number."""
    watched = [found[name].numpy() for name in ("loss", "norm") if name in found]
    fine = np.logical_and.reduce([np.isfinite(w) for w in watched])
    return None if fine.all() else int(fine.argmin())


def _culprit(found: dict[str, Any], j: int) -> tuple[str, float]:
    loss = float(found["loss"][j].item())
    if math.isfinite(loss):
        return "the gradient norm", float(found["norm"][j].item())
    return "the loss", loss


def _with_axis(tensor: Tensor) -> Tensor:
    return wrap(tensor.array[None])


def _tree(value: Any, function: Callable[[Tensor], Any]) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {k: _tree(v, function) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_tree(v, function) for v in value))
    if isinstance(value, tuple | list):
        return type(value)(_tree(v, function) for v in value)
    return value
