"""L-BFGS: a quasi-Newton method for full batches. Reads values, so it can't be recorded.

All parameters are one flat vector here; lengths and slopes are Python numbers. The line search
is in line_search.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError
from backlit.optim.line_search import Point, strong_wolfe
from backlit.optim.optimizer import Closure, Optimizer, ParamsT
from backlit.optim.rule import at_least_zero
from backlit.tensor import Tensor

LEAST_CURVATURE = 1e-10  # pairs below it would spoil the Hessian's estimate


class LBFGS(Optimizer):
    """Up to `max_iter` quasi-Newton iterations in each `step(closure)`; one parameter group.

    `closure` clears the gradients, computes the loss, calls backward and returns the loss.
    `line_search_fn` is None (steps of lr) or "strong_wolfe". Ends early on a gradient below
    `tolerance_grad` or a change below `tolerance_change`. Nocedal and Wright 2006, chapter 7.

    >>> p = nn.Parameter(bl.tensor([4.0]))
    >>> opt = bl.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     opt.zero_grad(); loss = ((p - 3) ** 2).sum(); loss.backward(); return loss
    >>> opt.step(closure).item(), round(p.item(), 4)
    (1.0, 3.0)
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        at_least_zero("LBFGS", "lr", lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise ArgumentError(
                f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}"
            )
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the one group there may be; ValueError for a second."""
        if self.param_groups:
            raise ArgumentError(
                "LBFGS: options by parameter group are not possible, give one group"
            )
        super().add_param_group(param_group)

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def step(self, closure: Closure | None = None) -> Any:
        """Minimize for up to `max_iter` iterations; gives the loss before the first."""
        if closure is None:
            raise ArgumentError(
                "LBFGS: step needs a closure that computes the loss again",
                hint="def closure(): opt.zero_grad(); loss = ...; loss.backward(); return loss",
            )
        with bl.enable_grad():
            first = closure()
        with bl.no_grad():
            self._minimize(closure, _number(first))
        return first

    def _minimize(self, closure: Closure, loss: float) -> None:
        group, params = self.param_groups[0], self._params
        state = self.state[params[0]]  # the method has one state: it hangs on the first
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        state["func_evals"] += 1
        evaluations, grad = 1, self._flat_grad()
        if _largest(grad) <= group["tolerance_grad"]:
            return
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = _direction(state, grad, group["history_size"])
            slope = _dot(grad, direction)
            t = float(group["lr"])
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / grad.abs().sum().item())
            previous = loss
            state.update(d=direction, t=t, prev_flat_grad=grad, prev_loss=loss)
            if slope > -group["tolerance_change"]:
                return
            start = Point(0.0, loss, slope, grad)
            last = iteration == group["max_iter"]
            point, count = self._move(closure, start, direction, t, evaluations, last)
            state["t"], loss, grad = point.t, point.value, point.grad
            evaluations += count
            state["func_evals"] += count
            if (
                last
                or evaluations >= group["max_eval"]
                or _largest(grad) <= group["tolerance_grad"]
                or _largest(direction) * abs(point.t) <= group["tolerance_change"]
                or abs(loss - previous) < group["tolerance_change"]
            ):
                return

    def _move(
        self,
        closure: Closure,
        start: Point,
        direction: Tensor,
        t: float,
        evaluations: int,
        last: bool,
    ) -> tuple[Point, int]:
        """Go along the direction: the point reached, and how often the loss was computed."""
        group = self.param_groups[0]
        if group["line_search_fn"] is None:
            if last:  # nobody will use the loss there
                self._add(direction, t)
                return start._replace(t=t), 0
            return self._evaluate(closure, direction, t), 1
        origin = [p.detach().clone() for p in self._params]

        def trial(t: float) -> Point:
            point = self._evaluate(closure, direction, t)
            for p, value in zip(self._params, origin):
                p.copy_(value)
            return point

        point, count = strong_wolfe(
            trial,
            start,
            t,
            scale=_largest(direction),
            max_ls=group["max_eval"] - evaluations,
        )
        self._add(direction, point.t)
        return point, count

    def _evaluate(self, closure: Closure, direction: Tensor, t: float) -> Point:
        self._add(direction, t)
        with bl.enable_grad():
            loss = _number(closure())
        grad = self._flat_grad()
        return Point(t, loss, _dot(grad, direction), grad)

    def _add(self, direction: Tensor, t: float) -> None:
        for p, part in zip(self._params, self._parts(direction)):
            p.add_(part.reshape(p.shape), alpha=t)

    def _parts(self, vector: Tensor) -> Iterator[Tensor]:
        offset = 0
        for p in self._params:
            yield vector[offset : offset + p.numel()]
            offset += p.numel()

    def _flat_grad(self) -> Tensor:
        grads = [bl.zeros_like(p) if p.grad is None else p.grad.detach() for p in self._params]
        return bl.cat([grad.reshape(-1) for grad in grads])


def _direction(state: dict[str, Any], grad: Tensor, history_size: int) -> Tensor:
    """Minus the inverse Hessian's estimate times the gradient: the two-loop recursion."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
        return -grad
    _remember(state, grad, history_size)
    changes, steps, inverse = state["old_dirs"], state["old_stps"], state["ro"]
    q, shares = -grad, []
    for y, s, rho in zip(reversed(changes), reversed(steps), reversed(inverse)):
        shares.append(float(rho) * _dot(s, q))
        q = q - shares[-1] * y
    q = q * float(state["H_diag"])
    for y, s, rho, share in zip(changes, steps, inverse, reversed(shares)):
        q = q + (share - float(rho) * _dot(y, q)) * s
    return q


def _remember(state: dict[str, Any], grad: Tensor, history_size: int) -> None:
    """Keep the last change of the gradient and the step that made it."""
    y, s = grad - state["prev_flat_grad"], state["d"] * float(state["t"])
    curvature = _dot(y, s)
    if curvature <= LEAST_CURVATURE:
        return
    for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / curvature)):
        kept = [*state[name], value]
        state[name] = kept[len(kept) > history_size :]
    state["H_diag"] = curvature / _dot(y, y)


def _number(loss: Any) -> float:
    return float(loss.item() if isinstance(loss, Tensor) else loss)


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum().item())


def _largest(vector: Tensor) -> float:
    return float(vector.abs().max().item())
