"""Recurrent layers that run eagerly as plans of one instruction: the same as by NumPy."""

import threading

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.backends import eager
from backlit.backends.cpu.plans import eager as plans
from backlit.ops.op import REGISTRY

from ..helpers import assert_close

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> list:
    """Plans for layers of any size; the plans that were asked for."""
    found: list = []
    ask = plans._planned

    def asked(*key):
        found.append(ask(*key))
        return found[-1]

    monkeypatch.setattr(plans, "SMALL_WORK", 0)
    monkeypatch.setattr(plans, "_planned", asked)
    for kind in LAYERS:
        for name in (kind, f"{kind}_grad"):
            kernel = eager._load(*eager.KERNELS[name])
            monkeypatch.setattr(REGISTRY[name], "kernel", staticmethod(kernel))
    return found


def trained(kind: str, dtype: bl.dtype, steps: int = 7, **options) -> list[np.ndarray]:
    """Outputs, last states and all gradients of a loss."""
    bl.manual_seed(0)
    layer = LAYERS[kind](5, 12, dtype=dtype, **options)
    x = bl.randn(steps, 3, 5, dtype=dtype).requires_grad_()
    y, states = layer(x)
    states = states if isinstance(states, tuple) else (states,)
    loss = (y * y).sum() + sum((s * s * s).sum() for s in states)
    loss.backward()
    found = [y, *states, x.grad, *(p.grad for p in layer.parameters())]
    return [t.detach().numpy() for t in found]


def by_numpy(monkeypatch: pytest.MonkeyPatch, kind: str, *args, **options) -> list[np.ndarray]:
    with monkeypatch.context() as patch:
        for name in (kind, f"{kind}_grad"):
            patch.setattr(REGISTRY[name], "kernel", None)
        return trained(kind, *args, **options)


@pytest.mark.parametrize("dtype", [bl.float64, bl.float32])
@pytest.mark.parametrize("options", [
    {}, {"bias": False}, {"bidirectional": True}, {"num_layers": 2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("kind", LAYERS)
def test_the_same_as_numpy(kind, options, dtype, planned, monkeypatch) -> None:
    expected = by_numpy(monkeypatch, kind, dtype, **options)
    assert not planned
    actual = trained(kind, dtype, **options)
    assert planned and None not in planned
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == e.dtype
        assert_close(a, e)


def test_bits_do_not_depend_on_threads() -> None:
    found = []
    for count in (1, 2):
        bl.set_num_threads(count)
        found.append(trained("lstm", bl.float32, steps=40))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_projections_stay_with_numpy(planned, monkeypatch) -> None:
    expected = by_numpy(monkeypatch, "lstm", bl.float32, proj_size=4)
    actual = trained("lstm", bl.float32, proj_size=4)
    assert planned and set(planned) == {None}
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


def test_a_second_call_leaves_the_results_of_the_first() -> None:
    layer = nn.LSTM(5, 64)
    with bl.no_grad():
        first = layer(bl.ones(9, 4, 5))[0]
        kept = first.numpy().copy()
        layer(bl.zeros(9, 4, 5))
    np.testing.assert_array_equal(first.numpy(), kept)


def test_threads_take_turns() -> None:
    layer = nn.GRU(5, 32)
    given = [bl.full((20, 8, 5), float(i)) for i in range(4)]
    expected = [layer(x)[0].detach().numpy() for x in given]
    found: dict[int, list] = {i: [] for i in range(4)}

    def work(i: int) -> None:
        for _ in range(20):
            found[i].append(layer(given[i])[0].detach().numpy().copy())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i, e in enumerate(expected):
        assert len(found[i]) == 20
        for a in found[i]:
            np.testing.assert_array_equal(a, e)
