"""Reductions along other axes, and sums over broadcast axes that were left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, sites
from backlit.check.doctor.slips.common import (
    AXES,
    REDUCERS,
    at_site,
    everywhere,
    is_float,
    keyed,
    keys_of,
    operands,
    same_element,
    value_at,
    with_argument,
)
from backlit.check.doctor.tape import Call, Edit, Ref, Tape


def axes(bench: Bench) -> Iterator[Trial]:
    """A reduction along another axis, and a new axis at another place."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in REDUCERS:
            yield from _other_axes(bench, site, call)
        elif call.name == "getitem":
            yield from _other_places(site, call)
        if call.name in ("getitem", "setitem"):
            yield from _other_slices(bench, site, calls)
    yield from _axes_together(bench)


def _axes_together(bench: Bench) -> Iterator[Trial]:
    """The same other axis in all reductions that have the same one."""
    groups: dict[Any, list[Site]] = {}
    for site, calls in sites(bench):
        axis = next((calls[0].kwargs[k] for k in AXES if k in calls[0].kwargs), None)
        if isinstance(axis, int) and calls[0].name in REDUCERS and not site.narrow:
            groups.setdefault(axis, []).append(site)
    together = [
        (old, list(found))
        for old, every in groups.items()
        for found in [every, *itertools.combinations(every, 2)][: 20 if len(every) > 1 else 0]
    ]
    for old, found in together:
        for new in (0, 1, 2, -1):
            if new == old:
                continue

            def make(tape: Tape, found: list = found, new: int = new) -> dict[int, Edit]:
                edits = {}
                for site in found:
                    calls = site.calls(tape)
                    key = next(k for k in AXES if k in calls[0].kwargs)
                    edits.update(everywhere(calls, _axis_edit(key, False, new, None)))
                return edits

            yield Trial("wrong_axis", 1.58, f"axis {new} in all reductions", found[0], make)


def _other_axes(bench: Bench, site: Site, call: Call) -> Iterator[Trial]:
    key = next((k for k in AXES if k in call.kwargs), None)
    tree = key is None and len(call.args) > 1 and call.name not in ("concatenate", "stack")
    old = call.kwargs[key] if key else call.args[1] if tree else None
    first = call.args[0] if call.args else None
    probe = first[0] if type(first) in (tuple, list) and first else first
    value: Any = bench.first.values[probe.slot] if isinstance(probe, Ref) else 0.0
    n = np.ndim(value) + (call.name in ("expand_dims", "stack", "unsqueeze"))
    choices: list[Any] = [None, *range(n), *itertools.combinations(range(n), 2)]
    if n > 3:
        choices += list(itertools.combinations(range(n), 3))
    was = _axis_set(old, n)
    for new in choices:
        if _axis_set(new, n) == was:
            continue
        more = was < _axis_set(new, n) and call.name in ("sum", "add.reduce")
        name = "missing_broadcast_sum" if more else "wrong_axis"
        for keep in (None, True, False):
            edit = _axis_edit(key, tree, new, keep)
            yield at_site(site, name, 1.5 + (keep is not None) * 0.02, f"axis {new} here", edit)


def _axis_set(axis: Any, n: int) -> frozenset:
    if axis is None:
        return frozenset(range(n))
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    return frozenset(a % n if isinstance(a, int) and n else a for a in listed)


def _axis_edit(key: str | None, positional: bool, new: Any, keep: bool | None) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        named = dict(kwargs)
        if key in ("dims", "axes"):
            listed = range(np.ndim(args[0])) if new is None else new
            named[key] = (listed,) if isinstance(listed, int) else tuple(listed)
        elif key:
            named[key] = new
        elif positional:
            args = [args[0], new, *args[2:]]
        else:
            named["axis"] = new
        if keep is not None:
            named["keepdim" if "keepdim" in kwargs else "keepdims"] = keep
        return call.function(*args, **named)

    return edit


def _other_slices(bench: Bench, site: Site, calls: list[Call]) -> Iterator[Trial]:
    """A slice that cuts another axis than it should."""
    keys = keys_of(calls[0].args[1])
    n = np.ndim(value_at(bench.first, calls[0], 0))
    cut = [k for k in keys if isinstance(k, slice) and k != slice(None)]
    if len(cut) != 1 or not all(isinstance(k, slice) for k in keys) or not 2 <= n <= 4:
        return
    both = same_element(bench.first, calls)
    for axis in range(n):

        def edit(call: Call, args: list, kwargs: dict, env: list, axis: int = axis) -> Any:
            only = next(k for k in keys_of(args[1]) if k != slice(None))
            key = tuple(only if i == axis else slice(None) for i in range(np.ndim(args[0])))
            return call.function(args[0], key, *args[2:], **kwargs)

        yield keyed(site, both, "wrong_axis", 1.6, f"the slice along axis {axis}", edit)


def _other_places(site: Site, call: Call) -> Iterator[Trial]:
    key = call.args[1]
    if not isinstance(key, tuple) or not any(k is None for k in key):
        return
    for order in set(itertools.permutations(range(len(key)))) if len(key) <= 4 else ():
        new = tuple(key[i] for i in order)
        if [k is None for k in new] == [k is None for k in key]:
            continue

        def edit(call: Call, args: list, kwargs: dict, env: list, order: tuple = order) -> Any:
            return args[0][tuple(args[1][i] for i in order)]

        yield at_site(site, "wrong_axis", 1.6, "the new axis at another place", edit)


def sums(bench: Bench) -> Iterator[Trial]:
    """A sum over a broadcast axis that was left out, or replaced by one of its elements."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("getitem", "select"):
            value = value_at(bench.first, call, 0)
            for axis in range(np.ndim(value)):
                for keep in (False, True):

                    def edit(call: Call, args: list, kwargs: dict, env: list, axis: int = axis,
                             keep: bool = keep) -> Any:  # fmt: skip
                        return args[0].sum(axis=axis, keepdims=keep)

                    yield at_site(site, "missing_broadcast_sum", 1.55,
                                  f"the sum over axis {axis} here", edit)  # fmt: skip
            if sum(isinstance(k, int) for k in keys_of(call.args[1])) > 1:
                yield at_site(site, "missing_broadcast_sum", 1.55, "the sum instead of one element",
                              _sum_of_all)  # fmt: skip
            if any(isinstance(k, slice) and (k.step or 1) > 1 for k in keys_of(call.args[1])):
                yield at_site(site, "missing_broadcast_sum", 1.55, "the sum over each block",
                              _block_sum)  # fmt: skip
    for site, calls, position in operands(bench):
        value = value_at(bench.first, calls[0], position)
        n = np.ndim(value)
        if not is_float(value) or n == 0:
            continue
        chosen = [*((i,) for i in range(n)), *itertools.combinations(range(n), 2)]
        for dims in [c for c in chosen if all(value.shape[i] > 1 for i in c)]:
            for keep in (True, False):
                total = with_argument(position, _summed(dims, keep))
                yield at_site(site, "missing_broadcast_sum", 1.65,
                              f"a sum over axes {dims} here", total)  # fmt: skip


def _summed(dims: tuple, keep: bool) -> Callable[[Any], Any]:
    return lambda value: value.sum(dims, keepdims=keep)


def _sum_of_all(call: Call, args: list, kwargs: dict, env: list) -> Any:
    fixed = tuple(i for i, k in enumerate(keys_of(args[1])) if isinstance(k, int))
    return args[0].sum(axis=fixed)


def _block_sum(call: Call, args: list, kwargs: dict, env: list) -> Any:
    keys = keys_of(args[1])
    steps = [k.step or 1 if isinstance(k, slice) else 1 for k in keys]
    total: Any = 0
    for offsets in itertools.product(*(range(n) for n in steps)):
        moved = [slice((k.start or 0) + o, k.stop, k.step) if isinstance(k, slice) else k
                 for k, o in zip(keys, offsets)]  # fmt: skip
        total = total + args[0][tuple(moved)]
    return total
