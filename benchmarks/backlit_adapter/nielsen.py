"""W2: 784-30-10, sigmoid twice, quadratic cost, batches of ten."""

from typing import Any

from backlit import models, nn

from .common import Trainer, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    model = fill(models.MLP([784, 30, 10], nn.Sigmoid, last=nn.Sigmoid), inputs.params.values())

    def loss(m: Any, x: Any, y: Any) -> Any:
        return 0.5 * ((m(x) - y) ** 2).sum(1).mean()

    return Trainer(inputs, spec, model, loss, mode, dtype)
