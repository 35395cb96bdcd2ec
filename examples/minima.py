"""Many starts end in different minima: training finds a minimum, not the lowest one.

    python examples/minima.py [FOLDER]          # with a folder: the costs as a picture

A small tanh network on digits shrunk to 4 x 4, trained from random starts until the gradient is
nil. Where all eigenvalues of the Hessian are positive the end is a strict local minimum; their
costs differ. The lowest of those found may be the global one; nothing here says so.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import optim
from backlit.data import digits
from backlit.nn import functional as F

CLASSES, HIDDEN, DECAY = 4, 3, 3e-3
SIZES = [HIDDEN * 16, HIDDEN, CLASSES * HIDDEN, CLASSES]


def data(count: int) -> tuple[bl.Tensor, bl.Tensor]:
    """The first digits below CLASSES: (N, 16) averages of 7 x 7 pixels, and labels."""
    images, labels = digits("train")[: 2 * count]
    chosen = bl.nonzero(labels < CLASSES)[:count, 0]
    shrunk = F.avg_pool2d(images[chosen], 7).flatten(1).double()
    return (shrunk - shrunk.mean(0)) / shrunk.std(0).clamp(min=0.05), labels[chosen]


def cost(v: bl.Tensor, x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
    """Cross-entropy of a network with parameters `v`, and half their squares, which isolates
    minima: without them a whole valley could have one cost."""
    W1, b1, W2, b2 = v.split(SIZES)
    hidden = F.linear(x, W1.reshape(HIDDEN, 16), b1).tanh()
    logits = F.linear(hidden, W2.reshape(CLASSES, HIDDEN), b2)
    return F.cross_entropy(logits, y) + DECAY / 2 * (v**2).sum()


def descend(seed: int, x: bl.Tensor, y: bl.Tensor) -> tuple[float, float, float, list[float]]:
    """From one start: the cost, gradient norm and smallest curvature at the end; all costs."""
    bl.manual_seed(seed)
    v = (1.5 * bl.randn(sum(SIZES), dtype=bl.float64)).requires_grad_()
    optimizer = optim.LBFGS(
        [v], max_iter=2000, max_eval=5000, history_size=20,
        tolerance_grad=1e-6, tolerance_change=1e-16, line_search_fn="strong_wolfe",
    )  # fmt: skip
    costs = []

    def closure() -> bl.Tensor:
        optimizer.zero_grad()
        loss = cost(v, x, y)
        loss.backward()
        costs.append(loss.item())
        return loss

    optimizer.step(closure)
    end = v.detach()
    gradient, hessian = (of(cost)(end, x, y) for of in (bl.func.grad, bl.func.hessian))
    curvature = bl.linalg.eigvalsh(hessian).min().item()
    return cost(end, x, y).item(), gradient.norm().item(), curvature, costs


def draw(runs: list[list[float]], ends: list[float], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for costs in runs:
        left.loglog(range(1, len(costs) + 1), costs)
    left.set(xlabel="evaluations of the cost", ylabel="cost")
    right.plot(sorted(ends), "o")
    right.set(xlabel="starts, by where they end", ylabel="cost of the minimum")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="a few starts only")
    arguments = parser.parse_args()
    starts, count = (3, 150) if arguments.smoke else (20, 500)
    x, y = data(count)
    print("start       cost   |gradient|   smallest curvature")
    found, runs = [], []
    for seed in range(starts):
        loss, gradient, curvature, costs = descend(seed, x, y)
        runs.append(costs)
        is_minimum = gradient < 1e-5 and curvature > 0
        found += [loss] if is_minimum else []
        print(f"{seed:5}  {loss:9.6f}   {gradient:10.1e}   {curvature:18.2e}"
              f"  {'minimum' if is_minimum else 'not at a minimum'}")  # fmt: skip
    different = {round(loss, 5) for loss in found}
    print(f"{len(found)} strict local minima with {len(different)} different costs,"
          f" from {min(found):.4f} to {max(found):.4f}")  # fmt: skip
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(runs, found, arguments.folder / "minima.png")


if __name__ == "__main__":
    main()
