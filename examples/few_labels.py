"""A hundred labels and many digits without: supervised, semi-supervised, unsupervised.

    python examples/few_labels.py [FOLDER]      # with a folder: the autoencoder's digits

Pseudo-labels (Lee 2013): a network trained on the labels names the other digits; it is trained
anew with the names it is surest of, and so on with more of them. An autoencoder needs no label: it
learns a code of 8 numbers. Labels of another kind than the answer (weak): localization.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import models, nn, optim
from backlit.data import DataLoader, TensorDataset, digits
from backlit.nn import functional as F

LABELS, SHARES = 100, (0.2, 0.4, 0.6, 0.8)


def network() -> nn.Sequential:
    layers = []
    for inside, outside in ((1, 8), (8, 16)):
        layers += [nn.Conv2d(inside, outside, 5), nn.BatchNorm2d(outside), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(256, 10))


def train(net: nn.Module, inputs: bl.Tensor, targets: bl.Tensor, epochs: int, loss) -> nn.Module:
    """The net, trained with Adam and a rate that falls to nothing."""
    batches = DataLoader(TensorDataset(inputs, targets), 50, shuffle=True)
    optimizer = optim.Adam(net.parameters(), lr=0.002)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    bl.train.fit(
        net, batches, loss=loss, optimizer=optimizer, scheduler=schedule, epochs=epochs,
        progress=False,
    )  # fmt: skip
    return net.eval()


def of(net: nn.Module, inputs: bl.Tensor) -> bl.Tensor:
    with bl.no_grad():
        return net(inputs)


def accuracy(net: nn.Module) -> float:
    images, labels = digits("val").tensors
    return (of(net, images).argmax(1) == labels).float().mean().item()


def surest(scores: bl.Tensor, share: float) -> tuple[bl.Tensor, bl.Tensor]:
    """Of every class the share of samples whose score is highest, and their classes."""
    certainty, guesses = (t.numpy() for t in F.softmax(scores, dim=1).max(1))
    of_class = (np.flatnonzero(guesses == c) for c in range(10))
    chosen = [rows[np.argsort(-certainty[rows])[: int(share * len(rows))]] for rows in of_class]
    rows = np.concatenate(chosen)
    return bl.from_numpy(rows), bl.from_numpy(guesses[rows])


def pseudo_labels(images: bl.Tensor, truth: bl.Tensor, epochs: int) -> None:
    labelled, labels, others = images[:LABELS], truth[:LABELS], images[LABELS:]
    net = train(network(), labelled, labels, 40, F.cross_entropy)
    print(f"supervised, {LABELS} labels: {accuracy(net):.1%} of the held-out digits")
    for share in SHARES:
        rows, guesses = surest(of(net, others), share)
        right = (guesses == truth[LABELS:][rows]).float().mean().item()
        both = bl.cat([labelled, others[rows]]), bl.cat([labels, guesses])
        net = train(network(), *both, epochs, F.cross_entropy)
        print(f"with {len(rows)} pseudo-labels, {right:.1%} of them right: {accuracy(net):.1%}")


def autoencoder(images: bl.Tensor, epochs: int, code: int = 8) -> nn.Module:
    """A trained one, beside principal components, the best linear code of that size."""
    flat, held_out = images.flatten(1), digits("val").images.flatten(1)
    net = train(models.Autoencoder([784, 256, 64, code]), flat, flat, epochs, F.mse_loss)
    error = F.mse_loss(of(net, held_out), held_out).item()
    mean = flat.mean(0)
    axes = bl.linalg.eigh((flat - mean).T @ (flat - mean))[1][:, -code:]
    linear = F.mse_loss((held_out - mean) @ axes @ axes.T + mean, held_out).item()
    print(
        f"digits from {code} numbers: squared error {error:.4f}, from principal ones {linear:.4f}"
    )
    return net


def draw(images: bl.Tensor, copies: bl.Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.8), layout="constrained")
    for row, shown in zip(figure.subplots(2, 10), (images, copies)):
        for axes, digit in zip(row, shown):
            axes.imshow(digit.reshape(28, 28).numpy(), cmap="gray")
            axes.axis("off")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the picture goes")
    parser.add_argument("--smoke", action="store_true", help="a fifth of the digits")
    arguments = parser.parse_args()
    count, epochs = (2_000, 8) if arguments.smoke else (10_000, 10)
    bl.manual_seed(0)
    images, labels = digits("train")[:count]
    pseudo_labels(images, labels, epochs)
    coder = autoencoder(images, 2 * epochs)
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        some = digits("val").images[:10].flatten(1)
        draw(some, of(coder, some), arguments.folder / "autoencoder.png")


if __name__ == "__main__":
    main()
