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
from backlit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from backlit import Generator, Tensor

Range = float | Sequence[float]


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

    def _uniform(self, low: float, high: float) -> float:
        import backlit as bl

        return low + (high - low) * float(bl.rand((1,), generator=self.generator).item())

    def _below(self, count: int) -> int:
        import backlit as bl

        return int(bl.randint(0, count, (1,), generator=self.generator).item())

    def _chance(self, probability: float) -> bool:
        return self._uniform(0, 1) < probability

    def __repr__(self) -> str:
        own = {k: v for k, v in vars(self).items() if k != "generator" and not k.startswith("_")}
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in own.items())})"


class Lambda(Transform):
    """Any function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise ArgumentTypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)


class ToTensor(Transform):
    """A Pillow image or array (H, W[, C]) as a tensor (C, H, W); bytes become [0, 1] float32."""

    def __call__(self, image: Any) -> Tensor:
        import backlit as bl

        return bl.from_numpy(images.to_chw(image))


class Normalize(Transform):
    """(x - mean) / std for each channel of a float tensor (..., C, H, W)."""

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
    """Resample to (height, width), or the shorter side to `size`; antialiased."""

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: str = "bilinear",
        max_size: int | None = None,
    ):
        self.size = _one_or_pair(size, "Resize: size")
        self.interpolation = _known_filter(interpolation, images.FILTERS, "Resize")
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
    """The middle (height, width); a smaller image gets a border of zeros."""

    def __init__(self, size: int | Sequence[int]):
        self.size = _pair(size, "CenterCrop: size")

    def __call__(self, image: Any) -> Any:
        height, width = images.size_of(image)
        top, left = round((height - self.size[0]) / 2), round((width - self.size[1]) / 2)
        return images.crop(image, top, left, *self.size)


class Pad(Transform):
    """A border: one number, (left/right, top/bottom) or (left, top, right, bottom)."""

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"):
        self.padding = _sides(padding)
        self.fill = fill
        self.padding_mode = _known_padding(padding_mode, "Pad")

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
        self.size = _pair(size, "RandomCrop: size")
        self.padding = None if padding is None else _sides(padding)
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = _known_padding(padding_mode, "RandomCrop")
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
        top, left = self._below(height - self.size[0] + 1), self._below(width - self.size[1] + 1)
        return images.crop(image, top, left, *self.size)


class RandomHorizontalFlip(Transform):
    """Left becomes right with probability p."""

    def __init__(self, p: float = 0.5, generator: Generator | None = None):
        self.p = _probability(p, "RandomHorizontalFlip")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        return images.hflip(image) if self._chance(self.p) else image


class RandomVerticalFlip(Transform):
    """Top becomes bottom with probability p."""

    def __init__(self, p: float = 0.5, generator: Generator | None = None):
        self.p = _probability(p, "RandomVerticalFlip")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        return images.vflip(image) if self._chance(self.p) else image


class RandomRotation(Transform):
    """Turn by an angle drawn from (-degrees, degrees) or (low, high), counterclockwise."""

    def __init__(
        self,
        degrees: Range,
        interpolation: str = "nearest",
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
        generator: Generator | None = None,
    ):
        self.degrees = _around_zero(degrees, "RandomRotation: degrees")
        self.interpolation = _known_filter(interpolation, images.FILTERS[:3], "RandomRotation")
        self.expand, self.center, self.fill = expand, center, fill
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        angle = self._uniform(*self.degrees)
        return images.rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)


class Grayscale(Transform):
    """Brightness in 1 or 3 equal channels."""

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
    """

    def __init__(
        self,
        brightness: Range = 0,
        contrast: Range = 0,
        saturation: Range = 0,
        hue: Range = 0,
        generator: Generator | None = None,
    ):
        self.brightness = _around_one(brightness, "ColorJitter: brightness")
        self.contrast = _around_one(contrast, "ColorJitter: contrast")
        self.saturation = _around_one(saturation, "ColorJitter: saturation")
        self.hue = _around_zero(hue, "ColorJitter: hue")
        if max(map(abs, self.hue)) > 0.5:
            raise ArgumentError(f"ColorJitter: hue must lie within -0.5 and 0.5, got {hue}")
        self.generator = generator

    def __call__(self, image: Any) -> Any:
        import backlit as bl

        steps = (
            (images.adjust_brightness, self.brightness, 1.0),
            (images.adjust_contrast, self.contrast, 1.0),
            (images.adjust_saturation, self.saturation, 1.0),
            (images.adjust_hue, self.hue, 0.0),
        )
        order = bl.randperm(len(steps), generator=self.generator).tolist()
        for adjust, bounds, neutral in (steps[i] for i in order):
            if bounds != (neutral, neutral):
                image = adjust(image, self._uniform(*bounds))
        return image


class RandomErasing(Transform):
    """Overwrite a random rectangle of a tensor (..., C, H, W) with probability p.

    `scale` bounds its share of the area, `ratio` its height over width; `value` is a number, one
    per channel, or "random" (normal noise). Zhong et al., "Random erasing data augmentation".
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
        self.p = _probability(p, "RandomErasing")
        self.scale = _bounds(scale, "RandomErasing: scale")
        self.ratio = _bounds(ratio, "RandomErasing: ratio")
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
            area = height * width * self._uniform(*self.scale)
            ratio = math.exp(self._uniform(low, high))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < h < height and 0 < w < width:
                return self._below(height - h + 1), self._below(width - w + 1), h, w
        return None

    def _filling(self, channels: int, height: int, width: int) -> np.ndarray:
        import backlit as bl

        if self.value == "random":
            return bl.randn((channels, height, width), generator=self.generator).numpy()
        value = np.ravel(np.asarray(self.value))
        if value.size not in (1, channels):
            raise ArgumentError(f"RandomErasing: {value.size} values for {channels} channels")
        return value[:, None, None]


def _pair(size: int | Sequence[int], what: str) -> tuple[int, int]:
    sizes = _one_or_pair(size, what)
    return (sizes[0], sizes[-1])


def _one_or_pair(size: int | Sequence[int], what: str) -> tuple[int, ...]:
    sizes = tuple(size) if isinstance(size, list | tuple) else (size,)
    if len(sizes) not in (1, 2) or any(not isinstance(n, int) or n <= 0 for n in sizes):
        raise ArgumentError(f"{what} must be one or two positive whole numbers, got {size!r}")
    return sizes


def _sides(padding: int | Sequence[int]) -> list[int]:
    given: list[Any] = list(padding) if isinstance(padding, list | tuple) else [padding]
    if len(given) not in (1, 2, 4) or any(not isinstance(n, int) or n < 0 for n in given):
        raise ArgumentError(f"padding must be 1, 2 or 4 whole numbers, got {padding!r}")
    return (given * 4)[:4]


def _known_filter(name: str, known: Sequence[str], owner: str) -> str:
    text = str(getattr(name, "name", name)).lower()
    if text not in known:
        raise ArgumentError(f"{owner}: interpolation {name!r} is not one of {', '.join(known)}")
    return text


def _known_padding(mode: str, owner: str) -> str:
    if mode != "constant" and mode not in images.PADDING_MODES:
        known = ", ".join(("constant", *images.PADDING_MODES))
        raise ArgumentError(f"{owner}: padding_mode {mode!r} is not one of {known}")
    return mode


def _probability(p: float, owner: str) -> float:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{owner}: p must lie between 0 and 1, got {p}")
    return p


def _bounds(value: Any, what: str) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2 or not value[0] <= value[1]:
        raise ArgumentError(f"{what} must be (low, high), got {value!r}")
    return float(value[0]), float(value[1])


def _around_zero(value: Range, what: str) -> tuple[float, float]:
    if not isinstance(value, int | float):
        return _bounds(value, what)
    if value < 0:
        raise ArgumentError(f"{what} must not be negative, got {value}")
    return -float(value), float(value)


def _around_one(value: Range, what: str) -> tuple[float, float]:
    if isinstance(value, int | float) and value >= 0:
        return max(0.0, 1.0 - value), 1.0 + value
    low, high = _bounds(value, what)
    if low < 0:
        raise ArgumentError(f"{what} must not be negative, got {value}")
    return low, high
