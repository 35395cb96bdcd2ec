"""Lookup tables: Embedding gives a row per index, EmbeddingBag reduces bags of rows.

Rows longer than `max_norm` are shortened in place when they are looked up. Gradients are dense.
"""

from __future__ import annotations

from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, NotAvailable
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, empty
from backlit.tensor import Tensor


class _Table(Module):
    """A (num_embeddings, embedding_dim) weight, normal at first, with an optional zero row."""

    weight: Parameter

    def _make_table(
        self,
        rows: int,
        columns: int,
        padding_idx: int | None,
        sparse: bool,
        weight: Tensor | None,
        device: Any,
        dtype: Any,
    ) -> None:
        name = type(self).__name__
        if sparse:
            raise NotAvailable(f"{name}: sparse gradients do not exist", hint="use sparse=False")
        if padding_idx is not None and not -rows <= padding_idx < rows:
            raise ArgumentError(f"{name}: padding_idx {padding_idx} is outside {rows} rows")
        self.num_embeddings, self.embedding_dim = rows, columns
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % rows
        if weight is None:
            self.weight = empty(rows, columns, device=device, dtype=dtype)
            self.reset_parameters()
            return
        if tuple(weight.shape) != (rows, columns):
            raise ArgumentError(
                f"{name}: weight has shape {tuple(weight.shape)}, expected {(rows, columns)}"
            )
        self.weight = Parameter(weight)

    def reset_parameters(self) -> None:
        """Draw normal values; the padding row is zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with bl.no_grad():
                self.weight[self.padding_idx].fill_(0)


class Embedding(_Table):
    """One row of the table for each index: (*) integers to (*, embedding_dim).

    The row `padding_idx` starts at zero and gets no gradient; `max_norm` bounds looked-up rows.

    >>> nn.Embedding(10, 3)(bl.tensor([[1, 2, 4, 5]])).shape == (1, 4, 3)
    True
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self._make_table(num_embeddings, embedding_dim, padding_idx, sparse, _weight, device, dtype)
        self.weight.requires_grad_(not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A table of given rows, (num_embeddings, embedding_dim); `freeze` stops training.

        >>> table = nn.Embedding.from_pretrained(bl.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(bl.tensor([1])).tolist()
        [[3.0, 4.0]]
        """
        if embeddings.ndim != 2:
            raise ArgumentError(
                f"from_pretrained: expected 2D, got shape {tuple(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        return cls(
            rows,
            columns,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        return ", ".join(parts + _unusual(self))


class EmbeddingBag(_Table):
    """Sum, mean or maximum of the rows of each bag, without making the rows.

    Bags are the rows of a 2D input, or parts of a 1D input that start at `offsets`.

    >>> bag = nn.EmbeddingBag(10, 3, mode="sum")
    >>> bag(bl.tensor([1, 2, 4, 5, 4]), bl.tensor([0, 3])).shape == (2, 3)
    True
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in ("sum", "mean", "max"):
            raise ArgumentError(f"EmbeddingBag: mode must be sum, mean or max, got {mode!r}")
        self.max_norm, self.norm_type, self.mode = max_norm, norm_type, mode
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.include_last_offset = include_last_offset
        self._make_table(num_embeddings, embedding_dim, padding_idx, sparse, _weight, device, dtype)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A table of given rows, (num_embeddings, embedding_dim); `freeze` stops training."""
        if embeddings.ndim != 2:
            raise ArgumentError(
                f"from_pretrained: expected 2D, got shape {tuple(embeddings.shape)}"
            )
        rows, columns = embeddings.shape
        bag = cls(
            rows,
            columns,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            _weight=embeddings,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )
        bag.weight.requires_grad_(not freeze)
        return bag

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            max_norm=self.max_norm,
            norm_type=self.norm_type,
            scale_grad_by_freq=self.scale_grad_by_freq,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        parts = [f"{self.num_embeddings}, {self.embedding_dim}", *_unusual(self)]
        parts.append(f"mode={self.mode!r}")
        if self.padding_idx is not None:
            parts.append(f"padding_idx={self.padding_idx}")
        return ", ".join(parts)


def _unusual(table: Embedding | EmbeddingBag) -> list[str]:
    """The settings that differ from their defaults."""
    usual = {"max_norm": None, "norm_type": 2.0, "scale_grad_by_freq": False}
    settings = ((name, getattr(table, name), value) for name, value in usual.items())
    return [f"{name}={value}" for name, value, default in settings if value != default]
