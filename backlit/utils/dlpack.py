"""`torch.utils.dlpack`: PyTorch's address of what tensors and `bl.from_dlpack` do.

Capsules themselves are in backlit/dlpack.py.
"""

from __future__ import annotations

from typing import Any

from backlit import creation
from backlit.tensor import Tensor


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule with a copy of a tensor; ExportError where it requires grad.

    >>> from backlit.utils.dlpack import from_dlpack, to_dlpack
    >>> from_dlpack(to_dlpack(bl.ones(2)))
    tensor([1., 1.])
    """
    return tensor.__dlpack__()


def from_dlpack(ext_tensor: Any) -> Tensor:
    """`bl.from_dlpack`: a tensor with a copy of another library's array or a capsule.

    >>> from backlit.utils.dlpack import from_dlpack
    >>> from_dlpack(np.arange(2))
    tensor([0, 1])
    """
    return creation.from_dlpack(ext_tensor)
