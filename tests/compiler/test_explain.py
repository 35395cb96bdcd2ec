"""What explain() and BACKLIT_DEBUG say about a compiled step."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.plans import executable, profile
from backlit.compiler import debug, explain
from backlit.nn import functional as F
from backlit.ops.op import REGISTRY, Operator, Spec
from backlit.program import capture
from backlit.program.ir import Instr, Program, Value


def network(x: bl.Tensor, w: bl.Tensor, b: bl.Tensor) -> bl.Tensor:
    return F.linear(x, w, b).relu().sum()


@pytest.fixture
def captured() -> Program:
    return capture(network, bl.randn(6, 5), bl.randn(4, 5), bl.randn(4)).program


def test_all_parts_are_told(captured: Program) -> None:
    made = executable.build(captured, {}, {}, 1)
    shorter = Program(captured.name, captured.inputs, captured.instrs[:1], captured.outputs)
    told = explain.explain(captured, [("first", captured), ("second", shorter)], made)
    n = len(captured.instrs)
    assert told.passes == (("captured", n), ("first", n), ("second", 1))
    assert sum(k.calls for k in told.kernels) == len(made.tasks)
    assert sum(k.flops for k in told.kernels) == sum(t.flops for t in made.tasks) > 0
    assert all(k.bytes > 0 and k.seconds >= 0 for k in told.kernels)
    text = str(told)
    for part in (
        f"{captured.name}(float32[6, 5]",
        f"instructions: {n} captured -> {n} first -> 1 second",
        "by 1 worker",
        "memory: arena ",
        *(k.label for k in told.kernels),
    ):
        assert part in text
    assert repr(told) == text


def test_without_measurement_nothing_runs(captured: Program, monkeypatch) -> None:
    made = executable.build(captured, {}, {}, 1)
    monkeypatch.setattr(profile, "seconds", lambda *_: pytest.fail("measured"))
    assert explain.explain(captured, [], made, measure=False).seconds == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_measuring_leaves_the_state_alone(workers: int) -> None:
    def step(p: bl.Tensor, x: bl.Tensor) -> tuple[bl.Tensor, bl.Tensor]:
        return p - 0.1 * x, (p * x).sum()

    p, x = np.arange(12.0).reshape(3, 4), np.ones((3, 4))
    program = capture(step, bl.from_numpy(p), bl.from_numpy(x)).program
    block = p.copy()
    made = executable.build(program, {0: block}, {0: block}, workers)
    (first,) = made.run([x])
    after = block.copy()
    assert len(profile.seconds(made, repeats=2)) == len(made.tasks)
    np.testing.assert_array_equal(block, after)
    (second,) = made.run([x])
    np.testing.assert_allclose(first, p.sum())
    np.testing.assert_allclose(second, (p - 0.1).sum())
    np.testing.assert_allclose(block, p - 0.2)


def test_callbacks_are_listed_with_their_reason(request: pytest.FixtureRequest) -> None:
    class Foreign(Operator):
        """Twice its input."""

        exports = ""
        differentiable = False

        def infer(x):
            return Spec(x.shape, x.dtype)

        def forward(x):
            return 2 * x

    request.addfinalizer(lambda: REGISTRY.pop("foreign"))
    x, y = Value("x", (3,), bl.float32), Value("y", (3,), bl.float32)
    instr = Instr("foreign", (x,), (y,), line="mine.py:7", module="model.head")
    made = executable.build(Program("f", (x,), (instr,), (y,)), {}, {}, 1)
    told = explain.explain(made.program, [], made)
    (row,) = (c for c in told.callbacks if c.op == "foreign")
    assert row == explain.CallbackRow(
        "foreign", 1, "defined outside Backlit", ("mine.py:7 in model.head",)
    )
    assert "foreign x 1: defined outside Backlit (mine.py:7 in model.head)" in str(told)


def test_fused_instructions_are_named() -> None:
    x, y = Value("x", (3,), bl.float32), Value("y", (3,), bl.float32)
    z = Value("z", (3,), bl.float32)
    body = Program("body", (x,), (Instr("exp", (x,), (y,)), Instr("neg", (y,), (z,))), (z,))
    fused = Instr("fused", (x,), (z,), {"body": body})
    assert explain._fused(fused) == "exp, neg"
    long = Program("body", (x,), tuple(Instr("exp", (x,), (y,)) for _ in range(9)), (y,))
    named = explain._fused(Instr("fused", (x,), (y,), {"body": long}))
    assert named == "exp, exp, exp, exp, exp, exp and 3 more"
    assert explain._fused(None) == explain._fused(body.instrs[0]) == ""


@pytest.mark.parametrize("rung", range(6))
def test_each_rung_prints_with_those_below(rung: int, captured, monkeypatch, capsys) -> None:
    monkeypatch.setattr(bl.config.flags, "debug", rung)
    debug.say(debug.PROGRAM, "captured", captured)
    watch = debug.watch_passes()
    assert (watch is not None) == (rung >= 3)
    if watch:
        watch("simplify", captured)
    printed = capsys.readouterr().err
    assert ("--- captured ---" in printed) == (rung >= 2)
    assert ("--- after simplify ---" in printed) == (rung >= 3)
    assert str(captured) in printed or rung < 2


TITLES = ("kernels of step", "captured step", "after simplify", "LLVM IR of ", "assembly of ")


@pytest.mark.parametrize("rung", range(6))
def test_the_ladder_of_a_compiled_step(rung: int, tmp_path) -> None:
    script = """
import backlit as bl
@bl.compile
def step(x):
    return (x * x).tanh() + 1
for _ in range(2):
    step(bl.ones(5))
"""
    flags = {"BACKLIT_DEBUG": str(rung), "BACKLIT_CACHE": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=flags, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    for number, title in enumerate(TITLES, 1):
        assert (f"--- {title}" in done.stderr) == (number <= rung)
    assert done.stderr.count("--- kernels of") == min(rung, 1)  # once, not at every call
    assert ("define void @" in done.stderr) == (rung >= 4)


def test_explain_of_a_compiled_function() -> None:
    step = bl.compile(lambda x: (x * x).tanh() + 1)
    assert step.explain() is None
    step(bl.ones(5))
    told = step.explain()
    assert told.passes[0] == ("captured", 3) and told.seconds > 0
    assert told.callbacks == ()
