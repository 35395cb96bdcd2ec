"""Every model family as an ONNX file with an open batch axis, run by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from families import FAMILIES

import backlit as bl
from backlit import nn
from backlit.onnx.exporting.running import run


def settled(model: nn.Module, rng: np.random.Generator) -> nn.Module:
    """Statistics, gains and shifts as after a training, so that every layer matters."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            size = module.running_mean.shape
            module.running_mean.copy_(bl.from_numpy(rng.normal(0, 0.1, size)))
            module.running_var.copy_(bl.from_numpy(rng.uniform(0.5, 1.5, size)))
            with bl.no_grad():
                module.weight.copy_(bl.from_numpy(rng.uniform(0.5, 1.5, size)))
                module.bias.copy_(bl.from_numpy(rng.normal(0, 0.1, size)))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gives_the_same_by_onnxruntime_at_every_batch_size(family: str) -> None:
    make, shape, _ = FAMILIES[family]
    bl.manual_seed(0)
    model, rng = settled(make(), np.random.default_rng(0)), np.random.default_rng(1)
    x = bl.from_numpy(rng.standard_normal(shape).astype(np.float32))
    program = bl.onnx.export(model, (x,), input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    made = program.model_proto
    onnx.checker.check_model(made, full_check=True)
    assert made.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"

    names = {t.name for t in made.graph.initializer}
    state = model.state_dict()
    assert {n for n in state if "num_batches" not in n} - names <= _unused(model), names
    for n in (1, shape[0], shape[0] + 3):
        x = rng.standard_normal((n, *shape[1:])).astype(np.float32)
        model.eval()
        with bl.no_grad():
            expected = model(bl.from_numpy(x)).numpy()
        model.train()
        (found,) = run(made, [x])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std(0).max() > 1e-4, "the outputs tell nothing: all rows are alike"


def _unused(model: nn.Module) -> set[str]:
    """What evaluation does not read: spreads of hidden codes, second names of tied weights."""
    seen: dict[int, str] = {}
    tied = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if seen.setdefault(id(tensor.cell), name) != name:
            tied.add(name)
    return tied | {n for n in model.state_dict() if "logvar" in n or "log_variance" in n}
