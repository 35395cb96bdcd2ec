"""Handwritten digits with a training loop of your own.

What `backlit train` does by `fit`, written out: batches, forward, loss, backward, update,
validation. Read next: backlit/train/fit.py, which adds checkpoints, rules and progress.
"""

from __future__ import annotations

import argparse

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, Subset, digits
from backlit.nn import functional as F


class Network(nn.Module):
    """Two convolutions with batch normalization, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(16 * 7 * 7, 10)

    def forward(self, images: bl.Tensor) -> bl.Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        return self.head(self.drop(self.features(images).flatten(1)))


def train_epoch(model: nn.Module, batches: DataLoader, optimizer: optim.Optimizer) -> float:
    """One pass over the data; the mean loss."""
    model.train()
    total, count = 0.0, 0
    for images, labels in batches:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        count += len(labels)
    return total / count


def accuracy(model: nn.Module, batches: DataLoader) -> float:
    """The share of right answers."""
    model.eval()
    right, count = 0, 0
    with bl.no_grad():
        for images, labels in batches:
            right += (model(images).argmax(1) == labels).sum().item()
            count += len(labels)
    return right / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--smoke", action="store_true", help="a few hundred digits only")
    arguments = parser.parse_args()
    bl.manual_seed(0)
    training, held_out = digits("train"), digits("val")
    if arguments.smoke:
        arguments.epochs = 2
        training, held_out = Subset(training, range(400)), Subset(held_out, range(200))
    batches = DataLoader(training, arguments.batch_size, shuffle=True)
    model = Network()
    optimizer = optim.AdamW(model.parameters(), lr=0.003)
    for epoch in range(1, arguments.epochs + 1):
        loss = train_epoch(model, batches, optimizer)
        right = accuracy(model, DataLoader(held_out, 500))
        print(f"epoch {epoch}: loss {loss:.4f}, {right:.1%} of the held-out digits are right")


if __name__ == "__main__":
    main()
