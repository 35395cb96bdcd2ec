"""Axes that stay open: what a model computes at one size must hold at every other."""

from __future__ import annotations

import re

import onnx
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.errors import ArgumentError
from backlit.models import GPT
from backlit.onnx.exporting.sizes import OpenAxis, fitted, sample_sizes


def export(*args, **keywords) -> onnx.ModelProto:
    return bl.onnx.export(*args, **keywords).model_proto


def sizes(port: onnx.ValueInfoProto) -> list:
    return [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim]


def test_batch_and_length_of_a_language_model(same) -> None:
    bl.manual_seed(0)
    model = GPT(7, 12, 8, 2, 2)
    tokens = bl.randint(0, 7, (3, 6))
    made = export(model, (tokens,), dynamic_axes={"tokens": {0: "n", 1: "t"}})
    assert sizes(made.graph.output[0]) == ["n", "t", 7]
    shapes = (1, 12), (4, 2), (2, 1)
    same(made, model.eval(), *((bl.randint(0, 7, s),) for s in shapes))


def test_batch_and_length_of_recurrent_layers_and_attention(same) -> None:
    bl.manual_seed(0)
    lstm = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    for model, name in ((lstm, "input"), (layer, "src")):
        made = export(model, bl.zeros(3, 6, 4), dynamic_axes={name: [0, 1]})
        assert sizes(made.graph.output[0])[:2] == [f"{name}_dim_0", f"{name}_dim_1"]
        same(made, model.eval(), (bl.randn(1, 2, 4),), (bl.randn(5, 9, 4),))


def test_height_and_width(same) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made = export(model, bl.zeros(2, 1, 8, 8), dynamic_axes={"input": [0, 2, 3]})
    same(made, model, (bl.randn(1, 1, 11, 5),))


def test_sizes_in_shapes_numbers_and_constants(same) -> None:
    def f(x):
        n = x.shape[0]
        rows = bl.zeros(n, 3) + x.mean(1, keepdim=True)
        places = bl.arange(n).view(-1, 1, 1)
        return rows.view(n, -1, 1) * places, x / n, x.var(0), x.sum() * (1 / (n * 3)), x[n - 1]

    made = export(f, bl.randn(4, 3), dynamic_axes={"x": {0: "n"}})
    same(made, f, (bl.randn(7, 3),), (bl.randn(2, 3),))


def test_flattened_axes_are_named_after_what_they_hold() -> None:
    made = export(lambda x: x.reshape(-1, 2)[1:], bl.zeros(3, 4),
                          dynamic_axes={"x": {0: "n"}})  # fmt: skip
    assert sizes(made.graph.output[0]) == ["2*n - 1", 2]


def test_dynamic_shapes_by_parameter_and_names_that_axes_share(same) -> None:
    def f(a, b):
        return bl.cat([a, b], 1)

    class Dim:  # stands for PyTorch's: an object with a __name__
        __name__ = "n"

    x = bl.zeros(3, 2)
    for shapes in ({"a": {0: Dim()}, "b": {0: Dim()}}, [("n", None), {0: "n"}]):
        made = export(f, (x, x), dynamic_shapes=shapes)
        assert sizes(made.graph.output[0]) == ["n", 4]
        same(made, f, (bl.randn(5, 2), bl.randn(5, 2)))


def test_a_loop_keeps_its_length_open_and_a_branch_both_sides(same) -> None:
    def loop(h, x):
        return bl.scan(lambda h, x: (h * 0.5 + x, h @ h.mT), h, x)

    h, x = bl.randn(3, 2), bl.randn(5, 3, 2)
    made = export(loop, (h, x), dynamic_axes={"x": {0: "t"}})
    assert [n.op_type for n in made.graph.node] == ["Scan"]
    same(made, loop, (h, bl.randn(9, 3, 2)))

    def choice(x):
        return bl.cond(x.sum() > 0, lambda x: x * 2, lambda x: x.exp(), x)

    same(export(choice, bl.ones(3)), choice, (bl.ones(3),), (-bl.ones(3),))


def test_polynomials_of_sizes() -> None:
    axes = [OpenAxis("n", 0, 0, 1), OpenAxis("m", 0, 1, 5)]
    samples = sample_sizes(axes)
    assert len(samples) == 5 and samples[0] == {"n": 2, "m": 5}
    assert str(fitted(samples, [3 * s["n"] * s["m"] - 2 * s["m"] + 1 for s in samples])) == (
        "3*n*m - 2*m + 1"
    )
    assert fitted(samples, [s["n"] ** 2 for s in samples]) is None
    assert fitted(samples, [7] * 5).constant == 7
    wide = sample_sizes([OpenAxis(s, 0, i, 40_000 + i) for i, s in enumerate("abc")])
    assert str(fitted(wide, [s["a"] * s["b"] * s["c"] + 1 for s in wide])) == "a*b*c + 1"


@pytest.mark.parametrize(("f", "message"), [
    (lambda x: x * 2 if len(x) > 4 else x * 3 + 1, "what is computed depends on it"),
    (lambda x: sum(x[i] for i in range(len(x))), "depends on it"),
    (lambda x: x * len(x) ** 2, "the number 16 depends on it"),
    (lambda x: x.reshape(2, -1), "does not run at n = 5"),
])  # fmt: skip
def test_what_a_size_decides_can_not_stay_open(f, message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)):
        export(f, bl.zeros(4, 3), dynamic_axes={"x": {0: "n"}})


IMAGES = (2, 4, 6, 6)
LAYERS = [
    (nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1), IMAGES),
    (nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), IMAGES),
    (nn.GroupNorm(2, 4), IMAGES), (nn.InstanceNorm2d(4), IMAGES), (nn.RMSNorm(6), IMAGES),
    (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGES), (nn.PixelShuffle(2), IMAGES),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGES), (nn.AdaptiveMaxPool2d(4), IMAGES),
    (nn.Unfold(3, 1, 1, 2), IMAGES), (nn.Fold((5, 5), 2), (2, 8, 16)),
    (nn.BatchNorm1d(4, track_running_stats=False), (3, 4, 5)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[type(m).__name__ for m, _ in LAYERS])
def test_layers_at_every_batch_size(layer: nn.Module, shape: tuple, same) -> None:
    layer.eval()
    made = export(layer, bl.randn(*shape), input_names=["x"], dynamic_axes={"x": {0: "n"}})
    assert sizes(made.graph.output[0])[0] == "n"
    same(made, layer, (bl.randn(1, *shape[1:]),), (bl.randn(5, *shape[1:]),))


def test_a_transformer_with_two_lengths(same) -> None:
    bl.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    made = export(model, (bl.randn(2, 5, 8), bl.randn(2, 6, 8)),
                  dynamic_axes={"src": {0: "n", 1: "s"}, "tgt": {0: "n", 1: "t"}})  # fmt: skip
    assert sizes(made.graph.output[0]) == ["n", "t", 8]
    same(made, model, (bl.randn(3, 7, 8), bl.randn(3, 4, 8)))


def test_masks_positions_and_tables_of_any_length(same) -> None:
    table = bl.zeros(20, 8) + bl.arange(20)[:, None]

    def f(x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        steps = bl.arange(x.shape[1])
        away = (steps[:, None] - steps[None, :]).abs()
        y = F.scaled_dot_product_attention(x, x, x, attn_mask=mask - away * 0.1)
        return y + table[: x.shape[1]], bl.einsum("bij,bkj->bik", x, x)

    made = export(f, bl.randn(2, 5, 8), dynamic_axes={"x": {0: "n", 1: "t"}})
    same(made, f, (bl.randn(3, 7, 8),), (bl.randn(1, 2, 8),))
