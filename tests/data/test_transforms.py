"""Transforms: Pillow images, arrays and tensors give the same pixels; draws repeat."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import backlit as bl
from backlit.data import transforms as T

PHOTO = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def kinds(array=PHOTO):
    """The same picture as Pillow image, array and tensor."""
    return [Image.fromarray(array), array.copy(), bl.from_numpy(array.transpose(2, 0, 1))]


def pixels(image):
    """(H, W, C) of any kind."""
    if isinstance(image, bl.Tensor):
        return image.numpy().transpose(1, 2, 0)
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def seeded(seed=0):
    return bl.Generator().manual_seed(seed)


GEOMETRIC = [
    (lambda: T.CenterCrop(4), PHOTO[1:5, 2:6]),
    (lambda: T.CenterCrop((2, 8)), PHOTO[2:4]),
    (lambda: T.CenterCrop(8), np.pad(PHOTO, ((1, 1), (0, 0), (0, 0)))),
    (lambda: T.Pad(1), np.pad(PHOTO, ((1, 1), (1, 1), (0, 0)))),
    (lambda: T.Pad((1, 2)), np.pad(PHOTO, ((2, 2), (1, 1), (0, 0)))),
    (lambda: T.Pad((1, 2, 3, 4), fill=9),
     np.pad(PHOTO, ((2, 4), (1, 3), (0, 0)), constant_values=9)),
    (lambda: T.Pad(2, padding_mode="reflect"), np.pad(PHOTO, ((2, 2), (2, 2), (0, 0)), "reflect")),
    (lambda: T.Pad(2, padding_mode="edge"), np.pad(PHOTO, ((2, 2), (2, 2), (0, 0)), "edge")),
    (lambda: T.RandomHorizontalFlip(1.0), PHOTO[:, ::-1]),
    (lambda: T.RandomVerticalFlip(1.0), PHOTO[::-1]),
    (lambda: T.RandomHorizontalFlip(0.0), PHOTO),
    (lambda: T.RandomCrop((6, 8)), PHOTO),
    (lambda: T.Resize((6, 8)), PHOTO),
    (lambda: T.RandomRotation((90, 90), expand=True), np.rot90(PHOTO)),
    (lambda: T.Lambda(lambda image: image), PHOTO),
]  # fmt: skip


@pytest.mark.parametrize(("make", "expected"), GEOMETRIC)
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_geometry_on_every_kind(make, expected, kind):
    image = kinds()[kind]
    changed = make()(image)
    assert isinstance(changed, type(image))
    np.testing.assert_array_equal(pixels(changed), expected)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", Image.BICUBIC])
@pytest.mark.parametrize("size", [(3, 4), (12, 5), 9])
def test_resize_is_pillows_on_every_kind(size, interpolation):
    filters = {"nearest": 0, "bilinear": 2, "bicubic": 3}
    method = filters.get(interpolation, interpolation)
    if not isinstance(interpolation, str):
        interpolation = Image.Resampling(interpolation)
    height, width = size if isinstance(size, tuple) else (9, 12)
    expected = np.asarray(Image.fromarray(PHOTO).resize((width, height), method))
    for image in kinds():
        changed = T.Resize(size, interpolation)(image)
        np.testing.assert_array_equal(pixels(changed), expected)


def test_resize_of_floats_and_of_the_shorter_side():
    ramp = np.tile(np.arange(8, dtype=np.float32), (4, 1))
    small = T.Resize((2, 4))(bl.from_numpy(ramp))
    expected = np.asarray(Image.fromarray(ramp).resize((4, 2), Image.BILINEAR))
    np.testing.assert_array_equal(small.numpy(), expected)
    assert small.dtype == bl.float32
    assert T.Resize(2)(ramp).shape == (2, 4)
    assert T.Resize(4, max_size=6)(ramp).shape == (3, 6)
    assert tuple(T.Resize(2)(bl.zeros(5, 3, 8, 4)).shape) == (5, 3, 4, 2)


def test_rotation_agrees_with_pillow():
    expected = np.asarray(Image.fromarray(PHOTO).rotate(30, Image.BILINEAR, fillcolor=(7, 7, 7)))
    for image in kinds():
        turned = T.RandomRotation((30, 30), interpolation="bilinear", fill=7)(image)
        np.testing.assert_array_equal(pixels(turned), expected)


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5))))
def test_to_tensor_scales_bytes(array):
    expected = array.astype(np.float32)[None] / np.float32(255)
    for image in (array, Image.fromarray(array)):
        tensor = T.ToTensor()(image)
        assert tensor.dtype == bl.float32
        np.testing.assert_array_equal(tensor.numpy(), expected)


def test_to_tensor_of_other_kinds():
    floats = np.random.default_rng(1).normal(size=(2, 3, 4))
    assert T.ToTensor()(floats).dtype == bl.float64
    np.testing.assert_array_equal(T.ToTensor()(floats).numpy(), floats.transpose(2, 0, 1))
    assert tuple(T.ToTensor()(Image.new("1", (3, 2), 1)).shape) == (1, 2, 3)
    assert T.ToTensor()(Image.new("1", (1, 1), 1)).item() == 1
    assert tuple(T.ToTensor()(Image.new("P", (3, 2))).shape) == (3, 2, 3)
    assert tuple(T.ToTensor()(Image.new("RGBA", (3, 2))).shape) == (4, 2, 3)
    assert T.ToTensor()(Image.new("F", (1, 1), 0.5)).item() == 0.5
    with pytest.raises(TypeError, match="expected a Pillow image"):
        T.ToTensor()("photo.png")


def test_normalize():
    x = bl.from_numpy(np.arange(12, dtype=np.float32).reshape(3, 2, 2))
    y = T.Normalize([0.0, 4.0, 8.0], [1.0, 2.0, 4.0])(x)
    expected = np.stack([np.arange(4), np.arange(4) / 2, np.arange(4) / 4]).reshape(3, 2, 2)
    np.testing.assert_allclose(y.numpy(), expected)
    assert T.Normalize(0.5, 0.5)(bl.ones(2, 3, 4, 4)).sum().item() == 96
    T.Normalize([1.0], [2.0], inplace=True)(x)
    assert x[0, 0, 0].item() == -0.5


@pytest.mark.parametrize("image", kinds())
def test_grayscale_is_the_luma(image):
    luma = np.rint(PHOTO @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    gray = T.Grayscale()(image)
    assert pixels(gray).shape == (6, 8, 1)
    np.testing.assert_array_equal(pixels(gray)[..., 0], luma)
    assert pixels(T.Grayscale(3)(image)).shape == (6, 8, 3)
    if isinstance(image, Image.Image):
        assert gray.mode == "L"


COLOURS = [
    ({"brightness": (0.5, 0.5)}, lambda c: c * 0.5),
    ({"brightness": (2, 2)}, lambda c: np.clip(c * 2, 0, 1)),
    ({"saturation": (0, 0)}, lambda c: np.repeat(c @ [[0.299], [0.587], [0.114]], 3, axis=2)),
    ({"contrast": (0, 0)}, lambda c: np.full_like(c, (c @ [0.299, 0.587, 0.114]).mean())),
    ({"contrast": (1.5, 1.5)},
     lambda c: np.clip(1.5 * c - 0.5 * (c @ [0.299, 0.587, 0.114]).mean(), 0, 1)),
    ({"hue": (0.2, 0.2)}, lambda c: np.apply_along_axis(turned, 2, c)),
    ({"hue": (-0.5, -0.5)}, lambda c: np.apply_along_axis(lambda p: turned(p, 0.5), 2, c)),
]  # fmt: skip


def turned(pixel, by=0.2):
    hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
    return colorsys.hsv_to_rgb((hue + by) % 1, saturation, value)


@pytest.mark.parametrize(("jitter", "formula"), COLOURS)
def test_colours_follow_their_formula(jitter, formula):
    expected = formula(PHOTO / 255)
    for image in kinds():
        changed = pixels(T.ColorJitter(**jitter)(image))
        assert changed.dtype == np.uint8
        assert np.abs(changed - expected * 255).max() <= 0.5 + 1e-9
    floats = bl.from_numpy((PHOTO / 255).transpose(2, 0, 1))
    np.testing.assert_allclose(pixels(T.ColorJitter(**jitter)(floats)), expected, atol=1e-12)


def test_jitter_keeps_alpha_and_grey():
    rgba = Image.fromarray(np.dstack([PHOTO, PHOTO[..., 0]]))
    changed = T.ColorJitter(brightness=(0, 0))(rgba)
    assert changed.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(changed)[..., 3], PHOTO[..., 0])
    gray = Image.fromarray(PHOTO[..., 0])
    same = T.ColorJitter(hue=0.5, saturation=0.5)(gray)
    assert same.mode == "L"
    np.testing.assert_array_equal(np.asarray(same), PHOTO[..., 0])


def test_modes_survive():
    for mode in ("L", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "F", "I"):
        image = Image.new(mode, (5, 4))
        assert T.RandomHorizontalFlip(1.0)(image).mode == mode
        assert T.Pad(1)(image).size == (7, 6)


RANDOM = [
    T.RandomCrop(4), T.RandomCrop(6, padding=2, padding_mode="symmetric"),
    T.RandomCrop(12, pad_if_needed=True), T.RandomHorizontalFlip(), T.RandomVerticalFlip(),
    T.RandomRotation(45), T.ColorJitter(0.4, 0.4, 0.4, 0.1),
    T.Compose([T.ToTensor(), T.RandomErasing(0.9)]),
]  # fmt: skip


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_draws_come_from_the_global_generator_and_repeat(transform):
    image = Image.fromarray(PHOTO)
    bl.manual_seed(1)
    first = [pixels(transform(image)) for _ in range(12)]
    assert any(not np.array_equal(first[0], other) for other in first[1:])
    state_moves = bl.get_rng_state()
    bl.manual_seed(1)
    again = [pixels(transform(image)) for _ in range(12)]
    assert all(map(np.array_equal, first, again)) and bl.get_rng_state() == state_moves


def test_an_own_generator_is_used_instead():
    crops = [T.RandomCrop(3, generator=seeded(5)) for _ in range(2)]
    before = bl.get_rng_state()
    for _ in range(5):
        np.testing.assert_array_equal(crops[0](PHOTO), crops[1](PHOTO))
    assert bl.get_rng_state() == before


def test_every_kind_is_cropped_at_the_same_place():
    cut = [pixels(T.RandomCrop(3, generator=seeded(3))(image)) for image in kinds()]
    np.testing.assert_array_equal(cut[0], cut[1])
    np.testing.assert_array_equal(cut[0], cut[2])


def test_random_crop_reaches_every_place():
    rows = np.arange(5)[:, None] * 10 + np.arange(4)
    crop = T.RandomCrop(3, generator=seeded(1))
    corners = {int(crop(rows)[0, 0]) for _ in range(200)}
    assert corners == {10 * i + j for i in range(3) for j in range(2)}


def test_flips_happen_half_of_the_time():
    flip = T.RandomHorizontalFlip(generator=seeded(2))
    ramp = np.arange(4)[None]
    flipped = sum(int(flip(ramp)[0, 0] == 3) for _ in range(400))
    assert 150 < flipped < 250


def test_erasing_overwrites_one_rectangle():
    x = bl.full((3, 20, 30), 5.0)
    erase = T.RandomErasing(1.0, scale=(0.1, 0.2), value=[1.0, 2.0, 3.0], generator=seeded(4))
    for _ in range(20):
        y = erase(x).numpy()
        hole = y[0] == 1.0
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert 0.08 < hole.mean() < 0.23
        for channel, value in enumerate((1, 2, 3)):
            assert set(np.unique(y[channel])) == {value, 5}
    assert set(np.unique(x.numpy())) == {5}
    noise = T.RandomErasing(1.0, value="random", generator=seeded(4))(x).numpy()
    assert len(np.unique(noise)) > 3
    T.RandomErasing(1.0, inplace=True)(x)
    assert 0 in x.numpy()


def test_compose_and_repr():
    both = T.Compose([T.Resize(2), T.RandomCrop(2, padding=1)])
    assert "Resize(size=(2,)" in repr(both) and "padding=[1, 1, 1, 1]" in repr(both)
    assert "generator" not in repr(both)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: T.Resize(0), ValueError, "size"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "size"),
        (lambda: T.Resize(4, "magic"), ValueError, "'magic' is not one of nearest"),
        (lambda: T.Resize(4, max_size=3), ValueError, "max_size"),
        (lambda: T.RandomRotation(5, "lanczos"), ValueError, "lanczos"),
        (lambda: T.RandomRotation(-5), ValueError, "negative"),
        (lambda: T.CenterCrop(2.5), ValueError, "whole numbers"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "1, 2 or 4"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "wrap"),
        (lambda: T.RandomHorizontalFlip(1.5), ValueError, "p must lie"),
        (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "-0.5 and 0.5"),
        (lambda: T.Grayscale(2), ValueError, "1 or 3"),
        (lambda: T.Normalize([0.0], [0.0]), ValueError, "zero"),
        (lambda: T.RandomErasing(scale=(0.5, 0.1)), ValueError, "scale"),
        (lambda: T.RandomErasing(value="red"), ValueError, "'red'"),
        (lambda: T.Lambda(3), TypeError, "function"),
        (lambda: T.Normalize([0.5], [0.5])(PHOTO), TypeError, "ToTensor"),
        (lambda: T.Normalize([0.5] * 2, [0.5])(bl.zeros(3, 2, 2)), ValueError, "2 means"),
        (lambda: T.Normalize([0.5], [0.5])(bl.zeros(2, 2)), ValueError, r"got \(2, 2\)"),
        (lambda: T.RandomErasing(1.0)(PHOTO), TypeError, "ToTensor"),
        (lambda: T.RandomCrop(7)(PHOTO), ValueError, r"\(7, 7\) is larger than the image \(6, 8\)"),
        (lambda: T.CenterCrop(2)("x"), TypeError, "expected a Pillow image"),
        (lambda: T.Grayscale()(bl.zeros(5, 4, 4)), ValueError, "1 or 3 channels, got 5"),
        (lambda: T.Resize(2)(np.zeros((4, 4), bool)), TypeError, "bool"),
    ],
)
def test_refusals(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
