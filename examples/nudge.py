"""The demon in the network: move a weighted input by dz, and the cost moves by delta dz.

    python examples/nudge.py [FOLDER]           # with a folder: the report as a page in it

The network is 2-3-2 with sigmoids and half the squared error, as in Nielsen's chapter 2.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl


def f64(values: list, grad: bool = True) -> bl.Tensor:
    return bl.tensor(values, dtype=bl.float64, requires_grad=grad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the page goes")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder

    W2, b2 = f64([[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]]), f64([0.1, -0.1, 0.0])
    W3, b3 = f64([[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]]), f64([0.05, -0.05])
    z2 = W2 @ f64([1.0, -2.0], False) + b2
    a2 = z2.sigmoid()
    z3 = W3 @ a2 + b3
    a3 = z3.sigmoid()
    C = 0.5 * ((f64([1.0, 0.0], False) - a3) ** 2).sum()

    recorded = bl.see.record(C)
    for layer in (z2, z3):
        print(bl.see.nudge(layer, dz=0.1, of=recorded), end="\n\n")
    moved = bl.see.nudge(b2, slice(None), 0.1, of=recorded)
    print("all biases of the hidden layer at once:", moved, sep="\n")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nudge.html").write_text(moved._repr_html_(), encoding="utf-8")


if __name__ == "__main__":
    main()
