"""The training loop that all workloads share, and how their arrays become parameters."""

from __future__ import annotations

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


class Trainer:
    """One call is one step: forward, backward, update."""

    steps_per_call = 1

    def __init__(self, inputs: Any, spec: Any, model: nn.Module, loss: Callable[..., Any],
                 mode: str):  # fmt: skip
        x, y = bl.from_numpy(inputs["x"]), bl.from_numpy(inputs["y"])
        if mode == "ref64":
            model, x = model.double(), x.double()
            y = y.double() if y.is_floating_point() else y
        model.train()
        self.x, self.y, self.batch, self.batches = x, y, spec.batch, spec.n_batches
        self.model, self.loss, self.rule = model, loss, spec.opt
        tensors = [*model.parameters(), *model.buffers()]
        self.initial = [(t, t.detach().clone()) for t in tensors]
        self.reset()

    def reset(self) -> None:
        with bl.no_grad():
            for t, value in self.initial:
                t.copy_(value)
        self.optimizer = optimizer(self.model.parameters(), self.rule)

    def call(self, i: int) -> bl.Tensor:
        first = i % self.batches * self.batch
        x, y = self.x[first : first + self.batch], self.y[first : first + self.batch]
        self.optimizer.zero_grad()
        loss = self.loss(self.model, x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def fetch(self, loss: bl.Tensor) -> float:
        return loss.item()


def classifier(inputs: Any, spec: Any, model: nn.Module, mode: str) -> Trainer:
    """Cross-entropy of the model's logits."""
    return Trainer(inputs, spec, model, lambda m, x, y: F.cross_entropy(m(x), y), mode)
