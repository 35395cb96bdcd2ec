"""Images in memory with their classes, and the crops and mirrored views of them that a network
should take for the same.

Owns arrays of images as datasets. Where they come from is the readers' (mnist.py, cifar.py,
folder.py); changes of single images are transforms.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data.dataset import Dataset, TensorDataset
from backlit.errors import ShapeError

if TYPE_CHECKING:
    from backlit import Tensor


class LabelledImages(TensorDataset):
    """Images (N, C, H, W) and labels (N,) int64, with the names of the classes.

    >>> pair = bl.data.LabelledImages(bl.zeros(2, 1, 4, 4), bl.tensor([1, 0]), ["cat", "dog"])
    >>> len(pair), len(pair.part(1))
    (2, 1)
    """

    def __init__(self, images: Tensor, labels: Tensor, classes: Sequence[str]):
        super().__init__(images, labels)
        self.images, self.labels, self.classes = images, labels, list(classes)

    @classmethod
    def from_arrays(
        cls, images: np.ndarray, labels: np.ndarray, classes: Sequence[str]
    ) -> LabelledImages:
        """From uint8 images (N, H, W) or (N, H, W, C), scaled to [0, 1] float32."""
        import backlit as bl

        pixels = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        scaled = np.ascontiguousarray(pixels, np.float32) / np.float32(255)
        whole = np.asarray(labels).astype(np.int64)
        return cls(bl.from_numpy(scaled), bl.from_numpy(whole), classes)

    def part(self, count: int) -> LabelledImages:
        """The first `count` of them."""
        return LabelledImages(self.images[:count], self.labels[:count], self.classes)

    def select(self, indices: Any) -> LabelledImages:
        """Those at `indices`, or where a mask is true.

        >>> pair = bl.data.LabelledImages(bl.zeros(2, 1, 4, 4), bl.tensor([1, 0]), ["cat", "dog"])
        >>> pair.select([1]).labels.tolist()
        [0]
        """
        images, labels = self._selected(indices)
        return LabelledImages(images, labels, self.classes)

    def normalized(self, mean: Sequence[float], std: Sequence[float]) -> LabelledImages:
        """Each channel less its mean and over its standard deviation."""
        import backlit as bl

        shape = (1, -1, 1, 1)
        shift, scale = bl.tensor(mean).reshape(shape), bl.tensor(std).reshape(shape)
        return LabelledImages((self.images - shift) / scale, self.labels, self.classes)


class RandomViews(Dataset[tuple[Any, Any]]):
    """Each image moved by up to `shift` pixels (zeros come in) and, with `flip`, half mirrored.

    The usual augmentation of CIFAR (He et al. 2015), drawn anew whenever an image is read.

    >>> views = bl.data.RandomViews(bl.data.digits("val"), shift=2, flip=False)
    >>> views[0][0].shape
    backlit.Size([1, 28, 28])
    """

    def __init__(self, images: LabelledImages, shift: int = 4, flip: bool = True):
        if images.images.ndim != 4:
            raise ShapeError(f"RandomViews: takes images (N, C, H, W), got {images.images.shape}")
        border = ((0, 0), (0, 0), (shift, shift), (shift, shift))
        self.padded = np.pad(images.images.numpy(), border)
        self.size = images.images.shape[2:]
        self.labels, self.classes = images.labels, images.classes
        self.shift, self.flip = shift, flip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
        import backlit as bl

        places = bl.randint(0, 2 * self.shift + 1, (len(indices), 2)).tolist()
        mirrored = bl.rand(len(indices)).numpy() < 0.5
        height, width = self.size
        views = []
        for index, (top, left), mirror in zip(indices, places, mirrored, strict=True):
            view = self.padded[index, :, top : top + height, left : left + width]
            view = view[..., ::-1] if mirror and self.flip else view
            views.append((bl.from_numpy(view.copy()), self.labels[index]))
        return views
