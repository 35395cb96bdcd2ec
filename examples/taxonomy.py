"""Two kinds of networks, on images and on video: those that learn features, and sequences.

    python examples/taxonomy.py [FOLDER]        # with a folder: a clip and the table as pictures

Features: convolution, pooling and linear layers see the whole input at once. Sequences: LSTM, GRU
and attention read it in order, an image row by row, a clip frame by frame. The images are digits;
in a clip a digit moves to one of four sides, which no single frame can tell.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import models, nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.nn import functional as F

FRAMES, SIDE, DIGIT = 16, 16, 7
MOVES = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}


def clips(split: str, count: int) -> TensorDataset:
    """Clips (N, 1, 16, 16, 16) of digits shrunk to 7 x 7, and where each moves."""
    random = np.random.default_rng(0)
    shrunk = F.avg_pool2d(digits(split).images, 4).numpy()[:, 0]
    found = np.zeros((count, 1, FRAMES, SIDE, SIDE), np.float32)
    labels = random.integers(0, 4, count)
    middle = (SIDE - DIGIT) / 2
    for n, label in enumerate(labels):
        move = np.array(list(MOVES.values())[label])
        place = random.uniform(0, SIDE - DIGIT, 2) * (move == 0) + middle * (move != 0)
        digit = shrunk[random.integers(len(shrunk))]
        for t in range(FRAMES):
            y, x = np.rint(place + move * (t - 7.5) / 7.5 * (middle - 0.5)).astype(int)
            found[n, 0, t, y : y + DIGIT, x : x + DIGIT] = digit
    return TensorDataset(bl.from_numpy(found), bl.from_numpy(labels))


class Read(nn.Module):
    """A network for sequences (N, T, features), which reads an input along its third axis."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: bl.Tensor) -> bl.Tensor:
        return self.net(x[:, 0].flatten(2))


IMAGES: dict[str, Callable] = {
    "LeNet: convolution, pooling, linear": models.LeNet,
    "LSTM over rows": lambda: Read(models.RowClassifier("lstm", 28, 64)),
    "GRU over rows": lambda: Read(models.RowClassifier("gru", 28, 64)),
    "attention over rows": lambda: Read(models.AttentionClassifier(28, 64, 4, 2, 10)),
}
VIDEO: dict[str, Callable] = {
    "C3D: convolution over time and space": lambda: models.C3D(4, 1, FRAMES, SIDE, 4, 64, 0.0),
    "LSTM over frames": lambda: Read(models.RowClassifier("lstm", SIDE * SIDE, 64, classes=4)),
    "GRU over frames": lambda: Read(models.RowClassifier("gru", SIDE * SIDE, 64, classes=4)),
    "attention over frames": lambda: Read(models.AttentionClassifier(SIDE * SIDE, 64, 4, 2, 4)),
}


def train(make: Callable, data: TensorDataset, held_out: TensorDataset, epochs: int) -> tuple:
    """Parameters, and held-out accuracy."""
    bl.manual_seed(0)
    net = make()
    history = bl.train.fit(
        net, DataLoader(data, 50, shuffle=True), loss=F.cross_entropy, epochs=epochs,
        optimizer=optim.Adam(net.parameters(), lr=0.002), val_data=DataLoader(held_out, 200),
        metrics=["accuracy"], progress=False,
    )  # fmt: skip
    return sum(p.numel() for p in net.parameters()), history.rows[-1]["val_accuracy"]


def draw(clip: bl.Tensor, table: dict[str, float], folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2), layout="constrained")
    for axes, frame in zip(figure.subplots(1, 8), clip[0, ::2]):
        axes.imshow(frame.numpy(), cmap="gray")
        axes.axis("off")
    figure.savefig(folder / "clip.png")
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.barh(list(table)[::-1], list(table.values())[::-1])
    axes.set(xlabel="held-out accuracy", xlim=(0, 1))
    figure.savefig(folder / "taxonomy.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where pictures go")
    parser.add_argument(
        "--smoke", action="store_true", help="a tenth of the data, half of the networks"
    )
    arguments = parser.parse_args()
    count, epochs, kinds = (800, 3, 2) if arguments.smoke else (8_000, 4, 4)
    held_out = TensorDataset(*digits("val")[:1000])
    moving = clips("train", count)
    tasks = {
        "image": (IMAGES, TensorDataset(*digits("train")[:count]), held_out),
        "video": (VIDEO, moving, clips("val", 400)),
    }
    table = {}
    for task, (nets, data, val_data) in tasks.items():
        for i, (name, make) in enumerate(list(nets.items())[:kinds]):
            size, table[name] = train(make, data, val_data, epochs)
            kind = "features" if i == 0 else "sequence"
            print(f"{task}, {kind}: {name}, {size:,} parameters: {table[name]:.1%}")
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(moving[0][0], table, arguments.folder)


if __name__ == "__main__":
    main()
