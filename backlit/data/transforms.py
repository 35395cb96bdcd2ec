"""Common transforms of images: PyTorch users' names, on Pillow images, arrays and tensors.

Arrays are (H, W) or (H, W, C), tensors (..., C, H, W). Owns the choices (sizes, chances) and
where randomness comes from: the transform's own generator, else the global one, so that a
resumed run draws the same. The pixels are images.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data import images
from backlit.data import transform_arguments as arguments
from backlit.data.transform_arguments import Range
from backlit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from backlit import Generator, Tensor


class Compose:
    """Several transforms, one after the other.

    >>> T = bl.data.transforms
    >>> prepare = T.Compose([T.ToTensor(), T.Normalize([0.5], [0.5])])
    >>> prepare(np.zeros((2, 2), np.uint8)).flatten().tolist()
    [-1.0, -1.0, -1.0, -1.0]
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]):
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image

    def __repr__(self) -> str:
        inner = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({inner}\n)"


class Transform:
    """What the transforms share: a repr of their settings, and draws from their generator."""

    generator: Generator | None = None

    def _draw(self, count: int) -> list[float]:
        """Numbers in [0, 1); one call for all of them is much faster than one for each."""
        import backlit as bl

        return bl.rand((count,), generator=self.generator).tolist()

    def _chance(self, probability: float) -> bool:
        return self._draw(1)[0] < probability

    def __repr__(self) -> str:
        own = {k: v for k, v in vars(self).items() if k != "generator" and not k.startswith("_")}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in own.items())})"


class Lambda(Transform):
    """Any function as a transform.

    >>> bl.data.transforms.Lambda(lambda x: x + 1)(2)
    3
    """

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise ArgumentTypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)


class ToTensor(Transform):
    """A Pillow image or array (H, W[, C]) as a tensor (C, H, W); bytes become [0, 1] float32.

    >>> bl.data.transforms.ToTensor()(np.array([[0, 255]], np.uint8))
    tensor([[[0., 1.]]])
    """

    def __call__(self, image: Any) -> Tensor:
        import backlit as bl

        return bl.from_numpy(images.to_chw(image))


class Normalize(Transform):
    """(x - mean) / std for each channel of a float tensor (..., C, H, W).

    >>> bl.data.transforms.Normalize(mean=[1.0], std=[2.0])(bl.tensor([[[5.0, 1.0]]]))
    tensor([[[2., 0.]]])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False):
        if any(value == 0 for value in np.ravel(std)):
            raise ArgumentError(f"Normalize: std must not be zero, got {std}")
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, image: Tensor) -> Tensor:
        import backlit as bl

        if not isinstance(image, bl.Tensor) or not image.dtype.is_floating_point:
            kind = getattr(image, "dtype", type(image).__name__)
            raise ArgumentTypeError(
                f"Normalize: expected a float tensor, got {kind}", hint="put ToTensor() before it"
            )
        if image.ndim < 3:
            raise ArgumentError(f"Normalize: expected (..., C, H, W), got {tuple(image.shape)}")
        array = image.numpy()
        mean, std = (np.ravel(np.asarray(v, array.dtype)) for v in (self.mean, self.std))
        channels = array.shape[-3]
        if mean.size not in (1, channels) or std.size not in (1, channels):
            raise ArgumentError(
                f"Normalize: {mean.size} means and {std.size} stds for {channels} channels"
            )
        result = bl.from_numpy((array - mean[:, None, None]) / std[:, None, None])
        return image.copy_(result) if self.inplace else result


class Resize(Transform):
    """Resample to (height, width), or the shorter side to `size`; antialiased.

    >>> bl.data.transforms.Resize(8)(bl.zeros(3, 32, 64)).shape
    backlit.Size([3, 8, 16])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: str = "bilinear",
        max_size: int | None = None,
    ):
        self.size = arguments.one_or_pair(size, "Resize: size")
        self.interpolation = arguments.known_filter(interpolation, images.FILTERS, "Resize")
        if max_size is not None and (len(self.size) == 2 or max_size <= self.size[0]):
            raise ArgumentError(
                f"Resize: max_size={max_size} must exceed a single size, got {size}"
            )
        self.max_size = max_size

    def __call__(self, image: Any) -> Any:
        if len(self.size) == 2:
            return images.resize(image, *self.size, self.interpolation)
        height, width = images.size_of(image)
        short, long = min(height, width), max(height, width)
        new_short, new_long = self.size[0], int(self.size[0] * long / short)
        if self.max_size is not None and new_long > self.max_size:
            new_short, new_long = int(self.max_size * new_short / new_long), self.max_size
        tall = height > width
        size = (new_long, new_short) if tall else (new_short, new_long)
        return images.resize(image, *size, self.interpolation)


class CenterCrop(Transform):
    """The middle (height, width); a smaller image gets a border of zeros.

    >>> bl.data.transforms.CenterCrop(2)(np.arange(16).reshape(4, 4)).tolist()
    [[5, 6], [9, 10]]
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = arguments.pair(size, "CenterCrop: size")

    def __call__(self, image: Any) -> Any:
        height, width = images.size_of(image)
        top, left = round((height - self.size[0]) / 2), round((width - self.size[1]) / 2)
        return images.crop(image, top, left, *self.size)


class Pad(Transform):
    """A border: one number, (left/right, top/bottom) or (left, top, right, bottom).

    >>> bl.data.transforms.Pad((1, 0), fill=9)(np.array([[1, 2]])).tolist()
    [[9, 1, 2, 9]]
    """

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"):
        self.padding = arguments.sides(padding)
        self.fill = fill
        self.padding_mode = arguments.known_padding(padding_mode, "Pad")

    def __call__(self, image: Any) -> Any:
        return images.pad(image, self.padding, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """A random (height, width) of the image, after padding it.

    >>> shift = bl.data.transforms.RandomCrop(28, padding=2)
    >>> shift(bl.zeros(1, 28, 28)).shape
    backlit.Size([1, 28, 28])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
        generator: Generator | None = None,
    ):
        self.size = arguments.pair(size, "RandomCrop: size")
        self.padding = None if padding is None else arguments.sides(padding)
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = arguments.known_padding(padding_mode, "RandomCrop")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        if self.padding is not None:
            image = images.pad(image, self.padding, self.fill, self.padding_mode)
        height, width = images.size_of(image)
        if self.pad_if_needed:
            more_h, more_w = max(self.size[0] - height, 0), max(self.size[1] - width, 0)
            if more_h or more_w:
                sides = [more_w, more_h, more_w, more_h]
                image = images.pad(image, sides, self.fill, self.padding_mode)
                height, width = images.size_of(image)
        if height < self.size[0] or width < self.size[1]:
            raise ArgumentError(
                f"RandomCrop: size {self.size} is larger than the image {(height, width)}",
                hint="pass padding= or pad_if_needed=True",
            )
        u, v = self._draw(2)
        top, left = int(u * (height - self.size[0] + 1)), int(v * (width - self.size[1] + 1))
        return images.crop(image, top, left, *self.size)


class RandomHorizontalFlip(Transform):
    """Left becomes right with probability p.

    >>> bl.data.transforms.RandomHorizontalFlip(p=1.0)(np.array([[1, 2], [3, 4]])).tolist()
    [[2, 1], [4, 3]]
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None):
        self.p = arguments.probability(p, "RandomHorizontalFlip")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        return images.hflip(image) if self._chance(self.p) else image


class RandomVerticalFlip(Transform):
    """Top becomes bottom with probability p.

    >>> bl.data.transforms.RandomVerticalFlip(p=1.0)(np.array([[1, 2], [3, 4]])).tolist()
    [[3, 4], [1, 2]]
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None):
        self.p = arguments.probability(p, "RandomVerticalFlip")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        return images.vflip(image) if self._chance(self.p) else image


class RandomRotation(Transform):
    """Turn by an angle drawn from (-degrees, degrees) or (low, high), counterclockwise.

    >>> bl.data.transforms.RandomRotation((90, 90))(np.array([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """

    def __init__(
        self,
        degrees: Range,
        interpolation: str = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
        generator: Generator | None = None,
    ):
        self.degrees = arguments.around_zero(degrees, "RandomRotation: degrees")
        self.interpolation = arguments.known_filter(
            interpolation, images.FILTERS[:3], "RandomRotation"
        )
        self.expand, self.center, self.fill = expand, center, fill
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        angle = _between(self.degrees, self._draw(1)[0])
        return images.rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)


class Grayscale(Transform):
    """Brightness in 1 or 3 equal channels.

    >>> bl.data.transforms.Grayscale()(bl.ones(3, 4, 4)).shape
    backlit.Size([1, 4, 4])
    """

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            raise ArgumentError(
                f"Grayscale: num_output_channels must be 1 or 3, got {num_output_channels}"
            )
        self.num_output_channels = num_output_channels

    def __call__(self, image: Any) -> Any:
        return images.grayscale(image, self.num_output_channels)


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue at random, in random order.

    Each is a number x (factors from max(0, 1 - x) to 1 + x; hue from -x to x, at most 0.5) or
    its own (low, high).

    >>> darken = bl.data.transforms.ColorJitter(brightness=(0.5, 0.5))
    >>> darken(np.array([[200, 100]], np.uint8)).tolist()
    [[100, 50]]
    """

    def __init__(
        self,
        brightness: Range = 0,
        contrast: Range = 0,
        saturation: Range = 0,
        hue: Range = 0,
        generator: Generator | None = None,
    ):
        self.brightness = arguments.around_one(brightness, "ColorJitter: brightness")
        self.contrast = arguments.around_one(contrast, "ColorJitter: contrast")
        self.saturation = arguments.around_one(saturation, "ColorJitter: saturation")
        self.hue = arguments.around_zero(hue, "ColorJitter: hue")
        if max(map(abs, self.hue)) > 0.5:
            raise ArgumentError(f"ColorJitter: hue must lie within -0.5 and 0.5, got {hue}")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        steps = (
            (images.adjust_brightness, self.brightness, 1.0),
            (images.adjust_contrast, self.contrast, 1.0),
            (images.adjust_saturation, self.saturation, 1.0),
            (images.adjust_hue, self.hue, 0.0),
        )
        places, draws = self._draw(4), self._draw(4)
        for i in sorted(range(4), key=places.__getitem__):
            adjust, bounds, neutral = steps[i]
            if bounds != (neutral, neutral):
                image = adjust(image, _between(bounds, draws[i]))
        return image


class RandomErasing(Transform):
    """Overwrite a random rectangle of a tensor (..., C, H, W) with probability p.

    `scale` bounds its share of the area, `ratio` its height over width; `value` is a number, one
    per channel, or "random" (normal noise). Zhong et al., "Random erasing data augmentation".

    >>> erase = bl.data.transforms.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1, 1))
    >>> erase(bl.ones(1, 4, 4)).sum().item()
    12.0
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        inplace: bool = False,
        generator: Generator | None = None,
    ):
        self.p = arguments.probability(p, "RandomErasing")
        self.scale = arguments.bounds(scale, "RandomErasing: scale")
        self.ratio = arguments.bounds(ratio, "RandomErasing: ratio")
        if not 0 <= self.scale[0] <= self.scale[1] <= 1 or self.ratio[0] <= 0:
            raise ArgumentError(f"RandomErasing: scale {scale} or ratio {ratio} out of range")
        if isinstance(value, str) and value != "random":
            raise ArgumentError(f"RandomErasing: value must be numbers or 'random', got {value!r}")
        self.value, self.inplace = value, inplace
        self.generator = generator

    def __call__(self, image: Tensor) -> Tensor:
        import backlit as bl

        if not isinstance(image, bl.Tensor) or image.ndim < 3:
            raise ArgumentTypeError(
                f"RandomErasing: expected a tensor (..., C, H, W), got {type(image).__name__}",
                hint="put ToTensor() before it",
            )
        if not self._chance(self.p):
            return image
        box = self._box(*images.size_of(image))
        if box is None:
            return image
        top, left, height, width = box
        array = image.numpy().copy()
        value = self._filling(array.shape[-3], height, width)
        array[..., top : top + height, left : left + width] = value
        result = bl.from_numpy(array)
        return image.copy_(result) if self.inplace else result

    def _box(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        low, high = (math.log(bound) for bound in self.ratio)
        for _ in range(10):
            u, v, down, right = self._draw(4)
            area = height * width * _between(self.scale, u)
            ratio = math.exp(_between((low, high), v))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < h < height and 0 < w < width:
                return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
        return None

    def _filling(self, channels: int, height: int, width: int) -> np.ndarray:
        import backlit as bl

        if self.value == "random":
            return bl.randn((channels, height, width), generator=self.generator).numpy()
        value = np.ravel(np.asarray(self.value))
        if value.size not in (1, channels):
            raise ArgumentError(f"RandomErasing: {value.size} values for {channels} channels")
        return value[:, None, None]


def _between(bounds: tuple[float, float], share: float) -> float:
    low, high = bounds
    return low + (high - low) * share
