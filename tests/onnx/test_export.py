"""`bl.onnx.export`: arguments, names, files, open axes, and what is refused with its place."""

from __future__ import annotations

import io
import re
import sys

import numpy as np
import onnx
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.errors import ArgumentTypeError, NotAvailable, ProgramError
from backlit.onnx.exporting.running import run


def export(*args, **keywords) -> onnx.ModelProto:
    return bl.onnx.export(*args, **keywords).model_proto


def sizes(port: onnx.ValueInfoProto) -> list:
    return [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim]


def small_net() -> nn.Module:
    bl.manual_seed(0)
    layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)
    return nn.Sequential(*layers)


# ----- a program of PyTorch's -----

PROGRAM = """
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(8, 2)

    def forward(self, x):
        return torch.softmax(self.fc2(self.drop(torch.relu(self.fc1(x)))), dim=1)

torch.manual_seed(0)
model = Net()
x = torch.randn(1, 4)
torch.onnx.export(model, (x,), path, export_params=True, opset_version=17,
                  do_constant_folding=True, input_names=["input"], output_names=["scores"],
                  dynamic_axes={"input": {0: "batch_size"}, "scores": {0: "batch_size"}})
"""


def test_a_program_written_for_pytorch_exports_with_the_import_changed(tmp_path, same) -> None:
    text = PROGRAM.replace("import torch.nn as nn", "import backlit.nn as nn")
    space = {"path": str(tmp_path / "net.onnx")}
    exec(text.replace("import torch\n", "import backlit as torch\n"), space)
    made = onnx.load(tmp_path / "net.onnx")
    assert [i.name for i in made.graph.input] == ["input"]
    assert [t.name for t in made.graph.initializer] == list(space["model"].state_dict())
    assert sizes(made.graph.output[0]) == ["batch_size", 2]
    assert made.opset_import[0].version == 17
    assert space["model"].training
    same(made, space["model"].eval(), (bl.randn(1, 4),), (bl.randn(6, 4),))


# ----- what the file holds -----


def test_parameters_keep_their_names_and_nodes_say_where_they_come_from() -> None:
    model = small_net()
    made = export(model, bl.zeros(2, 1, 8, 8))
    state = {n: t for n, t in model.state_dict().items() if "num_batches" not in n}
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in made.graph.initializer}
    assert state.keys() <= arrays.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())
    assert made.producer_name == "backlit" and made.producer_version == bl.__version__
    conv = made.graph.node[0]
    assert conv.op_type == "Conv" and conv.doc_string.endswith("in sequential.0")
    assert "test_export.py:" in conv.doc_string


def test_running_statistics_are_one_node() -> None:
    made = export(small_net(), bl.zeros(2, 1, 8, 8))
    kinds = [n.op_type for n in made.graph.node]
    assert kinds == ["Conv", "BatchNormalization", "Relu", "Reshape", "Gemm"]


def test_tied_weights_are_there_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(5, 4)
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens):
            return self.head(self.table(tokens))

    made = export(Tied(), bl.tensor([[1, 2]]))
    assert [t.name for t in made.graph.initializer] == ["table.weight"]


def test_what_comes_of_constants_alone_is_computed_once(same) -> None:
    def f(x):
        return x @ bl.ones(3, 3).tril() + bl.arange(3)

    folded, written = (
        export(f, bl.zeros(2, 3), do_constant_folding=choice) for choice in (True, False)
    )
    assert [n.op_type for n in folded.graph.node] == ["MatMul", "Add"]
    assert [n.op_type for n in written.graph.node] == ["Trilu", "MatMul", "Cast", "Add"]
    same(written, f, (bl.randn(2, 3),))


def test_a_layer_norm_without_a_shift_ends_its_inputs_there() -> None:
    # onnxruntime crashes on an absent last input that is written as an empty name.
    made = export(lambda x: F.layer_norm(x, (4,)), bl.zeros(2, 4))
    assert all(n.input[-1] for n in made.graph.node)


# ----- arguments and results -----


def test_names_come_from_the_parameters_of_forward(same) -> None:
    def f(image, pair, scale=2.0):
        return {"sum": image + pair[0], "rest": [pair[1] * scale, image.sum()]}

    args = (bl.randn(3), (bl.randn(3), bl.randn(2)))
    made = export(f, args, kwargs={"scale": 3.0})
    assert [i.name for i in made.graph.input] == ["image", "pair_0", "pair_1"]
    assert [o.name for o in made.graph.output] == ["output_0", "output_1", "output_2"]
    same(made, lambda a, b: f(a, b, scale=3.0), args)


def test_names_of_values_within_may_be_given_to_inputs_and_outputs(same) -> None:
    def f(x):
        return (x * 2).relu() * 3

    made = export(f, bl.zeros(2), input_names=["relu_0"], output_names=["mul_0"])
    same(made, f, (bl.randn(2),))


def test_outputs_that_are_inputs_constants_or_each_other(same) -> None:
    def f(x):
        y = x * 2
        return x, y, y, y.detach(), bl.ones(2)

    same(export(f, bl.randn(2)), f, (bl.randn(2),))


def test_a_number_among_the_outputs_is_a_constant() -> None:
    made = export(lambda x: (x + 1, 3), bl.zeros(2))
    assert run(made, [np.zeros(2, np.float32)])[1] == 3


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_widths(dtype: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(getattr(bl, dtype))
    x = bl.randn(5, 3).to(getattr(bl, dtype))
    made = export(model, x)
    (found,) = run(made, [x.numpy()])
    np.testing.assert_allclose(found, model(x).detach().numpy(), rtol=2e-3, atol=2e-3)
    assert found.dtype == np.dtype(dtype)


def test_each_module_gets_its_mode_back_and_nothing_else_changes() -> None:
    model = small_net().train()
    model[3].eval()
    before = {n: t.numpy().copy() for n, t in model.state_dict().items()}
    x = bl.randn(2, 1, 8, 8)
    state = bl.get_rng_state()
    export(model, x, dynamic_axes={"input": [0]})
    assert [m.training for m in model] == [True, True, True, False, True]
    assert all((before[n] == t.numpy()).all() for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert str(state) == str(bl.get_rng_state())


# ----- files -----


def test_to_a_path_to_a_file_and_with_weights_beside_it(tmp_path, same) -> None:
    model, x = nn.Linear(40, 30), bl.randn(2, 40)
    held = io.BytesIO()
    export(model, (x,), held)
    same(onnx.load_from_string(held.getvalue()), model, (x,))
    export(model, (x,), tmp_path / "m.onnx", external_data=True)
    assert (tmp_path / "m.onnx.data").stat().st_size == 30 * 40 * 4
    assert (tmp_path / "m.onnx").stat().st_size < 1500
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    same(onnx.load(tmp_path / "m.onnx"), model, (x,))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]


def test_the_program_that_comes_back_is_saved_and_run(tmp_path, same) -> None:
    model, x = nn.Linear(40, 30), bl.randn(2, 40)
    program = bl.onnx.export(model, (x,), dynamo=True)
    for external in (True, False):
        program.save(tmp_path / "m.onnx", external_data=external)
        same(onnx.load(tmp_path / "m.onnx"), model, (x,))
        assert bl.allclose(bl.onnx.load(tmp_path / "m.onnx")(x), model(x), atol=1e-6)
    assert bl.allclose(program(x)[0], model(x), atol=1e-6)
    assert repr(program) == "<ONNXProgram: 1 nodes, 2 arrays, opset 20>"


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    message = f"{name} is not installed(.|\\n)*" + re.escape("pip install 'backlit[onnx]'")
    with pytest.raises(NotAvailable, match=message):
        bl.onnx.export(nn.ReLU(), bl.zeros(2), verify=True)


def test_what_the_first_run_caches_is_made_anew_in_each_capture(same) -> None:
    class Masked(nn.Module):
        mask = None

        def forward(self, x):
            if self.mask is None or len(self.mask) != x.shape[0]:
                self.mask = bl.ones(x.shape[0], x.shape[0]).tril()
            return self.mask @ x

    model = Masked()
    made = export(model, bl.zeros(3, 2), dynamic_axes={"x": {0: "t"}})
    assert "mask" not in vars(model)
    same(made, model, (bl.randn(5, 2),), (bl.randn(2, 2),))


def test_lazy_and_compiled_models(same) -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.Tanh())
    made = export(model, bl.zeros(2, 3))
    assert [t.name for t in made.graph.initializer] == ["0.weight", "0.bias"]
    compiled = bl.compile(model)
    compiled(bl.zeros(2, 3))
    same(export(compiled, bl.zeros(2, 3)), model, (bl.randn(2, 3),))


def test_what_evaluation_writes_is_put_back() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", bl.zeros(1))

        def forward(self, x):
            self.calls += 1
            return x + self.calls

    model = Counter()
    made = export(model, bl.zeros(2), dynamic_axes={"x": [0]})
    assert model.calls.item() == 0
    assert run(made, [np.zeros(3, np.float32)])[0].tolist() == [1, 1, 1]


def test_verify_compares_with_onnxruntime() -> None:
    export(small_net(), bl.randn(2, 1, 8, 8), verify=True)
    gap = bl.tensor([[[float("nan"), 1.0, 2.0, 3.0]]])  # which onnxruntime passes over
    with pytest.raises(ProgramError, match="output 0 differs"):
        export(lambda x: F.max_pool1d(x, 2), gap, verify=True)


@pytest.mark.parametrize("opset", [18, 19, 21, 22, 23])
def test_opsets(opset: int, same) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.LayerNorm(6), nn.Softmax(1))
    made = export(model, bl.zeros(2, 4), opset_version=opset)
    assert made.opset_import[0].version == opset
    same(made, model, (bl.randn(2, 4),))


def test_an_older_opset_where_it_fits_else_a_warning() -> None:
    made = export(nn.Linear(2, 2), bl.zeros(1, 2), opset_version=13)
    assert made.opset_import[0].version == 13
    with pytest.warns(UserWarning, match="does not fit opset 13: the file has 18"):
        made = export(nn.LayerNorm(2), bl.zeros(1, 2), opset_version=13)
    assert made.opset_import[0].version == 18


# ----- what is refused -----


def test_an_operator_without_onnx_form_is_named_with_its_place() -> None:
    class Spectral(nn.Module):
        def forward(self, x):
            return bl.linalg.svdvals(x)

    model = nn.Sequential(nn.Linear(3, 3), Spectral())
    with pytest.raises(NotAvailable) as error:
        export(model, bl.ones(3, 3))
    assert re.fullmatch(
        r"onnx.export: svd: no ONNX operator computes it\n"
        r"  at test_export.py:\d+ in sequential\.1",
        str(error.value),
    )


def test_random_numbers_are_refused_with_a_hint() -> None:
    with pytest.raises(NotAvailable, match=r"uniform: it draws random(.|\n)*hand them in"):
        export(lambda x: x + bl.rand(2), bl.zeros(2))


def test_values_that_python_reads_are_refused() -> None:
    with pytest.raises(ProgramError, match="read into Python"):
        export(lambda x: x * 2 if x.sum() > 0 else x, bl.ones(2))


X = bl.zeros(2, 3)
MISTAKES = [
    ({"dynamic_axes": {"y": [0]}}, "dynamic_axes names 'y'"),
    ({"dynamic_axes": {"x": "batch"}}, "dynamic_axes['x'] is str"),
    ({"dynamic_axes": {"x": [5]}}, "dim 5 is out of range"),
    ({"dynamic_axes": {"x": {0: "n", 1: "n"}}}, "the axis 'n' has sizes 2 and 3"),
    ({"dynamic_axes": {"x": [0]}, "dynamic_shapes": {"x": {0: "n"}}}, "at once"),
    ({"dynamic_shapes": {"z": {0: "n"}}}, "dynamic_shapes names 'z'"),
    ({"input_names": ["a", "b"]}, "2 input_names for 1: a, b"),
    ({"output_names": ["x"]}, "two inputs or outputs named 'x'"),
    ({"opset_version": 99}, "opset 99"),
    ({"export_params": False}, "a file without parameters"),
    ({"f": 3}, "expected a path or a file, got int"),
]


@pytest.mark.parametrize(("keywords", "message"), MISTAKES, ids=[m for _, m in MISTAKES])
def test_mistakes_are_named(keywords: dict, message: str) -> None:
    with pytest.raises(Exception, match=re.escape(message)) as error:
        export(lambda x: (x * 2).relu() + 1, X, **keywords)
    assert isinstance(error.value, bl.errors.BacklitError)


def test_a_model_must_be_callable_and_return_tensors() -> None:
    with pytest.raises(ArgumentTypeError, match="expected a Module, got dict"):
        export({}, X)
    with pytest.raises(ProgramError, match="returned None among its outputs"):
        export(lambda x: (x + 1, None), X)
