"""Schedules that multiply the rate before by a factor: steps, ramps and decays.

`ratio(t)` is lr_t / lr_(t-1) and `scale(t)` is lr_t / initial_lr, for jumps. Because only ratios
are applied, these schedules can be chained, and a rate set by hand is respected. Next:
annealing.py.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.optim.lr_scheduler.base import LRScheduler, Rate, saved_callable
from backlit.optim.optimizer import Optimizer


class _RatioLR(LRScheduler):
    """A schedule given by the ratio of successive rates."""

    def ratio(self, t: int) -> float:
        raise NotImplementedError

    def scale(self, t: int) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        ratio = self.ratio(self.last_epoch)
        return [group["lr"] * ratio for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Rate]:
        scale = self.scale(self.last_epoch)
        return [base * scale for base in self.base_lrs]


class StepLR(_RatioLR):
    """The rate times gamma every `step_size` epochs.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.StepLR(opt, step_size=2, gamma=0.5)
    >>> for _ in range(4): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ArgumentError(f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        return self.gamma if t and t % self.step_size == 0 else 1.0

    def scale(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)


class MultiStepLR(_RatioLR):
    """The rate times gamma at each milestone.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.MultiStepLR(opt, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(2): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        return self.gamma ** self.milestones[t] if t in self.milestones else 1.0

    def scale(self, t: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), t)

    def state_dict(self) -> dict[str, Any]:
        """As the base; the milestones as a plain dict of their counts."""
        return {**super().state_dict(), "milestones": dict(self.milestones)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As the base; milestones whose numbers became text in a JSON file are read back."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(t): int(n) for t, n in self.milestones.items()})


class ConstantLR(_RatioLR):
    """The rate times `factor` until epoch `total_iters`, then the whole rate.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.ConstantLR(opt, factor=0.5, total_iters=1)
    >>> first = schedule.get_last_lr(); opt.step(); schedule.step(); first, schedule.get_last_lr()
    ([0.5], [1.0])
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ArgumentError(f"ConstantLR: factor must be in [0, 1], got {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        if t == 0:
            return self.factor
        return 1.0 / self.factor if t == self.total_iters else 1.0

    def get_lr(self) -> list[Rate]:
        if self.factor == 0 and self.last_epoch == self.total_iters:  # no ratio leads out of 0
            return self._get_closed_form_lr()
        return super().get_lr()

    def scale(self, t: int) -> float:
        return 1.0 if t >= self.total_iters else self.factor


class LinearLR(_RatioLR):
    """The rate times a factor that goes from `start_factor` to `end_factor` in `total_iters`.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.LinearLR(opt, start_factor=0.5, total_iters=2)
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ArgumentError(f"LinearLR: start_factor must be in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ArgumentError(f"LinearLR: end_factor must be in [0, 1], got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        if t == 0:
            return self.start_factor
        if self._is_initial or t > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)

    def scale(self, t: int) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, t) / self.total_iters


class ExponentialLR(_RatioLR):
    """The rate times gamma every epoch.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.ExponentialLR(opt, gamma=0.5)
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        return 1.0 if self._is_initial else self.gamma

    def scale(self, t: int) -> float:
        return self.gamma**t


class PolynomialLR(_RatioLR):
    """The rate times (1 - t / total_iters)^power, zero from epoch `total_iters` on.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.PolynomialLR(opt, total_iters=4, power=2)
    >>> for _ in range(2): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        if self._is_initial or t > self.total_iters:
            return 1.0
        left, left_before = 1.0 - t / self.total_iters, 1.0 - (t - 1) / self.total_iters
        return float((left / left_before) ** self.power)

    def scale(self, t: int) -> float:
        return float((1.0 - min(self.total_iters, t) / self.total_iters) ** self.power)


class _LambdaRates(LRScheduler):
    """A user's function of the epoch for each group, or one for all."""

    lr_lambdas: list[Callable[[int], float]]
    _unsaved = (*LRScheduler._unsaved, "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        name, count = type(self).__name__, len(optimizer.param_groups)
        many = isinstance(lr_lambda, (list, tuple))
        self.lr_lambdas = list(lr_lambda) if many else [lr_lambda] * count  # type: ignore[arg-type,list-item]
        if len(self.lr_lambdas) != count:
            raise ArgumentError(f"{name}: expected {count} lr_lambdas, got {len(self.lr_lambdas)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise ArgumentTypeError(
                    f"{name}: lr_lambda must be a function, got {type(function).__name__}"
                )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As the base; of callable objects the attributes, of functions nothing."""
        return {**super().state_dict(), "lr_lambdas": [saved_callable(f) for f in self.lr_lambdas]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As the base; functions stay those that the schedule was made with."""
        rest = dict(state_dict)
        for function, saved in zip(self.lr_lambdas, rest.pop("lr_lambdas")):
            if saved is not None:
                vars(function).update(saved)
        super().load_state_dict(rest)


class LambdaLR(_LambdaRates):
    """The initial rate times `lr_lambda(epoch)`.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.LambdaLR(opt, lambda epoch: 1 / (1 + epoch))
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(_LambdaRates):
    """The rate before times `lr_lambda(epoch)`.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.lr_scheduler.MultiplicativeLR(opt, lambda epoch: 0.5)
    >>> for _ in range(2): opt.step(); schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        if self._is_initial:
            return self._rates()
        groups = self.optimizer.param_groups
        return [group["lr"] * f(self.last_epoch) for group, f in zip(groups, self.lr_lambdas)]
