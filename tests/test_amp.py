"""Loss scaling, and PyTorch's addresses for mixed precision and GPUs that are not there."""

from __future__ import annotations

import math

import pytest

import backlit as bl
from backlit import nn


def one_step(library, scaler, factor):
    """A step whose loss is factor * w: skipped where the gradient overflows."""
    w = library.nn.Parameter(library.ones(2))
    optimizer = library.optim.SGD([w], lr=0.5)
    scaler.scale(factor * w.sum()).backward()
    scaler.unscale_(optimizer)
    norm = float(library.nn.utils.clip_grad_norm_([w], 1.0))
    scaler.step(optimizer)
    scaler.update()
    return [norm, scaler.get_scale(), scaler.state_dict()["_growth_tracker"], *w.tolist()]


def walk(library):
    settings = {"init_scale": 2.0**20, "growth_interval": 2, "backoff_factor": 0.25}
    scaler = library.amp.GradScaler("cpu", **settings)
    steps = [one_step(library, scaler, f) for f in (1.0, 2.0, 3.0, math.inf, 4.0, 1e38, 0.0)]
    other = library.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    return [*steps, one_step(library, other, 0.5)]


def test_bad_steps_are_skipped_and_the_scale_adapts():
    steps = walk(bl)
    assert [s[1] for s in steps] == [2.0**e for e in (20, 21, 21, 19, 19, 17, 17, 18)]
    assert steps[3][3:] == [1.0, 1.0]  # skipped
    assert steps[0][3:] == pytest.approx([1 - 0.5 / math.sqrt(2)] * 2)  # clipped after unscaling


@pytest.mark.torch
def test_the_scaler_walks_as_pytorchs():
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(walk(bl), walk(torch), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, nan_ok=True)


def test_without_a_gpu_it_is_off():
    with pytest.warns(UserWarning, match="no cuda here"):
        scaler = bl.cuda.amp.GradScaler()
    loss = bl.ones(1)
    assert scaler.scale(loss) is loss and scaler.get_scale() == 1.0 and not scaler.is_enabled()
    w = nn.Parameter(bl.ones(1))
    w.grad = bl.tensor([math.inf])
    optimizer = bl.optim.SGD([w], lr=0.1)
    scaler.unscale_(optimizer)
    assert scaler.step(optimizer, lambda: bl.tensor(3.0)).item() == 3.0
    scaler.update()
    assert w.item() == -math.inf and scaler.state_dict() == {}
    scaler.load_state_dict({})
    with pytest.warns(UserWarning, match="no cuda here"), bl.cuda.amp.autocast():
        assert (bl.ones(1, 1) @ bl.ones(1, 1)).dtype is bl.float32


def test_a_scaler_refuses_what_would_be_wrong():
    scaler = bl.amp.GradScaler("cpu")
    w = nn.Parameter(bl.ones(1))
    optimizer = bl.optim.SGD([w], lr=0.1)
    with pytest.raises(ValueError, match="no gradients were checked"):
        scaler.update()
    w.grad = bl.ones(1)
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already unscaled"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="closures"):
        scaler.step(optimizer, lambda: None)
    with pytest.raises(TypeError, match="expected tensors, got int"):
        scaler.scale(3)
    with pytest.raises(ValueError, match="growth_factor"):
        bl.amp.GradScaler("cpu", growth_factor=0.5)
    with pytest.raises(ValueError, match="was off"):
        scaler.load_state_dict({})
    assert [v.item() for v in scaler.scale([bl.ones(()), bl.zeros(())])] == [65536.0, 0.0]


class Scaled(bl.autograd.Function):
    @staticmethod
    @bl.amp.custom_fwd(device_type="cpu", cast_inputs=bl.float32)
    def forward(ctx, x):
        ctx.enabled = bl.is_autocast_enabled("cpu")
        return x * 2

    @staticmethod
    @bl.amp.custom_bwd(device_type="cpu")
    def backward(ctx, g):
        assert not ctx.enabled
        return g * 2


def test_marked_functions_run_in_their_own_dtype():
    x = bl.ones(2, 2, requires_grad=True)
    with bl.autocast("cpu"):
        low = x @ x
        y = Scaled.apply(low)
    assert low.dtype is bl.bfloat16 and y.dtype is bl.float32
    y.sum().backward()
    assert x.grad.tolist() == [[8.0, 8.0], [8.0, 8.0]]


def test_a_gpu_is_asked_for_and_is_not_there():
    cuda = bl.cuda
    assert not isinstance(bl.ones(1), cuda.FloatTensor)
    assert cuda.memory_allocated() == cuda.max_memory_reserved("cuda:0") == 0
    assert not cuda.is_bf16_supported()
    with pytest.raises(NotImplementedError, match=r"cuda\.LongTensor makes tensors on a GPU"):
        cuda.LongTensor(3)
    for name in ("get_device_name", "Event", "current_device"):
        with pytest.raises(AttributeError, match=f"cuda.{name} does not exist"):
            getattr(cuda, name)
