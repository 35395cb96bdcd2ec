"""PyTorch subjects with a twin on Backlit's tensors: causes as good as with a tape of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl

torch = pytest.importorskip("torch")
from torch.autograd.function import once_differentiable  # noqa: E402
from torch.nn.functional import relu as rectify  # noqa: E402

from backlit.check.doctor.subject_torch import TorchSubject  # noqa: E402
from backlit.check.doctor.twin import twin_of  # noqa: E402

pytestmark = pytest.mark.torch
SCALE = torch.tensor([1.0, 2.0, 4.0, 0.5])
SETTINGS = {"slope": 0.3, "kept": [SCALE]}


def scaled(x):
    return torch.tanh(x) * SETTINGS["kept"][0]


class Scaled(torch.autograd.Function):
    """Reaches PyTorch by a helper, by an attribute and inside a decorator."""

    power = 2

    @staticmethod
    def forward(x, weight):
        return (scaled(x) ** Scaled.power) @ weight

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        t = scaled(x)
        dt = g @ weight.t() * Scaled.power * t
        return dt * SCALE * (1 - torch.tanh(x) ** 2), (t**2).t() @ g


class WrongAxis(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, b):
        ctx.save_for_backward(x + b)
        return rectify(x + b)

    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        d = torch.where(z > 0, g, torch.zeros_like(g))
        return d, d.sum(1)


def inputs(**shapes):
    rng = np.random.default_rng(3)
    return {n: torch.tensor(rng.standard_normal(s)) for n, s in shapes.items()}


def has_twin(subject, given):
    return twin_of(TorchSubject(subject, given)) is not None


def test_a_right_function_has_a_twin_with_the_same_claims():
    given = inputs(x=(3, 4), weight=(4, 4))
    subject = TorchSubject(Scaled, given)
    twin = twin_of(subject)
    seeds = [np.random.default_rng(0).standard_normal((3, 4))]
    theirs, ours = subject.claims(subject.values, seeds), twin.claims(subject.values, seeds)
    for name in ("x", "weight"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-12)
    assert bl.check.doctor(Scaled, given).ok


def test_a_wrong_axis_is_found_at_its_line():
    found = bl.check.doctor(WrongAxis.apply, list(inputs(x=(4, 4), b=(4,)).values()))
    assert found.wrong == ["b"] and found.causes[0].name == "wrong_axis"
    assert "d.sum(1)" in found.causes[0].evidence


def test_a_function_inside_a_callable():
    def loss(x, b):
        import torch.nn.functional as F

        return F.softplus(WrongAxis.apply(x, b)).sum()

    found = bl.check.doctor(loss, inputs(x=(4, 4), b=(4,)))
    assert found.wrong == ["b"] and found.causes[0].name == "wrong_axis"


def test_constants_in_the_closure_of_a_callable():
    target = inputs(t=(4, 3))["t"]
    loss = lambda w, x: ((x @ w - target) ** 2).mean() + 0.1 * (w.detach() ** 2).sum()
    given = inputs(w=(4, 3), x=(4, 4))
    assert has_twin(loss, given)
    found = bl.check.doctor(loss, given)
    assert found.wrong == ["w"]
    assert found.causes[0].name in ("missing_regularization", "detached_path")


def test_the_twin_leaves_no_trace():
    kept, seen = {}, []

    def loss(x):
        seen.append(type(x))
        kept["last"] = x.exp()
        return kept["last"].detach() @ x

    given, threads = inputs(x=(4,)), torch.get_num_threads()
    assert has_twin(loss, given)
    assert not bl.check.doctor(loss, given).ok
    assert isinstance(kept["last"], torch.Tensor)
    assert torch.get_num_threads() == threads
    assert set(seen) == {torch.Tensor}
    assert torch.tanh(given["x"]).shape == (4,)
    assert Scaled.__bases__ == (torch.autograd.Function,)


def test_without_a_twin_the_numbers_decide():
    layer = torch.nn.Linear(4, 2).double()
    module = lambda x: -layer(x).sum().detach() * x.sum()
    with_random = lambda x: (x * torch.rand(4)).sum().detach() * x.sum()
    asserts = lambda x: (type(x) is torch.Tensor and torch.special.bessel_j0(x).sum()) * 1.0
    for subject in (module, with_random, asserts):
        assert not has_twin(subject, inputs(x=(4,)))
    found = bl.check.doctor(module, inputs(x=(4,)))
    assert found.wrong == ["x"] and found.causes


def test_a_twin_with_other_numbers_is_not_asked():
    """It sees at which library it is; the verdict is PyTorch's."""

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return -3 * g if torch.__name__ == "torch" else 2 * g

    given = inputs(x=(4,))
    assert has_twin(Two, given)
    found = bl.check.doctor(Two, given)
    assert found.wrong == ["x"] and found.causes[0].name == "sign"
    assert [c.name for c in found.causes] == ["sign"]
