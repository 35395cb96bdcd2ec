"""RAdam: Adam that waits until its estimate of the variance can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import backlit as bl
from backlit.optim.group import ParamGroup
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, State, Update, moving_average
from backlit.tensor import Tensor


class RAdam(Rule):
    """Adam with a rectified rate while few gradients were seen, and plain momentum before that.

    rho_t = rho - 2 t b2^t / (1 - b2^t), rho = 2 / (1 - b2) - 1; with rho_t > 5 the step is Adam's
    times sqrt((rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t)). Liu et al. 2020.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.RAdam([p], lr=0.25)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"].add_(1)
        beta1, beta2 = group.cells("betas")
        correction2 = 1 - beta2**step
        rho = 2 / (1 - beta2) - 1
        length = rho - 2 * step * beta2**step / correction2
        trusted = length > 5
        adaptive = _rectification(bl.clamp(length, min=5), rho) * correction2.sqrt()
        rate = group.cell("lr") / (1 - beta1**step) * bl.where(trusted, adaptive, 1.0)
        eps, share1, share2 = group["eps"], 1 - beta1, 1 - beta2

        def update(p: Tensor, grad: Tensor, state: State) -> None:
            m, v = state["exp_avg"], state["exp_avg_sq"]
            moving_average(m, grad, share1)
            v.mul_(beta2).add_(share2 * grad * grad)
            p.sub_(rate * m / bl.where(trusted, v.sqrt() + eps, 1.0))

        return update


def _rectification(length: Tensor, rho: Tensor) -> Tensor:
    """Ratio of the variances' square roots; real where the averages are 5 long or longer."""
    square = (length - 4) * (length - 2) * rho / ((rho - 4) * (rho - 2) * length)
    return square.sqrt()
