"""W12: the Hessian of the MLP's loss times a vector, by two walks back."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.nn import functional as F

from .common import Calls


class Program:
    def __init__(self, inputs: Any, spec: Any, mode: str):
        dtype = bl.float64 if mode == "ref64" else bl.float32
        x, y = inputs["x"].astype(dtype.numpy), inputs["y"]
        self.p = [bl.from_numpy(a.T).to(dtype).requires_grad_() for a in inputs.params.values()]
        self.v = [bl.from_numpy(inputs["v/" + k].T).to(dtype) for k in inputs.params]
        self.calls = Calls(mode, self.step, spec, [x, y])
        self.steps_per_call = self.calls.steps_per_call

    def reset(self) -> None:
        """The weights are fixed."""

    def loss(self, x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
        p = self.p
        h = F.relu(F.linear(x, p[0], p[1]))
        h = F.relu(F.linear(h, p[2], p[3]))
        return F.cross_entropy(F.linear(h, p[4], p[5]), y)

    def step(self, x: bl.Tensor, y: bl.Tensor) -> tuple:
        grads = bl.autograd.grad(self.loss(x, y), self.p, create_graph=True)
        return bl.autograd.grad(grads, self.p, self.v)

    def call(self, i: int) -> tuple:
        return self.calls(i)

    def fetch(self, product: tuple) -> np.ndarray:
        parts = [(a * b).reshape(*a.shape[: a.ndim - b.ndim], -1).sum(-1)
                 for a, b in zip(product, self.v)]  # fmt: skip
        return sum(parts[1:], parts[0]).numpy()

    @property
    def note(self) -> str:
        return self.calls.note


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Program:
    return Program(inputs, spec, mode)
