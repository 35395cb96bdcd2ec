"""Deep sigmoid networks on digits: the gradient by layer, with its bound, and what skips change.

    python examples/depth.py [FOLDER]           # with a folder: the profiles as a picture

Weights start orthogonal, so that a layer can't lengthen a gradient, and a sigmoid leaves at most
a quarter of it: from layer L to layer l at most 0.25^(L - l). vanishing.py has the bound itself.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.nn import functional as F


class Deep(nn.Module):
    """`depth` layers of 32 sigmoids on digits, with or without a skip around each."""

    def __init__(self, depth: int, residual: bool, width: int = 32) -> None:
        super().__init__()
        self.residual = residual
        self.enter = nn.Linear(28 * 28, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)
        for layer in self.layers:
            nn.init.orthogonal_(layer.weight)

    def activations(self, images: bl.Tensor) -> list[bl.Tensor]:
        """What enters the first layer, and what leaves each."""
        found = [self.enter(images.flatten(1))]
        for layer in self.layers:
            x = found[-1]
            found.append(x + layer(x).sigmoid() if self.residual else layer(x).sigmoid())
        return found

    def forward(self, images: bl.Tensor) -> bl.Tensor:
        return self.head(self.activations(images)[-1])


def profile(net: Deep, images: bl.Tensor, labels: bl.Tensor) -> list[float]:
    """The gradient's norm before the first layer and after each."""
    found = net.activations(images)
    gradients = bl.autograd.grad(F.cross_entropy(net.head(found[-1]), labels), found)
    return [g.norm().item() for g in gradients]


def learn(net: Deep, count: int, epochs: int) -> float:
    """The held-out accuracy after training."""
    data = DataLoader(TensorDataset(*digits("train")[:count]), 50, shuffle=True)
    history = bl.train.fit(
        net, data, loss=F.cross_entropy, optimizer=optim.Adam(net.parameters(), lr=0.002),
        epochs=epochs, val_data=DataLoader(digits("val"), 500), metrics=["accuracy"],
        progress=False,
    )  # fmt: skip
    return history.rows[-1]["val_accuracy"]


def draw(profiles: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, norms in profiles.items():
        (line,) = axes.semilogy(norms, marker=".", label=name)
        if name.endswith("plain"):
            last = len(norms) - 1
            bound = [norms[-1] * 0.25 ** (last - i) for i in range(len(norms))]
            axes.semilogy(bound, ":", color=line.get_color(), label=f"bound, {last} layers")
    axes.set(xlabel="layer", ylabel="norm of the gradient")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="a fifth of the digits")
    arguments = parser.parse_args()
    count, epochs = (2_000, 3) if arguments.smoke else (10_000, 8)
    images, labels = digits("train")[:200]
    profiles = {}
    for depth in (10, 20):
        for kind in ("plain", "residual"):
            bl.manual_seed(0)
            net = Deep(depth, kind == "residual")
            norms = profiles[f"{depth} layers, {kind}"] = profile(net, images, labels)
            most = max(first / second for first, second in pairwise(norms))
            print(f"{depth} layers, {kind}: first/last gradient {norms[0] / norms[-1]:.2e}"
                  f" (0.25^{depth} = {0.25**depth:.2e}), a layer leaves {most:.3f} at most;"
                  f" {learn(net, count, epochs):.1%} right after training")  # fmt: skip
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(profiles, arguments.folder / "depth.png")


if __name__ == "__main__":
    main()
