"""W12: the Hessian of the MLP's loss times a vector, by two walks back."""

from __future__ import annotations

from typing import Any

import backlit as bl
from backlit.nn import functional as F


class Program:
    steps_per_call = 1

    def __init__(self, inputs: Any, spec: Any, mode: str):
        dtype = bl.float64 if mode == "ref64" else bl.float32
        self.x, self.y = bl.from_numpy(inputs["x"]).to(dtype), bl.from_numpy(inputs["y"])
        self.batch, self.batches = spec.batch, spec.n_batches
        self.p = [bl.from_numpy(a.T).to(dtype).requires_grad_() for a in inputs.params.values()]
        self.v = [bl.from_numpy(inputs["v/" + k].T).to(dtype) for k in inputs.params]

    def reset(self) -> None:
        """The weights are fixed."""

    def loss(self, x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
        p = self.p
        h = F.relu(F.linear(x, p[0], p[1]))
        h = F.relu(F.linear(h, p[2], p[3]))
        return F.cross_entropy(F.linear(h, p[4], p[5]), y)

    def call(self, i: int) -> tuple:
        first = i % self.batches * self.batch
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        grads = bl.autograd.grad(self.loss(x, y), self.p, create_graph=True)
        return bl.autograd.grad(grads, self.p, self.v)

    def fetch(self, product: tuple) -> float:
        return float(sum((a * b).sum().item() for a, b in zip(product, self.v)))


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Program:
    return Program(inputs, spec, mode)
