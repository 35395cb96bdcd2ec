"""Text as numbers, windows of it, and Tiny Shakespeare from a folder or an address."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import backlit as bl
from backlit.data import text as module
from backlit.errors import ArgumentError, DataError


def test_a_text_survives_its_numbers() -> None:
    play = "To be, or not to be.\nÄ!"
    letters = bl.data.Characters(play)
    numbers = letters.encode(play)
    assert numbers.dtype == bl.int64 and len(letters) == len(set(play))
    assert letters.decode(numbers) == play
    assert letters.encode("").shape == (0,)
    with pytest.raises(DataError, match="'z' is none of the"):
        letters.encode("zoo")


@pytest.mark.parametrize(("context", "stride", "count"), [(4, None, 5), (4, 1, 17), (20, 3, 1)])
def test_windows_and_what_follows(context: int, stride: int | None, count: int) -> None:
    windows = bl.data.TextWindows(bl.arange(21), context, stride)
    assert len(windows) == count
    for i, (inputs, targets) in enumerate(windows):
        first = i * (stride or context)
        assert inputs.tolist() == list(range(first, first + context))
        assert targets.tolist() == list(range(first + 1, first + context + 1))


def test_too_little_text_is_refused() -> None:
    with pytest.raises(DataError, match="4 tokens, a window needs 4 and the next one"):
        bl.data.TextWindows(bl.arange(4), 4)
    with pytest.raises(ArgumentError, match="at least 1"):
        bl.data.TextWindows(bl.arange(4), 0)


def test_shakespeare_from_a_file_a_folder_or_an_address(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "input.txt").write_text("First Citizen:\n")
    for place in (tmp_path, tmp_path / "input.txt"):
        assert bl.data.tiny_shakespeare(place) == "First Citizen:\n"
    monkeypatch.setattr("backlit.config.flags.data", str(tmp_path / "kept"))
    with pytest.raises(DataError, match="SHA-256"):
        bl.data.tiny_shakespeare(tmp_path.as_uri())
    known = hashlib.sha256((tmp_path / "input.txt").read_bytes()).hexdigest()
    monkeypatch.setattr(module, "SHAKESPEARE_SHA256", known)
    assert bl.data.tiny_shakespeare(tmp_path.as_uri()) == "First Citizen:\n"
    assert (tmp_path / "kept/tinyshakespeare/input.txt").is_file()
    (tmp_path / "input.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not a text in UTF-8"):
        bl.data.tiny_shakespeare(tmp_path)
