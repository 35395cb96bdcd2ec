"""Silent traps: each step compiled like eager, or refused with its reason.

Every case makes two equal worlds from one seed; the step runs as it is written in one and compiled
in the other, and results, tensors and gradients are compared after every step.
"""

from __future__ import annotations

import copy
import random
import types
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import CaptureError, GradError
from backlit.nn import functional as F

STEPS = 6


class World:
    """A model, an optimizer and data, equal for equal seeds, in float64."""

    def __init__(self, make: Any = None, rule: Any = bl.optim.SGD, lr: float = 0.1, **options: Any):
        bl.manual_seed(3)
        rng = np.random.default_rng(5)
        self.model = (make or network)().double()
        self.optimizer = rule(self.model.parameters(), lr=lr, **options)
        self.batches = [
            (bl.from_numpy(rng.standard_normal((6, 4))), bl.from_numpy(rng.standard_normal((6, 3))))
            for _ in range(2 * STEPS)
        ]

    def loss(self, x: Any, y: Any) -> Any:
        return F.mse_loss(self.model(x), y)

    def tensors(self) -> list[Any]:
        state = [t for s in self.optimizer.state.values() for t in s.values()]
        grads = [p.grad for p in self.model.parameters()]
        return [*self.model.state_dict().values(), *state, *grads]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))


def noisy() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3),
                         nn.Linear(8, 3))  # fmt: skip


def train(w: World) -> Callable[..., Any]:
    """The usual step."""

    def step(x: Any, y: Any) -> Any:
        w.optimizer.zero_grad()
        loss = w.loss(x, y)
        loss.backward()
        w.optimizer.step()
        return loss

    return step


def values(found: Any) -> list[Any]:
    if isinstance(found, bl.Tensor):
        return [found.detach().cell.array.copy()]
    if isinstance(found, (tuple, list)):
        return [v for f in found for v in values(f)]
    if isinstance(found, dict):
        return [v for f in found.values() for v in values(f)]
    return [found]


def close(found: list, expected: list, what: str = "") -> None:
    assert len(found) == len(expected), what
    for a, b in zip(found, expected):
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=what)
        else:
            assert a == b, what


def follow(
    make: Callable[[], Any],
    step_of: Callable[[Any], Callable[..., Any]] = train,
    between: Callable[[Any, int], None] | None = None,
    steps: int = STEPS,
    calls: Callable[[Any, int], tuple] | None = None,
    recompiled: int | None = 0,
) -> Any:
    """Run both worlds side by side; returns the compiled function."""
    eager, compiled = make(), make()
    plain = step_of(eager)
    fast = bl.compile(step_of(compiled))
    for i in range(steps):
        found = []
        for w, step in ((eager, plain), (compiled, fast)):
            bl.manual_seed(100 + i)
            args = calls(w, i) if calls else w.batches[i]
            found.append([*values(step(*args)), *values(w.tensors()), bl.get_rng_state()])
        close(found[1], found[0], f"step {i}")
        if between is not None:
            between(eager, i)
            between(compiled, i)
    assert fast.entries and fast.reason is None, "nothing was compiled"
    count = sum(map(len, fast.entries.values()))
    if recompiled is not None:
        assert count == 1 + recompiled, f"{count} executables"
    return fast


# ----- what a usual program does -----


@pytest.mark.parametrize("rule, options", [
    (bl.optim.SGD, {}), (bl.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (bl.optim.SGD, {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1}),
    (bl.optim.Adam, {"amsgrad": True}), (bl.optim.AdamW, {}), (bl.optim.RMSprop, {}),
    (bl.optim.NAdam, {}), (bl.optim.RAdam, {}), (bl.optim.Adagrad, {}), (bl.optim.ASGD, {}),
])  # fmt: skip
def test_optimizers(rule: Any, options: dict) -> None:
    follow(lambda: World(rule=rule, **options))


def test_learning_rates_are_cells() -> None:
    def between(w: World, i: int) -> None:
        w.optimizer.param_groups[0]["lr"] *= 0.5

    follow(World, between=between)


def test_schedulers_write_cells() -> None:
    def make() -> World:
        w = World(rule=bl.optim.Adam)
        w.schedule = bl.optim.lr_scheduler.StepLR(w.optimizer, 2, 0.1)
        return w

    follow(make, between=lambda w, i: w.schedule.step())


def test_another_option_compiles_anew() -> None:
    def between(w: World, i: int) -> None:
        if i == 2:
            w.optimizer.param_groups[0]["weight_decay"] = 0.25

    follow(lambda: World(lr=0.05), between=between, recompiled=1)


def test_state_of_an_optimizer_that_is_replaced() -> None:
    def between(w: World, i: int) -> None:
        p = w.model[0].weight
        if i == 1:
            w.optimizer.state[p]["exp_avg"] = bl.ones(8, 4, dtype=bl.float64)
        if i == 3:
            w.optimizer.state[p] = {k: v.clone() * 2 for k, v in w.optimizer.state[p].items()}

    follow(lambda: World(rule=bl.optim.Adam), between=between, recompiled=2)


def test_a_new_shape_and_back() -> None:
    def calls(w: World, i: int) -> tuple:
        x, y = w.batches[i]
        return (x[:3].clone(), y[:3].clone()) if i % 3 == 2 else (x, y)

    fast = follow(lambda: World(rule=bl.optim.Adam), calls=calls, recompiled=1)
    assert len(fast.entries) == 2


def test_a_frozen_parameter() -> None:
    def between(w: World, i: int) -> None:
        if i == 2:
            w.model[0].weight.requires_grad_(False)
        if i == 4:
            w.model[0].weight.requires_grad_(True)

    follow(World, between=between, steps=8, recompiled=1)


def test_train_and_eval_share_state() -> None:
    eager, compiled = World(noisy), World(noisy)

    def evaluate_of(w: World) -> Callable[..., Any]:
        @bl.no_grad()
        def evaluate(x: Any, y: Any) -> Any:
            return w.loss(x, y)

        return evaluate

    steps = [train(eager), bl.compile(train(compiled))]
    tests = [evaluate_of(eager), bl.compile(evaluate_of(compiled))]
    for i in range(STEPS):
        found = []
        for w, step, test in zip((eager, compiled), steps, tests):
            bl.manual_seed(i)
            w.model.train()
            trained = values(step(*w.batches[i]))
            w.model.eval()
            found.append([*trained, *values(test(*w.batches[i + 1])), *values(w.tensors())])
        close(found[1], found[0], f"step {i}")
    assert sum(map(len, steps[1].entries.values())) == 1
    assert sum(map(len, tests[1].entries.values())) == 1


def test_the_train_flag_inside_one_function() -> None:
    def between(w: World, i: int) -> None:
        w.model.train(i % 2 == 0)

    follow(lambda: World(noisy), between=between, recompiled=1)


def test_dropout_goes_on_where_the_generator_stands() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        inner = train(w)

        def step(x: Any, y: Any) -> Any:
            noise = bl.rand(6, 4, dtype=bl.float64) + bl.randn_like(x) + bl.randint(0, 5, (6, 4))
            return inner(F.dropout(x, 0.25) + 0.1 * noise, y)

        return step

    follow(World, step_of)


def test_accumulation_over_calls() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            loss = w.loss(x, y)
            loss.backward()
            return loss

        return step

    def between(w: World, i: int) -> None:
        if i % 3 == 2:
            w.optimizer.step()
            w.optimizer.zero_grad()

    follow(World, step_of, between, steps=9, recompiled=1)


def test_accumulation_within_a_call() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            total = 0
            for part in range(3):
                loss = w.loss(x[2 * part : 2 * part + 2], y[2 * part : 2 * part + 2]) / 3
                loss.backward()
                total = total + loss.detach()
            w.optimizer.step()
            return total

        return step

    follow(World, step_of)


@pytest.mark.parametrize("to_none", [True, False])
def test_zero_grad_at_the_end(to_none: bool) -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            loss = w.loss(x, y)
            loss.backward()
            w.optimizer.step()
            w.optimizer.zero_grad(set_to_none=to_none)
            return loss

        return step

    follow(World, step_of, recompiled=None if not to_none else 0)


def test_the_update_alone() -> None:
    """Gradients made outside are read where they are, whichever tensors they are."""

    def step_of(w: World) -> Callable[..., Any]:
        def step() -> None:
            nn.utils.clip_grad_norm_(w.model.parameters(), 0.05)
            w.optimizer.step()

        return step

    def calls(w: World, i: int) -> tuple:
        w.optimizer.zero_grad()
        w.loss(*w.batches[i]).backward()
        return ()

    follow(lambda: World(rule=bl.optim.Adam), step_of, calls=calls)


def test_backward_and_update_compiled_apart_and_eager_in_between() -> None:
    def backward_of(w: World) -> Callable[..., Any]:
        def backward(x: Any, y: Any) -> Any:
            loss = w.loss(x, y)
            loss.backward()
            return loss

        return backward

    def update_of(w: World) -> Callable[..., Any]:
        def update() -> None:
            nn.utils.clip_grad_value_(w.model.parameters(), 0.05)
            w.optimizer.step()
            w.optimizer.zero_grad()

        return update

    eager, compiled = World(), World()
    backward, update = bl.compile(backward_of(compiled)), bl.compile(update_of(compiled))
    for i in range(12):
        x, y = eager.batches[i]
        now = backward_of(compiled) if i in (4, 6, 9) else backward
        close(values(now(x, y)), values(backward_of(eager)(x, y)), f"step {i}")
        if i % 2:
            update()
            update_of(eager)()
        close(values(compiled.tensors()), values(eager.tensors()), f"step {i}")
    assert sum(map(len, backward.entries.values())) <= 3
    assert sum(map(len, update.entries.values())) <= 2


def test_several_optimizers() -> None:
    def make() -> World:
        w = World()
        w.second = bl.optim.Adam(w.model[2].parameters(), lr=0.01)
        w.optimizer = bl.optim.SGD(w.model[0].parameters(), lr=0.1, momentum=0.5)
        return w

    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            for o in (w.optimizer, w.second):
                o.zero_grad()
            loss = w.loss(x, y)
            loss.backward()
            for o in (w.optimizer, w.second):
                o.step()
            return loss

        return step

    follow(make, step_of)


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_gradient_clipping(kind: str) -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            loss = w.loss(x, y)
            loss.backward()
            if kind == "norm":
                norm = nn.utils.clip_grad_norm_(w.model.parameters(), 0.1)
            else:
                norm = nn.utils.clip_grad_value_(w.model.parameters(), 0.01)
            w.optimizer.step()
            return loss, norm

        return step

    follow(World, step_of)


def test_a_moving_average_of_a_copy() -> None:
    """A deep copy shares its arrays with the original at first: two cells all the same."""

    def make() -> World:
        w = World()
        w.average = copy.deepcopy(w.model)
        return w

    def step_of(w: World) -> Callable[..., Any]:
        inner = train(w)

        def step(x: Any, y: Any) -> Any:
            loss = inner(x, y)
            with bl.no_grad():
                for a, p in zip(w.average.parameters(), w.model.parameters()):
                    a.mul_(0.9).add_(p, alpha=0.1)
            return loss, [a.detach().sum() for a in w.average.parameters()]

        return step

    follow(make, step_of)


@pytest.mark.parametrize("options", [
    {}, {"avg_fn": bl.optim.swa_utils.get_ema_avg_fn(0.8)},
    {"multi_avg_fn": bl.optim.swa_utils.get_ema_multi_avg_fn(0.8), "use_buffers": True},
])  # fmt: skip
def test_averaged_models_whose_first_update_copies(options: dict) -> None:
    def make() -> World:
        w = World(noisy)
        w.average = bl.optim.swa_utils.AveragedModel(w.model, **options)
        plain = w.tensors
        w.tensors = lambda: [*plain(), *w.average.state_dict().values()]
        return w

    def step_of(w: World) -> Callable[..., Any]:
        inner = train(w)

        def step(x: Any, y: Any) -> Any:
            loss = inner(x, y)
            w.average.update_parameters(w.model)
            return loss

        return step

    follow(make, step_of)


def test_tied_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.b.weight = self.a.weight
            self.out = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            return self.out(self.b(self.a(x).tanh()))

    follow(lambda: World(Tied))


def test_hooks_are_recorded() -> None:
    def between(w: World, i: int) -> None:
        if i == 1:
            w.handle = w.model[0].register_forward_hook(lambda m, args, out: out * 2)
        if i == 3:
            w.handle.remove()
        if i == 4:
            w.model[2].weight.register_hook(lambda g: g * 3)

    follow(World, between=between, recompiled=2)


def test_backward_hooks_of_modules() -> None:
    def make() -> World:
        w = World()
        w.model[0].register_full_backward_hook(lambda m, gi, go: None)
        w.model[2].register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
        return w

    follow(make)


def test_a_closure_and_a_graph_kept_for_two() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            def closure() -> Any:
                w.optimizer.zero_grad()
                out = w.model(x)
                loss = F.mse_loss(out, y)
                loss.backward(retain_graph=True)
                out.abs().mean().backward()
                return loss

            return w.optimizer.step(closure)

        return step

    follow(lambda: World(rule=bl.optim.NAdam), step_of)


def test_a_state_kept_in_a_buffer() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.GRUCell(4, 3)
            self.register_buffer("h", bl.zeros(6, 3))

        def forward(self, x: Any) -> Any:
            h = self.inner(x, self.h)
            with bl.no_grad():
                self.h.copy_(h)
            return h

    follow(lambda: World(Recurrent))


def test_reparametrized_weights() -> None:
    def make() -> nn.Module:
        made = network()
        nn.utils.parametrizations.weight_norm(made[0])
        nn.utils.parametrizations.spectral_norm(made[2])
        return made

    follow(lambda: World(make))


# ----- second derivatives -----


def test_a_step_through_an_updated_copy() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            now = dict(w.model.named_parameters())
            slopes = bl.autograd.grad(w.loss(x, y), list(now.values()), create_graph=True)
            ahead = {k: p - 0.1 * g for (k, p), g in zip(now.items(), slopes)}
            loss = F.mse_loss(bl.func.functional_call(w.model, ahead, (x,)), y)
            loss.backward()
            w.optimizer.step()
            return loss

        return step

    follow(World, step_of)


def test_gradient_penalty() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            x = x.detach().requires_grad_()
            out = w.model(x)
            (slope,) = bl.autograd.grad(out.sum(), x, create_graph=True)
            loss = F.mse_loss(out, y) + ((slope.norm(dim=1) - 1) ** 2).mean()
            loss.backward()
            w.optimizer.step()
            return loss

        return step

    follow(lambda: World(rule=bl.optim.Adam), step_of)


def test_hessian_vector_products() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, v: Any) -> Any:
            f = lambda t: (t.sin() * t.cos().exp()).sum()
            return bl.autograd.functional.hvp(f, x, v)

        return step

    def calls(w: World, i: int) -> tuple:
        return w.batches[i][0], w.batches[i + 1][0]

    follow(World, step_of, calls=calls)


# ----- what Python holds -----


def test_a_changed_attribute_of_a_module() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.scale, self.options = nn.Linear(4, 3), 1.0, {"shift": 0.0}

        def forward(self, x: Any) -> Any:
            return self.inner(x) * self.scale + self.options["shift"]

    def between(w: World, i: int) -> None:
        if i == 1:
            w.model.scale = 2.0
        if i == 3:
            w.model.options["shift"] = 1.0

    follow(lambda: World(Scaled), between=between, recompiled=2)


FACTOR = 1.0


class Settings:
    shift = 0.0


def test_changed_numbers_of_closures_globals_objects_and_classes() -> None:
    def make() -> World:
        w = World()
        w.settings = Settings()
        w.factor = 1.0
        return w

    def step_of(w: World) -> Callable[..., Any]:
        power = 1.0

        def set_power(value: float) -> None:
            nonlocal power
            power = value

        w.set_power = set_power

        def scale(loss: Any) -> Any:
            return loss * FACTOR * w.factor

        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            loss = scale(w.loss(x, y) * power) + w.settings.shift
            loss.backward()
            w.optimizer.step()
            return loss

        return step

    def between(w: World, i: int) -> None:
        global FACTOR
        if i == 0:
            FACTOR = 2.0
        if i == 1:
            w.factor = 3.0
        if i == 2:
            w.set_power(0.5)
        if i == 3:
            Settings.shift = 1.0
        if i == 4:
            w.settings.shift = 2.0

    global FACTOR
    eager_and_compiled = []

    def both(w: World, i: int) -> None:
        eager_and_compiled.append(w)
        between(w, i)

    FACTOR, Settings.shift = 1.0, 0.0
    follow(make, step_of, both, recompiled=5, steps=7)


def test_lists_of_tensors() -> None:
    def make() -> World:
        w = World()
        w.extra = [bl.ones(3, dtype=bl.float64), bl.zeros(3, dtype=bl.float64)]
        return w

    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            out = w.model(x)
            for t in w.extra:
                out = out + t
            return F.mse_loss(out, y).detach()

        return step

    def between(w: World, i: int) -> None:
        if i == 1:
            w.extra[0] = bl.full((3,), 2.0, dtype=bl.float64)
        if i == 2:
            w.extra.append(bl.full((3,), 5.0, dtype=bl.float64))
        if i == 3:
            w.extra[1].fill_(7.0)

    follow(make, step_of, between, recompiled=2)


def test_numbers_and_flags_among_the_arguments() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any, scale: float, square: bool, names: dict) -> Any:
            out = w.model(x) * scale + names["shift"]
            return {"loss": (((out - y) ** 2) if square else (out - y).abs()).mean().detach()}

        return step

    def calls(w: World, i: int) -> tuple:
        return (*w.batches[i], float(i // 3), i % 2 == 0, {"shift": w.batches[i][1]})

    fast = follow(World, step_of, calls=calls, recompiled=None)
    assert len(fast.entries) == 4


def test_the_same_tensor_twice() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            x.add_(1.0)
            return (x * y).sum()

        return step

    def calls(w: World, i: int) -> tuple:
        x, y = w.batches[i][0].clone(), w.batches[i + 1][0].clone()
        return (x, x) if i % 2 else (x, y)

    follow(World, step_of, calls=calls, recompiled=1)


def test_arguments_refilled_in_place() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            x.mul_(2.0)
            y[0] = 1.0
            return x.sum()

        return step

    def calls(w: World, i: int) -> tuple:
        w.given = tuple(t.clone() for t in w.batches[i])
        return w.given

    def make() -> World:
        w = World()
        w.tensors = lambda: list(w.given)
        return w

    follow(make, step_of, calls=calls)


@pytest.mark.parametrize("size", [10, 5000, 200_000])
def test_numpy_arrays_and_long_lists(size: int) -> None:
    table, numbers = np.zeros(size), [0.5] * min(size, 6000)

    @bl.compile
    def step(x: Any) -> Any:
        return x + bl.from_numpy(table).sum() + numbers[-1]

    for i in range(5):
        assert step(bl.zeros(1, dtype=bl.float64)).item() == table.sum() + numbers[-1]
        if i == 1:
            table[:] = 2.0
        if i == 3:
            numbers[-1] = 9.0


def test_what_a_decorated_function_reads() -> None:
    options = types.SimpleNamespace(scale=1.0)
    recent = deque([1.0])

    @bl.compile
    @bl.no_grad()
    def step(x: Any) -> Any:
        return x * options.scale + recent[-1]

    for i in range(4):
        assert step(bl.ones(1)).item() == options.scale + recent[-1]
        options.scale = i * 2.0
        assert step(bl.ones(1)).item() == options.scale + recent[-1]
        recent.append(float(i))


def test_a_compiled_function_that_calls_another() -> None:
    scale = [2.0]
    inner = bl.compile(lambda x: x * scale[0])
    outer = bl.compile(lambda x: inner(x) + 1)
    inner(bl.ones(1))
    assert outer(bl.ones(1)).item() == 3.0
    scale[0] = 5.0
    assert outer(bl.ones(1)).item() == 6.0
    assert len(outer.last.walk.items) < 10


# ----- storage -----


def test_storage_written_between_steps() -> None:
    def between(w: World, i: int) -> None:
        weight = w.model[0].weight
        with bl.no_grad():
            if i == 0:
                weight.mul_(0.5)
            if i == 1:
                weight.data.fill_(0.1)
            if i == 2:
                w.saved = {k: v.clone() for k, v in w.model.state_dict().items()}
            if i == 4:
                w.model.load_state_dict(w.saved)

    follow(lambda: World(rule=bl.optim.Adam), between=between)


def test_another_dtype() -> None:
    def between(w: World, i: int) -> None:
        if i == 1:
            w.model.float()
            w.batches = [(x.float(), y.float()) for x, y in w.batches]
        if i == 3:
            w.model.double()
            w.batches = [(x.double(), y.double()) for x, y in w.batches]

    eager, compiled = World(), World()
    plain, fast = train(eager), bl.compile(train(compiled))
    for i in range(6):
        a, b = plain(*eager.batches[i]), fast(*compiled.batches[i])
        assert a.dtype is b.dtype
        np.testing.assert_allclose(b.item(), a.item(), rtol=1e-5)
        between(eager, i)
        between(compiled, i)


def test_a_tensor_that_no_guard_reaches_changes_its_shape() -> None:
    class Hidden:
        __slots__ = ("held",)

    hidden = {"box": [Hidden()]}
    hidden["box"][0].held = bl.ones(3)
    reach = {"f": lambda: getattr(hidden["box"][0], "he" + "ld")}
    fast = bl.compile(lambda x: (reach["f"]().mul_(2.0) + x).sum())
    plain = [6.0, 12.0, 24.0]
    assert [fast(bl.zeros(1)).item() for _ in range(3)] == plain
    hidden["box"][0].held.cell.put(np.ones(2, np.float32))
    assert [fast(bl.zeros(1)).item() for _ in range(3)] == [4.0, 8.0, 16.0]


def test_another_storage() -> None:
    def between(w: World, i: int) -> None:
        if i == 1:
            w.backup = w.model[0].weight.data
            w.model[0].weight.data = bl.full((8, 4), 0.25, dtype=bl.float64)
        if i == 3:
            w.model[0].weight.data = w.backup

    follow(World, between=between, recompiled=None)


def test_a_new_parameter_and_optimizer() -> None:
    def between(w: World, i: int) -> None:
        if i == 2:
            w.model[0] = nn.Linear(4, 8).double()
            w.model[0].load_state_dict({"weight": bl.ones(8, 4), "bias": bl.zeros(8)})
            w.optimizer = bl.optim.Adam(w.model.parameters(), lr=0.01)

    follow(World, between=between, recompiled=1)


def test_state_is_saved_and_loaded(tmp_path: Any) -> None:
    def between(w: World, i: int) -> None:
        path = tmp_path / "state"
        bl.save({"m": w.model.state_dict(), "o": w.optimizer.state_dict()}, path)
        if i == 2:
            found = bl.load(path)
            w.model.load_state_dict(found["m"])
            w.optimizer.load_state_dict(found["o"])

    follow(lambda: World(rule=bl.optim.Adam), between=between, recompiled=1)


def test_killed_and_resumed_is_bit_equal() -> None:
    def run(w: World, start: int, stop: int) -> None:
        step = bl.compile(train(w))
        for i in range(start, stop):
            bl.manual_seed(i)
            step(*w.batches[i])

    whole, first, second = (World(noisy, rule=bl.optim.Adam) for _ in range(3))
    run(whole, 0, STEPS)
    run(first, 0, 3)
    second.model.load_state_dict(first.model.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    run(second, 3, STEPS)
    for a, b in zip(values(whole.tensors()), values(second.tensors())):
        np.testing.assert_array_equal(a, b)


def test_data_assigned_inside() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            loss = w.loss(x, y)
            loss.backward()
            for p in w.model.parameters():
                p.data = p.data - 0.1 * p.grad
            return loss

        return step

    follow(World, step_of)


def test_views_from_outside() -> None:
    def make() -> World:
        w = World()
        w.base = bl.zeros(4, 3, dtype=bl.float64)
        w.row = w.base[1]
        return w

    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.base.add_(y[:4])
            w.row.mul_(2.0)
            return w.row.sum() + w.base.sum() + w.base.T[0].sum()

        return step

    def tensors(w: World) -> list:
        return [w.base, w.row]

    follow(lambda: make(), step_of)
    w, v = make(), make()
    fast, plain = bl.compile(step_of(w)), step_of(v)
    for i in range(5):
        close(values([fast(*w.batches[i]), *tensors(w)]),
              values([plain(*v.batches[i]), *tensors(v)]))  # fmt: skip


# ----- what stays after a step -----


def test_a_module_that_keeps_its_attention_map() -> None:
    class Attentive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.out = nn.Linear(4, 4), nn.Linear(4, 3)
            self.attention: Any = None

        def forward(self, x: Any) -> Any:
            self.attention = self.inner(x).softmax(-1).detach()
            return self.out(self.attention * x)

    def make() -> World:
        w = World(Attentive)
        plain, w.seen = w.tensors, []
        w.tensors = lambda: [*plain(), w.model.attention, *w.seen]
        return w

    def between(w: World, i: int) -> None:
        w.seen.append(w.model.attention)  # held: it must stay what it was

    follow(make, between=between)


def test_gradients_that_others_hold_stay_what_they_were() -> None:
    def make() -> World:
        w = World()
        plain, w.held = w.tensors, []
        w.tensors = lambda: [*plain(), *w.held]
        return w

    def between(w: World, i: int) -> None:
        p = w.model[0].weight
        w.held.append(p.grad if i % 2 else p.grad.detach())

    follow(make, between=between)


def test_a_tensor_that_nobody_refills_is_lost_not_stale() -> None:
    kept: dict[str, Any] = {}

    class Keeper:
        def keep(self, x: Any) -> None:
            setattr(self, "a" + "b", x)

    keeper = Keeper()

    @bl.compile
    def step(x: Any) -> Any:
        y = x * 2
        keeper.keep(y)
        return y + 1

    x = bl.ones(3)
    step(x)
    step(x)
    with pytest.raises(Exception, match="made inside a compiled step"):
        _ = keeper.ab + 1
    assert not kept


def test_the_returned_loss_was_consumed() -> None:
    w = World()
    loss = bl.compile(train(w))(*w.batches[0])
    assert loss.requires_grad
    with pytest.raises(GradError, match="freed"):
        loss.backward()


def test_results_of_every_kind() -> None:
    weight = bl.ones(3)

    @bl.compile
    def step(x: Any, y: Any) -> Any:
        weight.add_(1.0)
        return {"sum": x + y, "same": x, "all": [weight, 2, None, (y * 2, "text")]}

    for i in range(4):
        x, y = bl.full((3,), float(i)), bl.ones(3)
        found = step(x, y)
        assert found["same"] is x and found["all"][0] is weight
        assert found["all"][1:3] == [2, None] and found["all"][3][1] == "text"
        assert found["sum"].tolist() == [i + 1.0] * 3 and found["all"][3][0].tolist() == [2.0] * 3
        assert weight.tolist() == [i + 2.0] * 3


# ----- what is refused, and leaves nothing behind -----


def refused(make: Callable[[], World], step_of: Any, words: str, before: int = 0) -> None:
    """The step is refused with those words, and the world is as it was."""
    w = make()
    step = bl.compile(step_of(w))
    for i in range(before):
        step(*w.batches[i])
    start = values(w.tensors()), bl.get_rng_state()
    with pytest.raises(CaptureError, match=words):
        step(*w.batches[before])
    assert bl.get_rng_state() == start[1]
    for a, b in zip(values(w.tensors()), start[0]):
        np.testing.assert_array_equal(a, b)


def after_training(last: Callable[[World, Any], Any]) -> Callable[[World], Any]:
    def step_of(w: World) -> Callable[..., Any]:
        inner = train(w)

        def step(x: Any, y: Any) -> Any:
            F.dropout(x)
            loss = inner(x, y)
            return last(w, loss)

        return step

    return step_of


@pytest.mark.parametrize("last, words", [
    (lambda w, loss: loss.item(), "read into Python"),
    (lambda w, loss: float(loss), "return the tensor"),
    (lambda w, loss: loss if loss > 1 else loss * 2, "test_traps.py"),
    (lambda w, loss: loss.detach().numpy().sum(), "read into Python"),
    (lambda w, loss: f"the loss is {loss}", "read into Python"),
    (lambda w, loss: w.model[0].weight.tolist(), "read into Python"),
    (lambda w, loss: loss * random.random(), "Python's `random`"),
    (lambda w, loss: loss * np.random.rand(), "NumPy's generator"),
    (lambda w, loss: w.model[0].bias[w.model[0].bias > 0], "depends on values|read into Python"),
    (lambda w, loss: bl.tensor([loss.detach(), loss.detach()]), "read into Python"),
    (lambda w, loss: w.model, "not Sequential"),
])  # fmt: skip
def test_refused(last: Any, words: str) -> None:
    state = random.getstate()
    refused(lambda: World(rule=bl.optim.Adam), after_training(last), words)
    assert random.getstate() == state


def test_refused_a_warm_up_branch() -> None:
    class Warm(bl.optim.Optimizer):
        steps = 0

        def __init__(self, params: Any, lr: float):
            super().__init__(params, {"lr": lr})
            self.steps = 0

        @bl.no_grad()
        def step(self, closure: Any = None) -> None:
            self.steps += 1
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(group["lr"] * p.grad * (0.1 if self.steps < 3 else 1.0))

    refused(lambda: World(rule=Warm), train, "changes .*steps", before=1)


def test_refused_a_list_that_grows() -> None:
    losses: list[Any] = []

    def step_of(w: World) -> Callable[..., Any]:
        inner = train(w)

        def step(x: Any, y: Any) -> Any:
            losses.append(inner(x, y))

        return step

    refused(World, step_of, "changes losses", before=1)
    assert len(losses) == 1


def test_refused_a_state_that_is_read_and_replaced() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.h = nn.Linear(4, 3), bl.zeros(6, 3, dtype=bl.float64)

        def forward(self, x: Any) -> Any:
            self.h = (self.inner(x) + self.h).tanh().detach()
            return self.h + self.inner(x)

    refused(lambda: World(Recurrent), train, "changes .*h,", before=1)


def test_refused_an_iterator() -> None:
    def step_of(w: World) -> Callable[..., Any]:
        batches = iter(w.batches)

        def step(*_: Any) -> Any:
            return train(w)(*next(batches))

        return step

    refused(World, step_of, "an iterator")


def test_an_exception_in_the_middle_restores_everything() -> None:
    w = World(rule=bl.optim.Adam)
    inner = train(w)
    fail = [True]

    def step(x: Any, y: Any) -> Any:
        F.dropout(x)
        loss = inner(x, y)
        if fail[0]:
            raise KeyError("on purpose")
        return loss

    fast = bl.compile(step)
    start = values(w.tensors()), bl.get_rng_state()
    with pytest.raises(KeyError, match="on purpose"):
        fast(*w.batches[0])
    assert bl.get_rng_state() == start[1]
    for a, b in zip(values(w.tensors()), start[0]):
        np.testing.assert_array_equal(a, b)
    fail[0] = False
    fast(*w.batches[0])


def test_what_a_first_call_sets_up() -> None:
    """The call that makes lazy state runs as it is written; the next ones are compiled."""

    class Momentum(bl.optim.Optimizer):
        def __init__(self, params: Any, lr: float):
            super().__init__(params, {"lr": lr})

        @bl.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if "velocity" not in state:
                        state["velocity"] = bl.zeros_like(p)
                    state["velocity"].mul_(0.9).add_(p.grad)
                    p.sub_(state["velocity"] * group["lr"])

    def between(w: World, i: int) -> None:
        if i == 3:
            w.optimizer.param_groups[0]["lr"] = 0.01

    follow(lambda: World(rule=Momentum), between=between, recompiled=1)
    follow(lambda: World(lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3)),
                         rule=lambda params, lr: Lazily(params, lr)))  # fmt: skip


class Lazily(bl.optim.SGD):
    """Lazy parameters can be handed to an optimizer before they have a shape."""


# ----- Functions of one's own -----


class Clipped(bl.autograd.Function):
    """Reads values: it runs in Python at every step."""

    @staticmethod
    def forward(ctx: Any, x: Any, limit: float) -> Any:
        array = x.detach().numpy()
        ctx.inside = np.abs(array) < limit * np.abs(array).max()
        ctx.save_for_backward(x)
        return bl.from_numpy(np.where(ctx.inside, array, limit))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        slope = grad.numpy() * ctx.inside
        if x.sum().item() > 1e9:
            slope = slope * 0
        return bl.from_numpy(slope), None


class Doubled(bl.autograd.Function):
    """Made of operators: its instructions are the step's own."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 2 + x.sin()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad * (2 + x.cos())


@pytest.mark.parametrize("function, called", [(lambda x: Clipped.apply(x, 0.7), True),
                                              (Doubled.apply, False)])  # fmt: skip
def test_functions_of_the_users_own(function: Any, called: bool) -> None:
    def step_of(w: World) -> Callable[..., Any]:
        def step(x: Any, y: Any) -> Any:
            w.optimizer.zero_grad()
            loss = F.mse_loss(function(w.model(x)), y)
            loss.backward()
            w.optimizer.step()
            return loss

        return step

    fast = follow(World, step_of)
    assert (fast.program is not None) and called == any(
        i.op == "callback" for i in fast.program.instrs
    )


def test_a_hook_that_reads_values_is_called_at_every_step() -> None:
    def make() -> World:
        w = World()
        w.model[0].register_full_backward_hook(
            lambda m, gi, go: (None if gi[0] is None else gi[0] * float(go[0].sum() > 0),)
        )
        return w

    follow(make)


# ----- recompilation -----


def test_at_most_so_many_compilations_then_one_warning() -> None:
    class Scale:
        by = 0.0

    scale = Scale()

    @bl.compile
    def step(x: Any) -> Any:
        return x * scale.by

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for i in range(20):
            scale.by = float(i)
            assert step(bl.ones(2)).tolist() == [i, i]
    assert len(found) == 1 and "scale.by was" in str(found[0].message)
    assert step.reason


def test_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bl.config.flags, "compile", False)
    step = bl.compile(lambda x: x.sum().item())
    assert step(bl.ones(3)) == 3.0 and not step.entries
