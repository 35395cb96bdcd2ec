"""MNIST-like datasets and the digits that ship: files found, checked, delivered."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading

import numpy as np
import pytest

import backlit as bl
from backlit.data import MNIST, DataLoader, FashionMNIST, digits, transforms, write_idx
from backlit.errors import DataError

IMAGES = np.arange(4 * 28 * 28, dtype=np.uint32).reshape(4, 28, 28).astype(np.uint8)
LABELS = np.array([3, 1, 9, 0], np.uint8)


def write_set(folder, ending="", images=IMAGES, labels=LABELS):
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte{ending}", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte{ending}", labels)


@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_samples_from_a_folder(tmp_path, below, ending):
    write_set(tmp_path / below, ending)
    data = MNIST(tmp_path, train=False)
    image, label = data[2]
    assert image.mode == "L" and image.size == (28, 28) and label == 9
    np.testing.assert_array_equal(np.asarray(image), IMAGES[2])
    assert data.data.dtype == bl.uint8 and tuple(data.data.shape) == (4, 28, 28)
    assert data.targets.tolist() == [3, 1, 9, 0] and data.targets.dtype == bl.int64
    assert len(data) == 4 and data.class_to_idx["9 - nine"] == 9


def test_transforms_are_applied(tmp_path):
    write_set(tmp_path)
    data = FashionMNIST(
        str(tmp_path), transform=transforms.ToTensor(), target_transform=lambda y: -y
    )
    x, y = next(iter(DataLoader(data, batch_size=4)))
    np.testing.assert_array_equal(x.numpy()[:, 0], IMAGES.astype(np.float32) / np.float32(255))
    assert y.tolist() == [-3, -1, -9, 0]
    assert data.classes[9] == "Ankle boot"


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (IMAGES, LABELS[:3], "4 images.*3 labels"),
        (IMAGES[0], LABELS, "expected images"),
        (IMAGES.astype(np.int16), LABELS, "expected images.*int16"),
        (IMAGES, IMAGES, "expected labels"),
        (IMAGES, LABELS + 1, "label 10 is out of range"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, images, labels, words):
    write_set(tmp_path, images=images, labels=labels)
    with pytest.raises(DataError, match=words):
        MNIST(tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte or train-images-idx3-ubyte\.gz"):
        MNIST(tmp_path)
    write_set(tmp_path, ".gz")
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz: damaged gzip"):
        MNIST(tmp_path)
    path.write_bytes(gzip.compress(struct.pack(">II", 2049, 9)))
    with pytest.raises(DataError, match="need 9 bytes, the file has 0"):
        MNIST(tmp_path)


def test_from_a_url_with_checksums(tmp_path, monkeypatch):
    write_set(tmp_path / "site", ".gz")
    monkeypatch.setattr(bl.config.flags, "data", str(tmp_path / "cache"))
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "site").iterdir()
    }

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert len(MNIST(url, sha256=sums)) == 4
        with pytest.raises(ValueError, match="no SHA-256 given for t10k-images"):
            MNIST(url, train=False, sha256={})
        with pytest.raises(DataError, match="expected 440fcabf"):
            MNIST(url)
        server.shutdown()
    # Fetched once: the server is gone, the checked file is not.
    assert MNIST(url, sha256=sums).targets.tolist() == [3, 1, 9, 0]


def test_shipped_digits_are_mnists_first_twelve_thousand():
    train, val = digits("train"), digits("val")
    assert tuple(train.images.shape) == (10_000, 1, 28, 28)
    assert tuple(val.images.shape) == (2_000, 1, 28, 28)
    assert train.images.dtype == bl.float32 and train.labels.dtype == bl.int64
    counts = np.bincount(np.concatenate([train.labels.numpy(), val.labels.numpy()]))
    assert counts.tolist() == [1206, 1351, 1176, 1228, 1184, 1048, 1208, 1279, 1127, 1193]
    pixels = np.concatenate([train.images.numpy(), val.images.numpy()])
    assert pixels.min() == 0 and pixels.max() == 1
    content = np.rint(pixels * 255).astype(np.uint8).tobytes()
    head = struct.pack(">IIII", 2051, 12_000, 28, 28)
    assert hashlib.sha256(head + content).hexdigest() == (
        "dcb5db4d00d217c253d297e530dbd4ee402e840c88dfbb51ac744c47306c98c1"
    )
    image, label = train[0]
    assert tuple(image.shape) == (1, 28, 28) and label.item() == 5


def test_digits_come_with_their_licence():
    from importlib import resources

    text = resources.files("backlit.data").joinpath("digits", "LICENCE.md").read_text("utf-8")
    assert "CC BY-SA 3.0" in text and "LeCun" in text and "12,000" in text
    for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"):
        content = resources.files("backlit.data").joinpath("digits", name).read_bytes()
        assert hashlib.sha256(content).hexdigest() in text
        assert hashlib.sha256(gzip.decompress(content)).hexdigest() in text


def test_digits_from_a_folder(tmp_path):
    write_set(tmp_path)
    full = digits("val", root=tmp_path)
    np.testing.assert_array_equal(full.images.numpy()[:, 0], IMAGES.astype(np.float32) / 255)
    assert full.labels.tolist() == [3, 1, 9, 0]
    with pytest.raises(ValueError, match="'train' or 'val', got 'test'"):
        digits("test")
