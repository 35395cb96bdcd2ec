"""A recurrent network that explodes on digits read row by row, and clipping that lets it learn.

    python examples/clipping.py [FOLDER]        # with a folder: the gradient by row as a picture

The state is multiplied by rho times an orthogonal matrix at each of 28 rows, so that the gradient
is rho^27 times as large at the first row as at the last, exactly. Read next: exploding.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import backlit as bl
from backlit import nn, optim
from backlit.data import DataLoader, digits
from backlit.errors import DivergedError
from backlit.nn import functional as F


class LinearRecurrence(nn.Module):
    """h = rho Q h + U x for every row x of an image, and logits of the last h."""

    def __init__(self, rho: float, width: int = 48) -> None:
        super().__init__()
        self.read = nn.Linear(28, width)
        self.state = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 10)
        nn.init.orthogonal_(self.state.weight, gain=rho)

    def states(self, images: bl.Tensor) -> list[bl.Tensor]:
        """The state after every row."""
        h, found = None, []
        for x in self.read(images[:, 0]).unbind(1):
            h = x if h is None else self.state(h) + x
            found.append(h)
        return found

    def forward(self, images: bl.Tensor) -> bl.Tensor:
        return self.head(self.states(images)[-1])


def profile(net: LinearRecurrence, images: bl.Tensor, labels: bl.Tensor) -> list[float]:
    """The norm of the gradient by the state after every row."""
    states = net.states(images)
    loss = F.cross_entropy(net.head(states[-1]), labels)
    return [g.norm().item() for g in bl.autograd.grad(loss, states)]


def learn(rho: float, clip: float | None, epochs: int = 5) -> str:
    """How training ends: the held-out accuracy, or that it diverged."""
    bl.manual_seed(0)
    net = LinearRecurrence(rho)
    data = DataLoader(digits("train"), 50, shuffle=True)
    try:
        history = bl.train.fit(
            net, data, loss=F.cross_entropy, optimizer=optim.SGD(net.parameters(), lr=0.05),
            epochs=epochs, val_data=DataLoader(digits("val"), 500), metrics=["accuracy"],
            clip_grad_norm=clip, progress=False,
        )  # fmt: skip
    except DivergedError:
        return "diverged"
    return f"{history.rows[-1]['val_accuracy']:.1%} right"


def draw(profiles: dict[float, list[float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for rho, norms in profiles.items():
        axes.semilogy(range(1, 29), norms, marker=".", label=f"rho = {rho:g}")
    axes.set(xlabel="row of the image", ylabel="norm of the gradient")
    axes.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    folder = parser.parse_args().folder
    images, labels = digits("train")[:100]
    profiles = {}
    for rho in (0.7, 1.0, 1.5):
        bl.manual_seed(0)
        net = LinearRecurrence(rho)
        norms = profiles[rho] = profile(net, images, labels)
        report = bl.check.health(F.cross_entropy(net(images), labels))
        alarms = ", ".join(alarm.name for alarm in report.alarms) or "no alarm"
        print(f"rho {rho:g}: gradient at the first row / last {norms[0] / norms[-1]:.5e},"
              f" rho^27 {rho**27:.5e}; {alarms}")  # fmt: skip
    for clip in (None, 1.0):
        how = "without clipping" if clip is None else f"clipped at {clip:g}"
        print(f"rho 1.5, {how}: {learn(1.5, clip)}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        draw(profiles, folder / "clipping.png")


if __name__ == "__main__":
    main()
