"""NumPy, the array protocol and DLPack, both ways: values pass, and no foreign hand on a cell."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import backlit as bl
from backlit.dlpack import array_of
from backlit.dtypes import ALL
from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ExportError,
    GradError,
    NotAvailable,
)
from backlit.utils import dlpack

SHAPES = {"two": (2, 3), "scalar": (), "empty": (0, 3), "empty row": (2, 0)}
LAYOUTS = {
    "as it is": lambda x: x,
    "turned": lambda x: x.T if x.ndim == 2 else x,
    "every other": lambda x: x[:, ::2] if x.ndim == 2 else x,
    "backwards": lambda x: x[::-1] if x.ndim else x,
}
IDS = [d.name for d in ALL]


def values(shape, dtype) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype.numpy)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", ALL, ids=IDS)
def test_every_dtype_and_shape_passes_to_numpy_and_back(dtype, shape):
    expected = values(shape, dtype)
    x = bl.tensor(expected)
    for array in (x.numpy(), np.asarray(x), np.array(x), array_of(dlpack.to_dlpack(x))):
        assert array.dtype == expected.dtype and array.shape == shape
        assert array.tobytes() == expected.tobytes()
    for back in (bl.from_numpy(expected), bl.from_dlpack(x), bl.from_dlpack(dlpack.to_dlpack(x))):
        assert back.dtype is dtype and bl.equal(back, x)
    if dtype is not bl.bfloat16:  # NumPy itself has none
        assert np.from_dlpack(x).tobytes() == bl.from_dlpack(expected).numpy().tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides_of_numpy(layout):
    array = LAYOUTS[layout](np.arange(12.0).reshape(3, 4))
    for x in (bl.from_numpy(array), bl.from_dlpack(array), bl.tensor(array), bl.as_tensor(array)):
        assert x.tolist() == array.tolist()
    locked = array.view()
    locked.flags.writeable = False
    assert bl.from_dlpack(locked).tolist() == array.tolist()


def test_views_and_expanded_tensors_go_out():
    base = bl.arange(12.0).reshape(3, 4)
    for x in (base.T, base[:, 1::2], base[1], base[:1].expand(3, 4), base.flip(0)):
        assert np.from_dlpack(x).tolist() == np.asarray(x).tolist() == x.tolist()


def test_the_array_protocol_keeps_numpys_rules():
    x = bl.ones(2)
    lent, copied = np.asarray(x), np.array(x)
    assert not lent.flags.writeable and lent.base is not None
    copied[0] = 5
    assert x.tolist() == [1, 1]
    assert np.asarray(x, copy=False).ctypes.data == lent.ctypes.data
    cast = np.asarray(x, dtype=np.float64)
    cast[0] = 5
    assert cast.dtype == np.float64 and x.tolist() == [1, 1]
    assert np.asarray(x, dtype="float32").ctypes.data == lent.ctypes.data
    with pytest.raises(ValueError, match="no array of float64 without a copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    assert not hasattr(x, "__array_interface__")  # its pointer would outlive the array


def test_what_was_handed_out_never_changes_and_is_never_written_through():
    x = bl.arange(4.0)
    lent, copied = np.asarray(x), np.from_dlpack(x)
    x.add_(10)
    x[1:3] = 0
    assert lent.tolist() == copied.tolist() == [0, 1, 2, 3]
    mine = np.arange(3.0)
    taken = [bl.from_numpy(mine), bl.from_dlpack(mine), bl.tensor(mine), bl.as_tensor(mine)]
    mine[:] = 9
    assert all(t.tolist() == [0, 1, 2] for t in taken)


def test_a_compiled_step_leaves_what_it_lent_alone():
    w = bl.nn.Parameter(bl.ones(3))
    sgd = bl.optim.SGD([w], lr=0.5)

    @bl.compile
    def step():
        sgd.zero_grad()
        (w * w).sum().backward()
        sgd.step()

    step()
    first, copied = np.asarray(w.detach()), np.from_dlpack(w.detach())
    before = first.tolist()
    step()
    w.data.fill_(7)
    assert first.tolist() == copied.tolist() == before == [0, 0, 0]


def test_what_requires_grad_is_refused_as_pytorch_does():
    x = bl.ones(2, requires_grad=True)
    with pytest.raises(GradError, match="detach"):
        np.asarray(x)
    with pytest.raises(GradError, match="detach"):
        np.sqrt(x)
    with pytest.raises(BufferError, match="requires grad") as error:
        np.from_dlpack(x)
    assert isinstance(error.value, ExportError)
    with pytest.raises(ExportError):
        (x * 2).__dlpack__()
    assert np.from_dlpack(x.detach()).tolist() == [1, 1] == x.numpy(force=True).tolist()


def test_wishes_that_can_not_be_met():
    x = bl.ones(2)
    assert x.__dlpack_device__() == (1, 0)
    x.__dlpack__(stream=None, max_version=(1, 0), dl_device=(1, 0), copy=True)
    with pytest.raises(BufferError, match="without a copy"):
        np.from_dlpack(x, copy=False)
    with pytest.raises(BufferError, match="on the device"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ArgumentError, match="always copied"):
        bl.from_dlpack(np.ones(1), copy=False)
    with pytest.raises(NotAvailable, match="cuda"):
        bl.from_dlpack(np.ones(1), device="cuda")
    assert bl.from_dlpack(np.ones(1), device="cpu", copy=True).tolist() == [1]
    with pytest.raises(ArgumentTypeError, match="list has no __dlpack__"):
        bl.from_dlpack([1.0])
    with pytest.raises(DTypeError, match="uint16"):
        bl.from_dlpack(np.ones(1, np.uint16))
    with pytest.raises(DTypeError, match="complex"):
        bl.from_dlpack(np.ones(1, complex))


def test_a_capsule_is_used_once():
    capsule = dlpack.to_dlpack(bl.ones(2))
    assert dlpack.from_dlpack(capsule).tolist() == [1, 1]
    with pytest.raises(ArgumentTypeError, match="used before"):
        dlpack.from_dlpack(capsule)


def test_an_array_on_another_device():
    class Elsewhere:
        def __dlpack__(self, **wishes):
            raise AssertionError("must not be asked")

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(NotAvailable, match="device 2"):
        bl.from_dlpack(Elsewhere())


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt",
             "ge", "matmul")  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_an_array_before_a_tensor(name):
    a, b = np.array([[2.0, 3.0], [4.0, 5.0]]), np.array([[3.0, 2.0], [4.0, 1.0]])
    apply = getattr(operator, name)
    found = apply(a, bl.tensor(b, requires_grad=name in ("mul", "matmul")))
    assert isinstance(found, bl.Tensor)
    assert np.array_equal(found.detach().numpy(), apply(a, b))
    if found.requires_grad:
        found.sum().backward()


def test_arrays_of_whole_numbers_and_bits():
    a, x = np.array([6, 3]), bl.tensor([3, 5])
    for name in ("and_", "or_", "xor"):
        apply = getattr(operator, name)
        assert apply(a, x).tolist() == apply(a, x.numpy()).tolist()
    assert (np.float64(2) * bl.ones(2)).dtype is bl.float32
    assert (np.int64(2) - bl.tensor([1])).tolist() == [1]


def test_functions_of_numpy_give_tensors():
    x = bl.tensor([1.0, 4.0])
    assert isinstance(np.sqrt(x), bl.Tensor) and np.sqrt(x).tolist() == [1, 2]
    assert np.isfinite(x).dtype is bl.bool and np.maximum(x, 2.0).tolist() == [2, 4]
    assert [part.tolist() for part in np.modf(x)] == [[0, 0], [1, 4]]
    assert np.add.reduce(x).item() == 5 and np.multiply.outer(x, x).shape == (2, 2)
    assert (
        np.add([1, 2], x).tolist() == [2, 6] and np.add(x, x, dtype=np.float64).dtype is bl.float64
    )
    total = np.ones(2)
    same = total
    total += x  # in place: the array stays the array
    np.add.at(total, [0], x[:1])
    assert same is total and total.tolist() == [3, 5]
    with pytest.raises(ArgumentTypeError, match="can't write into a tensor"):
        np.add(x, x, out=x)
    assert np.stack([x, x]).shape == (2, 2) and np.concatenate([x, x]).tolist() == [1, 4, 1, 4]


# PyTorch, both directions

torch = pytest.importorskip("torch")


@pytest.mark.torch
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", ALL, ids=IDS)
def test_every_dtype_and_shape_passes_to_pytorch_and_back(dtype, shape):
    x = bl.tensor(values(shape, dtype))
    theirs = torch.from_dlpack(x)
    assert str(theirs.dtype) == f"torch.{dtype.name}" and tuple(theirs.shape) == shape
    assert theirs.double().tolist() == x.double().tolist()
    back = bl.from_dlpack(theirs)
    assert back.dtype is dtype and bl.equal(back, x)
    assert bl.equal(bl.tensor(theirs), x) and bl.tensor(theirs).dtype is dtype
    assert bl.equal(bl.as_tensor(theirs), x)
    old = torch.utils.dlpack.from_dlpack(dlpack.to_dlpack(x))
    assert old.dtype == theirs.dtype and bl.equal(
        bl.from_dlpack(torch.utils.dlpack.to_dlpack(old)), x
    )


@pytest.mark.torch
def test_pytorch_writes_into_its_own_copy_only():
    x = bl.zeros(3)
    theirs = torch.from_dlpack(x)
    theirs += 1
    assert x.tolist() == [0, 0, 0]
    taken = bl.from_dlpack(theirs)
    theirs += 1
    assert taken.tolist() == [1, 1, 1]


@pytest.mark.torch
def test_strides_of_pytorch():
    base = torch.arange(12.0).reshape(3, 4)
    for theirs in (base.t(), base[:, 1::2], base[1], base[:1].expand(3, 4)):
        assert bl.from_dlpack(theirs).tolist() == theirs.tolist()
    with pytest.raises(BufferError, match="require gradient"):
        bl.from_dlpack(torch.ones(1, requires_grad=True))
