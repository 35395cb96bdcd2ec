"""CIFAR's binary files: layout, places, damage."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.data import CIFAR10, CIFAR100
from backlit.errors import DataError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def content(labels):
    parts = [bytes(label) + image.tobytes() for label, image in zip(labels, PIXELS, strict=True)]
    return b"".join(parts)


def write_cifar10(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(1, 6):
        (folder / f"data_batch_{i}.bin").write_bytes(content([[i], [0], [9]]))
    (folder / "test_batch.bin").write_bytes(content([[7], [8], [9]]))


def pack(folder, path, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        archive.add(folder, folder.name)


def test_records_from_a_folder(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    for root in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        train = CIFAR10(root, records_per_file=3)
        assert len(train) == 15 and train.targets == [v for i in range(1, 6) for v in (i, 0, 9)]
        image, label = CIFAR10(root, train=False, records_per_file=None)[1]
        assert image.mode == "RGB" and label == 8
        np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), PIXELS[1])


def test_records_from_an_archive(tmp_path):
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    (tmp_path / "site").mkdir()
    pack(tmp_path / "cifar-10-batches-bin", tmp_path / "site" / "cifar-10-binary.tar.gz")
    for root in (tmp_path / "site", tmp_path / "site" / "cifar-10-binary.tar.gz"):
        test = CIFAR10(root, train=False, records_per_file=3)
        assert test.targets == [7, 8, 9]
        np.testing.assert_array_equal(test.data[2].transpose(2, 0, 1), PIXELS[2])


def test_records_from_a_url(tmp_path, monkeypatch):
    write_cifar10(tmp_path / "cifar-10-batches-bin")
    archive = tmp_path / "c.tar.gz"
    pack(tmp_path / "cifar-10-batches-bin", archive)
    monkeypatch.setattr(bl.config.flags, "data", str(tmp_path / "cache"))
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    data = CIFAR10(archive.as_uri(), train=False, sha256=checksum, records_per_file=3)
    assert data.targets == [7, 8, 9]
    with pytest.raises(DataError, match="expected c4a38c50"):
        CIFAR10(archive.as_uri())


def test_cifar100_takes_the_fine_label(tmp_path):
    (tmp_path / "train.bin").write_bytes(content([[19, 99], [1, 0], [2, 50]]))
    data = CIFAR100(tmp_path, records_per_file=3, transform=np.asarray, target_transform=str)
    assert data[0][1] == "99" and data.targets == [99, 0, 50]
    np.testing.assert_array_equal(data[1][0].transpose(2, 0, 1), PIXELS[1])
    assert len(data.classes) == 100 and data.classes[99] == "worm"
    assert data.class_to_idx["apple"] == 0
    assert data.classes == sorted(data.classes) and len(set(data.classes)) == 100


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        (b"", "0 bytes are no whole number"),
        (content([[1], [2], [3]])[:-1], "9,218 bytes are no whole number of 3073-byte records"),
        (content([[1], [2], [3]])[:-3073], "holds 2 records, expected 3"),
        (content([[1], [2], [10]]), "label 10 is out of range 0 to 9"),
    ],
)
def test_damaged_records_are_refused(tmp_path, damaged, words):
    write_cifar10(tmp_path)
    (tmp_path / "data_batch_3.bin").write_bytes(damaged)
    with pytest.raises(DataError, match=f"data_batch_3.bin: .*{words}"):
        CIFAR10(tmp_path, records_per_file=3)


def test_published_counts_are_expected_by_default(tmp_path):
    write_cifar10(tmp_path)
    with pytest.raises(DataError, match="holds 3 records, expected 10,000"):
        CIFAR10(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"needs data_batch_1\.bin, .*cifar-10-binary\.tar\.gz"):
        CIFAR10(tmp_path)
    write_cifar10(tmp_path / "b")
    (tmp_path / "b" / "data_batch_2.bin").unlink()
    pack(tmp_path / "b", tmp_path / "b.tar.gz")
    with pytest.raises(DataError, match=r"b\.tar\.gz: data_batch_2\.bin not in this archive"):
        CIFAR10(tmp_path / "b.tar.gz")


def unsafe_member(kind):
    member = tarfile.TarInfo({"up": "../../evil.bin", "root": "/evil.bin"}.get(kind, "link.bin"))
    if kind in ("symlink", "link", "device"):
        kinds = {"symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}
        member.type, member.linkname = kinds[kind], "/etc/passwd"
    return member


@pytest.mark.parametrize("kind", ["up", "root", "symlink", "link", "device"])
def test_members_that_leave_the_folder_are_refused(tmp_path, kind):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(unsafe_member(kind), io.BytesIO())
    with pytest.raises(DataError, match=r"evil\.tar\.gz: member .* (leaves|neither)"):
        CIFAR10(path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.tar.gz"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar")
    (folder / "t").mkdir()
    (folder / "t" / "test_batch.bin").write_bytes(content([[7], [8], [9]]))
    pack(folder / "t", folder / "t.tar.gz")
    return folder, (folder / "t.tar.gz").read_bytes()


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 2**20), flip=st.integers(1, 255), cut=st.booleans())
def test_a_damaged_archive_is_refused_or_read_right(packed, position, flip, cut):
    folder, whole = packed
    damaged = bytearray(whole)
    damaged[position % len(whole)] ^= flip
    path = folder / "damaged.tar.gz"
    path.write_bytes(whole[: position % len(whole)] if cut else damaged)
    try:
        data = CIFAR10(path, train=False, records_per_file=3)
    except DataError as error:
        assert "damaged.tar.gz" in str(error)
    else:
        assert not cut
        assert data.targets == [7, 8, 9]
        np.testing.assert_array_equal(data.data.transpose(0, 3, 1, 2), PIXELS)
