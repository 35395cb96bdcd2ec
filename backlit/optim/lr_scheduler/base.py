"""The base of all learning-rate schedules: counting steps, writing rates, saving the count.

A schedule says by `get_lr` what the rates become at `last_epoch`; most are a factor on the rate
before (decay.py), so that several of them can be chained. Knows nothing of how optimizers work
beyond `param_groups`. Next: decay.py.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.optim.optimizer import Optimizer
from backlit.tensor import Tensor

Rate = float | Tensor


class LRScheduler:
    """Base of all schedules: `step()` once an epoch (or batch), after the optimizer's.

    A subclass gives `get_lr()`, the rates at `last_epoch`, one for each parameter group. With
    `last_epoch` other than -1 the groups must hold the "initial_lr" of the run that is resumed
    (KeyError).

    >>> class Halving(bl.optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2 ** self.last_epoch for base in self.base_lrs]
    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = Halving(opt)
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    optimizer: Optimizer
    base_lrs: list[Rate]
    last_epoch: int
    _last_lr: list[Rate]
    _step_count: int
    _is_initial = False
    _get_lr_called_within_step = False
    _unsaved: tuple[str, ...] = ("optimizer", "_is_initial", "_get_lr_called_within_step")

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = check_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param_groups[{i}] has no 'initial_lr', which last_epoch={last_epoch} needs:"
                    " load the optimizer's state first, or leave last_epoch at -1"
                )
        self.base_lrs = [_copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> Sequence[Rate]:
        """The rates at `last_epoch`; called by `step`."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr()")

    def get_last_lr(self) -> list[Rate]:
        """The rates that the last step set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Set the next rates; `epoch`, a jump to that step, is deprecated as in PyTorch."""
        if self._step_count == 1 and not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first rate of the"
                " schedule is skipped",
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warn_epoch()
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        closed = getattr(self, "_get_closed_form_lr", None)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        with self._asked_by_step():
            self._set_lr(self.get_lr() if epoch is None or closed is None else closed())

    @contextmanager
    def _asked_by_step(self) -> Iterator[None]:
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn("get_lr() is for step(): the rate in use is get_last_lr()", stacklevel=3)

    def _set_lr(self, rates: Sequence[Rate]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr = self._rates()

    def _rates(self) -> list[Rate]:
        return [_copied(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as plain values.

        >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
        >>> bl.optim.lr_scheduler.ExponentialLR(opt, 0.5).state_dict()["last_epoch"]
        0
        """
        return {name: value for name, value in vars(self).items() if name not in self._unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a saved state; the optimizer's own state holds the rates in use."""
        vars(self).update(state_dict)


def check_optimizer(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(f"expected an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def set_rate(group: dict[str, Any], rate: Rate, name: str = "lr") -> None:
    """Write a number; a Tensor in the group is refilled and stays the same Tensor."""
    if isinstance(group[name], Tensor):
        group[name].fill_(float(rate))
    else:
        group[name] = rate


def _copied(rate: Rate) -> Rate:
    return rate.clone() if isinstance(rate, Tensor) else rate


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each parameter group: a list of as many, or one for all."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [_copied(value) for _ in range(count)]
    if len(value) != count:
        raise ArgumentError(
            f"{name} must have one value for each of the {count} parameter groups, got {len(value)}"
        )
    return list(value)


def warn_epoch() -> None:
    """What PyTorch says of `step(epoch)`."""
    warnings.warn(
        "the epoch argument of scheduler.step() is deprecated: call step() without it",
        stacklevel=3,
    )


def saved_callable(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """The attributes of a callable object; functions are code and are not saved."""
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(vars(function))


def check_anneal_strategy(strategy: str) -> str:
    if strategy not in ("cos", "linear"):
        raise ArgumentError(f"anneal_strategy must be 'cos' or 'linear', got {strategy!r}")
    return strategy
