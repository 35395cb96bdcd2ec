"""Whole files of others: the onnx package's example models, and what PyTorch exports."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import backlit as bl
from backlit.errors import NotAvailable
from backlit.onnx import load

DATA = Path(onnx.__file__).parent / "backend/test/data"
FOLDERS = sorted(p.parent for kind in ("simple", "pytorch-converted", "pytorch-operator")
                 for p in (DATA / kind).glob("*/model.onnx"))  # fmt: skip
# What can't be read, by a part of the folder's name, and what the refusal says.
REFUSED = {
    "strnorm": "operator StringNormalizer",  # Backlit has no tensors of strings
    "gradient_of": "operator ai.onnx.preview.training.Gradient",  # the engine takes gradients
    "PReLU": "PRelu.* of opset 6 means something else",  # one slope per channel
}


def read(path, declared):
    """A stored value: a tensor or a sequence of them."""
    if declared.HasField("sequence_type"):
        sequence = onnx.SequenceProto.FromString(path.read_bytes())
        return [bl.as_tensor(numpy_helper.to_array(t)) for t in sequence.tensor_values]
    return bl.as_tensor(numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes())))


def assert_close(found, wanted):
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted):
            assert_close(f, w)
        return
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_allclose(found.detach().numpy(), wanted.numpy(), 1e-3, 1e-5)


def check_folder(folder):
    net = load(folder / "model.onnx")
    graph = onnx.load(folder / "model.onnx").graph
    stored = {i.name for i in graph.initializer}
    declared = [i for i in graph.input if i.name not in stored]
    sets = sorted(folder.glob("test_data_set_*"))
    assert sets
    for values in sets:
        inputs = [read(values / f"input_{i}.pb", v.type) for i, v in enumerate(declared)]
        found = net(*inputs)
        found = found if isinstance(found, tuple) else (found,)
        for i, (f, v) in enumerate(zip(found, graph.output)):
            assert_close(f, read(values / f"output_{i}.pb", v.type))


@pytest.mark.parametrize("part", range(4))
def test_example_models(part):
    """Feature files of PyTorch's own first exports, sequences, control flow."""
    checked = 0
    for folder in FOLDERS[part::4]:
        reasons = [text for key, text in REFUSED.items() if key in folder.name]
        if reasons:
            with pytest.raises(NotAvailable, match=reasons[0]):
                load(folder / "model.onnx")
            continue
        try:
            check_folder(folder)
        except Exception as error:
            raise AssertionError(f"{folder.name}: {error}") from error
        checked += 1
    assert checked > 25 and len(REFUSED) <= 3


def test_well_known_networks_load():
    """ImageNet classifiers, their weights made by nodes: 121 to 910 nodes each."""
    for name, classes in (("inception_v2", 1000), ("shufflenet", 1000)):
        model = onnx.load(DATA / "light" / f"light_{name}.onnx")
        stored = {i.name for i in model.graph.initializer}
        (given,) = [i for i in model.graph.input if i.name not in stored]
        sizes = [d.dim_value for d in given.type.tensor_type.shape.dim]
        with bl.no_grad():
            found = load(model)(bl.zeros(*sizes))
        assert tuple(found.shape)[:2] == (1, classes)
        np.testing.assert_allclose(found.sum().item(), 1, rtol=1e-4)  # probabilities


# ----- PyTorch -----


def torch_models(torch):
    nn = torch.nn
    return {
        "lenet": (nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5),
            nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 10)), (2, 1, 28, 28)),
        "residual": (nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(8, 8, 3, groups=4), nn.GroupNorm(2, 8), nn.GELU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4), nn.LogSoftmax(1)),
            (2, 3, 32, 32)),
        "decoder": (nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(3, 2, 3, 2, 1, 1),
            nn.PReLU(2), nn.InstanceNorm2d(2), nn.PixelShuffle(1), nn.Hardswish()), (2, 3, 6, 6)),
        "lstm": (nn.LSTM(5, 7, 2, bidirectional=True), (6, 3, 5)),
        "gru": (nn.GRU(5, 7, 2, batch_first=True), (6, 3, 5)),
        "rnn": (nn.RNN(5, 7, nonlinearity="relu"), (6, 3, 5)),
    }  # fmt: skip


def torch_export(torch, model, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the older exporter, which needs nothing installed
        torch.onnx.export(model, (x,), path, dynamo=False, do_constant_folding=False)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["lenet", "residual", "decoder", "lstm", "gru", "rnn"])
def test_pytorch_exports(name):
    """The same outputs, and the same gradient of each parameter that kept its name."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model, shape = torch_models(torch)[name]
    model.eval()
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():  # equal ones would be stored as one
            tensor.data.add_(0.1 * torch.rand_like(tensor))
    x, file = torch.randn(shape), io.BytesIO()
    torch_export(torch, model, x, file)
    net = load(file.getvalue())
    wanted, found = model(x), net(bl.as_tensor(x.numpy()))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = found if isinstance(found, tuple) else (found,)
    np.testing.assert_allclose(found[0].detach().numpy(), wanted[0].detach().numpy(), 1e-4, 1e-5)
    wanted[0].square().sum().backward()
    found[0].square().sum().backward()
    theirs = {n: p.grad.numpy() for n, p in model.named_parameters()}
    kept = [(n, p) for n, p in net.named_parameters() if n in theirs]
    assert kept or name in ("lstm", "gru", "rnn")  # whose weights it reorders
    for key, parameter in kept:
        grad = parameter.grad.numpy()
        scale = float(np.abs(theirs[key]).max())
        np.testing.assert_allclose(grad, theirs[key], 1e-3, 1e-4 * max(scale, 1), err_msg=key)
    assert all(p.grad is not None for p in net.parameters())
