"""Every optimizer and option against PyTorch: the same gradients, twenty steps."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.backends import reference
from backlit.program import capture

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.01, "momentum": 0.5, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.5, "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.7, 0.8)}),
    ("Adamax", {"lr": 0.1, "maximize": True, "eps": 1e-2}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.1, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.1, "betas": (0.9, 0.5)}),
    ("RAdam", {"lr": 0.1, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.1, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adadelta", {"maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.05, "alpha": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.05, "centered": True, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.05, "centered": True, "momentum": 0.9, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.05, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 5}),
    ("ASGD", {"lr": 0.01, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.5, "etas": (0.3, 1.5), "step_sizes": (1e-2, 0.6)}),
    ("Rprop", {"lr": 0.1, "maximize": True}),
]
IDS = ["-".join([name, *options]) for name, options in ROWS]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
def test_twenty_steps_equal_pytorch(name, options, dtype, tolerance, run, torch, close):
    ours = run(bl, dtype, lambda p: getattr(bl.optim, name)(p, **options))
    theirs = run(torch, dtype, lambda p: getattr(torch.optim, name)(p, **options))
    for _ in range(20):
        close(ours.step().values(), theirs.step().values(), tolerance)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_state_has_pytorchs_layout(name, options, run, torch, close):
    """The same keys, shapes and numbers after three steps; SGD's step number is our own."""
    ours = run(bl, "float64", lambda p: getattr(bl.optim, name)(p, **options)).step(3)
    theirs = run(torch, "float64", lambda p: getattr(torch.optim, name)(p, **options)).step(3)
    saved, expected = ours.optimizer.state_dict(), theirs.optimizer.state_dict()
    assert saved["param_groups"] == expected["param_groups"]
    assert saved["state"].keys() == expected["state"].keys()
    for i, state in expected["state"].items():
        own = dict(saved["state"][i])
        if name == "SGD":
            own.pop("step", None)
        assert own.keys() == state.keys()
        close([own[k].numpy() for k in state], [v.numpy() for v in state.values()], 1e-12)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_pytorchs_state_continues_here(name, options, run, torch, close):
    theirs = run(torch, "float64", lambda p: getattr(torch.optim, name)(p, **options)).step(5)
    ours = run(bl, "float64", lambda p: getattr(bl.optim, name)(p, **options))
    for p, value in zip(ours.params, theirs.values()):
        p.data = ours.tensor(value)
    ours.optimizer.load_state_dict(theirs.optimizer.state_dict())
    ours.count = theirs.count
    close(ours.step(5).values(), theirs.step(5).values(), 1e-12)


@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_a_captured_step_is_right_at_every_later_step(name, options, run, close):
    """One step as a Program, run again on the cells: no step number, no rate is baked in."""
    eager = run(bl, "float64", lambda p: getattr(bl.optim, name)(p, **options))
    other = run(bl, "float64", lambda p: getattr(bl.optim, name)(p, **options))
    state, group = other.optimizer.state, other.optimizer.param_groups[0]
    tensors = [t for p in other.params for t in (p, *state[p].values())]
    other.set_gradients()
    inputs = {id(t.cell.array): (lambda t=t: t.cell.array) for t in tensors}
    for p in other.params:
        inputs[id(p.grad.cell.array)] = lambda p=p: p.grad.cell.array
    captured = capture(lambda: other.optimizer.step() or tensors)
    for name in ("lr", "momentum", "betas"):
        for cell in group.cells(name) if name in group else ():
            inputs[id(cell.cell.array)] = lambda cell=cell: cell.cell.array
    read = [inputs[id(array)] for array in captured.arrays]
    close(other.values(), eager.step().values(), 1e-13)
    for step in range(8):
        if step == 4:
            group["lr"] = eager.optimizer.param_groups[0]["lr"] = 0.03
        other.set_gradients()
        outputs = reference.run(captured.program, [source() for source in read])
        for tensor, array in zip(tensors, outputs):
            tensor.cell.put(array)
        close(other.values(), eager.step().values(), 1e-13)


@pytest.mark.parametrize(("name", "options"), ROWS[::3], ids=IDS[::3])
@pytest.mark.parametrize("kept", [False, True])
def test_large_arrays_in_blocks_have_the_same_bits(name, options, kept, run, monkeypatch):
    """And an array that somebody else holds is not written to."""
    whole = run(bl, "float32", lambda p: getattr(bl.optim, name)(p, **options)).step(3)
    monkeypatch.setattr("backlit.optim.apply.BLOCK", 2)
    monkeypatch.setattr("backlit.optim.apply.LARGE", 2)
    blocks = run(bl, "float32", lambda p: getattr(bl.optim, name)(p, **options))
    for step in range(3):
        arrays = [id(p.cell.array) for p in blocks.params]
        held = [p.detach().numpy() for p in blocks.params] if kept else []
        before = [array.copy() for array in held]
        blocks.step()
        for array, copied in zip(held, before):
            assert np.array_equal(array, copied)
        if step:
            assert kept != (arrays == [id(p.cell.array) for p in blocks.params])
    for a, b in zip(blocks.values(), whole.values()):
        assert np.array_equal(a, b)


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS} | {"LBFGS"}))
def test_names_order_and_defaults_are_pytorchs(name, torch):
    import inspect

    def signature(lib: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(lib.optim, name)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert signature(bl) == signature(torch)
    made = [getattr(lib.optim, name)([lib.nn.Parameter(lib.ones(2))]) for lib in (bl, torch)]
    assert made[0].defaults == made[1].defaults
    assert repr(made[0]) == repr(made[1])


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"weight_decay": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("SGD", {"lr": float("nan")}),
        ("Adam", {"lr": -1.0}),
        ("Adam", {"eps": -1e-8}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, -0.1)}),
        ("AdamW", {"weight_decay": -0.1}),
        ("Adamax", {"betas": (0.9, 1.0)}),
        ("NAdam", {"momentum_decay": -1.0}),
        ("RAdam", {"eps": -1.0}),
        ("Adagrad", {"lr_decay": -1.0}),
        ("Adagrad", {"initial_accumulator_value": -1.0}),
        ("Adadelta", {"rho": 1.1}),
        ("RMSprop", {"alpha": -0.1}),
        ("RMSprop", {"momentum": -0.1}),
        ("ASGD", {"weight_decay": -0.1}),
        ("Rprop", {"etas": (1.0, 1.2)}),
        ("Rprop", {"lr": -0.1}),
        ("LBFGS", {"lr": -0.1}),
    ],
)
def test_bad_options_are_refused_as_pytorch_does(name, options, torch):
    if options.get("lr") == options.get("lr"):  # PyTorch's SGD lets NaN pass
        with pytest.raises(ValueError):
            getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2))], **options)
    bad = next(iter(options))
    with pytest.raises(ValueError, match=f"{name}.*{'Nesterov' if bad == 'nesterov' else bad}"):
        getattr(bl.optim, name)([bl.nn.Parameter(bl.ones(2))], **options)


@pytest.mark.parametrize("name", sorted({name for name, _ in ROWS}))
def test_differentiable_is_refused_and_the_other_switches_change_nothing(name, run):
    optimizer = getattr(bl.optim, name)
    with pytest.raises(NotImplementedError, match="differentiable"):
        optimizer([bl.nn.Parameter(bl.ones(2))], differentiable=True)
    plain = run(bl, "float64", optimizer).step(3).values()
    for switch in ("foreach", "fused", "capturable"):
        try:
            switched = run(bl, "float64", lambda p, s=switch: optimizer(p, **{s: True}))
        except TypeError:  # PyTorch's class has no such switch either
            continue
        assert [v.tolist() for v in switched.step(3).values()] == [v.tolist() for v in plain]


EVENTS = st.lists(
    st.one_of(
        st.sampled_from([(), (0,), (1,), (0, 1)]).map(lambda skip: ("step", skip)),
        st.sampled_from([0.01, 0.1, 0.3]).map(lambda lr: ("lr", lr)),
        st.just(("resume", None)),
    ),
    min_size=1,
    max_size=12,
)
SOME = [("SGD", {"momentum": 0.9, "dampening": 0.2}), ("Adam", {}), ("NAdam", {}), ("ASGD", {})]


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), SOME)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=EVENTS)
def test_any_course_of_events_equals_pytorch(name, options, run, torch, close, events):
    """Missing gradients, new rates and resumptions in any order."""

    def runs(lib):
        return run(lib, "float64", lambda p: getattr(lib.optim, name)(p, lr=0.05, **options))

    pair = [runs(bl), runs(torch)]
    for kind, value in events:
        for i, lib in enumerate((bl, torch)):
            this = pair[i]
            if kind == "step":
                this.step(1, value)
            elif kind == "lr":
                this.optimizer.param_groups[0]["lr"] = value
            else:
                pair[i] = runs(lib)
                pair[i].optimizer.load_state_dict(copy.deepcopy(this.optimizer.state_dict()))
                pair[i].count = this.count
                for p, array in zip(pair[i].params, this.values()):
                    p.data = this.tensor(array)
        close(pair[0].values(), pair[1].values(), 1e-12)
