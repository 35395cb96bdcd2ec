"""Resilient backpropagation: steps from the gradient's sign alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.errors import ArgumentError
from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import one_if, sign, where, within
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
from backlit.tensor import Tensor


class Rprop(Rule):
    """p -= sign(g) step, a step for each number: etas[1] times as long while g keeps its sign.

    After a change of sign the step is etas[0] times as long and g counts as zero once. Steps
    stay within `step_sizes` and begin at lr. For full batches. Riedmiller and Braun 1993.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.Rprop([p], lr=0.25)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        minus, plus = options["etas"]
        if not 0 < minus < 1 < plus:
            raise ArgumentError(
                f"Rprop: etas must be 0 < etas[0] < 1 < etas[1], got {minus}, {plus}"
            )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"prev": 0.0, "step_size": float(group["lr"])}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"]
        lr, (minus, plus), (least, most) = group.number("lr"), group["etas"], group["step_sizes"]
        begun = one_if(step > 1)

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            size = begun * s["step_size"] + (1 - begun) * lr
            agreement = grad * s["prev"]
            size = where(agreement > 0, plus * size, size)
            size = within(where(agreement < 0, minus * size, size), least, most)
            grad = where(agreement < 0, 0.0, grad)
            s["step_size"], s["prev"] = size, grad
            return p - sign(grad) * size

        return update
