"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import moving_average, sqrt
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule, at_least_zero
from backlit.tensor import Tensor


class NAdam(Rule):
    """Adam whose step looks one gradient ahead: m is replaced by c g + c' m.

    mu_t = b1 (1 - 0.96^(t momentum_decay) / 2), c = (1 - mu_t) / (1 - mu_1 ... mu_t) and
    c' = mu_(t+1) / (1 - mu_1 ... mu_(t+1)). Dozat 2016.

    >>> p = nn.Parameter(bl.tensor([1.0], dtype=bl.float64))
    >>> opt = bl.optim.NAdam([p], lr=0.5)
    >>> (p ** 2).sum().backward(); opt.step(); round(p.item(), 3)
    0.472
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def check(self, options: Mapping[str, Any]) -> None:
        at_least_zero("NAdam", "momentum_decay", options["momentum_decay"])

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, group: Mapping[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"]
        lr, (beta1, beta2) = group.number("lr"), group.number("betas")

        def momentum(t: Any) -> Any:
            return beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"]))

        mu, mu_next = momentum(step), momentum(step + 1)
        product = clock["mu_product"] = clock["mu_product"] * mu
        scale = sqrt(1 - beta2**step)
        now = lr * scale * (1 - mu) / (1 - product)
        ahead = lr * scale * mu_next / (1 - product * mu_next)
        eps = group["eps"] * scale

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            m = s["exp_avg"] = moving_average(s["exp_avg"], grad, 1 - beta1)
            v = s["exp_avg_sq"] = beta2 * s["exp_avg_sq"] + (1 - beta2) * grad * grad
            return p - (now * grad + ahead * m) / (sqrt(v) + eps)

        return update
