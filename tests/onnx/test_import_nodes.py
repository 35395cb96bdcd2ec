"""The node tests of the onnx package's backend suite: every operator, as its specification shows.

A case passes, or a row of the tables below says why it can't; a row that is no longer needed
fails. Random operators are compared by shape and type.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test.case.node as suite
import pytest
from onnx import numpy_helper

import backlit as bl
from backlit.errors import NotAvailable
from backlit.onnx import load

NO_TEXT = "Backlit has no tensors of strings"
NO_COMPLEX = "Fourier transforms need complex numbers, which Backlit has not"
NO_SIGNAL = "signal processing; Backlit has no such operator"
OPTIMIZERS = "optimizers as nodes; bl.optim trains"
CLASSICAL = "feature tables and trees, not networks"
DETECTION = "a detector's own operator; Backlit has none"
# Operators that no case of runs, by name, and why. Remove a row when the operator is there.
REFUSED = {
    "Adagrad": OPTIMIZERS, "Adam": OPTIMIZERS, "Momentum": OPTIMIZERS,
    "ArrayFeatureExtractor": CLASSICAL, "Binarizer": CLASSICAL, "LabelEncoder": CLASSICAL,
    "TreeEnsemble": CLASSICAL, "TfIdfVectorizer": CLASSICAL,
    "DFT": NO_COMPLEX, "STFT": NO_COMPLEX, "MelWeightMatrix": NO_SIGNAL,
    "DeformConv": DETECTION, "NonMaxSuppression": DETECTION, "RoiAlign": DETECTION,
    "ImageDecoder": "decodes files; bl.data does",
    "RegexFullMatch": NO_TEXT, "StringConcat": NO_TEXT, "StringNormalizer": NO_TEXT,
    "StringSplit": NO_TEXT,
}  # fmt: skip
# Element types without a Backlit dtype: their cases are refused, naming the type.
TYPES = {
    "UINT16", "UINT32", "UINT64", "INT2", "UINT2", "INT4", "UINT4", "FLOAT4E2M1", "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0", "STRING", "COMPLEX64",
    "COMPLEX128",
}  # fmt: skip
RANDOM = {
    "test_bernoulli", "test_bernoulli_double", "test_bernoulli_seed", "test_training_dropout",
    "test_training_dropout_default", "test_training_dropout_default_mask",
    "test_training_dropout_mask",
}  # fmt: skip


def modules():
    """The files of the suite: one per operator, more or less."""
    found = [m.name for m in pkgutil.walk_packages(suite.__path__, suite.__name__ + ".")]
    return [name for name in found if not name.rpartition(".")[2].startswith("_")]


@functools.cache  # a file adds its cases once, to whoever imports it first
def cases_of(module):
    """The cases that importing a file adds to the suite."""
    before = len(suite._NodeTestCases)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        importlib.import_module(module)
    return suite._NodeTestCases[before:]


def array_of(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def tensor_of(value):
    value = array_of(value)
    if isinstance(value, list | tuple):
        return [tensor_of(v) for v in value]
    return value if value is None else bl.as_tensor(np.array(value))


def assert_same(got, wanted, case):
    wanted = array_of(wanted)
    if isinstance(wanted, list | tuple):
        assert isinstance(got, list) and len(got) == len(wanted)
        for g, w in zip(got, wanted):
            assert_same(g, w, case)
        return
    wanted, found = np.asarray(wanted), got.numpy()
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    if case.name.removesuffix("_expanded") in RANDOM:
        return
    if found.dtype.kind in "iub":
        np.testing.assert_array_equal(found, wanted)
        return
    rtol = {"bfloat16": 2**-6, "float16": 2**-9}.get(found.dtype.name, case.rtol)  # two ulps
    np.testing.assert_allclose(found.astype(float), wanted.astype(float), rtol, case.atol)


def run(case):
    model = load(case.model.SerializeToString())
    for inputs, wanted in case.data_sets:
        found = model(*map(tensor_of, inputs))
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) == len(wanted)
        for g, w in zip(found, wanted):
            assert_same(g, w, case)


def expected_refusal(case, error):
    """Whether a table says that this case is refused with this message."""
    operators = {node.op_type for node in case.model.graph.node}
    if operators & set(REFUSED):
        return bool(re.search(rf"({'|'.join(operators & set(REFUSED))}).* is not supported|"
                              r"element type STRING", str(error)))  # fmt: skip
    named = re.search(r"element type (\w+) has no counterpart", str(error))
    return named is not None and named[1] in TYPES


@pytest.mark.parametrize("module", modules())
def test_cases(module):
    wrong = []
    for case in cases_of(module):
        refused = {node.op_type for node in case.model.graph.node} & set(REFUSED)
        try:
            run(case)
        except NotAvailable as error:
            if not expected_refusal(case, error):
                wrong.append(f"{case.name}: {error}")
        except Exception as error:
            wrong.append(f"{case.name}: {type(error).__name__}: {error}")
        else:
            if refused:
                wrong.append(f"{case.name} passes: remove {refused} from the table")
    assert not wrong, "\n".join(wrong)


COMPILED = {
    "attention": "test_attention_4d_gqa_causal", "conv": "test_conv_with_autopad_same",
    "convtranspose": "test_convtranspose_pads", "gathernd": "test_gathernd_example_float32",
    "gridsample": "test_gridsample_bicubic", "gru": "test_gru_seq_length",
    "if_": "test_if", "lstm": "test_lstm_with_peepholes",
    "resize": "test_resize_downsample_sizes_cubic_antialias", "scan": "test_scan9_sum",
    "scatternd": "test_scatternd_multiply", "topk": "test_top_k",
    "softmax_cross_entropy_loss": "test_sce_mean_weight_ii",
}  # fmt: skip


@pytest.mark.parametrize("module", COMPILED)
def test_compiled_equals_eager(module):
    """The first input varies, the others are constants of the file."""
    cases_of(f"{suite.__name__}.{module}")
    (case,) = [c for c in suite._NodeTestCases if c.name == COMPILED[module]]
    model, (inputs, _) = onnx.ModelProto(), case.data_sets[0]
    model.CopyFrom(case.model)
    names = [i.name for i in model.graph.input]
    for name, value in list(zip(names, inputs))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    del model.graph.input[1:]
    net, x = load(model), tensor_of(inputs[0])
    found, wanted = bl.compile(lambda x: net(x))(x), net(x)
    found = found if isinstance(found, tuple) else (found,)
    for f, w in zip(found, wanted if isinstance(wanted, tuple) else (wanted,)):
        np.testing.assert_allclose(f.detach().numpy(), w.detach().numpy(), 1e-5, 1e-6)


def test_the_tables_only_shrink():
    from backlit.onnx.loading.table import fill_table

    assert not set(REFUSED) & set(fill_table())
    assert len(REFUSED) <= 19 and len(TYPES) <= 16 and len(RANDOM) <= 7
    known = {schema.name for schema in onnx.defs.get_all_schemas()}
    assert set(REFUSED) <= known, "the standard no longer has these"


def test_the_document_lists_every_operator():
    from backlit.onnx.loading.table import fill_table

    text = (Path(__file__).parents[2] / "docs/design/onnx_import.md").read_text()
    listed = re.split(r"[,.]\s+", text.split("## The operators")[1].split("And as")[0].strip())
    assert [name.rstrip(".") for name in listed] == sorted(fill_table())


def test_the_suite_is_whole():
    assert len(modules()) > 180
    names = [case.name for case in cases_of(f"{suite.__name__}.softplus")]
    assert {"test_softplus", "test_softplus_example"} <= set(names)
