"""The layers and families of the contract (Z1 to Z9, T8, P8), with their numbers."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.nn import functional as F


def double(values):
    return bl.tensor(values, dtype=bl.float64, requires_grad=True)


def rows(*shape, seed=0):
    return bl.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def test_z1_batch_norm_forward_backward_and_running_statistics():
    norm = nn.BatchNorm1d(1).double()
    x = double([[1.0], [2.0], [3.0], [4.0]])
    y = norm(x)
    np.testing.assert_allclose(
        y.detach().numpy()[:, 0], [-1.34163542, -0.44721181, 0.44721181, 1.34163542], atol=5e-9
    )
    y.backward(bl.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=bl.float64))
    np.testing.assert_allclose(
        x.grad.numpy()[:, 0], [0.2683303, -0.35776837, -0.08944343, 0.1788815], atol=5e-8
    )
    assert norm.weight.grad.item() == pytest.approx(-1.3416354, abs=5e-8)
    assert norm.bias.grad.item() == 1.0
    # Momentum 0.1; the running variance is the unbiased 5/3.
    assert norm.running_mean.item() == pytest.approx(0.25)
    assert norm.running_var.item() == pytest.approx(0.9 + 0.1 * 5 / 3)
    norm.eval()
    expected = (x.detach() - 0.25) / (0.9 + 0.1 * 5 / 3 + 1e-5) ** 0.5
    assert bl.allclose(norm(x).detach(), expected, atol=1e-12)


def test_z1_batch_norm_of_maps_is_that_of_their_pixels():
    x = rows(3, 2, 4, 5)
    flat = x.detach().permute(0, 2, 3, 1).reshape(-1, 2).requires_grad_()
    by_map, by_row = nn.BatchNorm2d(2).double()(x), nn.BatchNorm1d(2).double()(flat)
    assert bl.allclose(by_map.permute(0, 2, 3, 1).reshape(-1, 2), by_row, atol=1e-12)
    (by_map**3).sum().backward()
    (by_row**3).sum().backward()
    assert bl.allclose(x.grad.permute(0, 2, 3, 1).reshape(-1, 2), flat.grad, atol=1e-11)


def test_z2_dropout_keeps_the_mean_and_its_mask_goes_back():
    bl.manual_seed(3)
    x = bl.ones(200_000, requires_grad=True)
    drop = nn.Dropout(0.3)
    y = drop(x)
    kept = y.detach().numpy()
    np.testing.assert_allclose(np.unique(kept), [0.0, 1 / 0.7], rtol=1e-6)
    assert kept.mean() == pytest.approx(1.0, abs=0.01)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), kept)
    bl.manual_seed(3)
    np.testing.assert_array_equal(drop(x).detach().numpy(), kept)
    drop.eval()
    assert bool((drop(x) == x).all())


def branch_of(block, x):
    """F(x) of a residual block, written out."""
    y = F.relu(block.bn1(block.conv1(x)))
    return block.bn2(block.conv2(y))


def test_z3_a_residual_block_and_its_projection():
    bl.manual_seed(0)
    net = models.resnet20().double().eval()
    assert sum(p.numel() for p in net.parameters()) == 272_474
    assert net(bl.zeros(1, 3, 32, 32, dtype=bl.float64)).shape == (1, 10)
    x = rows(2, 16, 8, 8).detach()
    plain, halving = net.layer1[1], net.layer2[0]
    assert plain.downsample is None
    assert bl.allclose(plain(x), F.relu(x + branch_of(plain, x)), atol=1e-13)
    pick, norm = halving.downsample
    assert (pick.kernel_size, pick.stride) == ((1, 1), (2, 2))
    shortcut = norm(bl.einsum("nchw,oc->nohw", x[:, :, ::2, ::2], pick.weight[:, :, 0, 0]))
    assert shortcut.shape == (2, 32, 4, 4)
    assert bl.allclose(halving(x), F.relu(shortcut + branch_of(halving, x)), atol=1e-13)


def test_z3_the_gradient_of_a_residual_block_is_that_of_the_branch_and_the_whole():
    """(I + dF/dx)^T g: nothing is skipped on the way back, and nothing is lost."""
    block = models.resnet20().double().eval().layer1[0]
    x, g = rows(1, 16, 4, 4), bl.tensor(np.random.default_rng(1).standard_normal((1, 16, 4, 4)))
    open_units = block(x).detach() > 0
    (whole,) = bl.autograd.grad(block(x), x, g)
    (branch,) = bl.autograd.grad(branch_of(block, x), x, g * open_units)
    assert bl.allclose(whole, g * open_units + branch, atol=1e-12)
    assert float(branch.abs().max()) > 1e-3


def test_z4_dense_blocks_grow_by_k_channels_a_layer():
    def parameters(net):
        return sum(p.numel() for p in net.parameters())

    net = models.DenseNet(100, 12)
    assert parameters(net) == 769_162
    first = [m for m in net.modules() if hasattr(m, "join") and hasattr(m, "bn1")]
    block = [layer.bn1.num_features for layer in first[:16]]
    assert block == [24 + 12 * layer for layer in range(16)]
    for join in ("add", "mul", "branch"):
        assert models.DenseNet(10, 4, join=join)(bl.zeros(1, 3, 8, 8)).shape == (1, 10)


@pytest.mark.parametrize("axes", [2, 3], ids=["images", "clips"])
def test_z5_a_convolution_is_a_product_of_windows(axes):
    size, kernel = (5,) * axes, (3,) * axes
    x, w = rows(2, 3, *size), rows(4, 3, *kernel, seed=1)
    convolution = F.conv2d if axes == 2 else F.conv3d
    y = convolution(x, w)
    windows = np.lib.stride_tricks.sliding_window_view(
        x.detach().numpy(), kernel, axis=tuple(range(2, 2 + axes))
    )
    letters = "ijk"[:axes]
    places = "xyz"[:axes]
    expected = np.einsum(
        f"nc{places}{letters},oc{letters}->no{places}", windows, w.detach().numpy()
    )
    np.testing.assert_allclose(y.detach().numpy(), expected, atol=1e-12)
    g = np.random.default_rng(2).standard_normal(y.shape)
    y.backward(bl.tensor(g))
    dw = np.einsum(f"nc{places}{letters},no{places}->oc{letters}", windows, g)
    np.testing.assert_allclose(w.grad.numpy(), dw, atol=1e-11)
    assert bl.check.gradcheck(convolution, (rows(1, 2, *size), rows(2, 2, *kernel)))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_z6_backpropagation_through_time(kind):
    net = models.RowClassifier(kind, 2, 3, 2, 2).double()
    names, values = zip(*net.named_parameters())

    def scores(x, *parameters):
        return bl.func.functional_call(net, dict(zip(names, parameters)), (x,))

    given = [v.detach().clone().requires_grad_() for v in values]
    assert bl.check.gradcheck(scores, (rows(2, 4, 2), *given))


def test_z7_attention_follows_a_permutation_and_a_causal_mask():
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    x, order = rows(1, 5, 4).detach(), bl.tensor([3, 0, 4, 1, 2])

    def attend(v, mask=None):
        return layer(v, v, v, attn_mask=mask, need_weights=False)[0]

    assert bl.allclose(attend(x)[:, order], attend(x[:, order]), atol=1e-12)
    later = bl.ones(5, 5).triu(1).bool()
    slopes = bl.func.jacrev(lambda v: attend(v, later)[0])(x)[:, :, 0]
    for time in range(5):
        assert not slopes[time, :, time + 1 :].any() and slopes[time, :, : time + 1].any()


FAMILIES = {
    "perceptron": (lambda: models.Perceptron(2), models.perceptron_loss, lambda y: 2 * y - 1),
    "svm": (lambda: models.MulticlassSVM([2, 2]), models.multiclass_hinge, lambda y: y),
    "network": (lambda: models.MLP([2, 8, 2]), F.cross_entropy, lambda y: y),
    "deep": (lambda: models.MLP([2, 16, 16, 16, 2]), F.cross_entropy, lambda y: y),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_z8_four_families_train_in_one_way(name):
    build, loss, target = FAMILIES[name]
    bl.manual_seed(0)
    x = bl.randn(200, 2)
    y = (x[:, 0] + 2 * x[:, 1] > 0).long()
    model = build()
    data = bl.data.DataLoader(bl.data.TensorDataset(x, target(y)), 20, shuffle=True)
    sgd = bl.optim.SGD(model.parameters(), lr=0.1)
    bl.train.fit(model, data, loss=loss, optimizer=sgd, epochs=20, progress=False)
    output = model.eval()(x)
    found = output.argmax(1) if output.ndim == 2 else (output > 0).long()
    assert (found == y).float().mean().item() > 0.95


def test_t8_regression_by_squares_and_by_huber():
    """One outlier pulls the mean, which squares find, but hardly what Huber's loss finds."""
    values = double([0.0, 0.1, -0.1, 0.05, -0.05, 10.0])
    for loss, expected in ((F.mse_loss, 10 / 6), (F.huber_loss, 0.2)):
        level = double(0.0)
        optimizer = bl.optim.SGD([level], lr=0.5)
        for _ in range(300):
            optimizer.zero_grad()
            loss(level.expand(6), values.detach()).backward()
            optimizer.step()
        assert level.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("side, dense, kernels", [(32, 307_300, 2_800), (224, 15_052_900, 2_800)])
def test_p8_dense_layers_grow_with_the_image_and_kernels_do_not(side, dense, kernels):
    flat, conv = nn.Linear(3 * side * side, 100), nn.Conv2d(3, 100, 3)
    assert sum(p.numel() for p in flat.parameters()) == dense
    assert sum(p.numel() for p in conv.parameters()) == kernels
