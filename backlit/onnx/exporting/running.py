"""ONNX models run by onnxruntime, on the CPU and one thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import NotAvailable


def run(made: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a ModelProto for its inputs in order, by onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        raise NotAvailable("onnx.export: the package onnxruntime is not installed",
                           hint="pip install 'backlit[onnx]'") from None  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [i.name for i in session.get_inputs()]
    wanted = [i.name for i in made.graph.input]
    given = {n: a for n, a in zip(wanted, arrays) if n in names}
    return [np.asarray(y) for y in session.run(None, given)]
