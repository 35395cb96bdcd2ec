"""RMSprop: gradients divided by their running root mean square."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import moving_average, sqrt
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, at_least_zero
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
        lr, momentum = group.number("lr"), group.number("momentum")
        alpha, eps = group["alpha"], group["eps"]
        centered, heavy = group["centered"], group["momentum"] != 0

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            v = s["square_avg"] = alpha * s["square_avg"] + (1 - alpha) * grad * grad
            if centered:
                mean = s["grad_avg"] = moving_average(s["grad_avg"], grad, 1 - alpha)
                v = v - mean * mean
            delta = grad / (sqrt(v) + eps)
            if heavy:
                delta = s["momentum_buffer"] = momentum * s["momentum_buffer"] + delta
            return p - lr * delta

        return update
