"""Nested structures of tensors: dicts, lists and tuples taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from backlit.tensor import Tensor


def leaves(tree: Any) -> Iterator[Tensor]:
    """The tensors of a structure, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, (tuple, list)):
        for value in tree:
            yield from leaves(value)


def rebuild(tree: Any, values: Iterator[Any]) -> Any:
    """The structure with its tensors replaced, in order."""
    return over(tree, lambda _: next(values))


def over(tree: Any, function: Callable[[Tensor], Any]) -> Any:
    """The structure with `function` applied to each tensor."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return type(tree)((k, over(v, function)) for k, v in tree.items())
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(over(v, function) for v in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(over(v, function) for v in tree)
    return tree
