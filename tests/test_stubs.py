"""What type checkers see: the generated stubs are fresh, and say what the operators give."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PROGRAM = """
import backlit as bl
from backlit.nn import functional as F

x = bl.tensor([1.0], requires_grad=True)
reveal_type(x.relu().sum())
reveal_type(bl.matmul(bl.ones(2, 2), bl.ones(2, 2)))
reveal_type(2 * F.relu(x) - 1)
reveal_type(x.T)
x.relu(1, 2, 3, 4)
"""


def test_the_stubs_are_fresh():
    tool = runpy.run_path(str(ROOT / "tools" / "stubs.py"))
    assert tool["main"](["--check"]) == 0, "run python tools/stubs.py"


def test_mypy_knows_methods_and_functions(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports",
         "--cache-dir", str(tmp_path / "cache"), str(program)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout.count('Revealed type is "backlit.tensor.Tensor"') == 4, found.stdout
    assert 'Too many arguments for "relu"' in found.stdout
