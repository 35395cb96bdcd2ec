"""Weak labels: a network told only which digits are somewhere in an image learns where they are.

    python examples/localization.py [FOLDER]    # with a folder: images with their maps

Three different digits lie on a canvas; the label is which. The class activation map (Zhou et al.
2016) weighs the last feature maps as the class does; where it is highest, the digit should be.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.nn import functional as F

SIDE, CORNERS = 72, ((0, 0), (0, 40), (40, 0), (40, 40))


def canvases(split: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 1, 72, 72), labels (N, 10) of 0 and 1, and corners (N, 10, 2) of the digits."""
    random, source = np.random.default_rng(seed), digits(split)
    of_class = [np.flatnonzero(source.labels.numpy() == c) for c in range(10)]
    images = np.zeros((count, 1, SIDE, SIDE), np.float32)
    labels, corners = np.zeros((count, 10), np.float32), np.full((count, 10, 2), -1)
    for n in range(count):
        places = random.permutation(4)[:3]
        for kind, place in zip(random.permutation(10)[:3], places):
            y, x = CORNERS[place] + random.integers(0, 5, 2)
            images[n, 0, y : y + 28, x : x + 28] = source.images[random.choice(of_class[kind])][0]
            labels[n, kind], corners[n, kind] = 1, (y, x)
    return images, labels, corners


class Network(nn.Module):
    """Convolutions, the average over all places, and one linear layer."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = [1, width, 2 * width, 4 * width, 4 * width]
        layers = []
        for i, (inside, outside) in enumerate(pairwise(sizes)):
            layers += [nn.Conv2d(inside, outside, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(outside), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i < 3 else []
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], 10)

    def forward(self, images: bl.Tensor) -> bl.Tensor:
        return self.head(self.features(images).mean((2, 3)))

    def maps(self, images: bl.Tensor) -> bl.Tensor:
        """Class activation maps (N, 10, 72, 72)."""
        small = bl.einsum("nchw,kc->nkhw", self.features(images), self.head.weight)
        return F.interpolate(small, (SIDE, SIDE), mode="bilinear")


def judge(net: Network, images: np.ndarray, labels: np.ndarray, corners: np.ndarray) -> tuple:
    """The share of labels that are right, that of digits their map points at, and the maps."""
    net.eval()
    with bl.no_grad():
        scores = net(bl.from_numpy(images)).numpy()
        maps = net.maps(bl.from_numpy(images)).numpy()
    net.train()
    hits = []
    for n, kind in np.argwhere(labels == 1):
        peak = np.unravel_index(maps[n, kind].argmax(), (SIDE, SIDE))
        inside = peak - corners[n, kind]
        hits.append(((inside >= 0) & (inside < 28)).all())
    return ((scores > 0) == labels).mean(), np.mean(hits), maps


def draw(images: np.ndarray, labels: np.ndarray, maps: np.ndarray, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.4), layout="constrained")
    for n, row in enumerate(figure.subplots(3, 4)):
        row[0].imshow(images[n, 0], cmap="gray")
        row[0].set_title("image")
        for axes, kind in zip(row[1:], np.flatnonzero(labels[n])):
            axes.imshow(images[n, 0], cmap="gray")
            axes.imshow(maps[n, kind], cmap="jet", alpha=0.5)
            axes.set_title(f"where is the {kind}?")
        for axes in row:
            axes.axis("off")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="fewer images and maps")
    arguments = parser.parse_args()
    width, count, epochs = (8, 500, 4) if arguments.smoke else (16, 5000, 6)
    shown = canvases("val", 200, seed=1)
    bl.manual_seed(0)
    net = Network(width)
    before = judge(net, *shown)[1]
    images, labels, _ = canvases("train", count, seed=0)
    training = TensorDataset(bl.from_numpy(images), bl.from_numpy(labels))
    bl.train.fit(
        net, DataLoader(training, 25, shuffle=True), epochs=epochs, progress=False,
        loss=F.binary_cross_entropy_with_logits, optimizer=optim.Adam(net.parameters(), lr=0.004),
    )  # fmt: skip
    right, pointing, maps = judge(net, *shown)
    print(f"labels right: {right:.1%}")
    print(f"maps that point at their digit: {pointing:.1%}, before training {before:.1%}")
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(*shown[:2], maps, arguments.folder / "localization.png")


if __name__ == "__main__":
    main()
