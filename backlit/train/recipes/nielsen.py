"""Nielsen's first network: 784-30-10 sigmoid units, quadratic cost, plain gradient descent.

M. Nielsen, "Neural Networks and Deep Learning", chapter 1: batches of 10, learning rate 3, thirty
passes over MNIST; weights and biases start as N(0, 1), so large that many units are saturated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit import nn
from backlit.models import MLP
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, parts
from backlit.train.recipes.mnist import images


@dataclass
class NielsenSettings(Settings):
    """As in the book."""

    epochs: int = 30
    batch_size: int = 10
    lr: float = 3.0
    hidden: int = 30  # units of the hidden layer


def quadratic_cost(output: Any, target: Any) -> Any:
    """Half the squared distance to the one-hot target, mean over the batch."""
    return 0.5 * ((output - nn.functional.one_hot(target, 10)) ** 2).sum(1).mean()


def prepare(settings: NielsenSettings) -> Job:
    """Flat images, stochastic gradient descent without momentum."""
    training, held_out = parts(settings, images)
    batches: Any = bl.data.DataLoader(training, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 1000)
    network = MLP([784, settings.hidden, 10], nn.Sigmoid, last=nn.Sigmoid)
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    model = nn.Sequential(nn.Flatten(), *network)
    return Job(
        model=model,
        train_data=batches,
        val_data=val_batches,
        loss=quadratic_cost,
        optimizer=bl.optim.SGD(model.parameters(), lr=settings.lr),
        metrics=["accuracy"],
        pictures={
            "mistakes.png": lambda path: plot_mistakes(
                model, val_batches, path, classes=held_out.classes
            )
        },
    )


RECIPE = Recipe(
    name="nielsen",
    title="Nielsen's 784-30-10 network of sigmoids on MNIST",
    data="MNIST (70,000 digits, 28 x 28)",
    expects="95 % of the test digits",
    minutes=1,
    settings=NielsenSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} digits are right",
)
