"""W7: an LSTM of 128 units over the 28 rows of an image."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(
    inputs: Any, spec: Any, mode: str, dtype: str, threads: int, kind: str = "lstm"
) -> Trainer:
    model = fill(models.RowClassifier(kind), inputs.params.values())
    return classifier(inputs, spec, model, mode, dtype)
