"""Variants of the residual and dense networks, and sizes of clips: shapes and formulas."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.errors import ShapeError
from backlit.models.densenet import BranchLayer, DenseLayer, PlainLayer
from backlit.models.preresnet import PreActBlock, PreActBottleneck
from backlit.nn import functional as F


def test_z4_channels_grow_by_the_growth():
    net, x = models.DenseNet(22, 5, classes=3), bl.randn(2, 3, 8, 8)
    x = net.conv1(x)
    start = x.shape[1]
    for index, layer in enumerate(net.block1, 1):
        x = layer(x)
        assert x.shape[1] == start + 5 * index


@pytest.mark.parametrize("make", [DenseLayer, PlainLayer])
def test_concatenation_keeps_what_came_in(make):
    x = bl.randn(2, 6, 4, 4)
    out = make(6, 3, 0.0)(x)
    assert out.shape == (2, 9, 4, 4)
    assert bl.equal(out[:, :6], x)


@pytest.mark.parametrize("make", [DenseLayer, PlainLayer])
def test_addition_sums_all_maps_before(make):
    bl.manual_seed(0)
    x = bl.randn(2, 6, 4, 4)
    first, second = make(6, 3, 0.0, "add").double(), make(6, 3, 0.0, "add").double()
    x = x.double()
    y = first(x)
    z = second(y)
    assert z.shape == x.shape
    given = [y - x, z - y]  # what each layer computed
    np.testing.assert_allclose((x + given[0] + given[1]).detach().numpy(), z.detach().numpy())
    with bl.no_grad():
        for layer in (first, second):
            for p in layer.parameters():
                p.zero_()
    assert bl.equal(second(first(x)), x)  # nothing on the way of the maps


@pytest.mark.parametrize("make", [DenseLayer, PlainLayer])
def test_multiplication_takes_the_product_of_all_maps_before(make):
    bl.manual_seed(0)
    x = bl.randn(2, 6, 4, 4, dtype=bl.float64)
    first, second = make(6, 3, 0.0, "mul").double(), make(6, 3, 0.0, "mul").double()
    alone = [make(6, 3, 0.0, "add").double() for _ in range(2)]
    for layer, twin in zip((first, second), alone):
        twin.load_state_dict(layer.state_dict())
    y = first(x)
    given = [alone[0](x) - x, alone[1](y) - y]  # what each layer computes
    expected = (x * given[0] * given[1]).detach().numpy()
    np.testing.assert_allclose(second(y).detach().numpy(), expected, 0, 1e-14)


def test_branches_are_summed():
    bl.manual_seed(0)
    layer, x = BranchLayer([4, 2, 2], 3, 0.0).double(), bl.randn(5, 8, 4, 4).double()
    out = layer(x)
    assert bl.equal(out[:, :8], x)
    total = 0.0
    for branch, part in zip(layer.branches, (x[:, :4], x[:, 4:6], x[:, 6:])):
        norm, _, conv = branch
        total = total + F.conv2d(F.relu(norm(part)), conv.weight, padding=1)
    np.testing.assert_allclose(out[:, 8:].detach().numpy(), total.detach().numpy(), 0, 1e-13)


@pytest.mark.parametrize(
    ("join", "width"), [("concat", 24), ("branch", 24), ("add", 8), ("mul", 8)]
)
def test_the_last_width(join, width):
    net = models.DenseNet(16, 4, compression=1.0, classes=3, join=join)
    layers = 4 if join == "branch" else 2
    assert len(net.block1) == layers
    expected = 8 if join in ("add", "mul") else 8 + 3 * layers * 4
    assert net.fc.in_features == expected
    assert net(bl.randn(2, 3, 8, 8)).shape == (2, 3)


def test_dropout_acts_while_training_only():
    for options in ({}, {"bottleneck": False}, {"join": "branch"}):
        net, x = models.DenseNet(10, 4, dropout=0.5, **options), bl.randn(2, 3, 8, 8)
        assert not bl.equal(net(x), net(x))
        net.eval()
        assert bl.equal(net(x), net(x))


@pytest.mark.parametrize("make", [PreActBlock, PreActBottleneck])
def test_n22_the_jacobian_of_a_pre_activation_block_is_the_identity_and_more(make):
    bl.manual_seed(0)
    block = make(4, 4 // make.expansion).double().eval()
    assert block.downsample is None
    x = bl.randn(1, 4, 3, 3, dtype=bl.float64)
    whole = bl.func.jacrev(block)(x).reshape(36, 36).detach().numpy()
    branch = bl.func.jacrev(lambda x: block(x) - x)(x).reshape(36, 36).detach().numpy()
    np.testing.assert_allclose(whole, np.eye(36) + branch, 0, 1e-13)
    assert np.abs(branch).max() > 1e-3


@pytest.mark.parametrize("make", [PreActBlock, PreActBottleneck])
def test_a_pre_activation_block_without_weights_passes_its_input(make):
    block = make(8, 8 // make.expansion)
    with bl.no_grad():
        for name, p in block.named_parameters():
            if "conv" in name:
                p.zero_()
    x = bl.randn(2, 8, 3, 3)
    assert bl.equal(block(x), x)


@pytest.mark.parametrize("make", [models.resnet18, models.resnet50])
def test_imagenet_stages_halve(make):
    net = make(classes=5, width=2)
    sizes = []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        stage.register_forward_hook(lambda module, args, out: sizes.append(tuple(out.shape[1:])))
    assert net(bl.randn(2, 3, 64, 64)).shape == (2, 5)
    wide = net.fc.in_features
    assert sizes == [(wide // 8, 16, 16), (wide // 4, 8, 8), (wide // 2, 4, 4), (wide, 2, 2)]


@pytest.mark.parametrize("image", [16, 32, 40, 112])
def test_c3d_knows_the_size_of_its_maps(image):
    net = models.C3D(3, 1, frames=17, image=image, width=1, hidden=2)
    assert net(bl.zeros(1, 1, 17, image, image)).shape == (1, 3)


def test_unet_tells_which_sides_it_takes():
    with pytest.raises(ShapeError, match=r"\(1, 1, 16, 20\) must be multiples of 8"):
        models.UNet(width=2)(bl.zeros(1, 1, 16, 20))
    assert models.UNet(width=2, depth=2)(bl.zeros(1, 1, 16, 20)).shape == (1, 2, 16, 20)


def test_lenet5_pads_small_images():
    bl.manual_seed(0)
    net, x = models.LeNet5(), bl.randn(2, 1, 28, 28)
    assert bl.equal(net(x), net(F.pad(x, (2, 2, 2, 2))))
