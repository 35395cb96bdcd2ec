"""Cosine schedules: half a wave down, and the same with warm restarts. Next: cyclic.py."""

from __future__ import annotations

import math

from backlit.errors import ArgumentError
from backlit.optim.lr_scheduler.base import LRScheduler, Rate
from backlit.optim.optimizer import Optimizer


def cosine(start: Rate, end: Rate, share: float) -> Rate:
    """From start (share 0) to end (share 1) along half a cosine wave."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class CosineAnnealingLR(LRScheduler):
    """From the initial rate to `eta_min` in `T_max` epochs along half a cosine wave, and back.

    Applied as a ratio to the rate before, so that it can be chained. Loshchilov and Hutter 2017.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=2)
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max == 0:
            raise ArgumentError("CosineAnnealingLR: T_max must not be 0")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        t, half = self.last_epoch, self.T_max
        if self._is_initial:
            return self._rates()
        if self._step_count == 1 and t > 0:
            return self._get_closed_form_lr()
        groups, low = self.optimizer.param_groups, self.eta_min
        if (t - 1 - half) % (2 * half) == 0:  # the ratio at the trough is 0 / 0
            rise = (1 - math.cos(math.pi / half)) / 2
            return [g["lr"] + (base - low) * rise for g, base in zip(groups, self.base_lrs)]
        ratio = (1 + math.cos(math.pi * t / half)) / (1 + math.cos(math.pi * (t - 1) / half))
        return [low + ratio * (group["lr"] - low) for group in groups]

    def _get_closed_form_lr(self) -> list[Rate]:
        share = self.last_epoch / self.T_max
        return [cosine(base, self.eta_min, share) for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Down to `eta_min` along half a cosine wave in T_0 epochs, then again in T_mult times as many.

    `step(epoch)` takes fractions of an epoch, as PyTorch does. Loshchilov and Hutter 2017 (SGDR).

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=2)
    >>> for _ in range(3): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(
                    f"CosineAnnealingWarmRestarts: {name} must be a whole number of at least 1,"
                    f" got {value}"
                )
        if not isinstance(eta_min, (float, int)):
            raise ArgumentError(
                f"CosineAnnealingWarmRestarts: eta_min must be a number, got {eta_min!r}"
            )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        return [cosine(base, self.eta_min, self.T_cur / self.T_i) for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """One epoch on, or to `epoch`, which may be a fraction: epoch + batch / batches."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ArgumentError(
                f"CosineAnnealingWarmRestarts: epoch must be at least 0, got {epoch}"
            )
        else:
            self._find_restart(epoch)
        self.last_epoch = math.floor(epoch)
        with self._asked_by_step():
            self._set_lr(self.get_lr())

    def _find_restart(self, epoch: float) -> None:
        """The wave that `epoch` falls into: its length and how far it has come."""
        self.T_i, self.T_cur = self.T_0, epoch
        if epoch < self.T_0:
            return
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
            return
        n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        self.T_cur = epoch - self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
        self.T_i = self.T_0 * self.T_mult**n
