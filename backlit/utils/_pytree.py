"""PyTorch's address for trees: lists, tuples and dicts taken apart to leaves and put together.

A leaf is whatever is no container, None among them. Inside Backlit see tree.py, whose leaves are
tensors.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from backlit.errors import ArgumentError


class TreeSpec(NamedTuple):
    """What is left of a tree without its leaves: how to build each container again."""

    type: Any
    context: Any
    children: tuple[TreeSpec, ...]

    @property
    def num_leaves(self) -> int:
        """How many leaves belong into it."""
        return 1 if self.type is None else sum(child.num_leaves for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree with these leaves."""
        return tree_unflatten(leaves, self)


LEAF = TreeSpec(None, None, ())


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list, TreeSpec]:
    """The leaves in order, and the structure without them.

    >>> from backlit.utils._pytree import tree_flatten, tree_unflatten
    >>> leaves, spec = tree_flatten({"a": [1, 2], "b": (3, None)})
    >>> leaves, tree_unflatten([0, 0, 0, 0], spec)
    ([1, 2, 3, None], {'a': [0, 0], 'b': (0, 0)})
    """
    leaves: list[Any] = []
    return leaves, _take_apart(tree, is_leaf, leaves)


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The structure with these leaves in it."""
    given = list(leaves)
    if len(given) != treespec.num_leaves:
        raise ArgumentError(
            f"tree_unflatten: {len(given)} leaves for a tree of {treespec.num_leaves}"
        )
    return _put_together(treespec, iter(given))


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_map(
    func: Callable[..., Any],
    tree: Any,
    *rests: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """The tree with `func` of each leaf; more trees of the same structure give more arguments.

    >>> from backlit.utils._pytree import tree_map
    >>> tree_map(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
    {'x': [11, 22]}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves]
    for rest in rests:
        found, other = tree_flatten(rest, is_leaf)
        if other != spec:
            raise ArgumentError("tree_map: the trees do not have the same structure")
        columns.append(found)
    return tree_unflatten(map(func, *columns), spec)


def tree_map_only(kind: Any, func: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with `func` of the leaves that are instances of `kind`.

    >>> from backlit.utils._pytree import tree_map_only
    >>> tree_map_only(int, abs, [-1, "two", -3.0])
    [1, 'two', -3.0]
    """
    return tree_map(lambda leaf: func(leaf) if isinstance(leaf, kind) else leaf, tree)


def _take_apart(tree: Any, is_leaf: Callable[[Any], bool] | None, leaves: list[Any]) -> TreeSpec:
    kind = type(tree)
    if is_leaf is not None and is_leaf(tree):
        leaves.append(tree)
        return LEAF
    context: Any = None
    if kind in (dict, OrderedDict, defaultdict):
        context = (tuple(tree), getattr(tree, "default_factory", None))
        inner: Iterable[Any] = tree.values()
    elif kind in (list, tuple, deque) or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        context = tree.maxlen if kind is deque else None
        inner = tree
    else:
        leaves.append(tree)
        return LEAF
    return TreeSpec(kind, context, tuple(_take_apart(x, is_leaf, leaves) for x in inner))


def _put_together(spec: TreeSpec, leaves: Iterator[Any]) -> Any:
    if spec.type is None:
        return next(leaves)
    made = [_put_together(child, leaves) for child in spec.children]
    if spec.type in (dict, OrderedDict, defaultdict):
        pairs = zip(spec.context[0], made, strict=True)
        return defaultdict(spec.context[1], pairs) if spec.type is defaultdict else spec.type(pairs)
    if spec.type is deque:
        return deque(made, spec.context)
    return spec.type(*made) if hasattr(spec.type, "_fields") else spec.type(made)
