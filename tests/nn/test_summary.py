"""model.summary and the forms in a notebook: every number is compared with one known otherwise."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit import models, nn
from backlit.errors import ArgumentError, ArgumentTypeError


class Nesting(HTMLParser):
    """Fails where a tag is closed that is not the open one."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags_of(page: str) -> list[str]:
    parser = Nesting()
    parser.feed(page)
    assert not parser.open
    return parser.tags


def rows_of(made) -> dict[str, object]:
    return {layer.name: layer for layer in made.layers}


def test_a_convolutional_net_by_hand():
    conv = nn.Conv2d(3, 8, 3, padding=1, stride=2)
    model = nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))
    made = model.summary(input_size=(2, 3, 8, 8))
    rows = rows_of(made)
    assert [row.output for row in made.layers] == [
        "(2, 10)", "(2, 8, 4, 4)", "(2, 8, 4, 4)", "(2, 8, 4, 4)", "(2, 128)", "(2, 10)",
    ]  # fmt: skip
    assert rows["0"].multiply_adds == 2 * 8 * 4 * 4 * 3 * 9
    assert rows["4"].multiply_adds == 2 * 128 * 10
    assert made.multiply_adds == rows["0"].multiply_adds + rows["4"].multiply_adds
    assert made.parameters == 8 * 27 + 8 + 16 + 1280 + 10 == made.trainable
    assert made.parameter_bytes == 4 * made.parameters
    # What BatchNorm reads (the convolution's output, mean and spread of 8) and ReLU's output.
    assert rows["1"].saved_bytes >= 4 * 256 and rows["2"].saved_bytes == 4 * 256


def test_published_multiply_adds():
    assert 40.5e6 < models.resnet20().summary(input_size=(1, 3, 32, 32)).multiply_adds < 41e6
    assert 0.41e6 < models.LeNet5().summary(input_size=(1, 1, 32, 32)).multiply_adds < 0.43e6


PRODUCTS = {
    "linear": (nn.Linear(3, 5), (7, 4, 3), 7 * 4 * 15),
    "grouped": (nn.Conv1d(4, 6, 3, groups=2, bias=False), (2, 4, 10), 2 * 6 * 8 * 2 * 3),
    "transposed": (nn.ConvTranspose2d(4, 6, 2, stride=2), (1, 4, 3, 3), 9 * 4 * 6 * 4),
    "rnn": (nn.RNN(3, 5, batch_first=True), (2, 4, 3), 8 * (15 + 25)),
    "gru": (nn.GRU(3, 5, num_layers=2), (4, 2, 3), 8 * 3 * ((15 + 25) + (25 + 25))),
    "lstm": (nn.LSTM(3, 5, bidirectional=True), (4, 2, 3), 2 * 8 * 4 * (15 + 25)),
    "projected lstm": (nn.LSTM(3, 5, proj_size=2), (4, 2, 3), 8 * (4 * (15 + 10) + 10)),
    "cell": (nn.LSTMCell(3, 5), (2, 3), 2 * 4 * (15 + 25)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_multiply_adds_of_layers(name):
    layer, shape, expected = PRODUCTS[name]
    assert layer.summary(input_size=shape).multiply_adds == expected


def test_multiply_adds_of_attention():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = bl.ones(3, 5, 8)
    made = layer.summary(x, x, x, need_weights=False)
    assert made.multiply_adds == 3 * (4 * 5 * 8 * 8 + 2 * 5 * 5 * 8)


def test_saved_bytes_are_what_the_graph_keeps():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 6)

        def forward(self, x):
            h = self.fc(x).exp()
            return (h * h.sin()).sum()

    made = Net().summary(input_size=(10, 4))
    # exp keeps its output, the product it and the sine: two arrays, since the first is one.
    assert rows_of(made)[""].saved_bytes == 2 * 10 * 6 * 4
    assert rows_of(made)["fc"].saved_bytes == 0  # the input and the weight are there anyway
    with bl.no_grad():
        assert Net().summary(input_size=(10, 4)).saved_bytes == 480
    frozen = Net().requires_grad_(False).summary(input_size=(10, 4))
    assert frozen.saved_bytes == 0 == frozen.trainable and "30 of them frozen" in str(frozen)


def test_a_user_function_counts_what_it_saves():
    class Square(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return Square.apply(self.fc(x))

    assert Net().summary(input_size=(3, 4)).saved_bytes == 3 * 4 * 4


@pytest.mark.parametrize("name", FAMILIES)
def test_the_whole_zoo_has_a_summary(name):
    make, shape, _ = FAMILIES[name]
    model = make()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random, hooks = bl.get_rng_state(), [len(m._forward_hooks) for m in model.modules()]
    made = model.summary(input_size=shape)
    assert made.parameters == sum(p.numel() for p in model.parameters())
    assert made.multiply_adds > 0 and made.saved_bytes > 0
    assert [row.name for row in made.layers] == [name for name, _ in model.named_modules()]
    top = sum(row.multiply_adds for row in made.layers if row.depth == 1)
    assert top <= made.multiply_adds
    assert random == bl.get_rng_state()
    for key, value in model.state_dict().items():
        assert bl.equal(value, before[key]), key
    assert hooks == [len(m._forward_hooks) for m in model.modules()]


def test_the_model_stays_what_it_was_after_an_error():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match=r"linear|batch_norm"):
        model.summary(input_size=(4, 7))
    assert model[0].running_mean.tolist() == [0, 0, 0] and not model[1]._forward_hooks


def test_shared_and_repeated_layers():
    fc = nn.Linear(4, 4)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.unused = fc, fc, nn.Linear(4, 1)

        def forward(self, x):
            return self.second(self.first(x)), {"last": x}

    made = Twice().summary(input_size=(2, 4))
    rows = rows_of(made)
    assert list(rows) == ["", "first", "unused"] and rows["first"].calls == 2
    assert rows["first"].multiply_adds == 2 * 2 * 16 and made.parameters == 20 + 5
    assert rows[""].output == "(2, 4), (2, 4)" and rows["unused"].output == ""
    assert "first: Linear ×2" in str(made)


def test_inputs_sizes_and_depth():
    gpt = models.GPT(7, 5, 8, 1, 2)
    made = gpt.summary(bl.zeros(1, 5, dtype=bl.int64), depth=1)
    assert max(row.depth for row in made.layers) == 1
    assert gpt.summary(input_size=(1, 5), dtype=bl.int64).parameters == made.parameters
    two = nn.Bilinear(2, 3, 4).summary(input_size=[(5, 2), (5, 3)])
    assert two.layers[0].output == "(5, 4)"
    fc = nn.Linear(2, 3)
    assert str(fc.summary((4, 2))) == str(fc.summary(input_size=(4, 2))) != str(fc.summary())
    with pytest.raises(ArgumentTypeError, match="whole numbers"):
        gpt.summary(input_size=(1.5, 2))
    with pytest.raises(ArgumentError, match="LazyLinear has no shape yet"):
        nn.LazyLinear(3).summary(input_size=(1, 2))


def test_without_inputs_the_parameters_are_told_and_nothing_runs():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.later = nn.Linear(3, 4), nn.LazyLinear(2)

        def forward(self):
            raise AssertionError("must not run")

    made = Net().summary()
    assert str(made).splitlines() == [
        "layer                 parameters",
        "--------------------------------",
        "Net                           16",
        "├─ fc: Linear                 16",
        "└─ later: LazyLinear",
        "--------------------------------",
        "parameters: 16 (64 B)",
        "shapes and multiply-adds: summary(input_size=(batch, ...))",
    ]
    from rich.console import Console

    held = io.StringIO()
    Console(file=held, width=100).print(made)
    page = made._repr_html_()
    assert tags_of(page).count("th") == 2 and tags_of(page).count("td") == 6
    for shown in (held.getvalue(), page):
        assert "fc: Linear" in shown and "output" not in shown and "forward pass" not in shown
    assert not made.measured and Net().summary(depth=0).layers[0].parameters == 16


def test_a_part_named_summary_comes_first():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.summary = nn.Linear(2, 3)
            self.fc = nn.Linear(3, 1)

        def forward(self, x):
            return self.fc(self.summary(x))

    net = Net()
    assert net(bl.ones(1, 2)).shape == (1, 1) and isinstance(net.summary, nn.Linear)
    weight = nn.Linear(1, 1)
    weight.register_parameter("summary", nn.Parameter(bl.ones(1)))
    assert weight.summary.item() == 1
    assert nn.Module.summary.__doc__


def test_text_rich_and_notebook_say_the_same():
    from rich.console import Console

    made = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU())).summary(input_size=(8, 3))
    text = str(made).splitlines()
    assert text[0].split() == ["layer", "output", "parameters", "multiply-adds", "saved"]
    assert text[3].startswith("├─ 0: Linear      (8, 4)          16             96")
    assert text[5].startswith("   └─ 0: ReLU")
    held = io.StringIO()
    Console(file=held, width=100).print(made)
    page = made._repr_html_()
    assert tags_of(page).count("tr") == 5
    for word in (
        "Sequential",
        "0: Linear",
        "(8, 4)",
        "128 B",
        "multiply-adds of a forward pass: 96",
    ):
        assert word in held.getvalue() and word in page


def test_a_module_in_a_notebook():
    page = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU()))._repr_html_()
    assert tags_of(page).count("details") == 2 and "16 parameters" in page
    assert "in_features=3, out_features=4" in page

    class Odd(nn.Module):
        def extra_repr(self):
            return "<script>"

    assert "<script>" not in Odd()._repr_html_() and "color" not in page


def test_a_tensor_in_a_notebook():
    page = bl.tensor([[1.0, -2.0], [0.0, float("nan")]], requires_grad=True)._repr_html_()
    assert tags_of(page).count("td") == 4
    assert "(2, 2), float32, requires_grad=True" in page and ">nan<" in page
    assert page.count("background") == 2 and "rgba(209,96,61,0.50)" in page
    for x in (bl.ones(17, 2), bl.ones(2, 2, 2), bl.tensor(3), bl.zeros(0, 2)):
        assert "<pre>" in x._repr_html_() and not set(tags_of(x._repr_html_())) & {"td"}
    assert tags_of(bl.tensor([True, False])._repr_html_()).count("td") == 2
    half = bl.tensor(np.array([1.5, float("-inf")]), dtype=bl.bfloat16)
    assert "bfloat16" in half._repr_html_() and "&lt;" in (half.float() ** 2 + bl.ones(
        2, requires_grad=True))._repr_html_()  # fmt: skip
