"""Autocast: the dtypes that PyTorch gives, parameters in float32, each cast once a block."""

import warnings

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.backends import reference
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.program import capture

LOW, WIDE = bl.bfloat16, bl.float32


def ones(*shape):
    return bl.ones(*shape, requires_grad=True)


PRODUCTS = {
    "matmul": lambda: ones(2, 3) @ ones(3, 4),
    "batched": lambda: bl.bmm(ones(2, 2, 3), ones(2, 3, 4)),
    "linear": lambda: F.linear(ones(2, 3), ones(4, 3), ones(4)),
    "addmm": lambda: bl.addmm(ones(4), ones(2, 3), ones(3, 4)),
    "einsum": lambda: bl.einsum("ij,jk->ik", ones(2, 3), ones(3, 4)),
    "conv2d": lambda: F.conv2d(ones(1, 2, 4, 4), ones(3, 2, 2, 2), ones(3)),
    "conv_transpose2d": lambda: F.conv_transpose2d(ones(1, 2, 4, 4), ones(2, 3, 2, 2), ones(3)),
    "attention": lambda: F.scaled_dot_product_attention(*[ones(1, 3, 4)] * 3),
    "lstm": lambda: nn.LSTM(3, 4)(ones(5, 2, 3))[0],
    "gru": lambda: nn.GRU(3, 4)(ones(5, 2, 3))[0],
    "multihead": lambda: nn.MultiheadAttention(4, 2)(*[ones(3, 1, 4)] * 3)[0],
}
DELICATE = {
    "softmax": lambda x: F.softmax(x, -1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "cross_entropy": lambda x: F.cross_entropy(x, bl.tensor([0, 1])),
    "mse_loss": lambda x: F.mse_loss(x, x.detach() + 1),
    "binary": lambda x: F.binary_cross_entropy_with_logits(x, x.detach() * 0),
    "prod": lambda x: x.prod(),
}
OTHERS = {
    "relu": lambda x: x.relu(),
    "add": lambda x: x + x,
    "layer_norm": lambda x: nn.LayerNorm(3)(x),
    "batch_norm": lambda x: nn.BatchNorm1d(3)(x),
    "sum": lambda x: x.sum(),
    "max_pool": lambda x: F.max_pool1d(x, 2),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_run_in_16_bits(name):
    with bl.autocast("cpu"):
        assert PRODUCTS[name]().dtype is LOW
        with bl.autocast("cpu", dtype=bl.float16):
            assert PRODUCTS[name]().dtype is bl.float16
        with bl.autocast("cpu", enabled=False):
            assert PRODUCTS[name]().dtype is WIDE
    assert PRODUCTS[name]().dtype is WIDE


@pytest.mark.parametrize("name", DELICATE)
def test_delicate_operators_run_in_float32(name):
    with bl.autocast("cpu"):
        assert DELICATE[name](bl.ones(2, 3, dtype=LOW, requires_grad=True)).dtype is WIDE
        double = bl.ones(2, 3, dtype=bl.float64, requires_grad=True)
        assert DELICATE[name](double).dtype is bl.float64


@pytest.mark.parametrize("name", OTHERS)
def test_others_run_in_what_they_get(name):
    with bl.autocast("cpu"):
        for dtype in (LOW, WIDE):
            assert OTHERS[name](bl.ones(2, 3, dtype=dtype, requires_grad=True)).dtype is dtype


def network():
    bl.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4))


@pytest.mark.torch
def test_a_network_as_in_pytorch():
    torch = pytest.importorskip("torch")
    ours = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.LayerNorm(16), torch.nn.GELU(),
                                 torch.nn.Linear(16, 4))  # fmt: skip
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((8, 6)).astype(np.float32)
    labels = [0, 1, 2, 3] * 2
    with bl.autocast("cpu"):
        y = ours(bl.tensor(x))
        loss = F.cross_entropy(y, bl.tensor(labels))
    with torch.autocast("cpu"):
        y_torch = theirs(torch.tensor(x))
        loss_torch = torch.nn.functional.cross_entropy(y_torch, torch.tensor(labels))
    assert y.dtype.name == str(y_torch.dtype).removeprefix("torch.") == "bfloat16"
    loss.backward()
    loss_torch.backward()
    np.testing.assert_allclose(loss.item(), loss_torch.item(), rtol=1e-2)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        assert p.grad.dtype is p.dtype is WIDE
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), atol=2e-2)


def test_a_parameter_is_cast_once_a_block():
    layer = nn.Linear(3, 3)
    with bl.autocast("cpu"):
        program = capture(lambda x: layer(layer(layer(x))), bl.ones(2, 3)).program
        assert sum(i.op == "cast" for i in program.instrs) == 3  # the input, weight and bias
        before = layer(bl.ones(1, 3))
        with bl.no_grad():
            layer.weight.mul_(2)
            layer.bias.mul_(2)
        after = layer(bl.ones(1, 3))
        np.testing.assert_array_equal(after.detach().float(), before.detach().float() * 2)
        with bl.no_grad():
            assert not layer(bl.ones(1, 3)).requires_grad
        assert layer(bl.ones(1, 3)).requires_grad


def test_what_was_cast_outside_is_cast_again_in_a_capture():
    layer = nn.Linear(3, 3)
    with bl.autocast("cpu"):
        layer(bl.ones(2, 3))
        found = capture(layer, bl.ones(2, 3))
        layer(bl.ones(2, 3))
    assert [v.dtype for v in found.program.inputs] == [WIDE] * 3
    (y,) = reference.run(found.program, found.arrays)
    np.testing.assert_array_equal(y, found.result.array)


def test_the_walk_back_adds_no_casts_of_its_own():
    layer, x = nn.Linear(3, 4), bl.randn(2, 3)

    def step(within):
        with bl.autocast("cpu"):
            loss = F.cross_entropy(layer(x), bl.tensor([0, 1]))
            if within:
                return bl.autograd.grad(loss, list(layer.parameters()))
        return bl.autograd.grad(loss, list(layer.parameters()))

    for g, h in zip(step(True), step(False)):
        assert g.dtype is WIDE
        np.testing.assert_array_equal(g, h)


def test_a_loop_casts_its_weights_once():
    w, xs = bl.randn(3, 3, requires_grad=True), bl.randn(5, 2, 3)

    def step():
        with bl.autocast("cpu"):
            h, _ = bl.scan(lambda h, x: ((h @ w).float() + x, None), bl.zeros(2, 3), xs)
        return h, bl.autograd.grad(h.sum(), w)[0]

    found = capture(step)
    loops = [i for i in found.program.instrs if i.op == "scan"]
    assert len(loops) == 2
    casts = [v.name for i in found.program.instrs if i.op == "cast" for v in i.outputs]
    assert loops[0].inputs[0].name in casts and loops[0].inputs[0].dtype is LOW
    assert found.result[1].dtype is WIDE
    for a, b in zip(reference.run(found.program, found.arrays), found.result):
        np.testing.assert_array_equal(a, b.array)


def test_as_a_decorator_and_after_an_error():
    @bl.autocast("cpu")
    def product(x):
        return bl.is_autocast_enabled("cpu"), x @ x

    enabled, y = product(bl.ones(2, 2))
    assert enabled and y.dtype is LOW
    with pytest.raises(Exception, match="inner sizes"):
        product(bl.ones(2, 3))
    assert not bl.is_autocast_enabled() and (bl.ones(2, 2) @ bl.ones(2, 2)).dtype is WIDE


def test_questions_and_switches():
    assert bl.amp.autocast is bl.autocast
    with bl.amp.autocast("cpu", dtype=bl.float16):
        assert bl.get_autocast_dtype("cpu") is bl.get_autocast_cpu_dtype() is bl.float16
    bl.set_autocast_enabled("cpu", True)
    try:
        assert (bl.ones(2, 2) @ bl.ones(2, 2)).dtype is LOW
    finally:
        bl.set_autocast_enabled("cpu", False)
    bl.set_autocast_dtype("cpu", bl.float16)
    try:
        with bl.autocast("cpu"):
            assert bl.get_autocast_dtype("cpu") is bl.float16
    finally:
        bl.set_autocast_dtype("cpu", LOW)


def test_what_is_not_there_is_off_with_a_warning():
    for given in ({"device_type": "cuda"}, {"dtype": bl.float32}):
        with pytest.warns(UserWarning, match="so it is off"):
            block = bl.autocast(**given)
        with block:
            assert not bl.is_autocast_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bl.autocast("cuda", enabled=False)
    with pytest.raises(ArgumentError, match="unknown device_type"):
        bl.autocast("gpu")
    with pytest.raises(ArgumentTypeError, match="must be a string"):
        bl.autocast(bl.float16)
