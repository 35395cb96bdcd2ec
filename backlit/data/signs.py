"""Hands that show the digits of sign language, as images with labels.

Owns which images are held out. The files are in one folder per digit or a tar archive of them,
which folder.py reads: the Sign Language Digits Dataset by A. Mavi and Z. Dikle (Apache 2.0).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from backlit.data.folder import ImageFolder
from backlit.data.labelled import LabelledImages
from backlit.errors import ArgumentError, DataError

ARCHIVE = "images.tar.gz"
HELD_OUT = 0.2


def sign_digits(
    root: str | os.PathLike[str], train: bool = True, size: int = 100
) -> LabelledImages:
    """Images (N, 3, size, size) in [0, 1] of hands, and the digits that they show.

    `root` is a folder of images.tar.gz or of one folder per digit. A person's ten pictures follow
    each other in their numbers (IMG_4172.JPG), so the fifth with the highest numbers is held out:
    one person at most is in both parts. Raises DataError where a name has no number.

    >>> bl.data.sign_digits("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder: ImageFolder: neither a folder nor a tar archive
    """
    if size < 1:
        raise ArgumentError(f"sign_digits: size={size}: at least 1")
    path = Path(root)
    found = ImageFolder(path / ARCHIVE if (path / ARCHIVE).is_file() else path)
    numbers = np.array([_number(name) for name, _ in found.samples])
    order = np.argsort(numbers, kind="stable")
    first = round(len(order) * (1 - HELD_OUT))
    chosen = order[:first] if train else order[first:]
    pixels = np.stack([_square(found[index][0], size) for index in chosen])
    return LabelledImages.from_arrays(pixels, np.array(found.targets)[chosen], found.classes)


def _number(name: str) -> int:
    match = re.search(r"(\d+)\.\w+$", name)
    if match is None:
        raise DataError(f"{name}: no number in the name", hint="names are such as IMG_4172.JPG")
    return int(match[1])


def _square(image: Any, size: int) -> np.ndarray:
    from PIL import Image

    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(image)
