"""The handwritten digits that come with the package: MNIST's first 12,000 training images.

Owns `digits`. The files lie in the folder digits/, with their licence. Read next: mnist.py for
the full set.
"""

from __future__ import annotations

import os
from importlib import resources

import numpy as np

from backlit.data.idx import parse_idx
from backlit.data.labelled import LabelledImages
from backlit.errors import ArgumentError

TRAIN_COUNT = 10_000
IMAGES, LABELS = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"


def digits(split: str = "train", root: str | os.PathLike[str] | None = None) -> LabelledImages:
    """Handwritten digits: the 12,000 that ship with Backlit, or all of MNIST from a folder.

    `split` is "train" (10,000 images, all 60,000 with `root`) or "val" (2,000, or the 10,000 of
    the test files). `root` is a folder of MNIST's idx files, plain or .gz, or a URL of one.
    Raises DataError where a file is damaged. Data: LeCun, Cortes, Burges; CC BY-SA 3.0.

    >>> held_out = bl.data.digits("val")
    >>> held_out.images.shape, held_out.labels[:3].tolist()
    (backlit.Size([2000, 1, 28, 28]), [3, 8, 7])
    """
    if split not in ("train", "val"):
        raise ArgumentError(f"digits: split must be 'train' or 'val', got {split!r}")
    if root is None:
        part = slice(None, TRAIN_COUNT) if split == "train" else slice(TRAIN_COUNT, None)
        images, labels = _shipped(IMAGES)[part], _shipped(LABELS)[part]
    else:
        from backlit.data.mnist import MNIST

        full = MNIST(root, train=split == "train")
        images, labels = full.images, full.labels
    return LabelledImages.from_arrays(images, labels, [str(digit) for digit in range(10)])


def _shipped(name: str) -> np.ndarray:
    # Not imported as a module: `digits` is the function's name.
    with resources.files("backlit.data").joinpath("digits", name).open("rb") as file:
        return parse_idx(file, name)
