"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.optim.lr_scheduler.base import LRScheduler, set_rate
from backlit.optim.lr_scheduler.plateau import ReduceLROnPlateau
from backlit.optim.optimizer import Optimizer


class _Composed(LRScheduler):
    """Keeps schedules of one optimizer, and saves theirs with its own state."""

    _schedulers: Sequence[LRScheduler]
    _unsaved = (*LRScheduler._unsaved, "_schedulers")

    def _restart(self) -> None:
        """Be at epoch 0, on the rates in use."""
        raise NotImplementedError

    def _initial_step(self) -> None:
        self._restart()

    def _update_lr(self, epoch: int | None = None) -> None:
        """Its turn in a sequence has come."""
        for group in self.optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        self._restart()

    def state_dict(self) -> dict[str, Any]:
        """As the base, with the states of the schedules it is made of."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As the base, for each of the schedules too."""
        rest = dict(state_dict)
        saved = rest.pop("_schedulers")
        if len(saved) != len(self._schedulers):
            raise ArgumentError(
                f"{type(self).__name__}: the state has {len(saved)} schedules, expected"
                f" {len(self._schedulers)}"
            )
        for scheduler, state in zip(self._schedulers, saved):
            scheduler.load_state_dict(state)
        super().load_state_dict(rest)

    def _check(self, optimizer: Optimizer | None, schedulers: Sequence[Any]) -> Optimizer:
        name = type(self).__name__
        if not schedulers:
            raise ArgumentError(f"{name}: expected at least one schedule, got none")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise ArgumentTypeError(
                    f"{name}: schedule {i} is a {type(scheduler).__name__}, which has no optimizer"
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ArgumentError(
                    f"{name}: schedule {i} is a ReduceLROnPlateau, whose step needs a metric"
                )
            optimizer = optimizer or scheduler.optimizer
            if scheduler.optimizer is not optimizer:
                raise ArgumentError(f"{name}: schedule {i} belongs to another optimizer")
        assert optimizer is not None
        return optimizer


class SequentialLR(_Composed):
    """One schedule after the other: the next takes over at each milestone, at its own start.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> warm = bl.optim.lr_scheduler.LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> decay = bl.optim.lr_scheduler.ExponentialLR(opt, gamma=0.1)
    >>> schedule = bl.optim.lr_scheduler.SequentialLR(opt, [warm, decay], milestones=[2])
    >>> for _ in range(3): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones,"
                f" got {len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        for scheduler in schedulers:
            scheduler.last_epoch -= 1  # making a schedule steps it once; they begin later
        self._begin()
        self.last_epoch = last_epoch + 1

    def _restart(self) -> None:
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
        self._begin()

    def _begin(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """One step of the schedule whose turn it is."""
        if epoch is not None:
            raise ArgumentTypeError("SequentialLR: step takes no epoch")
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composed):
    """All schedules at every step, each on the rates that the one before it left.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> half = bl.optim.lr_scheduler.ConstantLR(opt, factor=0.5, total_iters=4)
    >>> decay = bl.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5)
    >>> schedule = bl.optim.lr_scheduler.ChainedScheduler([half, decay])
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self.optimizer = self._check(optimizer, schedulers)
        self._schedulers = schedulers
        self.last_epoch = 0
        self._last_lr = self._rates()

    def _restart(self) -> None:
        self.last_epoch = 0
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
            scheduler._initial_step()
        self._last_lr = self._rates()

    def step(self, epoch: int | None = None) -> None:
        """One step of every schedule."""
        if epoch is not None:
            raise ArgumentTypeError("ChainedScheduler: step takes no epoch")
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()
