"""Reading and writing by index in plans, and what only moves elements: as the operators do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.plans import executable
from backlit.compiler.pipeline import optimize
from backlit.errors import IndexOutOfRange
from backlit.nn import functional as F
from backlit.program import capture

X = np.random.default_rng(0).standard_normal((5, 7, 33)).astype(np.float32)
WHOLE = np.array([[3, 0, 3], [-1, 2, 0]])
ROWS = np.array([4, 0, 0, 2])
ALONG = np.random.default_rng(1).integers(0, 7, (4, 9, 33))


def put(x: bl.Tensor, i: bl.Tensor, add: bool = False) -> bl.Tensor:
    y = x.clone()
    values = x[:1].expand(2, 3, 7, 33) * bl.arange(6).reshape(2, 3, 1, 1)
    return y.index_put_((i,), values, accumulate=add)


READS: dict[str, tuple[Callable, np.ndarray]] = {
    "index": (lambda x, i: x[i], WHOLE),
    "index behind": (lambda x, i: x[:, 1:, i], WHOLE),
    "index twice": (lambda x, i: x[i, :, i.T.reshape(2, 3)], WHOLE),
    "index with steps": (lambda x, i: x.permute(2, 0, 1)[::3, None, i, 2], WHOLE),
    "gather": (lambda x, i: bl.gather(x.mT.mT, 1, i), ALONG),
    "gather narrow": (lambda x, i: bl.gather(x, 1, i[:, :2, ::5]), ALONG),
    "index_select": (lambda x, i: bl.index_select(x, 0, i), ROWS),
    "index_select last": (lambda x, i: bl.index_select(x, 2, i), ROWS),
    "embedding": (lambda x, i: F.embedding(i, x[0].T, padding_idx=2), ROWS),
    "one_hot": (lambda x, i: x[:4, 0, 0, None] * F.one_hot(i, 6), ROWS),
    "put": (put, WHOLE),
    "accumulate": (lambda x, i: put(x, i, True), WHOLE),
    "scatter": (lambda x, i: bl.scatter(x, 1, i[:, :3], x[:4, :3] * 2), ALONG),
    "scatter a number": (lambda x, i: bl.scatter(x, 1, i[:, :3], 7.0), ALONG),
    "scatter_add": (lambda x, i: bl.scatter_add(x, 1, i[:, :3], x[:4, :3] * 2), ALONG),
    "index_add": (lambda x, i: bl.index_add(x, 0, i, x[:4] * 3), ROWS),
}
MOVES: dict[str, Callable] = {
    "cat": lambda x: bl.cat([x, x[:, :3] * 2, x.permute(0, 1, 2)[:, :0]], 1),
    "cat channels last": lambda x: bl.cat([x.permute(0, 2, 1), x.permute(0, 2, 1) + 1], 1),
    "stack": lambda x: bl.stack([x, x + 1, x * 2], 2),
    "stack numbers": lambda x: bl.stack([x.sum(), x[0, 0, 0]]),
    "repeat": lambda x: x[:2, :2].repeat(2, 1, 3, 1),
    "pad": lambda x: F.pad(x, (1, 2, -1, 3), value=4.0),
    "pad by cutting": lambda x: F.pad(x, (-1, -2)),
    "flip": lambda x: x.flip((0, 2)),
    "roll": lambda x: x.roll((2, -40), (0, 2)),
    "pieces": lambda x: bl.cat([p * i for i, p in enumerate(x.split([1, 2, 4], 1))], 1),
    "slices": lambda x: x[::2, 1:5, 3] * 2,
    "diagonal": lambda x: bl.diag_embed(x[0], offset=1),
    "writes": lambda x: _written(x),
    "reflect": lambda x: F.pad(x, (3, 2), mode="reflect"),
}


def _written(x: bl.Tensor) -> bl.Tensor:
    y = x.clone()
    y[1:3, :, ::2] = x[2:4, :, :17] * 2
    y.T[3] += 1
    y[0] = 5.0
    return y


def check(step: Callable, *arrays: np.ndarray) -> executable.Executable:
    """Values and gradient of the first operand, on one and two threads."""

    def both(x: bl.Tensor, *rest: bl.Tensor) -> list:
        x.requires_grad_()
        y = step(x, *rest)
        weight = bl.arange(y.numel()).reshape(tuple(y.shape)).to(y.dtype) / y.numel()
        return [y, *bl.autograd.grad((y * weight).sum(), x)]

    tensors = [bl.from_numpy(a) for a in arrays]
    captured = capture(both, *tensors)
    one, two = (executable.build(optimize(captured.program), {}, {}, w) for w in (1, 2))
    results = one.run(list(captured.arrays)), two.run(list(captured.arrays))
    for found, again, expected in zip(*results, both(*map(bl.from_numpy, arrays))):
        np.testing.assert_array_equal(found, again)
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-6, atol=1e-6)
    return one


@pytest.mark.parametrize("name", READS)
def test_by_index(name: str, vector_width: int) -> None:
    step, index = READS[name]
    made = check(step, X, index)
    left = {t.label for t in made.tasks if t.implementation == "callback"}
    assert left <= {"arange", "last_write", "last_scatter"}


@pytest.mark.parametrize("name", MOVES)
def test_moves(name: str, vector_width: int) -> None:
    made = check(MOVES[name], X)
    assert not [t.label for t in made.tasks if t.implementation == "callback"]


def test_large_tables_share_the_work() -> None:
    rng = np.random.default_rng(2)
    table = rng.standard_normal((300, 128))
    check(lambda w, i: F.embedding(i, w), table, rng.integers(0, 300, (40, 50)))
    check(lambda w, i: w[i], table, rng.integers(-300, 300, 3000))


@pytest.mark.parametrize(
    "step",
    [
        lambda x, i: x[i],
        lambda x, i: F.embedding(i, x[0]),
        lambda x, i: bl.index_select(x, 0, i),
        lambda x, i: bl.gather(x, 0, i.reshape(-1, 1, 1)),
    ],
)
@pytest.mark.parametrize("wrong", [5000, -5001])
def test_an_index_out_of_range_is_raised_and_writes_nothing_astray(
    step: Callable, wrong: int
) -> None:
    index = np.array([0, 1])
    captured = capture(step, bl.from_numpy(X), bl.from_numpy(index))
    made = executable.build(captured.program, {}, {})
    good = made.run([X, index])
    with pytest.raises(IndexOutOfRange, match=f"index {wrong} is out of range for an axis"):
        made.run([X, np.array([0, wrong])])
    np.testing.assert_array_equal(made.run([X, index])[0], good[0])


WALKS: dict[str, Callable] = {
    "cumsum": lambda x: x.cumsum(1),
    "cumsum last": lambda x: x.cumsum(-1),
    "cumsum first": lambda x: x.mT.cumsum(0),
    "whole numbers": lambda x: x * (x * 10).round().long().cumsum(2),
    "tril": lambda x: x.tril(-1) + x.triu(2),
}


@pytest.mark.parametrize("name", WALKS)
def test_running_sums_and_triangles(name: str, vector_width: int) -> None:
    made = check(WALKS[name], X)
    assert not [t.label for t in made.tasks if t.implementation == "callback"]


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
def test_places_of_extremes(dtype: type, dim: int) -> None:
    x = np.random.default_rng(3).integers(-3, 4, (5, 7, 33)).astype(dtype)
    if dtype in (np.float32, np.float64):
        x[2, 3, 4:7] = np.nan
        x[0, 1] = np.inf
    step = lambda t: [t.argmax(dim), t.argmin(dim, keepdim=True)]
    captured = capture(step, bl.from_numpy(x))
    made = executable.build(optimize(captured.program), {}, {})
    for found, expected in zip(made.run([x]), step(bl.from_numpy(x))):
        np.testing.assert_array_equal(found, expected.numpy())
    assert not [t.label for t in made.tasks if t.implementation == "callback"]


def test_a_call_after_a_refused_one_is_as_good_as_new() -> None:
    def step(w: bl.Tensor, i: bl.Tensor) -> list:
        y = F.embedding(i, w.requires_grad_())
        return [y, *bl.autograd.grad((y * y).sum(), w)]

    table = np.arange(12.0).reshape(4, 3)
    captured = capture(step, bl.from_numpy(table), bl.from_numpy(ROWS % 4))
    made = executable.build(captured.program, {}, {})
    rest = list(captured.arrays[2:])
    good = made.run([table, ROWS % 4, *rest])
    with pytest.raises(IndexOutOfRange, match="embedding: index 9"):
        made.run([table, np.full(4, 9), *rest])
    for a, b in zip(made.run([table, ROWS % 4, *rest]), good):
        np.testing.assert_array_equal(a, b)
