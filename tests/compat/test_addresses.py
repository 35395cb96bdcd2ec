"""Where programs look for names: PyTorch's files, and modules that are imported but never used."""

from __future__ import annotations

import importlib

import pytest

import backlit as bl
from backlit import nn
from backlit.errors import NotAvailable

FOUND = {
    "nn.modules.batchnorm": ("_BatchNorm", "BatchNorm2d"), "nn.modules.conv": ("_ConvNd", "Conv2d"),
    "nn.modules.loss": ("_Loss", "MSELoss"), "nn.modules.module": ("Module",),
    "nn.modules.container": ("Sequential",), "nn.modules.rnn": ("LSTM",),
    "nn.modules.utils": ("_pair", "_triple", "_ntuple"), "nn.modules": ("Linear", "ReLU"),
    "nn.parallel": ("DataParallel", "data_parallel"), "nn.parameter": ("Parameter",),
    "utils.data.dataset": ("Dataset", "random_split"), "utils.data.sampler": ("Sampler",),
    "utils.data.dataloader": ("DataLoader", "default_collate"), "cuda.amp": ("autocast",),
    "nn.attention": ("SDPBackend", "sdpa_kernel"), "jit.annotations": ("List", "Optional"),
    "utils._pytree": ("tree_map", "tree_flatten"), "nn.utils.prune": ("l1_unstructured",),
    "optim.optimizer": ("Optimizer", "required"), "optim.lr_scheduler": ("_LRScheduler",),
    "autograd.function": ("Function", "once_differentiable"),
}  # fmt: skip
LATER = {
    "distributed": "init_process_group", "multiprocessing": "spawn", "hub": "load",
    "fx": "symbolic_trace", "utils.model_zoo": "load_url",
    "utils.data.distributed": "DistributedSampler",
}  # fmt: skip


@pytest.mark.parametrize("address", FOUND)
def test_pytorchs_files_are_found(address):
    module = importlib.import_module(f"backlit.{address}")
    for name in FOUND[address]:
        value = getattr(module, name)
        public = name.lstrip("_")
        for room in (nn, bl.data, bl.optim):
            if public == name and public in vars(room):
                assert value is vars(room)[public]


def test_one_number_or_one_for_each_dimension():
    from backlit.nn.modules.utils import _ntuple, _pair, _reverse_repeat_tuple, _triple

    assert _pair(3) == (3, 3) and _pair([1, 2]) == (1, 2) and _triple(0) == (0, 0, 0)
    assert _ntuple(4)(1) == (1, 1, 1, 1) and _pair.__name__ == "_pair"
    assert _reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)


@pytest.mark.parametrize("address", LATER)
def test_what_needs_other_processes_or_downloads_is_refused_when_it_is_used(address):
    module = importlib.import_module(f"backlit.{address}")
    value = getattr(module, LATER[address])
    with pytest.raises(NotAvailable, match=f"{address}.{LATER[address]} does not exist"):
        value(1, key=2)
    with pytest.raises(AttributeError, match="does not exist"):
        value.SUM  # noqa: B018
    with pytest.raises(AttributeError, match="something"):
        module.something  # noqa: B018


def test_one_process_trains():
    assert not bl.distributed.is_available() and not bl.distributed.is_initialized()


@pytest.mark.parametrize("name", ["accelerator", "xpu", "mps", "cuda"])
def test_no_accelerator_is_there(name):
    room = getattr(bl, name)
    assert room is importlib.import_module(f"backlit.{name}")
    assert not room.is_available() and room.device_count() == 0
    room.synchronize()
    with pytest.raises(NotAvailable, match=rf"{name}\.Stream does not exist"):
        room.Stream()
    assert bl.accelerator.current_accelerator() is None


def test_the_folder_of_downloads_is_named_but_not_made(monkeypatch, tmp_path):
    monkeypatch.setattr(bl.hub, "_chosen", [])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bl.hub.get_dir() == str(tmp_path / ".cache" / "torch" / "hub")
    bl.hub.set_dir(tmp_path / "mine")
    assert bl.hub.get_dir() == str(tmp_path / "mine") and not list(tmp_path.iterdir())
    assert bl._C._log_api_usage_once("a model") is None
    with pytest.raises(AttributeError):
        bl._C._jit_clear_class_registry  # noqa: B018


def test_a_choice_of_kernels_changes_nothing():
    from backlit.nn.attention import SDPBackend, sdpa_kernel

    q = bl.randn(1, 3, 4)
    expected = bl.nn.functional.scaled_dot_product_attention(q, q, q)
    with sdpa_kernel(SDPBackend.MATH):
        assert bl.equal(bl.nn.functional.scaled_dot_product_attention(q, q, q), expected)
    with pytest.raises(ValueError, match="expected SDPBackend"), sdpa_kernel("fast"):
        pass


class Doubled(bl.jit.ScriptModule):
    factor: bl.jit.Final[int]

    def __init__(self):
        super().__init__()
        self.factor = bl.jit.annotate(int, 2)

    @bl.jit.script_method
    def forward(self, x):
        return x if bl.jit.is_scripting() or bl.jit.is_tracing() else self.factor * x


def test_scripts_are_the_programs_themselves():
    @bl.jit.script
    def add(a: bl.Tensor, b: bl.Tensor) -> bl.Tensor:
        return a + b

    net = Doubled()
    assert bl.jit.script(net) is net and bl.jit.trace(net, bl.ones(1)) is net
    assert add(net(bl.ones(1)), bl.jit.unused(net)(bl.ones(1))).item() == 4
    assert bl.jit._overload_method(add) is add and bl.jit._overload(add) is add
    assert bl.jit.ignore(add) is add and bl.jit.ignore(drop=True)(add) is add
    with pytest.raises(NotAvailable, match=r"jit\.save does not exist"):
        bl.jit.save(net, "net.pt")


def test_older_names_mean_todays():
    weight = bl.empty(3, 3)
    with pytest.warns(FutureWarning, match="write constant_"):
        nn.init.constant(weight, 2.0)
    assert weight.sum() == 18
    with pytest.raises(AttributeError, match=r"nn\.init\.nonsense does not exist"):
        nn.init.nonsense  # noqa: B018
    assert nn.utils.clip_grad_norm is nn.utils.clip_grad_norm_
    lstm = nn.LSTM(2, 3, bidirectional=True)
    assert lstm._flat_weights_names == [n for n, _ in lstm.named_parameters()]
    seen = []
    layer = nn.Linear(2, 1)
    layer.register_backward_hook(lambda module, gi, go: seen.append(go[0].item()))
    layer(bl.ones(1, 2, requires_grad=True)).backward(bl.full((1, 1), 3.0))
    assert seen == [3.0]


def test_switches_without_effect_are_accepted():
    x = bl.randn(1, 2, 3, 3)
    y = x.to(memory_format=bl.channels_last).contiguous(memory_format=bl.contiguous_format)
    assert bl.equal(x, y) and repr(bl.preserve_format) == "backlit.preserve_format"
    assert nn.Conv2d(2, 1, 1).to(memory_format=bl.channels_last)(x).shape == (1, 1, 3, 3)
    assert not bl.backends.cuda.matmul.allow_tf32 and not bl.backends.cuda.is_built()
    assert x.get_device() == -1 and bl.vmap(bl.sum)(x[0, 0]).shape == (3,)


def test_a_forked_generator_leaves_the_default_one_alone():
    bl.manual_seed(5)
    expected = bl.rand(2).tolist()
    bl.manual_seed(5)
    with bl.random.fork_rng(devices=[]):
        bl.manual_seed(6)
        bl.rand(3)
    assert bl.rand(2).tolist() == expected
