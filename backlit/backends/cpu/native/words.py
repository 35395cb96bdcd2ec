"""The border between arrays and kernels: what an element is called, and arguments as words.

Every argument of a kernel is one word of 64 bits: a number, or where an array lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ELEMENTS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
INTEGERS = {np.dtype(np.int32): "i32", np.dtype(np.int64): "i64"}


def is_half(dtype: np.dtype) -> bool:
    """Whether a real type (float16, bfloat16) is computed in float32."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


def pack_words(fields: Sequence[str], **values: np.ndarray | int) -> np.ndarray:
    """Lay a kernel's arguments out in the order of its fields; arrays become addresses."""
    found = (values[name] for name in fields)
    return np.array(
        [v.ctypes.data if isinstance(v, np.ndarray) else int(v) for v in found], np.int64
    )


def ordered(fields: Sequence[str], **values: Any) -> list[Any]:
    """The words of a plan's task in the order of its kernel's fields."""
    return [values[name] for name in fields]
