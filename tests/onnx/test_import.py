"""Imported networks are networks: the same values and gradients, trained, compiled, seen."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
from families import FAMILIES
from onnx import TensorProto, helper

import backlit as bl
from backlit import models, nn
from backlit.errors import CaptureError
from backlit.nn import functional as F
from backlit.onnx import export, load
from backlit.program import capture

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, shape=None, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, values, dtype=np.float32):
    return onnx.numpy_helper.from_array(np.array(values, dtype), name)


def model_of(nodes, inputs, outputs, initializers=(), opset=20, name="net", **more):
    """A model of nodes; inputs and outputs are value infos."""
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    opsets = more.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def outputs_of(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("family", FAMILIES)
def test_zoo_returns_from_a_file(family):
    """The same outputs, gradients and names after a journey through ONNX."""
    make, shape, _ = FAMILIES[family]
    bl.manual_seed(0)
    net, x = make().eval(), bl.randn(*shape)
    back = load(export(net, x))
    found, wanted = outputs_of(back(x)), outputs_of(net(x))
    for f, w in zip(found, wanted):
        np.testing.assert_allclose(f.detach().numpy(), w.detach().numpy(), 1e-6, 1e-6)
    parameters = dict(net.named_parameters())
    assert {n for n, _ in back.named_parameters()} <= set(parameters)
    wanted[0].square().sum().backward()
    found[0].square().sum().backward()
    touched = {n: p for n, p in parameters.items() if p.grad is not None}
    for name, parameter in touched.items():
        grad, size = parameter.grad.numpy(), float(parameter.grad.abs().max().item())
        mine = back.get_parameter(name).grad.numpy()
        np.testing.assert_allclose(mine, grad, 1e-5, 1e-6 * max(size, 1), err_msg=name)
    assert touched


def test_training_continues_as_the_original():
    bl.manual_seed(1)
    net, x, t = models.LeNet(3), bl.randn(6, 1, 28, 28), bl.tensor([0, 1, 2, 0, 1, 2])
    back = load(export(net, x))
    for model in (net, back):
        optimizer = bl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), t).backward()
            optimizer.step()
    for name, parameter in net.named_parameters():
        np.testing.assert_array_equal(
            back.get_parameter(name).detach().numpy(), parameter.detach().numpy()
        )


@pytest.mark.parametrize("family", ["lenet", "gru", "vit"])
def test_compiled_equals_eager(family):
    make, shape, _ = FAMILIES[family]
    bl.manual_seed(2)
    net, x = make().eval(), bl.randn(*shape)
    back = load(export(net, x))
    run = bl.compile(lambda x: back(x))
    np.testing.assert_allclose(run(x).detach().numpy(), back(x).detach().numpy(), 1e-5, 1e-6)


def test_state_dicts_are_exchanged():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)).eval()
    x = bl.randn(3, 1, 4, 4)
    back = load(export(net, x))
    assert {name for name, _ in back.named_buffers()} == {"1.running_mean", "1.running_var"}
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    kept = {k: v for k, v in other.eval().state_dict().items() if "batches" not in k}
    back.load_state_dict(kept)
    np.testing.assert_allclose(back(x).detach().numpy(), other(x).detach().numpy(), 1e-6, 1e-6)


def test_names_that_modules_cannot_have():
    """Dots make modules; what is taken gets an underscore."""
    names = ["forward", "a", "a.b", "x..y", "layers.0.weight", ".z"]
    nodes = [helper.make_node("Sum", ["x", *names], ["y"])]
    parts = [constant(n, [i]) for i, n in enumerate(names)]
    net = load(model_of(nodes, [info("x", [1])], [info("y", [1])], parts))
    assert set(net.state_dict()) == {"forward_", "a", "a_.b", "x__y", "layers.0.weight", "_z"}
    assert net(bl.zeros(1)).item() == 15


def test_graph_names_are_seen():
    """Each node is a place of its own; slashes of exporters are levels."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="/layers/0/MatMul"),
        helper.make_node("Relu", ["h"], ["y"], name="top"),
    ]
    weights = [constant("w", np.eye(2))]
    net = load(model_of(nodes, [info("x", [1, 2])], [info("y", [1, 2])], weights, name="tiny"))
    program = capture(lambda x: net(x), bl.ones(1, 2)).program
    assert [i.module for i in program.instrs] == ["tiny.layers.0.MatMul", "tiny.top"]
    assert "MatMul" in str(bl.see(lambda x: net(x).sum(), bl.ones(1, 2)))


def test_inputs_by_order_and_by_name():
    nodes = [helper.make_node("Sub", ["a", "b"], ["y"])]
    net = load(model_of(nodes, [info("a", [2]), info("b", [2])], [info("y", [2])]))
    one, two = bl.tensor([1.0, 2.0]), bl.tensor([5.0, 5.0])
    assert net(one, two).tolist() == net(b=two, a=one).tolist() == [-4, -3]
    assert (net.input_names, net.output_names) == (("a", "b"), ("y",))


def shape_arithmetic():
    """x (N, A, B) to (N, A * B), by sizes that the graph reads off x."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "first"], ["row"]),
        helper.make_node("Concat", ["row", "rest"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["y"]),
    ]
    parts = [constant("zero", 0, np.int64), constant("first", [0], np.int64),
             constant("rest", [-1], np.int64)]  # fmt: skip
    return model_of(nodes, [info("x", ["n", 2, 3])], [info("y", ["n", 6])], parts)


def test_shapes_are_known_and_not_recorded():
    net = load(shape_arithmetic())
    assert not net.state_dict()  # whole numbers are no weights
    program = capture(lambda x: net(x), bl.ones(4, 2, 3)).program
    assert [i.op for i in program.instrs] == ["reshape"]
    run = bl.compile(lambda x: net(x))
    assert [tuple(run(bl.ones(n, 2, 3)).shape) for n in (4, 5, 4)] == [(4, 6), (5, 6), (4, 6)]


def branch(name, op):
    node = helper.make_node(op, ["x", "w"], [f"{name}_y"])
    return helper.make_graph([node], name, [], [info(f"{name}_y", [2])])


def test_if_depends_on_values():
    """Either branch, also within a compiled step; the branches read what is around them."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch("then", "Mul"),
                         else_branch=branch("else", "Add")),
    ]  # fmt: skip
    parts = [constant("w", [3, 4]), helper.make_tensor("zero", FLOAT, [], [0.0])]
    net = load(model_of(nodes, [info("x", [2])], [info("y", [2])], parts))
    run = bl.compile(lambda x: net(x))
    for call in (net, run):
        assert call(bl.tensor([1.0, 2.0])).tolist() == [3, 8]
        assert call(bl.tensor([-1.0, -2.0])).tolist() == [2, 2]
    net(bl.tensor([1.0, 2.0])).sum().backward()
    assert net.w.grad.tolist() == [1, 2]


def powers(condition):
    """h becomes h * w until the loop's condition fails."""
    nodes = [helper.make_node("Mul", ["h", "w"], ["h2"]), *condition]
    inputs = [info("i", [], INT64), info("going", [], BOOL), info("h", [1])]
    outputs = [info("goes_on", [], BOOL), info("h2", [1]), info("h2", [1])]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    loop = helper.make_node("Loop", ["count", "", "x"], ["y", "rows"], body=body)
    parts = [constant("w", [2]), constant("count", 4, np.int64), constant("limit", [10])]
    return load(model_of([loop], [info("x", [1])], [info("y", [1]), info("rows", ["n", 1])], parts))


def test_loop_of_known_length_compiles():
    net = powers([helper.make_node("Identity", ["going"], ["goes_on"])])
    for call in (net, bl.compile(lambda x: net(x))):
        y, rows = call(bl.tensor([1.0]))
        assert (y.tolist(), rows.tolist()) == ([16], [[2], [4], [8], [16]])
    net(bl.tensor([1.0]))[0].sum().backward()
    assert net.w.grad.tolist() == [32]  # 4 w^3


def test_loop_whose_length_depends_on_values():
    """Runs in Python; a compiled step refuses it and says where."""
    condition = [
        helper.make_node("Squeeze", ["h2"], ["scalar"]),
        helper.make_node("Squeeze", ["limit"], ["most"]),
        helper.make_node("Less", ["scalar", "most"], ["goes_on"]),
    ]
    net = powers(condition)
    assert net(bl.tensor([3.0]))[0].tolist() == [12]
    assert net(bl.tensor([6.0]))[1].tolist() == [[12]]
    with pytest.raises(CaptureError, match=r"value(.*\n)*.*node 'y' \(Loop\)"):
        bl.compile(lambda x: net(x))(bl.tensor([3.0]))


def test_scan_is_one_instruction():
    nodes = [helper.make_node("Mul", ["h", "w"], ["t"]), helper.make_node("Add", ["t", "r"], ["g"])]
    body = helper.make_graph(nodes, "body", [info("h", [2]), info("r", [2])],
                             [info("g", [2]), info("g", [2])])  # fmt: skip
    scan = helper.make_node("Scan", ["start", "x"], ["last", "all"], body=body, num_scan_inputs=1,
                            scan_input_directions=[1])  # fmt: skip
    parts = [constant("w", [0.5, 2])]
    net = load(model_of([scan], [info("start", [2]), info("x", [3, 2])],
                        [info("last", [2]), info("all", [3, 2])], parts))  # fmt: skip
    start, x = bl.ones(2), bl.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    program = capture(lambda s, x: net(s, x), start, x).program
    assert [i.op for i in program.instrs].count("scan") == 1
    h, w, rows = start, bl.tensor([0.5, 2.0], requires_grad=True), []
    for row in (2, 1, 0):
        h = h * w + x[row]
        rows.append(h)
    last, all_rows = net(start, x)
    assert last.tolist() == h.tolist()
    assert all_rows.tolist() == bl.stack(rows).tolist()
    last.sum().backward()
    h.sum().backward()
    assert net.w.grad.tolist() == w.grad.tolist()


def test_functions_of_the_file():
    """Functions call functions; attributes are handed through."""
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"])
    reference = onnx.AttributeProto(
        name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT
    )
    leaky.attribute.append(reference)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    inner = helper.make_function("own", "Bent", ["a"], ["b"], [leaky], opsets, ["slope"])
    twice = [helper.make_node("Bent", ["a"], ["t"], domain="own", slope=0.5),
             helper.make_node("Bent", ["t"], ["b"], domain="own", slope=0.1)]  # fmt: skip
    outer = helper.make_function("own", "Twice", ["a"], ["b"], twice, opsets)
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="own")]
    model = model_of(nodes, [info("x", [2])], [info("y", [2])], opset_imports=opsets,
                     functions=[inner, outer])  # fmt: skip
    np.testing.assert_allclose(load(model)(bl.tensor([-1.0, 2.0])).numpy(), [-0.05, 2])


def test_random_nodes_draw_from_the_generator():
    def net(**seed):
        nodes = [helper.make_node("RandomNormal", [], ["y"], shape=[4000], mean=3.0, scale=2.0,
                                  **seed)]  # fmt: skip
        return load(model_of(nodes, [], [info("y", [4000])]))

    bl.manual_seed(5)
    first, second = net()(), net()()
    bl.manual_seed(5)
    assert net()().tolist() == first.tolist() != second.tolist()
    assert net(seed=7.0)().tolist() == net(seed=7.0)().tolist()
    assert abs(first.mean().item() - 3) < 0.15 and abs(first.std().item() - 2) < 0.15


def test_dropout_in_training_mode_keeps_the_mean():
    nodes = [helper.make_node("Dropout", ["x", "ratio", "on"], ["y", "mask"])]
    parts = [
        helper.make_tensor("ratio", FLOAT, [], [0.25]),
        helper.make_tensor("on", BOOL, [], [1]),
    ]
    outputs = [info("y", [8000]), info("mask", [8000], BOOL)]
    net = load(model_of(nodes, [info("x", [8000])], outputs, parts))
    y, mask = net(bl.ones(8000))
    assert abs(y.mean().item() - 1) < 0.05
    assert ((y > 0) == mask).all()


def test_files_paths_and_open_files(tmp_path):
    net, x = nn.Linear(2, 2), bl.randn(3, 2)
    path = tmp_path / "net.onnx"
    path.write_bytes(export(net, x).model_proto.SerializeToString())
    wanted = net(x).tolist()
    with open(path, "rb") as file:
        sources = [path, str(path), path.read_bytes(), file, onnx.load(path), export(net, x)]
        assert all(load(s)(x).tolist() == wanted for s in sources)


def test_outputs_without_a_declared_shape():
    output = helper.make_tensor_type_proto(FLOAT, None)
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], [info("x", ["n"])],
                     [helper.make_value_info("y", output)])  # fmt: skip
    assert load(model)(bl.tensor([-1.0, 2.0])).tolist() == [0, 2]


def test_weights_beside_the_model(tmp_path):
    """Parts of one file, at offsets; the folder may be reached from anywhere."""
    net, x = nn.Linear(3, 2), bl.randn(1, 3)
    made = export(net, x).model_proto
    onnx.save_model(made, tmp_path / "net.onnx", save_as_external_data=True, location="w.bin",
                    size_threshold=0)  # fmt: skip
    assert (tmp_path / "w.bin").stat().st_size >= 8 * 4
    assert load(tmp_path / "net.onnx")(x).tolist() == net(x).tolist()


def test_converted_and_copied():
    """Another precision for inputs and parameters alike; a copy has weights of its own."""
    net, x = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), bl.randn(3, 1, 4, 4)
    back = load(export(net, x))
    wide = copy.deepcopy(back).double()
    assert wide(x.double()).dtype is bl.float64
    assert bl.check.gradcheck(lambda x: wide(x), (x.double().requires_grad_(),))
    assert back(x).dtype is bl.float32
    with bl.autocast("cpu", dtype=bl.bfloat16):
        assert back(x).dtype is bl.bfloat16
    with bl.no_grad():
        for parameter in wide.parameters():
            parameter.zero_()
    assert bl.allclose(back(x), net(x))


def test_repr_says_what_goes_in_and_out():
    net = load(shape_arithmetic())
    assert repr(net) == "GraphModule(x -> y, 5 nodes)"
