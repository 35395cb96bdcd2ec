"""Weak labels: a network told only which cells a picture holds learns where they are.

    python examples/localization.py [FOLDER]    # with a folder: pictures with their maps

Windows of pictures of blood are labelled by whether they hold white cells and platelets; where, the
network is never told. The class activation map (Zhou et al. 2016) weighs the last feature maps
as the class does; where it is highest in a whole picture, such a cell should be.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, TensorDataset
from backlit.nn import functional as F

DATA = Path(__file__).resolve().parent / "data" / "blood_cells"
KINDS = {"white": "white cells", "platelet": "platelets"}
HEIGHT, WIDTH = 120, 160  # of a picture; a window has half of both


def pictures(part: str) -> tuple[np.ndarray, list[list]]:
    """Pictures (N, 3, 120, 160) around 0, and the boxes in each: kind, left, top, right, bottom."""
    from PIL import Image

    boxes = json.loads((DATA / f"{part}.json").read_text())
    sheet = np.asarray(Image.open(DATA / f"{part}.jpg"), np.float32) / 128 - 1.5
    tiles = sheet.reshape(sheet.shape[0] // HEIGHT, HEIGHT, sheet.shape[1] // WIDTH, WIDTH, 3)
    return np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3)).reshape(-1, 3, HEIGHT, WIDTH), boxes


def windows(images: np.ndarray, boxes: list[list]) -> tuple[bl.Tensor, bl.Tensor]:
    """Nine windows (3, 60, 80) of every picture; labels (2,): is half of such a cell in it?"""
    parts, labels = [], []
    for image, cells in zip(images, boxes):
        for y, x in np.ndindex(3, 3):
            top, left = 30 * y, 40 * x
            parts.append(image[:, top : top + 60, left : left + 80])
            held = {kind for kind, *box in cells if inside(box, top, left) >= 0.5}
            labels.append([float(kind in held) for kind in KINDS])
    return bl.tensor(np.stack(parts)), bl.tensor(labels)


def inside(box: list[float], top: int, left: int) -> float:
    """The share of a box that lies in the window with this corner."""
    x0, y0, x1, y1 = box
    wide, high = min(x1, left + 80) - max(x0, left), min(y1, top + 60) - max(y0, top)
    return max(wide, 0) * max(high, 0) / ((x1 - x0) * (y1 - y0))


class Network(nn.Module):
    """Convolutions, the average over all places, and one linear layer."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        sizes = [3, width, 2 * width, 4 * width, 4 * width]
        layers = []
        for i, (before, after) in enumerate(pairwise(sizes)):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i < 3 else []
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], len(KINDS))

    def forward(self, images: bl.Tensor) -> bl.Tensor:
        return self.head(self.features(images).mean((2, 3)))

    def maps(self, images: bl.Tensor) -> bl.Tensor:
        """Class activation maps (N, 2, H, W): a linear layer before the average is one after it."""
        small = bl.einsum("nchw,kc->nkhw", self.features(images), self.head.weight)
        return F.interpolate(small, images.shape[2:], mode="bilinear")


@bl.no_grad()
def maps_of(net: Network, images: np.ndarray) -> np.ndarray:
    net.eval()
    found = [net.maps(bl.from_numpy(some)).numpy() for some in np.array_split(images, 6)]
    net.train()
    return np.concatenate(found)


def pointing(maps: np.ndarray, boxes: list[list]) -> list[tuple[float, float, int]]:
    """Of each kind: how often the peak is in a box, the share of area they cover, and how many."""
    found = []
    for number, kind in enumerate(KINDS):
        hits, covered = [], []
        for map, cells in zip(maps[:, number], boxes):
            mine = [box for its, *box in cells if its == kind]
            if mine:
                y, x = np.add(np.unravel_index(map.argmax(), map.shape), 0.5)
                hits.append(any(a <= x <= c and b <= y <= d for a, b, c, d in mine))
                covered.append(sum((c - a) * (d - b) for a, b, c, d in mine) / map.size)
        found.append((np.mean(hits), np.mean(covered), len(hits)))
    return found


def draw(images: np.ndarray, maps: np.ndarray, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 7.5), layout="constrained")
    for image, both, row in zip(images, maps, figure.subplots(4, 3)):
        for axes in row:
            axes.imshow((image.transpose(1, 2, 0) + 1.5) / 2)
            axes.axis("off")
        for axes, map, kind in zip(row[1:], both, KINDS.values()):
            axes.imshow(map, cmap="jet", alpha=0.45)
            axes.plot(*np.unravel_index(map.argmax(), map.shape)[::-1], "w+", markersize=12)
            axes.set_title(f"where are {kind}?")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="fewer passes")
    arguments = parser.parse_args()
    epochs = 4 if arguments.smoke else 12
    bl.manual_seed(0)
    net, (shown, boxes) = Network(), pictures("test")
    before = pointing(maps_of(net, shown), boxes)
    optimizer = optim.Adam(net.parameters(), lr=0.004)
    bl.train.fit(
        net, DataLoader(TensorDataset(*windows(*pictures("train"))), 25, shuffle=True),
        epochs=epochs, loss=F.binary_cross_entropy_with_logits, optimizer=optimizer, progress=False,
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
    )  # fmt: skip
    maps = maps_of(net, shown)
    for kind, (start, *_), (end, covered, count) in zip(
        KINDS.values(), before, pointing(maps, boxes)
    ):
        print(f"{kind}: the map points at one in {end:.1%} of {count} pictures,"
              f" {start:.1%} before training; they cover {covered:.1%}")  # fmt: skip
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        both = [n for n, cells in enumerate(boxes) if {kind for kind, *_ in cells} == set(KINDS)]
        draw(shown[both], maps[both], arguments.folder / "localization.png")


if __name__ == "__main__":
    main()
