"""Images with a mask each, and the crops, mirrored and turned views that keep the two together.

Owns arrays of images and masks as datasets, for segmentation. Where they come from is the
readers' (nuclei.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data.dataset import Dataset, TensorDataset
from backlit.errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from backlit import Tensor


class MaskedImages(TensorDataset):
    """Images (N, C, H, W) and masks (N, K, H, W), both float32: one mask for each of K classes.

    >>> pair = bl.data.MaskedImages(bl.zeros(2, 1, 4, 4), bl.ones(2, 1, 4, 4))
    >>> len(pair), pair[0][1].shape
    (2, backlit.Size([1, 4, 4]))
    """

    def __init__(self, images: Tensor, masks: Tensor):
        shapes = tuple(images.shape), tuple(masks.shape)
        fits = len(shapes[0]) == len(shapes[1]) == 4 and shapes[0][2:] == shapes[1][2:]
        if not fits or shapes[0][0] != shapes[1][0]:
            raise ShapeError(
                f"MaskedImages: images {shapes[0]} do not fit masks {shapes[1]}",
                hint="images are (N, C, H, W), masks (N, K, H, W)",
            )
        super().__init__(images, masks)
        self.images, self.masks = images, masks

    @classmethod
    def from_labels(cls, images: np.ndarray, labels: np.ndarray) -> MaskedImages:
        """From grey uint8 images (N, H, W), scaled to [0, 1], and label maps whose 0 is nothing."""
        import backlit as bl

        scaled = images[:, None].astype(np.float32) / np.float32(255)
        return cls(bl.from_numpy(scaled), bl.from_numpy((labels[:, None] > 0).astype(np.float32)))

    def select(self, indices: Any) -> MaskedImages:
        """Those at `indices`, or where a mask is true.

        >>> pair = bl.data.MaskedImages(bl.zeros(3, 1, 4, 4), bl.ones(3, 1, 4, 4))
        >>> len(pair.select([2, 0]))
        2
        """
        images, masks = self._selected(indices)
        return MaskedImages(images, masks)

    def standardized(self) -> MaskedImages:
        """Each image less its own mean and over its own deviation: dark and bright ones alike."""
        axes = (1, 2, 3)
        shifted = self.images - self.images.mean(axes, keepdim=True)
        scale = (shifted**2).mean(axes, keepdim=True).sqrt().clamp(min=1e-6)
        return MaskedImages(shifted / scale, self.masks)


class MaskedViews(Dataset[tuple[Any, Any]]):
    """A random square of side `crop` of each image and its mask, mirrored and turned by quarters.

    All eight are equally likely and drawn anew whenever an image is read: what lies under a
    microscope has no upright position.

    >>> images = bl.data.MaskedImages(bl.rand(1, 1, 8, 8), bl.ones(1, 1, 8, 8))
    >>> image, mask = bl.data.MaskedViews(images, crop=4)[0]
    >>> image.shape, mask.shape
    (backlit.Size([1, 4, 4]), backlit.Size([1, 4, 4]))
    """

    def __init__(self, data: MaskedImages, crop: int):
        height, width = data.images.shape[2:]
        if not 0 < crop <= min(height, width):
            raise ArgumentError(f"MaskedViews: crop={crop} of images {height} x {width}")
        self.images, self.masks, self.crop = data.images.numpy(), data.masks.numpy(), crop

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
        import backlit as bl

        draws = bl.rand(len(indices), 3).tolist()
        height, width = self.images.shape[2:]
        views = []
        for index, (down, right, turn) in zip(indices, draws, strict=True):
            top = int(down * (height - self.crop + 1))
            left = int(right * (width - self.crop + 1))
            quarters, mirrored = divmod(int(turn * 8), 2)
            pair = []
            for pixels in (self.images[index], self.masks[index]):
                view = pixels[:, top : top + self.crop, left : left + self.crop]
                view = np.rot90(view[..., ::-1] if mirrored else view, quarters, (1, 2))
                pair.append(bl.from_numpy(np.ascontiguousarray(view)))
            views.append((pair[0], pair[1]))
        return views
