"""Sequential, ModuleList, ModuleDict, ParameterList and ParameterDict as Python containers."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import backlit as bl
from backlit import nn


def names(container):
    return [(name, type(module).__name__) for name, module in container.named_children()]


def test_sequential_edits_keep_the_numbering():
    net = nn.Sequential(nn.ReLU(), nn.Tanh())
    net.append(nn.Sigmoid()).insert(1, nn.Identity())
    assert names(net) == [("0", "ReLU"), ("1", "Identity"), ("2", "Tanh"), ("3", "Sigmoid")]
    assert isinstance(net.pop(0), nn.ReLU)
    del net[0:2]
    assert names(net) == [("0", "Sigmoid")]
    net[-1] = nn.Tanh()
    net += nn.Sequential(nn.ReLU())
    net.extend([nn.GELU()])
    assert names(net + nn.Sequential(nn.ReLU())) == [
        ("0", "Tanh"), ("1", "ReLU"), ("2", "GELU"), ("3", "ReLU"),
    ]  # fmt: skip
    assert len(2 * net) == len(net * 2) == 6
    net *= 2
    assert len(net) == 6 and net[0] is net[3]
    assert names(net[1:3]) == [("1", "ReLU"), ("2", "GELU")]


def test_sequential_of_names():
    net = nn.Sequential(OrderedDict(fc=nn.Linear(2, 3), act=nn.ReLU()))
    assert net.fc is net[0] and net[-1] is net.act
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]
    net[0] = nn.Identity()
    assert isinstance(net.fc, nn.Identity)
    assert isinstance(list(net)[1], nn.ReLU)


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *m: nn.ModuleList(m)])
@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda net: net[2], IndexError),
        (lambda net: net[-3], IndexError),
        (lambda net: net["a"], TypeError),
        (lambda net: net.insert(5, nn.ReLU()), IndexError),
        (lambda net: net.insert(0, 3), TypeError),
        (lambda net: net.append(3), TypeError),
        (lambda net: net.extend(3), TypeError),
    ],
)
def test_lists_refuse(kind, act, error):
    with pytest.raises(error):
        act(kind(nn.ReLU(), nn.Tanh()))


def test_sequential_arithmetic_refuses():
    net = nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match="only Sequentials"):
        net + nn.ModuleList()
    with pytest.raises(TypeError):
        net * 1.5
    with pytest.raises(ValueError, match="positive"):
        net * 0


def test_module_list():
    layers = nn.ModuleList([nn.ReLU()])
    layers.append(nn.Tanh()).extend([nn.Sigmoid(), nn.ReLU()])
    layers.insert(0, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Identity", "ReLU", "Tanh", "Sigmoid", "ReLU"]
    assert isinstance(layers[1:3], nn.ModuleList) and len(layers[1:3]) == 2
    assert len(layers + nn.ModuleList([nn.ReLU()])) == 6
    assert layers[2] in layers
    with pytest.raises(NotImplementedError):
        layers(1)


def test_module_dict():
    heads = nn.ModuleDict([("b", nn.ReLU()), ("a", nn.Tanh())])
    heads.update({"c": nn.Linear(1, 1)})
    assert list(heads) == list(heads.keys()) == ["b", "a", "c"]
    assert [type(m).__name__ for _, m in heads.items()] == ["ReLU", "Tanh", "Linear"]
    assert "a" in heads and heads.pop("a") is not None and "a" not in heads and len(heads) == 2
    assert list(heads.state_dict()) == ["c.weight", "c.bias"]
    heads.clear()
    assert not list(heads.values())
    triple = [("a", nn.ReLU(), 1)]
    for wrong, error in ((3, TypeError), (triple, ValueError), ({"a": 3}, TypeError)):
        with pytest.raises(error):
            nn.ModuleDict(wrong)
    with pytest.raises(KeyError, match="already exists"):
        heads["keys"] = nn.ReLU()


def test_parameter_list():
    values = nn.ParameterList([nn.Parameter(bl.ones(2)), bl.zeros(3), "plain"])
    values += [bl.ones(1)]
    values[0] = bl.zeros(5)
    assert len(values) == 4 and values[-1].requires_grad and values[2] == "plain"
    assert [n for n, _ in values.named_parameters()] == ["0", "1", "3"]
    assert [tuple(p.shape) for p in values[:2]] == [(5,), (3,)]
    assert repr(nn.ParameterList([bl.zeros(2, 3), "x"])) == (
        "ParameterList(\n  (0): Parameter containing: [backlit.float32 of size 2x3]\n"
        "  (1): Object of type: str\n)"
    )
    with pytest.raises(IndexError):
        values[4]
    with pytest.raises(TypeError):
        values.extend(bl.ones(2))


def test_parameter_dict():
    values = nn.ParameterDict({"a": bl.ones(2)})
    values["b"] = nn.Parameter(bl.zeros(1))
    values |= {"c": bl.ones(3)}
    assert list(values) == list(values.keys()) == ["a", "b", "c"]
    assert [n for n, _ in values.named_parameters()] == ["a", "b", "c"]
    assert values.get("x") is None and "x" not in values
    assert values.setdefault("d", bl.ones(1)).requires_grad
    assert values.popitem()[0] == "d" and values.pop("c").shape == (3,)
    assert list(reversed(values)) == ["b", "a"] and len(values.values()) == 2
    assert list(values | {"z": bl.ones(1)}) == ["a", "b", "z"]
    assert values.copy()["a"] is values["a"]
    assert list(nn.ParameterDict.fromkeys(["p", "q"], bl.ones(1))) == ["p", "q"]
    assert "a" in repr(values)
    values.clear()
    assert not values.items()
    with pytest.raises(KeyError):
        values["a"]
    with pytest.raises(TypeError):
        values[3] = bl.ones(1)


def test_repr_folds_equal_neighbours():
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.ReLU())])
    assert repr(layers) == (
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): ReLU()\n  )\n)"
    )
    assert repr(nn.Sequential()) == "Sequential()"
