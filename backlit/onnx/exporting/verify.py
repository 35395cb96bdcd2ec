"""An exported model run by onnxruntime and compared with its original."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ProgramError
from backlit.onnx.exporting.captured import Subject
from backlit.onnx.exporting.running import run

TOLERANCE = 1e-5


def verify_model(made: Any, subject: Subject) -> None:
    """Refuse a file whose outputs differ by more than 1e-5, relative to the largest element."""
    expected = [t.detach().cell.array for t in subject.outputs()]
    given = [t.detach().cell.array for t in subject.tensors]
    for i, (found, own) in enumerate(zip(run(made, given), expected)):
        scale = max(1.0, float(np.abs(own[np.isfinite(own)]).max(initial=0.0)))
        if found.shape != own.shape or not np.allclose(
            found, own, rtol=TOLERANCE, atol=TOLERANCE * scale, equal_nan=True
        ):
            far = np.abs(found - own).max() if found.shape == own.shape else found.shape
            raise ProgramError(f"onnx.export: output {i} differs from onnxruntime's by {far}")
