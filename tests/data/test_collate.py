"""default_collate and default_convert: every kind of sample, and refusals that name the sizes."""

import collections

import numpy as np
import pytest

import backlit as bl
from backlit.data import default_collate, default_convert

Point = collections.namedtuple("Point", "x y")


def test_tensors_and_arrays_are_stacked():
    stacked = default_collate([bl.ones(2, 3), bl.zeros(2, 3)])
    assert tuple(stacked.shape) == (2, 2, 3) and stacked.dtype == bl.float32
    arrays = default_collate([np.ones(2, np.float32), np.zeros(2, np.float32)])
    assert arrays.dtype == bl.float32 and arrays.tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1, 2], bl.int64), ([1.0, 2.0], bl.float64), ([True, False], bl.bool),
     ([np.float32(1), np.float32(2)], bl.float32), ([np.uint8(1), np.uint8(2)], bl.uint8)],
)  # fmt: skip
def test_numbers_become_tensors(values, dtype):
    batch = default_collate(values)
    assert batch.dtype == dtype and batch.tolist() == [v.item() if hasattr(v, "item") else v
                                                       for v in values]  # fmt: skip


def test_containers_keep_their_kind():
    samples = [{"p": Point(i, (float(i), "s")), "l": [i, i]} for i in range(2)]
    batch = default_collate(samples)
    assert isinstance(batch["p"], Point) and batch["p"].x.tolist() == [0, 1]
    assert isinstance(batch["p"].y, list) and batch["p"].y[1] == ("s", "s")
    assert [item.tolist() for item in batch["l"]] == [[0, 1], [0, 1]]
    ordered = default_collate([collections.OrderedDict(a=1), collections.OrderedDict(a=2)])
    assert isinstance(ordered, collections.OrderedDict)
    assert default_collate(["a", "b"]) == ["a", "b"] and default_collate([b"a"]) == [b"a"]


def test_gradients_pass_through_a_stack():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("batch", "kind", "words"),
    [
        ([bl.zeros(3, 4), bl.zeros(3, 4), bl.zeros(3, 5)], ValueError,
         r"\(3, 4\) at position 0, \(3, 5\) at position 2"),
        ([(1, np.zeros(2)), (1, np.zeros(3))], ValueError,
         r"sample\[1\].*\(2,\) at position 0, \(3,\) at position 1"),
        ([{"a": 1}, {"b": 1}], ValueError, r"\['a'\] at position 0, \['b'\] at position 1"),
        ([(1, 2), (1,)], ValueError, "2 at position 0, 1 at position 1"),
        ([{"a": 1}, 3], TypeError, "dict, int"),
        ([[1], 3], TypeError, "int, list"),
        ([bl.zeros(1), 3], TypeError, "kinds differ"),
        ([object()], TypeError, "cannot batch builtins.object"),
        ([None], TypeError, "NoneType"),
        ([np.array("a")], TypeError, "NumPy"),
        ([np.array([None])], TypeError, "NumPy object"),
        ([], ValueError, "no samples"),
    ],
)  # fmt: skip
def test_refusals(batch, kind, words):
    with pytest.raises(kind, match=words):
        default_collate(batch)


def test_an_image_hints_at_to_tensor():
    from PIL import Image

    with pytest.raises(TypeError, match="ToTensor"):
        default_collate([Image.new("L", (2, 2))])


def test_convert_leaves_what_it_cannot_convert():
    marker = object()
    converted = default_convert({"a": np.ones(2), "b": (marker, "text", np.float32(1)), "c": [1]})
    assert isinstance(converted["a"], bl.Tensor)
    assert converted["b"][0] is marker and converted["b"][1] == "text"
    assert isinstance(converted["b"][2], bl.Tensor) and converted["c"] == [1]
    point = default_convert(Point(np.zeros(1), 2))
    assert isinstance(point, Point) and isinstance(point.x, bl.Tensor)
    assert default_convert(np.array("a")).item() == "a"
