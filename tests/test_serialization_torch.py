"""Files that PyTorch wrote come back equal and share what they shared; ours open in PyTorch."""

from __future__ import annotations

import inspect
import types
from collections import Counter, OrderedDict

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.errors import CheckpointError, NotAvailable

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytestmark = pytest.mark.torch

FORMS = {
    "zip": {},
    "stream": {"_use_new_zipfile_serialization": False},
    "protocol 4": {"pickle_protocol": 4},
    "stream, protocol 5": {"_use_new_zipfile_serialization": False, "pickle_protocol": 5},
}


@pytest.fixture(params=FORMS)
def through(request, tmp_path):
    """What Backlit reads of what PyTorch writes."""

    def save_and_load(obj):
        torch.save(obj, tmp_path / "x.pt", **FORMS[request.param])
        return bl.load(tmp_path / "x.pt")

    return save_and_load


def assert_same(theirs, ours, path="root"):
    """Equal in structure, kind, dtype, shape and every value."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, bl.Tensor), path
        assert tuple(theirs.shape) == tuple(ours.shape), path
        assert str(theirs.dtype) == f"torch.{ours.dtype.name}", path
        assert theirs.requires_grad == ours.requires_grad, path
        is_parameter = isinstance(theirs, torch.nn.Parameter)
        assert is_parameter == isinstance(ours, nn.Parameter), path
        bits = theirs.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        assert bits == ours.detach().numpy().tobytes(), path
    elif isinstance(theirs, dict):
        assert type(theirs) is type(ours) and list(theirs) == list(ours), path
        for key in theirs:
            assert_same(theirs[key], ours[key], f"{path}.{key}")
    elif isinstance(theirs, list | tuple):
        kind = bl.Size if isinstance(theirs, torch.Size) else type(theirs)
        assert type(ours) is kind and len(theirs) == len(ours), path
        for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
            assert_same(a, b, f"{path}.{number}")
    elif isinstance(theirs, torch.dtype):
        assert str(theirs) == f"torch.{ours.name}", path
    elif isinstance(theirs, np.ndarray | np.generic):
        assert type(theirs) is type(ours) and theirs.dtype == ours.dtype, path
        assert np.array_equal(theirs, ours), path
    else:
        assert type(theirs) is type(ours), path
        assert theirs == ours or theirs != theirs, path


DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
          "bool")  # fmt: skip


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_and_shape(through, name):
    dtype = getattr(torch, name)
    values = torch.tensor([[0.0, 1.0, 2.5], [-3.0, 4.0, 100.0]])
    values = values.abs().to(dtype) if name in ("uint8", "bool") else values.to(dtype)
    obj = {"two": values, "none": values[0, 0], "empty": values[:0], "turned": values.t()}
    assert_same(obj, through(obj))


def test_plain_values(through):
    obj = {
        "numbers": [0, -1, 255, 70_000, -(2**40), 10**30, 1.5, float("nan"), float("-inf"), 1 + 2j],
        "words": ("", "ä\n", "\udcff", b"", b"\x00\xff", None, True, False),
        "containers": OrderedDict(a=(), b=((1,), 2, (3, 4, 5)), c={1: {2: []}}, d={3, 4}),
        (1, "key"): frozenset([1, 2]),
        "torch": [torch.Size([2, 3]), torch.float32, torch.long],
        "counts": Counter([3, 4, 4]),
    }
    assert_same(obj, through(obj))
    assert through({"place": torch.device("cuda:0")}) == {"place": bl.device("cpu")}


def test_the_same_container_twice_is_the_same_again(through):
    part = [1, 2]
    loaded = through({"a": part, "b": part})
    assert loaded["a"] is loaded["b"]


def test_numpy_arrays_and_numbers(tmp_path):
    obj = {"array": np.arange(6.0).reshape(2, 3), "turned": np.asfortranarray(np.eye(3)),
           "best": np.float64(0.5), "step": np.int64(3),
           "mask": np.array([True, False])}  # fmt: skip
    torch.save(obj, tmp_path / "x.pt")
    assert_same(obj, bl.load(tmp_path / "x.pt"))


def test_parameters_keep_class_gradient_and_attributes(through):
    marked = torch.nn.Parameter(torch.ones(2))
    marked.group = "decay"
    p, frozen = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(1), False)
    x = torch.ones(2, requires_grad=True)
    obj = {"p": p, "frozen": frozen, "x": x, "marked": marked}
    loaded = through(obj)
    assert_same(obj, loaded)
    assert loaded["marked"].group == "decay"
    (loaded["x"] * 3).sum().backward()
    assert loaded["x"].grad.tolist() == [3, 3]


VIEWS = {
    "rows": lambda x: x[1:3],
    "row": lambda x: x[-1],
    "column": lambda x: x[:, 1],
    "turned": lambda x: x.t(),
    "window": lambda x: x[1:3, 2:5],
    "every other": lambda x: x[::2, 1::2],
    "cube": lambda x: x.view(2, 2, 6).permute(2, 0, 1)[1:, :1],
    "expanded": lambda x: x[0, :3].expand(2, 3),
    "one": lambda x: x[2, 3],
    "unsqueezed": lambda x: x[:, None, 2:3],
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_keep_sharing(through, name):
    theirs = torch.arange(24.0).view(4, 6)
    loaded = through({"base": theirs, "view": VIEWS[name](theirs)})
    assert_same({"base": theirs, "view": VIEWS[name](theirs)}, loaded)
    base, view = loaded["base"], loaded["view"]
    base.mul_(10)
    assert view.tolist() == (VIEWS[name](theirs) * 10).tolist()
    if name != "expanded":
        view.sub_(1)
        theirs = theirs * 10
        VIEWS[name](theirs).sub_(1)
        assert base.tolist() == theirs.tolist()


def test_separate_parts_of_one_storage_are_cells_of_their_own(through):
    flat = torch.arange(6.0)
    loaded = through([flat[:2], flat[2:], flat[2:]])
    assert_same([flat[:2], flat[2:], flat[2:]], loaded)
    assert all(type(x.cell).__name__ == "Cell" for x in loaded)
    assert loaded[1].cell is loaded[2].cell is not loaded[0].cell


def test_overlapping_windows_of_no_view_keep_their_values(through):
    hankel = torch.arange(6.0).unfold(0, 3, 1)
    assert_same([hankel, hankel[1]], through([hankel, hankel[1]]))


def small_net(nn):
    """No bias before the normalization: its gradient is nothing but rounding."""
    first = nn.Linear(3, 4, bias=False)
    return nn.Sequential(first, nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def test_a_whole_checkpoint(through):
    net = small_net(torch.nn)
    optimizers = [torch.optim.AdamW(net.parameters(), lr=0.1, amsgrad=True),
                  torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)]  # fmt: skip
    schedulers = [torch.optim.lr_scheduler.MultiStepLR(optimizers[0], [1, 1, 3]),
                  torch.optim.lr_scheduler.CosineAnnealingLR(optimizers[1], 5)]  # fmt: skip
    for _ in range(2):
        net(torch.randn(5, 3)).square().sum().backward()
        for part in (*optimizers, *schedulers):
            part.step()
    obj = {"epoch": 2, "model": net.state_dict(), "random": torch.get_rng_state(),
           "optimizers": [o.state_dict() for o in optimizers],
           "schedulers": [s.state_dict() for s in schedulers]}  # fmt: skip
    loaded = through(obj)
    assert_same(obj, loaded)
    assert loaded["model"]._metadata == net.state_dict()._metadata
    ours = small_net(nn)
    ours.load_state_dict(loaded["model"])
    adam = bl.optim.AdamW(ours.parameters(), lr=0.3, amsgrad=True)
    adam.load_state_dict(loaded["optimizers"][0])
    x = torch.randn(4, 3)
    for model, optimizer in ((net, optimizers[0]), (ours, adam)):
        optimizer.zero_grad()
        given = x if model is net else bl.tensor(x.numpy())
        model(given).square().sum().backward()
        optimizer.step()
    for theirs, mine in zip(net.parameters(), ours.parameters(), strict=True):
        assert np.allclose(theirs.detach().numpy(), mine.detach().numpy(), atol=1e-6)


def test_a_saved_storage_is_a_flat_tensor(tmp_path):
    torch.save(torch.arange(4.0).untyped_storage(), tmp_path / "x.pt")
    assert bl.load(tmp_path / "x.pt").tolist() == list(np.arange(4.0, dtype="f4").tobytes())


class Unknown(torch.nn.Module):
    pass


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (Unknown(), r"holds .*\.Unknown, which is not among.*\n.*state_dict"),
        ({"f": torch.nn.functional.relu}, "holds torch.nn.functional.relu"),
        ({"u": torch.ones(2, dtype=torch.uint16)}, "holds torch.uint16, a number format"),
        ({"c": torch.ones(2, dtype=torch.complex64)}, "torch.ComplexFloatStorage, a number"),
        ({"s": torch.ones(2).to_sparse()}, "_rebuild_sparse_tensor, which"),
        ({"k": torch.nn.Parameter}, "holds torch.nn.parameter.Parameter itself"),
        ({"o": np.array([None])}, "a NumPy array of 'O8'"),
    ],
)
def test_what_is_not_data_is_refused_by_name(tmp_path, obj, words):
    torch.save(obj, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=words) as error:
        bl.load(tmp_path / "x.pt", weights_only=False)
    assert "x.pt" in str(error.value)


def test_a_torchscript_program_is_refused(tmp_path):
    with pytest.warns(DeprecationWarning):
        torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / "x.pt"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        bl.load(tmp_path / "x.pt")


def test_arguments_of_pytorch(tmp_path):
    path = tmp_path / "x.pt"
    torch.save([torch.ones(1)], path)
    for settings in ({"map_location": bl.device("cpu"), "weights_only": True}, {"mmap": True},
                     {"map_location": {"cuda:0": "cpu"}, "weights_only": False}):  # fmt: skip
        assert bl.load(path, **settings)[0].item() == 1
    with open(path, "rb") as file:
        assert bl.load(file, "cpu")[0].item() == 1
    with pytest.raises(NotAvailable, match="cuda"):
        bl.load(path, map_location="cuda:0")
    bl.save({"w": bl.ones(1)}, path, _use_new_zipfile_serialization=False)
    assert bl.load(path)["w"].item() == 1


def test_several_streams_in_one_file(tmp_path):
    with open(tmp_path / "x.pt", "wb") as file:
        for value in (1.0, 2.0):
            torch.save(torch.tensor([value]), file, _use_new_zipfile_serialization=False)
    with open(tmp_path / "x.pt", "rb") as file:
        assert bl.load(file).item() == 1 and bl.load(file).item() == 2


# Models both ways


def twin_of(module):
    """A model file with its imports exchanged: the same model in PyTorch."""
    source = inspect.getsource(module)
    for ours, theirs in {
        "import backlit as bl": "import torch as bl",
        "from backlit import nn": "from torch import nn",
        "from backlit.nn import functional as F": "from torch.nn import functional as F",
        "from backlit.tensor import Tensor": "from torch import Tensor",
    }.items():
        source = source.replace(ours + "\n", theirs + "\n")
    twin = types.ModuleType(module.__name__ + "_in_pytorch")
    exec(compile(source, inspect.getsourcefile(module), "exec"), twin.__dict__)
    return twin


MODELS = {
    "resnet": (models.resnet, lambda m: m.ResNet(1, 3, width=4), (2, 3, 8, 8)),
    "gru": (models.recurrent, lambda m: m.RowClassifier("gru", 4, 9, 2, 3), (2, 5, 4)),
    "vit": (models.vit, lambda m: m.VisionTransformer(8, 4, 2, 8, 1, 2, 16, 3), (2, 2, 8, 8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_travel_both_ways(tmp_path, name):
    from safetensors.torch import load_file, save_file

    file, make, shape = MODELS[name]
    theirs, ours = make(twin_of(file)).eval(), make(file).eval()
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    for path in ("theirs.pt", "theirs.safetensors"):
        ours.load_state_dict(make(file).state_dict())
        assert not np.allclose(ours(bl.tensor(x)).detach().numpy(), expected, atol=1e-3)
        ours.load_state_dict(bl.load(tmp_path / path))
        assert np.allclose(ours(bl.tensor(x)).detach().numpy(), expected, atol=1e-5)
    bl.save(ours.state_dict(), tmp_path / "ours.safetensors")
    back = make(twin_of(file)).eval()
    back.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    assert np.allclose(back(torch.tensor(x)).detach().numpy(), expected, atol=1e-6)
