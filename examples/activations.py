"""Sigmoid, tanh, ReLU and PReLU on one task: what each is, and how a network learns with it.

    python examples/activations.py [FOLDER]     # with a folder: the curves as a picture

The task, the start (same seeds) and the training are the same for all; three seeds each. The
number of parameters does not depend on the activation, unless it has a parameter of its own.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import backlit as bl
from backlit import models, nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.nn import functional as F

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU, "PReLU": nn.PReLU}


def values_and_slopes() -> None:
    """Value and derivative at a few points; the smallest and the largest of each."""
    points = bl.tensor([-5.0, -1.0, 0.0, 1.0, 5.0], dtype=bl.float64)
    print(f"{'z':>8}" + "".join(f"{z:>18g}" for z in points.tolist()) + "     range   of slope")
    for name, kind in ACTIVATIONS.items():
        every = bl.linspace(-50, 50, 2001, dtype=bl.float64)
        z = bl.cat([points, every]).requires_grad_()
        a = kind().double()(z)
        (slope,) = bl.autograd.grad(a.sum(), z)
        pairs = zip(a[:5].tolist(), slope[:5].tolist())
        cells = "".join(f"{value:9.4f}/{d:8.6f}" for value, d in pairs)
        ranges = (f"{x.min().item():.4g}..{x.max().item():.4g}" for x in (a, slope))
        print(f"{name:>8}{cells}  {'  '.join(ranges)}")


def train(kind: type[nn.Module], seed: int, count: int, epochs: int) -> tuple:
    """The parameters' number, and the history on digits."""
    bl.manual_seed(seed)
    training = TensorDataset(*digits("train")[:count])
    net = nn.Sequential(nn.Flatten(), *models.MLP([784, 64, 64, 10], kind))
    history = bl.train.fit(
        net, DataLoader(training, 50, shuffle=True), loss=F.cross_entropy,
        optimizer=optim.SGD(net.parameters(), lr=0.1), epochs=epochs,
        val_data=DataLoader(digits("val"), 500), metrics=["accuracy"], progress=False,
    )  # fmt: skip
    return sum(p.numel() for p in net.parameters()), history.rows


def draw(curves: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="held-out accuracy")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="one seed, a fifth of the digits")
    arguments = parser.parse_args()
    seeds, count, epochs = (1, 2_000, 3) if arguments.smoke else (3, 10_000, 8)
    values_and_slopes()
    print("\n          parameters  loss, epoch 1  loss, end  accuracy  training - held-out")
    curves = {}
    for name, kind in ACTIVATIONS.items():
        runs = [train(kind, seed, count, epochs) for seed in range(seeds)]
        every = list(zip(*(rows for _, rows in runs)))  # by epoch, then by seed
        curves[name] = [mean(row["val_accuracy"] for row in rows) for rows in every]
        first, last = (mean(row["train_loss"] for row in every[i]) for i in (0, -1))
        gap = mean(row["train_accuracy"] - row["val_accuracy"] for row in every[-1])
        print(f"{name:>8}  {runs[0][0]:10}  {first:13.3f}  {last:9.4f}  {curves[name][-1]:8.1%}"
              f"  {gap:19.1%}")  # fmt: skip
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(curves, arguments.folder / "activations.png")


if __name__ == "__main__":
    main()
