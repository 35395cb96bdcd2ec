"""Kernels are generated for ARM too: whole steps are lowered for it and every kernel assembled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.backends.cpu.native import features, jit
from backlit.backends.cpu.plans import executable
from backlit.compiler.pipeline import optimize
from backlit.nn import functional as F
from backlit.ops.op import REGISTRY, Elementwise
from backlit.program import Program, capture

llvm = pytest.importorskip("llvmlite.binding")
ARM = features.Machine("aarch64-unknown-linux-gnu", "generic", "+neon", 16, 32)
Texts = dict[str, str]


@pytest.fixture(scope="module")
def target() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        llvm.Target.from_triple(ARM.triple)
    except RuntimeError:
        pytest.skip("this LLVM generates no code for aarch64")


@pytest.fixture
def texts(target: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Texts]:
    """The kernels that are asked for; their addresses lead nowhere."""
    found: Texts = {}

    def record(text: str, name: str, machine: features.Machine) -> int:
        assert machine == ARM
        found[text] = name
        return len(found)

    monkeypatch.setattr(features, "machine", lambda: ARM)
    monkeypatch.setattr(jit, "compile_function", record)
    monkeypatch.setattr(jit, "_remembered", lambda note: 0)
    monkeypatch.setattr(jit, "_remember", lambda note, address: None)
    monkeypatch.setattr(jit, "KERNEL_TYPE", lambda address: None)
    monkeypatch.setattr(executable.Executable, "_callback", lambda self, task: 0)
    yield found


def assemble(texts: Texts) -> None:
    for text, name in texts.items():
        listing = jit.assembly(text, ARM)
        assert f"{name}:" in listing


def classifier(model: nn.Module, shape: tuple[int, ...]) -> Program:
    """The Program of a training step."""
    parameters = list(model.parameters())

    def step(x: bl.Tensor, y: bl.Tensor) -> tuple:
        loss = F.cross_entropy(model(x), y)
        grads = bl.autograd.grad(loss, parameters)
        return loss, *(p - 0.1 * g for p, g in zip(parameters, grads))

    x, y = bl.randn(*shape), bl.tensor(np.arange(shape[0]) % 10)
    return capture(step, x, y).program


WORKLOADS = {
    "mlp": (lambda: models.MLP([20, 30, 10]), (8, 20)),
    "lenet": (models.LeNet, (4, 1, 28, 28)),
    "resnet20": (models.resnet20, (2, 3, 32, 32)),
    "lstm": (lambda: models.RowClassifier("lstm"), (4, 28, 28)),
    "gru": (lambda: models.RowClassifier("gru"), (4, 28, 28)),
    "vit": (models.VisionTransformer, (2, 28, 28)),
}


@pytest.fixture
def steps() -> list[Program]:
    """Recorded on this machine, whose kernels run; so before `texts` replaces it."""
    return [classifier(make(), shape) for make, shape in WORKLOADS.values()]


def test_steps_of_networks(steps: list[Program], texts: Texts) -> None:
    for program in steps:
        executable.build(optimize(program), {}, {}, 2)
    assert len(texts) > 10
    assemble(texts)


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
def test_formulas(texts: Texts, dtype: bl.dtype) -> None:
    def every(x: bl.Tensor) -> tuple:
        found = []
        for name, op in sorted(REGISTRY.items()):
            if issubclass(op, Elementwise) and op.inputs == ("x",) and hasattr(bl, name):
                with contextlib.suppress(TypeError):  # of whole numbers, or of more
                    found.append(getattr(bl, name)(x))
        return tuple(found)

    executable.build(optimize(capture(every, bl.rand(40, dtype=dtype)).program), {}, {}, 1)
    assemble(texts)


def test_indices_random_masks_and_short_floats(texts: Texts) -> None:
    def step(w: bl.Tensor, i: bl.Tensor, h: bl.Tensor) -> list:
        w.requires_grad_()
        y = F.dropout(F.embedding(i, w), 0.3).cumsum(1)
        z = bl.gather(y, 1, i[:, :, None]) + bl.rand(4, 5, 1) + bl.rand(1).double().float()
        return [z, *bl.autograd.grad(z.sum(), w), h.exp(), h.half().tanh()]

    w, i = bl.rand(9, 6), bl.tensor(np.arange(20).reshape(4, 5) % 5)
    captured = capture(step, w, i, bl.rand(40).bfloat16())
    executable.build(optimize(captured.program), {}, {}, 2)
    assert {"philox_bool", "philox_float32", "pick_by_index", "add_by_index"} <= set(texts.values())
    assemble(texts)
