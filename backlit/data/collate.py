"""From a list of samples to a batch: nested tuples, dicts and numbers become tensors.

Owns `default_collate` and `default_convert`, and the message when samples differ in size. Knows
nothing of datasets and workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError


def default_convert(data: Any) -> Any:
    """Turn NumPy arrays inside nested containers into tensors; leave all else as it is.

    >>> bl.data.default_convert({"x": np.zeros(2), "name": "a"})["name"]
    'a'
    """
    import backlit as bl

    if isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
        return data if array.dtype.kind in "OSU" else bl.from_numpy(array)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, str | bytes | bl.Tensor) or not isinstance(data, Sequence):
        return data
    if isinstance(data, tuple) and not hasattr(data, "_fields"):
        return [default_convert(item) for item in data]
    return _like_sequence(data, [default_convert(item) for item in data])


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack a list of equally built samples into one batch with a new first axis.

    Tensors and arrays are stacked; Python floats become float64, whole numbers int64; tuples
    become lists of batches; dicts and named tuples keep their kind; strings stay as they are.
    Raises ArgumentError (a ValueError) where sizes differ, ArgumentTypeError for other kinds.

    >>> x, y = bl.data.default_collate([(np.zeros(3), 1), (np.ones(3), 2)])
    >>> x.shape, y.tolist()
    (backlit.Size([2, 3]), [1, 2])
    """
    if not batch:
        raise ArgumentError("default_collate: the batch holds no samples")
    return _collate(list(batch), "sample")


def _collate(batch: Sequence[Any], where: str) -> Any:
    import backlit as bl

    first = batch[0]
    if isinstance(first, bl.Tensor):
        return _stack_tensors(batch, where)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, np.ndarray | np.generic | bool | int | float):
        return _stack(batch, where)
    if isinstance(first, Mapping):
        _check_keys(batch, where)
        parts = {key: _collate([s[key] for s in batch], f"{where}[{key!r}]") for key in first}
        return _like_mapping(first, parts)
    if isinstance(first, Sequence):
        _check_lengths(batch, where)
        columns = zip(*batch, strict=True)
        items = [_collate(column, f"{where}[{i}]") for i, column in enumerate(columns)]
        plain = isinstance(first, tuple) and not hasattr(first, "_fields")
        return items if plain else _like_sequence(first, items)
    raise _wrong_kind(first, where)


def _stack_tensors(batch: Sequence[Any], where: str) -> Any:
    import backlit as bl

    if any(not isinstance(tensor, bl.Tensor) for tensor in batch):
        raise _mixed(batch, where)
    if any(tensor.requires_grad for tensor in batch):
        return bl.stack(batch)
    return _stack([tensor.numpy() for tensor in batch], where)


def _stack(values: Sequence[Any], where: str) -> Any:
    from backlit import dtypes
    from backlit.tensor import wrap

    arrays = [np.asarray(value) for value in values]
    sizes = [array.shape for array in arrays]
    odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if odd is not None:
        raise ArgumentError(
            f"default_collate: {where}: sizes differ within the batch: "
            f"{sizes[0]} at position 0, {sizes[odd]} at position {odd}",
            hint="bring samples to one size in the dataset, or pad them in a collate_fn",
        )
    stacked = np.stack(arrays)
    try:
        return wrap(stacked.astype(dtypes.of_array(stacked).numpy, copy=False))
    except DTypeError:
        raise _wrong_kind(values[0], where) from None


def _check_keys(batch: Sequence[Any], where: str) -> None:
    for i, sample in enumerate(batch):
        if not isinstance(sample, Mapping):
            raise _mixed(batch, where)
        if sample.keys() != batch[0].keys():
            raise ArgumentError(
                f"default_collate: {where}: keys differ within the batch: "
                f"{sorted(map(str, batch[0]))} at position 0, {sorted(map(str, sample))} "
                f"at position {i}"
            )


def _check_lengths(batch: Sequence[Any], where: str) -> None:
    for i, sample in enumerate(batch):
        if not isinstance(sample, Sequence):
            raise _mixed(batch, where)
        if len(sample) != len(batch[0]):
            raise ArgumentError(
                f"default_collate: {where}: lengths differ within the batch: "
                f"{len(batch[0])} at position 0, {len(sample)} at position {i}"
            )


def _mixed(batch: Sequence[Any], where: str) -> Exception:
    kinds = sorted({type(sample).__name__ for sample in batch})
    return ArgumentTypeError(f"default_collate: {where}: kinds differ: {', '.join(kinds)}")


def _wrong_kind(sample: Any, where: str) -> Exception:
    kind = f"{type(sample).__module__}.{type(sample).__qualname__}"
    if isinstance(sample, np.ndarray | np.generic):
        kind = f"NumPy {np.asarray(sample).dtype}"
    image = kind.startswith("PIL.")
    return ArgumentTypeError(
        f"default_collate: {where}: cannot batch {kind}; it takes tensors, arrays, numbers, "
        "strings, dicts, tuples and lists",
        hint="add transforms.ToTensor()" if image else "convert it, or give a collate_fn",
    )


def _like_mapping(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    return _rebuild(type(original), items, fallback=items)


def _like_sequence(original: Sequence[Any], items: list[Any]) -> Any:
    if hasattr(original, "_fields"):
        return type(original)(*items)
    return _rebuild(type(original), items, fallback=items)


def _rebuild(kind: Callable[[Any], Any], items: Any, fallback: Any) -> Any:
    # A subclass may take other arguments; a plain container will do then.
    try:
        return kind(items)
    except TypeError:
        return fallback
