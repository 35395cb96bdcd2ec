"""What the families of edits share: making an edit, and naming the places where it goes.

An edit replaces one call when a tape is run again; see tape.py.
Names no cause. Read next: repairs.py, and any family beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, sites
from backlit.check.doctor.tape import Call, Edit, Ref, Tape, resolve

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


def everywhere(calls: list[Call], edit: Edit) -> dict[int, Edit]:
    return {call.number: edit for call in calls}


def at_site(site: Site, name: str, order: float, words: str, edit: Edit) -> Trial:
    return Trial(name, order, words, site, lambda tape: everywhere(site.calls(tape), edit))


def with_argument(position: int, change: Callable[[Any], Any]) -> Edit:
    """The same call with one argument changed."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        args[position] = change(args[position])
        return call.function(*args, **kwargs)

    return edit


def with_result(change: Callable[[Any], Any]) -> Edit:
    """The same call with its result changed; a result written in place is changed in place."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        result = call.function(*args, **kwargs)
        if kwargs.get("out") is not None:
            result[...] = change(result)
            return result
        return change(result)

    return edit


def in_place(call: Call) -> bool:
    return call.kwargs.get("out") is not None


def is_float(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", "") == "f"


def made_by(tape: Tape, call: Call) -> Any:
    return tape.values[call.made] if isinstance(call.made, int) else None


def places(bench: Bench) -> Iterator[tuple[Site, list[Call], int | None]]:
    """Where a contribution passes: (site, calls, argument), None for the result."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in TERMS:
            if not in_place(call):
                yield site, calls, 0
            yield site, calls, 1
        elif call.name in STORES:
            yield site, calls, 2
        elif call.name in PRODUCTS | MATRIX | SUMS and is_float(made_by(bench.first, call)):
            yield site, calls, None
        elif call.name == "getitem" and is_float(made_by(bench.first, call)):
            yield site, calls, 0
        elif call.name == "where" and len(call.args) == 3:
            yield site, calls, 1
            yield site, calls, 2


def value_at(tape: Tape, call: Call, position: int | None) -> Any:
    if position is None:
        return made_by(tape, call)
    arg = call.args[position]
    return resolve(arg, tape.values) if isinstance(arg, Ref) else arg


def changed(position: int | None, change: Callable[[Any], Any]) -> Edit:
    return with_result(change) if position is None else with_argument(position, change)


def operands(bench: Bench) -> Iterator[tuple[Site, list[Call], int]]:
    """Arguments of arithmetic that come from the tape."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("zeros_like", "ones_like", "zeros", "copy", "astype", "reshape"):
            continue
        for position, arg in enumerate(call.args):
            if not isinstance(arg, Ref) or position > 2:
                continue
            if position == 0 and (in_place(call) or call.name in STORES):
                continue
            yield site, calls, position


def keys_of(key: Any) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def produced(tape: Tape, start: int, stop: int | None = None) -> list[list[int]]:
    """Slots of floats by the place that made them."""
    found: dict[Any, list[int]] = {}
    for call in tape.calls[start:stop]:
        if isinstance(call.made, int) and is_float(tape.values[call.made]):
            key = (call.site.code, call.site.instruction, call.name, call.site.callers)
            group = found.setdefault(key, [])
            if call.made not in group:
                group.append(call.made)
    return list(found.values())


def shape_at(tape: Tape, call: Call, position: int | None) -> tuple:
    """The shape of a contribution; of a number that is stored, that of the place."""
    value = value_at(tape, call, position)
    if call.name == "setitem" and np.ndim(value) == 0 and isinstance(call.args[0], Ref):
        key = resolve(call.args[1], tape.values)
        return np.shape(tape.values[call.args[0].slot][key])
    return np.shape(value)


def stock_of(bench: Bench) -> list[tuple[str, list[int]]]:
    """Values of the forward: inputs, constants and what it computed, with words for them."""
    tape = bench.first
    names = {slot: name for name, slot in tape.inputs.items()}
    late = tape._late_sources
    found: list[tuple[str, list[int]]] = [
        (names.get(s, "a constant of the forward"), [s]) for s in tape.sources if s not in late
    ]
    for group in produced(tape, 0, tape.half):
        call = next(c for c in tape.calls if c.made == group[0])
        found.append((f"{call.site}", group))
        if len(group) > 1:
            found += [(f"{call.site}", [s]) for s in (group[0], group[-1])]
    return found


def two_valued(value: Any) -> bool:
    """A mask: two values only."""
    if getattr(value, "dtype", None) is None or np.ndim(value) == 0:
        return False
    return value.dtype == bool or (
        value.dtype.kind == "f" and value.size > 2 and len(np.unique(value)) == 2
    )


def times_value(site: Site, position: int | None, slots: list[int], of: Any, replace: bool,
            join: Any = None) -> Callable:  # fmt: skip
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = slots[i] if len(slots) == len(calls) else slots[0]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                if join is not None:
                    change = changed(position, lambda v: join(v, env[slot]))
                else:
                    mask = of(env[slot])
                    change = changed(position, lambda v: mask if replace else v * mask)
                return change(call, args, kwargs, env)

            made[call.number] = edit
        return made

    return make


def same_element(tape: Tape, calls: list[Call]) -> list[int]:
    """Calls that read or write the same element as these: `x[i] += 1` reads and writes."""
    keys = [(c.args[0], c.args[1]) for c in calls]
    return [
        c.number
        for c in tape.calls[tape.half :]
        if c.name in ("getitem", "setitem") and any(c.args[:2] == k for k in keys)
    ]


def keyed(site: Site, numbers: list[int], name: str, order: float, words: str,
           edit: Edit) -> Trial:  # fmt: skip
    def make(tape: Tape) -> dict[int, Edit]:
        found = everywhere(site.calls(tape), edit)
        return found if not found else {**dict.fromkeys(numbers, edit), **found}

    return Trial(name, order, words, site, make)
