"""Schedules that move rate and momentum against each other: CyclicLR and OneCycleLR.

The momentum is `momentum` or the first of `betas`, whichever the optimizer has. Next: plateau.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from backlit.errors import ArgumentError
from backlit.optim.lr_scheduler.annealing import cosine
from backlit.optim.lr_scheduler.base import (
    LRScheduler,
    Rate,
    check_anneal_strategy,
    check_optimizer,
    per_group,
    saved_callable,
    set_rate,
)
from backlit.optim.optimizer import Optimizer


def check_momentum(name: str, optimizer: Optimizer) -> bool:
    """Whether the momentum is the first of betas; an optimizer without either is refused."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ArgumentError(
            f"{name}: {type(optimizer).__name__} has neither momentum nor betas to cycle",
            hint="pass cycle_momentum=False",
        )
    return "betas" in optimizer.defaults


def set_momentum(group: dict[str, Any], momentum: float, use_beta1: bool) -> None:
    if use_beta1:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


class CyclicLR(LRScheduler):
    """Up from `base_lr` to `max_lr` in `step_size_up` batches and down again, over and over.

    `mode` shrinks the peaks: "triangular" not at all, "triangular2" by half each cycle,
    "exp_range" by gamma each batch; or give `scale_fn` of the cycle's number, or of the batch's
    with `scale_mode="iterations"`. The momentum runs the other way. Smith 2017.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0, momentum=0.9)
    >>> schedule = bl.optim.lr_scheduler.CyclicLR(opt, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    _unsaved = (*LRScheduler._unsaved, "_scale_fn_custom")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = check_optimizer(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ArgumentError(f"CyclicLR: unknown mode {mode!r} and no scale_fn")
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        if scale_fn is None:
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = check_momentum("CyclicLR", optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                set_rate(group, base_lrs[i])
                if cycle_momentum:
                    group["max_momentum"] = self.max_momentums[i]
                    group["base_momentum"] = self.base_momentums[i]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """Share of the full height at cycle or batch x."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return float(0.5 ** (x - 1))
        return float(self.gamma**x) if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        height = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            momentums = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums)
            for group, low, high in momentums:
                set_momentum(group, high - (high - low) * height, self.use_beta1)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        """As the base; of a callable object as scale_fn the attributes, of a function nothing."""
        return {**super().state_dict(), "_scale_fn_custom": saved_callable(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As the base; a scale_fn stays the one that the schedule was made with."""
        rest = dict(state_dict)
        saved = rest.pop("_scale_fn_custom", None)
        if saved is not None:
            vars(self._scale_fn_custom).update(saved)
        super().load_state_dict(rest)


class Phase(NamedTuple):
    """A stretch of the one cycle: its last step, and the group's keys it goes between."""

    end_step: float
    start_lr: str
    end_lr: str
    start_momentum: str
    end_momentum: str


class OneCycleLR(LRScheduler):
    """One rise from max_lr / div_factor to `max_lr` and one fall to nearly nothing, by batches.

    Give `total_steps`, or `epochs` and `steps_per_epoch`. The momentum runs the other way.
    `three_phase` falls to the initial rate first. Stepping past the end: ValueError. Smith and
    Topin 2019.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0, momentum=0.9)
    >>> schedule = bl.optim.lr_scheduler.OneCycleLR(opt, max_lr=1.0, total_steps=11)
    >>> for _ in range(10): opt.step(); schedule.step()
    >>> round(schedule.get_last_lr()[0], 8)
    4e-06
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = check_optimizer(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start must be a float in [0, 1], got {pct_start}")
        self._anneal_func_type = check_anneal_strategy(anneal_strategy)
        self._schedule_phases = _phases(pct_start * self.total_steps, self.total_steps, three_phase)
        max_lrs = per_group("max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = check_momentum("OneCycleLR", optimizer)
            bases = per_group("base_momentum", optimizer, base_momentum)
            peaks = per_group("max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["initial_lr"] = max_lrs[i] / div_factor
                group["max_lr"] = max_lrs[i]
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    set_momentum(group, peaks[i], self.use_beta1)
                    group["max_momentum"], group["base_momentum"] = peaks[i], bases[i]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {self.last_epoch} of a schedule of {self.total_steps} steps",
                hint="step once a batch, and count total_steps in batches",
            )
        phase, share = self._where()
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase.start_lr], group[phase.end_lr], share))
            if self.cycle_momentum:
                ends = group[phase.start_momentum], group[phase.end_momentum]
                set_momentum(group, self._between(*ends, share), self.use_beta1)
        return rates

    def _where(self) -> tuple[Phase, float]:
        """The phase of this step, and how much of it has passed."""
        start = 0.0
        for entry in self._schedule_phases[:-1]:
            if self.last_epoch <= entry.end_step:
                break
            start = entry.end_step
        else:
            entry = self._schedule_phases[-1]
        return entry, (self.last_epoch - start) / (entry.end_step - start)

    def _between(self, start: Any, end: Any, share: float) -> Any:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return cosine(start, end, share)

    def state_dict(self) -> dict[str, Any]:
        """As the base; the phases as dicts, PyTorch's layout."""
        phases = [phase._asdict() for phase in self._schedule_phases]
        return {**super().state_dict(), "_schedule_phases": phases}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As the base."""
        super().load_state_dict(state_dict)
        self._schedule_phases = [Phase(**phase) for phase in state_dict["_schedule_phases"]]


def _total_steps(total: Any, epochs: Any, steps_per_epoch: Any) -> int:
    given = {"total_steps": total}
    if total is None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        if epochs is None or steps_per_epoch is None:
            raise ArgumentError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
    for name, value in given.items():
        if not isinstance(value, int) or value <= 0:
            raise ArgumentError(f"OneCycleLR: {name} must be a positive whole number, got {value}")
    return math.prod(given.values())


def _phases(rise: float, total: int, three: bool) -> list[Phase]:
    up = Phase(rise - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three:
        return [up, Phase(total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    return [
        up,
        Phase(2 * rise - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
        Phase(total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
    ]
