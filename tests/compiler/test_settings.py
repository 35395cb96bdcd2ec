"""Whole steps under every setting: narrow vectors, older CPUs, kernels or compiler switched off."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.backends.cpu.native import features
from backlit.config import flags
from backlit.nn import functional as F

X86 = platform.machine() in ("x86_64", "AMD64")
SETTINGS = ["width8", "width4", "width1", "sse", "scalar", "one thread", "no kernels", "eager"]


class Images(nn.Module):
    """Convolution, normalization, pooling, dropout and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5)
        self.wide, self.drop = nn.Conv2d(5, 17, 3, stride=2), nn.Dropout(0.1)
        self.last = nn.Linear(17, 4)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        return self.last(self.drop(F.gelu(self.wide(h))).mean((2, 3)))


class Tokens(nn.Module):
    """Attention, layer norm and softmax over 7 tokens."""

    def __init__(self) -> None:
        super().__init__()
        layer = {"dim_feedforward": 24, "dropout": 0.0, "batch_first": True}
        self.layer = nn.TransformerEncoderLayer(12, 3, **layer)
        self.last = nn.Linear(12, 4)

    def forward(self, x):
        return self.last(self.layer(x).mean(1))


class Rows(nn.Module):
    """A recurrent network."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.last = nn.LSTM(6, 9, batch_first=True), nn.Linear(9, 4)

    def forward(self, x):
        return self.last(self.cells(x)[0][:, -1])


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], Callable]] = {
    "dense": (lambda: models.MLP([13, 17, 4]), (33, 13), lambda p: bl.optim.Adam(p, lr=0.01)),
    "images": (Images, (3, 3, 10, 10), lambda p: bl.optim.SGD(p, lr=0.05, momentum=0.9)),
    "tokens": (Tokens, (5, 7, 12), lambda p: bl.optim.AdamW(p, lr=0.01)),
    "rows": (Rows, (5, 4, 6), lambda p: bl.optim.RMSprop(p, lr=0.01)),
}
STEPS = 3


def trained(name: str, dtype: bl.dtype) -> list[np.ndarray]:
    """Losses and parameters after some steps."""
    make, shape, optimizer = NETWORKS[name]
    bl.manual_seed(4)
    model = make().to(dtype)
    rule = optimizer(model.parameters())
    x, y = bl.randn(STEPS, *shape, dtype=dtype), bl.tensor(np.arange(shape[0]) % 4)

    @bl.compile
    def step(x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
        rule.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        rule.step()
        return loss.detach()

    losses = [step(x[i].clone(), y).numpy() for i in range(STEPS)]
    return [*losses, *(p.detach().numpy() for p in model.parameters())]


@pytest.fixture(scope="module")
def plain() -> dict[str, list[np.ndarray]]:
    """The same by NumPy alone, operator by operator."""
    before = flags.kernels, flags.compile
    flags.kernels = flags.compile = False
    try:
        return {name: trained(name, bl.float64) for name in NETWORKS}
    finally:
        flags.kernels, flags.compile = before


@pytest.fixture
def setting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name: str = request.param
    threads = bl.get_num_threads()
    bl.set_num_threads(1 if name == "one thread" else 2)
    if name.startswith("width"):
        features.set_vector_width(int(name[5:]))
    elif name in features.ISAS:
        if not X86:
            pytest.skip("a level of x86")
        features.set_isa(name)
    monkeypatch.setattr(flags, "kernels", name != "no kernels")
    monkeypatch.setattr(flags, "compile", name != "eager")
    yield name
    features.set_vector_width(None)
    features.set_isa(None)
    bl.set_num_threads(threads)


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("setting", SETTINGS, indirect=True)
def test_steps(setting: str, name: str, plain: dict[str, list[np.ndarray]]) -> None:
    for actual, expected in zip(trained(name, bl.float64), plain[name], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("setting", ["width4", "scalar"], indirect=True)
def test_steps_in_float32(setting: str, plain: dict[str, list[np.ndarray]]) -> None:
    for actual, expected in zip(trained("images", bl.float32), plain["images"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=2e-4)
