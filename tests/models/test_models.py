"""The model families: sizes, parameter counts, names, and that each learns a batch by heart."""

from __future__ import annotations

import pytest
from families import FAMILIES

import backlit as bl
from backlit import models, nn
from backlit.nn import functional as F


def test_no_family_is_left_out():
    families = {m for m in vars(models).values() if isinstance(m, type)}
    assert {type(make()) for make, _, _ in FAMILIES.values()} == families


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: models.MLP([784, 256, 128, 10]), 235_146),
        (lambda: models.MLP([784, 30, 10], nn.Sigmoid, last=nn.Sigmoid), 23_860),
        (lambda: models.MLP([20, 20, 2], nn.Sigmoid), 462),
        (models.LeNet, 431_080),
        (models.resnet20, 272_474),
        (models.resnet32, 466_906),
        (models.resnet44, 661_338),
        (models.resnet56, 855_770),
        (models.resnet110, 1_730_714),
        (lambda: models.DenseNet(40, 12), 176_122),
        (lambda: models.DenseNet(100, 12), 769_162),
        (models.UNet, 482_466),
        (models.VisionTransformer, 139_018),
        (lambda: models.RowClassifier("lstm"), 82_186),
        (lambda: models.RowClassifier("gru"), 61_962),
        (lambda: models.RowClassifier("rnn"), 21_514),
    ],
)
def test_parameter_counts(make, parameters):
    assert count(make()) == parameters


SMALL = {
    "mlp": (lambda: models.MLP([12, 16, 3]), (8, 12), 3),
    "lenet": (lambda: models.LeNet(3), (4, 1, 28, 28), 3),
    "resnet": (lambda: models.ResNet(1, 3, width=4), (8, 3, 8, 8), 3),
    "densenet": (lambda: models.DenseNet(10, 4, dropout=0.1, classes=3), (8, 3, 8, 8), 3),
    "vit": (lambda: models.VisionTransformer(8, 4, 2, 8, 1, 2, 16, 3), (8, 2, 8, 8), 3),
    "lstm": (lambda: models.RowClassifier("lstm", 4, 8, 2, 3), (8, 5, 4), 3),
    "gru": (lambda: models.RowClassifier("gru", 4, 8, 1, 3), (8, 5, 4), 3),
    "rnn": (lambda: models.RowClassifier("rnn", 4, 8, 1, 3), (8, 5, 4), 3),
}


def learned(net, x, y, steps=25):
    """Losses of some steps on one batch; the first one must reach every parameter."""
    optimizer = bl.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        if not losses:
            assert all(bool((p.grad != 0).any()) for p in net.parameters())
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_is_learned(name):
    make, shape, classes = SMALL[name]
    bl.manual_seed(3)
    net, x = make(), bl.randn(*shape)
    y = bl.arange(shape[0]) % classes
    assert net(x).shape == (shape[0], classes)
    losses = learned(net, x, y)
    assert losses[-1] < 0.7 * losses[0]


def test_unet_labels_every_pixel():
    bl.manual_seed(0)
    net, x = models.UNet(classes=2, width=4, depth=2), bl.rand(2, 1, 16, 16)
    losses = learned(net, x, (x[:, 0] > 0.5).long())
    assert losses[-1] < 0.7 * losses[0]


def test_names_follow_pytorch_habit():
    names = list(models.resnet20().state_dict())
    assert names[0] == "conv1.weight" and "layer2.0.downsample.0.weight" in names
    assert "layer3.2.bn2.running_var" in names and names[-1] == "fc.bias"
    assert "block2.5.conv2.weight" in models.DenseNet(40, 12).state_dict()
    assert "rnn.weight_ih_l0" in models.RowClassifier().state_dict()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.MLP([3]), "input and an output"),
        (lambda: models.DenseNet(41), "6 n"),
        (lambda: models.VisionTransformer(28, 5), "multiple of patch"),
        (lambda: models.RowClassifier("cnn"), "rnn"),
    ],
)
def test_mistakes_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
