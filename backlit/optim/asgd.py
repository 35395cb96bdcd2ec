"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import at_least, moving_average, where
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
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
        step = clock["step"]
        lr, lambd = group.number("lr"), group["lambd"]
        eta, mu = where(step > 1, clock["eta"], lr), clock["mu"]
        clock["eta"] = lr / (1 + lambd * lr * step) ** group["alpha"]
        clock["mu"] = 1 / at_least(step - group["t0"], 1.0)

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            p = (1 - lambd * eta) * p - eta * grad
            s["ax"] = moving_average(s["ax"], p, mu)
            return p

        return update
