"""`bl.compile` of functions, methods and modules, its loop, and what it costs to look at."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import CaptureError, GradError
from backlit.nn import functional as F


def model() -> nn.Module:
    bl.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2),
                         nn.Linear(8, 3)).double()  # fmt: skip


def batches(count: int = 6) -> list[tuple]:
    rng = np.random.default_rng(2)
    return [(bl.from_numpy(rng.standard_normal((5, 4))), bl.from_numpy(rng.integers(0, 3, 5)))
            for _ in range(count)]  # fmt: skip


def equal(a: Any, b: Any) -> None:
    np.testing.assert_allclose(
        a.detach().cell.array, b.detach().cell.array, rtol=1e-12, atol=1e-13
    )  # fmt: skip


# ----- models within loops that are not compiled -----


def test_a_compiled_model_in_a_training_loop() -> None:
    plain = model()
    fast = bl.compile(copy.deepcopy(plain))
    optimizers = [bl.optim.SGD(m.parameters(), lr=0.05) for m in (plain, fast)]
    for i, (x, y) in enumerate(batches()):
        losses = []
        for m, o in zip((plain, fast), optimizers):
            bl.manual_seed(i)
            o.zero_grad()
            loss = F.cross_entropy(m(x), y)
            loss.backward()
            o.step()
            losses.append(loss)
        equal(losses[1], losses[0])
        for p, q in zip(plain.state_dict().values(), fast.state_dict().values()):
            equal(q, p)
    fast.eval()
    plain.eval()
    with bl.no_grad():
        equal(fast(x), plain(x))
    assert sum(map(len, fast.entries.values())) == 2


def test_gradients_flow_through_a_compiled_function() -> None:
    f = lambda x, w: ((x @ w).tanh(), (x * x).sum())
    fast = bl.compile(f)
    for i in range(5):
        found = []
        for g in (f, fast):
            x = bl.from_numpy(np.arange(6.0).reshape(2, 3) + i).requires_grad_()
            w = bl.from_numpy(np.linspace(-1, 1, 12).reshape(3, 4)).requires_grad_()
            y, z = g(x.sin(), w * 2)
            (y.sum() * z + (y * y).sum()).backward()
            found.append((x.grad, w.grad, y, z))
        for a, b in zip(*found):
            equal(a, b)
    assert y.requires_grad and len(fast.entries) == 1


def test_only_one_of_the_outputs_is_used() -> None:
    fast = bl.compile(lambda x: (x * 2, x.exp()))
    x = bl.ones(3, dtype=bl.float64).requires_grad_()
    fast(x)[1].sum().backward()
    equal(x.grad, bl.ones(3, dtype=bl.float64).exp())


def test_parameters_may_change_before_the_backward() -> None:
    """The backward reads the values that the forward saw."""
    w = nn.Parameter(bl.full((3,), 2.0))
    fast = bl.compile(lambda x: x * w * w)
    for _ in range(3):
        with bl.no_grad():
            w.fill_(2.0)
        w.grad = None
        y = fast(bl.ones(3))
        with bl.no_grad():
            w.fill_(100.0)
        y.sum().backward()
        assert w.grad.tolist() == [4.0] * 3


def test_a_second_derivative_through_the_border_is_refused() -> None:
    x = bl.ones(3, requires_grad=True)
    y = bl.compile(lambda x: (x**3).sum())(x)
    with pytest.raises(GradError, match="can't be differentiated"):
        bl.autograd.grad(y, x, create_graph=True)


# ----- what can be compiled -----


class Trainer:
    def __init__(self) -> None:
        self.weight = bl.ones(3)
        self.scale = 1.0
        self.calls = 0

    @bl.compile
    def step(self, x: Any) -> Any:
        """Add."""
        self.weight.add_(x * self.scale)
        return self.weight.sum()


def test_methods() -> None:
    a, b = Trainer(), Trainer()
    for i in range(4):
        a.calls += 1  # not named by the step: no guard
        assert a.step(bl.ones(3)).item() == 3.0 * (i + 2)
    b.scale = 2.0
    assert b.step(bl.ones(3)).item() == 9.0
    assert sum(map(len, a.step.entries.values())) == 1
    assert Trainer.step.__name__ == "step" and a.step.__doc__ == "Add."


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)

    @bl.compile
    def forward(self, x: Any) -> Any:
        return self.inner(x).tanh()


def test_a_compiled_forward() -> None:
    bl.manual_seed(0)
    m = Small()
    twin = copy.deepcopy(m)
    for _ in range(3):
        for each in (m, twin):
            each.zero_grad()
            each(bl.ones(2, 4)).sum().backward()
        equal(m.inner.weight.grad, twin.inner.weight.grad)
    assert m.forward.entries and m.forward is not twin.forward
    assert list(m.state_dict()) == ["inner.weight", "inner.bias"]
    third = copy.deepcopy(m)
    with bl.no_grad():
        third.inner.weight.zero_()
    assert third.forward.function.__self__ is third
    assert m(bl.ones(2, 4)).tolist() != third(bl.ones(2, 4)).tolist()


def test_numbers_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = bl.compile(lambda x, scale, shift: x * scale + (shift or 0))
    assert fast(bl.ones(2), 2.0, None).tolist() == [2.0, 2.0]
    monkeypatch.setattr(fast, "_slow", None)
    assert fast(bl.ones(2) * 3, 2.0, None).tolist() == [6.0, 6.0]
    monkeypatch.undo()
    assert fast(bl.ones(2), 3.0, None).tolist() == [3.0, 3.0]
    assert fast(bl.ones(2), 3, None).tolist() == [3.0, 3.0]
    assert len(fast.entries) == 3


def test_a_compiled_module_is_still_that_module() -> None:
    fast = bl.compile(model())
    assert len(list(fast.parameters())) == 6 and fast.training
    assert fast.eval() is fast.function and not fast.training
    assert list(fast.state_dict()) == list(fast.function.state_dict())


def test_within_each_other() -> None:
    inner = bl.compile(lambda x: x * 2)
    outer = bl.compile(lambda x: inner(x) + 1)
    assert outer(bl.ones(2)).tolist() == [3.0, 3.0] and not inner.entries


def test_pytorchs_options() -> None:
    f = lambda x: x + 1
    assert bl.compile(f, mode="max-autotune", fullgraph=True)(bl.ones(1)).tolist() == [2.0]
    assert bl.compile(f, disable=True) is f
    assert bl.compile(name="other")(f).name == "other"
    with pytest.raises(TypeError, match="unexpected argument 'speed'"):
        bl.compile(f, speed=2)
    with pytest.raises(TypeError, match="expected a function"):
        bl.compile(3)


def test_a_numpy_argument_is_refused() -> None:
    with pytest.raises(CaptureError, match="NumPy array"):
        bl.compile(lambda x: bl.tensor(x))(np.ones(3))


def test_an_empty_result_and_empty_tensors() -> None:
    assert bl.compile(lambda: None)() is None
    assert bl.compile(lambda x: x * 2)(bl.zeros(0, 3)).shape == (0, 3)


def test_views_and_strides_as_arguments() -> None:
    fast = bl.compile(lambda x: x * 2 + x.sum())
    base = bl.from_numpy(np.arange(24.0).reshape(4, 6))
    for x in (base, base.T.reshape(4, 6), base.flip(0), base[:, ::1], base.T.contiguous().T):
        equal(fast(x), x * 2 + x.sum())
    for x in (base[:, ::2], base[1:3].T[:4], base[::2].T):
        equal(fast(x), x * 2 + x.sum())


# ----- many steps in one call -----


def steps_of(m: nn.Module) -> tuple[Any, Any]:
    o = bl.optim.Adam(m.parameters(), lr=0.05)

    def step(x: Any, y: Any) -> Any:
        o.zero_grad()
        loss = F.cross_entropy(m(x), y)
        loss.backward()
        o.step()
        return loss, {"size": loss * 2}

    return step, o


def test_a_loop_is_the_steps_one_by_one() -> None:
    many = batches(7)
    xs, ys = (bl.stack([b[i] for b in many]) for i in (0, 1))
    one, whole = model(), model()
    single, loop = bl.compile(steps_of(one)[0]), bl.compile(steps_of(whole)[0])
    bl.manual_seed(4)
    losses = [single(x, y)[0].item() for x, y in many]
    bl.manual_seed(4)
    first, twice = loop.loop(xs[:3], ys[:3])
    rest, _ = loop.loop(xs[3:], ys[3:])
    assert [*first.tolist(), *rest.tolist()] == losses and twice["size"].shape == (3,)
    for p, q in zip(one.state_dict().values(), whole.state_dict().values()):
        assert p.tolist() == q.tolist()
    assert [p.grad.tolist() for p in one.parameters()] == [p.grad.tolist()
                                                           for p in whole.parameters()]  # fmt: skip


def test_a_loop_of_what_can_not_loop() -> None:
    fast = bl.compile(lambda x: (x.add_(1.0), x.sum())[1])
    assert fast.loop(bl.zeros(3, 2)).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(CaptureError, match="leading axes"):
        fast.loop(bl.zeros(3), bl.zeros(2))


# ----- threads, errors, state -----


def test_threads_take_turns() -> None:
    total = bl.zeros((), dtype=bl.float64)
    fast = bl.compile(lambda x: total.add_(x.sum()))
    threads = [
        threading.Thread(target=lambda: [fast(bl.ones(3)) for _ in range(50)]) for _ in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert total.item() == 600.0


def test_an_error_in_a_callback_comes_out() -> None:
    class Fails(bl.autograd.Function):
        fail = False

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            if x.sum().item() > 5:
                raise KeyError("too large")
            return bl.from_numpy(x.numpy() * 2)

    fast = bl.compile(Fails.apply)
    assert fast(bl.ones(3)).tolist() == [2.0] * 3
    with pytest.raises(KeyError, match="too large"):
        fast(bl.full((3,), 9.0))
    assert fast(bl.ones(3)).tolist() == [2.0] * 3


def test_generators_of_ones_own() -> None:
    g = bl.Generator().manual_seed(7)
    f = lambda: bl.rand(3, generator=g)
    plain = [f().tolist() for _ in range(4)]
    g.manual_seed(7)
    fast = bl.compile(f)
    assert [fast().tolist() for _ in range(4)] == plain
    g.manual_seed(7)
    assert fast().tolist() == plain[0]


def test_a_seed_set_inside() -> None:
    def f() -> Any:
        a = bl.rand(2)
        bl.manual_seed(3)
        return a, bl.rand(2)

    fast = bl.compile(f)
    bl.manual_seed(1)
    plain = [[t.tolist() for t in f()] for _ in range(3)]
    bl.manual_seed(1)
    assert [[t.tolist() for t in fast()] for _ in range(3)] == plain


def test_large_seeds() -> None:
    fast = bl.compile(lambda: bl.rand(3))
    bl.manual_seed(2**64 - 5)
    plain = bl.rand(3).tolist()
    bl.manual_seed(2**64 - 5)
    assert fast().tolist() == plain
    assert bl.get_rng_state() == (2**64 - 5, 3)


def test_copies_and_shapes_of_resident_tensors() -> None:
    w = nn.Parameter(bl.ones(3))
    view = w.data[1:]
    fast = bl.compile(lambda x: w.data.add_(x))
    fast(bl.ones(3))
    twin = copy.deepcopy(w)
    array = w.detach().numpy()
    fast(bl.ones(3))
    assert array.tolist() == twin.tolist() == [2.0] * 3 and view.tolist() == [3.0, 3.0]
    view.fill_(0.0)
    assert w.tolist() == [3.0, 0.0, 0.0]
    w.data.mul_(2.0)
    fast(bl.ones(3))
    assert w.tolist() == [7.0, 1.0, 1.0]


def test_the_program_has_names() -> None:
    m = nn.Sequential(nn.Linear(2, 2))

    def step(x: Any) -> Any:
        return m(x).detach()

    fast = bl.compile(step)
    assert fast.program is None
    fast(bl.ones(1, 2))
    names = [v.name for v in fast.program.inputs]
    assert names == ["x0", "m_0_weight", "m_0_bias"]
    assert [name for name, _ in fast.passes]
