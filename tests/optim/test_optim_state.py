"""Groups, state and hooks: what every optimizer shares."""

from __future__ import annotations

import copy
import json
import warnings

import numpy as np
import pytest

import backlit as bl

MAKERS = {
    "SGD": lambda p: bl.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    "Adam": lambda p: bl.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: bl.optim.AdamW(p, lr=0.1),
    "Adamax": lambda p: bl.optim.Adamax(p, lr=0.1),
    "NAdam": lambda p: bl.optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: bl.optim.RAdam(p, lr=0.1),
    "Adagrad": lambda p: bl.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "Adadelta": lambda p: bl.optim.Adadelta(p),
    "RMSprop": lambda p: bl.optim.RMSprop(p, momentum=0.9, centered=True),
    "ASGD": lambda p: bl.optim.ASGD(p, lr=0.1, t0=3),
    "Rprop": lambda p: bl.optim.Rprop(p, lr=0.1),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def parameter(*values: float) -> bl.nn.Parameter:
    return bl.nn.Parameter(bl.tensor(values, dtype=bl.float64))


def stepped(optimizer: bl.optim.Optimizer, grad: float = 1.0) -> bl.optim.Optimizer:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = bl.full_like(p, grad)
    optimizer.step()
    return optimizer


# state


def test_state_exists_before_the_first_step_and_keeps_its_keys(make, run):
    first = run(bl, "float32", make)
    before = {i: set(s) for i, s in first.optimizer.state_dict()["state"].items()}
    first.step(2)
    after = {i: set(s) for i, s in first.optimizer.state_dict()["state"].items()}
    assert before == after and all(before.values())


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_run_resumed_from_its_state_is_the_same_run(make, run, steps):
    whole = run(bl, "float32", make).step(steps)
    saved = copy.deepcopy(whole.optimizer.state_dict())
    resumed = run(bl, "float32", make)
    for p, value in zip(resumed.params, whole.values()):
        p.data = resumed.tensor(value)
    resumed.optimizer.load_state_dict(saved)
    resumed.count = whole.count
    for a, b in zip(whole.step(5).values(), resumed.step(5).values()):
        assert np.array_equal(a, b)


def test_groups_of_a_state_are_json_and_numbers_come_back_from_text_keys(make, run):
    whole = run(bl, "float64", make).step(3)
    saved = whole.optimizer.state_dict()
    saved["param_groups"] = json.loads(json.dumps(saved["param_groups"]))
    saved["state"] = {str(i): state for i, state in saved["state"].items()}
    resumed = run(bl, "float64", make)
    resumed.optimizer.load_state_dict(saved)
    resumed.count = whole.count
    for p, value in zip(resumed.params, whole.values()):
        p.data = resumed.tensor(value)
    for a, b in zip(whole.step(2).values(), resumed.step(2).values()):
        assert np.array_equal(a, b)


def test_states_pass_through_a_file(make, run, tmp_path):
    whole = run(bl, "float32", make).step(3)
    schedule = bl.optim.lr_scheduler.MultiStepLR(whole.optimizer, milestones=[2, 4])
    file = tmp_path / "state"
    bl.save([whole.optimizer.state_dict(), schedule.state_dict()], file)
    resumed = run(bl, "float32", make)
    again = bl.optim.lr_scheduler.MultiStepLR(resumed.optimizer, milestones=[9])
    saved = bl.load(file)
    resumed.optimizer.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    for p, value in zip(resumed.params, whole.values()):
        p.data = resumed.tensor(value)
    resumed.count = whole.count
    for _ in range(5):
        for a, b in zip(whole.step().values(), resumed.step().values()):
            assert np.array_equal(a, b)
        schedule.step()
        again.step()


def test_loaded_state_is_a_copy_in_the_parameters_dtype(run):
    source = run(bl, "float64", MAKERS["Adam"]).step()
    target = run(bl, "float32", MAKERS["Adam"])
    saved = source.optimizer.state_dict()
    target.optimizer.load_state_dict(saved)
    moment = target.optimizer.state[target.params[0]]["exp_avg"]
    assert moment.dtype == bl.float32
    before = saved["state"][0]["exp_avg"].numpy().copy()
    target.step(3)
    assert np.array_equal(saved["state"][0]["exp_avg"].numpy(), before)


def test_step_numbers_stay_exact_where_float32_would_not():
    p = parameter(1.0)
    optimizer = bl.optim.Adam([p])
    optimizer.state[p]["step"].fill_(2**24)
    assert stepped(optimizer).state[p]["step"].item() == 2**24 + 1


def test_a_parameter_without_gradient_stays_behind(make, run, torch, close):
    ours = run(bl, "float64", make)
    name = type(ours.optimizer).__name__
    options = {k: v for k, v in ours.optimizer.param_groups[0].items() if k != "params"}
    options = {k: v for k, v in options.items() if name != "AdamW" or k[:9] != "decoupled"}
    theirs = run(torch, "float64", lambda p: getattr(torch.optim, name)(p, **options))
    for skip in ((), (0,), (1,), (1,), (), (0, 1), ()):
        ours.step(1, skip)
        theirs.step(1, skip)
        close(ours.values(), theirs.values(), 1e-12)


def test_parameters_updated_together_share_their_step_until_one_is_skipped():
    a, b = parameter(1.0), parameter(2.0)
    optimizer = stepped(bl.optim.Adam([a, b]))
    assert optimizer.state[a]["step"] is optimizer.state[b]["step"]
    a.grad = None
    optimizer.step()
    assert optimizer.state[a]["step"].item() == 1
    assert optimizer.state[b]["step"].item() == 2


def test_options_turned_on_later_get_their_state(run):
    late = run(bl, "float64", lambda p: bl.optim.SGD(p, lr=0.1)).step()
    late.optimizer.param_groups[0]["momentum"] = 0.9
    late.step(2)
    assert "momentum_buffer" in late.optimizer.state[late.params[0]]


def test_cleared_state_begins_anew(make, run):
    again = run(bl, "float64", make).step(4)
    again.optimizer.state.clear()
    again.count = 0
    fresh = run(bl, "float64", make)
    for p, value in zip(fresh.params, again.values()):
        p.data = fresh.tensor(value)
    for a, b in zip(again.step(3).values(), fresh.step(3).values()):
        assert np.array_equal(a, b)


def test_a_lazy_parameter_gets_its_state_at_its_first_step():
    p = bl.nn.UninitializedParameter()
    optimizer = bl.optim.Adam([p], lr=0.5)
    assert optimizer.state_dict()["state"] == {}
    p.materialize((2,))
    p.data = bl.ones(2)
    stepped(optimizer)
    np.testing.assert_allclose(p.detach().numpy(), [0.5, 0.5], rtol=1e-6)


def test_a_copied_optimizer_steps_the_copied_parameters():
    p = parameter(1.0)
    model = {"p": p, "optimizer": stepped(bl.optim.Adam([p], lr=0.5))}
    twin = copy.deepcopy(model)
    stepped(twin["optimizer"])
    assert twin["p"].item() < p.item()
    assert twin["optimizer"].state[twin["p"]]["step"].item() == 2
    assert model["optimizer"].state[p]["step"].item() == 1


# loading what does not fit


def test_loading_what_does_not_fit_is_refused_and_changes_nothing():
    one, two = bl.optim.Adam([parameter(1.0)]), bl.optim.Adam([parameter(1.0), parameter(1.0)])
    wide = stepped(bl.optim.Adam([parameter(1.0, 2.0)], lr=0.5))
    groups = bl.optim.Adam([{"params": [parameter(1.0)]}, {"params": [parameter(1.0)]}])
    for other, words in ((two, "2 parameters"), (groups, "2 parameter groups"), (wide, "exp_avg")):
        with pytest.raises(ValueError, match=words):
            one.load_state_dict(other.state_dict())
        assert one.param_groups[0]["lr"] == 1e-3
        assert one.state[one.param_groups[0]["params"][0]]["step"].item() == 0


def test_adamw_stays_adamw_when_it_loads_adams_state():
    optimizer = bl.optim.AdamW([parameter(1.0)])
    optimizer.load_state_dict(bl.optim.Adam([parameter(1.0)]).state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


# groups


def test_groups_have_options_of_their_own(run, torch, close):
    def make(lib):
        return lambda p: lib.optim.SGD(
            [{"params": [p[0]], "lr": 0.5}, {"params": p[1]}], lr=0.1, momentum=0.5
        )

    ours, theirs = run(bl, "float64", make(bl)), run(torch, "float64", make(torch))
    close(ours.step(5).values(), theirs.step(5).values(), 1e-12)


def test_a_new_learning_rate_counts_at_the_next_step():
    p = parameter(1.0)
    optimizer = stepped(bl.optim.SGD([p], lr=0.25))
    group = optimizer.param_groups[0]
    group["lr"] = 0.5
    stepped(optimizer)
    group.update(lr=0.125)
    stepped(optimizer)
    group |= {"lr": 0.0625}
    stepped(optimizer)
    assert p.item() == 1 - 0.25 - 0.5 - 0.125 - 0.0625


def test_a_tensor_learning_rate_is_read_at_every_step():
    p, lr = parameter(1.0), bl.tensor(0.25, dtype=bl.float64)
    optimizer = stepped(bl.optim.SGD([p], lr=lr))
    lr.fill_(0.5)
    stepped(optimizer)
    optimizer.param_groups[0]["lr"] = 0.125
    assert stepped(optimizer) and p.item() == 1 - 0.25 - 0.5 - 0.125
    with pytest.raises(ValueError, match="one element"):
        bl.optim.SGD([p], lr=bl.ones(2))


def test_a_copied_group_has_cells_of_its_own():
    group = bl.optim.SGD([parameter(1.0)], lr=0.25).param_groups[0]
    for twin in (copy.copy(group), copy.deepcopy(group)):
        cell, other = group.cells("lr")[0], twin.cells("lr")[0]
        twin["lr"] = 0.5
        assert (cell.item(), other.item()) == (0.25, 0.5)
    del group["lr"]
    assert "lr" not in group


def test_numpy_numbers_do_not_widen_float32():
    p = bl.nn.Parameter(bl.ones(2))
    optimizer = bl.optim.Adam(
        [p], lr=np.float64(0.1), eps=np.float64(1e-8), betas=(np.float64(0.9), 0.999)
    )
    optimizer.param_groups[0]["weight_decay"] = np.float64(0.1)
    schedule = bl.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: np.cos(epoch / 10))
    for _ in range(2):
        p.grad = bl.ones(2)
        optimizer.step()
        schedule.step()
    assert p.dtype == bl.float32 and optimizer.state[p]["exp_avg"].dtype == bl.float32
    json.dumps(optimizer.state_dict()["param_groups"])


def test_a_plain_dict_put_in_place_of_a_group_works():
    p = parameter(1.0)
    optimizer = bl.optim.SGD([p], lr=0.25)
    optimizer.param_groups[0] = {**optimizer.param_groups[0], "lr": 0.5}
    assert stepped(optimizer) and p.item() == 0.5


def test_added_groups_take_the_defaults():
    a, b = parameter(1.0), parameter(1.0)
    optimizer = bl.optim.SGD([a], lr=0.25)
    optimizer.add_param_group({"params": b})
    stepped(optimizer)
    assert (a.item(), b.item()) == (0.75, 0.75)


def test_named_parameters_keep_their_names():
    model = bl.nn.Linear(2, 1)
    optimizer = bl.optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="names"):
        optimizer.add_param_group({"params": [parameter(1.0)]})


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        (list, ValueError, "empty parameter list"),
        (lambda: parameter(1.0), TypeError, "iterable"),
        (lambda: [{"params": {parameter(1.0)}}], TypeError, "order"),
        (lambda: [3.0], TypeError, "float"),
        (lambda: [parameter(1.0) * 2], ValueError, "non-leaf"),
        (lambda: [("a", parameter(1.0)), parameter(2.0)], ValueError, "name"),
        (lambda: [{"params": [parameter(1.0)], "lr": -1.0}], ValueError, "lr"),
    ],
)
def test_bad_parameters_are_refused(params, error, words):
    with pytest.raises(error, match=words):
        bl.optim.SGD(params())


def test_a_parameter_in_two_groups_is_refused_and_the_group_not_added():
    a, b = parameter(1.0), parameter(1.0)
    optimizer = bl.optim.SGD([a], lr=0.1)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [b, a]})
    with pytest.raises(TypeError, match="dict"):
        optimizer.add_param_group([b])
    with pytest.raises(ValueError, match="lr"):
        optimizer.add_param_group({"params": [b], "lr": -1.0})
    assert len(optimizer.param_groups) == 1


def test_a_parameter_twice_in_a_group_warns_and_is_updated_once():
    p = parameter(1.0)
    with pytest.warns(UserWarning, match="duplicate"):
        optimizer = bl.optim.SGD([p, p], lr=0.25)
    assert stepped(optimizer) and p.item() == 0.75


def test_two_parameters_of_one_storage_are_refused():
    p = parameter(1.0)
    twin = bl.nn.Parameter(p.detach())
    if twin.cell is p.cell:
        with pytest.raises(ValueError, match="share their storage"):
            bl.optim.SGD([p, twin], lr=0.1)


# step, closures, gradients, hooks


def test_a_closure_runs_with_gradients_and_its_loss_comes_back():
    p = parameter(3.0)
    optimizer = bl.optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    with bl.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert p.item() == 0.0 and p.requires_grad and p.is_leaf
    assert optimizer.step() is None


def test_zero_grad_drops_or_clears():
    p = parameter(1.0)
    optimizer = bl.optim.SGD([p], lr=0.1)
    p.grad = held = bl.ones(1, dtype=bl.float64)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == held.tolist() == [0.0]
    (p * p * p).sum().backward(create_graph=True)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0] and p.grad.grad_fn is None
    optimizer.zero_grad()
    assert p.grad is None


def test_the_gradient_is_not_changed_by_a_step(make, run):
    one = run(bl, "float64", make).step()
    grads = [p.grad.numpy().copy() for p in one.params]
    one.optimizer.step()
    for p, grad in zip(one.params, grads):
        assert np.array_equal(p.grad.numpy(), grad)


def test_hooks_run_around_the_outermost_step():
    calls = []

    class Twice(bl.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            super().step(closure)

    p = parameter(1.0)
    optimizer = Twice([p], lr=0.25)
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(("pre", o))),
        optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(("post", o))),
    ]
    stepped(optimizer)
    assert calls == [("pre", optimizer), ("post", optimizer)] and p.item() == 0.5
    for handle in handles:
        handle.remove()
    stepped(optimizer)
    assert len(calls) == 2


def test_a_pre_hook_may_replace_the_arguments():
    p = parameter(1.0)
    optimizer = bl.optim.SGD([p], lr=0.25)
    p.grad = bl.ones(1, dtype=bl.float64)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: "lost"), {}))
    assert optimizer.step() == "lost"
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="pre-hook"):
        optimizer.step()


def test_state_dict_hooks():
    optimizer, calls = bl.optim.SGD([parameter(1.0)], lr=0.1), []
    optimizer.register_state_dict_pre_hook(lambda o: calls.append("pre"))
    optimizer.register_state_dict_post_hook(lambda o, saved: {**saved, "extra": 1})
    optimizer.register_load_state_dict_pre_hook(
        lambda o, saved: {**saved, "param_groups": [{"lr": saved["extra"], "params": [0]}]}
    )
    optimizer.register_load_state_dict_post_hook(lambda o: calls.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert calls == ["pre", "loaded"] and optimizer.param_groups[0]["lr"] == 1


def test_a_users_optimizer_needs_only_a_step():
    class SignDescent(bl.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            with bl.no_grad():
                for group in self.param_groups:
                    for p in group["params"]:
                        self.state[p].setdefault("seen", 0)
                        self.state[p]["seen"] += 1
                        p.sub_(group["lr"] * p.grad.sign())

    p = parameter(1.0)
    optimizer = stepped(SignDescent([p], lr=0.25))
    assert p.item() == 0.75 and optimizer.state_dict()["state"] == {0: {"seen": 1}}
    other = SignDescent([parameter(1.0)], lr=0.1)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.25
    with pytest.raises(NotImplementedError):
        bl.optim.Optimizer([p], {}).step()


def test_a_users_optimizer_may_complete_old_states():
    class Signed(bl.optim.SGD):
        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("signed", True)

    optimizer = Signed([parameter(1.0)], lr=0.1)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0]["signed"] is True
    assert copy.deepcopy(optimizer).param_groups[0]["lr"] == 0.1


def test_a_required_option_must_be_given():
    with pytest.raises(ValueError, match="gives no lr"):
        bl.optim.Optimizer([parameter(1.0)], {"lr": bl.optim.optimizer.required})


def test_empty_and_half_precision_parameters(make):
    empty = bl.nn.Parameter(bl.zeros(0, 3))
    stepped(make([empty]))
    assert tuple(empty.shape) == (0, 3)
    for dtype in (bl.float16, bl.bfloat16):
        p = bl.nn.Parameter(bl.ones(2, dtype=dtype))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stepped(make([p]))
        assert p.dtype == dtype and all(0 < value < 2 for value in p.tolist())


def test_a_missing_optimizer_is_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"backlit\.optim\.SparseAdam"):
        _ = bl.optim.SparseAdam
    assert not hasattr(bl.optim, "_private")
