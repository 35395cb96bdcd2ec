"""L-BFGS and its line search: against PyTorch, and against what theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit.optim.line_search import Point, cubic_minimum, strong_wolfe

RNG = np.random.default_rng(5)
X, LABELS = RNG.standard_normal((30, 4)), RNG.integers(0, 3, 30)
START = [RNG.standard_normal((4, 3)), RNG.standard_normal(3), np.array([-1.2, 1.0])]


def losses(lib, steps, **options):
    """Of a classifier plus Rosenbrock's function, one entry for each evaluation."""
    w, b, v = (lib.nn.Parameter(lib.from_numpy(value.copy())) for value in START)
    x, onehot = lib.from_numpy(X), lib.from_numpy(np.eye(3)[LABELS])
    optimizer, seen = lib.optim.LBFGS([w, b, v], **options), []

    def closure():
        optimizer.zero_grad()
        scores = lib.tanh(x @ w) + b
        loss = -(lib.log_softmax(scores, 1) * onehot).sum() / len(X)
        loss = loss + (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2
        loss.backward()
        seen.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return np.array(seen), optimizer


@pytest.mark.torch
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.001},
        {"lr": 0.01, "history_size": 3, "max_iter": 7},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "max_eval": 3},
        {"line_search_fn": "strong_wolfe", "lr": 100.0},
        {"line_search_fn": "strong_wolfe", "lr": 1e-4},
    ],
)
def test_evaluations_equal_pytorchs(options, torch):
    """Rounding grows a thousandfold in some steps, so only the first evaluations agree to 1e-9."""
    ours, optimizer = losses(bl, 3, **options)
    theirs, other = losses(torch, 3, **options)
    count = min(25, len(theirs))
    np.testing.assert_allclose(ours[:count], theirs[:count], rtol=1e-9)
    state = optimizer.state_dict()["state"][0]
    assert set(other.state_dict()["state"][0]) - {"al"} == set(state)
    assert state["func_evals"] == len(ours)


def test_a_quadratic_is_solved_in_few_iterations():
    a = RNG.standard_normal((6, 6))
    matrix, goal = a @ a.T + np.eye(6), RNG.standard_normal(6)
    p = bl.nn.Parameter(bl.zeros(6, dtype=bl.float64))
    optimizer = bl.optim.LBFGS(
        [p], max_iter=60, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * (p @ bl.tensor(matrix) @ p) - (bl.tensor(goal) * p).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), np.linalg.solve(matrix, goal), atol=1e-6)


def test_a_resumed_run_is_the_same_run(tmp_path):
    def run(resume):
        p = bl.nn.Parameter(bl.from_numpy(START[2].copy()))
        optimizer = bl.optim.LBFGS([p], lr=0.5, max_iter=4, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
            loss.backward()
            return loss

        optimizer.step(closure)
        if resume:
            bl.save([optimizer.state_dict(), p.detach()], tmp_path / "state")
            saved, value = bl.load(tmp_path / "state")
            p = bl.nn.Parameter(value)
            optimizer = bl.optim.LBFGS([p], lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
            optimizer.load_state_dict(saved)
        optimizer.step(closure)
        return p.detach().tolist()

    assert run(True) == run(False)


def test_bad_use_is_refused():
    a, b = bl.nn.Parameter(bl.ones(1)), bl.nn.Parameter(bl.ones(1))
    with pytest.raises(ValueError, match="one group"):
        bl.optim.LBFGS([{"params": [a]}, {"params": [b]}])
    with pytest.raises(ValueError, match="strong_wolfe"):
        bl.optim.LBFGS([a], line_search_fn="armijo")
    with pytest.raises(ValueError, match="closure"):
        bl.optim.LBFGS([a]).step()


def test_parameters_without_gradient_do_not_move():
    a, b = bl.nn.Parameter(bl.ones(2)), bl.nn.Parameter(bl.ones(3))
    optimizer = bl.optim.LBFGS([a, b])

    def closure():
        optimizer.zero_grad()
        loss = (a**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert b.tolist() == [1.0, 1.0, 1.0] and abs(a.detach()).max().item() < 1e-3


FUNCTIONS = {
    "parabola": (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "quartic": (lambda t: (t - 0.01) ** 4, lambda t: 4 * (t - 0.01) ** 3),
    "waves": (lambda t: math.sin(3 * t) - t, lambda t: 3 * math.cos(3 * t) - 1),
    "well": (lambda t: -1 / (1 + (t - 2) ** 2), lambda t: 2 * (t - 2) / (1 + (t - 2) ** 2) ** 2),
}


@pytest.mark.parametrize("name", ["parabola", "quartic", "well"])
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 50.0])
def test_the_line_search_ends_where_both_wolfe_conditions_hold(name, first):
    value, slope = FUNCTIONS[name]

    def evaluate(t):
        return Point(t, value(t), slope(t), None)

    start = evaluate(0.0)
    point, count = strong_wolfe(evaluate, start, first, scale=1.0)
    assert point.value <= start.value + 1e-4 * point.t * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope) and count <= 26


def test_the_line_search_gives_the_lowest_point_when_it_may_not_go_on():
    calls = []

    def evaluate(t):
        calls.append(t)
        return Point(t, math.exp(-t), -math.exp(-t) * 1.0, None)

    start = evaluate(0.0)
    point, count = strong_wolfe(evaluate, start, 1e-6, scale=1.0, max_ls=3)
    assert count == 4 and point.t == calls[-1]
    overflow = strong_wolfe(
        lambda t: Point(t, math.inf, math.nan, None), start, 1.0, scale=1.0, max_ls=8
    )
    assert overflow[0].t == 0.0


def test_a_cubic_is_minimized_exactly():
    def point(t):
        return Point(t, t**3 - 3 * t, 3 * t**2 - 3, None)

    assert cubic_minimum(point(0.0), point(3.0)) == pytest.approx(1.0, abs=1e-12)
    assert cubic_minimum(point(3.0), point(0.0)) == pytest.approx(1.0, abs=1e-12)
    assert cubic_minimum(point(2.0), point(3.0)) == 2.0
    assert cubic_minimum(Point(0.0, 0.0, 0.0, None), Point(1.0, 0.0, 0.0, None)) == 0.5
