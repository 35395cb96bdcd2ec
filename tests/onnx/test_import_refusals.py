"""What is refused, by name and with a hint: damaged files, cycles, wrong types, what is missing."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import backlit as bl
from backlit import nn
from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    BacklitError,
    DataError,
    DTypeError,
    NotAvailable,
    ShapeError,
)
from backlit.onnx import export, load

FLOAT = TensorProto.FLOAT


def info(name, shape=(2,), kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def node(op, inputs, outputs, name="", **more):
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, **more)


def model_of(nodes, inputs=None, outputs=None, initializers=(), opset=20, **more):
    graph = helper.make_graph(
        nodes, "net", inputs or [info("x")], outputs or [info("y")], list(initializers)
    )
    opsets = more.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def refused(model, error, text):
    with pytest.raises(error, match=text):
        load(model)


def test_cycle_is_named():
    nodes = [node("Add", "x c", "a", "first"), node("Relu", "a", "b"), node("Neg", "b", "c"),
             node("Relu", "c", "y")]  # fmt: skip
    refused(model_of(nodes), DataError, r"graph 'net' has a cycle: a -> b -> c -> a")
    refused(model_of([node("Add", "x y", "y")]), DataError, "cycle: y -> y")


def test_cycle_behind_other_values():
    """The first node that reads too early need not be on the cycle itself."""
    nodes = [node("Add", "x c", "y"), node("Neg", "d", "c"), node("Relu", "c", "d")]
    refused(model_of(nodes), DataError, "cycle: d -> c -> d")


def test_order_and_missing_values():
    late = [node("Relu", "a", "y", "second"), node("Neg", "x", "a", "first")]
    refused(model_of(late), DataError, r"node 'second' \(Relu\) reads 'a' before node 'first'")
    refused(model_of([node("Add", "x nobody", "y", "n")]), DataError, "'nobody', which nothing")
    refused(model_of([node("Relu", "x", "z")]), DataError, "output 'y': nothing makes it")
    twice = [node("Relu", "x", "y"), node("Neg", "x", "y", "again")]
    refused(model_of(twice), DataError, r"node 'again' \(Neg\): value 'y' is made twice")


def test_names_within_branches():
    inner = helper.make_graph([node("Relu", "ghost", "t")], "then", [], [info("t")])
    other = helper.make_graph([node("Relu", "x", "e")], "else", [], [info("e")])
    nodes = [node("If", "c", "y", then_branch=inner, else_branch=other)]
    inputs = [info("x"), info("c", (), TensorProto.BOOL)]
    refused(model_of(nodes, inputs), DataError, "reads 'ghost', which nothing makes")


def test_operators_that_are_not_there():
    refused(model_of([node("DFT", "x ", "y", "wave")], opset=17), (NotAvailable, DataError),
            "DFT")  # fmt: skip
    boxes = [info("b", (1, 3, 4)), info("s", (1, 1, 3))]
    out = [info("y", ("n", 3), TensorProto.INT64)]
    nms = model_of([node("NonMaxSuppression", "b s", "y", "nms")], boxes, out)
    refused(nms, NotAvailable, r"node 'nms' \(NonMaxSuppression\): operator NonMaxS.* of opset 20")
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    fused = model_of([node("FusedMatMul", "x x", "y", "f", domain="com.microsoft")],
                     opset_imports=opsets)  # fmt: skip
    refused(fused, NotAvailable, "operator com.microsoft.FusedMatMul")
    no_opset = model_of([node("Mine", "x", "y", "m", domain="mine")])
    refused(no_opset, (NotAvailable, DataError), "mine")
    refused(model_of([node("Reluu", "x", "y")]), BacklitError, "Reluu")


def test_opsets():
    refused(model_of([node("Relu", "x", "y")], opset=999), NotAvailable, "opset 999")
    old = model_of([node("PRelu", "x w", "y", "p")], [info("x"), info("w")], opset=6)
    refused(old, NotAvailable, r"node 'p' \(PRelu\) of opset 6 means something else")


def test_old_opsets_are_converted():
    """Broadcasting was an attribute before opset 7."""
    add = node("Add", "x w", "y", broadcast=1, axis=0)
    weight = helper.make_tensor("w", FLOAT, [2], [1, 2])
    shape = [info("x", (2, 3)), info("w", (2,))]
    net = load(model_of([add], shape, [info("y", (2, 3))], [weight], opset=6))
    assert net(bl.zeros(2, 3)).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_types_of_operands():
    mixed = model_of(
        [node("Add", "x k", "y", "mix")], [info("x"), info("k", (2,), TensorProto.INT64)]
    )
    refused(mixed, DTypeError, "Add|type")
    refused(model_of([node("Relu", "x", "y", bogus=1)]), DataError, "bogus")
    text = model_of([node("Identity", "x", "y")], [info("x", (2,), TensorProto.STRING)],
                    [info("y", (2,), TensorProto.STRING)])  # fmt: skip
    refused(text, NotAvailable, "input 'x': element type STRING has no counterpart")
    tiny = helper.make_tensor("w", TensorProto.FLOAT8E4M3FN, [2], [1.0, 2.0])
    cast = [node("Cast", "w", "v", to=FLOAT), node("Add", "x v", "y")]
    refused(model_of(cast, initializers=[tiny]), NotAvailable, "'w'.* FLOAT8E4M3FN")


def test_initializers_that_do_not_fill_their_shape():
    weight = helper.make_tensor("w", FLOAT, [2], [1, 2])
    weight.raw_data = b"\0" * 7
    weight.ClearField("float_data")
    refused(model_of([node("Add", "x w", "y")], initializers=[weight]), DataError, "w")


def test_functions_that_call_themselves():
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    one = helper.make_function("own", "One", ["a"], ["b"], [node("Two", "a", "b", domain="own")],
                               opsets)  # fmt: skip
    two = helper.make_function("own", "Two", ["a"], ["b"], [node("One", "a", "b", domain="own")],
                               opsets)  # fmt: skip
    model = model_of([node("One", "x", "y", domain="own")], opset_imports=opsets,
                     functions=[one, two])  # fmt: skip
    refused(model, DataError, "function '(One|Two)' calls itself")


def test_files_that_are_no_models(tmp_path):
    refused(b"this is text, not a network", DataError, "not an ONNX file|holds no ONNX graph")
    refused(b"", DataError, "holds no ONNX graph")
    refused(tmp_path, ArgumentError, "is a folder")
    refused(17, ArgumentError, "expected a path")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.onnx")


@pytest.fixture(scope="module")
def small():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    return export(net, bl.randn(2, 1, 4, 4)).model_proto.SerializeToString()


def test_damage_is_refused_or_harmless(small):
    """Whatever bytes change, the only errors are ours."""
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(300):
        data = bytearray(small)
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        for _ in range(trial % 3):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            load(bytes(data))(bl.zeros(2, 1, 4, 4))
            outcomes.add("ran")
        except BacklitError as error:
            outcomes.add(type(error))
    assert {"ran", DataError} <= outcomes


def test_inputs():
    net = load(model_of([node("Add", "x z", "y")], [info("x"), info("z")]))
    one = bl.ones(2)
    for call, error, text in (
        (lambda: net(one), ArgumentTypeError, "input 'z' is missing"),
        (lambda: net(one, one, one), ArgumentTypeError, "got 3 inputs"),
        (lambda: net(one, x=one), ArgumentTypeError, "inputs are x, z"),
        (lambda: net(one, w=one), ArgumentTypeError, "inputs are x, z"),
        (lambda: net(one, one.double()), DTypeError, "input 'z': expected float32, got float64"),
        (lambda: net(one, bl.ones(1, 2)), ShapeError, r"input 'z': expected 1 axes"),
        (lambda: net(one, [one]), ArgumentTypeError, "input 'z': expected a tensor"),
    ):
        with pytest.raises(error, match=text):
            call()


def test_errors_while_running_name_the_node():
    weight = helper.make_tensor("w", FLOAT, [3, 1], [1] * 3)
    product = node("MatMul", "x w", "y", "product")
    net = load(model_of([product], [info("x", ("n", 2))], [info("y", ("n", 1))], [weight]))
    with pytest.raises(ShapeError, match=r"inner sizes.*\n.*net.product"):
        net(bl.ones(1, 2))


# ----- weights beside the model -----


def beside(folder, location, offset=None, length=None):
    """A model whose weight lies in another file."""
    weight = TensorProto(name="w", data_type=FLOAT, dims=[2])
    weight.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    path = folder / "net.onnx"
    path.write_bytes(model_of([node("Add", "x w", "y")], initializers=[weight]).SerializeToString())
    return path


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "..",
                                      ".", "", "..\\secret.bin"])  # fmt: skip
def test_weights_are_not_read_from_elsewhere(tmp_path, location):
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    folder = tmp_path / "model"
    folder.mkdir()
    refused(beside(folder, location), DataError, "not within the model's folder")


def test_links_do_not_lead_out(tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(8))
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink(tmp_path / "secret.bin", folder / "w.bin")
    refused(beside(folder, "w.bin"), DataError, "not within the model's folder")


def test_parts_of_files(tmp_path):
    (tmp_path / "w.bin").write_bytes(np.array([9, 1, 2], np.float32).tobytes())
    net = load(beside(tmp_path, "w.bin", 4, 8))
    assert net(bl.zeros(2)).tolist() == [1, 2]
    refused(beside(tmp_path, "w.bin", 8, 8), DataError, "bytes 8 to 16 of 'w.bin', which has 12")
    refused(beside(tmp_path, "w.bin", -4, 8), DataError, "bytes -4")
    refused(beside(tmp_path, "w.bin", "four"), DataError, "no number")
    refused(beside(tmp_path, "w.bin", 0, 4), DataError, "w.* raw_data|does not fill")
    refused(beside(tmp_path, "gone.bin"), DataError, "no file 'gone.bin'")
    data = beside(tmp_path, "w.bin", 4, 8).read_bytes()
    refused(data, DataError, "load by path")


def test_only_onnx_is_imported_when_needed():
    """The room costs nothing until a file is read."""
    import subprocess
    import sys

    code = "import backlit.onnx, sys; print('onnx' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    assert onnx.__version__
