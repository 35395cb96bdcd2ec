"""Images with masks: read from a folder, refused where damaged, cropped and turned together."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import backlit as bl
from backlit.data import DataLoader, MaskedImages, MaskedViews, Nuclei
from backlit.errors import ArgumentError, DataError, ShapeError

SHIPPED = Path(bl.data.__file__).parent / "nuclei_sample"


@pytest.fixture
def folder(tmp_path):
    """Two images of 4 x 6 to train on and one for tests, in the layout of the real data."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for number, name in enumerate(("a", "b", "c")):
        Image.fromarray(grey + number).save(tmp_path / "images" / f"{name}.png")
        labels = np.zeros((4, 6), np.uint16)
        labels[0, 0], labels[2, 3] = 1, 300
        Image.fromarray(labels).save(tmp_path / "labels" / f"{name}.png")
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "test.txt").write_text("c\n")
    return tmp_path


def test_images_and_label_maps(folder):
    data = Nuclei(folder)
    assert data.images.shape == (2, 4, 6) and data.images.dtype == np.uint8
    assert data.labels.dtype == np.uint16 and data.labels[1, 2, 3] == 300
    np.testing.assert_array_equal(data.images[1], data.images[0] + 1)
    assert Nuclei(folder, train=False).names == ["c"] and "2 images" in repr(data)


def test_what_ships_is_in_the_real_layout():
    for train, count in ((True, 8), (False, 4)):
        data = Nuclei(SHIPPED, train)
        assert data.images.shape == data.labels.shape == (count, 256, 256)
        nuclei = data.labels.reshape(count, -1)
        assert all(set(np.unique(map_)) == set(range(map_.max() + 1)) for map_ in nuclei)
        assert data.images[data.labels > 0].mean() > 1.5 * data.images[data.labels == 0].mean()


def replace(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else Image.fromarray(content).save(path)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("images/b.png", b"\x89PNG\r\n", "broken image"),
        ("images/b.png", np.zeros((4, 7), np.uint8), r"\(4, 7\), but a.png is \(4, 6\)"),
        ("images/b.png", np.zeros((4, 6, 3), np.uint8), "not a grey image of uint8"),
        ("images/b.png", np.full((4, 6), 256, np.uint16), "not a grey image of uint8"),
        ("train.txt", b"\n", "no names"),
        ("train.txt", b"../a\n", "is not a name"),
        ("train.txt", b"\xff\xfe", "not a list of names"),
        ("train.txt", b"nobody\n", "nobody.png: no such file"),
    ],
)
def test_damage_is_named(folder, file, content, words):
    replace(folder / file, content)
    with pytest.raises(DataError, match=words):
        Nuclei(folder)


def test_labels_of_another_size_than_the_images(folder):
    for name in "ab":
        Image.fromarray(np.zeros((2, 2), np.uint16)).save(folder / "labels" / f"{name}.png")
    with pytest.raises(DataError, match=r"images are \(4, 6\), labels \(2, 2\)"):
        Nuclei(folder)
    shutil.rmtree(folder / "labels")
    with pytest.raises(DataError, match="no such file"):
        Nuclei(folder)


def pairs(count=3, size=6):
    """Images whose mask is where a pixel is above one half, so that views can be compared."""
    bl.manual_seed(1)
    images = bl.rand(count, 1, size, size)
    return MaskedImages(images, (images > 0.5).float())


def test_views_turn_image_and_mask_together_and_cover_all_eight():
    data = pairs(1)
    views = MaskedViews(data, crop=6)
    original = data.images.numpy()[0, 0]
    turned = [np.rot90(original, k) for k in range(4)] + [np.rot90(original.T, k) for k in range(4)]
    seen = set()
    for image, mask in views.__getitems__([0] * 100):
        np.testing.assert_array_equal(image.numpy() > 0.5, mask.numpy() > 0.5)
        seen |= {n for n, one in enumerate(turned) if np.array_equal(one, image.numpy()[0])}
    assert seen == set(range(8))


def test_crops_come_from_everywhere_and_repeat_with_the_seed():
    views = MaskedViews(pairs(), crop=4)
    corners = set()
    for image, _ in views.__getitems__([0] * 200):
        assert image.shape == (1, 4, 4)
        corners |= {float(image[0, i, j]) for i in (0, -1) for j in (0, -1)}
    assert len(corners) == 36  # every pixel of a 6 x 6 image is a corner of some crop
    loader = DataLoader(views, 2, shuffle=True)
    bl.manual_seed(3)
    first = [image.tolist() for image, _ in loader]
    bl.manual_seed(3)
    assert first == [image.tolist() for image, _ in loader]


def test_standardized_images_and_masks_from_labels():
    grey = np.array([[[10, 20], [30, 40]], [[0, 0], [0, 200]]], np.uint8)
    labels = np.array([[[0, 1], [2, 0]], [[0, 0], [0, 300]]], np.uint16)
    data = MaskedImages.from_labels(grey, labels)
    assert data.masks.tolist() == [[[[0, 1], [1, 0]]], [[[0, 0], [0, 1]]]]
    even = data.standardized().images.numpy()
    np.testing.assert_allclose(even.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(even.std((1, 2, 3)), 1, atol=1e-5)
    flat = MaskedImages(bl.ones(1, 1, 2, 2), bl.ones(1, 1, 2, 2)).standardized()
    assert flat.images.abs().max().item() == 0


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="do not fit masks"):
        MaskedImages(bl.zeros(2, 1, 4, 4), bl.zeros(2, 1, 4, 5))
    with pytest.raises(ArgumentError, match="crop=7 of images 6 x 6"):
        MaskedViews(pairs(), crop=7)
