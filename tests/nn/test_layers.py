"""What layers refuse, and behaviour that a comparison of single calls does not show."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import NotAvailable, ShapeError


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=0), "groups must be positive"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels 3 is not divisible"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "out_channels 3 is not divisible"),
        (lambda: nn.Conv2d(3, 4, 3, padding="big"), "'same', 'valid' or numbers"),
        (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), "needs stride 1"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="ones"), "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "only padding_mode 'zeros'"),
        (lambda: nn.Bilinear(0, 2, 3), "in1_features"),
        (lambda: nn.GroupNorm(3, 4), "not divisible by 3"),
        (lambda: nn.Dropout(1.5), "between 0 and 1"),
        (lambda: nn.Hardtanh(1, 0), "must exceed"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "outside 3 rows"),
        (lambda: nn.Embedding(3, 2, _weight=bl.ones(2, 2)), "expected (3, 2)"),
        (lambda: nn.Embedding.from_pretrained(bl.ones(2)), "expected 2D"),
        (lambda: nn.EmbeddingBag(3, 2, mode="min"), "sum, mean or max"),
        (lambda: nn.LSTM(3, 0), "hidden_size must be positive"),
        (lambda: nn.LSTM(3, 4, 0), "num_layers must be positive"),
        (lambda: nn.LSTM(3, 4, dropout=2), "dropout must be between"),
        (lambda: nn.LSTM(3, 4, proj_size=4), "less than hidden_size"),
        (lambda: nn.RNNBase("GRU", 3, 4, proj_size=2), "only LSTM"),
        (lambda: nn.RNNBase("LSTN", 3, 4), "mode must be one of"),
        (lambda: nn.RNN(3, 4, nonlinearity="cos"), "'tanh' or 'relu'"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="cos"), "tanh or relu"),
        (lambda: nn.MultiheadAttention(6, 4), "positive multiple"),
        (lambda: nn.L1Loss(reduction="batchmean"), "reduction must be one of"),
        (lambda: nn.TripletMarginWithDistanceLoss(margin=0), "margin must exceed 0"),
        (lambda: nn.ConstantPad2d((1, 2), 0.0), "expected 4 numbers"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [5, 3]), "cutoffs must grow"),
    ],
)
def test_constructors_refuse(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: nn.Unflatten("a", (1, 2)), TypeError),
        (lambda: nn.Unflatten(1, 2), TypeError),
        (lambda: nn.LSTM(3, 4.0), TypeError),
        (lambda: nn.Embedding(3, 2, sparse=True), NotAvailable),
        (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanhh"), RuntimeError),
    ],
)
def test_constructors_refuse_kinds(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.BatchNorm2d(3)(bl.ones(2, 3, 4)), ValueError, "expected 4D input"),
        (lambda: nn.BatchNorm1d(3)(bl.ones(3)), ValueError, "expected 2D or 3D"),
        (lambda: nn.InstanceNorm1d(3, affine=True)(bl.ones(2, 4, 5)), ValueError, "3 channels"),
        (lambda: nn.Softmax2d()(bl.ones(2, 2)), ValueError, "3D or 4D"),
        (lambda: nn.LazyConv2d(3, 3)(bl.ones(4, 4)), RuntimeError, "3 or 4 dimensions"),
        (lambda: nn.ConvTranspose1d(1, 1, 3, 2)(bl.ones(1, 1, 4), [12]), ValueError, "impossible"),
        (lambda: nn.ConvTranspose1d(1, 1, 3)(bl.ones(1, 1, 4), [1, 2]), ValueError, "1 or 3"),
        (lambda: nn.LSTM(3, 4)(bl.ones(2, 2, 2, 3)), ValueError, "2D or 3D"),
        (lambda: nn.LSTM(3, 4)(bl.ones(2, 2, 5)), ShapeError, "5 features, expected 3"),
        (lambda: nn.LSTM(3, 4)(bl.ones(2, 2, 3), bl.ones(1, 2, 4)), TypeError, "pair"),
        (lambda: nn.GRU(3, 4)(bl.ones(2, 2, 3), bl.ones(1, 3, 4)), ShapeError, "(1, 2, 4)"),
        (lambda: nn.GRU(3, 4)(bl.ones(2, 3), bl.ones(1, 2, 4)), ShapeError, "2D"),
        (lambda: nn.GRUCell(3, 4)(bl.ones(2, 2, 3)), ValueError, "1D or 2D"),
        (lambda: nn.GRUCell(3, 4)(bl.ones(2, 3), bl.ones(2, 3)), ShapeError, "hidden state has 3"),
        (lambda: attend(3, attn_mask=bl.ones(2, 2)), ShapeError, "attn_mask"),
        (lambda: attend(3, key_padding_mask=bl.ones(2, 2)), ShapeError, "key_padding_mask"),
        (lambda: attend(3, attn_mask=bl.ones(3, 3).long()), RuntimeError, "bool or float"),
        (lambda: attend(3, is_causal=True), RuntimeError, "attn_mask"),
        (lambda: nn.MultiheadAttention(4, 2)(bl.ones(3, 5), bl.ones(3, 4), bl.ones(3, 4)),
         ShapeError, "query has 5"),
        (lambda: nn.MultiheadAttention(4, 2)(bl.ones(3, 4), bl.ones(3, 4), bl.ones(2, 4)),
         ShapeError, "differ in length"),
        (lambda: nn.MultiheadAttention(4, 2)(bl.ones(3, 4), bl.ones(3, 1, 4), bl.ones(3, 4)),
         ShapeError, "all be 2D or all be 3D"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [3])(bl.ones(2, 4), bl.tensor([1, 9])),
         IndexError, "from 0 to 8, got 1 to 9"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 9, [3])(bl.ones(2, 4), bl.tensor(1)),
         ShapeError, "features (N, C) and targets (N)"),
        (lambda: nn.Transformer(4, 2, 1, 1, 8)(bl.ones(3, 2, 4), bl.ones(3, 1, 4)),
         ShapeError, "batches differ"),
    ],
)  # fmt: skip
def test_calls_refuse(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def attend(length, **options):
    x = bl.ones(length, 1, 4)
    return nn.MultiheadAttention(4, 2)(x, x, x, **options)


# ---- lazy modules


def test_lazy_parameters_refuse_until_they_are_known():
    layer = nn.LazyLinear(3)
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    assert repr(layer.weight) == "<UninitializedParameter>"
    assert layer.double().weight.dtype == bl.float64
    with pytest.raises(ValueError, match="no shape yet"):
        str(layer.weight.shape)
    with pytest.raises(RuntimeError, match="no shape yet"):
        sum(p.shape[0] for p in layer.parameters())
    layer(bl.ones(1, 2, dtype=bl.float64))
    assert layer.weight.shape == (3, 2) and type(layer.weight) is nn.Parameter
    assert type(layer) is nn.Linear and layer.weight.requires_grad


def test_lazy_modules_load_and_copy():
    lazy, full = nn.LazyLinear(3), nn.Linear(5, 3)
    twin = copy.deepcopy(lazy)
    assert lazy.load_state_dict(twin.state_dict()) == ([], [])
    lazy.load_state_dict(full.state_dict())
    x = bl.rand(2, 5)
    assert lazy(x).tolist() == full(x).tolist()
    assert lazy.in_features == 5 and type(lazy) is nn.Linear
    assert twin(bl.ones(1, 7)).shape == (1, 3)
    with pytest.raises(RuntimeError, match="uninitialized"):
        full.load_state_dict(nn.LazyLinear(3).state_dict())


# ---- normalization


def test_batch_norm_statistics():
    x = bl.from_numpy(np.random.default_rng(0).standard_normal((6, 3)))
    norm = nn.BatchNorm1d(3, momentum=None).double()
    norm(x), norm(3 * x)
    expected = (x.numpy().mean(0) + 3 * x.numpy().mean(0)) / 2
    np.testing.assert_allclose(norm.running_mean.numpy(), expected, rtol=1e-12)
    assert norm.num_batches_tracked.item() == 2
    cell = norm.running_mean.cell
    norm.eval()(x)
    assert norm.num_batches_tracked.item() == 2 and norm.running_mean.cell is cell
    norm.reset_running_stats()
    assert norm.running_var.tolist() == [1, 1, 1] and norm.num_batches_tracked.item() == 0


def test_instance_norm_without_affine_only_warns():
    with pytest.warns(UserWarning, match="3 channels"):
        nn.InstanceNorm1d(3)(bl.rand(2, 4, 5))


# ---- dropout, losses, embeddings


@pytest.mark.parametrize(
    ("layer", "shape", "channels"),
    [
        (nn.Dropout(0.25), (50, 40, 4), False),
        (nn.Dropout1d(0.25), (50, 40, 4), True),
        (nn.Dropout2d(0.25), (50, 40, 2, 2), True),
        (nn.Dropout3d(0.25), (50, 40, 2, 2, 1), True),
    ],
)
def test_dropout_rate_and_scale(layer, shape, channels):
    bl.manual_seed(0)
    x = bl.ones(*shape, requires_grad=True)
    y = layer(x)
    values = y.detach().numpy().reshape(50, 40, -1)
    kept = np.isclose(values, 4 / 3)
    assert (kept | (values == 0)).all()
    units = kept.all(2) if channels else kept
    assert units.mean() == pytest.approx(0.75, abs=6 * (0.1875 / units.size) ** 0.5)
    assert channels == bool((kept.all(2) | ~kept.any(2)).all())
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.detach().numpy())


def test_alpha_dropout_keeps_mean_and_deviation():
    bl.manual_seed(0)
    y = nn.AlphaDropout(0.3)(bl.randn(40_000)).numpy()
    assert abs(y.mean()) < 0.03 and abs(y.std() - 1) < 0.03


def test_rrelu_slopes():
    bl.manual_seed(0)
    y = nn.RReLU(0.2, 0.6)(-bl.ones(10_000)).numpy()
    assert -0.6 <= y.min() < -0.59 and -0.21 < y.max() <= -0.2
    assert y.mean() == pytest.approx(-0.4, abs=0.01)


@pytest.mark.parametrize(
    ("options", "reduction"),
    [
        ({"size_average": False}, "sum"),
        ({"reduce": False}, "none"),
        ({"size_average": True, "reduce": True}, "mean"),
    ],
)
def test_older_reduction_arguments(options, reduction):
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        assert nn.MSELoss(**options).reduction == reduction


def test_class_weights_are_buffers():
    loss = nn.CrossEntropyLoss(bl.ones(3))
    assert list(loss.state_dict()) == ["weight"] and list(loss.parameters()) == []
    assert loss.double().weight.dtype == bl.float64


def test_embedding_padding_row():
    table = nn.Embedding(4, 2, padding_idx=1)
    assert table.weight[1].tolist() == [0.0, 0.0]
    table(bl.tensor([1, 2, 1])).sum().backward()
    assert table.weight.grad[:, 0].tolist() == [0, 0, 1, 0]
    frozen = nn.Embedding.from_pretrained(bl.ones(3, 2))
    assert not frozen.weight.requires_grad
    assert nn.EmbeddingBag.from_pretrained(bl.ones(3, 2), freeze=False).weight.requires_grad


# ---- recurrent and attention


def test_recurrent_dropout_acts_between_layers_in_training():
    with pytest.warns(UserWarning, match="between layers"):
        nn.LSTM(2, 3, dropout=0.5)
    bl.manual_seed(0)
    net, x = nn.GRU(2, 3, 2, dropout=0.5), bl.rand(4, 2, 2)
    assert net(x)[0].tolist() != net(x)[0].tolist()
    net.eval()
    assert net(x)[0].tolist() == net(x)[0].tolist()
    packed = nn.utils.rnn.pack_padded_sequence(x, [4, 2])
    net.train()
    assert net(packed)[0].data.tolist() != net(packed)[0].data.tolist()


def test_recurrent_names():
    net = nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1)
    assert net.weight_hr_l1_reverse.shape == (1, 3) and net.weight_ih_l1.shape == (12, 2)
    assert [len(group) for group in net.all_weights] == [5] * 4
    net.flatten_parameters()


def test_attention_weights_per_head():
    x = bl.rand(3, 2, 8)
    attention = nn.MultiheadAttention(8, 4)
    _, weights = attention(x, x, x, average_attn_weights=False)
    assert weights.shape == (2, 4, 3, 3)
    np.testing.assert_allclose(weights.sum(-1).detach().numpy(), 1.0, rtol=1e-6)
    output, none = attention(x, x, x, need_weights=False)
    assert none is None
    np.testing.assert_allclose(
        output.detach().numpy(), attention(x, x, x)[0].detach().numpy(), atol=1e-6
    )


def test_adaptive_softmax_agrees_with_its_whole_distribution():
    layer, x = nn.AdaptiveLogSoftmaxWithLoss(6, 10, [2, 5], div_value=2.0), bl.rand(10, 6)
    whole, target = layer.log_prob(x), bl.arange(10)
    np.testing.assert_allclose(whole.exp().sum(1).detach().numpy(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(
        layer(x, target).output.detach().numpy(), whole.detach().numpy().diagonal(), rtol=1e-5
    )
    assert layer.predict(x).tolist() == whole.detach().numpy().argmax(1).tolist()
    assert layer(x[0], target[3]).output.shape == ()


def test_transposed_convolution_takes_an_output_size():
    up = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1)
    x = bl.ones(1, 1, 3, 3)
    assert up(x, output_size=[6, 5]).shape == (1, 1, 6, 5)
    assert up(x, output_size=(1, 1, 5, 6)).shape == (1, 1, 5, 6)


def test_a_transformer_layer_takes_a_module_as_activation():
    layer = nn.TransformerEncoderLayer(4, 2, 8, activation=nn.GELU())
    assert [n for n, _ in layer.named_modules()][-1] == "activation"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.TransformerEncoder(layer, 2)(bl.rand(3, 2, 4))
