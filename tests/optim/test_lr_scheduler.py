"""Every learning-rate schedule against PyTorch for sixty steps, resumed ones too."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import pytest

import backlit as bl

STEPS = 60


class Decay:
    """A callable object: its attributes are saved with the schedule."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, epoch: int) -> float:
        return 1 / (1 + self.rate * epoch)


def sequential(lib: Any, optimizer: Any) -> Any:
    s = lib.optim.lr_scheduler
    parts = [
        s.LinearLR(optimizer, start_factor=0.1, total_iters=7),
        s.CosineAnnealingLR(optimizer, T_max=20, eta_min=0.01),
        s.StepLR(optimizer, step_size=3, gamma=0.5),
        s.CosineAnnealingWarmRestarts(optimizer, T_0=5),
    ]
    return s.SequentialLR(optimizer, parts, milestones=[7, 27, 45])


def chained(lib: Any, optimizer: Any) -> Any:
    s = lib.optim.lr_scheduler
    parts = [
        s.ConstantLR(optimizer, factor=0.1, total_iters=4),
        s.ExponentialLR(optimizer, gamma=0.9),
        s.CosineAnnealingLR(optimizer, T_max=15),
    ]
    return s.ChainedScheduler(parts)


def named(name: str, **options: Any) -> Any:
    def make(lib: Any, optimizer: Any) -> Any:
        return getattr(lib.optim.lr_scheduler, name)(optimizer, **options)

    return make


def swa(**options: Any) -> Any:
    return lambda lib, optimizer: lib.optim.swa_utils.SWALR(optimizer, **options)


ROWS = {
    "step": named("StepLR", step_size=7, gamma=0.5),
    "multistep": named("MultiStepLR", milestones=[3, 10, 10, 41], gamma=0.3),
    "constant": named("ConstantLR", factor=0.25, total_iters=9),
    "constant-default": named("ConstantLR"),
    "linear": named("LinearLR", start_factor=0.1, end_factor=0.7, total_iters=30),
    "linear-default": named("LinearLR"),
    "exponential": named("ExponentialLR", gamma=0.93),
    "polynomial": named("PolynomialLR", total_iters=40, power=2.5),
    "polynomial-default": named("PolynomialLR"),
    "cosine": named("CosineAnnealingLR", T_max=13, eta_min=0.003),
    "cosine-once": named("CosineAnnealingLR", T_max=60),
    "restarts": named("CosineAnnealingWarmRestarts", T_0=7),
    "restarts-longer": named("CosineAnnealingWarmRestarts", T_0=3, T_mult=2, eta_min=1e-3),
    "onecycle": named("OneCycleLR", max_lr=0.5, total_steps=STEPS + 1),
    "onecycle-linear": named(
        "OneCycleLR",
        max_lr=[0.5, 0.1],
        epochs=10,
        steps_per_epoch=7,
        anneal_strategy="linear",
        three_phase=True,
        pct_start=0.4,
    ),
    "onecycle-still": named("OneCycleLR", max_lr=0.5, total_steps=99, cycle_momentum=False),
    "cyclic": named("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=7),
    "cyclic-halving": named(
        "CyclicLR",
        base_lr=[0.01, 0.02],
        max_lr=0.1,
        step_size_up=5,
        step_size_down=9,
        mode="triangular2",
    ),
    "cyclic-exp": named(
        "CyclicLR",
        base_lr=0.01,
        max_lr=0.1,
        step_size_up=4,
        mode="exp_range",
        gamma=0.97,
        cycle_momentum=False,
    ),
    "cyclic-own": named("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=6, scale_fn=Decay(0.5)),
    "lambda": named("LambdaLR", lr_lambda=[lambda e: 0.95**e, Decay(0.1)]),
    "multiplicative": named("MultiplicativeLR", lr_lambda=lambda e: 1 - 1 / (e + 5)),
    "swa": swa(swa_lr=0.5, anneal_epochs=17),
    "swa-linear": swa(swa_lr=[0.5, 0.01], anneal_epochs=5, anneal_strategy="linear"),
    "swa-at-once": swa(swa_lr=0.5, anneal_epochs=0),
    "sequential": sequential,
    "chained": chained,
}


@pytest.fixture(params=ROWS)
def make(request: Any) -> Any:
    return ROWS[request.param]


def optimizer_of(lib: Any, kind: str = "SGD") -> Any:
    groups = [
        {"params": [lib.nn.Parameter(lib.ones(1))]},
        {"params": [lib.nn.Parameter(lib.ones(1))], "lr": 0.05},
    ]
    if kind == "Adam":
        return lib.optim.Adam(groups, lr=0.2)
    return lib.optim.SGD(groups, lr=0.2, momentum=0.9)


def momentum(group: dict[str, Any]) -> float:
    return group["betas"][0] if "betas" in group else group["momentum"]


def rates(optimizer: Any, schedule: Any, steps: int) -> list[list[float]]:
    """Rates and momenta at the start and after each step."""
    rows = []
    for step in range(steps + 1):
        if step:
            optimizer.step()
            schedule.step()
        groups = optimizer.param_groups
        rows.append([*(g["lr"] for g in groups), *map(momentum, groups)])
        assert list(schedule.get_last_lr()) == rows[-1][:2]
    return rows


def assert_equal(ours: list[list[float]], theirs: list[list[float]]) -> None:
    for t, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-15), f"step {t}"


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_sixty_steps_equal_pytorch(make, kind, torch):
    ours, theirs = optimizer_of(bl, kind), optimizer_of(torch, kind)
    assert_equal(rates(ours, make(bl, ours), STEPS), rates(theirs, make(torch, theirs), STEPS))


@pytest.mark.parametrize("done", [0, 1, 8, 33])
def test_a_schedule_resumed_from_its_state_goes_on(make, done, tmp_path):
    whole = optimizer_of(bl)
    schedule = make(bl, whole)
    rates(whole, schedule, done)
    bl.save(whole.state_dict(), tmp_path / "state")
    saved = json.loads(json.dumps(schedule.state_dict())), bl.load(tmp_path / "state")
    resumed = optimizer_of(bl)
    again = make(bl, resumed)
    resumed.load_state_dict(saved[1])
    again.load_state_dict(saved[0])
    assert rates(whole, schedule, STEPS - done - 1) == rates(resumed, again, STEPS - done - 1)


@pytest.mark.torch
def test_pytorchs_state_continues_here(make, torch):
    theirs, ours = optimizer_of(torch), optimizer_of(bl)
    schedule, again = make(torch, theirs), make(bl, ours)
    rates(theirs, schedule, 9)
    ours.load_state_dict(theirs.state_dict())
    again.load_state_dict(schedule.state_dict())
    assert_equal(rates(ours, again, 40), rates(theirs, schedule, 40))


@pytest.mark.torch
@pytest.mark.parametrize("row", [name for name in ROWS if name[:3] not in ("seq", "cha")])
def test_a_schedule_made_with_last_epoch_resumes_as_pytorchs(row, torch):
    seen = []
    for lib in (bl, torch):
        optimizer = optimizer_of(lib)
        rates(optimizer, ROWS[row](lib, optimizer), 6)
        schedule = _made_again(lib, row, optimizer)
        seen.append(rates(optimizer, schedule, 30))
    assert_equal(*seen)


def _made_again(lib: Any, row: str, optimizer: Any) -> Any:
    """The row's schedule with last_epoch=6, by catching what the row asks for."""

    class Catcher:
        def __getattr__(self, name: str) -> Any:
            real = lib.optim.swa_utils if name == "SWALR" else lib.optim.lr_scheduler
            return lambda opt, **options: getattr(real, name)(opt, last_epoch=6, **options)

    class Lib:
        class optim:
            lr_scheduler = Catcher()
            swa_utils = Catcher()

    return ROWS[row](Lib, optimizer)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("options", [{}, {"patience": 2, "cooldown": 3, "factor": 0.5}])
def test_plateau_equals_pytorch(mode, threshold_mode, options, torch):
    metrics = [math.sin(t / 3) / (1 + t / 9) - 0.3 * (t > 40) for t in range(STEPS)]
    seen = []
    for lib in (bl, torch):
        optimizer = optimizer_of(lib)
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            mode=mode,
            threshold_mode=threshold_mode,
            threshold=0.02,
            min_lr=[1e-3, 0.01],
            **options,
        )
        history = []
        for metric in metrics:
            schedule.step(lib.tensor(metric, dtype=lib.float64))
            history.append([*schedule.get_last_lr(), schedule.num_bad_epochs, schedule.best])
        seen.append(history)
    assert_equal(*seen)


def test_plateau_resumes():
    def start():
        optimizer = optimizer_of(bl)
        return optimizer, bl.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)

    whole, schedule = start()
    for t in range(5):
        schedule.step(float(t))
    resumed, again = start()
    resumed.load_state_dict(whole.state_dict())
    again.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for t in range(20):
        schedule.step(float(t))
        again.step(float(t))
        assert schedule.get_last_lr() == again.get_last_lr()


def test_plateau_serves_groups_added_later():
    optimizer = optimizer_of(bl)
    schedule = bl.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    fixed = bl.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.0, 0.0])
    optimizer.add_param_group({"params": [bl.nn.Parameter(bl.ones(1))]})
    for _ in range(2):
        schedule.step(1.0)
    assert optimizer.param_groups[2]["lr"] == pytest.approx(0.02)
    fixed.step(1.0)
    with pytest.raises(RuntimeError, match="min_lrs"):
        fixed.step(1.0)


@pytest.mark.torch
@pytest.mark.parametrize(
    "name",
    [n for n in dir(bl.optim.lr_scheduler) if n.endswith(("LR", "Plateau", "Restarts"))]
    + ["SequentialLR", "ChainedScheduler", "LRScheduler"],
)
def test_names_order_and_defaults_are_pytorchs(name, torch):
    def signature(lib: Any) -> list[tuple[str, Any, Any]]:
        cls = getattr(lib.optim.lr_scheduler, name)
        return [(p.name, p.default, p.kind) for p in inspect.signature(cls).parameters.values()]

    assert signature(bl) == signature(torch)


@pytest.mark.torch
def test_fractions_of_an_epoch_restart_where_pytorchs_do(torch):
    for options in ({"T_0": 4}, {"T_0": 3, "T_mult": 2, "eta_min": 0.01}):
        seen = []
        for lib in (bl, torch):
            optimizer = optimizer_of(lib)
            schedule = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, **options)
            history = []
            for t in range(80):
                optimizer.step()
                schedule.step(t / 4)
                history.append(list(schedule.get_last_lr()))
            seen.append(history)
        assert_equal(*seen)


@pytest.mark.torch
@pytest.mark.parametrize("row", ["step", "multistep", "linear", "exponential", "cosine", "lambda"])
def test_a_jump_uses_the_closed_form_and_says_it_is_deprecated(row, torch):
    seen = []
    for lib in (bl, torch):
        optimizer = optimizer_of(lib)
        schedule = ROWS[row](lib, optimizer)
        optimizer.step()
        with pytest.warns(UserWarning, match="epoch"):
            schedule.step(11)
        seen.append([list(schedule.get_last_lr())])
    assert_equal(*seen)


def test_a_schedule_drives_the_optimizer():
    p = bl.nn.Parameter(bl.tensor([1.0], dtype=bl.float64))
    optimizer = bl.optim.SGD([p], lr=0.5)
    schedule = bl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(3):
        p.grad = bl.ones(1, dtype=bl.float64)
        optimizer.step()
        schedule.step()
    assert p.item() == 1 - 0.5 - 0.25 - 0.125


def test_a_tensor_rate_is_refilled():
    lr = bl.tensor(1.0, dtype=bl.float64)
    optimizer = bl.optim.SGD([bl.nn.Parameter(bl.ones(1))], lr=lr)
    schedule = bl.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.5
    assert schedule.get_last_lr()[0] is not lr


def test_constant_zero_ends_at_the_whole_rate():
    optimizer = optimizer_of(bl)
    schedule = bl.optim.lr_scheduler.ConstantLR(optimizer, factor=0.0, total_iters=2)
    assert [row[0] for row in rates(optimizer, schedule, 3)] == [0.0, 0.0, 0.2, 0.2]


def test_misuse_warns():
    optimizer = optimizer_of(bl)
    schedule = bl.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    with pytest.warns(UserWarning, match=r"before optimizer\.step"):
        schedule.step()
    with pytest.warns(UserWarning, match="get_last_lr"):
        schedule.get_lr()


s = bl.optim.lr_scheduler

BAD = {
    "no optimizer": (lambda o: s.StepLR(3, 1), TypeError, "Optimizer"),
    "step_size": (lambda o: s.StepLR(o, 0), ValueError, "step_size"),
    "factor": (lambda o: s.ConstantLR(o, factor=1.5), ValueError, "factor"),
    "start": (lambda o: s.LinearLR(o, start_factor=0.0), ValueError, "start_factor"),
    "end": (lambda o: s.LinearLR(o, end_factor=1.5), ValueError, "end_factor"),
    "T_0": (lambda o: s.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0"),
    "T_mult": (lambda o: s.CosineAnnealingWarmRestarts(o, 2, 0.5), ValueError, "T_mult"),
    "T_max": (lambda o: s.CosineAnnealingLR(o, 0), ValueError, "T_max"),
    "lambdas": (lambda o: s.LambdaLR(o, [lambda e: 1.0]), ValueError, "expected 2"),
    "no function": (lambda o: s.MultiplicativeLR(o, 0.5), TypeError, "float"),
    "plateau factor": (lambda o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor"),
    "plateau mode": (lambda o: s.ReduceLROnPlateau(o, mode="best"), ValueError, "best"),
    "threshold": (lambda o: s.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold"),
    "min_lrs": (lambda o: s.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lrs"),
    "cyclic mode": (lambda o: s.CyclicLR(o, 0.1, 1, mode="square"), ValueError, "square"),
    "cyclic rates": (lambda o: s.CyclicLR(o, [0.1] * 3, 1), ValueError, "base_lr"),
    "no total": (lambda o: s.OneCycleLR(o, 1.0), ValueError, "total_steps"),
    "total": (lambda o: s.OneCycleLR(o, 1.0, total_steps=0), ValueError, "total_steps"),
    "epochs": (lambda o: s.OneCycleLR(o, 1.0, None, -1, 3), ValueError, "epochs"),
    "pct": (lambda o: s.OneCycleLR(o, 1.0, 9, pct_start=1.5), ValueError, "pct_start"),
    "strategy": (lambda o: s.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, "anneal"),
    "swa": (lambda o: bl.optim.swa_utils.SWALR(o, 1.0, -1), ValueError, "anneal_epochs"),
    "sequence": (lambda o: s.SequentialLR(o, [], []), ValueError, "at least one"),
    "milestones": (lambda o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]), ValueError, "milestones"),
    "other": (
        lambda o: s.SequentialLR(o, [s.StepLR(optimizer_of(bl), 1)], []),
        ValueError,
        "another optimizer",
    ),
    "metric": (
        lambda o: s.ChainedScheduler([s.StepLR(o, 1), s.ReduceLROnPlateau(o)]),
        ValueError,
        "ReduceLROnPlateau",
    ),
    "no schedule": (lambda o: s.ChainedScheduler([3]), TypeError, "int"),
    "initial_lr": (lambda o: s.StepLR(o, 1, last_epoch=3), KeyError, "initial_lr"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_refused(case):
    make, error, words = BAD[case]
    with pytest.raises(error, match=words):
        make(optimizer_of(bl))


def test_a_cycle_needs_a_momentum():
    optimizer = bl.optim.Adagrad([bl.nn.Parameter(bl.ones(1))])
    for make in (lambda: s.OneCycleLR(optimizer, 1.0, 9), lambda: s.CyclicLR(optimizer, 0.1, 1.0)):
        with pytest.raises(ValueError, match="cycle_momentum=False"):
            make()


def test_one_cycle_ends():
    optimizer = optimizer_of(bl)
    schedule = s.OneCycleLR(optimizer, max_lr=1.0, total_steps=5)
    rates(optimizer, schedule, 5)
    with pytest.raises(ValueError, match="step 6 of a schedule of 5"):
        schedule.step()


def test_sequences_nest():
    """A sequence in a sequence is the flat sequence, wherever it stands; chains begin anew."""

    def parts(o):
        return [
            s.ConstantLR(o, factor=0.5, total_iters=9),
            s.ExponentialLR(o, gamma=0.8),
            s.CosineAnnealingWarmRestarts(o, T_0=3),
        ]

    flat = optimizer_of(bl)
    expected = rates(flat, s.SequentialLR(flat, parts(flat), [4, 9]), 20)
    for split in (1, 2):
        optimizer = optimizer_of(bl)
        a, b, c = parts(optimizer)
        if split == 2:
            outer, at = [s.SequentialLR(optimizer, [a, b], [4]), c], 9
        else:
            outer, at = [a, s.SequentialLR(optimizer, [b, c], [5])], 4
        assert rates(optimizer, s.SequentialLR(optimizer, outer, [at]), 20) == expected

    optimizer = optimizer_of(bl)
    chain = s.ChainedScheduler([s.ExponentialLR(optimizer, 0.5), s.ConstantLR(optimizer, 0.1, 2)])
    whole = s.SequentialLR(optimizer, [s.ExponentialLR(optimizer, 1.0), chain], [2])
    seen = [row[0] / 0.2 for row in rates(optimizer, whole, 5)]
    assert seen == pytest.approx([1.0, 1.0, 0.1, 0.05, 0.25, 0.125])


def test_callable_objects_are_saved_by_their_attributes():
    first, second = optimizer_of(bl), optimizer_of(bl)
    one, two = s.LambdaLR(first, Decay(0.5)), s.LambdaLR(second, Decay(0.1))
    two.load_state_dict(one.state_dict())
    assert two.lr_lambdas[0].rate == 0.5
