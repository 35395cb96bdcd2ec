"""W3: 784-256-128-10 with ReLU, Adam."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    model = fill(models.MLP([784, 256, 128, 10]), inputs.params.values())
    return classifier(inputs, spec, model, mode, dtype)
