"""Hands that show digits: which are held out, from folders and archives."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import backlit as bl
from backlit.data import sign_digits
from backlit.errors import ArgumentError, DataError

SHIPPED = Path(bl.data.__file__).parent / "sign_digits_sample"


@pytest.fixture
def folder(tmp_path):
    """Two digits with five pictures each; the red of a picture is its number."""
    for number in range(10):
        path = tmp_path / str(number % 2) / f"IMG_{100 + number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 6), (number, 20, 0)).save(path)
    return tmp_path


def numbers(data):
    return [round(red * 255) for red in data.images.numpy()[:, 0, 0, 0].tolist()]


def test_the_highest_numbers_are_held_out(folder):
    training, held_out = sign_digits(folder, size=6), sign_digits(folder, train=False, size=6)
    assert numbers(training) == list(range(8)) and numbers(held_out) == [8, 9]
    assert training.labels.tolist() == [0, 1] * 4 and training.classes == ["0", "1"]
    assert training.images.shape == (8, 3, 6, 6)
    np.testing.assert_allclose(held_out.images.numpy()[:, 1], 20 / 255)


def test_an_archive_is_the_same_and_pictures_are_brought_to_the_size(folder, tmp_path):
    place = tmp_path / "packed"
    place.mkdir()
    with tarfile.open(place / "images.tar.gz", "w:gz") as archive:
        for digit in "01":
            archive.add(folder / digit, digit)
    data = sign_digits(place, size=3)
    assert data.images.shape == (8, 3, 3, 3) and numbers(data) == list(range(8))


def test_what_ships_is_in_the_real_layout():
    parts = [sign_digits(SHIPPED, train, 50) for train in (True, False)]
    assert [len(part) for part in parts] == [48, 12]
    assert set(parts[0].labels.tolist()) == set(range(10))
    with tarfile.open(SHIPPED / "images.tar.gz") as archive:
        names = archive.getnames()
    found = [int(re.search(r"(\d+)\.", name.split("_")[-1])[1]) for name in names]
    assert len(set(found)) == 60


def test_what_cannot_be_used(folder):
    (folder / "0" / "hand.png").write_bytes((folder / "0" / "IMG_100.png").read_bytes())
    with pytest.raises(DataError, match=r"hand.png: no number in the name"):
        sign_digits(folder)
    with pytest.raises(ArgumentError, match="size=0"):
        sign_digits(folder, size=0)
