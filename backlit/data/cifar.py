"""CIFAR-10 and CIFAR-100 from their binary files, in a folder, a tar.gz or at a URL.

Owns the record layout (label bytes, then 3 x 32 x 32 pixels) and which files make a split.
Format: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backlit.data.archive import content_of, is_archive, open_archive, plain_files
from backlit.data.dataset import Dataset
from backlit.data.fetch import cache_folder, fetch, is_url
from backlit.errors import DataError

PIXELS = 3 * 32 * 32
CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100_NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus "
    "butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach "
    "couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster "
    "house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree "
    "motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
    "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road "
    "rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar "
    "sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip "
    "turtle wardrobe whale willow_tree wolf woman worm"
)


class CIFAR10(Dataset[tuple[Any, Any]]):
    """Colour pictures, 32 x 32, ten classes: a sample is (Pillow image, label).

    `root` is a folder of the *.bin files (also below the archive's own folder name), the tar.gz,
    a folder that holds it, or its URL; `sha256` defaults to the published archive's.
    `records_per_file` is what each file must hold (None: any number). `data` is
    (N, 32, 32, 3) uint8, `targets` a list. Raises DataError where a file is missing or damaged.

    >>> bl.data.CIFAR10.classes[:3]
    ['airplane', 'automobile', 'bird']
    """

    classes = CIFAR10_NAMES.split()
    files = {
        True: [f"data_batch_{i}.bin" for i in range(1, 6)],
        False: ["test_batch.bin"],
    }
    records = {True: 10_000, False: 10_000}
    folder, archive = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
    checksum = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    label_bytes = 1

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        sha256: str | None = None,
        records_per_file: int | None = -1,
    ):
        self.root, self.train = root, train
        self.transform, self.target_transform = transform, target_transform
        expected = self.records[train] if records_per_file == -1 else records_per_file
        contents = self._contents(sha256 or self.checksum)
        parts = [self._parse(name, content, expected) for name, content in contents]
        records = np.concatenate(parts)
        pixels = records[:, self.label_bytes :].reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        self.targets: list[int] = records[:, self.label_bytes - 1].tolist()

    def _contents(self, sha256: str) -> list[tuple[str, bytes]]:
        """Name and bytes of each file of the split."""
        wanted = self.files[self.train]
        if is_url(self.root):
            here = cache_folder() / type(self).__name__ / sha256[:12]
            return self._from_archive(fetch(str(self.root), sha256, here), wanted)
        if is_archive(self.root):
            return self._from_archive(Path(self.root), wanted)
        for folder in (Path(self.root), Path(self.root) / self.folder):
            if all((folder / name).is_file() for name in wanted):
                return [(str(folder / name), (folder / name).read_bytes()) for name in wanted]
        if is_archive(Path(self.root) / self.archive):
            return self._from_archive(Path(self.root) / self.archive, wanted)
        raise DataError(
            f"{self.root}: {type(self).__name__} needs {', '.join(wanted)} or {self.archive} here"
        )

    def _from_archive(self, path: Path, wanted: list[str]) -> list[tuple[str, bytes]]:
        found: dict[str, bytes] = {}
        with open_archive(path) as archive:
            for name, member in plain_files(archive, path):
                if name.name in wanted:
                    found[name.name] = content_of(archive, member)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise DataError(f"{path}: {', '.join(missing)} not in this archive")
        return [(f"{path}:{name}", found[name]) for name in wanted]

    def _parse(self, name: str, content: bytes, expected: int | None) -> np.ndarray:
        size = self.label_bytes + PIXELS
        count, rest = divmod(len(content), size)
        if rest or not count:
            raise DataError(
                f"{name}: {len(content):,} bytes are no whole number of {size}-byte records"
            )
        if expected is not None and count != expected:
            raise DataError(
                f"{name}: holds {count:,} records, expected {expected:,}",
                hint="pass records_per_file= for files other than the published ones",
            )
        records = np.frombuffer(content, np.uint8).reshape(count, size)
        highest = int(records[:, self.label_bytes - 1].max())
        if highest >= len(self.classes):
            raise DataError(f"{name}: label {highest} is out of range 0 to {len(self.classes) - 1}")
        return records

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of each class name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        image: Any = Image.fromarray(self.data[index])
        label: Any = self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __len__(self) -> int:
        return len(self.data)


class CIFAR100(CIFAR10):
    """As CIFAR10, with a hundred classes (the fine labels).

    >>> bl.data.CIFAR100.classes[-1]
    'worm'
    """

    classes = CIFAR100_NAMES.split()
    files = {True: ["train.bin"], False: ["test.bin"]}
    records = {True: 50_000, False: 10_000}
    folder, archive = "cifar-100-binary", "cifar-100-binary.tar.gz"
    checksum = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    label_bytes = 2
