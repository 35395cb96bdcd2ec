"""Module: registration, attributes, traversal, state dicts, hooks, copies, the running path."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest

import backlit as bl
from backlit import nn
from backlit.errors import CheckpointError, NotAvailable
from backlit.state import state


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 2)])
        self.register_buffer("scale", bl.ones(1))
        self.register_buffer("scratch", bl.zeros(2), persistent=False)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x * self.scale


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.c = nn.Linear(3, 3, bias=False)
        self.c.weight = nn.Parameter(self.a.weight.data)  # another object, the same cell

    def forward(self, x):
        return self.c(self.b(self.a(x)))


# ---- registration and attributes


def test_assignment_registers_by_kind():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "first.weight", "first.bias", "layers.0.weight", "layers.0.bias", "layers.1.weight",
        "layers.1.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()] == ["scale", "scratch"]
    assert "scratch" not in net.state_dict()
    net.first = nn.ReLU()
    assert "first" in net._modules
    net.first = None
    assert net.first is None and "first" in net._modules
    net.extra = nn.Buffer(bl.zeros(1), persistent=False)
    assert "extra" in net._buffers and "extra" not in net.state_dict()
    net.scale = bl.zeros(3)
    assert net._buffers["scale"].shape == (3,)


def test_a_name_moves_between_kinds():
    net = Net()
    net.thing = 3
    net.thing = nn.Parameter(bl.ones(2))
    assert "thing" in net._parameters and "thing" not in net.__dict__
    net.thing = nn.ReLU()
    assert "thing" in net._modules and "thing" not in net._parameters
    del net.thing
    assert not hasattr(net, "thing")


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda m: setattr(m.first, "weight", 3), TypeError, "'weight'"),
        (lambda m: setattr(m.first, "weight", bl.ones(4, 3)), TypeError, "Parameter or None"),
        (lambda m: setattr(m, "first", 3), TypeError, "Module or None"),
        (lambda m: setattr(m, "scale", 3), TypeError, "Tensor or None"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "without '.'"),
        (lambda m: m.register_parameter("", None), KeyError, "non-empty"),
        (lambda m: m.register_buffer("forward", None), KeyError, "already exists"),
        (lambda m: m.register_buffer("b", 3), TypeError, "Tensor or None"),
        (lambda m: m.register_parameter("p", bl.ones(1)), TypeError, "Parameter or None"),
        (lambda m: m.add_module("m", 3), TypeError, "not a Module"),
        (lambda m: m.missing, AttributeError, "'Net' object has no attribute 'missing'"),
        (lambda m: m.get_submodule("layers.5"), AttributeError, "no module '5'"),
        (lambda m: m.get_parameter("first.scale"), AttributeError, "no parameter 'scale'"),
        (lambda m: m.get_buffer("first.weight"), AttributeError, "no buffer 'weight'"),
        (lambda m: m.train("yes"), ValueError, "bool"),
        (lambda m: m.cuda(), NotAvailable, "no GPU backend"),
        (lambda m: m.to(bl.int64), TypeError, "floating point"),
        (lambda m: nn.Module()(1), NotImplementedError, "forward"),
        (lambda m: m.load_state_dict([1]), TypeError, "expects a dict"),
    ],
)
def test_mistakes_are_refused(act, error, words):
    with pytest.raises(error) as caught:
        act(Net())
    assert words in str(caught.value)


def test_assignment_before_init_is_refused():
    class Early(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(2, 2)

    with pytest.raises(AttributeError, match="super"):
        Early()


def test_dir_and_version():
    net = Net()
    assert {"first", "scale", "training", "forward"} <= set(dir(net))
    assert "0" not in dir(net.layers)
    before = net._version
    net.rate = 3
    del net.rate
    net.first = nn.Linear(3, 4)
    assert net._version == before + 3
    before = net._version
    net.train()
    assert net._version == before
    net.eval()
    assert net._version == before + 1
    before = net.layers._version
    net.layers.append(nn.Linear(2, 2))
    assert net.layers._version > before


def test_traversal():
    net = Net()
    assert [n for n, _ in net.named_modules()] == ["", "first", "layers", "layers.0", "layers.1"]
    assert [n for n, _ in net.named_children()] == ["first", "layers"]
    shared = nn.Linear(2, 2)
    twice = nn.Sequential(shared, shared)
    assert len(list(twice.modules())) == 2 and len(list(twice.parameters())) == 2
    assert len(list(twice.named_modules(remove_duplicate=False))) == 3
    assert net.get_submodule("layers.1") is net.layers[1]
    assert net.get_parameter("layers.1.bias") is net.layers[1].bias
    assert net.get_buffer("scale") is net.scale
    order = []
    net.apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "Linear", "Linear", "ModuleList", "Net"]


def test_modes():
    net = Net().eval()
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


# ---- values: conversion, gradients, ties


def test_conversion_keeps_objects_integers_and_gradients():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = dict(net.named_parameters())
    net(bl.rand(4, 2)).sum().backward()
    assert net.double() is net
    assert {n: id(p) for n, p in net.named_parameters()} == {n: id(p) for n, p in before.items()}
    assert all(p.dtype == p.grad.dtype == bl.float64 for p in net.parameters())
    assert net[1].running_mean.dtype == bl.float64
    assert net[1].num_batches_tracked.dtype == bl.int64
    assert net(bl.rand(4, 2, dtype=bl.float64)).dtype == bl.float64
    assert net.to("cpu", bl.float32)[0].weight.dtype == bl.float32
    assert net.half()[0].weight.dtype == bl.float16
    assert net.bfloat16()[0].weight.dtype == bl.bfloat16
    assert net.float().cpu()[0].weight.dtype == bl.float32


def test_zero_grad():
    net = Net()
    net(bl.ones(1, 3)).sum().backward()
    kept = net.first.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.first.weight.grad is kept
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_tied_weights_are_one_parameter_under_every_name():
    net = Tied()
    assert [n for n, _ in net.named_parameters()] == ["a.weight"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 3
    assert list(net.state_dict()) == ["a.weight", "b.weight", "c.weight"]
    for twin in (copy.deepcopy(net), net.double()):
        with bl.no_grad():
            twin.a.weight.fill_(2.0)
        assert twin.b.weight[0, 0].item() == twin.c.weight[0, 0].item() == 2.0


def test_deepcopy_is_apart_and_copy_shares_values():
    net = Net()
    net(bl.ones(1, 3))  # the running path is remembered; a copy must find its own
    apart, shared = copy.deepcopy(net), copy.copy(net)
    assert bool((apart.first.weight == net.first.weight).all())
    with bl.no_grad():
        net.first.weight.add_(1.0)
    assert not bool((apart.first.weight == net.first.weight).any())
    assert shared.first.weight is net.first.weight
    shared.first = nn.Identity()
    assert isinstance(net.first, nn.Linear)
    apart(bl.ones(1, 3))


# ---- state dicts


def test_state_dict_follows_and_keeps_order():
    net = Net()
    saved = net.state_dict()
    assert isinstance(saved, OrderedDict)
    assert list(saved) == [
        "scale", "first.weight", "first.bias", "layers.0.weight", "layers.0.bias",
        "layers.1.weight", "layers.1.bias",
    ]  # fmt: skip
    with bl.no_grad():
        net.first.bias.fill_(7.0)
    assert saved["first.bias"].tolist() == [7.0] * 4
    assert not saved["first.bias"].requires_grad
    assert net.state_dict(prefix="net.", keep_vars=True)["net.first.bias"] is net.first.bias


def test_failed_load_reports_everything_and_changes_nothing():
    net, other = Net(), Net().state_dict()
    before = {name: value.tolist() for name, value in net.state_dict().items()}
    other["extra"] = bl.ones(1)
    other["first.more.deep"] = bl.ones(1)
    del other["scale"]
    other["first.weight"] = bl.ones(2, 2)
    other["first.bias"] = [1.0]
    with pytest.raises(CheckpointError) as caught:
        net.load_state_dict(other)
    text = str(caught.value)
    for words in (
        "Error(s) in loading state_dict for Net:",
        'Missing key(s) in state_dict: "scale". ',
        'Unexpected key(s) in state_dict: "extra", "first.more.deep". ',
        "size mismatch for first.weight: the checkpoint has shape (2, 2), the model has (4, 3)",
        "first.bias: expected a tensor, the checkpoint holds list",
    ):
        assert words in text
    assert {name: value.tolist() for name, value in net.state_dict().items()} == before


def test_load_not_strict_and_assign():
    net, other = Net(), Net().state_dict()
    del other["scale"]
    other["extra"] = bl.ones(1)
    keys = net.load_state_dict(other, strict=False)
    assert keys == (["scale"], ["extra"])
    assert "extra" in repr(keys)
    weight = other["first.weight"].double()
    other["first.weight"] = weight
    net.load_state_dict(other, strict=False)
    assert net.first.weight.dtype == bl.float32
    net.load_state_dict(other, strict=False, assign=True)
    assert net.first.weight.dtype == bl.float64 and isinstance(net.first.weight, nn.Parameter)
    assert net.first.weight.cell is weight.cell


def test_extra_state():
    class Counting(nn.Module):
        count = 0

        def get_extra_state(self):
            return self.count

        def set_extra_state(self, state):
            self.count = state

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].count = 5
    b.load_state_dict(a.state_dict())
    assert b[0].count == 5
    with pytest.raises(CheckpointError, match=r"0\._extra_state"):
        b.load_state_dict({})


def test_old_batch_norm_checkpoints_load():
    saved = nn.BatchNorm1d(2).state_dict()
    del saved["num_batches_tracked"]
    norm = nn.BatchNorm1d(2)
    norm(bl.rand(3, 2))
    assert norm.load_state_dict(saved) == ([], [])
    assert norm.num_batches_tracked.item() == 1


# ---- hooks


def test_forward_hooks_in_order_and_replacing():
    layer, seen = nn.Identity(), []

    def pre(name):
        return lambda module, args: seen.append(name)

    layer.register_forward_pre_hook(pre("b"))
    layer.register_forward_pre_hook(pre("a"), prepend=True)
    layer.register_forward_pre_hook(lambda m, args, kwargs: ((args[0] + 1,), {}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, out: out * 3, with_kwargs=True)
    with layer.register_forward_hook(lambda m, args, out: seen.append(out.item())):
        assert layer(bl.tensor(1.0)).item() == 6.0
    layer(bl.tensor(1.0))
    assert seen == ["a", "b", 6.0, "a", "b"]
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pre-hook"):
        layer(bl.tensor(1.0))


def test_always_call_runs_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    layer, seen = Broken(), []
    layer.register_forward_hook(lambda m, a, out: seen.append("plain"))
    layer.register_forward_hook(lambda m, a, out: seen.append(out), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        layer(1)
    assert seen == [None]


def test_backward_hooks_see_and_replace_gradients():
    layer, seen = nn.Linear(2, 1, bias=False), []
    with bl.no_grad():
        layer.weight.fill_(3.0)
    layer.register_full_backward_pre_hook(lambda m, grads: (grads[0] * 2,))
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].tolist(), go[0].item())))
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    x = bl.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert seen == [([[6.0, 6.0]], 2.0)]
    assert x.grad.tolist() == [[60.0, 60.0]]
    assert layer.weight.grad.tolist() == [[2.0, 2.0]]


def test_backward_hook_without_input_gradients():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].item())))
    layer(bl.ones(1, 2)).sum().backward()
    assert seen == [((None,), 1.0)]


def test_backward_hook_with_a_wrong_number_of_gradients():
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    with pytest.raises(RuntimeError, match="2 gradients, expected 1"):
        layer(bl.ones(1, requires_grad=True)).sum().backward()


def test_load_hooks_may_rename_and_forgive():
    layer, order = nn.Linear(1, 1), []
    layer._register_load_state_dict_pre_hook(lambda d, *rest: order.append(sorted(d)))
    layer.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.remove("bias"))
    layer.load_state_dict({"weight": bl.ones(1, 1)})
    assert order == [["weight"]] and layer.weight.item() == 1.0
    layer._register_state_dict_hook(lambda m, d, prefix, meta: {"only": d["weight"]})
    assert list(layer.state_dict()) == ["only"]


# ---- the running path


class Spy(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def forward(self, x):
        self.seen.append(state.module)
        return x


def test_the_path_names_where_forward_is():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = []
            self.body = nn.ModuleList([nn.Sequential(Spy(self.seen)), Spy(self.seen)])

        def forward(self, x):
            for layer in self.body:
                x = layer(x)
            return Spy(self.seen)(x)  # made in forward: known by its class only

    net = Outer()
    net(bl.ones(1))
    assert net.seen == ["outer.body.0.0", "outer.body.1", "outer.spy"]
    assert state.module == ""
    net.seen.clear()
    net.body.insert(0, Spy(net.seen))
    nn.Sequential(OrderedDict(inner=net))(bl.ones(1))
    assert net.seen[:2] == ["sequential.inner.body.0", "sequential.inner.body.1.0"]
    net.seen.clear()
    copy.deepcopy(net)  # leaves the original's names alone
    net._root_name = "model"
    net(bl.ones(1))
    assert net.seen[0] == "model.body.0"


def test_the_path_is_restored_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise ValueError(state.module)

    net = nn.Sequential(nn.Sequential(Broken()))
    with pytest.raises(ValueError, match=r"^sequential\.0\.0$"):
        net(1)
    assert state.module == ""
    seen = []
    nn.Sequential(Spy(seen))(1)
    assert seen == ["sequential.0"]


def test_operators_record_the_path():
    net = Net()
    out = net(bl.ones(1, 3))
    assert out.grad_fn.module == "net"
    assert out.grad_fn.edges[0][0].module == "net.layers.1"


def test_a_class_version_reaches_its_own_loading():
    class Scaled(nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(bl.ones(1))

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *report):
            if local_metadata.get("version", 1) < 2:
                state_dict[prefix + "scale"] = state_dict[prefix + "scale"] * 10
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *report)

    net = nn.Sequential(nn.Linear(1, 1), Scaled())
    state = net.state_dict()
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    net.load_state_dict(state)
    assert net[1].scale.item() == 1
    net.load_state_dict(dict(state))  # as from a file that knows no versions
    assert net[1].scale.item() == 10
