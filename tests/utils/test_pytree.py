"""Trees at PyTorch's address: the same leaves in the same order, and back again."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import backlit as bl
from backlit.errors import ArgumentError
from backlit.utils import _pytree as pytree

Pair = namedtuple("Pair", ["left", "right"])
TREES = [
    1, None, [], (), {}, [1, [2, (3,)]], {"b": 1, "a": {"c": (2, None)}}, Pair(1, [2, 3]),
    OrderedDict([("z", 1), ("a", [2])]), defaultdict(list, {"k": [1, 2]}), deque([1, (2,)], 5),
    ["text", (3.5, {"x": Pair("y", ())})],
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_apart_and_together(tree):
    leaves, spec = pytree.tree_flatten(tree)
    again = spec.unflatten(leaves)
    assert again == tree and type(again) is type(tree) and spec.num_leaves == len(leaves)
    assert pytree.tree_leaves(tree) == leaves
    assert getattr(again, "default_factory", None) is getattr(tree, "default_factory", None)


@pytest.mark.torch
@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_leaves_are_pytorchs(tree):
    pytest.importorskip("torch")
    from torch.utils import _pytree as theirs

    assert pytree.tree_leaves(tree) == theirs.tree_leaves(tree)
    marked = pytree.tree_map(str, tree)
    assert marked == theirs.tree_map(str, tree)
    assert pytree.tree_map_only(int, lambda x: -x, tree) == theirs.tree_map_only(
        int, lambda x: -x, tree
    )


def test_tensors_are_leaves_and_structures_must_agree():
    x = {"a": bl.ones(2), "b": [bl.zeros(1)]}
    assert pytree.tree_map(lambda t: t.shape[0], x) == {"a": 2, "b": [1]}
    assert pytree.tree_map(lambda t: 0, [(1, 2), 3], is_leaf=lambda t: isinstance(t, tuple)) == [
        0, 0]  # fmt: skip
    with pytest.raises(ArgumentError, match="same structure"):
        pytree.tree_map(max, [1, 2], (1, 2))
    with pytest.raises(ArgumentError, match="1 leaves for a tree of 2"):
        pytree.tree_unflatten([1], pytree.tree_flatten([0, 0])[1])
