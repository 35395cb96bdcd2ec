"""RAdam: Adam that waits until its estimate of the variance can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import at_least, moving_average, sqrt, where
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
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
        step = clock["step"]
        beta1, beta2 = group.number("betas")
        correction2 = 1 - beta2**step
        rho = 2 / (1 - beta2) - 1
        length = rho - 2 * step * beta2**step / correction2
        trusted = length > 5
        adaptive = _rectification(at_least(length, 5.0), at_least(rho, 5.0)) * sqrt(correction2)
        rate = group.number("lr") / (1 - beta1**step) * where(trusted, adaptive, 1.0)
        eps = group["eps"]

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            m = s["exp_avg"] = moving_average(s["exp_avg"], grad, 1 - beta1)
            v = s["exp_avg_sq"] = beta2 * s["exp_avg_sq"] + (1 - beta2) * grad * grad
            return p - rate * m / where(trusted, sqrt(v) + eps, 1.0)

        return update


def _rectification(length: Any, rho: Any) -> Any:
    """Ratio of the deviations; real where both lengths of average are 5 or more."""
    return sqrt((length - 4) * (length - 2) * rho / ((rho - 4) * (rho - 2) * length))
