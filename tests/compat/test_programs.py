"""Programs written for PyTorch, run as they are by PyTorch and by Backlit.

For Backlit each `import torch...` of the program finds the module of the same name in `backlit`;
nothing else is changed. Programs without random numbers must print the same and see the same
losses; the others must print the same but for the numbers drawn, and learn.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

import backlit as bl

PROGRAMS = Path(__file__).parent / "programs"
RANDOM = {
    "mnist_mlp", "cnn_classifier", "gan", "vae", "gpt", "dcgan", "reinforce",
    "variational_distributions",
}  # fmt: skip
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?|-?\d+(?:e[+-]?\d+)?")


def importer(library: str):
    """`__import__` for a program: torch's names are looked up in `library`."""

    def find(name, globals=None, locals=None, fromlist=(), level=0):
        root, _, rest = name.partition(".")
        if root == "torch":
            name = f"{library}.{rest}" if rest else library
        return builtins.__import__(name, globals, locals, fromlist, level)

    return find


def run(program: str, library: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[float]]:
    """What the program prints and the losses that it collects."""
    path = PROGRAMS / f"{program}.py"
    module = types.ModuleType(program)
    module.__builtins__ = {**vars(builtins), "__import__": importer(library)}
    monkeypatch.setitem(sys.modules, program, module)  # dataclasses look there
    with contextlib.redirect_stdout(io.StringIO()) as out, warnings.catch_warnings():
        if library == "torch":
            warnings.simplefilter("ignore")
        exec(compile(path.read_text(), path, "exec", dont_inherit=True), module.__dict__)
    return out.getvalue(), module.losses


@pytest.fixture(autouse=True)
def the_defaults_come_back():
    dtype = bl.get_default_dtype()
    yield
    bl.set_default_dtype(dtype)
    bl.set_printoptions(precision=4)


def learned(losses: list[float]) -> bool:
    third = len(losses) // 3
    return bool(np.mean(losses[-third:]) < 0.9 * np.mean(losses[:third]))


@pytest.mark.parametrize("program", NAMES)
def test_program(program, monkeypatch):
    text, losses = run(program, "backlit", monkeypatch)
    assert np.isfinite(losses).all()
    assert learned(losses)
    assert text.count("\n") > 1


@pytest.mark.torch
@pytest.mark.parametrize("program", NAMES)
def test_program_as_with_pytorch(program, monkeypatch):
    pytest.importorskip("torch")
    ours, our_losses = run(program, "backlit", monkeypatch)
    theirs, their_losses = run(program, "torch", monkeypatch)
    assert len(our_losses) == len(their_losses)
    assert learned(their_losses)
    ours = ours.replace("backlit.", "torch.")
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    if program not in RANDOM:
        np.testing.assert_allclose(our_losses, their_losses, rtol=2e-4, atol=1e-6)
    numbers = [[float(x) for x in NUMBER.findall(text)] for text in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=2e-3, atol=2e-4)


def test_a_program_sees_no_torch():
    find = importer("backlit")
    assert find("torch.nn.functional") is bl
    assert find("torch.utils.data", fromlist=("DataLoader",)).DataLoader is bl.data.DataLoader
    assert find("math").__name__ == "math"
