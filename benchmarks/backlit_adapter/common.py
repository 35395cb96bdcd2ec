"""The training loop that all workloads share, and how their arrays become parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn, optim
from backlit.nn import functional as F


def fill(model: nn.Module, arrays: Iterable[np.ndarray]) -> nn.Module:
    """Refill the parameters in order; dense weights come as (in, out)."""
    given = list(arrays)
    parameters = list(model.parameters())
    assert len(given) == len(parameters), f"{len(given)} arrays, {len(parameters)} parameters"
    for p, a in zip(parameters, given):
        array = a.T if a.ndim == 2 and p.ndim == 2 and a.shape == tuple(reversed(p.shape)) else a
        assert array.size == p.numel(), f"{array.shape} for {tuple(p.shape)}"
        p.data = bl.tensor(np.ascontiguousarray(array).reshape(tuple(p.shape)))
    return model


def optimizer(parameters: Iterable[bl.Tensor], o: dict[str, Any]) -> optim.Optimizer:
    """The optimizer of a workload."""
    if o["kind"] == "sgd":
        return optim.SGD(parameters, lr=o["lr"], momentum=o["momentum"], nesterov=o["nesterov"],
                         weight_decay=o["wd"])  # fmt: skip
    made = optim.AdamW if o["decoupled"] else optim.Adam
    return made(parameters, lr=o["lr"], betas=(o["b1"], o["b2"]), eps=o["eps"],
                weight_decay=o["wd"])  # fmt: skip


class Calls:
    """How a step is called: by Python (eager), compiled, or many steps a call (epoch).

    `arrays` hold all samples; step s sees rows [s % n_batches * batch, + batch) of each.
    """

    def __init__(self, mode: str, step: Callable[..., Any], spec: Any, arrays: list[np.ndarray]):
        self.compiled = None if mode in ("eager", "ref64") else bl.compile(step)
        self.step = self.compiled or step
        self.many = mode == "epoch"
        self.steps_per_call = spec.scan if self.many else 1
        if self.many and spec.n_batches == 1:  # the same minibatch all the time
            arrays = [np.tile(a, (spec.scan, *[1] * (a.ndim - 1))) for a in arrays]
        elif self.many:
            self.steps_per_call = min(spec.scan, spec.n_batches)
        shape = (self.steps_per_call, spec.batch) if self.many else (spec.batch,)
        rows = math.prod(shape)
        count = max(1, len(arrays[0]) // rows) if arrays else 1
        self.parts = [
            [
                bl.from_numpy(a[k * rows : (k + 1) * rows].reshape(*shape, *a.shape[1:]))
                for a in arrays
            ]
            for k in range(count)
        ]

    def __call__(self, i: int) -> Any:
        part = self.parts[i // self.steps_per_call % len(self.parts)]
        if not self.many:
            return self.step(*part)
        return self.step.loop(*part, steps=self.steps_per_call)

    @property
    def note(self) -> str:
        """What still runs in Python, for the table."""
        if self.compiled is None:
            return ""
        told = self.compiled.explain(measure=False)
        return "; ".join(f"{c.op} x {c.calls}" for c in told.callbacks)


class State:
    """Tensors as they are now, to go back to."""

    def __init__(self, tensors: Iterable[bl.Tensor]):
        self.initial = [(t, t.detach().clone()) for t in tensors]

    def restore(self) -> None:
        with bl.no_grad():
            for t, value in self.initial:
                t.copy_(value)


class Trainer:
    """One step: forward, backward, update."""

    def __init__(self, inputs: Any, spec: Any, model: nn.Module, loss: Callable[..., Any],
                 mode: str, dtype: str):  # fmt: skip
        x, y = inputs["x"], inputs["y"]
        if mode == "ref64":
            model, x = model.double(), x.astype(np.float64)
            y = y.astype(np.float64) if y.dtype == np.float32 else y
        model.train()
        rule = optimizer(model.parameters(), spec.opt)
        moments = [t for kept in rule.state.values() for t in kept.values()]
        self.state = State([*model.parameters(), *model.buffers(), *moments])

        def step(x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
            if dtype == "bf16":
                with bl.autocast("cpu", bl.bfloat16):
                    value = loss(model, x, y)
            else:
                value = loss(model, x, y)
            value.backward()
            rule.step()
            rule.zero_grad()
            return value.detach()

        self.calls = Calls(mode, step, spec, [x, y])
        self.steps_per_call = self.calls.steps_per_call

    def reset(self) -> None:
        self.state.restore()

    def call(self, i: int) -> Any:
        return self.calls(i)

    def fetch(self, losses: bl.Tensor) -> np.ndarray:
        return losses.numpy()

    @property
    def note(self) -> str:
        return self.calls.note


def classifier(inputs: Any, spec: Any, model: nn.Module, mode: str, dtype: str) -> Trainer:
    """Cross-entropy of the model's logits."""
    return Trainer(inputs, spec, model, lambda m, x, y: F.cross_entropy(m(x), y), mode, dtype)
