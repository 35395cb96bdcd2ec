"""DLPack capsules: arrays handed to other libraries and taken from them, always by a copy.

NumPy owns the protocol; it only lacks bfloat16, so that one field of a capsule is rewritten.
A lent array would have to be read-only, and consumers (PyTorch is one) ignore that flag.
Knows no Tensor. Read next: docs/design/interop.md.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from backlit.dtypes import bfloat16
from backlit.errors import ArgumentTypeError, DTypeError, NotAvailable

CPU_PLACES = (1, 3, 11)  # plain memory, and pinned memory of CUDA and ROCm
UINT, BFLOAT = 1, 4  # codes of kinds of numbers
TYPE_AT = {b"dltensor": 20, b"dltensor_versioned": 52}  # bytes before the dtype of a capsule

_api = ctypes.pythonapi
_api.PyCapsule_GetName.restype, _api.PyCapsule_GetName.argtypes = (
    ctypes.c_char_p,
    [ctypes.py_object],
)
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Type(ctypes.Structure):
    """DLDataType: kind, bits, lanes."""

    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


def capsule_of(array: np.ndarray) -> Any:
    """A capsule that keeps a writable array."""
    if array.dtype.kind != "V":
        return array.__dlpack__()
    capsule = array.view(np.uint16).__dlpack__()
    _type_in(capsule).code = BFLOAT
    return capsule


def array_of(source: Any) -> np.ndarray:
    """A fresh array with the values of another library's array, or of a capsule."""
    capsule = source
    if hasattr(source, "__dlpack__"):
        place = source.__dlpack_device__()[0]
        if place not in CPU_PLACES:
            raise NotAvailable(f"from_dlpack: an array on DLPack's device {int(place)}",
                               hint="move it to the CPU first")  # fmt: skip
        capsule = _asked(source)
    elif type(source).__name__ != "PyCapsule":
        raise ArgumentTypeError(f"from_dlpack: {type(source).__name__} has no __dlpack__")
    kind = _type_in(capsule)
    brain = (kind.code, kind.bits) == (BFLOAT, 16)
    if brain:
        kind.code = UINT
    try:
        found = np.array(np.from_dlpack(_Holder(capsule)))
    except (BufferError, RuntimeError) as error:
        raise DTypeError(f"from_dlpack: {error}") from None
    return found.view(bfloat16.numpy) if brain else found


def _asked(source: Any) -> Any:
    try:
        return source.__dlpack__()
    except BufferError:  # read-only arrays can only be told of in the newer form
        return source.__dlpack__(max_version=(1, 0))


def _type_in(capsule: Any) -> _Type:
    name = _api.PyCapsule_GetName(capsule)
    if name not in TYPE_AT:
        raise ArgumentTypeError(f"from_dlpack: a capsule named {name!r}: it was used before")
    return _Type.from_address(_api.PyCapsule_GetPointer(capsule, name) + TYPE_AT[name])


class _Holder:
    """Gives NumPy the capsule that is there already."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **wishes: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)
