"""bl.save and bl.load: every structure comes back equal, every damage is named."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import tarfile
import zlib
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import nn
from backlit.dtypes import ALL
from backlit.errors import ArgumentError, CheckpointError, NotAvailable
from backlit.files import TEMPORARY, atomic_write


def through(obj):
    """The object after a trip through a file."""
    file = io.BytesIO()
    bl.save(obj, file)
    file.seek(0)
    return bl.load(file)


def same(a, b) -> bool:
    """Equal in type, structure and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, bl.Tensor):
        bits = a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
        return bits and a.dtype is b.dtype and a.shape == b.shape
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=True)
        return len(a) == len(b) and all(same(i, j) for i, j in pairs)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


@st.composite
def tensors(draw):
    dtype = draw(st.sampled_from(ALL))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    count = math.prod(shape)
    values = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    return bl.tensor(np.array(values).reshape(shape), dtype=dtype)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from(ALL)
    | tensors()
)
keys = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
objects = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(keys, inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(objects)
def test_every_structure_comes_back(obj):
    assert same(through(obj), obj)


@settings(max_examples=100, deadline=None)
@given(objects, st.data())
def test_a_changed_byte_is_an_error_or_changes_nothing(obj, data):
    file = io.BytesIO()
    bl.save(obj, file)
    raw = bytearray(file.getvalue())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        loaded = bl.load(io.BytesIO(raw))
    except CheckpointError:
        return
    assert same(loaded, obj)


@settings(max_examples=50, deadline=None)
@given(objects, st.data())
def test_a_shortened_file_is_refused(tmp_path_factory, obj, data):
    path = tmp_path_factory.mktemp("short") / "file"
    bl.save(obj, path)
    raw = path.read_bytes()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    with pytest.raises(CheckpointError, match=str(path)):
        bl.load(path)


def test_numpy_arrays_and_scalars_come_back():
    obj = {"a": np.arange(3, dtype=np.uint32), "b": np.float64(0.1), "c": np.zeros((2, 0))}
    assert same(through(obj), obj)


def test_arrays_of_foreign_byte_order_come_back_in_ours():
    array = through(np.arange(3, dtype=">i4"))
    assert array.tolist() == [0, 1, 2] and array.dtype == np.dtype("int32")


def test_a_header_whose_length_looks_like_a_pickle():
    for length in range(200, 700, 3):
        obj = {"x" * length: bl.ones(1)}
        assert same(through(obj), obj)


def test_equal_objects_are_equal_files():
    files = [io.BytesIO() for _ in range(8)]
    for file in files:
        bl.save({"b": bl.ones(2), "a": [bl.zeros(0), 1]}, file)
    assert len({file.getvalue() for file in files}) == 1


def test_non_contiguous_and_strided_memory():
    base = bl.arange(24).reshape(2, 3, 4)
    for x in (base.permute(2, 0, 1), base[:, ::2], base[..., -1], base.flip(0)):
        assert same(through(x), x)


def test_tied_tensors_are_one_cell_again(tmp_path):
    w = bl.ones(3)
    bl.save({"a": w, "b": w.detach(), "c": w.clone()}, tmp_path / "f")
    loaded = bl.load(tmp_path / "f")
    loaded["a"].mul_(2)
    assert loaded["b"].tolist() == [2, 2, 2] and loaded["c"].tolist() == [1, 1, 1]
    assert (tmp_path / "f").stat().st_size < 600


def test_parameters_keep_their_class_and_requires_grad():
    p, q = nn.Parameter(bl.ones(2)), nn.Parameter(bl.ones(2), requires_grad=False)
    x = bl.ones(2, requires_grad=True)
    p2, q2, x2 = through([p, q, x])
    assert isinstance(p2, nn.Parameter) and p2.requires_grad and not q2.requires_grad
    assert type(x2) is bl.Tensor and x2.requires_grad and x2.is_leaf


def test_a_module_state_dict_is_a_plain_safetensors_file(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    bl.save(dict(model.state_dict()), tmp_path / "model.safetensors")
    other = numpy_side.load_file(tmp_path / "model.safetensors")
    assert set(other) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert np.array_equal(other[name], value.numpy())
    assert list(bl.load(tmp_path / "model.safetensors")) == list(model.state_dict())


def test_files_of_other_tools_are_read(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    arrays = {"b": np.arange(3.0), "a": np.ones((2, 2), np.int8), "s": np.array(True)}
    numpy_side.save_file(arrays, tmp_path / "f", metadata={"format": "np"})
    loaded = bl.load(tmp_path / "f")
    assert {k: v.tolist() for k, v in loaded.items()} == {k: v.tolist() for k, v in arrays.items()}
    numpy_side.save_file({"u": np.ones(2, np.uint16)}, tmp_path / "g")
    with pytest.raises(CheckpointError, match="uint16"):
        bl.load(tmp_path / "g")


def test_all_our_files_are_safetensors_to_others(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    bl.save({"x": [bl.ones(2, dtype=bl.bfloat16), bl.zeros(0)], "n": 1}, tmp_path / "f")
    with safetensors.safe_open(tmp_path / "f", "numpy") as file:
        assert set(file.keys()) == {"x.0", "x.1"}


def test_an_optimizer_state_comes_back():
    w = nn.Parameter(bl.ones(3))
    optimizer = bl.optim.Adam([w], lr=0.1)
    w.sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    assert same(through(state), state)


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        ({"state": {"optimizer": {"lr_lambda": lambda x: x}}}, "state.optimizer.lr_lambda: a func"),
        ([1, [object()]], "1.0: an object can't be saved"),
        ({"m": nn.Linear(1, 1)}, r"m: a Linear can't be saved\n.*state_dict\(\)"),
        ({"p": Point(1, 2)}, r"p: a Point can't be saved\n.*tuple\(...\)"),
        ({"d": defaultdict(int)}, r"d: a defaultdict can't be saved\n.*dict\(...\)"),
        ({(1, (2,)): 1}, "can't be a saved key"),
        (int, "the class int"),
        ({"a": np.array(["text"])}, "a: an array of <U4"),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path, obj, words):
    path = tmp_path / "f"
    bl.save(1, path)
    with pytest.raises(ArgumentError, match=words):
        bl.save(obj, path)
    assert bl.load(path) == 1 and os.listdir(tmp_path) == ["f"]


def test_an_object_that_contains_itself_is_refused():
    loop: list = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="contains itself"):
        through(loop)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ArgumentError, match="nested too deeply"):
        through(deep)


def test_the_same_list_twice_is_fine():
    part = [1, bl.ones(1)]
    assert same(through([part, part]), [part, part])


def test_pickles_zips_and_others_are_recognized(tmp_path):
    path = tmp_path / "f"
    with open(path, "wb") as file:
        pickle.dump({"a": 1}, file)
    with pytest.raises(CheckpointError, match=r"f is a pickle[^\n]*\n  hint: .*torch.save\("):
        bl.load(path)
    np.savez(tmp_path / "n.npz", a=np.ones(3))
    with pytest.raises(CheckpointError, match=r"npz file\n  hint: use numpy.load"):
        bl.load(tmp_path / "n.npz")
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("pickle"))
    with pytest.raises(CheckpointError, match=r"tar file, as PyTorch wrote them before 0\.2"):
        bl.load(tmp_path / "t.tar")
    for text in (b"", b"\x00" * 4, b"hello, this is text\n", b"\x93NUMPY\x01\x00v\x00"):
        path.write_bytes(text)
        with pytest.raises(CheckpointError, match="not a safetensors file"):
            bl.load(path)


def header(entries: dict, data: int = 0) -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * data


def sealed(root: str) -> str:
    return json.dumps({"crc32": zlib.crc32(root.encode()), "root": root})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, 4), "invalid shape"),
        (header({"a": {"dtype": "F9", "shape": [], "data_offsets": [0, 4]}}, 4), "`F9`"),
        (header({"a": {"dtype": "C64", "shape": [], "data_offsets": [0, 8]}}, 8), "dtype C64"),
        (
            header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, 4),
            "invalid value",
        ),
        (
            header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, 8),
            "invalid offset",
        ),
        (header({"a": {"dtype": "F32", "shape": [1]}}, 4), "data_offsets"),
        (
            header({"a": {"dtype": "U8", "shape": [0, 1 << 63], "data_offsets": [0, 0]}}),
            "dimension",
        ),
        (header({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, 2), "corrupt: "),
        (header({"__metadata__": {"backlit": "{"}}), "corrupt structure"),
        (header({"__metadata__": {"backlit": sealed('{"tensor": "no"}')}}), "corrupt structure"),
        (header({"__metadata__": {"backlit": sealed('{"set": []}')}}), "newer Backlit"),
        ((5).to_bytes(8, "little") + b"nope!", "corrupt header: JSON"),
        ((2).to_bytes(8, "little") + b"[]", "corrupt header"),
    ],
)
def test_malformed_files_are_named_with_the_reason(tmp_path, raw, words):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=words) as error:
        bl.load(path)
    assert str(path) in str(error.value)


def test_missing_file_and_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        bl.load(tmp_path / "none")
    with pytest.raises(CheckpointError, match="is a folder, not a file"):
        bl.load(tmp_path)
    with pytest.raises(CheckpointError, match="can't be written: No such file"):
        bl.save(1, tmp_path / "none" / "f")


def test_map_location():
    file = io.BytesIO()
    bl.save(1, file)
    for place in (None, "cpu", {"cuda:0": "cpu"}, lambda storage, where: storage):
        file.seek(0)
        assert bl.load(file, map_location=place) == 1
    file.seek(0)
    with pytest.raises(NotAvailable, match="cuda"):
        bl.load(file, map_location="cuda")


def test_several_objects_in_one_file():
    file = io.BytesIO()
    bl.save(bl.ones(2), file)
    bl.save("two", file)
    file.seek(0)
    assert bl.load(file).tolist() == [1, 1] and bl.load(file) == "two"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    bl.save("old", path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        bl.save("new", path)
    assert bl.load(path) == "old" and os.listdir(tmp_path) == ["f"]


def test_atomic_write_follows_links_and_spares_devices(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
        assert (tmp_path / "real").read_bytes() == b"old"
        assert list(tmp_path.glob(TEMPORARY))
    assert (tmp_path / "real").read_bytes() == b"new" and (tmp_path / "link").is_symlink()
    bl.save(bl.ones(3), os.devnull)
    assert not os.path.isfile(os.devnull)
