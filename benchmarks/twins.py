"""PyTorch twins of the recipes' models: Backlit's own model files, read with the import changed.

Owns how a Backlit module's source becomes PyTorch's, and one training step there. Only for
comparisons; nothing of the package imports it.
"""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import backlit as bl

ROOT = Path(bl.__file__).parent
# What a model file imports, by PyTorch's names. Errors stay Backlit's.
CHANGES = (
    (r"^import backlit as bl$", "import torch as bl"),
    (r"^from backlit import nn$", "from torch import nn"),
    (r"^from backlit\.nn import functional as F$", "from torch.nn import functional as F"),
    (r"^from backlit\.nn\.functional import", "from torch.nn.functional import"),
    (r"^from backlit\.tensor import Tensor$", "from torch import Tensor"),
    (r"^from backlit\.models\.(\w+) import", r"from torch_twin_of_\1 import"),
    (r"^from backlit import models$", ""),
)


def ported(name: str) -> Any:
    """The module backlit/models/NAME.py with PyTorch in Backlit's place."""
    alias = f"torch_twin_of_{name}"
    if alias not in sys.modules:
        text = (ROOT / "models" / f"{name}.py").read_text()
        for pattern, new in CHANGES:
            text = re.sub(pattern, new, text, flags=re.MULTILINE)
        for needed in re.findall(r"^from torch_twin_of_(\w+) import", text, re.MULTILINE):
            ported(needed)
        module = types.ModuleType(alias)
        sys.modules[alias] = module
        exec(compile(text, f"{alias}.py", "exec"), module.__dict__)
    return sys.modules[alias]


def ported_models() -> types.SimpleNamespace:
    """All of backlit.models, with PyTorch in Backlit's place."""
    files = [path.stem for path in (ROOT / "models").glob("*.py") if path.stem != "__init__"]
    names: dict[str, Any] = {}
    for file in files:
        names |= vars(ported(file))
    return types.SimpleNamespace(**names)


@dataclass
class Twin:
    """A PyTorch model with its loss and an optimizer that follows the recipe's."""

    model: nn.Module
    loss: Any
    optimizer: Any
    rates: Any  # the recipe's optimizer, whose rates and momentum its schedule moves
    clip: float | None

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return self.model(*inputs)

    def step(self, batch: list[torch.Tensor]) -> float:
        *inputs, target = batch
        for group, leader in zip(self.optimizer.param_groups, self.rates.param_groups):
            group |= {key: leader[key] for key in ("momentum", "betas") if key in leader}
            group["lr"] = float(leader["lr"])
        self.optimizer.zero_grad()
        loss = self.loss(self.model(*inputs), target)
        loss.backward()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return loss.item()


def as_torch(tensor: Any) -> torch.Tensor:
    """A copy, so that neither side can write into the other."""
    return torch.from_numpy(tensor.numpy().copy())


def twin_of(name: str, settings: Any, job: Any) -> Twin:
    """The twin of a recipe's Job, from the same weights."""
    build, loss = TWINS[name]
    model = build(settings).to(memory_format=torch.channels_last)  # where it is faster
    model.load_state_dict({key: as_torch(value) for key, value in job.model.state_dict().items()})
    group = job.optimizer.param_groups[0]
    kind = getattr(torch.optim, type(job.optimizer).__name__)
    known = {"momentum", "nesterov", "dampening", "weight_decay", "betas", "eps", "amsgrad"}
    options = {key: value for key, value in group.items() if key in known}
    optimizer = kind(model.parameters(), lr=float(group["lr"]), **options)
    if isinstance(job.loss, partial):
        loss = partial(loss, **job.loss.keywords)
    return Twin(model, loss, optimizer, job.optimizer, job.clip_grad_norm)


def _nielsen(settings: Any) -> nn.Module:
    network = ported("mlp").MLP([784, settings.hidden, 10], nn.Sigmoid, last=nn.Sigmoid)
    return nn.Sequential(nn.Flatten(), *network)


def _quadratic(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return 0.5 * ((output - F.one_hot(target, 10)) ** 2).sum(1).mean()


def _fashion(settings: Any) -> nn.Module:
    def convolution(inside: int, outside: int) -> list[nn.Module]:
        layer = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        return [layer, nn.BatchNorm2d(outside), nn.ReLU()]

    w = settings.width
    return nn.Sequential(
        *convolution(1, w), *convolution(w, w), nn.MaxPool2d(2),
        *convolution(w, 2 * w), *convolution(2 * w, 2 * w), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(settings.dropout), nn.Linear(2 * w * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def _nuclei(settings: Any) -> nn.Module:
    return ported("unet").UNet(classes=1, width=settings.width, depth=settings.depth)


def _segmentation(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    chance = output.sigmoid()
    dice = (2 * (chance * target).sum() + 1) / (chance.sum() + target.sum() + 1)
    return F.binary_cross_entropy_with_logits(output, target) + (1 - dice)


def _pen_digits(settings: Any) -> nn.Module:
    if settings.model == "attention":
        return ported("attention").AttentionClassifier(2, settings.hidden, classes=10)
    return ported("recurrent").SequenceClassifier(settings.model, 2, settings.hidden, classes=10)


def _cifar10(settings: Any) -> nn.Module:
    class Mirrored(ported("resnet").ResNet):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            said = super().forward(images)
            return said if self.training else (said + super().forward(images.flip(-1))) / 2

    return Mirrored(3)


TWINS = {
    "nielsen": (_nielsen, _quadratic),
    "mnist": (lambda settings: ported("lenet").LeNet(), F.cross_entropy),
    "fashion": (_fashion, F.cross_entropy),
    "nuclei": (_nuclei, _segmentation),
    "pen-digits": (_pen_digits, F.cross_entropy),
    "cifar10": (_cifar10, F.cross_entropy),
}
