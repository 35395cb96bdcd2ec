"""Every model family as a compiled training step: like eager, and the same bits every time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit.backends.cpu.native import features
from backlit.backends.cpu.plans import schedule
from backlit.nn import functional as F

STEPS = 4


def trained(name, *, compiled=True, dtype=bl.float64, optimizer=bl.optim.Adam):
    """Losses and final state of some steps from the same start."""
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(5)
    net = make().to(dtype)
    x = bl.randn(STEPS, *shape).to(dtype)
    size = (shape[0], *shape[2:]) if name == "unet" else (shape[0],)
    y = bl.randint(0, classes, size)
    # the first step of Adam divides by the size of the gradient: rounding would be all there is
    rule = optimizer(
        net.parameters(), lr=0.01, **({"eps": 0.1} if "Adam" in str(optimizer) else {})
    )

    def step(x):
        rule.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        rule.step()
        return loss

    run = bl.compile(step) if compiled else step
    losses = np.array([run(x[i]).item() for i in range(STEPS)])
    assert not compiled or (len(run.entries), run.reason) == (1, None)
    return losses, {k: v.numpy().copy() for k, v in net.state_dict().items()}


def same(found, expected, tolerance=0.0):
    np.testing.assert_allclose(found[0], expected[0], rtol=tolerance)
    assert found[1].keys() == expected[1].keys()
    for key, value in expected[1].items():
        # a bias that starts at zero moves little; before BatchNorm it moves by rounding alone
        scale = max(float(np.abs(value).max(initial=0.0)), 1e-3)
        np.testing.assert_allclose(found[1][key], value, 0, tolerance * scale, err_msg=key)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(bl.float64, 1e-12), (bl.float32, 1e-5)])
def test_a_compiled_training_is_the_eager_one(name, dtype, tolerance):
    eager = trained(name, compiled=False, dtype=dtype, optimizer=bl.optim.SGD)
    same(trained(name, dtype=dtype, optimizer=bl.optim.SGD), eager, tolerance)


@pytest.mark.parametrize("name", FAMILIES)
def test_optimizer_state_too(name):
    same(trained(name), trained(name, compiled=False), 1e-10)


@pytest.mark.parametrize("name", FAMILIES)
def test_bits_do_not_depend_on_threads(name, monkeypatch):
    monkeypatch.setattr(schedule, "SMALL_WORK", 0)  # share whatever can be shared
    threads = bl.get_num_threads()
    try:
        bl.set_num_threads(2)
        two = trained(name, dtype=bl.float32)
        same(trained(name, dtype=bl.float32), two)
        bl.set_num_threads(1)
        same(trained(name, dtype=bl.float32), two)
    finally:
        bl.set_num_threads(threads)


PROCESS = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_compiled_models import bl, trained
for name in ("mlp", "lenet", "resnet", "vit", "gru"):
    losses, state = trained(name, dtype=bl.float32)
    bits = b"".join([losses.tobytes(), *(v.tobytes() for v in state.values())])
    print(name, hashlib.sha256(bits).hexdigest())
"""


def test_bits_do_not_depend_on_the_cache_of_kernels(tmp_path):
    def run(threads):
        variables = {**os.environ, "BACKLIT_CACHE": str(tmp_path), "BACKLIT_THREADS": threads}
        here = str(Path(__file__).parent)
        return subprocess.run([sys.executable, "-c", PROCESS, here], env=variables, check=True,
                              capture_output=True, text=True).stdout  # fmt: skip

    empty, full = run("1"), run("2")
    assert len(list(tmp_path.rglob("*"))) > 10
    assert empty.count("\n") == 5
    assert full == empty


@pytest.mark.parametrize("width", [8, 4, 1])
@pytest.mark.parametrize("name", ["mlp", "resnet", "vit", "lstm"])
def test_narrow_vectors(name, width):
    expected = trained(name, compiled=False, dtype=bl.float32, optimizer=bl.optim.SGD)
    features.set_vector_width(width)
    try:
        found = trained(name, dtype=bl.float32, optimizer=bl.optim.SGD)
    finally:
        features.set_vector_width(None)
    same(found, expected, 1e-5)
