"""Operators whose meaning or form changed between opsets: compared with onnxruntime under each."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

import backlit as bl
from backlit.onnx import load

rng = np.random.default_rng(0)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def whole(*values):
    return np.array(values, np.int64)


X = floats(2, 3, 4)
IMAGE = floats(2, 4, 5, 6)
CHANNELS = [np.abs(floats(4)) + 0.5 for _ in range(4)]
STEPS = floats(5, 2, 3)
LENGTHS = np.array([5, 2], np.int32)


def gates(count, directions=1, size=3):
    return [floats(directions, count * size, 3), floats(directions, count * size, size),
            floats(directions, 2 * count * size)]  # fmt: skip


# Operator, opsets, attributes, inputs (None where absent), number of outputs.
ROWS = [
    *[(op, (7, 11, 13), {"axis": axis}, [X], 1) for axis in (0, 1, 2)
      for op in ("Softmax", "LogSoftmax", "Hardmax")],
    ("Softmax", (7, 13), {}, [X], 1),
    ("Hardmax", (7, 13), {}, [np.zeros((2, 3), np.float32)], 1),
    ("Clip", (7,), {"min": -0.5, "max": 0.5}, [X], 1),
    ("Clip", (11, 13), {}, [X, np.float32(-0.5), None], 1),
    ("Clip", (11, 13), {}, [X, None, np.float32(0.25)], 1),
    ("Squeeze", (7, 11), {"axes": [1]}, [floats(2, 1, 3)], 1),
    ("Squeeze", (13,), {}, [floats(2, 1, 3, 1), whole(-1)], 1),
    ("Unsqueeze", (7, 11), {"axes": [0, 3]}, [floats(2, 3)], 1),
    ("Unsqueeze", (13,), {}, [floats(2, 3), whole(0, -1)], 1),
    *[(op, (7, 11, 13), {"axes": [1], "keepdims": 0}, [np.abs(X) + 1], 1) for op in (
        "ReduceMean", "ReduceMax", "ReduceProd", "ReduceL2", "ReduceLogSumExp", "ReduceLogSum")],
    ("ReduceSum", (7, 11), {"axes": [0, -1]}, [X], 1),
    ("ReduceSum", (13,), {"keepdims": 0}, [X, whole(0, 2)], 1),
    ("ReduceMean", (18,), {"noop_with_empty_axes": 1}, [X, whole()], 1),
    ("ReduceSumSquare", (18,), {}, [X], 1),
    ("Slice", (7, 9), {"starts": [0, 1], "ends": [1, -1], "axes": [0, 2]}, [X], 1),
    ("Slice", (10, 13), {}, [X, whole(-1, 9), whole(-9, 0), whole(0, 2), whole(-1, -2)], 1),
    ("Slice", (13,), {}, [X, whole(1), whole(1000)], 1),
    ("Pad", (7,), {"pads": [0, 1, 0, 0, 0, 2], "value": 1.5}, [X], 1),
    ("Pad", (7, 10), {"pads": [0, 1, 2, 0, 1, 1], "mode": "reflect"}, [X], 1),
    ("Pad", (11, 18), {"mode": "edge"}, [X, whole(0, 1, 0, 0, 0, 2)], 1),
    ("Pad", (11,), {}, [X, whole(0, -1, 1, 0, 0, -1), np.float32(2)], 1),
    ("Split", (7, 11), {"axis": 1, "split": [1, 2]}, [X], 2),
    ("Split", (7, 13), {"axis": 2}, [X], 2),
    ("Split", (13,), {"axis": -1}, [X, whole(3, 1)], 2),
    ("Split", (18,), {"axis": 1, "num_outputs": 2}, [X], 2),
    ("TopK", (7,), {"k": 2, "axis": 1}, [X], 2),
    ("TopK", (10,), {}, [X, whole(2)], 2),
    ("TopK", (11,), {"largest": 0, "axis": 0}, [X, whole(1)], 2),
    ("Upsample", (7,), {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 1.5]}, [IMAGE], 1),
    ("Upsample", (9,), {"mode": "linear"}, [IMAGE, np.float32([1, 1, 2, 3])], 1),
    ("Resize", (10,), {"mode": "nearest"}, [IMAGE, np.float32([1, 1, 2, 0.5])], 1),
    ("Resize", (11, 13), {"mode": "cubic"}, [IMAGE, np.float32([]), np.float32([1, 1, 1.5, 2])], 1),
    ("Resize", (11, 18), {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
     [IMAGE, np.float32([]), np.float32([]), whole(2, 4, 9, 3)], 1),
    ("Resize", (19,), {"mode": "linear", "antialias": 1, "axes": [2, 3]},
     [IMAGE, None, None, whole(2, 3)], 1),
    ("BatchNormalization", (7, 9, 14), {"epsilon": 1e-3}, [IMAGE, *CHANNELS], 1),
    ("GroupNormalization", (21,), {"num_groups": 2}, [IMAGE, *CHANNELS[:2]], 1),
    ("Dropout", (7, 10), {"ratio": 0.7}, [X], 1),
    ("Dropout", (12, 13), {}, [X, np.float32(0.5)], 1),
    ("AveragePool", (7, 10, 11), {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1], "strides": [2, 2]},
     [IMAGE], 1),
    ("AveragePool", (10, 19), {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1,
                               "pads": [1, 1, 1, 1], "count_include_pad": 1}, [IMAGE], 1),
    ("AveragePool", (19,), {"kernel_shape": [2, 2], "dilations": [2, 3]}, [IMAGE], 1),
    ("MaxPool", (8, 10, 12), {"kernel_shape": [3, 3], "pads": [0, 1, 2, 1]}, [IMAGE], 2),
    ("MaxPool", (10, 12), {"kernel_shape": [2, 3], "strides": [3, 2], "ceil_mode": 1,
                           "dilations": [2, 1]}, [IMAGE], 2),
    ("MaxPool", (12,), {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, [IMAGE], 1),
    ("LpPool", (7, 11, 18), {"kernel_shape": [2, 2], "p": 3, "pads": [1, 0, 0, 1]}, [IMAGE], 1),
    ("GlobalLpPool", (7,), {"p": 3}, [IMAGE], 1),
    ("Conv", (7, 11), {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
     [IMAGE, floats(3, 4, 3, 2)], 1),
    ("Conv", (11,), {"pads": [1, 0, 2, 3], "group": 2, "dilations": [1, 2]},
     [IMAGE, floats(6, 2, 2, 3), floats(6)], 1),
    ("Conv", (11,), {}, [floats(2, 3, 4, 5, 4), floats(2, 3, 2, 2, 3)], 1),
    ("ConvTranspose", (7, 11), {"strides": [2, 3], "pads": [1, 0, 0, 2], "output_padding": [1, 2]},
     [IMAGE, floats(4, 2, 3, 3), floats(2)], 1),
    ("ConvTranspose", (11,), {"strides": [2, 2], "auto_pad": "SAME_LOWER", "group": 2},
     [IMAGE, floats(4, 1, 3, 3)], 1),
    ("Gemm", (7, 11), {"alpha": 0.5, "beta": 2.0, "transA": 1}, [floats(4, 3), floats(4, 2),
                                                                   floats(1, 2)], 1),
    ("Gemm", (11, 13), {"transB": 1}, [floats(3, 4), floats(2, 4)], 1),
    ("Gather", (7, 11), {"axis": 1}, [X, whole(0, 2, 1)], 1),
    ("Gather", (11,), {"axis": -2}, [X, whole([-1, 0])], 1),
    ("ScatterElements", (11, 16), {"axis": 1}, [X, np.zeros((2, 1, 4), np.int64), floats(2, 1, 4)],
     1),
    ("ScatterElements", (16, 18), {"axis": 0, "reduction": "add"},
     [X, np.ones((2, 3, 4), np.int64), floats(2, 3, 4)], 1),
    ("ScatterND", (16, 18), {"reduction": "mul"}, [X, whole([[0], [0]]), floats(1, 2, 3, 4)], 1),
    ("OneHot", (9, 11), {"axis": 1}, [whole([0, -1], [2, 1]), whole(3), np.float32([2, 5])], 1),
    ("ArgMax", (7, 11), {"axis": 2, "keepdims": 0}, [np.round(X)], 1),
    ("ArgMin", (12, 13), {"axis": 1, "select_last_index": 1}, [np.round(X)], 1),
    ("Mod", (10, 13), {}, [whole(-7, 7, 5), whole(3, -3, 2)], 1),
    ("Mod", (10, 13), {"fmod": 1}, [X, np.abs(X) + 0.3], 1),
    ("Div", (7, 14), {}, [whole(-7, 7), whole(2, -2)], 1),
    ("Pow", (7, 12, 15), {}, [np.abs(X), np.float32([0.5])], 1),
    ("Sum", (8, 13), {}, [X, floats(4), floats(3, 1)], 1),
    ("Max", (8, 12, 13), {}, [X, floats(4)], 1),
    ("PRelu", (7, 9, 16), {}, [X, np.abs(floats(3, 1))], 1),
    ("Flatten", (7, 11), {"axis": 2}, [X], 1),
    ("Flatten", (11,), {"axis": -1}, [X], 1),
    ("DepthToSpace", (7, 11), {"blocksize": 2}, [IMAGE], 1),
    ("CumSum", (11, 14), {"exclusive": 1, "reverse": 1}, [X, whole(1)], 1),
    ("Trilu", (14,), {"upper": 0}, [X, whole(-1)], 1),
    ("LRN", (7, 13), {"size": 3, "alpha": 0.1}, [IMAGE], 1),
    ("InstanceNormalization", (7,), {}, [IMAGE, *CHANNELS[:2]], 1),
    ("LpNormalization", (7,), {"p": 1, "axis": 1}, [X], 1),
    ("GridSample", (16, 20), {"align_corners": 1, "padding_mode": "border"},
     [IMAGE, floats(2, 3, 3, 2)], 1),
    ("LSTM", (7, 14), {"hidden_size": 3}, [STEPS, *gates(4)], 3),
    ("LSTM", (7, 14), {"hidden_size": 3, "direction": "reverse", "clip": 0.4},
     [STEPS, *gates(4), LENGTHS], 3),
    ("LSTM", (14,), {"hidden_size": 3, "direction": "bidirectional"},
     [STEPS, *gates(4, 2), LENGTHS, floats(2, 2, 3), floats(2, 2, 3), floats(2, 9)], 3),
    ("LSTM", (14,), {"hidden_size": 3, "activations": ["HardSigmoid", "Relu", "Tanh"],
                     "activation_alpha": [0.3]}, [STEPS, *gates(4)], 3),
    ("GRU", (7, 14), {"hidden_size": 3, "linear_before_reset": 1}, [STEPS, *gates(3)], 2),
    ("GRU", (7, 14), {"hidden_size": 3, "direction": "bidirectional"},
     [STEPS, *gates(3, 2), LENGTHS], 2),
    ("GRU", (14,), {"hidden_size": 3, "direction": "reverse"}, [STEPS, *gates(3)], 2),
    ("RNN", (7, 14), {"hidden_size": 3, "activations": ["Relu"]}, [STEPS, *gates(1)], 2),
    ("RNN", (7, 14), {"hidden_size": 3, "direction": "bidirectional"},
     [STEPS, *gates(1, 2), LENGTHS, floats(2, 2, 3)], 2),
]  # fmt: skip
CASES = [(op, opset, *rest) for op, opsets, *rest in ROWS for opset in opsets]


def kind_of(array):
    return helper.np_dtype_to_tensor_dtype(np.asarray(array).dtype)


def model_of(op, opset, attributes, inputs, outputs):
    """One node; its first input is the graph's, the others are initializers."""
    names = [f"i{k}" if a is not None else "" for k, a in enumerate(inputs)]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], **attributes)
    first = helper.make_tensor_value_info("i0", kind_of(inputs[0]), inputs[0].shape)
    weights = [numpy_helper.from_array(np.asarray(a), n)
               for n, a in list(zip(names, inputs))[1:] if a is not None]  # fmt: skip
    results = [onnx.ValueInfoProto(name=n) for n in node.output]  # types are inferred
    graph = helper.make_graph([node], "net", [first], results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def with_types(model, arrays):
    """The model with its outputs declared as these arrays."""
    for result, array in zip(model.graph.output, arrays):
        declared = helper.make_tensor_value_info(result.name, kind_of(array), array.shape)
        result.CopyFrom(declared)
    return model


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{c[1]}-{i}" for i, c in enumerate(CASES)])
def test_like_onnxruntime(case):
    model, first = model_of(*case), case[3][0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    wanted = session.run(None, {"i0": first})
    net = load(with_types(model, wanted))
    found = net(bl.as_tensor(first))
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == len(wanted)
    for f, w in zip(found, wanted):
        assert f.detach().numpy().dtype == w.dtype
        np.testing.assert_allclose(f.detach().numpy(), w, 2e-5, 2e-6)
