"""W5: ResNet-20 on 32 x 32 images."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    return classifier(inputs, spec, fill(models.resnet20(), inputs.params.values()), mode, dtype)
