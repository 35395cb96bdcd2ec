"""The adding problem: LSTM and GRU remember over a hundred steps, where the plain RNN does not.

    python examples/adding.py [FOLDER] [--length 100] [--epochs 10]    # a minute on one core

The network reads a sequence of numbers of which two are marked, one in each half, and gives their
sum. A plain RNN ends near 1/6, the error of always answering 1: no gradient reaches the marks.
With a folder: the loss by epoch, and the gradient of the answer by the input of every step.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import models, optim
from backlit.data import AddingProblem, DataLoader
from backlit.nn import functional as F


def train(kind: str, length: int, epochs: int, count: int) -> tuple:
    """A network and its loss on held-out sequences, epoch by epoch."""
    bl.manual_seed(0)
    batches = DataLoader(AddingProblem(count, length), batch_size=100, shuffle=True)
    held_out = DataLoader(AddingProblem(1000, length), batch_size=1000)
    net = models.RowClassifier(kind, features=2, hidden=32, classes=1)
    history = bl.train.fit(
        net, batches, loss=F.mse_loss, optimizer=optim.Adam(net.parameters(), lr=0.01),
        epochs=epochs, val_data=held_out, clip_grad_norm=1.0, progress=False,
    )  # fmt: skip
    return net, [row["val_loss"] for row in history.rows]


def gradient_by_step(net: models.RowClassifier, length: int) -> list[float]:
    """|d answer / d input of step t|, the mean over sequences, from the first step to the last."""
    bl.manual_seed(1)
    x = AddingProblem(200, length).sequences.double().requires_grad_()  # float32 would hold 0
    (gradient,) = bl.autograd.grad(net.double()(x).sum(), x)
    return gradient.norm(dim=2).mean(0).tolist()


def draw(losses: dict[str, list[float]], gradients: dict[str, list[float]], folder: Path) -> None:
    from matplotlib.figure import Figure

    for name, curves in (("adding", losses), ("gradient_by_step", gradients)):
        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.subplots()
        for kind, values in curves.items():
            axes.semilogy(range(1, len(values) + 1), values, label=kind)
        if curves is losses:
            axes.axhline(1 / 6, color="gray", linestyle=":", label="always 1")
            axes.set(xlabel="epoch", ylabel="mean squared error, held-out")
        else:
            axes.set(xlabel="step of the sequence", ylabel="|d answer / d input|, trained")
        axes.legend(frameon=False)
        figure.savefig(folder / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where pictures go")
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--smoke", action="store_true", help="short sequences, and fewer")
    arguments = parser.parse_args()
    length, epochs, count = arguments.length, arguments.epochs, 20_000
    if arguments.smoke:
        length, epochs, count = 25, 10, 4_000
    losses, gradients = {}, {}
    for kind in ("rnn", "lstm", "gru"):
        net, losses[kind] = train(kind, length, epochs, count)
        gradients[kind] = gradient_by_step(net, length)
        first, last = gradients[kind][0], gradients[kind][-1]
        print(f"{kind}: error {losses[kind][-1]:.4f} at length {length} (1/6 = 0.1667 by guessing);"
              f" gradient {first:.1e} at the first step, {last:.1e} at the last")  # fmt: skip
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(losses, gradients, arguments.folder)


if __name__ == "__main__":
    main()
