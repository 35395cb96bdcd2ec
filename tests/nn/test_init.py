"""Initializers: the moments and bounds that their formulas promise; modules' defaults."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn import init

N = 40_000


@pytest.fixture(autouse=True)
def seeded():
    bl.manual_seed(1)


def moments(tensor):
    values = tensor.detach().numpy().astype(np.float64)
    return values.mean(), values.std(), np.abs(values).max()


@pytest.mark.parametrize(
    ("fill", "std", "uniform"),
    [
        (lambda w: init.uniform_(w, -3, 3), 3 / math.sqrt(3), True),
        (lambda w: init.normal_(w, 0, 2.5), 2.5, False),
        (lambda w: init.xavier_uniform_(w, 2.0), 2 * math.sqrt(2 / 400), True),
        (lambda w: init.xavier_normal_(w), math.sqrt(2 / 400), False),
        (lambda w: init.kaiming_uniform_(w, math.sqrt(5)), math.sqrt(1 / 3 / 200), True),
        (lambda w: init.kaiming_normal_(w, nonlinearity="relu"), math.sqrt(2 / 200), False),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh"),
         5 / 3 / math.sqrt(200), False),
    ],
)  # fmt: skip
def test_deviation(fill, std, uniform):
    mean, measured, most = moments(fill(bl.empty(200, 200)))
    assert abs(mean) < 4 * std / math.sqrt(N)
    assert measured == pytest.approx(std, rel=0.02)
    if uniform:
        assert 0.99 * std * math.sqrt(3) < most <= std * math.sqrt(3) * 1.0001
    else:
        assert most > 3 * std


def test_fans_of_convolutions():
    weight = bl.empty(64, 32, 3, 3)
    assert init._calculate_fan_in_and_fan_out(weight) == (288, 576)
    assert moments(init.xavier_normal_(weight))[1] == pytest.approx(
        math.sqrt(2 / (9 * (64 + 32))), rel=0.02
    )
    for mode, fan in (("fan_in", 288), ("fan_out", 576)):
        init.kaiming_normal_(weight, mode=mode, nonlinearity="linear")
        assert moments(weight)[1] == pytest.approx(1 / math.sqrt(fan), rel=0.02)


def test_trunc_normal():
    weight = init.trunc_normal_(bl.empty(200, 200), mean=1.0, std=2.0, a=0.0, b=3.0)
    values = weight.numpy()
    assert values.min() >= 0 and values.max() <= 3
    density = math.exp(-0.125) / math.sqrt(2 * math.pi)  # at (a - mean) / std = -0.5
    other = math.exp(-0.5) / math.sqrt(2 * math.pi)
    mass = 0.5 * (math.erf(1 / math.sqrt(2)) + math.erf(0.5 / math.sqrt(2)))
    expected = 1.0 + 2.0 * (density - other) / mass
    assert values.mean() == pytest.approx(expected, abs=0.02)
    with pytest.warns(UserWarning, match="outside"):
        init.trunc_normal_(bl.empty(2), mean=9.0)
    tail = init.trunc_normal_(bl.empty(200, 200), a=2.0, b=4.0).numpy()
    density, other = (math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) for x in (2, 4))
    mass = 0.5 * (math.erf(4 / math.sqrt(2)) - math.erf(2 / math.sqrt(2)))
    assert tail.min() >= 2 and tail.mean() == pytest.approx((density - other) / mass, abs=0.01)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal(shape):
    flat = init.orthogonal_(bl.empty(*shape, dtype=bl.float64), gain=3.0).numpy()
    flat = flat.reshape(shape[0], -1)
    gram = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-12)
    if shape == (5, 5):
        signs = [np.sign(init.orthogonal_(bl.empty(1, 1)).item()) for _ in range(30)]
        assert {-1.0, 1.0} == set(signs)


def test_exact_fillers():
    assert init.ones_(bl.empty(2)).tolist() == [1, 1]
    assert init.zeros_(bl.empty(2)).tolist() == [0, 0]
    assert init.constant_(bl.empty(2), 7).tolist() == [7, 7]
    assert init.eye_(bl.empty(3, 2)).tolist() == [[1, 0], [0, 1], [0, 0]]
    x = bl.rand(1, 4, 5, 5)
    for groups in (1, 2):
        conv = nn.Conv2d(4, 4, 3, padding=1, bias=False, groups=groups)
        init.dirac_(conv.weight, groups)
        np.testing.assert_array_equal(conv(x).detach().numpy(), x.numpy())
    sparse = init.sparse_(bl.empty(10, 4), 0.33).numpy()
    assert ((sparse == 0).sum(0) == 4).all()


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda: init.xavier_uniform_(bl.empty(3)), "2 dimensions"),
        (lambda: init.kaiming_normal_(bl.empty(3, 3), mode="fan"), "fan_in"),
        (lambda: init.kaiming_normal_(bl.empty(3, 3), nonlinearity="x"), "unknown nonlinearity"),
        (lambda: init.calculate_gain("leaky_relu", "x"), "negative slope"),
        (lambda: init.eye_(bl.empty(3)), "eye_: needs 2 dimensions"),
        (lambda: init.dirac_(bl.empty(3, 3)), "dirac_"),
        (lambda: init.dirac_(bl.empty(3, 3, 3), 2), "not a multiple"),
        (lambda: init.orthogonal_(bl.empty(3)), "orthogonal_"),
        (lambda: init.sparse_(bl.empty(3), 0.1), "sparse_"),
    ],
)
def test_mistakes_are_refused(fill, words):
    with pytest.raises(ValueError, match=words):
        fill()


def test_gains():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_no_elements_warns():
    with pytest.warns(UserWarning, match="without elements"):
        nn.Linear(0, 3)


def test_nothing_is_recorded_and_the_seed_decides():
    layer = nn.Linear(3, 4)
    init.trunc_normal_(layer.weight)
    assert layer.weight.is_leaf and layer.weight.requires_grad
    draws = []
    for _ in range(2):
        bl.manual_seed(3)
        draws.append(nn.Conv2d(2, 3, 3).weight.tolist())
    assert draws[0] == draws[1]


@pytest.mark.parametrize(
    "expression",
    [
        "nn.Linear(300, 200)",
        "nn.Bilinear(40, 30, 50)",
        "nn.Conv2d(30, 100, 3, groups=2)",
        "nn.ConvTranspose2d(30, 100, 3)",
        "nn.Embedding(200, 100, padding_idx=3)",
        "nn.EmbeddingBag(200, 100)",
        "nn.LSTM(60, 70, 2, bidirectional=True)",
        "nn.GRUCell(60, 70)",
        "nn.MultiheadAttention(64, 2, add_bias_kv=True)",
        "nn.Transformer(64, 2, 1, 1, 100)",
        "nn.PReLU(4)",
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
def test_defaults_are_drawn_as_pytorch_draws_them(expression):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = eval(expression, {"nn": torch.nn})
    ours = dict(eval(expression, {"nn": nn}).named_parameters())
    for name, parameter in theirs.named_parameters():
        t, o = (np.asarray(p.detach().numpy(), np.float64) for p in (parameter, ours[name]))
        noise = 6 / math.sqrt(t.size)
        assert o.std() == pytest.approx(t.std(), rel=noise, abs=1e-12), name
        assert abs(o.mean() - t.mean()) <= noise * t.std() * 1.5, name
        assert (np.abs(o).max() == 0) == (np.abs(t).max() == 0), name
