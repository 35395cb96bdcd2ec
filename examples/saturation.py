"""A sigmoid far from zero passes no gradient on: its derivative, a slow neuron, and the alarm.

    python examples/saturation.py [FOLDER]      # with a folder: pictures in it

The neuron is the one of Nielsen's chapter 3: it is to learn that 1 becomes 0, and starts wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import nn
from backlit.nn import functional as F


def slopes() -> None:
    """The derivative of the logistic function, as the graph has it."""
    print("     z      sigma(z)     sigma'(z)")
    for z in (0.0, 2.0, 5.0, 10.0, 20.0):
        x = bl.tensor(z, dtype=bl.float64, requires_grad=True)
        wire = bl.see.record(x.sigmoid()).graph.wire(x)
        print(f"{z:6g}  {x.sigmoid().item():12.10f}  {float(wire.grad):12.5e}")


def learn(start: float, loss_of, steps: int = 300, rate: float = 0.15) -> list[float]:
    """The output of one neuron, step by step, from weight and bias `start`."""
    w, b = (bl.tensor(start, dtype=bl.float64, requires_grad=True) for _ in range(2))
    optimizer, outputs = bl.optim.SGD([w, b], lr=rate), []
    for _ in range(steps):
        z = w * 1.0 + b
        outputs.append(z.sigmoid().item())
        optimizer.zero_grad()
        loss_of(z).backward()
        optimizer.step()
    return outputs


def quadratic(z: bl.Tensor) -> bl.Tensor:
    return 0.5 * (z.sigmoid() - 0.0) ** 2


def cross_entropy(z: bl.Tensor) -> bl.Tensor:
    return F.binary_cross_entropy_with_logits(z, bl.zeros_like(z))


def layers(scale: float) -> bl.check.HealthReport:
    """A network whose second layer starts with weights `scale` times as large."""
    bl.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 1)
    )
    with bl.no_grad():
        net[2].weight *= scale
    return bl.check.health((net(bl.randn(64, 8)) ** 2).mean())


def draw(curves: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(values, label=name)
    axes.set(xlabel="step", ylabel="output of the neuron (0 is right)")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where pictures go")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder

    slopes()
    curves = {
        "squared error, from 0.6": learn(0.6, quadratic),
        "squared error, from 2.0": learn(2.0, quadratic),
        "cross-entropy, from 2.0": learn(2.0, cross_entropy),
    }
    for name, values in curves.items():
        late = next((i for i, v in enumerate(values) if v < 0.5), len(values))
        print(f"{name}: output {values[0]:.3f}, below one half after {late} steps")
    for scale in (1.0, 100.0):
        report = layers(scale)
        print(f"second layer times {scale:g}:", *(report.alarms or ["no alarm"]), sep="\n  ")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        draw(curves, folder / "saturation.png")
        report.png(folder / "saturated_layer.png")


if __name__ == "__main__":
    main()
