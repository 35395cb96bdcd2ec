"""W4: LeNet with 5 x 5 convolutions."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    return classifier(inputs, spec, fill(models.LeNet(), inputs.params.values()), mode, dtype)
