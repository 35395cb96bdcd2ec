"""Philox: published answers, and draws that do not depend on how they are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import random as rng

# Known answers of Philox4x32-10: counter and key of all zeros, of all ones, and digits of pi.
ANSWERS = [
    ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, 0xFFFFFFFFFFFFFFFF, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), 0x299F31D0A4093822,
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "seed", "answer"), ANSWERS)
def test_published_answers(counter, seed, answer):
    assert rng.philox(counter, seed) == answer
    arrays = tuple(np.full(3, c, np.uint64) for c in counter)
    assert [tuple(int(w[i]) for w in rng.philox(arrays, seed)) for i in range(3)] == [answer] * 3


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 2**40), st.lists(st.integers(0, 30), max_size=6))
def test_a_draw_may_be_cut_anywhere(seed, offset, pieces):
    whole = rng.words(seed, offset, sum(pieces))
    parts, at = [], offset
    for count in pieces:
        parts.append(rng.words(seed, at, count))
        at += count
    assert whole.tolist() == [w for p in parts for w in p.tolist()]


def test_dropout_repeats_its_mask_from_seed_and_offset():
    bl.manual_seed(3)
    x = bl.ones(1000, requires_grad=True)
    y = bl.nn.functional.dropout(x, 0.3)
    assert y.grad_fn.params == {"p": 0.3} and y.grad_fn.saved == {"seed": 3, "offset": 0}
    y.sum().backward()
    assert bool((x.grad == y.detach()).all())
    assert 0.6 < float((y > 0).float().mean()) < 0.8


def test_states_continue():
    bl.manual_seed(5)
    bl.rand(7)
    state = bl.get_rng_state()
    a = bl.randn(5)
    bl.set_rng_state(state)
    assert bool((a == bl.randn(5)).all())


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
def test_moments(dtype):
    bl.manual_seed(0)
    u, z = bl.rand(200_000, dtype=dtype), bl.randn(200_000, dtype=dtype)
    assert abs(u.mean().item() - 0.5) < 0.003 and 0 <= u.min().item() < u.max().item() < 1
    assert abs(z.mean().item()) < 0.01 and abs(z.std().item() - 1) < 0.01
    assert abs((z**3).mean().item()) < 0.03 and abs((z**4).mean().item() - 3) < 0.1
    counts = np.bincount(bl.randint(0, 10, (100_000,)).numpy(), minlength=10)
    assert np.abs(counts - 10_000).max() < 500
    assert sorted(bl.randperm(1000).tolist()) == list(range(1000))
    draws = bl.multinomial(bl.tensor([1.0, 3.0]), 40_000, replacement=True)
    assert abs(draws.float().mean().item() - 0.75) < 0.02
