"""W9: a vision transformer of 17 tokens, width 64, four blocks, AdamW."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    given = dict(inputs.params)
    own = [given.pop("cls"), given.pop("pos")]  # a module lists its own parameters first
    model = fill(models.VisionTransformer(), [*own, *given.values()])
    return classifier(inputs, spec, model, mode, dtype)
