"""Averages of weights over training: AveragedModel, EMA, update_bn, SWALR.

`AveragedModel` is PyTorch's, a second model that holds the average; `EMA` keeps the averages
beside one model and lends them to it. Polyak and Juditsky 1992; Izmailov et al. 2018 (SWA).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn.module import Module
from backlit.optim.apply import Arrays, apply
from backlit.optim.lr_scheduler.base import (
    LRScheduler,
    Rate,
    check_anneal_strategy,
    per_group,
)
from backlit.optim.maths import moving_average
from backlit.optim.optimizer import Optimizer
from backlit.state import state
from backlit.tensor import Tensor

AverageFunction = Callable[[Tensor, Tensor, Any], Tensor]
MultiAverageFunction = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def _check_decay(decay: float) -> float:
    if not 0 <= decay <= 1:
        raise ArgumentError(f"decay must be in [0, 1], got {decay}")
    return decay


def get_ema_avg_fn(decay: float = 0.999) -> AverageFunction:
    """The function average, value, count -> decay average + (1 - decay) value.

    >>> average = bl.optim.swa_utils.get_ema_avg_fn(0.75)
    >>> average(bl.zeros(1), bl.ones(1), 1).tolist()
    [0.25]
    """
    _check_decay(decay)

    def ema(average: Tensor, value: Tensor, count: Any) -> Tensor:
        with bl.no_grad():
            return decay * average + (1 - decay) * value

    return ema


def get_swa_avg_fn() -> AverageFunction:
    """The function average, value, count -> mean of value and the `count` values before.

    >>> bl.optim.swa_utils.get_swa_avg_fn()(bl.zeros(1), bl.ones(1), 1).tolist()
    [0.5]
    """

    def swa(average: Tensor, value: Tensor, count: Any) -> Tensor:
        with bl.no_grad():
            return average + (value - average) / (count + 1)

    return swa


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverageFunction:
    """As `get_ema_avg_fn`, in place on a list of averages.

    >>> averages = [bl.zeros(1)]
    >>> bl.optim.swa_utils.get_ema_multi_avg_fn(0.75)(averages, [bl.ones(1)], 1)
    >>> averages[0].tolist()
    [0.25]
    """
    return _ema_in_place(_check_decay(decay))


def get_swa_multi_avg_fn() -> MultiAverageFunction:
    """As `get_swa_avg_fn`, in place on a list of averages.

    >>> averages = [bl.zeros(1)]
    >>> bl.optim.swa_utils.get_swa_multi_avg_fn()(averages, [bl.ones(1)], 1)
    >>> averages[0].tolist()
    [0.5]
    """
    return _in_place(get_swa_avg_fn())


def _ema_in_place(decay: float) -> MultiAverageFunction:
    """The hot one, every step of training: as one update rule, which needs no operators."""

    def rule(average: Any, value: Any, state: Arrays) -> Any:
        return moving_average(average, value, 1 - decay)

    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:
        with bl.no_grad(), np.errstate(all="ignore"):
            for average, value in zip(averages, values):
                apply(rule, average, value, {})

    return update


def _in_place(function: AverageFunction) -> MultiAverageFunction:
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Any) -> None:
        with bl.no_grad():
            for average, value in zip(averages, values):
                average.copy_(function(average, value, count))

    return update


class AveragedModel(Module):
    """A copy of a model whose parameters are the running mean of the model's.

    The first `update_parameters` copies; the later ones average by `avg_fn` or, in place on
    lists, `multi_avg_fn`. Buffers are averaged with `use_buffers`, copied without.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = bl.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     _ = nn.init.constant_(model.weight, value); average.update_parameters(model)
    >>> average.module.weight.item(), average.n_averaged.item()
    (2.0, 2)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: AverageFunction | None = None,
        multi_avg_fn: MultiAverageFunction | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", bl.tensor(0))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's present values into the average."""
        with bl.no_grad():
            averages, values = self._averaged(self.module), self._averaged(model)
            first = self.n_averaged == 0
            if state.observers:  # a recorded step can't choose by a value: both, then one of them
                self._update(averages, values)
                _copy(averages, [bl.where(first, v, a) for a, v in zip(averages, values)])
            elif first.item():
                _copy(averages, values)
            else:
                self._update(averages, values)
            if not self.use_buffers:
                _copy(self.module.buffers(), model.buffers())
            self.n_averaged.add_(1)

    def _update(self, averages: list[Tensor], values: list[Tensor]) -> None:
        if self.multi_avg_fn is not None:
            self.multi_avg_fn(averages, values, self.n_averaged)
        else:
            function = self.avg_fn or get_swa_avg_fn()
            for average, value in zip(averages, values):
                average.copy_(function(average, value, self.n_averaged))

    def _averaged(self, model: Module) -> list[Tensor]:
        buffers = model.buffers() if self.use_buffers else ()
        return [tensor.detach() for tensor in chain(model.parameters(), buffers)]


def _copy(targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.detach().copy_(source.detach())


class EMA:
    """Exponential moving averages of parameters: average += (1 - decay) (p - average).

    `update()` after each optimizer step; `swapped()` lends the averages to the parameters, for
    an evaluation. The averages begin as the parameters are. `params` is a Module or an iterable.

    >>> p = nn.Parameter(bl.tensor([0.0]))
    >>> ema = bl.optim.EMA([p], decay=0.75)
    >>> p.data = bl.tensor([1.0]); ema.update()
    >>> with ema.swapped(): p.tolist()
    [0.25]
    >>> p.tolist()
    [1.0]
    """

    def __init__(self, params: Module | Iterable[Tensor], decay: float = 0.999) -> None:
        self.decay = _check_decay(decay)
        self.params = list(params.parameters() if isinstance(params, Module) else params)
        if not self.params:
            raise ArgumentError("EMA: got no parameters")
        self.averages = [p.detach().clone() for p in self.params]

    def update(self) -> None:
        """Take the parameters' present values into the averages."""
        _ema_in_place(self.decay)(self.averages, self.params, None)

    def copy_to(self, params: Iterable[Tensor] | None = None) -> None:
        """Write the averages into the parameters, or into others of the same shapes."""
        with bl.no_grad():
            _copy(self.params if params is None else params, self.averages)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within the block the parameters hold the averages."""
        kept = [p.detach().clone() for p in self.params]
        self.copy_to()
        try:
            yield
        finally:
            with bl.no_grad():
                _copy(self.params, kept)

    def state_dict(self) -> dict[str, Any]:
        """The decay and the averages by number."""
        return {"decay": self.decay, "averages": dict(enumerate(self.averages))}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over saved averages; ValueError where their number or shapes differ."""
        saved = {int(i): tensor for i, tensor in state_dict["averages"].items()}
        shapes = [tuple(average.shape) for average in self.averages]
        found = [tuple(saved[i].shape) for i in sorted(saved)]
        if shapes != found:
            raise ArgumentError(f"EMA: the saved averages have shapes {found}, expected {shapes}")
        self.decay = _check_decay(state_dict["decay"])
        with bl.no_grad():
            _copy(self.averages, (saved[i] for i in sorted(saved)))


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the model's BatchNorm statistics anew, as plain means over the loader's batches.

    A batch that is a list or tuple gives its first entry to the model.

    >>> model = nn.Sequential(nn.BatchNorm1d(1))
    >>> bl.optim.swa_utils.update_bn([bl.tensor([[1.0], [3.0]])], model)
    >>> model[0].running_mean.tolist()
    [2.0]
    """
    from backlit.nn.normalization import _BatchNorm

    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta, was_training = [norm.momentum for norm in norms], model.training
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # statistics are then cumulative means
        with bl.no_grad():
            for batch in loader:
                batch = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(batch if device is None else batch.to(device))
    finally:
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the rate in use to `swa_lr` in `anneal_epochs`, then constant. Izmailov et al. 2018.

    >>> opt = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=1.0)
    >>> schedule = bl.optim.swa_utils.SWALR(
    ...     opt, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> opt.step(); schedule.step(); schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ArgumentError(
                f"SWALR: anneal_epochs must be a whole number of at least 0, got {anneal_epochs}"
            )
        self._anneal_strategy = check_anneal_strategy(anneal_strategy)
        rates = per_group("swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        step = self._step_count - 1
        step = step if self.anneal_epochs else max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            target = group["swa_lr"]
            start = target if before == 1 else (group["lr"] - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates

    def _share(self, step: int) -> float:
        """How much of the target rate is in the rate at a step."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2
