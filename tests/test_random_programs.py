"""Random programs of views, in-place methods and arithmetic, against PyTorch: values, gradients.

A program is drawn by a seed, so that a failure can be run again. Each step is written once and
runs in both libraries. Where PyTorch refuses the backward pass because a saved value was changed,
only the values are compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl

torch = pytest.importorskip("torch")

Step = Callable[[Any, list], Any]  # (library, tensors so far) -> a new tensor, or None in place

VIEWS = {
    "flatten": lambda x: x.flatten(),
    "reshape": lambda x: x.reshape(-1),
    "transpose": lambda x: x.transpose(0, -1) if x.ndim else x.view(1),
    "first": lambda x: x[0] if x.ndim else x[None],
    "last": lambda x: x[..., -1:] if x.ndim else x.unsqueeze(0),
    "every second": lambda x: x[::2] if x.ndim else x.reshape(1, 1),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "expand": lambda x: x.expand(2, *x.shape),
    "diagonal": lambda x: x.diagonal() if x.ndim == 2 else x[...],
    "detach": lambda x: x.detach(),
    "movedim": lambda x: x.movedim(0, -1) if x.ndim else x.clone(),
}
UNARY = {
    "sin": lambda x: x.sin(),
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "log": lambda x: (x.abs() + 1).log(),
    "square": lambda x: x**2,
    "sum": lambda x: x.sum(0) if x.ndim else x * 2,
    "mean": lambda x: x.mean(-1, keepdim=True) if x.ndim else x / 2,
    "softmax": lambda x: x.softmax(-1) if x.ndim else x.exp(),
    "cumsum": lambda x: x.cumsum(0) if x.ndim else -x,
    "max": lambda x: x.amax(),
    "clone": lambda x: x.clone(),
}
BINARY = {
    "add": lambda ns, a, b: a + b,
    "mul": lambda ns, a, b: a * b,
    "div": lambda ns, a, b: a / (b * b + 1),
    "where": lambda ns, a, b: ns.where(a > b, a, b * 2),
    "maximum": lambda ns, a, b: ns.maximum(a, b),
}
IN_PLACE = {
    "add_": lambda a, b: a.add_(b),
    "sub_": lambda a, b: a.sub_(b, alpha=0.5),
    "mul_": lambda a, b: a.mul_(b),
    "tanh_": lambda a, b: a.tanh_(),
    "clamp_": lambda a, b: a.clamp_(-0.8, 0.9),
    "copy_": lambda a, b: a.copy_(b),
    "a[0] = b[0]": lambda a, b: a.__setitem__(0, b[0] if b.ndim == a.ndim else b),
    "a[..., 1:] *= 3": lambda a, b: a[..., 1:].mul_(3.0),
    "a[a > 0] = -1": lambda a, b: a.__setitem__(a > 0, -1.0) if a.ndim else a.neg_(),
}


def broadcasts(a: tuple, b: tuple) -> tuple | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def is_expanded(tensor: Any) -> bool:
    return any(n > 1 and step == 0 for n, step in zip(tensor.shape, tensor.stride()))


def draw_step(r: random.Random, tensors: list) -> tuple[str, Step]:
    """One step that fits the shapes of the tensors so far."""
    i = r.randrange(len(tensors))
    shape = tuple(tensors[i].shape)
    kind = r.choice(["view", "unary", "binary", "in place", "in place"])
    if kind == "view" or kind == "unary":
        table = VIEWS if kind == "view" else UNARY
        name = r.choice(sorted(table))
        return f"{name} t{i}", lambda ns, ts: table[name](ts[i])
    if kind == "in place" and is_expanded(tensors[i]):
        kind = "binary"  # both refuse to write to it, PyTorch not always
    meets = [j for j, t in enumerate(tensors) if broadcasts(shape, tuple(t.shape)) is not None]
    if kind == "binary":
        j, name = r.choice(meets), r.choice(sorted(BINARY))
        return f"{name} t{i} t{j}", lambda ns, ts: BINARY[name](ns, ts[i], ts[j])
    fits = [j for j in meets if broadcasts(shape, tuple(tensors[j].shape)) == shape]
    j, name = r.choice(fits), r.choice(sorted(IN_PLACE))

    def change(ns: Any, ts: list) -> None:
        IN_PLACE[name](ts[i], ts[j].clone())  # PyTorch refuses operands that overlap

    return f"{name} t{i} t{j}", change


def start(r: random.Random) -> tuple[list, list]:
    """Leaves, and products of them that may be changed in place."""
    theirs, ours = [], []
    for _ in range(r.randint(1, 3)):
        shape = r.choice([(2, 3), (3,), (3, 3), (2, 1, 3), (), (1, 3)])
        values = np.random.default_rng(r.randrange(10**6)).uniform(-1.5, 1.5, shape).tolist()
        needs = r.random() < 0.8
        for ns, tensors in ((torch, theirs), (bl, ours)):
            leaf = ns.tensor(values, dtype=ns.float64, requires_grad=needs)
            tensors += [leaf, leaf * 1.0]
    return theirs, ours


def run_both(step: Step, theirs: list, ours: list, recorded: bool) -> tuple | None:
    """The new tensors; None where both refuse."""
    try:
        with torch.set_grad_enabled(recorded):
            expected = step(torch, theirs)
    except (RuntimeError, IndexError):
        return None
    with bl.set_grad_enabled(recorded):
        return expected, step(bl, ours)


def same(expected: Any, found: Any, story: str) -> None:
    np.testing.assert_allclose(
        found.detach().numpy(), expected.detach().numpy(), rtol=1e-8, atol=1e-10, err_msg=story
    )


def gradients(ns: Any, tensors: list, leaves: list[int], chosen: list[int], second: bool) -> list:
    total = sum((tensors[k] ** 2).sum() + tensors[k].sum() for k in chosen)
    wanted = [tensors[k] for k in leaves]
    first = ns.autograd.grad(total, wanted, create_graph=second, allow_unused=True)
    if not second:
        return list(first)
    square = sum(((g * g).sum() for g in first if g is not None), start=total * 0)
    return [*first, *ns.autograd.grad(square, wanted, allow_unused=True)]


@pytest.mark.parametrize("block", range(8))
def test_random_programs_mean_what_they_mean_in_pytorch(block):
    compared = 0
    for seed in range(block * 50, block * 50 + 50):
        r = random.Random(seed)
        theirs, ours = start(r)
        leaves = [k for k, t in enumerate(theirs) if t.is_leaf and t.requires_grad]
        story = [f"seed {seed}"]
        for _ in range(r.randint(5, 15)):
            text, step = draw_step(r, theirs)
            both = run_both(step, theirs, ours, recorded=r.random() > 0.08)
            if both is None:
                continue
            story.append(text)
            if both[0] is not None:
                theirs.append(both[0])
                ours.append(both[1])
            for k in range(len(ours)):
                same(theirs[k], ours[k], f"t{k}: {story}")
        chosen = [k for k, t in enumerate(ours) if t.requires_grad and r.random() < 0.6]
        chosen = [k for k in chosen if theirs[k].requires_grad]
        if not leaves or not chosen:
            continue
        second = r.random() < 0.4
        try:
            expected = gradients(torch, theirs, leaves, chosen, second)
        except RuntimeError:
            continue  # a saved value was changed in place
        found = gradients(bl, ours, leaves, chosen, second)
        for e, f in zip(expected, found):
            zeros = [np.zeros(())] if e is None or f is None else None
            if zeros is None:
                same(e, f, f"gradient: {story}")
            else:
                assert (e is None or not e.any()) and (f is None or not f.any()), story
        compared += 1
    assert compared > 15
