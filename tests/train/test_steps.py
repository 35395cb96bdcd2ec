"""Steps of fit: compiled equals eager, however many run in one native call; else it says why."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import DivergedError
from backlit.nn import functional as F
from backlit.optim.lr_scheduler import OneCycleLR, StepLR
from backlit.train import Callback, GradientNorm, fit
from backlit.train.metrics import Mean
from backlit.train.progress import Progress
from backlit.train.steps import Steps


class Said(Progress):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


class Entropy(Mean):
    """A metric of the user's own: it sees batches."""

    def update(self, output, target) -> None:  # type: ignore[override]
        Mean.update(self, float(-(output.softmax(1) * output.log_softmax(1)).sum()), 1.0)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 8, bias=False), nn.BatchNorm1d(8)
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(self.drop(F.relu(self.norm(self.first(x)))))


def data(n: int = 22, batch: int = 4, **options) -> bl.data.DataLoader:
    bl.manual_seed(1)
    x = bl.randn(n, 3, dtype=bl.float64)
    pairs = bl.data.TensorDataset(x, (x.sum(1) > 0).long())
    return bl.data.DataLoader(pairs, batch, shuffle=True, **options)


def made(**options):
    """A model after a training, its history, and what fit said."""
    loader = options.pop("data", None) or data()
    bl.manual_seed(2)
    model = options.pop("model", Network)().double()
    optimizer = options.pop("optimizer", lambda p: bl.optim.Adam(p, lr=0.01))(model.parameters())
    scheduler = options.pop("scheduler", lambda o: None)(optimizer)
    said = Said()
    given = {"loss": F.cross_entropy, "epochs": 2, "progress": said, **options}
    history = fit(model, loader, optimizer=optimizer, scheduler=scheduler, **given)
    rows = [{k: v for k, v in row.items() if k != "seconds" and v is not None} for row in history]
    return model, rows, said


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch):
    """How many steps each native call took, with the number that is asked for set."""
    counts: list[int] = []
    run = Steps._native

    def counted(self, chunk, numbers):
        counts.append(chunk.count)
        return run(self, chunk, numbers)

    monkeypatch.setattr(Steps, "_native", counted)
    counts_for = {"wanted": 4}
    monkeypatch.setattr(Steps, "wanted", lambda self: counts_for["wanted"] if self.compiled else 1)
    return counts, lambda n: counts_for.update(wanted=n)


SETTINGS = {
    "adam": {},
    "momentum": {"optimizer": lambda p: bl.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)},
    "metrics": {"metrics": {"accuracy": "accuracy", "entropy": Entropy()}},
    "clipped": {"clip_grad_norm": 0.3},
    "converges": {"stop": [GradientNorm(1e-9)]},
    "steps down": {"scheduler": lambda o: StepLR(o, 1, 0.5)},
    "one cycle": {
        "scheduler": lambda o: OneCycleLR(o, max_lr=0.05, total_steps=12),
        "scheduler_per_batch": True,
    },
    "one cycle of momentum": {
        "optimizer": lambda p: bl.optim.SGD(p, lr=0.1, momentum=0.9),
        "scheduler": lambda o: OneCycleLR(o, max_lr=0.05, total_steps=12),
        "scheduler_per_batch": True,
    },
    "validation": {"val_data": "data", "metrics": ["accuracy"]},
}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_compiled_equals_eager(name: str, native, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, set_wanted = native

    def once():
        options = dict(SETTINGS[name])
        if "val_data" in options:
            options["val_data"] = data(batch=7)
        return made(**options)

    several = once()
    assert max(counts) == 4 and several[2].messages == []
    set_wanted(1)
    single = once()
    monkeypatch.setattr(bl.config.flags, "compile", False)
    eager = once()
    assert eager[2].messages == []
    for p, q, r in zip(*(m[0].state_dict().values() for m in (several, single, eager))):
        np.testing.assert_array_equal(p.numpy(), q.numpy())  # chunks are not seen in a bit
        np.testing.assert_allclose(p.numpy(), r.numpy(), rtol=1e-11, atol=1e-13)
    for a, b, c in zip(several[1], single[1], eager[1]):
        assert a == b
        assert a == pytest.approx(c, rel=1e-11)


def test_callbacks_see_every_step() -> None:
    seen: list[tuple[int, float, bool]] = []

    class Watch(Callback):
        def on_batch(self, run) -> None:
            grads = all(p.grad is not None for p in run.model.parameters())
            seen.append((run.position.step, run.batch_loss, grads))

    made(callbacks=[Watch()])
    assert [step for step, _, _ in seen] == list(range(1, 13))
    assert len({loss for _, loss, _ in seen}) == 12
    assert all(grads for _, _, grads in seen)


def test_calls_end_where_something_is_due(native, tmp_path) -> None:
    counts, set_wanted = native
    set_wanted(100)
    made(run_dir=tmp_path, checkpoint_every_steps=4, max_steps=9, epochs=9, data=data(n=44))
    assert counts == [4, 4, 1]
    counts.clear()
    made(epochs=1)  # 5 whole batches and a smaller one
    assert counts == [5, 1]


@pytest.mark.parametrize("stop", [3, 6, 8])
def test_cut_short_and_resumed_is_bit_equal(stop: int, native, tmp_path) -> None:
    _, set_wanted = native
    whole = made(run_dir=tmp_path / "whole", epochs=3)
    made(run_dir=tmp_path / "parts", epochs=3, max_steps=stop)
    set_wanted(3)
    resumed = made(run_dir=tmp_path / "parts", epochs=3, resume=True)
    for p, q in zip(whole[0].state_dict().values(), resumed[0].state_dict().values()):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert whole[1][-1]["train_loss"] == resumed[1][-1]["train_loss"]


@pytest.mark.parametrize("bad", [0, 2, 3])
def test_divergence_within_a_call(bad: int, native, monkeypatch: pytest.MonkeyPatch) -> None:
    """The good steps before count, the bad one leaves nothing, as in eager mode."""
    x, y = bl.randn(5, 4, 3, dtype=bl.float64), bl.tensor([0, 1, 0, 1])
    batches = [(x[i] * (math.nan if i == bad else 1.0), y) for i in range(5)]

    def diverged():
        bl.manual_seed(2)
        model = Network().double()
        optimizer = bl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        with pytest.raises(DivergedError) as caught:
            fit(model, batches, loss=F.cross_entropy, optimizer=optimizer, progress=False)
        state = [t.detach().numpy().copy() for t in model.parameters()]
        return str(caught.value), state

    compiled = diverged()
    monkeypatch.setattr(bl.config.flags, "compile", False)
    eager = diverged()
    assert compiled[0] == eager[0] and f"step {bad + 1};" in eager[0]
    for a, b in zip(compiled[1], eager[1]):
        np.testing.assert_allclose(a, b, rtol=1e-11)


# ----- falling back -----


class Reads(Network):
    def forward(self, x):
        y = super().forward(x)
        return y if float(y.sum().item()) > 0 else y * 2


class Hooked(Network):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.last.register_forward_hook(self.count)

    def count(self, module, inputs, output) -> None:
        self.calls += 1


def test_what_reads_values_runs_eagerly_and_says_so_once(monkeypatch) -> None:
    compiled = made(model=Reads)
    (message,) = compiled[2].messages
    assert message.startswith("fit runs its steps eagerly: ")
    assert "test_steps.py" in message
    monkeypatch.setattr(bl.config.flags, "compile", False)
    eager = made(model=Reads)
    assert compiled[1] == eager[1] and not eager[2].messages


def test_hooks_are_called_at_every_step() -> None:
    model, _, said = made(model=Hooked)
    assert said.messages == [
        "fit runs its steps eagerly: Linear last has a hook, which may be more than arithmetic"
    ]
    assert model.calls == 12


def test_an_optimizer_that_asks_several_times() -> None:
    _, _, said = made(optimizer=lambda p: bl.optim.LBFGS(p, lr=0.1))
    assert said.messages == [
        "fit runs its steps eagerly: LBFGS evaluates the loss several times in a step"
    ]


def test_an_error_of_the_model_is_the_user_s_own() -> None:
    class Wrong(Network):
        def forward(self, x):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        made(model=Wrong)


def test_many_shapes_run_eagerly() -> None:
    batches = [(bl.randn(n, 3, dtype=bl.float64), bl.zeros(n, dtype=bl.int64))
               for n in range(2, 11)]  # fmt: skip
    _, _, said = made(data=batches)
    assert said.messages == ["fit runs its steps eagerly: batches come in more than 6 shapes"]


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bl.config.flags, "compile", False)
    monkeypatch.setattr(bl, "compile", lambda *_: pytest.fail("compiled"))
    assert made()[2].messages == []


# ----- reading -----


@pytest.mark.parametrize("drop", [False, True])
def test_taken_at_once_or_one_by_one(drop: bool) -> None:
    def epoch():
        return iter(data(drop_last=drop, generator=bl.Generator().manual_seed(5)))

    single = list(epoch())
    together = epoch()
    found = []
    while groups := together.take(3):
        for parts in groups:
            found += [tuple(p[j] for p in parts) for j in range(len(parts[0]))]
    assert len(found) == len(single) == (5 if drop else 6)
    for a, b in zip(found, single):
        for x, y in zip(a, b):
            np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_what_was_taken_is_delivered() -> None:
    loader = data(generator=bl.Generator().manual_seed(5))
    batches = iter(loader)
    batches.take(3)
    state = loader.state_dict()
    rest = [x.numpy() for x, _ in batches]
    other = data(generator=bl.Generator())
    other.load_state_dict(state)
    assert state["delivered"] == 3 and len(rest) == 3
    for a, (b, _) in zip(rest, other):
        np.testing.assert_array_equal(a, b.numpy())
