"""ImageFolder: images sorted into one folder per class, on disk or in a tar archive.

Owns finding classes and samples, and refusing a broken image by name. Images of an uncompressed
tar are read in place; those of a compressed one are kept in memory as they are stored.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backlit.data.archive import content_of, is_archive, open_archive, plain_files
from backlit.data.dataset import Dataset
from backlit.data.fetch import cache_folder, fetch, is_url
from backlit.errors import ArgumentError, DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Source:
    """Where an image's bytes are: a file, a stretch of a tar, or memory."""

    name: str
    file: str = ""
    offset: int = 0
    size: int = -1
    content: bytes | None = None

    def read(self) -> bytes:
        """The bytes. Raises DataError where the file has become shorter."""
        if self.content is not None:
            return self.content
        with open(self.file, "rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if self.size >= 0 and len(content) != self.size:
            raise DataError(f"{self.name}: truncated")
        return content


class ImageFolder(Dataset[tuple[Any, Any]]):
    """Images in one folder per class (`root/cat/1.png`): a sample is (RGB Pillow image, label).

    `root` is a folder, a tar archive (.tar, .tar.gz, ...; one folder around the classes is
    allowed) or the URL of one, with `sha256`. Classes are sorted by name: `classes`,
    `class_to_idx`, `samples` [(name, label)], `targets`. Raises DataError where there are no
    images, an archive is damaged or unsafe, and, when it is read, for a broken image.

    >>> bl.data.ImageFolder("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder: ImageFolder: neither a folder nor a tar archive
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        sha256: str | None = None,
    ):
        self.root, self.transform, self.target_transform = root, transform, target_transform
        self.loader = loader
        path = self._local(sha256)
        if loader is not None and path.is_file():
            raise ArgumentError("ImageFolder: loader= takes paths, an archive has none")
        valid = is_valid_file or _looks_like_image
        if path.is_file():
            found, folders = _in_archive(path, valid)
        else:
            found, folders = _in_folder(path, valid)
        self._set_samples(path, found, folders, allow_empty)

    def _local(self, sha256: str | None) -> Path:
        if is_url(self.root):
            if sha256 is None:
                raise ArgumentError(f"ImageFolder: {self.root}: a URL needs sha256=")
            folder = cache_folder() / type(self).__name__ / sha256[:12]
            return fetch(str(self.root), sha256, folder)
        path = Path(self.root)
        if not path.is_dir() and not is_archive(path):
            raise DataError(f"{path}: ImageFolder: neither a folder nor a tar archive")
        return path

    def _set_samples(
        self, path: Path, found: list[tuple[str, Source]], folders: set[str], allow_empty: bool
    ) -> None:
        self.classes = sorted(folders)
        if not self.classes:
            raise DataError(
                f"{path}: no class folders", hint="images lie one level down: root/class/1.png"
            )
        empty = sorted(folders - {name for name, _ in found})
        if empty and not allow_empty:
            raise DataError(f"{path}: no images for the classes {', '.join(empty)}")
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        found.sort(key=lambda item: (item[0], item[1].name))
        self._sources = [source for _, source in found]
        self.targets = [self.class_to_idx[name] for name, _ in found]
        self.samples = [(s.name, t) for s, t in zip(self._sources, self.targets, strict=True)]
        self.imgs = self.samples

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        source = self._sources[index]
        image = self.loader(source.file) if self.loader is not None else read_image(source)
        label: Any = self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label

    def __len__(self) -> int:
        return len(self._sources)


def read_image(source: Source) -> Any:
    """The image as RGB. Raises DataError with its name where Pillow cannot read all of it."""
    import struct
    import warnings

    from PIL import Image

    try:
        with warnings.catch_warnings():
            # A picture of absurd size is refused, not read with a warning.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source.read())) as image:
                return image.convert("RGB")
    except DataError:
        raise
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError,
        Image.DecompressionBombWarning, Image.DecompressionBombError,
    ) as error:  # fmt: skip
        raise DataError(f"{source.name}: broken image: {error}") from error


def _looks_like_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _in_folder(
    root: Path, valid: Callable[[str], bool]
) -> tuple[list[tuple[str, Source]], set[str]]:
    folders = {entry.name for entry in os.scandir(root) if entry.is_dir()}
    found = []
    for name in folders:
        for path in _files_below(root / name):
            if valid(path):
                found.append((name, Source(path, file=path)))
    return found, folders


def _files_below(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder, followlinks=True):
        yield from (os.path.join(place, name) for name in names)


def _in_archive(
    path: Path, valid: Callable[[str], bool]
) -> tuple[list[tuple[str, Source]], set[str]]:
    members: list[tuple[PurePosixPath, Source]] = []
    with open_archive(path) as archive:
        compressed = path.suffix.lower() != ".tar"
        for name, member in plain_files(archive, path):
            if not valid(str(name)):
                continue
            shown = f"{path}:{name}"
            if compressed:
                source = Source(shown, content=content_of(archive, member))
            else:
                source = Source(shown, str(path), member.offset_data, member.size)
            members.append((name, source))
    depth = _depth_of_classes([name for name, _ in members])
    found = [(n.parts[depth], s) for n, s in members if len(n.parts) > depth + 1]
    return found, {name for name, _ in found}


def _depth_of_classes(names: list[PurePosixPath]) -> int:
    """1 where a single folder surrounds the class folders, else 0."""
    tops = {name.parts[0] for name in names}
    return int(len(tops) == 1 and all(len(name.parts) > 2 for name in names))
