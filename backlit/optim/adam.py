"""Adam and AdamW. Next: the variants adamax.py, nadam.py, radam.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.optim.apply import Arrays, Update
from backlit.optim.group import ParamGroup
from backlit.optim.maths import maximum, moving_average, sqrt
from backlit.optim.optimizer import ParamsT
from backlit.optim.rule import Clock, Rule
from backlit.tensor import Tensor


class Adam(Rule):
    """m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p -= lr m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t) and v' = v / (1 - b2^t) correct the start at zero. Kingma and Ba 2015,
    computed in the efficient order of its section 2. `amsgrad` divides by the largest v so far
    (Reddi et al. 2018). `decoupled_weight_decay` makes it AdamW.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.Adam([p], lr=0.25)
    >>> (p ** 2).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def arrays(self, group: Mapping[str, Any]) -> dict[str, float]:
        moments = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
        return moments | ({"max_exp_avg_sq": 0.0} if group["amsgrad"] else {})

    def rule(self, group: ParamGroup, clock: Clock) -> Update:
        step = clock["step"]
        beta1, beta2 = group.number("betas")
        scale = sqrt(1 - beta2**step)
        rate = group.number("lr") * scale / (1 - beta1**step)
        eps, amsgrad = group["eps"] * scale, group["amsgrad"]

        def update(p: Any, grad: Any, s: Arrays) -> Any:
            m = s["exp_avg"] = moving_average(s["exp_avg"], grad, 1 - beta1)
            v = s["exp_avg_sq"] = beta2 * s["exp_avg_sq"] + (1 - beta2) * grad * grad
            if amsgrad:
                v = s["max_exp_avg_sq"] = maximum(s["max_exp_avg_sq"], v)
            return p - rate * m / (sqrt(v) + eps)

        return update


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: p *= 1 - lr weight_decay before each step.

    Loshchilov and Hutter 2019.

    >>> p = nn.Parameter(bl.tensor([1.0]))
    >>> opt = bl.optim.AdamW([p], lr=0.5, weight_decay=0.5)
    >>> (p * 0).sum().backward(); opt.step(); p.tolist()
    [0.75]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def _loaded(self, group: dict[str, Any]) -> None:
        """A state saved by Adam does not make this one Adam."""
        group["decoupled_weight_decay"] = True
        super()._loaded(group)
