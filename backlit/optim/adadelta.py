"""Adadelta: steps in the units of the parameter, without a rate to tune."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.errors import ArgumentError
from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import sqrt
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
from backlit.tensor import Tensor


class Adadelta(Rule):
    """v = rho v + (1 - rho) g^2, d = sqrt(u + eps) / sqrt(v + eps) g, p -= lr d.

    u = rho u + (1 - rho) d^2 is the running mean square of the steps. Zeiler 2012.

    >>> p = nn.Parameter(bl.tensor([1.0], dtype=bl.float64))
    >>> opt = bl.optim.Adadelta([p])
    >>> (p ** 2).sum().backward(); opt.step(); round(p.item(), 5)
    0.99684
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "capturable": capturable,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        if not 0 <= options["rho"] <= 1:
            raise ArgumentError(f"Adadelta: rho must be in [0, 1], got {options['rho']}")

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        lr, rho, eps = group.number("lr"), group["rho"], group["eps"]

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            v = s["square_avg"] = rho * s["square_avg"] + (1 - rho) * grad * grad
            delta = sqrt(s["acc_delta"] + eps) / sqrt(v + eps) * grad
            s["acc_delta"] = rho * s["acc_delta"] + (1 - rho) * delta * delta
            return p - lr * delta

        return update
