"""`out=`: results go into tensors that are there, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentTypeError, DTypeError, GradError, ShapeError

CALLS = {
    "maximum": lambda t, x, out: t.maximum(x, x.flip(0), out=out),
    "max of two": lambda t, x, out: t.max(x, x.flip(0), out=out),
    "add": lambda t, x, out: t.add(x, 2, out=out),
    "scaled add": lambda t, x, out: t.add(x, x, alpha=3, out=out),
    "exp": lambda t, x, out: t.exp(x, out=out),
    "matmul": lambda t, x, out: t.matmul(x, x, out=out),
    "cat": lambda t, x, out: t.cat([x[:1], x[1:]], out=out),
    "clamp": lambda t, x, out: t.clamp(x, min=0, out=out),
    "where": lambda t, x, out: t.where(x > 0, x, x * 2, out=out),
    "cumsum": lambda t, x, out: t.cumsum(x, 0, out=out),
    "sum": lambda t, x, out: t.stack([x.sum(0)] * 3, out=out),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_result_is_written_and_returned(name):
    x, call = bl.randn(3, 3), CALLS[name]
    out = bl.full((3, 3), 9.0)
    alias = out.view(-1)
    assert call(bl, x, out) is out
    assert bl.equal(out, call(bl, x, None)) and bl.equal(alias, out.reshape(-1))
    rows = bl.zeros(2, 3, 3)
    call(bl, x, rows[1])  # through a view
    assert bl.equal(rows[1], out) and not rows[0].any()
    assert call(bl, x, x) is x and bl.equal(x, out)  # over its own input


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).standard_normal((3, 3)).astype(np.float32)
    ours, theirs = bl.zeros(3, 3), torch.zeros(3, 3)
    CALLS[name](bl, bl.tensor(x), ours)
    CALLS[name](torch, torch.tensor(x), theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_several_results_go_into_several_tensors():
    values, indices = bl.zeros(2), bl.zeros(2, dtype=bl.int64)
    found = bl.max(bl.tensor([[1.0, 3.0], [5.0, 4.0]]), dim=1, out=(values, indices))
    assert found.values is values and found.indices is indices
    assert values.tolist() == [3, 5] and indices.tolist() == [1, 0]
    with pytest.raises(ArgumentTypeError, match="2 results for 1 in out="):
        bl.max(bl.ones(2, 2), dim=1, out=values)


def test_what_does_not_fit_is_refused_and_loses_nothing():
    x, out = bl.ones(2), bl.zeros(3)
    with pytest.raises(ShapeError, match=r"add: a result of \(2,\) does not fit out= of \(3,\)"):
        bl.add(x, x, out=out)
    whole = bl.zeros(2, dtype=bl.int64)
    with pytest.raises(DTypeError, match=r"float32 can't be written into out= of int64"):
        bl.add(x, x, out=whole)
    with pytest.raises(ArgumentTypeError, match="out= takes tensors, not list"):
        bl.add(x, x, out=[[0.0, 0.0]])
    w = bl.ones(2, requires_grad=True)
    for call in (lambda: bl.add(w, x, out=bl.zeros(2)), lambda: bl.add(x, x, out=w),
                 lambda: bl.cat([x, w], out=bl.zeros(4))):  # fmt: skip
        with pytest.raises(GradError, match="no gradient is recorded"):
            call()
    assert not out.any() and not whole.any() and w.tolist() == [1, 1]
    with bl.no_grad():
        assert bl.mul(w, 3, out=w) is w and w.tolist() == [3, 3] and w.requires_grad
