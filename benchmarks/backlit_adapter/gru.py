"""W8: a GRU of 128 units over the 28 rows of an image."""

from typing import Any

from .common import Trainer
from .lstm import build as recurrent


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    return recurrent(inputs, spec, mode, dtype, threads, kind="gru")
