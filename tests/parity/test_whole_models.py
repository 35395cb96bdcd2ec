"""Whole networks beside PyTorch's: same weights, same batches, 20 steps.

In float64 the losses agree to 1e-10; in float32 ours stray from the float64 run at most twice as
far as PyTorch's own do. Running statistics and final weights agree as well.
"""

from __future__ import annotations

import numpy as np
import pytest
from networks import networks

import backlit as bl

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

STEPS, BATCHES = 20, 4

# network: input, classes, optimizer. Text is predicted shifted by one, images by class,
# U-Net's by pixel.
CASES = {
    "MLP": ((16, 20), 5, "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "LeNet": ((8, 1, 28, 28), 5, "SGD", {"lr": 0.05, "momentum": 0.9}),
    "ResNet20": ((8, 3, 32, 32), 5, "SGD", {"lr": 0.002, "momentum": 0.9, "weight_decay": 1e-4}),
    "DenseBlock": ((8, 3, 8, 8), 5, "Adam", {"lr": 0.003}),
    "UNet": ((4, 1, 16, 16), 3, "AdamW", {"lr": 0.003}),
    "LSTM": ((6, 9), 11, "Adam", {"lr": 0.01}),
    "GRU": ((6, 9), 11, "RMSprop", {"lr": 0.005}),
    "Encoder": ((6, 9), 11, "AdamW", {"lr": 0.003}),
    "PreNormEncoder": ((6, 9), 11, "Adam", {"lr": 0.003, "amsgrad": True}),
    "ViT": ((8, 3, 16, 16), 5, "SGD", {"lr": 0.05, "momentum": 0.9}),
}


def batches(name):
    """Inputs and targets as NumPy arrays; inputs carry their class so that there is something to
    learn."""
    shape, classes, _, _ = CASES[name]
    rng = np.random.default_rng(5)
    if len(shape) == 2 and name != "MLP":
        text = rng.integers(0, 3, (BATCHES, shape[0], shape[1] + 1)).cumsum(-1) % classes
        return text[..., :-1], text[..., 1:]
    x = rng.standard_normal((BATCHES, *shape))
    if name == "UNet":
        return x, (x[:, :, 0] > 0.5).astype(np.int64) + (x[:, :, 0] > -0.5)
    y = rng.integers(0, classes, (BATCHES, shape[0]))
    return x + y.reshape(*y.shape, *[1] * (len(shape) - 1)) * 0.3, y


def train(library, name, start, dtype, compiled=False):
    """Losses of 20 steps and the final state, from the weights `start`."""
    _, _, optimizer, settings = CASES[name]
    net = getattr(networks(library), name)()
    net.load_state_dict({k: library.from_numpy(v.copy()) for k, v in start.items()})
    net.to(getattr(library, dtype))
    optimizer = getattr(library.optim, optimizer)(net.parameters(), **settings)

    def step(x, y):
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = library.compile(step) if compiled else step
    x, y = batches(name)
    x = x if x.dtype == np.int64 else x.astype(dtype)
    losses = []
    for number in range(STEPS):
        i = number % BATCHES
        losses.append(run(library.from_numpy(x[i]), library.from_numpy(y[i])).item())
    assert not compiled or (len(run.entries), run.reason) == (1, None)
    return np.array(losses), {k: v.numpy() for k, v in net.state_dict().items()}


def begin(name, seed):
    """PyTorch's own initial weights."""
    torch.manual_seed(seed)
    fresh = getattr(networks(torch), name)()
    return {k: v.numpy().copy() for k, v in fresh.state_dict().items()}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A network's name, and the float64 runs of both libraries."""
    start = begin(request.param, 0)
    return request.param, *(train(who, request.param, start, "float64") for who in (torch, bl))


@pytest.fixture(scope="module")
def compiled(case):
    """The same training with its step compiled, in float64."""
    return train(bl, case[0], begin(case[0], 0), "float64", compiled=True)


def test_compiled_steps_are_equal_in_float64(case, compiled):
    _, (theirs, expected), _ = case
    losses, final = compiled
    np.testing.assert_allclose(losses, theirs, rtol=1e-10)
    for key, value in expected.items():
        np.testing.assert_allclose(final[key], value, rtol=1e-8, atol=1e-10, err_msg=key)


def test_losses_are_equal_in_float64(case):
    _, (theirs, _), (ours, _) = case
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)
    assert theirs[-BATCHES:].mean() < 0.97 * theirs[:BATCHES].mean(), "nothing was learned"


def test_final_weights_and_statistics_are_equal_in_float64(case):
    name, (_, theirs), (_, ours) = case
    assert list(ours) == list(theirs)
    assert name != "ResNet20" or sum("running_var" in key for key in ours) == 19
    for key, value in theirs.items():
        assert ours[key].dtype == value.dtype
        np.testing.assert_allclose(ours[key], value, rtol=1e-8, atol=1e-10, err_msg=key)


def test_float32_strays_no_further_than_twice_as_far(case):
    """A ReLU whose input rounds to the other side of 0 moves a run by far more than rounding, in
    either library and by chance: what is compared is the typical distance over three starts."""
    name, (exact, _), _ = case
    strayed = {"theirs": [], "eager": [], "compiled": []}
    for seed in range(3):
        start = begin(name, seed)
        exact = exact if seed == 0 else train(torch, name, start, "float64")[0]
        for who, distances in strayed.items():
            library = torch if who == "theirs" else bl
            found = train(library, name, start, "float32", compiled=who == "compiled")
            distances.append(found[0] - exact)
    theirs, *ours = (np.sqrt(np.mean(np.square(d))) for d in strayed.values())
    assert max(ours) <= 2 * theirs + 4 * np.spacing(np.float32(exact.max())), (ours, theirs)
