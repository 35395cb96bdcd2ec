"""W10: U-Net, 16 to 128 channels, on 64 x 64 images, Adam."""

from typing import Any

from backlit import models

from .common import Trainer, classifier, fill


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Trainer:
    parts = ["enc0", "enc1", "enc2", "mid", "up0", "up1", "up2", "dec0", "dec1", "dec2", "out"]
    given = [a for part in parts for n, a in inputs.params.items() if n.split(".")[0] == part]
    return classifier(inputs, spec, fill(models.UNet(), given), mode, dtype)
