"""The idx format: round trips, and damage that is either refused or without effect."""

import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backlit.data import read_idx, write_idx
from backlit.errors import DataError

FORMATS = ["u1", "i1", "i2", "i4", "f4", "f8"]
SAMPLE = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(
    array=st.sampled_from(FORMATS).flatmap(
        lambda f: hnp.arrays(np.dtype(f), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    ),
    zipped=st.booleans(),
)
def test_round_trip(folder, array, zipped):
    path = folder / ("a.gz" if zipped else "a")
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_layout_is_mnists(tmp_path):
    path = tmp_path / "labels"
    write_idx(path, np.array([5, 0, 4], np.uint8))
    assert path.read_bytes() == struct.pack(">II3B", 2049, 3, 5, 0, 4)
    path.write_bytes(struct.pack(">IIII2B", 2051, 1, 1, 2, 7, 8))
    assert read_idx(str(path)).tolist() == [[[7, 8]]]
    path.write_bytes(struct.pack(">IIf", 0x0D01, 1, 1.5))
    assert read_idx(path).tolist() == [1.5] and read_idx(path).dtype == np.float32


def test_non_contiguous_and_big_endian_arrays(tmp_path):
    turned = SAMPLE.transpose(2, 0, 1).astype(">i2")
    write_idx(tmp_path / "a", turned)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), turned)


def test_the_array_can_be_written_to(tmp_path):
    write_idx(tmp_path / "a", SAMPLE)
    read_idx(tmp_path / "a")[0] = 1


def test_formats_that_idx_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="int64"):
        write_idx(tmp_path / "a", np.zeros(1, np.int64))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with nothing"),
        (b"\0\0", "not an idx file"),
        (b"\x89PNG....", "begins with 89504e47"),
        (b"\0\0\x07\x01\0\0\0\x01a", "begins with 00000701"),
        (b"\0\0\x08\x02\0\0\0\x01", "truncated within its 2 sizes"),
        (struct.pack(">II", 2049, 3) + b"ab", r"sizes \(3,\) need 3 bytes, the file has 2"),
        (struct.pack(">II", 2049, 3) + b"abcd", "need 3 bytes, the file has more"),
        (struct.pack(">IIII", 2051, 2**32 - 1, 2**32 - 1, 2**32 - 1), "need"),
        (b"\0\0\x08\xff" + struct.pack(">I", 1) * 255 + b"a", "make no array"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x01a", mtime=0)[:-3], "damaged gzip"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x01a", mtime=0) + b"junk", "damaged gzip"),
        (b"\x1f\x8b", "damaged gzip"),
    ],
)
def test_damage_is_refused_with_the_file_name(tmp_path, content, words):
    path = tmp_path / "damaged-file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path)
    assert "damaged-file" in str(caught.value)


def test_a_missing_file_is_just_that(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "nothing")


@settings(max_examples=300)
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_flipped_byte_of_a_gzipped_file_is_refused_or_harmless(folder, position, flip):
    path = folder / "flipped.gz"
    write_idx(path, SAMPLE)
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= flip
    path.write_bytes(content)
    try:
        back = read_idx(path)
    except DataError as error:
        assert "flipped.gz" in str(error)
    else:
        np.testing.assert_array_equal(back, SAMPLE)


@given(length=st.integers(0, 10_000), zipped=st.booleans())
def test_a_truncated_file_is_refused(folder, length, zipped):
    path = folder / ("short.gz" if zipped else "short")
    write_idx(path, SAMPLE)
    content = path.read_bytes()
    path.write_bytes(content[: length % len(content)])
    with pytest.raises(DataError, match="short"):
        read_idx(path)
