"""Averages of weights against PyTorch's, and EMA against its formula."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl

VALUES = np.random.default_rng(11).standard_normal((8, 2, 3))
STATS = np.random.default_rng(12).standard_normal((6, 5, 3))


def net(lib):
    model = lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.BatchNorm1d(2)).double()
    for p in model.parameters():
        p.data = lib.from_numpy(np.zeros(tuple(p.shape)))
    return model


def set_values(lib, model, t):
    for i, p in enumerate(model.parameters()):
        p.data = lib.from_numpy(np.resize(VALUES[t] + i, tuple(p.shape)).copy())
    model[1].running_mean.fill_(float(t))


def functions(lib, kind):
    u = lib.optim.swa_utils
    return {
        "default": {},
        "ema": {"avg_fn": u.get_ema_avg_fn(0.9)},
        "swa": {"avg_fn": u.get_swa_avg_fn()},
        "multi-ema": {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
        "multi-swa": {"multi_avg_fn": u.get_swa_multi_avg_fn()},
        "buffers": {"avg_fn": u.get_ema_avg_fn(0.5), "use_buffers": True},
        "own": {"avg_fn": lambda average, value, count: 0.3 * average + 0.7 * value},
    }[kind]


@pytest.mark.torch
@pytest.mark.parametrize(
    "kind", ["default", "ema", "swa", "multi-ema", "multi-swa", "buffers", "own"]
)
def test_averaged_model_equals_pytorch(kind, torch):
    seen = []
    for lib in (bl, torch):
        model = net(lib)
        average = lib.optim.swa_utils.AveragedModel(model, **functions(lib, kind))
        history = []
        for t in range(len(VALUES)):
            set_values(lib, model, t)
            average.update_parameters(model)
            state = {k: v.detach().numpy().copy() for k, v in average.state_dict().items()}
            history.append(state)
        seen.append(history)
    for ours, theirs in zip(*seen, strict=True):
        assert list(ours) == list(theirs)
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-12, atol=1e-12, err_msg=key)


def test_averaged_model_computes_with_the_average_and_leaves_the_model_alone():
    model = bl.nn.Linear(3, 2)
    average = bl.optim.swa_utils.AveragedModel(model)
    average.update_parameters(model)
    x = bl.ones(1, 3)
    assert average(x).tolist() == model(x).tolist()
    with bl.no_grad():
        model.weight.zero_()
    assert average(x).tolist() != model(x).tolist()


@pytest.mark.torch
def test_update_bn_equals_pytorch(torch):
    seen = []
    for lib in (bl, torch):
        model = net(lib)
        set_values(lib, model, 0)
        model[1].momentum = 0.3
        model.eval()
        batches = [(lib.from_numpy(x.copy()), None) for x in STATS]
        lib.optim.swa_utils.update_bn(batches, model)
        assert model[1].momentum == 0.3 and not model.training and not model[1].training
        seen.append([model[1].running_mean.numpy(), model[1].running_var.numpy()])
    for ours, theirs in zip(*seen):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_update_bn_restores_the_model_when_a_batch_fails():
    model = net(bl).eval()
    with pytest.raises(RuntimeError):
        bl.optim.swa_utils.update_bn([bl.ones(4, 7, dtype=bl.float64)], model)
    assert model[1].momentum == 0.1 and not model.training


def test_ema_lends_its_averages_and_takes_them_back_also_after_an_error():
    p = bl.nn.Parameter(bl.tensor([1.0, 2.0]))
    ema = bl.optim.EMA([p], decay=0.5)
    p.data = bl.tensor([3.0, 4.0])
    ema.update()
    with pytest.raises(KeyError), ema.swapped():
        assert p.tolist() == [2.0, 3.0]
        raise KeyError
    assert p.tolist() == [3.0, 4.0] and p.requires_grad
    ema.copy_to()
    assert p.tolist() == [2.0, 3.0]


def test_ema_resumes():
    p = bl.nn.Parameter(bl.zeros(2))
    ema = bl.optim.EMA([p], decay=0.9)
    p.data = bl.ones(2)
    ema.update()
    again = bl.optim.EMA([bl.nn.Parameter(bl.zeros(2))], decay=0.1)
    again.load_state_dict(ema.state_dict())
    assert again.decay == 0.9 and again.averages[0].tolist() == ema.averages[0].tolist()
    assert again.averages[0] is not ema.averages[0]
    with pytest.raises(ValueError, match="shapes"):
        bl.optim.EMA([bl.nn.Parameter(bl.zeros(3))]).load_state_dict(ema.state_dict())


def test_bad_options_are_refused():
    for make in (bl.optim.swa_utils.get_ema_avg_fn, bl.optim.swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match="decay"):
            make(1.5)
    with pytest.raises(ValueError, match="decay"):
        bl.optim.EMA([bl.nn.Parameter(bl.zeros(3))], decay=-0.1)
    with pytest.raises(ValueError, match="no parameters"):
        bl.optim.EMA([])
    with pytest.raises(ValueError, match="not both"):
        u = bl.optim.swa_utils
        u.AveragedModel(
            bl.nn.Linear(1, 1), avg_fn=u.get_ema_avg_fn(), multi_avg_fn=u.get_ema_multi_avg_fn()
        )
