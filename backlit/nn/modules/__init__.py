"""PyTorch's addresses of layers by file, such as `torch.nn.modules.batchnorm`: aliases.

Everything lives in `backlit.nn`; what this package has of its own is utils.py.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_FILES = {
    "batchnorm": "normalization", "channelshuffle": "upsampling", "container": "containers",
    "flatten": "linear", "instancenorm": "normalization", "pixelshuffle": "upsampling",
    "rnn": "recurrent", "sparse": "embedding",
    **{same: same for same in (
        "activation", "adaptive", "conv", "distance", "dropout", "fold", "lazy", "linear", "loss",
        "module", "normalization", "padding", "pooling", "transformer", "upsampling",
    )},
}  # fmt: skip
for _theirs, _ours in _FILES.items():
    globals()[_theirs] = sys.modules[f"{__name__}.{_theirs}"] = import_module(f"backlit.nn.{_ours}")


def __getattr__(name: str) -> Any:
    return getattr(import_module("backlit.nn"), name)
