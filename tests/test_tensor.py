"""Cells and views: values are immutable, cells are not."""

import copy

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, GradError, ShapeError


def test_views_write_through_to_their_base():
    base = bl.zeros(2, 3)
    row = base[0]
    row += 1
    assert base.tolist() == [[1, 1, 1], [0, 0, 0]]
    base.mul_(5)
    assert row.tolist() == [5, 5, 5]
    base.reshape(6)[1:3].fill_(7)
    assert base.tolist() == [[5, 7, 7], [0, 0, 0]]
    base.T[2] = 9
    assert base.tolist() == [[5, 7, 9], [0, 0, 9]]


def test_bias_slices_through_data_can_be_filled():
    p = bl.nn.Parameter(bl.zeros(6))
    n = 2
    p.data[n : 2 * n].fill_(1)
    assert p.tolist() == [0, 0, 1, 1, 0, 0]


def test_gradients_through_in_place_on_a_view():
    a = bl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = a * 2
    y[1:].mul_(a[1:])
    y.sum().backward()
    assert a.grad.tolist() == [2.0, 8.0, 12.0]


def test_a_view_follows_the_history_of_its_base():
    a = bl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = a * 2
    column = y.reshape(3, 1)
    y[0] = a[1] * a[2]
    column.sum().backward()
    assert a.grad.tolist() == [0.0, 5.0, 4.0]


def test_saved_values_survive_in_place_methods():
    x = bl.tensor([2.0], requires_grad=True)
    y = x * 3
    z = y * y
    y.add_(100)
    z.sum().backward()
    assert x.grad.item() == 2 * 9 * 2


def test_leaves_that_require_grad_refuse_in_place():
    x = bl.ones(2, requires_grad=True)
    for change in (lambda: x.add_(1), lambda: x[0].mul_(2), lambda: x.fill_(0)):
        with pytest.raises(GradError, match="in place"):
            change()
    with bl.no_grad():
        x.add_(1)
    x.data.mul_(2)
    assert x.tolist() == [4, 4] and x.is_leaf


def test_detach_and_data_share_the_cell():
    x = bl.ones(2, requires_grad=True)
    d = x.detach()
    d.add_(1)
    assert x.tolist() == [2, 2] and not d.requires_grad


def test_assigned_data_leaves_the_old_to_who_holds_it():
    x = bl.nn.Parameter(bl.ones(2))
    backup, shadow = x.data, bl.tensor([7.0, 8.0])
    x.data = shadow
    assert backup.tolist() == [1, 1] and x.tolist() == [7, 8]
    shadow.add_(1)
    assert x.tolist() == [8, 9], "one storage, as in PyTorch"
    x.data = backup
    x.data.mul_(3)
    assert backup.tolist() == [3, 3] and shadow.tolist() == [8, 9]


def test_numpy_is_a_read_only_snapshot():
    x = bl.ones(2)
    a = x.numpy()
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 5
    x.add_(1)
    assert a.tolist() == [1, 1] and x.tolist() == [2, 2]


def test_from_numpy_copies():
    a = np.ones(2, np.float32)
    x = bl.from_numpy(a)
    a[0] = 9
    assert x.tolist() == [1, 1]


def test_dlpack_hands_out_a_copy():
    x = bl.ones(2)
    np.from_dlpack(x)
    other = np.from_dlpack(x)
    assert other.tolist() == [1, 1]
    assert bl.from_dlpack(np.arange(3.0)).tolist() == [0, 1, 2]


def test_a_sole_owner_is_written_in_place():
    out = bl.zeros(4, 3)
    before = out.cell.array
    address = before.ctypes.data
    del before
    for t in range(4):
        out[t] = float(t)
    assert out.cell.array.ctypes.data == address
    kept = out.detach().numpy()
    out[0] = 5.0
    assert kept[0, 0] == 0.0 and out[0, 0].item() == 5.0


def test_in_place_must_keep_the_shape():
    x = bl.ones(2)
    with pytest.raises(ShapeError):
        x.add_(bl.ones(3, 2))
    assert x.tolist() == [1, 1]


def test_shapes_sizes_and_numbers():
    x = bl.zeros(2, 3)
    assert x.shape == (2, 3) and x.size(1) == 3 and x.size() == x.shape and x.dim() == 2
    assert x.numel() == 6 and len(x) == 2 and x.shape.numel() == 6
    assert float(bl.tensor(2.5)) == 2.5 and int(bl.tensor(3)) == 3 and [0, 1][bl.tensor(1)] == 1
    with pytest.raises(ArgumentTypeError, match="one number"):
        x.item()
    with pytest.raises(ArgumentTypeError, match="ambiguous"):
        bool(x)


def test_deepcopy_keeps_ties_and_refuses_history():
    x = bl.ones(2, requires_grad=True)
    pair = copy.deepcopy([x, x.detach()])
    with bl.no_grad():
        pair[0].add_(1)
    assert pair[1].tolist() == [2, 2] and x.tolist() == [1, 1]
    with pytest.raises(GradError):
        copy.deepcopy(x * 2)


def test_bad_data_is_refused():
    with pytest.raises(ShapeError, match="different lengths"):
        bl.tensor([[1, 2], [3]])
    with pytest.raises(ArgumentTypeError):
        bl.tensor("word")
    with pytest.raises(DTypeError, match="complex"):
        bl.tensor([1j])
    with pytest.raises(ArgumentError):
        bl.zeros(-1)
    with pytest.raises(GradError, match="floating point"):
        bl.tensor([1, 2], requires_grad=True)


def test_what_is_not_there_says_so_by_name():
    with pytest.raises(NotImplementedError, match=r"Tensor\.cuda"):
        bl.ones(1).cuda()
    with pytest.raises(NotImplementedError, match=r"backlit\.stft"):
        _ = bl.stft
    with pytest.raises(AttributeError, match=r"Tensor\.sqeeze.*\n.*squeeze"):
        bl.ones(1).sqeeze()
    with pytest.raises(NotImplementedError, match="runs on the CPU"):
        bl.device("cuda")
    assert not bl.cuda.is_available()


def test_errors_name_operator_line_and_hint():
    with pytest.raises(RuntimeError) as caught:
        bl.ones(2, 3) @ bl.ones(2, 3)
    text = str(caught.value)
    assert text.startswith("matmul: inner sizes differ: (2, 3) @ (2, 3)")
    assert "at test_tensor.py:" in text and "hint:" in text


@pytest.mark.parametrize("value", [1.0, [1.5, -2.25], [[1, 2], [3, 4]], [True, False], []])
def test_repr_is_pytorchs(value):
    torch = pytest.importorskip("torch")
    ours = repr(bl.tensor(value))
    theirs = repr(torch.tensor(value))
    assert ours.replace("backlit.", "torch.") == theirs


def test_promotion_is_pytorchs():
    torch = pytest.importorskip("torch")
    names = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8",
             "uint8", "bool"]  # fmt: skip
    ours = {n: bl.bool if n == "bool" else getattr(bl, n) for n in names}
    for a in names:
        for b in names:
            expected = torch.promote_types(getattr(torch, a), getattr(torch, b))
            assert bl.promote_types(ours[a], ours[b]).name == str(expected).split(".")[1], (a, b)
            for shape in ((), (2,)):
                x = bl.ones(shape, dtype=ours[a])
                y = torch.ones(shape, dtype=getattr(torch, a))
                found = (x * bl.ones(2, dtype=ours[b])).dtype.name
                expected = (y * torch.ones(2, dtype=getattr(torch, b))).dtype
                assert found == str(expected).split(".")[1], (a, shape, b)
        for number in (True, 2, 2.5):
            found = (bl.ones(2, dtype=ours[a]) * number).dtype.name
            expected = (torch.ones(2, dtype=getattr(torch, a)) * number).dtype
            assert found == str(expected).split(".")[1], (a, number)
