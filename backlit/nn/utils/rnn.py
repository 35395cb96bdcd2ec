"""Sequences of different lengths: padded into one tensor, or packed without padding.

A packed sequence holds step 0 of all sequences, then step 1 of those that have one, and so on;
sequences are sorted by length, longest first. Next: recurrent.py, which runs on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, ShapeError
from backlit.tensor import Tensor


class PackedSequence(NamedTuple):
    """Values without padding, how many sequences each step has, and the sorting.

    >>> packed = nn.utils.rnn.pack_sequence([bl.tensor([1, 2, 3]), bl.tensor([4])])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1, 4, 2, 3], [2, 1, 1])
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with converted values."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def float(self) -> PackedSequence:
        """The same with float32 values."""
        return self.to(bl.float32)

    def double(self) -> PackedSequence:
        """The same with float64 values."""
        return self.to(bl.float64)

    def cpu(self) -> PackedSequence:
        """The same: everything is on the CPU."""
        return self


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (L_i, ...) into (T, N, ...), or (N, T, ...) with `batch_first`.

    >>> nn.utils.rnn.pad_sequence([bl.tensor([1, 2]), bl.tensor([3])], batch_first=True).tolist()
    [[1, 2], [3, 0]]
    """
    if padding_side not in ("left", "right"):
        raise ArgumentError(
            f"pad_sequence: padding_side must be left or right, got {padding_side!r}"
        )
    listed = list(sequences)
    if not listed:
        raise ArgumentError("pad_sequence: got an empty list of sequences")
    longest = max(len(sequence) for sequence in listed)
    padded = []
    for sequence in listed:
        if sequence.shape[1:] != listed[0].shape[1:]:
            raise ShapeError(
                f"pad_sequence: sequences end in {tuple(listed[0].shape[1:])} and "
                f"{tuple(sequence.shape[1:])}; only lengths may differ"
            )
        missing = longest - len(sequence)
        filler = sequence.new_full((missing, *sequence.shape[1:]), padding_value)
        parts = [filler, sequence] if padding_side == "left" else [sequence, filler]
        padded.append(bl.cat(parts) if missing else sequence)
    return bl.stack(padded, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """Cut a padded tensor back into sequences.

    >>> rows = nn.utils.rnn.unpad_sequence(bl.tensor([[1, 3], [2, 0]]), bl.tensor([2, 1]))
    >>> [row.tolist() for row in rows]
    [[1, 2], [3]]
    """
    by_sample = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [by_sample[i, : int(length)] for i, length in enumerate(lengths)]


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Take the padding out of (T, N, ...), or (N, T, ...) with `batch_first`.

    With `enforce_sorted` the lengths must not increase; without, they are sorted here.

    >>> nn.utils.rnn.pack_padded_sequence(bl.tensor([[1, 3], [2, 0]]), [2, 1]).data.tolist()
    [1, 3, 2]
    """
    sizes = np.asarray(lengths.tolist() if isinstance(lengths, Tensor) else lengths, np.int64)
    padded = input.transpose(0, 1) if batch_first else input
    _check_lengths(sizes, padded)
    sorted_indices = unsorted_indices = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise ArgumentError(
                f"pack_padded_sequence: lengths {sizes.tolist()} are not sorted; "
                "pass enforce_sorted=False to sort them here"
            )
    else:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
        sorted_indices = bl.from_numpy(order)
        unsorted_indices = invert_permutation(sorted_indices)
        padded = padded.index_select(1, sorted_indices)
    steps, batch = np.arange(sizes[0])[:, None], np.arange(len(sizes))[None, :]
    rows = np.flatnonzero(steps < sizes) if len(sizes) else batch[0]
    joined = padded[: int(sizes[0])].reshape(-1, *padded.shape[2:])
    counts = (steps < sizes).sum(1)
    data = joined.index_select(0, bl.from_numpy(rows))
    return PackedSequence(data, bl.from_numpy(counts), sorted_indices, unsorted_indices)


def _check_lengths(sizes: np.ndarray[Any, Any], padded: Tensor) -> None:
    if padded.ndim < 2 or len(sizes) != padded.shape[1]:
        raise ShapeError(
            f"pack_padded_sequence: {len(sizes)} lengths for input of shape "
            f"{tuple(padded.shape)} in (T, N, ...) order"
        )
    if len(sizes) == 0 or sizes.min() <= 0 or sizes.max() > padded.shape[0]:
        raise ArgumentError(
            f"pack_padded_sequence: every length must be from 1 to {padded.shape[0]}, "
            f"got {sizes.tolist()}"
        )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Give packed sequences their padding back: (padded, lengths), in the original order.

    >>> packed = nn.utils.rnn.pack_sequence([bl.tensor([1, 2]), bl.tensor([3])])
    >>> nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0].tolist()
    [[1, 2], [3, 0]]
    """
    counts = sequence.batch_sizes.numpy()
    steps, batch = len(counts), int(counts[0])
    if total_length is not None and total_length < steps:
        raise ArgumentError(
            f"pad_packed_sequence: total_length {total_length} is less than the longest, {steps}"
        )
    present = np.arange(batch)[None, :] < counts[:, None]
    lengths = present.sum(0)
    height = steps if total_length is None else total_length
    source = np.full((height, batch), present.sum())  # one row past the data: the padding
    source[:steps][present] = np.arange(present.sum())
    data = sequence.data
    filler = data.new_full((1, *data.shape[1:]), padding_value)
    rows = bl.cat([data, filler]).index_select(0, bl.from_numpy(source.reshape(-1)))
    padded, order = rows.reshape(height, batch, *data.shape[1:]), sequence.unsorted_indices
    if order is not None:
        padded, lengths = padded.index_select(1, order), lengths[order.numpy()]
    return (padded.transpose(0, 1) if batch_first else padded), bl.from_numpy(lengths)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (L_i, ...).

    >>> nn.utils.rnn.pack_sequence([bl.tensor([1, 2, 3]), bl.tensor([4, 5])]).data.tolist()
    [1, 4, 2, 5, 3]
    """
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The list of sequences that was packed.

    >>> packed = nn.utils.rnn.pack_sequence([bl.tensor([1, 2]), bl.tensor([3])])
    >>> [row.tolist() for row in nn.utils.rnn.unpack_sequence(packed)]
    [[1, 2], [3]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def invert_permutation(permutation: Tensor) -> Tensor:
    """The permutation that undoes one.

    >>> nn.utils.rnn.invert_permutation(bl.tensor([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    return bl.from_numpy(np.argsort(permutation.numpy()))
