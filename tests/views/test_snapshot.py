"""Snapshots: structure, exact numbers, what is not finite, odd shapes and dtypes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from circuits import c1, c5, c8, c13, scalars, two_layer
from families import FAMILIES
from structure import check

import backlit as bl
from backlit import models, nn
from backlit.nn import functional as F
from backlit.views.numbers import exact, norm, numbers


@pytest.mark.parametrize("make", [c1, c5, c8, c13, two_layer], ids=lambda f: f.__name__)
def test_structure(make) -> None:
    check(make()[0].snapshot())


def _classified(model: nn.Module, *shape: int) -> tuple[bl.Tensor, nn.Module]:
    return F.cross_entropy(model(bl.randn(*shape)), bl.arange(shape[0])), model


@pytest.fixture
def bare(monkeypatch) -> None:
    """Snapshots without derivation and source, which have tests over models of their own."""
    monkeypatch.setattr("backlit.views.circuit.chapters", lambda *_: {})


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.usefixtures("bare")
def test_structure_of_models(name: str) -> None:
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(0)
    model = make()
    labels = bl.randint(0, classes, (shape[0], *shape[2:]) if name == "unet" else (shape[0],))
    circuit = bl.see(F.cross_entropy(model(bl.randn(*shape)), labels))
    check(circuit.snapshot())
    leaves = {w.name for w in circuit.graph.leaves}
    assert leaves == {name for name, _ in model.named_parameters()}


def test_resnet_20_is_small_and_every_gate_is_in_one_group() -> None:
    bl.manual_seed(0)
    model = models.resnet20()
    loss, _ = _classified(model, 8, 3, 32, 32)
    snapshot = bl.see(loss).snapshot()
    check(snapshot)
    assert len(json.dumps(snapshot)) < 3_000_000
    circuit = snapshot["circuit"]
    grouped = [key for g in circuit["groups"] for key in g["gates"]]
    assert sorted(grouped) == sorted(g["id"] for g in circuit["gates"])
    outermost = [g for g in circuit["groups"] if g["parent"] is None]
    assert [g["title"] for g in outermost] == ["ResNet", "cross_entropy"]
    assert outermost[0]["parameters"] == 272_474


# ----- numbers -----


def test_scalars_are_exact() -> None:
    third = np.float64(1) / 3
    assert numbers(third) == {"scalar": 0.3333333333333333}
    assert json.loads(json.dumps(numbers(np.float32(0.1))))["scalar"] == float(np.float32(0.1))
    assert numbers(np.array(True)) == {"scalar": 1}
    assert numbers(np.int64(2**40)) == {"scalar": 2**40}


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (0.5, 0.5)]
)
def test_what_is_not_finite_is_a_word(value: float, word) -> None:
    assert exact(np.float32(value)) == word
    assert numbers(np.array(value)) == {"scalar": word}


def test_statistics_are_those_of_the_array() -> None:
    array = np.random.default_rng(0).normal(size=(30, 40))
    array[3, 4] = 0
    found = numbers(array, [(3, 4), (0, 1)])
    assert found["norm"] == pytest.approx(np.linalg.norm(array), rel=1e-14)
    assert (found["min"], found["max"]) == (array.min(), array.max())
    assert found["mean"] == pytest.approx(array.mean(), abs=1e-15)
    assert found["zeros"] == 1 / array.size and "bad" not in found
    assert found["histogram"]["counts"] == np.histogram(array, 24)[0].tolist()
    assert found["elements"] == [
        {"index": [3, 4], "value": 0.0},
        {"index": [0, 1], "value": float(array[0, 1])},
    ]


def test_bad_elements_are_counted_and_left_out_of_the_range() -> None:
    found = numbers(np.array([1.0, np.nan, 3.0, np.inf]))
    assert found["bad"] == 2 and found["norm"] == "nan"
    assert (found["min"], found["max"], found["mean"]) == (1, 3, 2)
    assert [e["value"] for e in found["elements"]] == [1, "nan", 3, "inf"]
    nothing = numbers(np.full((2, 2), np.nan))
    assert nothing["bad"] == 4 and "min" not in nothing


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1.0])
def test_norms_beyond_the_range_of_squares(scale: float) -> None:
    assert norm(np.array([3.0, 4.0]) * scale) == pytest.approx(5 * scale, rel=1e-14)


def test_histograms_of_huge_tiny_and_equal_numbers() -> None:
    huge = numbers(np.array([-1.7e308, 0, 1.7e308]))
    assert sum(huge["histogram"]["counts"]) == 3 and huge["histogram"]["counts"][-1] == 1
    tiny = numbers(np.array([0.0, 5e-324]))
    assert sum(tiny["histogram"]["counts"]) == 2
    assert "histogram" not in numbers(np.ones(7))


# ----- odd wires -----


def test_nan_and_infinity_travel_through_a_circuit() -> None:
    (x,) = scalars(0.0)
    with np.errstate(all="ignore"):
        f = (x.log() * x).sum()
        snapshot = bl.see(f).snapshot()
    check(snapshot)
    shown = {w["name"]: w for w in snapshot["circuit"]["wires"]}
    assert shown["log"]["value"]["scalar"] == "-inf" and shown["f"]["value"]["scalar"] == "nan"
    assert shown["x"]["grad"]["scalar"] == "nan"


def test_arrays_without_elements() -> None:
    x = bl.zeros(0, 3, requires_grad=True)
    snapshot = bl.see((x * 2).sum()).snapshot()
    check(snapshot)
    wire = snapshot["circuit"]["wires"][0]
    assert wire["shape"] == [0, 3] and wire["value"] == {"norm": 0.0}


def test_truths_and_whole_numbers() -> None:
    x = bl.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    mask, rows = x > 0, bl.tensor([1, 0])
    f = bl.where(mask, x, x * x)[rows].sum()
    snapshot = bl.see(f).snapshot()
    check(snapshot)
    kinds = {w["dtype"] for w in snapshot["circuit"]["wires"]}
    assert {"bool", "int64", "float32"} <= kinds
    mask_wire = next(w for w in snapshot["circuit"]["wires"] if w["dtype"] == "bool")
    assert mask_wire["grad"] is None and mask_wire["value"]["zeros"] == 0.25


@pytest.mark.parametrize("dtype", [bl.float16, bl.bfloat16])
def test_half_precision(dtype: bl.dtype) -> None:
    x = bl.tensor([[0.5, -1.25]], dtype=dtype, requires_grad=True)
    snapshot = bl.see((x.sigmoid() * x).sum()).snapshot()
    check(snapshot)
    assert snapshot["circuit"]["wires"][0]["value"]["elements"][1]["value"] == -1.25


def test_frozen_inputs_get_no_gradient() -> None:
    _, model, _ = two_layer()
    model.fc1.weight.requires_grad_(False)
    x = bl.randn(5, 3, dtype=bl.float64)
    snapshot = bl.see(F.cross_entropy(model(x), bl.tensor([0, 1, 0, 1, 0]))).snapshot()
    check(snapshot)
    frozen = next(w for w in snapshot["circuit"]["wires"] if w["name"] == "fc1.weight")
    assert frozen["kind"] == "parameter" and frozen["grad"] is None
    first = snapshot["circuit"]["gates"][0]
    assert [b["input"] for b in first["backward"]] == [2]


def test_a_wide_fork() -> None:
    (x,) = scalars(1.5)
    f = bl.stack([x * n for n in range(30)]).sum()
    circuit = bl.see(f)
    assert circuit.graph.wire("x").grad == sum(range(30))
    first = circuit.snapshot()["circuit"]["gates"][0]
    assert "x was used 30 times" in first["backward_text"]["en"]


def test_hadamard_product() -> None:
    a = bl.tensor([1.0, 2.0], requires_grad=True)
    b = bl.tensor([3.0, 4.0], requires_grad=True)
    snapshot = bl.see((a * b).sum()).snapshot()["circuit"]
    made = snapshot["wires"][2]
    assert [e["value"] for e in made["value"]["elements"]] == [3, 8]
    assert snapshot["gates"][0]["backward"][0]["factored"]


# ----- pictures -----


def test_pictures_of_images_filters_maps_and_matrices() -> None:
    bl.manual_seed(0)
    loss, _ = _classified(models.LeNet(channels=3), 2, 3, 28, 28)
    shown = {w["name"]: w for w in bl.see(loss).snapshot()["circuit"]["wires"]}
    what = {name: w["value"].get("image", {}).get("what") for name, w in shown.items()}
    assert "image" in what.values()
    assert what["conv1.weight"] == what["conv2.weight"] == "filters"
    assert what["relu"] == "maps" and what["fc1.weight"] == "matrix"
    assert what["conv1.bias"] is None
    assert shown["conv1.weight"]["grad"]["image"]["what"] == "filters"


@pytest.mark.usefixtures("bare")
def test_thousands_of_gates() -> None:
    (x,) = scalars(1.0)
    y = x
    for _ in range(2000):
        y = y + x
    snapshot = bl.see(y).snapshot()
    assert len(snapshot["circuit"]["gates"]) == 2000
    assert snapshot["circuit"]["wires"][0]["grad"]["scalar"] == 2001
