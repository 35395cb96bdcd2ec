"""The gradient of a linear recurrence grows as rho^T, and clipping holds the step.

    python examples/exploding.py [FOLDER]       # with a folder: a picture in it

h <- W h with W = rho Q, Q orthogonal: T steps multiply every gradient by rho, T times over.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import nn


def recurrence(rho: float, steps: int, size: int = 8) -> tuple[bl.Tensor, bl.Tensor, bl.Tensor]:
    """(start, W, loss) of a linear recurrence; the loss has a gradient of norm 1 at its end."""
    bl.manual_seed(0)
    orthogonal = nn.init.orthogonal_(bl.empty(size, size, dtype=bl.float64))
    weight = (rho * orthogonal).detach().requires_grad_()
    start = bl.randn(size, dtype=bl.float64).requires_grad_()
    h = start
    for _ in range(steps):
        h = weight @ h
    return start, weight, h.sum() / size**0.5


def growth(rho: float, steps: int) -> float:
    """The norm of dC/dh at the start, where it is 1 at the end."""
    start, _, loss = recurrence(rho, steps)
    loss.backward()
    return start.grad.norm().item()


def clipped(rho: float, steps: int) -> tuple[float, float]:
    """The norm of the gradient of W before and after clipping to 1."""
    _, weight, loss = recurrence(rho, steps)
    loss.backward()
    before = nn.utils.clip_grad_norm_([weight], 1.0).item()
    return before, weight.grad.norm().item()


def draw(path: Path, lengths: list[int]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for rho in (0.9, 1.0, 1.1, 1.3):
        axes.semilogy(lengths, [growth(rho, t) for t in lengths], "o", label=f"rho = {rho}")
        axes.semilogy(lengths, [rho**t for t in lengths], color="grey", linewidth=0.8)
    axes.set(xlabel="steps T", ylabel="norm of the gradient at the start; lines: rho^T")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder
    print("  rho    T         rho^T      gradient")
    for rho in (0.9, 1.0, 1.1, 1.3):
        for steps in (10, 50):
            print(f"{rho:5g} {steps:4d} {rho**steps:13.6e} {growth(rho, steps):13.6e}")
    for rho in (0.8, 1.0, 1.3):
        report = bl.check.health(recurrence(rho, 50)[2])
        print(f"rho {rho:g}:", *(report.alarms or ["no alarm"]))
    before, after = clipped(1.3, 50)
    print(f"clip_grad_norm_: {before:.3e} becomes {after:.6f}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        draw(folder / "exploding.png", list(range(5, 55, 5)))


if __name__ == "__main__":
    main()
