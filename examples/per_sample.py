"""Gradients of every sample by itself, and what they are good for: finding wrong labels.

A tenth of the labels of a small set of digits is made wrong. A linear classifier is trained on
all of them; then the samples with the largest gradients, those that pull hardest against what
the others agree on, are mostly the wrong ones.
"""

from __future__ import annotations

import argparse

import backlit as bl
from backlit import nn, optim
from backlit.data import digits
from backlit.nn import functional as F


def spoil(labels: bl.Tensor, share: float) -> tuple[bl.Tensor, set[int]]:
    """Labels of which some are replaced by others, and the places of those."""
    count = round(share * len(labels))
    places = bl.randperm(len(labels))[:count]
    spoiled = labels.clone()
    spoiled[places] = (labels[places] + bl.randint(1, 10, (count,))) % 10
    return spoiled, set(places.tolist())


def train(model: nn.Module, images: bl.Tensor, labels: bl.Tensor, steps: int) -> None:
    """Full-batch training with weight decay, so that the model can't learn labels by heart."""
    optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()


def gradient_norms(model: nn.Module, images: bl.Tensor, labels: bl.Tensor) -> bl.Tensor:
    """The norm of each sample's gradient by all parameters, (N,)."""

    def loss(parameters: dict, image: bl.Tensor, label: bl.Tensor) -> bl.Tensor:
        return F.cross_entropy(bl.func.functional_call(model, parameters, (image,)), label)

    each = bl.func.vmap(bl.func.grad(loss), in_dims=(None, 0, 0))
    gradients = each(dict(model.named_parameters()), images, labels)
    squares = [(g**2).flatten(1).sum(1) for g in gradients.values()]
    return bl.stack(squares).sum(0).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--smoke", action="store_true", help="200 samples")
    arguments = parser.parse_args()
    count = 200 if arguments.smoke else arguments.samples
    bl.manual_seed(0)
    images, labels = digits("train")[:count]
    images = images.flatten(1)
    labels, wrong = spoil(labels, share=0.1)
    model = nn.Linear(28 * 28, 10)
    train(model, images, labels, steps=100)
    norms = gradient_norms(model, images, labels)
    mean = bl.autograd.grad(F.cross_entropy(model(images), labels), list(model.parameters()))
    total = sum((g**2).sum() for g in mean) ** 0.5
    print(f"norm of the mean gradient {total.item():.4f}, mean of the norms {norms.mean():.4f}")
    hardest = norms.topk(len(wrong)).indices.tolist()
    found = len(wrong & set(hardest))
    print(f"of the {len(wrong)} samples with the largest gradients, {found} have a wrong label")


if __name__ == "__main__":
    main()
