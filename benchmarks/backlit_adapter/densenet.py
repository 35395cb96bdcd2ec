"""W6: DenseNet-BC, 40 layers, growth 12."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    model = fill(models.DenseNet(depth=40, growth=12), inputs.params.values())
    return classifier(inputs, spec, model, mode, dtype)
