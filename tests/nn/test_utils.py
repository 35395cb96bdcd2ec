"""nn.utils: clipping, flat vectors, padding and packing."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn import utils
from backlit.nn.utils import rnn


def with_grads(*grads):
    parameters = []
    for grad in grads:
        parameter = nn.Parameter(bl.zeros(len(grad), dtype=bl.float64))
        parameter.grad = bl.tensor(grad, dtype=bl.float64)
        parameters.append(parameter)
    return [*parameters, nn.Parameter(bl.zeros(2))]  # the last one has no gradient


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.5, float("inf")])
def test_clip_grad_norm(norm):
    parameters = with_grads([3.0, -4.0], [12.0])
    whole = np.array([3.0, -4.0, 12.0])
    expected = np.linalg.norm(whole, norm)
    grads = [p.grad for p in parameters[:2]]
    assert utils.get_total_norm(grads, norm).item() == pytest.approx(expected)
    total = utils.clip_grad_norm_(iter(parameters), 2.0, norm)
    assert total.item() == pytest.approx(expected)
    clipped = np.concatenate([p.grad.numpy() for p in parameters[:2]])
    np.testing.assert_allclose(clipped, whole * 2.0 / (expected + 1e-6), rtol=1e-12)
    before = clipped.tolist()
    utils.clip_grad_norm_(parameters, 1e9, norm)  # small enough already
    assert np.concatenate([p.grad.numpy() for p in parameters[:2]]).tolist() == before


def test_clip_grad_norm_refuses_to_scale_by_nan():
    parameters = with_grads([float("nan"), 1.0], [2.0])
    with pytest.raises(RuntimeError, match="nothing was clipped"):
        utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert parameters[1].grad.tolist() == [2.0]
    assert utils.clip_grad_norm_([nn.Parameter(bl.zeros(1))], 1.0).item() == 0.0


def test_clip_grad_value():
    parameters = with_grads([3.0, -4.0], [0.5])
    utils.clip_grad_value_(parameters, 1.0)
    assert [p.grad.tolist() for p in parameters[:2]] == [[1.0, -1.0], [0.5]]
    utils.clip_grad_value_(parameters[0], 0.25)
    assert parameters[0].grad.tolist() == [0.25, -0.25]


def test_vectors_round_trip():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (13,) and vector.requires_grad
    objects = list(net.parameters())
    utils.vector_to_parameters(bl.arange(13.0), net.parameters())
    assert list(map(id, net.parameters())) == list(map(id, objects))
    assert utils.parameters_to_vector(net.parameters()).tolist() == list(range(13))
    assert all(p.requires_grad and p.is_leaf for p in objects)
    with pytest.raises(RuntimeError, match="12 values for 13"):
        utils.vector_to_parameters(bl.ones(12), net.parameters())
    with pytest.raises(TypeError):
        utils.vector_to_parameters([1.0], net.parameters())


ROWS = [bl.tensor([[1.0, 2.0]]), bl.tensor([[3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]), bl.ones(2, 2)]


def test_padding_both_sides():
    padded = rnn.pad_sequence(ROWS, batch_first=True, padding_value=-1.0)
    assert padded[:, :, 0].tolist() == [[1, -1, -1], [3, 5, 7], [1, 1, -1]]
    left = rnn.pad_sequence(ROWS, padding_side="left")
    assert left[:, :, 0].tolist() == [[0, 3, 0], [0, 5, 1], [1, 7, 1]]
    back = rnn.unpad_sequence(padded, bl.tensor([1, 3, 2]), batch_first=True)
    assert [row.tolist() for row in back] == [row.tolist() for row in ROWS]


def test_packing_round_trip():
    packed = rnn.pack_sequence(ROWS, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.data[:, 0].tolist() == [3, 1, 1, 5, 1, 7]
    assert packed.sorted_indices.tolist() == [1, 2, 0]
    assert [row.tolist() for row in rnn.unpack_sequence(packed)] == [row.tolist() for row in ROWS]
    padded, lengths = rnn.pad_packed_sequence(packed, padding_value=-1.0, total_length=4)
    assert lengths.tolist() == [1, 3, 2] and padded.shape == (4, 3, 2)
    assert padded[3].tolist() == [[-1.0, -1.0]] * 3
    assert packed.double().data.dtype == bl.float64 and packed.double().float().cpu()


def test_packing_against_pytorch():
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).standard_normal((5, 4, 2))
    lengths = [2, 5, 1, 5]
    theirs = torch.nn.utils.rnn.pack_padded_sequence(
        torch.from_numpy(array), lengths, enforce_sorted=False
    )
    ours = rnn.pack_padded_sequence(bl.from_numpy(array), lengths, enforce_sorted=False)
    for name in ("data", "batch_sizes"):
        np.testing.assert_array_equal(getattr(ours, name).numpy(), getattr(theirs, name).numpy())
    assert rnn.pad_packed_sequence(ours)[1].tolist() == lengths


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: rnn.pack_padded_sequence(bl.ones(3, 2), [1, 2]), RuntimeError, "enforce_sorted"),
        (lambda: rnn.pack_padded_sequence(bl.ones(3, 2), [4, 2]), RuntimeError, "from 1 to 3"),
        (lambda: rnn.pack_padded_sequence(bl.ones(3, 2), [2, 0]), RuntimeError, "from 1 to 3"),
        (lambda: rnn.pack_padded_sequence(bl.ones(3, 2), [2]), RuntimeError, "1 lengths"),
        (lambda: rnn.pad_sequence([]), ValueError, "empty list"),
        (lambda: rnn.pad_sequence(ROWS, padding_side="up"), ValueError, "left or right"),
        (lambda: rnn.pad_sequence([bl.ones(2, 1), bl.ones(2, 3)]), RuntimeError, "only lengths"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([bl.ones(3)]), total_length=2),
         ValueError, "total_length 2"),
    ],
)  # fmt: skip
def test_mistakes_are_refused(act, error, words):
    with pytest.raises(error, match=words):
        act()
