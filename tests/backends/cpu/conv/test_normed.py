"""Groups around normalizations: the same results, verified, and native in few passes."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.backends import reference
from backlit.compiler.passes.fuse_conv import fuse_conv
from backlit.compiler.pipeline import optimize
from backlit.nn import functional as F
from backlit.program import capture
from backlit.program.ir import Program

from ..lowering import check_program, compiled


class Block(nn.Module):
    """Two convolutions with normalization and a shortcut, as in residual networks."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


def captured(model: nn.Module, x: np.ndarray) -> tuple[Program, list[np.ndarray]]:
    """A forward and backward of two blocks, with every gradient."""

    def step(x):
        model.zero_grad()
        loss = (model(x) * model(x).sigmoid()).sum()
        loss.backward()
        return (loss, *(p.grad for p in model.parameters()))

    found = capture(step, bl.from_numpy(x))
    return found.program, list(found.arrays)


def groups(program: Program) -> list[list[str]]:
    return [[i.op for i in p.params["body"].instrs] for p in program.instrs if p.op == "fused"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("channels", [16, 5])
@pytest.mark.usefixtures("vector_width")
def test_residual_blocks(channels: int, dtype: type, rng: np.random.Generator) -> None:
    model = nn.Sequential(Block(channels), Block(channels)).to(bl.float64)
    model = model if dtype is np.float64 else model.float()
    x = rng.standard_normal((3, channels, 7, 6)).astype(dtype)
    program, arrays = captured(model, x)
    grouped = reference.check(fuse_conv(program))
    assert ["conv", "batch_norm", "add", "relu"] in groups(grouped)
    assert any(g[0] == "conv_grad_input" and g[-1] == "batch_norm_grad" for g in groups(grouped))
    for a, b in zip(reference.run(program, arrays), reference.run(grouped, arrays), strict=True):
        np.testing.assert_array_equal(a, b)

    check_program(grouped, arrays, callbacks=None)


def test_groups_under_autocast(rng: np.random.Generator) -> None:
    """Casts join the groups; gradients stay as near to float32's as those of the reference."""
    model = Block(16)
    x = rng.standard_normal((8, 16, 7, 6)).astype(np.float32)

    def step(x):
        model.zero_grad()
        with bl.autocast("cpu"):
            loss = (model(x) * model(x).sigmoid()).sum()
        loss.backward()
        return (loss, *(p.grad for p in model.parameters()))

    found = capture(step, bl.from_numpy(x))
    grouped = reference.check(optimize(found.program))
    assert any(g[:2] == ["conv", "batch_norm"] and "cast" in g for g in groups(grouped))
    assert any(g[0] == "conv_grad_input" and "cast" in g for g in groups(grouped))
    exact = reference.run(*captured(model, x))
    rounded = reference.run(found.program, list(found.arrays))
    native = compiled(grouped, list(found.arrays), callbacks=None)
    for e, r, n in zip(exact[1:], rounded[1:], native[1:], strict=True):
        off = [np.linalg.norm(np.float32(a) - e) / np.linalg.norm(e) for a in (r, n)]
        assert off[1] < 2 * off[0] + 0.01
