"""Arguments in their other spellings: NumPy's names, sizes by name, a factor before the tensor."""

from __future__ import annotations

import pytest

import backlit as bl
from backlit import nn

F = nn.functional


def x():
    return bl.arange(6.0).reshape(2, 3)


SAME = [
    (lambda: x().sum(axis=0, keepdims=True), lambda: x().sum(0, keepdim=True)),
    (lambda: bl.mean(x(), axis=(0, 1)), lambda: x().mean((0, 1))),
    (lambda: bl.cat([x(), x()], axis=1), lambda: bl.cat([x(), x()], 1)),
    (lambda: bl.concatenate([x(), x()], axis=1), lambda: bl.cat([x(), x()], 1)),
    (lambda: bl.stack([x(), x()], axis=-1), lambda: bl.stack([x(), x()], -1)),
    (lambda: x().max(axis=1)[0], lambda: x().max(1)[0]),
    (lambda: x().argmax(axis=1), lambda: x().argmax(1)),
    (lambda: F.softmax(x(), axis=1), lambda: F.softmax(x(), 1)),
    (lambda: bl.norm(x(), axis=1), lambda: bl.norm(x(), dim=1)),
    (lambda: x().cumsum(axis=1), lambda: x().cumsum(1)),
    (lambda: bl.unsqueeze(x(), axis=0), lambda: x()[None]),
    (lambda: bl.linalg.norm(x(), axis=0), lambda: bl.linalg.norm(x(), dim=0)),
    (lambda: bl.zeros(size=(2, 3)), lambda: bl.zeros(2, 3)),
    (lambda: bl.rand(size=(2, 3)).ceil(), lambda: bl.rand((2, 3)).ceil()),
    (lambda: x().new_ones(size=(2,)), lambda: bl.ones(2)),
    (lambda: x().view(size=(3, 2)), lambda: x().view(3, 2)),
    (lambda: bl.reshape(x(), shape=(3, 2)), lambda: x().reshape(3, 2)),
    (lambda: x().permute(dims=(1, 0)), lambda: x().T),
    (lambda: x().repeat(repeats=(2, 1)), lambda: x().repeat(2, 1)),
    (lambda: x()[:1].expand(size=(2, 3)), lambda: x()[:1].expand(2, 3)),
    (lambda: bl.add(x(), 2, x()), lambda: 3 * x()),
    (lambda: x().add_(-0.5, x()), lambda: 0.5 * x()),
    (lambda: x().addcmul_(0.5, x(), x()), lambda: x() + 0.5 * x() * x()),
    (lambda: bl.addcdiv(x(), -1, x(), x() + 1), lambda: x() - x() / (x() + 1)),
]


@pytest.mark.parametrize("number", range(len(SAME)))
def test_both_spellings_are_one(number):
    other, plain = SAME[number]
    bl.manual_seed(0)
    ours = other()
    bl.manual_seed(0)
    expected = plain()
    assert ours.shape == expected.shape and bl.allclose(ours.double(), expected.double())


def test_what_has_no_other_spelling_is_refused_as_before():
    with pytest.raises(TypeError, match="axis"):
        x().relu(axis=0)
    with pytest.raises(TypeError, match="axis"):
        x().sum(dim=0, axis=0)
    with pytest.raises(TypeError, match="axes"):
        x().sum(axes=0)
    with pytest.raises(TypeError):
        x().add_(1, 2, 3)
    with pytest.raises(TypeError):
        x().view(2, 3, size=(3, 2))


def test_a_factor_before_the_tensor_has_its_gradient():
    w = bl.ones(2, requires_grad=True)
    bl.add(w, 3, w * w).sum().backward()
    assert w.grad.tolist() == [7.0, 7.0]
