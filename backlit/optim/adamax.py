"""Adamax: Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backlit as bl
from backlit.optim.group import ParamGroup
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, State, Update, moving_average
from backlit.tensor import Tensor


class Adamax(Rule):
    """m = b1 m + (1 - b1) g, u = max(b2 u, |g| + eps), p -= lr m / ((1 - b1^t) u).

    Kingma and Ba 2015, section 7.1.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.Adamax([p], lr=0.25)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"].add_(1)
        beta1, beta2 = group.cells("betas")
        rate = group.cell("lr") / (1 - beta1**step)
        share = 1 - beta1

        def update(p: Tensor, grad: Tensor, state: State) -> None:
            m, u = state["exp_avg"], state["exp_inf"]
            moving_average(m, grad, share)
            u.copy_(bl.maximum(beta2 * u, grad.abs() + group["eps"]))
            p.sub_(rate * m / u)

        return update
