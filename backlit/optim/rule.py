"""What all first-order update rules share: state made in time, scalars once, arrays one by one.

A rule declares its state (`arrays`, one per parameter, and `scalars` such as the step number) and
gives `rule(group, clock)`, which reads like the published formulas: first the scalars of this
step, then a function that updates one parameter. Everything that depends on the step number is
arithmetic on 0-dim float64 Tensors, so that a recorded step stays right at the next one.
Parameters that have always been updated together share these scalars (their clock): bias
corrections are then computed once per group. Next: sgd.py and adam.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn.parameter import is_lazy
from backlit.optim.group import ParamGroup, scalar
from backlit.optim.optimizer import Closure, Optimizer, ParamsT
from backlit.tensor import Tensor

Clock = dict[str, Tensor]
State = dict[str, Any]
Update = Callable[[Tensor, Tensor, State], Any]


class Rule(Optimizer):
    """An optimizer that treats every parameter by the same rule, given its gradient and state.

    Subclasses give `check`, `arrays`, `scalars` and `rule`; see sgd.py for the smallest one.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._check_numbers(defaults)
        super().__init__(params, defaults)

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that make no sense; called for the defaults and for every group."""

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        """State of the parameter's shape: name and initial value."""
        return {}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """0-dim state: name and initial value."""
        return {"step": 0.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        """Advance the scalars and give the function that updates one parameter."""
        raise NotImplementedError

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; a closure's loss is returned."""
        loss = None
        if closure is not None:
            with bl.enable_grad():
                loss = closure()
        with bl.no_grad():
            for i, group in enumerate(self.param_groups):
                if not isinstance(group, ParamGroup):
                    group = self.param_groups[i] = ParamGroup(group)
                self._make_state(group)
                for clock, due in self._clocks(group):
                    self._update(group, clock, due)
        return loss

    def _update(self, group: ParamGroup, clock: Clock, due: list[Tensor]) -> None:
        decay, maximize = group.get("weight_decay", 0), group.get("maximize", False)
        decoupled = bool(decay) and group.get("decoupled_weight_decay", False)
        shrink = 1 - group.cell("lr") * decay if decoupled else None
        update = self.rule(group, clock)
        for p in due:
            grad: Any = -p.grad if maximize else p.grad
            if shrink is not None:
                p.mul_(shrink)
            elif decay:
                grad = grad + decay * p.detach()
            update(p, grad, self.state[p])

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        try:
            self._check_numbers(self.param_groups[-1])
        except Exception:
            self.param_groups.pop()
            raise
        self._make_state(self.param_groups[-1])

    add_param_group.__doc__ = Optimizer.add_param_group.__doc__

    def _check_numbers(self, options: Mapping[str, Any]) -> None:
        name = type(self).__name__
        for key in ("lr", "eps", "weight_decay", "momentum"):
            at_least_zero(name, key, options.get(key, 0))
        for i, beta in enumerate(options.get("betas", ())):
            if not 0 <= beta < 1:
                raise ArgumentError(
                    f"{name}: betas[{i}] must be at least 0 and less than 1, got {beta}"
                )
        self.check(options)

    # state

    def _make_state(self, group: Mapping[str, Any]) -> None:
        """Give every parameter the cells that it lacks; new clocks are shared."""
        arrays, scalars = self.arrays(group), self.scalars(group)
        names, fresh = arrays.keys() | scalars.keys(), {}
        for p in group["params"]:
            state = self.state[p]
            if names.issubset(state) or is_lazy(p):
                continue
            if scalars and not fresh:
                fresh = {name: scalar(value) for name, value in scalars.items()}
            for name in scalars:
                state.setdefault(name, fresh[name])
            for name, value in arrays.items():
                if name not in state:
                    state[name] = bl.full_like(p, value, requires_grad=False)

    def _clocks(self, group: ParamGroup) -> Iterator[tuple[Clock, list[Tensor]]]:
        """The parameters with a gradient, by the clock they share."""
        names = tuple(self.scalars(group))
        if not names:
            yield {}, [p for p in group["params"] if p.grad is not None]
            return
        sharing: dict[tuple[int, ...], tuple[list[Tensor], list[Tensor]]] = {}
        for p in group["params"]:
            state = self.state[p]
            if state:
                key = tuple([id(state[name]) for name in names])
                due, idle = sharing.setdefault(key, ([], []))
                (idle if p.grad is None else due).append(p)
        for due, idle in sharing.values():
            if due and idle:
                self._share_clock(idle, names)
            if due:
                yield {name: self.state[due[0]][name] for name in names}, due

    def _share_clock(self, params: list[Tensor], names: tuple[str, ...]) -> None:
        """A copy of the clock for parameters that stay behind."""
        clock = {name: self.state[params[0]][name].clone() for name in names}
        for p in params:
            self.state[p].update(clock)

    def _check_state(self, group: Mapping[str, Any], state: Mapping[Any, State]) -> None:
        for p in group["params"]:
            for name in self.arrays(group):
                value = state[p].get(name) if p in state else None
                if isinstance(value, Tensor) and not is_lazy(p) and value.shape != p.shape:
                    raise ArgumentError(
                        f"{type(self).__name__}: the loaded {name} has shape"
                        f" {tuple(value.shape)}, its parameter {tuple(p.shape)}"
                    )

    def _loaded(self, group: dict[str, Any]) -> None:
        """Scalars as float64 cells, shared where they are equal; what is missing is made."""
        clocks: dict[tuple[tuple[str, float], ...], Clock] = {}
        for p in group["params"]:
            state = self.state[p]
            for name in [name for name, value in state.items() if value is None]:
                del state[name]
            names = [name for name in self.scalars(group) if name in state]
            numbers = tuple((name, float(state[name])) for name in names)
            clock = clocks.setdefault(numbers, {name: scalar(value) for name, value in numbers})
            state.update(clock)
        self._make_state(group)


def at_least_zero(optimizer: str, name: str, value: Any) -> None:
    """Refuse a negative number, NaN, or a Tensor of several numbers."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ArgumentError(
            f"{optimizer}: {name} as a Tensor must have one element, got {value.numel()}"
        )
    if not value >= 0:
        raise ArgumentError(f"{optimizer}: {name} must be at least 0, got {value}")


def moving_average(average: Tensor, value: Tensor, share: Any) -> Tensor:
    """average += share (value - average), in place."""
    return average.add_(share * (value - average))
