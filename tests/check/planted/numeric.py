"""Is a case right, and a planted error wrong in exactly the inputs it names? By differences.

Independent of the doctor, so that a mistake of the suite is not taken for one of the doctor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planted.case import Inputs, is_float

STEP = 1e-5
TOLERANCE = 2e-6


def pair_slopes(pair: tuple, inputs: Inputs, names: list[str], dout: np.ndarray) -> dict:
    """Central differences of sum(out * dout) by each named input."""
    forward = pair[0]

    def value(changed: Inputs) -> float:
        out = replay(lambda: forward(**changed))[0]
        return float(np.sum(np.asarray(out, np.float64) * dout))

    return {n: slopes(value, inputs, n) for n in names}


def slopes(value: Any, inputs: Inputs, name: str) -> np.ndarray:
    base = np.array(inputs[name], np.float64)
    found = np.zeros(base.shape)
    for place in np.ndindex(base.shape):
        sides = []
        for step in (STEP, -STEP):
            moved = base.copy()
            moved[place] += step
            given = moved if base.shape else float(moved)
            sides.append(value({**copied(inputs), name: given}))
        found[place] = (sides[0] - sides[1]) / (2 * STEP)
    return found


def as_pair(function: Any) -> tuple:
    """A function on Backlit's tensors (or a Function) as a pair on arrays."""
    import backlit as bl

    call = getattr(function, "apply", function)

    def forward(**inputs: Any) -> tuple:
        bl.manual_seed(0)
        given = {k: bl.tensor(v, requires_grad=is_float(v)) for k, v in inputs.items()}
        out = call(*given.values())
        return out.detach().numpy(), (given, out)

    def backward(dout: Any, cache: tuple) -> dict:
        given, out = cache
        names = [k for k, v in given.items() if v.requires_grad]
        if not out.requires_grad:
            return dict.fromkeys(names)
        by = [given[k] for k in names]
        grads = bl.autograd.grad(out, by, bl.tensor(dout), allow_unused=True)
        return {k: None if g is None else g.numpy() for k, g in zip(names, grads)}

    return forward, backward


def as_torch_pair(function: Any) -> tuple:
    """The same for PyTorch's tensors."""
    import torch

    call = getattr(function, "apply", function)

    def forward(**inputs: Any) -> tuple:
        given = {k: torch.tensor(v, requires_grad=is_float(v)) for k, v in inputs.items()}
        out = call(*given.values())
        return out.detach().numpy(), (given, out)

    def backward(dout: Any, cache: tuple) -> dict:
        given, out = cache
        by = [v for v in given.values() if v.requires_grad]
        seed = torch.as_tensor(dout, dtype=out.dtype)
        grads = torch.autograd.grad(out, by, seed, allow_unused=True)
        names = (k for k, v in given.items() if v.requires_grad)
        return {k: None if g is None else g.numpy() for k, g in zip(names, grads)}

    return forward, backward


def copied(inputs: Inputs) -> Inputs:
    return {k: v.copy() if hasattr(v, "copy") else v for k, v in inputs.items()}


def replay(call: Any) -> Any:
    """The same random numbers from NumPy's global generator on every call."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        return call()
    finally:
        np.random.set_state(state)


def disagreeing(pair: tuple, inputs: Inputs, names: list[str], other: Inputs) -> set[str]:
    """Inputs whose claimed gradient differs, at once or with the forward on `other` in between."""
    rng = np.random.default_rng(1)
    forward, backward = pair
    replay(lambda: forward(**copied(other)))
    shape = np.shape(replay(lambda: forward(**copied(inputs)))[0])
    dout = rng.standard_normal(shape) if shape else 1.0
    truth = pair_slopes(pair, inputs, names, dout)

    def claims(between: bool) -> dict:
        cache = forward(**copied(inputs))[1]
        if between:
            forward(**copied(other))
        grads = backward(np.array(dout) if shape else dout, cache)
        return grads if isinstance(grads, dict) else dict(zip(names, grads))

    wrong = set()
    for claimed in (replay(lambda: claims(False)), replay(lambda: claims(True))):
        for n in names:
            g = claimed[n]
            if g is None or np.shape(g) != truth[n].shape or not _close(g, truth[n]):
                wrong.add(n)
    return wrong


def _close(found: Any, expected: np.ndarray) -> bool:
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return bool(np.all(np.abs(np.asarray(found) - expected) <= TOLERANCE * scale))
