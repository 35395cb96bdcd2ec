"""Optimizers on one least-squares problem, step by step beside their closed forms.

    python examples/trajectories.py [FOLDER]    # with a folder: the ways as a picture

The problem has two unknowns: guess from a digit's ink and its width whether it is a 1. Half the
mean squared error is a quadratic, C(w) = w'Aw/2 - c'w + const, solved by A w = c.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import optim
from backlit.data import digits

STEPS, BATCH = 120, 50
START = [2.0, 0.0]


def problem(count: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 2), normalized, and targets (N,): 1 for a one, else 0; both centered."""
    images, labels = (t.double().numpy() for t in digits("train")[:count])
    ink = images.mean((1, 2, 3))
    width = (images.max(2)[:, 0] > 0.5).sum(1)
    features = np.stack([ink, width], 1)
    features = (features - features.mean(0)) / features.std(0)
    target = labels == 1.0
    return features, target - target.mean()


def quadratic(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return X.T @ X / len(y), X.T @ y / len(y)


def descend(make: Callable, X: np.ndarray, y: np.ndarray, batch: int) -> np.ndarray:
    """The points (STEPS + 1, 2) that an optimizer of Backlit's goes through from START."""
    w = bl.tensor(START, dtype=bl.float64, requires_grad=True)
    optimizer, way = make([w]), [w.tolist()]
    for step in range(STEPS):
        rows = slice(step * batch % len(y), step * batch % len(y) + batch)
        x, t = bl.from_numpy(X[rows]), bl.from_numpy(y[rows])
        optimizer.zero_grad()
        (0.5 * ((x @ w - t) ** 2).mean()).backward()
        optimizer.step()
        way.append(w.tolist())
    return np.array(way)


def powers(X: np.ndarray, y: np.ndarray, rate: float, momentum: float) -> np.ndarray:
    """Descent with momentum as powers of one matrix, on (w - w*, v)."""
    A, c = quadratic(X, y)
    one, best = np.eye(2), np.linalg.solve(A, c)
    step = np.block([[one - rate * A, -rate * momentum * one], [A, momentum * one]])
    start = np.concatenate([START - best, [0.0, 0.0]])
    every = [np.linalg.matrix_power(step, t) @ start for t in range(STEPS + 1)]
    return best + np.array(every)[:, :2]


def batches(X: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    """Mini-batch descent: each batch has a quadratic of its own."""
    w = np.array(START)
    way = [w]
    for step in range(STEPS):
        first = step * BATCH % len(y)
        A, c = quadratic(X[first : first + BATCH], y[first : first + BATCH])
        way.append(w := w - rate * (A @ w - c))
    return np.array(way)


def adam(X: np.ndarray, y: np.ndarray, rate: float, b1=0.9, b2=0.999, eps=1e-8) -> np.ndarray:
    """Kingma and Ba's Algorithm 1, whose averages are written as sums over all past gradients."""
    A, c = quadratic(X, y)
    way, gradients = [np.array(START)], []
    for t in range(1, STEPS + 1):
        gradients.append(A @ way[-1] - c)
        mean, square = 0.0, 0.0
        for age, g in enumerate(reversed(gradients)):
            mean = mean + (1 - b1) * b1**age * g
            square = square + (1 - b2) * b2**age * g**2
        mean, square = mean / (1 - b1**t), square / (1 - b2**t)  # bias correction
        way.append(way[-1] - rate * mean / (np.sqrt(square) + eps))
    return np.array(way)


def draw(ways: dict[str, np.ndarray], X: np.ndarray, y: np.ndarray, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    u, v = np.meshgrid(np.linspace(-1.5, 2.2, 60), np.linspace(-2, 1.5, 60))
    cost = 0.5 * ((u[..., None] * X[:, 0] + v[..., None] * X[:, 1] - y) ** 2).mean(-1)
    axes.contour(u, v, np.sqrt(cost), 15, colors="lightgray")
    for name, way in ways.items():
        axes.plot(*way.T, marker=".", markersize=3, label=name)
    axes.set(xlabel="weight of the ink", ylabel="weight of the width")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder
    X, y = problem()
    best = np.linalg.solve(*quadratic(X, y))
    sgd = lambda **options: lambda w: optim.SGD(w, **options)
    rows = {
        "gradient descent": (sgd(lr=0.5), len(y), powers(X, y, 0.5, 0.0)),
        "momentum": (sgd(lr=0.1, momentum=0.9), len(y), powers(X, y, 0.1, 0.9)),
        "mini-batches": (sgd(lr=0.2), BATCH, batches(X, y, 0.2)),
        "Adam": (lambda w: optim.Adam(w, lr=0.1), len(y), adam(X, y, 0.1)),
    }
    ways = {}
    for name, (make, batch, closed) in rows.items():
        way = ways[name] = descend(make, X, y, batch)
        print(f"{name}: off its closed form by {abs(way - closed).max():.1e},"
              f" ends {math.dist(way[-1], best):.1e} from the solution")  # fmt: skip
    A = quadratic(X, y)[0]
    print(f"largest rate that descends: 2 / {np.linalg.eigvalsh(A).max():.3f}"
          f" = {2 / np.linalg.eigvalsh(A).max():.3f}")  # fmt: skip
    for share in (0.99, 1.01):
        rate = share * 2 / np.linalg.eigvalsh(A).max()
        way = descend(sgd(lr=rate), X, y, len(y))
        print(f"  at {share:g} times it: distance {math.dist(way[0], best):.3f} becomes"
              f" {math.dist(way[-1], best):.3f}")  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        draw(ways, X, y, folder / "trajectories.png")


if __name__ == "__main__":
    main()
