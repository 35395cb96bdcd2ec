"""Every module against PyTorch's: one row each.

A row is an expression that both libraries understand and the inputs. Checked in float64 with the
same weights: repr, state_dict, outputs (1e-12) and all gradients (1e-10), buffers, train and eval.
"""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # its spinning threads crawl where other processes run
pytestmark = pytest.mark.torch


class Ints:
    """Whole numbers below `high`."""

    def __init__(self, high: int, *shape: int):
        self.high, self.shape = high, shape


class Where:
    """Values made from normal ones by a NumPy function; with or without a gradient."""

    def __init__(self, fn, *shape: int, grad: bool = True):
        self.fn, self.shape, self.grad = fn, shape, grad


def positive(*shape):
    return Where(lambda x: np.abs(x) + 0.1, *shape)


def probability(*shape, grad=True):
    return Where(lambda x: 1 / (1 + np.exp(-x)), *shape, grad=grad)


def signs(*shape):
    return Where(lambda x: np.where(x < 0, -1.0, 1.0), *shape, grad=False)


def hidden(*shape):
    """A boolean mask that hides some, never the first of a row."""
    return Where(lambda x: (x < 0) & (np.arange(x.shape[-1]) > 0), *shape, grad=False)


def fixed(values):
    return Where(lambda x: np.array(values), grad=False)


S, I, V = (2, 4, 9), (2, 4, 9, 8), (2, 4, 5, 6, 7)  # a sequence, an image, a volume
CAUSAL = fixed([[0.0, -np.inf, -np.inf], [0.0, 0.0, -np.inf], [0.0, 0.0, 0.0]])

ROWS = [
    ("nn.Identity(3)", S),
    ("nn.Linear(5, 3)", (4, 5)),
    ("nn.Linear(5, 3, bias=False)", (2, 4, 5)),
    ("nn.LazyLinear(3)", (4, 5)),
    ("nn.LazyLinear(3, bias=False)", (4, 5)),
    ("nn.Bilinear(3, 4, 5)", (6, 3), (6, 4)),
    ("nn.Bilinear(3, 4, 5, bias=False)", (6, 3), (6, 4)),
    ("nn.Flatten()", I),
    ("nn.Flatten(0, 2)", I),
    ("nn.Unflatten(1, (2, 2))", I),
    # containers
    ("nn.Sequential(nn.Linear(9, 3), nn.ReLU(), nn.Sequential(nn.Tanh()))", S),
    # convolutions
    ("nn.Conv1d(4, 6, 3)", S),
    ("nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False)", S),
    ("nn.Conv1d(4, 6, 4, padding='same', padding_mode='circular')", S),
    ("nn.Conv2d(4, 6, 3)", I),
    ("nn.Conv2d(4, 6, 3)", (4, 9, 8)),
    ("nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))", I),
    ("nn.Conv2d(4, 8, 3, padding=1, groups=4)", I),
    ("nn.Conv2d(4, 6, (3, 4), padding='same')", I),
    ("nn.Conv2d(4, 6, 3, padding='valid')", I),
    ("nn.Conv2d(4, 6, 3, padding=(1, 2), padding_mode='reflect')", I),
    ("nn.Conv2d(4, 6, 3, padding=1, padding_mode='replicate')", I),
    ("nn.Conv2d(4, 6, 4, padding='same', padding_mode='circular')", I),
    ("nn.Conv3d(4, 6, 3, padding=1)", V),
    ("nn.Conv3d(4, 6, (1, 2, 3), stride=2, groups=2)", V),
    ("nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1)", S),
    ("nn.ConvTranspose2d(4, 6, 3)", I),
    ("nn.ConvTranspose2d(4, 6, (3, 2), 2, (1, 0), 1, groups=2, bias=False, dilation=2)", I),
    ("nn.ConvTranspose3d(4, 2, 2, stride=2)", V),
    ("nn.LazyConv1d(6, 3)", S),
    ("nn.LazyConv2d(6, 3, bias=False, groups=2)", I),
    ("nn.LazyConv3d(6, 3)", V),
    ("nn.LazyConvTranspose1d(6, 3)", S),
    ("nn.LazyConvTranspose2d(6, 3, stride=2, output_padding=1)", I),
    ("nn.LazyConvTranspose3d(6, 3)", V),
    # normalization
    ("nn.BatchNorm1d(4)", (6, 4)),
    ("nn.BatchNorm1d(4, eps=1e-3, momentum=0.3)", S),
    ("nn.BatchNorm2d(4)", I),
    ("nn.BatchNorm2d(4, momentum=None)", I),
    ("nn.BatchNorm2d(4, affine=False)", I),
    ("nn.BatchNorm2d(4, track_running_stats=False)", I),
    ("nn.BatchNorm2d(4, bias=False)", I),
    ("nn.BatchNorm3d(4)", V),
    ("nn.LazyBatchNorm1d()", S),
    ("nn.LazyBatchNorm2d(affine=False)", I),
    ("nn.LazyBatchNorm3d(track_running_stats=False)", V),
    ("nn.InstanceNorm1d(4)", S),
    ("nn.InstanceNorm1d(4)", (4, 9)),
    ("nn.InstanceNorm2d(4, affine=True)", I),
    ("nn.InstanceNorm2d(4, affine=True, track_running_stats=True)", I),
    ("nn.InstanceNorm3d(4)", V),
    ("nn.LazyInstanceNorm1d()", S),
    ("nn.LazyInstanceNorm2d()", I),
    ("nn.LazyInstanceNorm3d()", V),
    ("nn.LayerNorm(9)", S),
    ("nn.LayerNorm([4, 9], eps=1e-3, bias=False)", S),
    ("nn.LayerNorm((4, 9), elementwise_affine=False)", S),
    ("nn.GroupNorm(2, 4)", I),
    ("nn.GroupNorm(4, 4, affine=False)", S),
    ("nn.RMSNorm(9)", S),
    ("nn.RMSNorm([4, 9], eps=1e-3, elementwise_affine=False)", S),
    ("nn.LocalResponseNorm(2)", I),
    ("nn.LocalResponseNorm(3, alpha=0.1, beta=0.5, k=2.0)", S),
    # activations
    ("nn.ReLU()", S),
    ("nn.ReLU(inplace=True)", Where(lambda x: x, *S, grad=False)),
    ("nn.ReLU6()", S),
    ("nn.ELU(0.5)", S),
    ("nn.CELU(0.5)", S),
    ("nn.SELU()", S),
    ("nn.SiLU()", S),
    ("nn.Mish()", S),
    ("nn.GELU()", S),
    ("nn.GELU('tanh')", S),
    ("nn.GLU(1)", S),
    ("nn.LeakyReLU(0.2)", S),
    ("nn.PReLU()", S),
    ("nn.PReLU(4, init=0.1)", S),
    ("nn.RReLU(0.25, 0.25)", S),
    ("nn.Threshold(0.1, 20.0)", S),
    ("nn.Hardtanh(-0.5, 0.75)", S),
    # PyTorch's float64 gradient multiplies by 1/6 rounded to float32: outputs only
    ("nn.Hardsigmoid()", Where(lambda x: x, *S, grad=False)),
    ("nn.Hardswish()", S),
    ("nn.Hardshrink(0.3)", S),
    ("nn.Softshrink(0.3)", S),
    ("nn.Softplus(2.0, 1.0)", S),
    ("nn.Softsign()", S),
    ("nn.Sigmoid()", S),
    ("nn.LogSigmoid()", S),
    ("nn.Tanh()", S),
    ("nn.Tanhshrink()", S),
    ("nn.Softmax(dim=1)", S),
    ("nn.Softmin(dim=-1)", S),
    ("nn.LogSoftmax(dim=1)", S),
    ("nn.Softmax2d()", I),
    # pooling
    ("nn.MaxPool1d(3, return_indices=True)", S),
    ("nn.MaxPool2d(3, stride=2, padding=1)", I),
    ("nn.MaxPool2d((2, 3), dilation=2, ceil_mode=True)", I),
    ("nn.MaxPool3d(2)", V),
    ("nn.AvgPool1d(3, 2, 1)", S),
    ("nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False, ceil_mode=True)", I),
    ("nn.AvgPool2d((2, 3), divisor_override=5)", I),
    ("nn.AvgPool3d(2)", V),
    ("nn.LPPool1d(2, 3)", positive(*S)),
    ("nn.LPPool2d(3, (2, 3), stride=2)", positive(*I)),
    ("nn.LPPool3d(2, 2)", positive(*V)),
    ("nn.AdaptiveAvgPool1d(4)", S),
    ("nn.AdaptiveAvgPool2d((None, 3))", I),
    ("nn.AdaptiveAvgPool3d(2)", V),
    ("nn.AdaptiveMaxPool1d(4)", S),
    ("nn.AdaptiveMaxPool2d((3, 5), return_indices=True)", I),
    ("nn.AdaptiveMaxPool3d(2)", V),
    ("nn.MaxUnpool1d(2)", (1, 2, 2), fixed([[[0, 3], [1, 2]]])),
    ("nn.MaxUnpool2d(2)", (1, 1, 2, 2), fixed([[[[5, 2], [8, 15]]]])),
    ("nn.MaxUnpool3d(2)", (1, 1, 1, 1, 2), fixed([[[[[5, 11]]]]])),
    # embeddings
    ("nn.Embedding(7, 3)", Ints(7, 4, 5)),
    ("nn.Embedding(7, 3, padding_idx=-1, scale_grad_by_freq=True)", Ints(7, 4, 5)),
    ("nn.Embedding(7, 3, max_norm=1.0, norm_type=1.0)", Ints(7, 4, 5)),
    ("nn.EmbeddingBag(7, 3)", Ints(7, 4, 5)),
    ("nn.EmbeddingBag(7, 3, mode='sum', padding_idx=2)", Ints(7, 4, 5)),
    ("nn.EmbeddingBag(7, 3, mode='max')", Ints(7, 9), fixed([0, 2, 6])),
    # recurrent
    ("nn.RNN(3, 4)", (5, 2, 3)),
    ("nn.RNN(3, 4, 2, 'relu', bidirectional=True)", (5, 2, 3), (4, 2, 4)),
    ("nn.RNN(3, 4)", (5, 3)),
    ("nn.LSTM(3, 4, 2, batch_first=True)", (2, 5, 3)),
    ("nn.LSTM(3, 4, bidirectional=True, bias=False)", (5, 2, 3)),
    ("nn.LSTM(3, 4, 2, proj_size=2, bidirectional=True)", (5, 2, 3)),
    ("nn.GRU(3, 4, 2, bidirectional=True)", (5, 2, 3), (4, 2, 4)),
    ("nn.GRU(3, 4, batch_first=True)", (2, 5, 3)),
    ("nn.RNNCell(3, 4)", (2, 3), (2, 4)),
    ("nn.RNNCell(3, 4, bias=False, nonlinearity='relu')", (3,)),
    ("nn.LSTMCell(3, 4)", (2, 3)),
    ("nn.GRUCell(3, 4)", (2, 3), (2, 4)),
    # attention
    ("nn.MultiheadAttention(8, 2)", (3, 2, 8), (4, 2, 8), (4, 2, 8)),
    ("nn.MultiheadAttention(8, 2, batch_first=True, kdim=5, vdim=6)", (2, 3, 8), (2, 4, 5),
     (2, 4, 6), hidden(2, 4)),
    ("nn.MultiheadAttention(8, 4, add_bias_kv=True, add_zero_attn=True)", (3, 2, 8), (4, 2, 8),
     (4, 2, 8), hidden(2, 4), True, hidden(8, 3, 4), False),
    ("nn.MultiheadAttention(8, 2, bias=False)", (3, 8), (3, 8), (3, 8), None, False, CAUSAL),
    ("nn.TransformerEncoderLayer(8, 2, 16, 0.0)", (3, 2, 8), CAUSAL, hidden(2, 3)),
    ("nn.TransformerEncoderLayer(8, 2, 16, 0.0, 'gelu', norm_first=True, bias=False)", (3, 2, 8)),
    ("nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0), 2, nn.LayerNorm(8), "
     "enable_nested_tensor=False)", (3, 2, 8)),
    ("nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True)", (2, 3, 8), (2, 4, 8), CAUSAL),
    ("nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0), 2)", (3, 2, 8), (4, 2, 8)),
    ("nn.Transformer(8, 2, 1, 1, 16, 0.0)", (4, 2, 8), (3, 2, 8), None, CAUSAL),
    # losses
    ("nn.L1Loss()", S, S),
    ("nn.MSELoss(reduction='sum')", S, S),
    ("nn.SmoothL1Loss(beta=0.5)", S, S),
    ("nn.HuberLoss(delta=0.5, reduction='none')", S, S),
    ("nn.CrossEntropyLoss()", (5, 4), Ints(4, 5)),
    ("nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0, 4.0]), label_smoothing=0.1, "
     "ignore_index=1)", I, Ints(4, 2, 9, 8)),
    ("nn.NLLLoss(torch.tensor([1.0, 2.0, 3.0, 4.0]), ignore_index=2)", (5, 4), Ints(4, 5)),
    ("nn.BCELoss()", probability(*S), probability(*S, grad=False)),
    ("nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))", S, probability(*S, grad=False)),
    ("nn.KLDivLoss(reduction='batchmean')", S, probability(*S, grad=False)),
    ("nn.KLDivLoss(reduction='sum', log_target=True)", S, S),
    ("nn.PoissonNLLLoss()", S, positive(*S)),
    ("nn.PoissonNLLLoss(log_input=False, full=True)", positive(*S),
     Where(lambda x: np.abs(x) + 2, *S, grad=False)),
    ("nn.GaussianNLLLoss(full=True)", S, S, positive(*S)),
    ("nn.HingeEmbeddingLoss(0.5)", S, signs(*S)),
    ("nn.SoftMarginLoss()", S, signs(*S)),
    ("nn.MultiLabelMarginLoss()", (2, 4), fixed([[3, 0, -1, 1], [1, -1, 0, 2]])),
    ("nn.MultiLabelSoftMarginLoss()", (3, 4), probability(3, 4, grad=False)),
    ("nn.MultiMarginLoss(2, 0.5)", (5, 4), Ints(4, 5)),
    ("nn.CosineEmbeddingLoss(0.1)", (5, 4), (5, 4), signs(5)),
    ("nn.MarginRankingLoss(0.1)", (5,), (5,), signs(5)),
    ("nn.TripletMarginLoss(swap=True)", (5, 4), (5, 4), (5, 4)),
    ("nn.TripletMarginWithDistanceLoss(margin=2.0)", (5, 4), (5, 4), (5, 4)),
    # PyTorch's gradient is right only after a log_softmax: outputs only
    ("nn.CTCLoss()", Where(lambda x: -np.abs(x), 6, 2, 4, grad=False),
     fixed([[1, 2, 3], [3, 3, 1]]), fixed([6, 6]), fixed([3, 2])),
    ("nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0, head_bias=True)", (6, 8),
     fixed([0, 11, 4, 2, 6, 7])),
    # shapes
    ("nn.Upsample(scale_factor=2)", I),
    ("nn.Upsample(size=(5, 7), mode='bilinear')", I),
    ("nn.Upsample(scale_factor=(1.5, 2.0), mode='bilinear', align_corners=True)", I),
    ("nn.UpsamplingNearest2d(size=(12, 5))", I),
    ("nn.UpsamplingBilinear2d(scale_factor=2)", I),
    ("nn.PixelShuffle(2)", I),
    ("nn.PixelUnshuffle(2)", (2, 3, 4, 6)),
    ("nn.ChannelShuffle(2)", I),
    ("nn.ConstantPad1d((1, 2), 3.5)", S),
    ("nn.ConstantPad2d(1, -1.0)", I),
    ("nn.ConstantPad3d((1, 0, 2, 1, 0, 3), 0.5)", V),
    ("nn.ZeroPad1d(2)", S),
    ("nn.ZeroPad2d((1, 2, 0, -1))", I),
    ("nn.ZeroPad3d(1)", V),
    ("nn.ReflectionPad1d((2, 1))", S),
    ("nn.ReflectionPad2d(2)", I),
    ("nn.ReflectionPad3d(1)", V),
    ("nn.ReplicationPad1d((2, 1))", S),
    ("nn.ReplicationPad2d(2)", I),
    ("nn.ReplicationPad3d(1)", V),
    ("nn.CircularPad1d((2, 1))", S),
    ("nn.CircularPad2d(2)", I),
    ("nn.CircularPad3d(1)", V),
    ("nn.Unfold((2, 3), dilation=2, padding=1, stride=2)", I),
    ("nn.Fold((5, 6), (2, 3), padding=1, stride=2)", (2, 12, 9)),
    ("nn.CosineSimilarity(dim=1)", S, S),
    ("nn.PairwiseDistance(p=3.0, keepdim=True)", (5, 4), (5, 4)),
    # in evaluation, where they draw nothing
    ("nn.Dropout(0.3).eval()", S),
    ("nn.Dropout1d(0.3).eval()", S),
    ("nn.Dropout2d(inplace=True).eval()", I),
    ("nn.Dropout3d(0.3).eval()", V),
    ("nn.AlphaDropout(0.3).eval()", S),
    ("nn.FeatureAlphaDropout(0.3).eval()", I),
    ("nn.RReLU().eval()", S),
]  # fmt: skip


def made(spec, rng):
    """One input for each library: arrays become tensors, everything else stays."""
    if isinstance(spec, Ints):
        array, grad = rng.integers(0, spec.high, spec.shape), False
    elif isinstance(spec, Where):
        array, grad = np.asarray(spec.fn(rng.standard_normal(spec.shape))), spec.grad
    elif isinstance(spec, tuple):
        array, grad = rng.standard_normal(spec), True
    else:
        return spec, spec
    theirs, ours = torch.from_numpy(array.copy()), bl.from_numpy(array)
    return theirs.requires_grad_(grad), ours.requires_grad_(grad)


def tensors(result):
    if isinstance(result, (tuple, list)):
        return [t for part in result for t in tensors(part)]
    return [] if result is None else [result]


def same(theirs, ours, tolerance, what):
    theirs = theirs.detach().numpy()
    assert theirs.shape == tuple(ours.shape), what
    ours = ours.detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=what)


def copied(state):
    return {name: bl.from_numpy(value.numpy()) for name, value in state.items()}


def texts_agree(theirs, ours):
    expected = repr(theirs).replace("NonDynamicallyQuantizable", "")
    assert repr(ours) == expected


def weighted(outputs, rng):
    """A scalar in which every output element counts differently; also for both libraries."""
    total = 0
    for output in outputs:
        if output.is_floating_point() and output.requires_grad:
            weights = rng.standard_normal(tuple(output.shape))
            library = torch if isinstance(output, torch.Tensor) else bl
            total = total + (output * library.from_numpy(weights)).sum()
    return total


def compare(theirs, ours, inputs, seed=0):
    """Outputs, input gradients, parameter gradients and buffers of one call."""
    rng = np.random.default_rng(seed)
    pairs = [made(spec, rng) for spec in inputs]
    answers = [theirs(*(p[0] for p in pairs)), ours(*(p[1] for p in pairs))]
    outputs = [tensors(answer) for answer in answers]
    assert len(outputs[0]) == len(outputs[1])
    for t, o in zip(*outputs, strict=True):
        same(t, o, 1e-12, "output")
    totals = [weighted(output, np.random.default_rng(seed + 1)) for output in outputs]
    if not isinstance(totals[0], int):
        totals[0].backward()
        totals[1].backward()
        for t, o in pairs:
            if isinstance(t, torch.Tensor) and t.grad is not None:
                same(t.grad, o.grad, 1e-10, "input gradient")
        own = dict(ours.named_parameters())
        for name, parameter in theirs.named_parameters():
            if parameter.grad is not None:
                same(parameter.grad, own[name].grad, 1e-10, name)
    for name, value in theirs.state_dict().items():
        same(value, ours.state_dict()[name], 1e-12, name)


def both(expression):
    theirs = eval(expression, {"nn": torch.nn, "torch": torch}).double()
    ours = eval(expression, {"nn": nn, "torch": bl}).double()
    return theirs, ours


@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].removeprefix("nn."))
def test_module(row):
    expression, *inputs = row
    theirs, ours = both(expression)
    texts_agree(theirs, ours)
    if "Lazy" in expression:
        first = made(inputs[0], np.random.default_rng(5))
        theirs(first[0]), ours(first[1])
        texts_agree(theirs, ours)
        assert type(ours).__name__ == type(theirs).__name__
    shapes = [{k: tuple(v.shape) for k, v in m.state_dict().items()} for m in (theirs, ours)]
    assert list(shapes[0].items()) == list(shapes[1].items())
    ours.load_state_dict(copied(theirs.state_dict()))
    if ours.training:
        compare(theirs, ours, inputs)
        compare(theirs, ours, inputs, seed=7)
    theirs.eval(), ours.eval()
    theirs.zero_grad(), ours.zero_grad()
    compare(theirs, ours, inputs, seed=3)


def test_every_module_has_a_row():
    names = {n for n, c in vars(nn).items() if isinstance(c, type) and issubclass(c, nn.Module)}
    without = {"Module", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"}
    without |= {"RNNBase", "RNNCellBase", "DataParallel"}  # the last wraps another module
    text = " ".join(row[0] for row in ROWS)
    assert {name for name in names - without if f"nn.{name}(" not in text} == set()


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize(
    "expression",
    [
        "nn.RNN(3, 4)",
        "nn.GRU(3, 4, 2, bidirectional=True)",
        "nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True)",
        "nn.LSTM(3, 4, proj_size=2, bias=False)",
    ],
)
def test_packed_sequence(expression, enforce_sorted):
    theirs, ours = both(expression)
    ours.load_state_dict(copied(theirs.state_dict()))
    lengths = [6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4]
    rng = np.random.default_rng(0)
    padded = made((4, 6, 3), rng)
    directions = 2 if theirs.bidirectional else 1
    states = [made((theirs.num_layers * directions, 4, n), rng) for n in (theirs.proj_size or 4, 4)]
    results = []
    for x, library, module, which in (
        (padded[0], torch, theirs, 0),
        (padded[1], bl, ours, 1),
    ):
        rnn = library.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, library.tensor(lengths), True, enforce_sorted)
        h0, c0 = (s[which] for s in states)
        output, final = module(packed, (h0, c0) if "LSTM" in expression else h0)
        results.append(tensors([rnn.pad_packed_sequence(output)[0], final]))
        weighted(results[-1], np.random.default_rng(1)).backward()
    for t, o in zip(*results, strict=True):
        same(t, o, 1e-12, "output")
    for t, o in (padded, *states):
        if t.grad is not None:
            same(t.grad, o.grad, 1e-10, "input gradient")
    own = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        same(parameter.grad, own[name].grad, 1e-10, name)
