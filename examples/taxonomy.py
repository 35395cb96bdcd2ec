"""Two kinds of networks, on images and on video: those that learn features, and sequences.

    python examples/taxonomy.py [FOLDER]        # with a folder: a clip and the table as pictures

Features: convolution, pooling and linear layers see the whole input at once. Sequences: RNN, LSTM,
GRU and attention read it in order, an image row by row, a clip frame by frame. The images are
digits; a clip is a pen that writes one, a moving spot without a trace, so that no single frame
tells which. The pen's ways are real (UCI pen digits), and of other people in the test.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import models, nn, optim
from backlit.data import DataLoader, PenDigits, RandomTrajectories, TensorDataset, digits
from backlit.nn import functional as F

SAMPLE = Path(bl.data.__file__).parent / "trajectories_sample"
FRAMES, SIDE, SPOT = 16, 16, 0.15


def clips(train: bool, count: int) -> TensorDataset:
    """Clips (N, 1, 16, 16, 16) of a pen that writes digits, and which: the 400 that ship with
    Backlit, turned and stretched until there are `count`, or the 100 of other writers."""
    curves = PenDigits(SAMPLE, train).centred(1 / 50)
    points, labels = curves.points, curves.labels
    if train:
        views = RandomTrajectories(curves, turn=15.0, stretch=0.2)
        chosen = [n % len(curves) for n in range(count)]
        points, labels = (bl.stack(parts) for parts in zip(*views.__getitems__(chosen)))
    time = np.linspace(0, points.shape[1] - 1, FRAMES)
    before = np.minimum(time.astype(int), points.shape[1] - 2)
    after, part = before + 1, (time - before)[:, None]
    places = points.numpy()[:, before] * (1 - part) + points.numpy()[:, after] * part
    near = np.exp(-((np.linspace(-1.2, 1.2, SIDE) - places[..., None]) ** 2) / (2 * SPOT**2))
    images = near[:, :, 1, ::-1, None] * near[:, :, 0, None, :]
    return TensorDataset(bl.from_numpy(images[:, None].astype(np.float32)), labels)


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
    "RNN over rows": lambda: Read(models.RowClassifier("rnn", 28, 64)),
    "attention over rows": lambda: Read(models.AttentionClassifier(28, 64, 4, 2, 10)),
}
VIDEO: dict[str, Callable] = {
    "C3D: convolution over time and space": lambda: models.C3D(10, 1, FRAMES, SIDE, 4, 64, 0.0),
    "LSTM over frames": lambda: Read(models.RowClassifier("lstm", SIDE * SIDE, 64)),
    "GRU over frames": lambda: Read(models.RowClassifier("gru", SIDE * SIDE, 64)),
    "RNN over frames": lambda: Read(models.RowClassifier("rnn", SIDE * SIDE, 64)),
    "attention over frames": lambda: Read(models.AttentionClassifier(SIDE * SIDE, 64, 4, 2, 10)),
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
        "--smoke", action="store_true", help="a tenth of the data, two networks of five"
    )
    arguments = parser.parse_args()
    count, epochs, kinds = (800, 3, 2) if arguments.smoke else (8_000, 4, 5)
    held_out = TensorDataset(*digits("val")[:1000])
    bl.manual_seed(0)
    written = clips(True, count)
    tasks = {
        "image": (IMAGES, TensorDataset(*digits("train")[:count]), held_out),
        "video": (VIDEO, written, clips(False, 100)),
    }
    table = {}
    for task, (nets, data, val_data) in tasks.items():
        for i, (name, make) in enumerate(list(nets.items())[:kinds]):
            size, table[name] = train(make, data, val_data, epochs)
            kind = "features" if i == 0 else "sequence"
            print(f"{task}, {kind}: {name}, {size:,} parameters: {table[name]:.1%}")
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(written[0][0], table, arguments.folder)


if __name__ == "__main__":
    main()
