"""RMSprop: gradients divided by their running root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.group import ParamGroup
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, State, Update, at_least_zero, moving_average
from backlit.tensor import Tensor


class RMSprop(Rule):
    """v = alpha v + (1 - alpha) g^2, d = g / (sqrt(v) + eps), p -= lr d.

    `centered` takes the square of the running mean gradient off v (Graves 2013); with momentum,
    b = momentum b + d takes the place of d. Tieleman and Hinton 2012.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.RMSprop([p], lr=0.0625, alpha=0.9375)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        at_least_zero("RMSprop", "alpha", options["alpha"])

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] else []
        names += ["grad_avg"] if group["centered"] else []
        return dict.fromkeys(names, 0.0)

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        clock["step"].add_(1)
        lr, momentum = group.cell("lr"), group.cell("momentum")
        alpha, eps = group["alpha"], group["eps"]

        def update(p: Tensor, grad: Tensor, state: State) -> None:
            v = state["square_avg"]
            v.mul_(alpha).add_((1 - alpha) * grad * grad)
            if group["centered"]:
                mean = moving_average(state["grad_avg"], grad, 1 - alpha)
                v = v - mean * mean
            step = grad / (v.sqrt() + eps)
            if group["momentum"]:
                step = state["momentum_buffer"].mul_(momentum).add_(step)
            p.sub_(lr * step)

        return update
