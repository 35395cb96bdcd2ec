"""Newton's method for convex problems that come in rows: a few iterations, to the last digits.

Each row of the weights has a loss of its own, so that the Hessian falls into blocks. It is never
written down: conjugate gradients ask for its products with vectors, which are gradients of
gradients. Nocedal and Wright 2006, section 7.1. For L-BFGS see descent.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import backlit as bl
from backlit import nn
from backlit.estimators.descent import Step
from backlit.tensor import Tensor

LEAST_GAIN = 1e-4  # of what the slope promises, for a step to be taken (Armijo)
HALVINGS = 30


class Newton:
    """Rows W (rows, features) that minimize `losses(W, *data)` (rows,), from zero.

    Ends when no slope is above `tol`, when rounding hides the descent, or, `cut_short`, at
    `max_iter`. `values` is W, `slope` the largest slope left, `iterations` how many it took.
    """

    def __init__(
        self,
        losses: Callable[..., Tensor],
        shape: tuple[int, int],
        data: Sequence[np.ndarray],
        *,
        tol: float,
        max_iter: int,
        report: Callable[[int, float], None],
    ) -> None:
        self.weight = nn.Parameter(bl.zeros(*shape, dtype=bl.float64))
        self.data = [bl.from_numpy(d) for d in data]
        self.evaluate, self.product = Step(self._evaluation(losses)), Step(self._product(losses))
        self.values, self.iterations, self.cut_short = np.zeros(shape), 0, False
        loss, grad = self._at(self.values)
        while (slope := float(np.abs(grad).max())) > tol:
            if self.iterations == max_iter:
                self.cut_short = True
                break
            direction = self._direction(grad)
            new, loss, grad, moved = self._walk(loss, grad, direction)
            self.values = new
            self.iterations += 1
            report(self.iterations, float(loss.sum()))
            if not moved:
                break
        self.slope = slope

    def _evaluation(self, losses: Callable[..., Tensor]) -> Callable[..., dict[str, Tensor]]:
        weight = self.weight

        def evaluate(at: Tensor, *data: Tensor) -> dict[str, Tensor]:
            with bl.no_grad():
                weight.copy_(at)
            found = losses(weight, *data)
            (grad,) = bl.autograd.grad(found.sum(), weight)
            return {"loss": found.detach(), "grad": grad}

        return evaluate

    def _product(self, losses: Callable[..., Tensor]) -> Callable[..., Tensor]:
        weight = self.weight

        def product(at: Tensor, vector: Tensor, *data: Tensor) -> Tensor:
            with bl.no_grad():
                weight.copy_(at)
            (grad,) = bl.autograd.grad(losses(weight, *data).sum(), weight, create_graph=True)
            (found,) = bl.autograd.grad((grad * vector).sum(), weight)
            return found

        return product

    def _at(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self.evaluate(bl.from_numpy(values), *self.data)
        return found["loss"].numpy(), found["grad"].numpy()

    def _direction(self, grad: np.ndarray) -> np.ndarray:
        """H p = -g by conjugate gradients, the more exactly the nearer the optimum."""
        at = bl.from_numpy(self.values)
        size = np.linalg.norm(grad, axis=1)
        enough = np.minimum(0.1, np.sqrt(size)) * size
        found, rest = np.zeros_like(grad), -grad
        along, square = rest.copy(), (rest**2).sum(1)
        for _ in range(grad.shape[1]):
            going = np.sqrt(square) > enough
            if not going.any():
                break
            bent = self.product(at, bl.from_numpy(along), *self.data).numpy()
            curvature = (along * bent).sum(1)
            step = np.where(going, square / np.where(going, curvature, 1.0), 0.0)[:, None]
            found, rest = found + step * along, rest - step * bent
            before, square = square, np.where(going, (rest**2).sum(1), square)
            along = rest + (square / np.maximum(before, 1e-300))[:, None] * along
        return found

    def _walk(
        self, loss: np.ndarray, grad: np.ndarray, direction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
        """Each row as far as its loss falls; whether any could move."""
        promised = (grad * direction).sum(1)
        share = np.ones(len(loss))
        for _ in range(HALVINGS):
            new = self.values + share[:, None] * direction
            new_loss, new_grad = self._at(new)
            # Near the optimum losses are equal to the last digit; slopes still tell.
            flat = np.abs(new_grad).max(1) <= np.abs(grad).max(1) / 2
            good = (new_loss <= loss + LEAST_GAIN * share * promised) | flat | (share == 0)
            if good.all():
                return new, new_loss, new_grad, bool(share.any())
            share = np.where(good, share, share / 2)
        return self.values, loss, grad, False
