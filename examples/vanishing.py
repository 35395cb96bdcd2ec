"""Gradients shrink on the way to the first layer, and skip connections stop that.

    python examples/vanishing.py [FOLDER]       # with a folder: pictures in it

Each sigmoid multiplies the gradient by at most 1/4. A chain that sits at the best point, z = 0 in
every layer, shows the bound itself; then networks of 10 and 20 layers, plain and residual.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import nn


def chain(depth: int) -> float:
    """dC/dx of x -> sigma(x) -> sigma(a - 1/2) -> ..., one unit wide, with every z at 0."""
    x = bl.tensor(0.0, dtype=bl.float64, requires_grad=True)
    a = x.sigmoid()
    for _ in range(depth - 1):
        a = (a - 0.5).sigmoid()
    a.backward()
    return x.grad.item()


class Residual(nn.Module):
    """x + F(x)"""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: bl.Tensor) -> bl.Tensor:
        return x + self.branch(x)


def network(depth: int, residual: bool, width: int = 32) -> nn.Sequential:
    """Layers of sigmoids, all of one width, with or without skips; the same weights in both."""
    bl.manual_seed(0)
    layers = [nn.Sequential(nn.Linear(width, width), nn.Sigmoid()) for _ in range(depth)]
    return nn.Sequential(*(Residual(layer) if residual else layer for layer in layers))


def loss_of(net: nn.Module, width: int = 32) -> bl.Tensor:
    bl.manual_seed(1)
    x, target = bl.randn(64, width), bl.rand(64, width)
    return ((net(x) - target) ** 2).mean()


def first_gradient(net: nn.Module) -> float:
    """The norm of the gradient of the first layer's weights."""
    net.zero_grad()
    loss_of(net).backward()
    return next(net.parameters()).grad.norm().item()


def identity_path() -> float:
    """How far the Jacobian of x + F(x) is from I + dF/dx."""
    bl.manual_seed(2)
    x = bl.randn(6, dtype=bl.float64, requires_grad=True)
    inner = nn.Sequential(nn.Linear(6, 6), nn.Sigmoid()).double()(x)
    y = x + inner
    recorded = bl.see.record(y.sum())
    whole = bl.see.jacobian(recorded, y, x).matrix
    branch = bl.see.jacobian(recorded, inner, x).matrix
    return float(abs(whole - branch - bl.eye(6, dtype=bl.float64).numpy()).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where pictures go")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder
    for depth in (10, 20):
        print(f"{depth} sigmoids: bound 0.25^{depth} = {0.25**depth:.3e}, chain {chain(depth):.3e}")
    for depth in (10, 20):
        norms = []
        for residual in (False, True):
            net = network(depth, residual)
            report = bl.check.health(loss_of(net))
            kind = "residual" if residual else "plain"
            print(f"{depth} layers, {kind}:", *(report.alarms or ["no alarm"]))
            norms.append(first_gradient(net))
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                report.png(folder / f"{kind}_{depth}.png")
        print(f"  gradient of the first layer: {norms[0]:.3e} plain, {norms[1]:.3e} residual,"
              f" {norms[1] / norms[0]:.3e} times as large")  # fmt: skip
    print(f"|J - (I + dF/dx)| of a residual layer: {identity_path():.1e}")


if __name__ == "__main__":
    main()
