"""MNIST and Fashion-MNIST: images and labels from idx files, in a folder or at a URL.

Owns where the files are and that images and labels fit each other. Read next: idx.py (the
format), fetch.py (URLs).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data.dataset import Dataset
from backlit.data.fetch import cache_folder, fetch, is_url
from backlit.data.idx import read_idx
from backlit.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from backlit import Tensor

FILES = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class MNIST(Dataset[tuple[Any, Any]]):
    """Handwritten digits, 28 x 28: a sample is (Pillow image, label), as transforms make it.

    `root` is a folder of the idx files (plain or .gz, also below MNIST/raw) or the URL of one;
    `sha256` maps file names to checksums and defaults to those of the published files.
    `data` (N, 28, 28) uint8 and `targets` (N,) int64 are all of it.
    Raises DataError where a file is missing, damaged, or counts disagree.

    >>> bl.data.MNIST("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder: no such folder
    """

    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip
    checksums = {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    }

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        sha256: Mapping[str, str] | None = None,
    ):
        self.root, self.train = root, train
        self.transform, self.target_transform = transform, target_transform
        paths = [self._find(name, sha256) for name in FILES[train]]
        self.images, self.labels = (read_idx(path) for path in paths)
        self._check(paths[0], paths[1])

    def _find(self, name: str, sha256: Mapping[str, str] | None) -> Path:
        if is_url(self.root):
            return self._fetch(str(self.root).rstrip("/"), f"{name}.gz", sha256)
        for below in ("", "raw", f"{type(self).__name__}/raw"):
            for ending in ("", ".gz"):
                path = Path(self.root) / below / (name + ending)
                if path.is_file():
                    return path
        if not os.path.isdir(self.root):
            what = "not a folder" if os.path.exists(self.root) else "no such folder"
            raise DataError(f"{self.root}: {what}")
        raise DataError(
            f"{self.root}: {type(self).__name__} needs {name} or {name}.gz in this folder"
        )

    def _fetch(self, url: str, name: str, sha256: Mapping[str, str] | None) -> Path:
        known = self.checksums if sha256 is None else sha256
        if name not in known:
            raise ArgumentError(
                f"{type(self).__name__}: {url}/{name}: no SHA-256 given for {name}",
                hint="pass sha256={name: checksum, ...}",
            )
        folder = cache_folder() / type(self).__name__ / known[name][:12]
        return fetch(f"{url}/{name}", known[name], folder)

    def _check(self, images: Path, labels: Path) -> None:
        if self.images.ndim != 3 or self.images.dtype != np.uint8:
            raise DataError(
                f"{images}: expected images (N, rows, columns) uint8, "
                f"got {self.images.shape} {self.images.dtype}"
            )
        if self.labels.ndim != 1 or self.labels.dtype != np.uint8:
            raise DataError(
                f"{labels}: expected labels (N,) uint8, got {self.labels.shape} {self.labels.dtype}"
            )
        if len(self.images) != len(self.labels):
            raise DataError(
                f"{images} holds {len(self.images)} images, "
                f"{labels} holds {len(self.labels)} labels"
            )
        if self.labels.size and self.labels.max() >= len(self.classes):
            raise DataError(f"{labels}: label {self.labels.max()} is out of range 0 to 9")

    @property
    def data(self) -> Tensor:
        """All images, (N, 28, 28) uint8."""
        import backlit as bl

        return bl.from_numpy(self.images)

    @property
    def targets(self) -> Tensor:
        """All labels, (N,) int64."""
        import backlit as bl

        return bl.from_numpy(self.labels.astype(np.int64))

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of each class name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image: Any = Image.fromarray(self.images[index])
        label: Any = int(self.labels[index])
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __len__(self) -> int:
        return len(self.images)


class FashionMNIST(MNIST):
    """Pictures of clothing in MNIST's format, 28 x 28, ten classes (Zalando, 2017, MIT licence).

    >>> bl.data.FashionMNIST.classes[:3]
    ['T-shirt/top', 'Trouser', 'Pullover']
    """

    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip
    checksums = {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    }
