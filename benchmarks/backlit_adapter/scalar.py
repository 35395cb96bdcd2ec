"""W11: a thousand scalar gates, each an operator of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl

from .common import Calls, State


class Program:
    """Value, gradient by the ten inputs, and a step down."""

    def __init__(self, inputs: Any, spec: Any, mode: str):
        dtype = bl.float64 if mode == "ref64" else bl.float32
        self.gates = list(zip(*(inputs[k].tolist() for k in ("op", "a", "b"))))
        self.x = [bl.tensor(float(v), dtype=dtype, requires_grad=True) for v in inputs.params["x0"]]
        self.state = State(self.x)
        self.rate, self.target = spec.opt["lr"], spec.extra["target"]
        self.calls = Calls(mode, self.step, spec, [])
        self.steps_per_call = self.calls.steps_per_call

    def reset(self) -> None:
        self.state.restore()

    def value(self) -> bl.Tensor:
        v = list(self.x)
        for kind, i, j in self.gates:
            if kind == 0:
                v.append(v[i] + v[j])
            elif kind == 1:
                v.append(v[i] * v[j])
            elif kind == 2:
                v.append(bl.tanh(v[i]))
            else:
                v.append(v[i] - v[j])
        total = v[-20]
        for k in range(-19, 0):
            total = total + v[k]
        out = total * 0.05 - self.target
        return out * out * 0.5

    def step(self) -> bl.Tensor:
        loss = self.value()
        grads = bl.autograd.grad(loss, self.x)
        with bl.no_grad():
            for x, g in zip(self.x, grads):
                x -= self.rate * g
        return loss.detach()

    def call(self, i: int) -> bl.Tensor:
        return self.calls(i)

    def fetch(self, losses: bl.Tensor) -> np.ndarray:
        return losses.numpy()

    @property
    def note(self) -> str:
        return self.calls.note


def build(inputs: Any, spec: Any, mode: str, dtype: str, threads: int) -> Program:
    return Program(inputs, spec, mode)
