"""Parameters of dense and of convolutional networks on images of 32 x 32 x 3 and 224 x 224 x 3.

    python examples/parameters.py [FOLDER]      # with a folder: the table as a picture

A dense layer has a weight for every pair of a pixel and a unit, so that it grows with the image;
a convolution has as many however large the image is. Small networks are built and counted; for
the large dense layers the formula is used, after it has been compared with what was built.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

from backlit import models, nn


def dense(sizes: list[int]) -> int:
    """Weights and biases of linear layers of these sizes."""
    return sum((inside + 1) * outside for inside, outside in pairwise(sizes))


def convolution(inside: int, outside: int, kernel: int = 3) -> int:
    return (inside * kernel**2 + 1) * outside


def built(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def formulas_hold() -> bool:
    """Whether both formulas count what the layers have."""
    mlp = built(models.MLP([32 * 32 * 3, 100, 50, 10])) == dense([32 * 32 * 3, 100, 50, 10])
    return mlp and built(nn.Conv2d(3, 64, 3)) == convolution(3, 64)


def table() -> list[tuple[str, int, int]]:
    """What, and how many parameters for 32 x 32 x 3 and for 224 x 224 x 3."""
    sides = (32, 224)
    pixels = [side * side * 3 for side in sides]
    inputs_and_classes = list(zip(pixels, (10, 1000)))
    small, large = models.resnet20(), models.resnet18()
    return [
        ("one dense unit", *(dense([p, 1]) for p in pixels)),
        ("one 3x3 filter", *(convolution(3, 1) for _ in sides)),
        ("64 maps, dense", *(dense([p, s * s * 64]) for p, s in zip(pixels, sides))),
        ("64 maps, 3x3 convolution", *(convolution(3, 64) for _ in sides)),
        ("dense net, 2 x 1000 units", *(dense([p, 1000, 1000, c]) for p, c in inputs_and_classes)),
        ("ResNet-20 and ResNet-18", built(small), built(large)),
    ]  # fmt: skip


def draw(rows: list[tuple[str, int, int]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    axes.barh([i - 0.2 for i in places], [row[1] for row in rows], 0.4, label="32 x 32 x 3")
    axes.barh([i + 0.2 for i in places], [row[2] for row in rows], 0.4, label="224 x 224 x 3")
    axes.set(xscale="log", xlabel="parameters", yticks=places, yticklabels=[r[0] for r in rows])
    axes.invert_yaxis()
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder
    print("the formulas count what was built:", "yes" if formulas_hold() else "no")
    rows = table()
    print(f"{'':26} {'32 x 32 x 3':>15} {'224 x 224 x 3':>19}")
    for name, small, large in rows:
        print(f"{name:26} {small:15,} {large:19,}")
    print(f"64 dense maps of 224 x 224 would need {rows[2][2] * 4 / 1e12:.2f} TB as float32")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        draw(rows, folder / "parameters.png")


if __name__ == "__main__":
    main()
