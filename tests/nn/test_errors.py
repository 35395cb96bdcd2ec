"""Bad input to layers: the operator, the numbers, the user's line and the module's path."""

from __future__ import annotations

import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.errors import ArgumentError, ArgumentTypeError, BacklitError, IndexOutOfRange


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.bn1(self.conv1(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Block(), Block())
        self.towers = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(4, 2)])})

    def forward(self, x):
        return self.towers["a"][0](self.layer1(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("shape", "path"),
    [((1, 5, 8, 8), "model.layer1.0.conv1"), ((1, 3, 8, 8), "model.layer1.1.conv1")],
)
def test_the_path_names_the_layer_deep_inside(shape, path):
    with pytest.raises(BacklitError, match=rf"channels.*\n  at test_errors.py:\d+ in {path}\n"):
        Model()(bl.zeros(shape))


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (nn.BatchNorm2d(3), (2, 3), "BatchNorm2d: expected 4D input, got shape"),
        (nn.BatchNorm1d(3), (1, 3), "one value per channel has no variance"),
        (nn.InstanceNorm1d(3), (2, 3, 1), "no variance"),
        (nn.LayerNorm(5), (2, 4), "not the end of the input's shape"),
        (nn.LSTM(3, 4), (5, 2, 4), "4 features, expected 3"),
        (nn.Conv2d(1, 1, 3), (5, 5), "input has 2 axes"),
        (nn.MultiheadAttention(4, 2), (3, 2, 5), "5 features, expected 4"),
    ],
)
def test_checks_in_front_of_the_operator_have_line_and_path_too(layer, shape, words):
    x = bl.zeros(shape)
    arguments = (x, x, x) if isinstance(layer, nn.MultiheadAttention) else (x,)
    path = f"sequence.{type(layer).__name__.lower()}"
    outer = nn.Module()
    outer._root_name = "sequence"
    outer.forward = lambda: layer(*arguments)
    with pytest.raises((ValueError, RuntimeError), match=words) as caught:
        outer()
    assert f"  at test_errors.py:{outer.forward.__code__.co_firstlineno} in {path}" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(3, 2), nn.BatchNorm2d(3), nn.LSTM(2, 2), nn.Flatten(), nn.Dropout(), nn.Softmax(1)],
)
@pytest.mark.parametrize("value", [None, [[1.0, 2.0]]])
def test_what_is_no_tensor_is_refused_by_the_layer(layer, value):
    with pytest.raises(ArgumentTypeError, match=r"expected a Tensor, got (NoneType|list)\n  at "):
        nn.Sequential(layer)(value)


def test_an_attribute_error_of_the_users_own_module_stays():
    class Own(nn.Module):
        def forward(self, x):
            return x.missing

    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'missing'"):
        Own()(None)


def test_constructors_refuse_in_our_errors_which_hide_our_frames():
    for make in (
        lambda: nn.GroupNorm(3, 4),
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Dropout(1.5),
    ):
        with pytest.raises(ArgumentError):
            make()
    with pytest.raises(ArgumentTypeError, match="int is not a Module"):
        nn.Sequential(nn.Linear(1, 1), 3)


def test_cross_entropy_is_named_where_it_was_called():
    scores = bl.zeros(2, 3)
    with pytest.raises(IndexOutOfRange, match=r"^cross_entropy: target 3 at \(1,\)"):
        F.cross_entropy(scores, bl.tensor([0, 3]))
    with pytest.raises(ArgumentError, match=r"^cross_entropy: .*\(2,\) for an input of \(2, 3\)"):
        F.cross_entropy(scores, bl.tensor([0.0, 1.0]))
    with pytest.raises(ArgumentTypeError, match=r"^cross_entropy: expected a Tensor, got list"):
        F.cross_entropy(scores, [0, 1])
