"""Plans as a whole: places, sharing in place, state in blocks, the driver, callbacks."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.backends import reference
from backlit.backends.cpu.loops import elementwise
from backlit.backends.cpu.native.words import ELEMENTS
from backlit.backends.cpu.plans import executable, lower
from backlit.backends.cpu.plans.plan import Plan, Task
from backlit.ops.op import REGISTRY
from backlit.program import capture, parse
from backlit.program.ir import Instr, Value


def lower_flat(plan: Plan, instr: Instr):
    """An elementwise operator on flat memory, by the kernel of eager mode."""
    op = REGISTRY[instr.op]
    places = [plan.dense(x) for x in instr.inputs if isinstance(x, Value)]
    out = instr.outputs[0]
    if len(places) != len(instr.inputs) or any(p.shape != out.shape for p in places):
        return NotImplemented
    element = ELEMENTS[places[0].dtype]
    numbers = (False,) * len(places)
    address = elementwise.address_of(op, None, plan.machine, element, numbers, ())
    y = plan.result(out)
    pairs = tuple((p, y) for p in places)
    chunks = -(-y.size // elementwise.BLOCK)
    plan.add(Task(instr.op, address, [y, y.size, *places], chunks, tuple(places), (y,), pairs))
    return None


@pytest.fixture
def native(monkeypatch):
    monkeypatch.setattr(lower, "LOWERINGS", {})
    monkeypatch.setattr(lower, "ELEMENTWISE", ("flat", "lower"))
    load = lower._load
    monkeypatch.setattr(
        lower, "_load", lambda module, name: lower_flat if module == "flat" else load(module, name)
    )


def program_of(function, *shapes):
    made = [bl.randn(*s) for s in shapes]
    found = capture(function, *made)
    return found.program, [np.array(a) for a in found.arrays]


def chain(x, y):
    h = bl.tanh(x) * y
    return h + bl.relu(h - x), h.sum(), bl.exp(h.T)[1:]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shape", [(300, 400), (17, 31), (1, 3), (3, 0)])
def test_a_program_runs_as_the_reference_does(native, shape, workers):
    program, arrays = program_of(chain, shape, shape)
    made = executable.build(program, {}, {}, workers)
    for _ in range(3):
        for found, expected in zip(made.run(arrays), reference.run(program, arrays)):
            np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    assert made.arena_bytes <= made.sum_bytes + 64 * len(made.tasks)
    assert made.workers == (workers if shape == (300, 400) else 1)


def test_the_number_of_threads_changes_no_bit(native):
    program, arrays = program_of(chain, (400, 500), (400, 500))
    one, two = (executable.build(program, {}, {}, w).run(arrays) for w in (1, 2))
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a, b)


COUNTER = """
program step(p: float32[1000], m: float32[1000], g: float32[1000]):
  m1: float32[1000] = mul(m, g)
  p1: float32[1000] = sub(p, m1)
  s: float32[] = sum(p, dims=(0,), keepdim=False)
  return p1, m1, s
"""


def state(text):
    program = parse(text)
    rng = np.random.default_rng(0)
    return program, [rng.random(v.shape, np.float32) for v in program.inputs]


def test_state_stays_in_its_blocks_and_is_updated_in_place(native):
    program, (p, m, g) = state(COUNTER)
    blocks = [p.copy(), m.copy()]
    made = executable.build(program, dict(enumerate(blocks)), dict(enumerate(blocks)))
    for _ in range(4):
        (s,) = made.run([g])
        p1, m1, expected = reference.run(program, [p, m, g])
        np.testing.assert_allclose(s, expected, rtol=1e-5)
        p, m = p1, m1
        np.testing.assert_allclose(blocks[0], p, rtol=1e-5)
        np.testing.assert_allclose(blocks[1], m, rtol=1e-5)


def test_a_loop_of_steps_is_the_steps_one_by_one(native):
    program, (p, m, _) = state(COUNTER)
    gs = np.random.default_rng(1).random((5, 1000), np.float32)
    one, many = [p.copy(), m.copy()], [p.copy(), m.copy()]
    single = executable.build(program, dict(enumerate(one)), dict(enumerate(one)))
    looped = executable.build(program, dict(enumerate(many)), dict(enumerate(many)))
    expected = [single.run([g])[0] for g in gs]
    (found,) = looped.loop([gs], [True], 5)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(one, many)


SWAP = """
program swap(a: float32[4], b: float32[4]):
  t: float32[4] = add(a, b)
  return b, a, t, a, 3
"""


def test_cells_that_trade_places(native):
    program, (a, b) = state(SWAP)
    blocks = [a.copy(), b.copy()]
    made = executable.build(program, dict(enumerate(blocks)), dict(enumerate(blocks)))
    t, old, three = made.run([])
    np.testing.assert_array_equal(t, a + b)
    np.testing.assert_array_equal(old, a)
    np.testing.assert_array_equal(blocks, [b, a])
    assert three == 3


def test_an_error_in_a_callback_reaches_the_caller():
    program = parse("program f(x: float32[3, 3]):\n"
                    "  l: float32[3, 3] = cholesky(x)\n  return l")  # fmt: skip
    made = executable.build(program, {}, {})
    with pytest.raises(Exception, match="positive"):
        made.run([-np.eye(3, dtype=np.float32)])
    np.testing.assert_array_equal(made.run([np.eye(3, dtype=np.float32)])[0], np.eye(3))


def test_results_that_someone_holds_are_never_written_again(native):
    program, (x, y) = program_of(lambda x, y: bl.tanh(x) * y, (50, 60), (50, 60))
    made = executable.build(program, {}, {})
    held = made.run([x, y])[0]
    window = made.run([y, x])[0][3:]
    before = held.copy(), window.copy()
    address = made.run([x + 1, y])[0].ctypes.data
    assert made.run([x, y + 1])[0].ctypes.data == address  # nobody held that one
    np.testing.assert_array_equal(held, before[0])
    np.testing.assert_array_equal(window, before[1])
