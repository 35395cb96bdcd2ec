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


@pytest.fixture
def without_values(monkeypatch):
    """Parameters keep whatever their memory holds: counting needs no random numbers."""
    for name in vars(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **options: tensor)


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (lambda: models.MLP([784, 256, 128, 10]), 235_146),
        (lambda: models.MLP([784, 30, 10], nn.Sigmoid, last=nn.Sigmoid), 23_860),
        (lambda: models.MLP([20, 20, 2], nn.Sigmoid), 462),
        (models.LeNet, 431_080),
        (models.LeNet5, 61_706),
        (models.vgg11, 132_863_336),
        (models.vgg13, 133_047_848),
        (models.vgg16, 138_357_544),
        (models.vgg19, 143_667_240),
        (lambda: models.vgg11(batch_norm=True), 132_868_840),
        (lambda: models.vgg13(batch_norm=True), 133_053_736),
        (lambda: models.vgg16(batch_norm=True), 138_365_992),
        (lambda: models.vgg19(batch_norm=True), 143_678_248),
        (models.resnet20, 272_474),
        (models.resnet32, 466_906),
        (models.resnet44, 661_338),
        (models.resnet56, 855_770),
        (models.resnet110, 1_730_714),
        (lambda: models.PreActResNet(110), 1_730_522),
        (lambda: models.PreActResNet(164, bottleneck=True), 1_703_258),
        (models.resnet18, 11_689_512),
        (models.resnet34, 21_797_672),
        (models.resnet50, 25_557_032),
        (models.resnet101, 44_549_160),
        (models.resnet152, 60_192_808),
        (lambda: models.DenseNet(40, 12), 176_122),
        (lambda: models.DenseNet(100, 12), 769_162),
        (models.densenet121, 7_978_856),
        (models.densenet161, 28_681_000),
        (models.densenet169, 14_149_480),
        (models.densenet201, 20_013_928),
        (models.UNet, 482_466),
        (lambda: models.UNet(2, 1, 64, 4), 31_036_546),
        (models.VAE, 652_824),
        (models.C3D, 78_409_573),
        (models.VisionTransformer, 139_018),
        (lambda: models.VisionTransformer(224, 16, 3, 768, 12, 12, 3072, 1000), 86_567_656),
        (lambda: models.GPT(50257, 1024, 768, 12, 12), 124_439_808),
        (lambda: models.GPT(50257, 1024, 1024, 24, 16), 354_823_168),
        (lambda: models.RowClassifier("lstm"), 82_186),
        (lambda: models.RowClassifier("gru"), 61_962),
        (lambda: models.RowClassifier("rnn"), 21_514),
    ],
)
def test_parameter_counts(make, parameters, without_values):
    assert count(make()) == parameters


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (lambda: models.DenseNet(40, 12, 1.0, bottleneck=False), 1.0),
        (lambda: models.DenseNet(100, 12, 1.0, bottleneck=False), 7.0),
        (lambda: models.DenseNet(100, 24, 1.0, bottleneck=False), 27.2),
        (lambda: models.DenseNet(250, 24), 15.3),
        (lambda: models.DenseNet(190, 40), 25.6),
    ],
)
def test_parameter_counts_that_papers_round(make, millions, without_values):
    assert round(count(make()) / 1e6, 1) == millions


# what these learn is in tests of their own
OTHERS = ("unet", "autoencoder", "conv autoencoder", "vae", "siamese", "perceptron", "linear svm")


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


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in OTHERS])
def test_a_batch_is_learned(name):
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(3)
    net, x = make(), bl.randn(*shape)
    y = bl.arange(shape[0]) % classes
    assert net(x).shape == (shape[0], classes)
    losses = learned(net, x, y, steps=80 if name.startswith(("vgg", "c3d")) else 25)
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


def test_names_follow_torchvision(without_values):
    names = set(models.resnet50(width=2).state_dict())
    assert {"layer1.0.downsample.1.running_mean", "layer3.5.conv3.weight", "fc.bias"} <= names
    names = set(models.vgg11(width=1, hidden=2, batch_norm=True).state_dict())
    assert {"features.0.weight", "features.26.running_var", "classifier.6.bias"} <= names
    names = set(models.densenet121(growth=2, width=4).state_dict())
    assert {
        "features.conv0.weight",
        "features.norm0.weight",
        "features.denseblock3.denselayer24.norm2.bias",
        "features.transition2.conv.weight",
        "features.norm5.num_batches_tracked",
        "classifier.weight",
    } <= names


def test_gpt_is_named_as_gpt_2():
    names = set(models.GPT(5, 4, 8, 1, 2).state_dict())
    assert {
        "transformer.wte.weight",
        "transformer.wpe.weight",
        "transformer.h.0.ln_1.bias",
        "transformer.h.0.attn.c_attn.weight",
        "transformer.h.0.mlp.c_fc.bias",
        "transformer.ln_f.weight",
        "lm_head.weight",
    } <= names


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.MLP([3]), "input and an output"),
        (lambda: models.DenseNet(41), "6 n"),
        (lambda: models.DenseNet(10, bottleneck=False, join="sum"), "join must be one of"),
        (lambda: models.DenseNet(12, bottleneck=False), "3 n"),
        (lambda: models.VGG(12), "depth must be one of"),
        (lambda: models.PreActResNet(21), "6 n"),
        (lambda: models.PreActResNet(30, bottleneck=True), "depth must be 9 n"),
        (lambda: models.GPT(5, width=10, heads=4), "multiple of heads"),
        (lambda: models.Autoencoder([4]), "a data and a code size"),
        (lambda: models.ConvAutoencoder(30), "multiple of 4"),
        (lambda: models.LinearSVM(4, C=0.0), "C must be positive"),
        (lambda: models.MulticlassSVM([4]), "input and an output"),
        (lambda: models.C3D(frames=8), "16 frames"),
        (lambda: models.SequenceClassifier("cnn", 2), "SequenceClassifier"),
        (lambda: models.CellClassifier("cnn", 2), "CellClassifier"),
        (lambda: models.AttentionClassifier(2, 15, 3), "must be even"),
        (lambda: models.VisionTransformer(28, 5), "multiple of patch"),
        (lambda: models.RowClassifier("cnn"), "rnn"),
    ],
)
def test_mistakes_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
