"""Trajectories written out in NumPy from the published formulas (float64, 1e-12)."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl

STEPS = 50
TARGET = np.array([1.0, -2.0, 0.5])
SCALE = np.array([1.0, 0.1, 3.0])


def gradient(x: np.ndarray) -> np.ndarray:
    return SCALE * (x - TARGET)


def trajectory(make) -> list[np.ndarray]:
    """Of sum(scale (x - target)^2) / 2 from zero, through autograd."""
    p = bl.nn.Parameter(bl.zeros(3, dtype=bl.float64))
    target, scale = bl.tensor(TARGET), bl.tensor(SCALE)
    optimizer, points = make([p]), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * scale * (p - target) ** 2).sum().backward()
        optimizer.step()
        points.append(p.detach().numpy().copy())
    return points


def check(make, expected: list[np.ndarray]) -> None:
    np.testing.assert_allclose(trajectory(make), expected, rtol=1e-12, atol=1e-12)


def test_gradient_descent_has_a_closed_form():
    """x_t = target (1 - (1 - lr scale)^t) from zero on a quadratic."""
    lr = 0.2
    expected = [TARGET * (1 - (1 - lr * SCALE) ** t) for t in range(1, STEPS + 1)]
    check(lambda p: bl.optim.SGD(p, lr=lr), expected)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_momentum(nesterov, decay):
    lr, mu = 0.1, 0.9
    x, v, expected = np.zeros(3), np.zeros(3), []
    for _ in range(STEPS):
        g = gradient(x) + decay * x
        v = mu * v + g
        x = x - lr * (g + mu * v if nesterov else v)
        expected.append(x)
    check(
        lambda p: bl.optim.SGD(p, lr=lr, momentum=mu, nesterov=nesterov, weight_decay=decay),
        expected,
    )


def test_momentum_on_a_quadratic_is_a_matrix_power():
    """(x, v) -> M (x, v) in each coordinate, so the trajectory is a power of a 2 by 2 matrix."""
    lr, mu = 0.1, 0.9
    expected = np.zeros((STEPS, 3))
    for i, a in enumerate(SCALE):
        matrix = np.array([[1 - lr * a, -lr * mu], [a, mu]])
        for t in range(STEPS):
            power = np.linalg.matrix_power(matrix, t + 1)
            expected[t, i] = (power @ np.array([-TARGET[i], 0.0]))[0] + TARGET[i]
    check(lambda p: bl.optim.SGD(p, lr=lr, momentum=mu), list(expected))


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_with_bias_correction(decoupled):
    """Kingma and Ba 2015, algorithm 1, with the decay of Loshchilov and Hutter 2019."""
    lr, b1, b2, eps, decay = 0.05, 0.9, 0.999, 1e-8, 0.1
    x, m, v, expected = np.zeros(3), np.zeros(3), np.zeros(3), []
    for t in range(1, STEPS + 1):
        g = gradient(x)
        if decoupled:
            x = x - lr * decay * x
        else:
            g = g + decay * x
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x = x - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        expected.append(x)
    optimizer = bl.optim.AdamW if decoupled else bl.optim.Adam
    check(lambda p: optimizer(p, lr=lr, betas=(b1, b2), eps=eps, weight_decay=decay), expected)


def test_adams_first_step_is_lr_in_every_coordinate():
    """Bias correction on: m' / sqrt(v') is the sign of the first gradient."""
    first = trajectory(lambda p: bl.optim.Adam(p, lr=0.01, eps=0.0))[0]
    np.testing.assert_allclose(first, -0.01 * np.sign(gradient(np.zeros(3))), rtol=1e-12)


def test_mini_batch_descent_finds_the_least_squares_solution():
    """Full batches converge to NumPy's lstsq; the same data in mini-batches comes near."""
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((64, 3)), rng.standard_normal(64)
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    for batch, lr, epochs, tolerance in ((64, 0.5, 400, 1e-10), (16, 0.05, 100, 0.05)):
        w = bl.nn.Parameter(bl.zeros(3, dtype=bl.float64))
        optimizer = bl.optim.SGD([w], lr=lr)
        for _ in range(epochs):
            for i in range(0, 64, batch):
                rows, targets = bl.tensor(x[i : i + batch]), bl.tensor(y[i : i + batch])
                optimizer.zero_grad()
                (((rows @ w - targets) ** 2).sum() / batch).backward()
                optimizer.step()
        np.testing.assert_allclose(w.detach().numpy(), solution, atol=tolerance)


def test_ema_is_the_weighted_sum_of_the_past():
    """average_t = d^t x_0 + (1 - d) sum d^(t-i) x_i."""
    values, decay = np.arange(1.0, 9.0) ** 2, 0.8
    p = bl.nn.Parameter(bl.tensor([values[0]], dtype=bl.float64))
    ema = bl.optim.EMA([p], decay=decay)
    for value in values[1:]:
        p.data = bl.tensor([value], dtype=bl.float64)
        ema.update()
    weights = (1 - decay) * decay ** np.arange(len(values))[::-1]
    weights[0] = decay ** (len(values) - 1)
    np.testing.assert_allclose(ema.averages[0].item(), weights @ values, rtol=1e-12)
