"""What all first-order update rules share: state made in time, scalars once, arrays one by one.

A rule declares its state (`arrays`, one per parameter, and `scalars` such as the step number) and
gives `rule(group, clock)`, which reads like the published formulas: first the scalars of this
step, then the function that gives a parameter's new value and advances its arrays. The formulas
compute with floats and arrays, or, when the step is recorded, with 0-dim float64 cells
and Tensors: nothing in them branches on the step number. Parameters that have always been
updated together share their scalars (their clock). Next: apply.py, sgd.py, adam.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn.parameter import is_lazy
from backlit.optim.apply import Update, apply
from backlit.optim.group import ParamGroup, scalar
from backlit.optim.optimizer import Closure, Optimizer, ParamsT
from backlit.state import state as mode
from backlit.tensor import Tensor

Clock = dict[str, Any]
State = dict[str, Any]


class Rule(Optimizer):
    """An optimizer that treats every parameter by the same rule, given its gradient and state.

    Subclasses give `rule`, and where they need them `arrays`, `scalars` and `check`.

    >>> class Descent(bl.optim.rule.Rule):
    ...     def rule(self, group, clock):
    ...         lr = group.number("lr")
    ...         return lambda p, grad, arrays: p - lr * grad
    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = Descent([p], {"lr": 0.25})
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.5]
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._check_numbers(defaults)
        super().__init__(params, defaults)

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that make no sense; called for the defaults and for every group."""

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        """State of the parameter's shape: name and initial value, in the order of the rule."""
        return {}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """0-dim state: name and initial value; "step" counts the steps by itself."""
        return {"step": 0.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        """The function (p, grad, arrays) -> p of this step; it advances the arrays, as this
        method advances whatever the clock holds beside the step number, 1 at the first step."""
        raise NotImplementedError

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; a closure's loss is returned."""
        loss = None
        if closure is not None:
            with bl.enable_grad():
                loss = closure()
        with bl.no_grad(), np.errstate(all="ignore"):
            for i, group in enumerate(self.param_groups):
                if not isinstance(group, ParamGroup):
                    group = self.param_groups[i] = ParamGroup(group)
                self._make_state(group)
                for due in self._due(group):
                    self._update(group, due)
        return loss

    def _update(self, group: ParamGroup, due: list[Tensor]) -> None:
        """One step of the parameters that share a clock."""
        update = self._read_rule(group, self.state.get(due[0], {}))
        names = tuple(self.arrays(group))
        for p in due:
            state, grad = self.state.get(p, {}), p.grad
            assert grad is not None
            apply(update, p, grad, {name: state[name] for name in names})

    def _read_rule(self, group: ParamGroup, state: State) -> Update:
        """The update of this step, with weight decay and the sign of the gradient in place."""
        cells = {name: state[name] for name in self.scalars(group)}
        clock = dict(cells) if mode.observers else {k: c.item() for k, c in cells.items()}
        if "step" in clock:
            clock["step"] = clock["step"] + 1
        update = self.rule(group, clock)
        for name, cell in cells.items():
            now = clock[name]
            cell.cell.put(now.cell.array if isinstance(now, Tensor) else np.array(float(now)))
        decay = group.get("weight_decay", 0)
        if decay and group.get("decoupled_weight_decay"):
            update = _shrinking(update, 1 - group.number("lr") * decay)
        elif decay:
            update = _decaying(update, decay)
        return _ascending(update) if group.get("maximize") else update

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
        names: set[str] = arrays.keys() | scalars.keys()
        fresh: Clock = {}
        for p in group["params"]:
            if names.issubset(self.state.get(p, ())) or is_lazy(p):
                continue
            state = self.state[p]
            if scalars and not fresh:
                fresh = {name: scalar(value) for name, value in scalars.items()}
            for name in scalars:
                state.setdefault(name, fresh[name])
            for name, value in arrays.items():
                if name not in state:
                    state[name] = bl.full_like(p, value, requires_grad=False)

    def _due(self, group: ParamGroup) -> Iterator[list[Tensor]]:
        """The parameters with a gradient, by the clock they share."""
        names = tuple(self.scalars(group))
        sharing: dict[tuple[int, ...], tuple[list[Tensor], list[Tensor]]] = {}
        for p in group["params"]:
            state = self.state.get(p, {})
            if p.grad is not None or state:
                key = tuple([id(state[name]) for name in names])
                due, idle = sharing.setdefault(key, ([], []))
                (idle if p.grad is None else due).append(p)
        for due, idle in sharing.values():
            if due and idle and names:
                self._share_clock(idle, names)
            if due:
                yield due

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
            state = self.state.get(p, {})
            for name in [name for name, value in state.items() if value is None]:
                del state[name]
            names = [name for name in self.scalars(group) if name in state]
            numbers = tuple((name, float(state[name])) for name in names)
            clock = clocks.setdefault(numbers, {name: scalar(value) for name, value in numbers})
            state.update(clock)
        self._make_state(group)


def _decaying(update: Update, decay: float) -> Update:
    """Weight decay as part of the gradient: that of decay/2 |p|^2."""
    return lambda p, grad, s: update(p, grad + decay * p, s)


def _shrinking(update: Update, shrink: Any) -> Update:
    """Weight decay apart from the gradient."""
    return lambda p, grad, s: update(shrink * p, grad, s)


def _ascending(update: Update) -> Update:
    return lambda p, grad, s: update(p, -grad, s)


def at_least_zero(optimizer: str, name: str, value: Any) -> None:
    """Refuse a negative number, NaN, or a Tensor of several numbers."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ArgumentError(
            f"{optimizer}: {name} as a Tensor must have one element, got {value.numel()}"
        )
    if not value >= 0:
        raise ArgumentError(f"{optimizer}: {name} must be at least 0, got {value}")
