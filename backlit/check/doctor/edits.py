"""Slips of the pen in a backward, undone: each family lists edits of one kind.

A family is a function of the bench that yields trials. What an edit changes is one call site (all
calls made there), or the gradient that is returned. repairs.py tries them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, meaning, sites
from backlit.check.doctor.tape import Call, Edit, Ref, Tape, refs, resolve, slots_of

PRODUCTS = frozenset(("multiply", "mul", "divide", "div", "true_divide"))
MATRIX = frozenset(("matmul", "dot", "mm", "bmm", "outer", "tensordot", "einsum", "vdot", "inner"))
SUMS = frozenset(("sum", "mean", "add.reduce", "cumsum", "negative", "neg", "sqrt_"))
TERMS = frozenset(("add", "subtract", "sub"))
STORES = frozenset(("setitem", "add.at", "subtract.at"))
AXES = ("axis", "dim", "dims", "axes")
REDUCERS = frozenset((
    "sum", "mean", "max", "min", "argmax", "argmin", "std", "var", "prod", "cumsum", "amax",
    "amin", "add.reduce", "maximum.reduce", "minimum.reduce", "any", "all", "expand_dims",
    "repeat", "concatenate", "stack", "flip", "softmax", "log_softmax", "cumprod", "norm",
    "squeeze", "unsqueeze", "split", "roll", "take_along_axis", "put_along_axis", "logsumexp",
))  # fmt: skip


def _everywhere(calls: list[Call], edit: Edit) -> dict[int, Edit]:
    return {call.number: edit for call in calls}


def _simple(site: Site, name: str, order: float, words: str, edit: Edit) -> Trial:
    return Trial(name, order, words, site, lambda tape: _everywhere(site.calls(tape), edit))


def _with(position: int, change: Callable[[Any], Any]) -> Edit:
    """The same call with one argument changed."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        args[position] = change(args[position])
        return call.function(*args, **kwargs)

    return edit


def _after(change: Callable[[Any], Any]) -> Edit:
    """The same call with its result changed; a result written in place is changed in place."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        result = call.function(*args, **kwargs)
        if kwargs.get("out") is not None:
            result[...] = change(result)
            return result
        return change(result)

    return edit


def _in_place(call: Call) -> bool:
    return call.kwargs.get("out") is not None


def _is_float(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") == "f"


def _made(tape: Tape, call: Call) -> Any:
    return tape.values[call.made] if isinstance(call.made, int) else None


def places(bench: Bench) -> Iterator[tuple[Site, list[Call], int | None]]:
    """Where a contribution passes: (site, calls, argument), None for the result."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in TERMS:
            if not _in_place(call):
                yield site, calls, 0
            yield site, calls, 1
        elif call.name in STORES:
            yield site, calls, 2
        elif call.name in PRODUCTS | MATRIX | SUMS and _is_float(_made(bench.first, call)):
            yield site, calls, None
        elif call.name == "getitem" and _is_float(_made(bench.first, call)):
            yield site, calls, 0
        elif call.name == "where" and len(call.args) == 3:
            yield site, calls, 1
            yield site, calls, 2


def _value_at(tape: Tape, call: Call, position: int | None) -> Any:
    if position is None:
        return _made(tape, call)
    arg = call.args[position]
    return resolve(arg, tape.values) if isinstance(arg, Ref) else arg


def _changed(position: int | None, change: Callable[[Any], Any]) -> Edit:
    return _after(change) if position is None else _with(position, change)


# ----- signs and factors -----


def factors(bench: Bench) -> Iterator[Trial]:
    """A term times a constant; the constant is solved for, the gradients being linear in it."""
    found = []
    for site, calls, position in places(bench):
        if bench.tired:
            break

        def trial_of(c: float, site: Site = site, position: int | None = position) -> Trial:
            edit = _changed(position, lambda v: v * c)
            return _simple(site, "sign", 1.0, "", edit)

        for names, solved in bench.fitted(trial_of):
            if abs(solved[0] - 1) > 1e-7:
                name, order, words = meaning(bench, solved, calls[0])
                order += len(bench.case.wrong) - len(names)
                found.append((order, name, words, site, position, solved))
    for order, name, words, site, position, solved in sorted(found, key=lambda f: f[0]):
        by_tape = {id(tape): c for (_, tape), c in zip(bench.taped, solved)}

        def make(tape: Tape, site: Site = site, position: int | None = position,
                 by_tape: dict = by_tape) -> dict[int, Edit]:  # fmt: skip
            c = by_tape[id(tape)]
            return _everywhere(site.calls(tape), _changed(position, lambda v: v * c))

        yield Trial(name, order, words, site, make)


def removals(bench: Bench) -> Iterator[Trial]:
    """A product without one of its operands."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name not in PRODUCTS or _in_place(call):
            continue
        for keep in (0, 1) if call.name in ("multiply", "mul") else (0,):
            gone = call.args[1 - keep]
            if isinstance(gone, (int, float)):
                words = f"without the factor {gone:.6g}, it"
            else:
                words = "without one of the factors, it"

            def edit(call: Call, args: list, kwargs: dict, env: list, keep: int = keep) -> Any:
                result = call.function(*args, **kwargs)
                return np.array(np.broadcast_to(args[keep], np.shape(result)))

            order = 1.45 if isinstance(gone, (int, float)) else 1.7
            zero = isinstance(gone, (int, float)) and gone == 0
            name = "detached_path" if zero else "extra_factor"
            yield _simple(site, name, order, words, edit)


# ----- transpositions -----


def _turn(x: Any) -> Any:
    return x.swapaxes(-1, -2) if np.ndim(x) > 1 else x


def transposes(bench: Bench) -> Iterator[Trial]:
    """A matrix product with operands or result transposed or swapped; other axis orders."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("matmul", "dot", "mm", "bmm", "outer"):
            for a, b, swap, out in itertools.product((0, 1), repeat=4):
                if a + b + swap + out:
                    yield _simple(site, "transposed", 1.4, "transposing here",
                                  _product(a, b, swap, out))  # fmt: skip
        elif call.name in ("transpose", "permute", "swapaxes", "moveaxis"):
            n = np.ndim(_value_at(bench.first, call, 0))
            for axes in itertools.permutations(range(n)) if n <= 4 else ():
                yield _simple(site, "transposed", 1.45, f"the axes in the order {axes}",
                              _axes(axes))  # fmt: skip
        elif call.name in ("reshape", "view"):
            n = np.ndim(_value_at(bench.first, call, 0))
            for axes in list(itertools.permutations(range(n)))[1:] if 2 <= n <= 4 else ():
                yield _simple(site, "transposed", 1.5, f"with the axes {axes} before reshape,",
                              _with(0, lambda x, axes=axes: x.transpose(axes)))  # fmt: skip
            made = _made(bench.first, call)
            n = np.ndim(made)
            for axes in list(itertools.permutations(range(n)))[1:] if 2 <= n <= 4 else ():
                yield _simple(site, "transposed", 1.5, f"transposing by {axes} for reshape",
                              _reshaped_then(axes))  # fmt: skip
        elif call.name == "einsum":
            yield from _einsums(site, call)


def _product(a: int, b: int, swap: int, out: int) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        x, y = (_turn(args[0]) if a else args[0]), (_turn(args[1]) if b else args[1])
        result = call.function(*((y, x) if swap else (x, y)), **kwargs)
        return _turn(result) if out else result

    return edit


def _axes(axes: tuple) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        return args[0].transpose(axes)

    return edit


def _reshaped_then(axes: tuple) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        shape = np.shape(call.function(*args, **kwargs))
        inverse = np.argsort(axes)
        return args[0].reshape([shape[i] for i in axes]).transpose(inverse)

    return edit


def _einsums(site: Site, call: Call) -> Iterator[Trial]:
    text = call.args[0] if isinstance(call.args[0], str) else call.kwargs.get("equation")
    if not isinstance(text, str) or "->" not in text:
        return
    left, right = text.split("->")
    terms = [*left.split(","), right]
    for k, term in enumerate(terms):
        for i, j in itertools.combinations(range(len(term)), 2):
            letters = list(term)
            letters[i], letters[j] = letters[j], letters[i]
            new = [*terms[:k], "".join(letters), *terms[k + 1 :]]
            shown = ",".join(new[:-1]) + "->" + new[-1]

            def edit(call: Call, args: list, kwargs: dict, env: list, shown: str = shown) -> Any:
                if isinstance(args[0], str):
                    return call.function(shown, *args[1:], **kwargs)
                return call.function(*args, **{**kwargs, "equation": shown})

            yield _simple(site, "transposed", 1.5, f"`{shown}`", edit)


# ----- axes and sums -----


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
    for old, found in groups.items():
        for new in (0, 1, 2, -1) if len(found) > 1 else ():
            if new == old:
                continue

            def make(tape: Tape, found: list = found, new: int = new) -> dict[int, Edit]:
                edits = {}
                for site in found:
                    calls = site.calls(tape)
                    key = next(k for k in AXES if k in calls[0].kwargs)
                    edits.update(_everywhere(calls, _axis_edit(key, False, new, None)))
                return edits

            yield Trial("wrong_axis", 1.58, f"axis {new} in all reductions", found[0], make)


def _other_axes(bench: Bench, site: Site, call: Call) -> Iterator[Trial]:
    key = next((k for k in AXES if k in call.kwargs), None)
    tree = key is None and len(call.args) > 1 and call.name not in ("concatenate", "stack")
    old = call.kwargs[key] if key else call.args[1] if tree else None
    first = call.args[0] if call.args else None
    probe = first[0] if type(first) in (tuple, list) and first else first
    value = bench.first.values[probe.slot] if isinstance(probe, Ref) else None
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
            yield _simple(site, name, 1.5 + (keep is not None) * 0.02, f"axis {new} here", edit)


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
    keys = _listed(calls[0].args[1])
    n = np.ndim(_value_at(bench.first, calls[0], 0))
    cut = [k for k in keys if isinstance(k, slice) and k != slice(None)]
    if len(cut) != 1 or not all(isinstance(k, slice) for k in keys) or not 2 <= n <= 4:
        return
    both = _same_element(bench.first, calls)
    for axis in range(n):

        def edit(call: Call, args: list, kwargs: dict, env: list, axis: int = axis) -> Any:
            only = next(k for k in _listed(args[1]) if k != slice(None))
            key = tuple(only if i == axis else slice(None) for i in range(np.ndim(args[0])))
            return call.function(args[0], key, *args[2:], **kwargs)

        yield _keyed(site, both, "wrong_axis", 1.6, f"the slice along axis {axis}", edit)


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

        yield _simple(site, "wrong_axis", 1.6, "the new axis at another place", edit)


def sums(bench: Bench) -> Iterator[Trial]:
    """A sum over a broadcast axis that was left out, or replaced by one of its elements."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("getitem", "select"):
            value = _value_at(bench.first, call, 0)
            for axis in range(np.ndim(value)):
                for keep in (False, True):

                    def edit(call: Call, args: list, kwargs: dict, env: list, axis: int = axis,
                             keep: bool = keep) -> Any:  # fmt: skip
                        return args[0].sum(axis=axis, keepdims=keep)

                    yield _simple(site, "missing_broadcast_sum", 1.55,
                                  f"the sum over axis {axis} here", edit)  # fmt: skip
            if sum(isinstance(k, int) for k in _listed(call.args[1])) > 1:
                yield _simple(site, "missing_broadcast_sum", 1.55, "the sum instead of one element",
                              _sum_of_all)  # fmt: skip
            if any(isinstance(k, slice) and (k.step or 1) > 1 for k in _listed(call.args[1])):
                yield _simple(site, "missing_broadcast_sum", 1.55, "the sum over each block",
                              _block_sum)  # fmt: skip
    for site, calls, position in _operands(bench):
        value = _value_at(bench.first, calls[0], position)
        n = np.ndim(value)
        if not _is_float(value) or n == 0:
            continue
        chosen = [*((i,) for i in range(n)), *itertools.combinations(range(n), 2)]
        for dims in [c for c in chosen if all(value.shape[i] > 1 for i in c)]:
            for keep in (True, False):
                edit = _with(position, lambda v, dims=dims, keep=keep: v.sum(dims, keepdims=keep))
                yield _simple(site, "missing_broadcast_sum", 1.65,
                              f"a sum over axes {dims} here", edit)  # fmt: skip


def _sum_of_all(call: Call, args: list, kwargs: dict, env: list) -> Any:
    fixed = tuple(i for i, k in enumerate(_listed(args[1])) if isinstance(k, int))
    return args[0].sum(axis=fixed)


def _block_sum(call: Call, args: list, kwargs: dict, env: list) -> Any:
    keys = _listed(args[1])
    steps = [k.step or 1 if isinstance(k, slice) else 1 for k in keys]
    total: Any = 0
    for offsets in itertools.product(*(range(n) for n in steps)):
        moved = [slice((k.start or 0) + o, k.stop, k.step) if isinstance(k, slice) else k
                 for k, o in zip(keys, offsets)]  # fmt: skip
        total = total + args[0][tuple(moved)]
    return total


def _operands(bench: Bench) -> Iterator[tuple[Site, list[Call], int]]:
    """Arguments of arithmetic that come from the tape."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("zeros_like", "ones_like", "zeros", "copy", "astype", "reshape"):
            continue
        for position, arg in enumerate(call.args):
            if not isinstance(arg, Ref) or position > 2:
                continue
            if position == 0 and (_in_place(call) or call.name in STORES):
                continue
            yield site, calls, position


# ----- stores and accumulation -----


def stores(bench: Bench) -> Iterator[Trial]:
    """`+=` for `=`, and repeated indices that all count."""
    for site, calls in sites(bench):
        if calls[0].name != "setitem":
            continue
        fancy = _fancy(bench.first, calls[0])
        name = "index_error" if fancy else "lost_accumulation"
        words = "counting repeated indices" if fancy else "`+=` instead of `=`"

        def plain(call: Call, args: list, kwargs: dict, env: list) -> Any:
            np.add.at(args[0], args[1], args[2])

        def delta(call: Call, args: list, kwargs: dict, env: list) -> Any:
            np.add.at(args[0], args[1], args[2] - args[0][args[1]])

        yield _simple(site, name, 1.35, words, plain)
        if fancy:
            yield _simple(site, name, 1.35, words, delta)


def _fancy(tape: Tape, call: Call) -> bool:
    return any(
        getattr(tape.values[r.slot], "dtype", None) is not None
        and np.ndim(tape.values[r.slot]) > 0
        and tape.values[r.slot].dtype.kind in "iu"
        for r in refs(call.args[1])
    ) or any(isinstance(k, (list, range)) for k in _listed(call.args[1]))


def _listed(key: Any) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def accumulations(bench: Bench) -> Iterator[Trial]:
    """A contribution that was computed but not added."""
    tape = bench.first
    groups = _produced(tape, tape.half)
    dead = [g for g in groups if all(slot not in tape.live for slot in g)]
    loops = [g for g in groups if len(g) > 1 and any(slot not in tape.live for slot in g)]
    for name in bench.case.wrong:
        shape = bench.case.points[0].values[name].shape
        inside = tape.parents(name)
        for part in [*dead, *([s for s in g if s not in tape.live] for g in loops), *groups]:
            if part and np.shape(tape.values[part[0]]) == shape and not inside.issuperset(part):
                order = 1.2 if part in dead else 1.6 if part not in groups else 3.0
                yield from _added(name, part, order)
        seeds = [s for s, v in tape.sources.items() if np.shape(v) == shape and _is_float(v)]
        for slot in seeds:
            yield from _added(name, [slot], 3.2)
    for site, calls, position in places(bench):
        for part in dead:
            value = _value_at(tape, calls[0], position)
            if np.shape(tape.values[part[0]]) != np.shape(value) or _later(tape, part, calls):
                continue
            yield from _joined(site, position, part)


def _later(tape: Tape, part: list[int], calls: list[Call]) -> bool:
    made = {s: c.number for c in tape.calls for s in slots_of(c.made)}
    return made.get(part[0], 0) >= calls[0].number


def _added(name: str, part: list[int], order: float) -> Iterator[Trial]:
    for sign in (1, -1):

        def finish(tape: Tape, env: list, claims: dict, sign: int = sign) -> dict:
            extra = sum(np.asarray(env[s], float) for s in part)
            return {**claims, name: np.asarray(claims[name]) + sign * extra}

        words = "adding a contribution that was computed" if sign > 0 else "subtracting one"
        kind = "lost_accumulation"
        yield Trial(kind, order + (sign < 0) * 0.05, words, None, lambda tape: {}, finish)


def _joined(site: Site, position: int | None, part: list[int]) -> Iterator[Trial]:
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = part[i] if len(part) == len(calls) else part[-1]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                return _changed(position, lambda v: v + env[slot])(call, args, kwargs, env)

            made[call.number] = edit
        return made

    yield Trial("lost_accumulation", 1.5, "adding a contribution that was computed", site, make)


def _produced(tape: Tape, start: int, stop: int | None = None) -> list[list[int]]:
    """Slots of floats by the place that made them."""
    found: dict[Any, list[int]] = {}
    for call in tape.calls[start:stop]:
        if isinstance(call.made, int) and _is_float(tape.values[call.made]):
            key = (call.site.code, call.site.instruction, call.name, call.site.callers)
            group = found.setdefault(key, [])
            if call.made not in group:
                group.append(call.made)
    return list(found.values())


# ----- saved values and masks -----


def _stock(bench: Bench) -> list[tuple[str, list[int]]]:
    """Values of the forward: inputs, constants and what it computed, with words for them."""
    tape = bench.first
    names = {slot: name for name, slot in tape.inputs.items()}
    late = tape._late_sources
    found: list[tuple[str, list[int]]] = [
        (names.get(s, "a constant of the forward"), [s])
        for s in tape.sources
        if s not in late
    ]
    for group in _produced(tape, 0, tape.half):
        call = next(c for c in tape.calls if c.made == group[0])
        found.append((f"{call.site}", group))
        if len(group) > 1:
            found += [(f"{call.site}", [s]) for s in (group[0], group[-1])]
    return found


def saved_values(bench: Bench) -> Iterator[Trial]:
    """A value of the forward read as another one of the same shape: everywhere, or at a site."""
    tape = bench.first
    stock = _stock(bench)
    read = {r.slot for c in tape.calls[tape.half :] for r in refs([*c.args, c.kwargs])}
    for words, old in stock:
        if not read.intersection(old):
            continue
        for what, new in stock:
            if len(new) not in (1, len(old)) or new == old or not _alike(tape, old[0], new[0]):
                continue
            stale = len(old) == len(new) > 1 or _same_place(tape, old[0], new)
            swaps = dict(zip(old, new if len(new) == len(old) else new * len(old)))
            kind = _kind_of_value(tape, old[0], new[0], stale and len(old) == 1)
            yield Trial(kind, 1.6, f"reading {what} instead of {words}", None,
                        lambda tape: {}, swaps=swaps)  # fmt: skip
        if len(old) > 1:
            for by in (1, -1):
                swaps = dict(zip(old[by:], old)) if by > 0 else dict(zip(old, old[1:]))
                yield Trial("stale_saved_value", 1.62, f"reading {words} one step apart", None,
                            lambda tape: {}, swaps=swaps)  # fmt: skip
    for site, calls, position in _operands(bench):
        arg = calls[0].args[position]
        old = _value_at(tape, calls[0], position)
        if arg.window is not None or np.ndim(old) == 0 and not _is_float(old):
            continue
        for words, slots in stock:
            new = tape.values[slots[0]]
            if np.shape(new) != np.shape(old) or slots[0] == arg.slot or (
                _is_float(old) != _is_float(new)
            ):
                continue
            for turn in (False, True) if len(slots) == len(calls) > 1 else (False,):
                if len(slots) not in (1, len(calls)):
                    continue
                stale = _same_place(tape, arg.slot, slots)
                kind = _kind_of_value(tape, arg.slot, slots[0], stale)
                if arg.slot in tape._late_sources - tape.seeds:  # drawn anew in the backward
                    kind = "mask_not_reused"
                yield Trial(kind, 1.65, f"{words} in place of the value read here", site,
                            _replaced(site, position, slots, turn))  # fmt: skip


def _alike(tape: Tape, a: int, b: int) -> bool:
    x, y = tape.values[a], tape.values[b]
    return np.shape(x) == np.shape(y) and _is_float(x) == _is_float(y) and a != b


def _kind_of_value(tape: Tape, old: int, new: int, stale: bool) -> str:
    if _two_valued(tape.values[old]) and _two_valued(tape.values[new]):
        return "mask_not_reused"
    if _elsewhere(tape, old, new):
        return "index_error"
    a, b = tape.values[old], tape.values[new]
    if np.ndim(a) > 1 and np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return "transposed"
    return "stale_saved_value" if stale else "wrong_saved_value"


def _elsewhere(tape: Tape, old: int, new: int) -> bool:
    """Whether two values are indices, the same numbers in another order, or other windows."""
    a, b = tape.values[old], tape.values[new]
    if getattr(a, "dtype", np.dtype(float)).kind in "iu":
        return True
    if np.ndim(a) > 1 and any(
        np.array_equal(np.transpose(a, axes), b)
        for axes in itertools.islice(itertools.permutations(range(np.ndim(a))), 1, 24)
    ):
        return False
    if np.ndim(a) and np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return True
    by = {c.made: c.args[0] for c in tape.calls if c.name == "getitem" and type(c.made) is int}
    return old in by and new in by and by[old] == by[new]


def _same_place(tape: Tape, slot: int, others: list[int]) -> bool:
    made = {c.made: c.site for c in tape.calls if isinstance(c.made, int)}
    return slot in made and made.get(others[0]) == made[slot]


def _replaced(site: Site, position: int, slots: list[int], turn: bool) -> Callable:
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        order = slots[::-1] if turn else slots
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = order[i] if len(order) > 1 else order[0]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                args[position] = env[slot]
                return call.function(*args, **kwargs)

            made[call.number] = edit
        return made

    return make


def _two_valued(value: Any) -> bool:
    """A mask: two values only."""
    if getattr(value, "dtype", None) is None or np.ndim(value) == 0:
        return False
    return value.dtype == bool or (
        value.dtype.kind == "f" and value.size > 2 and len(np.unique(value)) == 2
    )


def masks(bench: Bench) -> Iterator[Trial]:
    """A mask of the forward applied to a contribution, in place of another or of none."""
    tape = bench.first
    found = _masks(bench)
    for site, calls, position in _operands(bench):
        old = _value_at(tape, calls[0], position)
        if not _two_valued(old):
            continue
        for words, slots, of in found:
            if np.shape(tape.values[slots[0]]) == np.shape(old):
                yield Trial("mask_not_reused", 1.72, f"the mask of {words}", site,
                            _masked(site, position, slots, of, True))  # fmt: skip
    for site, calls, position in places(bench):
        shape = _shape_at(tape, calls[0], position)
        for words, slots, of in found:
            if np.shape(tape.values[slots[0]]) == shape:
                yield Trial("mask_not_reused", 1.74, f"the mask of {words}", site,
                            _masked(site, position, slots, of, False))  # fmt: skip
                one = _one_where(of)
                yield Trial("mask_not_reused", 2.05, f"1 where {words}", site,
                            _masked(site, position, slots, one, False, join=one))  # fmt: skip
    for name in bench.case.wrong:
        for words, slots, of in found:

            def finish(tape: Tape, env: list, claims: dict, name: str = name, of: Any = of,
                       slots: list = slots) -> dict:  # fmt: skip
                return {**claims, name: np.asarray(claims[name]) * of(env[slots[0]])}

            if np.shape(tape.values[slots[0]]) == bench.case.points[0].values[name].shape:
                yield Trial("mask_not_reused", 1.74, f"the mask of {words}", None,
                            lambda tape: {}, finish)  # fmt: skip


def _shape_at(tape: Tape, call: Call, position: int | None) -> tuple:
    """The shape of a contribution; of a number that is stored, that of the place."""
    value = _value_at(tape, call, position)
    if call.name == "setitem" and np.ndim(value) == 0 and isinstance(call.args[0], Ref):
        key = resolve(call.args[1], tape.values)
        return np.shape(tape.values[call.args[0].slot][key])
    return np.shape(value)


def _masks(bench: Bench) -> list[tuple[str, list[int], Callable[[Any], Any]]]:
    tape, found = bench.first, []
    scalars = dict(bench.case.scalars)
    for call in tape.calls[: tape.half]:
        scalars.update({f"{a:g}": a for a in call.args if isinstance(a, float)})
    for words, slots in _stock(bench):
        value = tape.values[slots[0]]
        if np.ndim(value) == 0 or getattr(value, "dtype", None) is None:
            continue
        if _two_valued(value):
            found.append((words, slots, lambda v: v))
            if value.dtype != bool:
                found.append((f"{words} != 0", slots, lambda v: v != 0))
            for name, p in scalars.items():
                if 0 < p < 1 and value.dtype == bool:
                    for k, shown in ((1 / p, f"1/{name}"), (1 / (1 - p), f"1/(1 - {name})")):
                        found.append((f"{words} times {shown}", slots, lambda v, k=k: v * k))
        elif value.dtype.kind == "f" and (value > 0).any() and (value <= 0).any():
            found.append((f"{words} > 0", slots, lambda v: v > 0))
    for call in tape.calls[: tape.half]:
        if isinstance(call.made, int) and getattr(_made(tape, call), "dtype", None) == bool:
            found.append((str(call.site), [call.made], lambda v: v))
    return found


def _one_where(of: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value, other: np.where(of(other), 1.0, value)


def _masked(site: Site, position: int | None, slots: list[int], of: Any, replace: bool,
            join: Any = None) -> Callable:  # fmt: skip
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = slots[i] if len(slots) == len(calls) else slots[0]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                if join is not None:
                    change = _changed(position, lambda v: join(v, env[slot]))
                else:
                    mask = of(env[slot])
                    change = _changed(position, lambda v: mask if replace else v * mask)
                return change(call, args, kwargs, env)

            made[call.number] = edit
        return made

    return make


DERIVED: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("{}", lambda v: v),
    ("1 / {}", lambda v: 1 / v),
    ("1 - {}", lambda v: 1 - v),
    ("1 - {}**2", lambda v: 1 - v * v),
)


def values(bench: Bench) -> Iterator[Trial]:
    """A contribution times a value of the forward that was forgotten (a local derivative)."""
    tape = bench.first
    stock = [(w, s) for w, s in _stock(bench) if _is_float(tape.values[s[0]])]
    for name in bench.case.wrong:
        shape = bench.case.points[0].values[name].shape
        for (form, of), (words, slots) in itertools.product(DERIVED, stock):
            if not _spreads(np.shape(tape.values[slots[0]]), shape):
                continue

            def finish(tape: Tape, env: list, claims: dict, name: str = name, of: Any = of,
                       slots: list = slots) -> dict:  # fmt: skip
                return {**claims, name: np.asarray(claims[name]) * of(env[slots[0]])}

            yield Trial(*_factor(form, words), None, lambda tape: {}, finish)
    for site, calls, position in places(bench):
        value = _value_at(tape, calls[0], position)
        for (form, of), (words, slots) in itertools.product(DERIVED, stock):
            if _spreads(np.shape(tape.values[slots[0]]), np.shape(value)):
                yield Trial(*_factor(form, words), site,
                            _masked(site, position, slots, of, False))  # fmt: skip


def _factor(form: str, words: str) -> tuple[str, float, str]:
    if form.startswith("1 / "):
        return "extra_factor", 2.0, f"without the factor {words}, it"
    return "missing_factor", 1.9, f"the missing factor {form.format(words)}"


def _spreads(small: tuple, large: tuple) -> bool:
    return len(small) <= len(large) and all(
        a in (1, b) for a, b in zip(reversed(small), reversed(large))
    )


# ----- indices -----


def indices(bench: Bench) -> Iterator[Trial]:
    """Slices and whole numbers that are off: by one or two, scaled, reversed."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name not in ("getitem", "setitem", "add.at", "index", "select"):
            continue
        if len(call.args) < 2:
            continue
        keys = _listed(call.args[1])
        both = _same_element(bench.first, calls)
        for k in range(len(keys)):
            for words, change in KEY_CHANGES:
                edit = _with(1, lambda key, k=k, change=change: _rekeyed(key, (k,), change))
                yield _keyed(site, both, "index_error", 2.1, f"{words} at axis {k}", edit)
            yield _keyed(site, both, "index_error", 2.1, f"one index per row at axis {k}", _paired(k))
        if len(keys) > 1:
            numeric = tuple(k for k in range(len(keys)) if keys[k] is not None)
            for chosen in (numeric, numeric[-2:], numeric[:2]):
                for words, change in KEY_CHANGES:
                    edit = _with(1, lambda key, c=chosen, change=change: _rekeyed(key, c, change))
                    yield _keyed(site, both, "index_error", 2.15, f"{words} at axes {chosen}", edit)
            for i, j in itertools.combinations(range(len(keys)), 2):
                edit = _with(1, lambda key, i=i, j=j: _swapped(key, i, j))
                yield _keyed(site, both, "index_error", 2.1, f"indices {i} and {j} swapped", edit)


def flips(bench: Bench) -> Iterator[Trial]:
    """A contribution that runs the other way, a roll the other way, a sum from the other end."""
    for site, calls, position in places(bench):
        n = np.ndim(_value_at(bench.first, calls[0], position))
        for axis in range(n):
            edit = _changed(position, lambda v, axis=axis: np.flip(v, axis))
            yield _simple(site, "index_error", 2.12, f"reversed along axis {axis}", edit)
    for site, calls in sites(bench):
        if calls[0].name == "roll":
            edit = _with(1, lambda shift: -shift)
            yield _simple(site, "index_error", 2.1, "rolling the other way", edit)
        elif calls[0].name in ("cumsum", "cumprod"):
            for axis in range(np.ndim(_value_at(bench.first, calls[0], 0))):

                def back(call: Call, args: list, kwargs: dict, env: list, axis: int = axis) -> Any:
                    turned = call.function(np.flip(args[0], axis), *args[1:], **kwargs)
                    return np.flip(turned, axis)

                yield _simple(site, "index_error", 2.1, "summing from the other end", back)


def _same_element(tape: Tape, calls: list[Call]) -> list[int]:
    """Calls that read or write the same element as these: `x[i] += 1` reads and writes."""
    keys = [(c.args[0], c.args[1]) for c in calls]
    return [
        c.number
        for c in tape.calls[tape.half :]
        if c.name in ("getitem", "setitem") and any(c.args[:2] == k for k in keys)
    ]


def _keyed(site: Site, numbers: list[int], name: str, order: float, words: str,
           edit: Edit) -> Trial:  # fmt: skip
    def make(tape: Tape) -> dict[int, Edit]:
        found = _everywhere(site.calls(tape), edit)
        return found if not found else {**dict.fromkeys(numbers, edit), **found}

    return Trial(name, order, words, site, make)


def _paired(k: int) -> Edit:
    """`x[arange(n), y]` for `x[:, y]`."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        key = list(_listed(args[1]))
        if not (isinstance(key[k], slice) and key[k] == slice(None)):
            raise ValueError("not a whole axis")
        key[k] = np.arange(np.shape(args[0])[k])
        return call.function(args[0], tuple(key), *args[2:], **kwargs)

    return edit


def _rekeyed(key: Any, chosen: tuple[int, ...], change: Callable[[Any], Any]) -> Any:
    if not isinstance(key, tuple):
        return change(key)
    return tuple(change(part) if k in chosen else part for k, part in enumerate(key))


def _swapped(key: tuple, i: int, j: int) -> tuple:
    parts = list(key)
    parts[i], parts[j] = parts[j], parts[i]
    return tuple(parts)


def _moved(d: int, start: bool = True, stop: bool = True) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice):
            low = part.start + d if start and part.start is not None else part.start
            low = d if start and part.start is None and d > 0 else low
            high = part.stop + d if stop and part.stop is not None else part.stop
            high = d if stop and part.stop is None and d < 0 else high
            if high is not None and high >= 0 > (part.stop or 0):
                high = None  # moved over the end
            return slice(low, high, part.step)
        if isinstance(part, (bool, np.bool_)) or part is None or part is Ellipsis:
            return part
        if isinstance(part, (list, range)):
            return [p + d for p in part]
        return part + d

    return change


def _scaled(m: int) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice) and part.start is not None and part.stop is not None:
            return slice(part.start * m, part.start * m + part.stop - part.start, part.step)
        return part

    return change


def _shrunk(m: int) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice) and part.start is not None and part.stop is not None:
            low = part.start // m
            return slice(low, low + part.stop - part.start, part.step)
        return part

    return change


def _reversed(part: Any) -> Any:
    if isinstance(part, slice):
        if part.step in (None, 1) and part.start is None and part.stop is None:
            return slice(None, None, -1)
        return slice(None, None, 1) if part.step == -1 else part
    return part


KEY_CHANGES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    *((f"{d:+d}", _moved(d)) for d in (1, -1, 2, -2)),
    *((f"start {d:+d}", _moved(d, stop=False)) for d in (1, -1, 2)),
    *((f"stop {d:+d}", _moved(d, start=False)) for d in (1, -1, 2)),
    ("reversed", _reversed),
    *((f"start times {m}", _scaled(m)) for m in (2, 3)),
    *((f"start by {m}", _shrunk(m)) for m in (2, 3)),
)

# In the order in which they are tried, with the earliest order that a family can find.
FAMILIES: tuple[tuple[float, Callable[[Bench], Iterator[Trial]]], ...] = (
    (1.2, accumulations),
    (1.3, factors),
    (1.35, stores),
    (1.4, transposes),
    (1.5, axes),
    (1.55, sums),
    (1.6, saved_values),
    (1.7, removals),
    (1.72, masks),
    (1.9, values),
    (2.1, indices),
    (2.1, flips),
)
