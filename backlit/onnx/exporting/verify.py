"""An exported model run by onnxruntime and compared with its original."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import tree
from backlit.autograd.modes import no_grad
from backlit.errors import NotAvailable, ProgramError
from backlit.onnx.exporting.captured import Subject
from backlit.tensor import Tensor

TOLERANCE = 1e-5


def verify_model(made: Any, subject: Subject) -> None:
    """Refuse a file whose outputs differ by more than 1e-5, relative to the largest element."""
    expected = [t.detach().cell.array for t in _outputs(subject)]
    given = [t.detach().cell.array for t in subject.tensors]
    for i, (found, own) in enumerate(zip(run(made, given), expected)):
        scale = max(1.0, float(np.abs(own[np.isfinite(own)]).max(initial=0.0)))
        if found.shape != own.shape or not np.allclose(
            found, own, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True
        ):
            far = np.abs(found - own).max() if found.shape == own.shape else found.shape
            raise ProgramError(f"onnx.export: output {i} differs from onnxruntime's by {far}")


def _outputs(subject: Subject) -> list[Tensor]:
    with no_grad():
        return list(tree.leaves(subject.model(*subject.args, **subject.kwargs)))


def run(made: Any, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a ModelProto for its inputs in order, by onnxruntime on one thread."""
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
