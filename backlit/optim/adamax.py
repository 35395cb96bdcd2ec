"""Adamax: Adam with the largest gradient in place of the mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import absolute, maximum, moving_average
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
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
        step = clock["step"]
        beta1, beta2 = group.number("betas")
        rate, eps = group.number("lr") / (1 - beta1**step), group["eps"]

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            m = s["exp_avg"] = moving_average(s["exp_avg"], grad, 1 - beta1)
            u = s["exp_inf"] = maximum(beta2 * s["exp_inf"], absolute(grad) + eps)
            return p - rate * m / u

        return update
