"""W1: 20-20-2 with sigmoid, cross-entropy plus an L2 penalty, full batch."""

from typing import Any

from backlit import models, nn
from backlit.nn import functional as F

from .common import Trainer, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    model = fill(models.MLP([20, 20, 2], nn.Sigmoid), inputs.params.values())
    rate = spec.extra["l2"]

    def loss(m: Any, x: Any, y: Any) -> Any:
        return F.cross_entropy(m(x), y) + rate * m.weight_penalty()

    return Trainer(inputs, spec, model, loss, mode, dtype)
