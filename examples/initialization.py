"""One network and one task from several starts and with several learning rates, on digits.

    python examples/initialization.py [FOLDER]  # with a folder: the losses as a picture

The alarms of `bl.check.health` before the first step say what comes: no gradient at all, units
that stay alike, saturated layers. Pixels of 0 to 255 saturate a layer as large weights do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import backlit as bl
from backlit import models, nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.errors import DivergedError
from backlit.nn import functional as F
from backlit.nn import init

STARTS: dict[str, tuple[Callable, float]] = {
    "zero": (init.zeros_, 1),
    "all equal": (partial(init.constant_, val=0.03), 1),
    "tiny, 0.001": (partial(init.normal_, std=0.001), 1),
    "Xavier": (init.xavier_normal_, 1),
    "large, 1": (partial(init.normal_, std=1.0), 1),
    "Xavier, raw pixels": (init.xavier_normal_, 255),
}
RATES = (0.0003, 0.003, 0.03, 0.3, 3.0)


def network(start: Callable) -> nn.Sequential:
    """Three hidden layers of 50 tanh units whose weights begin as `start` has them."""
    bl.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), *models.MLP([784, 50, 50, 50, 10], nn.Tanh))
    for layer in net:
        if isinstance(layer, nn.Linear):
            start(layer.weight)
            init.zeros_(layer.bias)
    return net


def train(net: nn.Module, data: TensorDataset, rate: float, epochs: int) -> list[float]:
    """The loss of every epoch; a last one of infinity where training diverged."""
    try:
        history = bl.train.fit(
            net, DataLoader(data, 50, shuffle=True), loss=F.cross_entropy, epochs=epochs,
            optimizer=optim.SGD(net.parameters(), lr=rate, momentum=0.9), progress=False,
        )  # fmt: skip
    except DivergedError:
        return [float("inf")]
    return [row["train_loss"] for row in history.rows]


def before_training(net: nn.Sequential, images: bl.Tensor, labels: bl.Tensor) -> str:
    """The first layer's gradient, and the alarms."""
    loss = F.cross_entropy(net(images), labels)
    report = bl.check.health(loss)
    (gradient,) = bl.autograd.grad(loss, net[1].weight)
    alarms = [f"{alarm.name} in {alarm.layer}" for alarm in report.alarms] or ["no alarm"]
    return f"gradient {gradient.norm().item():.1e}, {', '.join(alarms)}"


def alike(net: nn.Sequential) -> bool:
    """Whether all units of the second layer have the same weights."""
    weight = net[1].weight
    return bool((weight == weight[:1]).all())


def accuracy(net: nn.Module, scale: float) -> float:
    images, labels = digits("val").tensors
    with bl.no_grad():
        return (net(images * scale).argmax(1) == labels).float().mean().item()


def draw(curves: dict[str, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, losses in curves.items():
        axes.plot(range(1, len(losses) + 1), losses, marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="training loss")
    figure.legend(frameon=False, loc="outside right upper")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="a tenth of the digits")
    arguments = parser.parse_args()
    count, epochs = (1_000, 2) if arguments.smoke else (10_000, 5)
    images, labels = digits("train")[:count]
    curves = {}
    for name, (start, scale) in STARTS.items():
        net, data = network(start), TensorDataset(images * scale, labels)
        before = before_training(net, *data[:100])
        curves[name] = train(net, data, 0.03, epochs)
        print(f"{name}: loss {curves[name][-1]:.3f}, {accuracy(net, scale):.1%} right"
              f"{', units all alike' * alike(net)}; before: {before}")  # fmt: skip
    for rate in RATES:
        net = network(init.xavier_normal_)
        loss = train(net, TensorDataset(images, labels), rate, epochs)[-1]
        print(f"learning rate {rate:g}: loss {loss:.3f}, {accuracy(net, 1):.1%} right")
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        draw(curves, arguments.folder / "initialization.png")


if __name__ == "__main__":
    main()
