"""The hint to use bl.scan: where a loop was written out many times, and nowhere else."""

import warnings

import pytest

import backlit as bl
from backlit import nn
from backlit.compiler import unrolled as module
from backlit.compiler.unrolled import MOST, unrolled
from backlit.program import capture


def steps(count):
    w = bl.ones(2, 2, requires_grad=True)

    def step(x):
        h = x
        for _ in range(count):
            h = (h @ w).tanh()
            h = h * 0.5 + x
        return bl.autograd.grad(h.sum(), w)

    return step


def test_a_loop_is_found_with_its_length():
    line, count = unrolled(capture(steps(100), bl.ones(1, 2)).program)
    assert count == 100 and line.startswith("test_unrolled.py:")
    assert unrolled(capture(steps(MOST), bl.ones(1, 2)).program) is None


def test_what_is_no_such_loop():
    layers = nn.Sequential(*[nn.Linear(2, 2) for _ in range(MOST + 9)])
    assert unrolled(capture(layers, bl.ones(1, 2)).program) is None  # other weights at every step

    def independent(x):
        return bl.stack([x * i for i in range(MOST + 9)])

    assert unrolled(capture(independent, bl.ones(2)).program) is None

    def scanned(x):
        return bl.scan(lambda h, _: (h.tanh(), None), x, length=MOST + 9)[0]

    assert unrolled(capture(scanned, bl.ones(2)).program) is None


def test_one_hint_a_line():
    module._told.clear()
    with pytest.warns(UserWarning, match=r"test_unrolled.py:\d+ was captured as 80 equal steps"):
        bl.compile(steps(80))(bl.ones(1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bl.compile(steps(80))(bl.ones(2, 2))
