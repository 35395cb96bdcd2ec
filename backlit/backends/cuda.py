"""Switches that PyTorch programs set for NVIDIA's GPUs: accepted, and without effect."""

from __future__ import annotations


class matmul:
    """Precision of products on a GPU.

    >>> bl.backends.cuda.matmul.allow_tf32 = True
    """

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = False
    allow_bf16_reduced_precision_reduction = False


def is_built() -> bool:
    """False."""
    return False
