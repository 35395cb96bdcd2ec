"""Nuclei of cells in fluorescence microscopy: grey images with a map of the nuclei in each.

Owns the layout: train.txt and test.txt list names, images/NAME.png is 8-bit grey, labels/NAME.png
16-bit (0 background, 1 to n the nuclei). Data Science Bowl 2018, public domain (CC0). What to
learn from them: masks.py.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from backlit.errors import DataError


class Nuclei:
    """Images (N, H, W) uint8 and label maps (N, H, W) uint16; one `train` and one test part.

    `root` is a folder with train.txt, test.txt, images/ and labels/. All images have one size.
    Raises DataError where a file is missing, broken, or of another size than the others.

    >>> bl.data.Nuclei("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder/train.txt: no such file ...
    """

    def __init__(self, root: str | os.PathLike[str], train: bool = True):
        folder = Path(root)
        self.names = _names(folder / ("train.txt" if train else "test.txt"))
        self.images = _stacked([folder / "images" / f"{name}.png" for name in self.names], np.uint8)
        self.labels = _stacked(
            [folder / "labels" / f"{name}.png" for name in self.names], np.uint16
        )
        if self.images.shape != self.labels.shape:
            raise DataError(
                f"{folder}: images are {self.images.shape[1:]}, labels {self.labels.shape[1:]}"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Nuclei({len(self)} images, {int(self.labels.max((1, 2)).sum())} nuclei)"


def _names(path: Path) -> list[str]:
    """One name a line; none may lead out of the folder."""
    try:
        names = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file", hint="the folder needs train.txt, test.txt, images/, labels/"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a list of names") from None
    if not names:
        raise DataError(f"{path}: no names in it")
    for name in names:
        if Path(name).name != name:
            raise DataError(f"{path}: {name!r} is not a name")
    return names


def _stacked(paths: list[Path], kind: type[np.unsignedinteger]) -> np.ndarray:
    """Grey images of one size as one array."""
    images = [_grey(path, kind) for path in paths]
    for path, image in zip(paths, images, strict=True):
        if image.shape != images[0].shape:
            raise DataError(
                f"{path}: {image.shape}, but {paths[0].name} is {images[0].shape}",
                hint="bring all images to one size",
            )
    return np.stack(images)


def _grey(path: Path, kind: type[np.unsignedinteger]) -> np.ndarray:
    """One image without colour, whose values fit `kind`."""
    from PIL import Image

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{path}: broken image: {error}") from error
    if pixels.ndim != 2 or pixels.dtype.kind not in "ui" or pixels.max() > np.iinfo(kind).max:
        found = f"{pixels.dtype} {pixels.shape}"
        raise DataError(f"{path}: {found} is not a grey image of {kind.__name__}")
    return pixels.astype(kind)
