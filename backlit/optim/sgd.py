"""Stochastic gradient descent, with momentum and Nesterov's form of it. Next: adam.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.errors import ArgumentError
from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import one_if
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
from backlit.tensor import Tensor


class SGD(Rule):
    """v = momentum v + (1 - dampening) g, p -= lr v; the first v is g itself.

    With `nesterov`, p -= lr (g + momentum v). Without momentum, p -= lr g.
    Robbins and Monro 1951; Polyak 1964; Sutskever et al. 2013 (Nesterov's form).

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.SGD([p], lr=0.25, momentum=0.9)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.5]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        momentum, dampening = options["momentum"], options["dampening"]
        if options["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                "SGD: Nesterov momentum requires a momentum and zero dampening, got"
                f" momentum {momentum}, dampening {dampening}"
            )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        """Only dampening asks which step it is: the first gradient enters whole."""
        return {"step": 0.0} if group["momentum"] and group["dampening"] else {}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        lr, nesterov = group.number("lr"), group["nesterov"]
        if not group["momentum"]:
            return lambda p, grad, s: p - lr * grad
        momentum, share = group.number("momentum"), 1.0
        if clock:
            share = 1 - group["dampening"] * one_if(clock["step"] > 1)

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            v = s["momentum_buffer"] = momentum * s["momentum_buffer"] + (
                share * grad if clock else grad
            )
            return p - lr * (grad + momentum * v if nesterov else v)

        return update

    def _loaded(self, group: dict[str, Any]) -> None:
        """PyTorch saves no step number: a saved buffer is past its first step."""
        for p in group["params"]:
            state = self.state.get(p, {})
            if self.scalars(group) and state.get("momentum_buffer") is not None:
                state.setdefault("step", 1.0)
        super()._loaded(group)
