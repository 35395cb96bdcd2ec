"""The models' own source run by both libraries: 20 training steps from the same weights.

In float64 the losses agree to 1e-10; in float32 ours stray from the float64 run at most twice as
far as PyTorch's own.
"""

from __future__ import annotations

import importlib
import inspect
import types

import numpy as np
import pytest
from families import adapted, pair_branch, tokens, two_sided

import backlit as bl
from backlit import models
from backlit.models import (
    attention,
    autoencoder,
    c3d,
    cells,
    densenet,
    densenet_imagenet,
    gpt,
    lenet,
    mlp,
    perceptron,
    preresnet,
    recurrent,
    resnet,
    resnet_imagenet,
    siamese,
    svm,
    unet,
    vae,
    vgg,
    vit,
)

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # its spinning threads crawl where other processes run
pytestmark = pytest.mark.torch

IMPORTS = {
    "import backlit as bl": "import torch as bl",
    "from backlit import nn": "from torch import nn",
    "from backlit.nn import functional as F": "from torch.nn import functional as F",
    "from backlit.tensor import Tensor": "from torch import Tensor",
}


def in_pytorch(module):
    """A model file with its imports exchanged: what PyTorch users would have written."""
    source = inspect.getsource(module)
    for ours, theirs in IMPORTS.items():
        source = source.replace(ours + "\n", theirs + "\n")
    assert "import backlit" not in source
    twin = types.ModuleType(module.__name__ + "_in_pytorch")
    exec(compile(source, inspect.getsourcefile(module), "exec"), twin.__dict__)
    return twin


# file, how to make the model, input shape, classes, learning rate
CASES = {
    "mlp": (mlp, lambda m: m.MLP([64, 32, 16, 10]), (16, 64), 10, 0.1),
    "lenet": (lenet, lambda m: m.LeNet(), (4, 1, 28, 28), 10, 0.01),
    "resnet20": (resnet, lambda m: m.resnet20(), (4, 3, 16, 16), 10, 0.01),
    "densenet": (densenet, lambda m: m.DenseNet(16, 6), (4, 3, 16, 16), 10, 0.01),
    "unet": (unet, lambda m: m.UNet(2, width=4), (2, 1, 16, 16), 2, 0.01),
    "vit": (vit, lambda m: m.VisionTransformer(depth=2, width=32), (4, 28, 28), 10, 0.01),
    "lstm": (recurrent, lambda m: m.RowClassifier("lstm", hidden=24), (8, 28, 28), 10, 0.05),
    "gru": (recurrent, lambda m: m.RowClassifier("gru", hidden=24), (8, 28, 28), 10, 0.05),
    "rnn": (
        recurrent,
        lambda m: m.RowClassifier("rnn", hidden=24, layers=2),
        (8, 28, 28),
        10,
        0.05,
    ),
    "sequence": (
        recurrent,
        lambda m: m.SequenceClassifier("lstm", 5, 16, 2, 4, bidirectional=True),
        (8, 9, 5),
        4,
        0.05,
    ),
    "gru cell": (cells, lambda m: m.CellClassifier("gru", 5, 16, 4), (8, 9, 5), 4, 0.05),
    "attention": (attention, lambda m: m.AttentionClassifier(5, 16, 2), (8, 9, 5), 10, 0.01),
    "gpt": (
        gpt,
        lambda m: adapted(m.GPT(7, 6, 16, 2, 2), tokens, lambda y: y[:, -1]),
        (8, 6),
        7,
        0.05,
    ),
    "lenet5": (lenet, lambda m: m.LeNet5(), (4, 1, 28, 28), 10, 0.05),
    "vgg": (vgg, lambda m: m.VGG(11, False, 5, 0.0, 4, 32), (4, 3, 32, 32), 5, 0.1),
    "vgg bn": (vgg, lambda m: m.VGG(11, True, 5, 0.0, 4, 32), (4, 3, 64, 64), 5, 0.01),
    "resnet basic": (
        resnet_imagenet,
        lambda m: m.ImageNetResNet(m.BasicBlock, [1, 2, 1, 1], 5, 8),
        (4, 3, 64, 64),
        5,
        0.01,
    ),
    "resnet bottleneck": (
        resnet_imagenet,
        lambda m: m.ImageNetResNet(m.Bottleneck, [1, 2, 1, 1], 5, 4),
        (4, 3, 64, 64),
        5,
        0.01,
    ),
    "preresnet": (preresnet, lambda m: m.PreActResNet(14, width=8), (4, 3, 16, 16), 10, 0.01),
    "preresnet bottleneck": (
        preresnet,
        lambda m: m.PreActResNet(11, True, width=4),
        (4, 3, 16, 16),
        10,
        0.01,
    ),
    "densenet plain": (
        densenet,
        lambda m: m.DenseNet(16, 6, 1.0, bottleneck=False),
        (4, 3, 16, 16),
        10,
        0.01,
    ),
    "densenet mul": (densenet, lambda m: m.DenseNet(10, 6, join="mul"), (4, 3, 16, 16), 10, 0.01),
    "densenet add": (densenet, lambda m: m.DenseNet(16, 6, join="add"), (4, 3, 16, 16), 10, 0.01),
    "densenet branch": (
        densenet,
        lambda m: m.DenseNet(10, 6, join="branch"),
        (4, 3, 16, 16),
        10,
        0.01,
    ),
    "densenet imagenet": (
        densenet_imagenet,
        lambda m: m.ImageNetDenseNet([1, 2, 1], 6, 8, 5),
        (4, 3, 32, 32),
        5,
        0.01,
    ),
    "autoencoder": (
        autoencoder,
        lambda m: m.Autoencoder([12, 16, 4], last=None),
        (8, 12),
        12,
        0.05,
    ),
    "conv autoencoder": (
        autoencoder,
        lambda m: adapted(m.ConvAutoencoder(8, 1, 4, 6), logits=lambda y: y.flatten(1)),
        (8, 1, 8, 8),
        64,
        0.5,
    ),
    "vae": (
        vae,
        lambda m: adapted(
            m.VAE(12, 16, 4).eval(), logits=lambda parts: parts[0] + 0 * parts[2][:, :1]
        ),
        (8, 12),
        12,
        0.05,
    ),
    "perceptron": (
        perceptron,
        lambda m: adapted(m.Perceptron(6), logits=two_sided),
        (16, 6),
        2,
        0.05,
    ),
    "linear svm": (svm, lambda m: adapted(m.LinearSVM(6), logits=two_sided), (16, 6), 2, 0.05),
    "svm": (svm, lambda m: m.MulticlassSVM([6, 12, 3]), (16, 6), 3, 0.05),
    "siamese": (
        siamese,
        lambda m: adapted(m.Siamese(pair_branch(m.nn)), lambda x: (x[:, 0], x[:, 1]), two_sided),
        (16, 2, 6),
        2,
        0.01,
    ),
    "c3d": (c3d, lambda m: m.C3D(4, 1, 16, 32, 2, 16, 0.0), (4, 1, 16, 32, 32), 4, 0.01),
}


def losses(library, net, x, y, lr, dtype):
    """20 steps of SGD with momentum over three batches in turn."""
    net = net.to(getattr(library, dtype))
    optimizer = library.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    batches = [(library.from_numpy(a.astype(dtype)), library.from_numpy(b)) for a, b in zip(x, y)]
    found = []
    for step in range(20):
        features, target = batches[step % len(batches)]
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(net(features), target)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps(name):
    file, make, shape, classes, lr = CASES[name]
    rng = np.random.default_rng(11)
    x = rng.standard_normal((3, *shape))
    target = (shape[0], *shape[2:]) if name == "unet" else shape[:1]
    y = rng.integers(0, classes, (3, *target))
    torch.manual_seed(0)
    theirs = make(in_pytorch(file))
    # PyTorch's attention has a Linear of its own, to keep quantization off
    assert repr(make(file)) == repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    start = {key: value.clone() for key, value in theirs.state_dict().items()}
    runs = {}
    for dtype in ("float64", "float32"):
        theirs.load_state_dict(start)
        ours = make(file)
        ours.load_state_dict({k: bl.from_numpy(v.numpy()) for k, v in start.items()})
        runs[dtype] = losses(torch, theirs, x, y, lr, dtype), losses(bl, ours, x, y, lr, dtype)
    exact, mine = runs["float64"]
    np.testing.assert_allclose(mine, exact, rtol=0, atol=1e-10)
    assert exact[-3:].mean() < exact[:3].mean()
    # The median: a ReLU at its kink may switch in one of the runs, late and by chance.
    strayed = [np.median(np.abs(run - exact)) for run in runs["float32"]]
    assert strayed[1] <= 2 * strayed[0] + np.spacing(np.float32(exact.max())), strayed


LENGTHS = {
    "gru": (recurrent, lambda m: m.SequenceClassifier("gru", 3, 6, 2, 4)),
    "lstm both ways": (
        recurrent,
        lambda m: m.SequenceClassifier("lstm", 3, 6, 2, 4, bidirectional=True),
    ),
    "attention": (attention, lambda m: m.AttentionClassifier(3, 8, 2, 2, 4)),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_sequences_of_different_lengths(name):
    file, make = LENGTHS[name]
    x = np.random.default_rng(2).standard_normal((5, 7, 3))
    lengths = np.array([3, 7, 1, 5, 7])
    torch.manual_seed(0)
    theirs, ours = make(in_pytorch(file)).double(), make(file).double()
    ours.load_state_dict({k: bl.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    slopes = []
    for library, net in ((torch, theirs), (bl, ours)):
        leaf = library.from_numpy(x).requires_grad_()
        net(leaf, library.from_numpy(lengths)).square().sum().backward()
        slopes.append([leaf.grad.numpy(), *(p.grad.numpy() for p in net.parameters())])
    for expected, found in zip(*slopes):
        np.testing.assert_allclose(found, expected, 1e-10, 1e-13)


NUMBERS = np.random.default_rng(4).standard_normal((4, 6, 5))
SIGNS = np.sign(NUMBERS[1, :, 0])
LOSSES = {
    "perceptron": (perceptron, "perceptron_loss", (NUMBERS[0, :, 0], SIGNS)),
    "hinge": (svm, "multiclass_hinge", (NUMBERS[0], np.array([0, 4, 2, 2, 1, 3]))),
    "contrastive": (siamese, "contrastive_loss", (np.abs(NUMBERS[0, :, 0]), SIGNS > 0)),
    "elbo": (
        vae,
        "negative_elbo",
        (NUMBERS[0], np.abs(np.tanh(NUMBERS[1])), NUMBERS[2], NUMBERS[3]),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    file, function, inputs = LOSSES[name]
    slopes = []
    for library, home in ((torch, in_pytorch(file)), (bl, file)):
        tensors = [library.from_numpy(a.copy()) for a in inputs]
        leaves = [t for t, a in zip(tensors, inputs) if a.dtype == np.float64]
        for leaf in leaves:
            leaf.requires_grad_()
        loss = getattr(home, function)(*tensors)
        loss.backward()
        slopes.append([loss.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)])
    for expected, found in zip(*slopes):
        np.testing.assert_allclose(found, expected, 1e-12, 1e-15)


def test_every_family_is_compared():
    files = {case[0].__name__ for case in CASES.values()}
    classes = [c for c in vars(models).values() if inspect.isclass(c)]
    assert {c.__module__ for c in classes} == files
    assert all(importlib.import_module(file) for file in files)
