"""The names of PyTorch: how many are there, and that the others say that they are not."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import backlit as bl
from backlit.errors import NotAvailable

ROOT = Path(__file__).parents[2]
OWNERS = {"torch": bl, "torch.Tensor": bl.zeros(1, 1), "torch.nn.functional": bl.nn.functional}


@pytest.fixture(scope="module")
def tool():
    pytest.importorskip("torch")
    return runpy.run_path(str(ROOT / "tools" / "compatibility.py"))


@pytest.mark.torch
def test_most_names_are_there_and_the_others_say_so(tool):
    for title, found in tool["listings"]().items():
        assert found.share >= 0.85, title
        names = [*found.missing, *(n for many in found.left_out.values() for n in many)]
        for name in names:
            assert not hasattr(OWNERS[title], name)
            with pytest.raises(NotAvailable, match=rf"\.{name} does not exist in Backlit"):
                getattr(OWNERS[title], name)


@pytest.mark.torch
def test_the_page_is_fresh(tool):
    assert tool["main"](["--check"]) == 0, "run python tools/compatibility.py"


@pytest.mark.torch
def test_no_subject_hides_what_is_left_out_by_mistake(tool):
    """A pattern that takes a large part of a namespace would make the shares meaningless."""
    for title, found in tool["listings"]().items():
        left_out = sum(map(len, found.left_out.values()))
        assert left_out < 0.4 * (len(found.there) + len(found.missing)), title


@pytest.mark.parametrize("name", ["ao", "fft", "sparse_coo_tensor", "nonsense"])
def test_what_is_absent_is_refused_by_name(name):
    with pytest.raises(NotAvailable, match=f"backlit.{name} does not exist in Backlit"):
        getattr(bl, name)


@pytest.mark.parametrize(
    "owner",
    ["backends", "utils", "nn", "nn.utils", "optim", "autograd", "cuda", "linalg", "special"],
)
def test_every_room_refuses_by_name(owner):
    room = bl
    for part in owner.split("."):
        room = getattr(room, part)
    with pytest.raises(NotAvailable, match="something"):
        room.something  # noqa: B018
