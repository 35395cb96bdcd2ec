"""How estimators go down: steps that are compiled once that pays, and L-BFGS for whole batches.

Estimators are often fitted to little data, many times: a step runs as it is written until it has
run so often that compiling it takes less time than it saves. What a step computes is the
estimator's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import backlit as bl
from backlit.tensor import Tensor

PAYS = 50  # eager steps that take as long as compiling does
MOST_AT_ONCE = 8192  # steps of one native call, so that Ctrl-C comes in time


class Step:
    """A function of tensors that is called very often."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.compiled = bl.compile(function)
        self.count = 0

    def __call__(self, *tensors: Tensor) -> Any:
        self.count += 1
        return (self.compiled if self.count > PAYS else self.function)(*tensors)

    def loop(self, *stacked: np.ndarray) -> np.ndarray:
        """Call for every entry of the leading axis; the results are stacked."""
        found, count = [], len(stacked[0])
        for start in range(0, count, MOST_AT_ONCE):
            parts = [bl.from_numpy(s[start : start + MOST_AT_ONCE]) for s in stacked]
            size = len(parts[0])
            self.count += size
            if self.count > PAYS:
                found.append(self.compiled.loop(*parts).numpy())
            else:
                found.extend(self.function(*(p[i] for p in parts)).numpy()[None]
                             for i in range(size))  # fmt: skip
        return np.concatenate(found)


class Descent:
    """L-BFGS on `objective(*data)` until no slope is above `tol`, or rounding hides the descent.

    A loss that changes by less than `flat` counts as hidden, too. `cut_short` says that a maximum
    came first; `loss` and `iterations` are those of the end.
    """

    ROUND = 20  # iterations between two looks at Ctrl-C, progress and maxima
    HISTORY = 20

    def __init__(
        self,
        objective: Callable[..., Tensor],
        parameters: Sequence[Tensor],
        data: Sequence[np.ndarray],
        *,
        tol: float,
        max_iter: int,
        max_eval: int | None = None,
        flat: float = 0.0,
        report: Callable[[int, float], None] | None = None,
    ) -> None:
        self.parameters = list(parameters)
        self.tol, self.cut_short = tol, False
        self.data = [bl.from_numpy(d) for d in data]
        self.evaluate = Step(self._evaluation(objective))
        self.iterations = 0
        self.loss = float("inf")
        self.optimizer = bl.optim.LBFGS(
            self.parameters,
            max_eval=self.ROUND * 5,
            tolerance_grad=tol,
            tolerance_change=flat,
            history_size=self.HISTORY,
            line_search_fn="strong_wolfe",
        )
        most = 15 * max_iter if max_eval is None else max_eval
        self._run(max_iter, most, report)

    def _evaluation(self, objective: Callable[..., Tensor]) -> Callable[..., Tensor]:
        parameters = self.parameters

        def evaluate(*data: Tensor) -> Tensor:
            for p in parameters:
                p.grad = None
            loss = objective(*data)
            loss.backward()
            return loss.detach()

        return evaluate

    def _run(
        self, max_iter: int, max_eval: int, report: Callable[[int, float], None] | None
    ) -> None:
        evaluations = calm = 0
        while True:
            rest = min(self.ROUND, max_iter - self.iterations)
            self.optimizer.param_groups[0]["max_iter"] = rest
            state = self.optimizer.state[self.parameters[0]]
            before = int(state.get("n_iter", 0)), int(state.get("func_evals", 0))
            self.optimizer.step(lambda: self.evaluate(*self.data))
            done = int(state["n_iter"]) - before[0]
            self.iterations += done
            evaluations += int(state["func_evals"]) - before[1]
            self.loss = float(self.evaluate(*self.data).item())
            if report is not None:
                report(self.iterations, self.loss)
            # A round that ends early had no direction down: forget the curvature, once.
            calm = calm + 1 if done < rest else 0
            if self.steepest() <= self.tol or calm > 1:
                return
            if self.iterations >= max_iter or evaluations >= max_eval:
                self.cut_short = True
                return
            if calm:
                self.optimizer.state.clear()

    def steepest(self) -> float:
        """The largest slope along a parameter."""
        grads = [p.grad for p in self.parameters]
        return max(float(g.abs().max().item()) for g in grads if g is not None)
