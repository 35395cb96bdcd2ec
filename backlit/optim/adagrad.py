"""Adagrad: a rate per number that falls with the squares of its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import sqrt
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, at_least_zero
from backlit.tensor import Tensor


class Adagrad(Rule):
    """s += g^2, p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).

    Duchi, Hazan and Singer 2011.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.Adagrad([p], lr=0.25)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        for name in ("lr_decay", "initial_accumulator_value"):
            at_least_zero("Adagrad", name, options[name])

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"]
        rate, eps = group.number("lr") / (1 + (step - 1) * group["lr_decay"]), group["eps"]

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            total = s["sum"] = s["sum"] + grad * grad
            return p - rate * grad / (sqrt(total) + eps)

        return update
