"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backlit as bl
from backlit.optim.group import ParamGroup
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, State, Update, moving_average
from backlit.tensor import Tensor


class ASGD(Rule):
    """p = (1 - lambd eta) p - eta g, eta = lr / (1 + lambd lr t)^alpha.

    After `t0` steps `state[p]["ax"]` is the mean of p over the steps since. Polyak and Juditsky
    1992; Bottou 2012.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.ASGD([p], lr=0.25, lambd=0)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist(), opt.state[p]["ax"].tolist()
    ([0.5], [0.5])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"ax": 0.0}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "eta": float(group["lr"]), "mu": 1.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step, lr, lambd = clock["step"].add_(1), group.cell("lr"), group["lambd"]
        eta = bl.where(step > 1, clock["eta"], lr)
        mu = clock["mu"].clone()
        clock["eta"].copy_(lr / (1 + lambd * lr * step) ** group["alpha"])
        clock["mu"].copy_(1 / bl.clamp(step - group["t0"], min=1))
        shrink = 1 - lambd * eta

        def update(p: Tensor, grad: Tensor, state: State) -> None:
            p.mul_(shrink).sub_(eta * grad)
            moving_average(state["ax"], p, mu)

        return update
