"""A tape: the calls that a forward and a backward made, which can be run again with edits.

Values are numbered; a call names the numbers it read and made. Real calls are repeated on fresh
copies of the sources, so writing in place and windows into arrays come back by themselves.
Knows no array library: trace_numpy.py and trace_tensor.py write tapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

Edit = Callable[["Call", list, dict, list], Any]
Swaps = Mapping[int, "int | Callable[[list], Any]"]


class Ref(NamedTuple):
    """The value with that number, or a window into its memory."""

    slot: int
    window: Any = None  # (offset in bytes, shape, strides, dtype)


class Site(NamedTuple):
    """A place in the source: the innermost user code and instruction, and its callers."""

    code: Any
    instruction: int
    callers: tuple

    @property
    def line(self) -> int:
        """The line number."""
        last = self.code.co_firstlineno
        for start, end, number in self.code.co_lines():
            if start <= self.instruction < end and number is not None:
                return int(number)
        return int(last)

    @property
    def text(self) -> str:
        """The source line, where it can be read."""
        import linecache

        return linecache.getline(self.code.co_filename, self.line).strip()

    def __str__(self) -> str:
        text = self.text
        where = f"line {self.line} of {self.code.co_name}"
        return f"`{text}` ({where})" if text else where


@dataclass(slots=True)
class Call:
    """One call: the function, what it read, the numbers of what it made."""

    function: Callable[..., Any]
    name: str
    args: tuple
    kwargs: dict
    made: Any  # a slot, None, or a nested tuple of them
    site: Site
    number: int = 0
    note: Any = None  # what the library's own replay needs


@dataclass
class Tape:
    """Calls in order; `half` is where the backward begins."""

    calls: list[Call]
    sources: dict[int, Any]  # slot -> value before the first call
    inputs: dict[str, int]
    half: int
    outputs: list[Any]
    claims: dict[str, Any]
    count: int
    seeds: set[int]
    fresh: Callable[[Any], Any] = lambda v: np.array(v) if isinstance(v, np.ndarray) else v
    plain: Callable[[Any], np.ndarray] = np.asarray
    given: Callable[[Any], Any] = np.array

    def run(self, edits: dict[int, Edit] | None = None,
            given: dict[str, Any] | None = None) -> list[Any]:  # fmt: skip
        """The values of all slots, with some calls edited and some inputs changed."""
        return self._play(self._start(given), self.calls, edits)

    def run_forward(self, edits: dict[int, Edit] | None = None,
                    given: dict[str, Any] | None = None) -> list[Any]:  # fmt: skip
        """The same, without the backward."""
        return self._play(self._start(given), self.calls[: self.half], edits)

    def run_backward(self, edits: dict[int, Edit] | None = None,
                     swaps: Swaps | None = None,
                     only: list[Call] | None = None) -> list[Any]:  # fmt: skip
        """The same as `run` with edits in the backward only, without doing the forward again.

        `swaps`: slots that the backward reads as another slot, or as a function of the slots.
        `only`: the calls to make, where not all of them are of interest.
        """
        env = self.run_forward() if self._writes_back else list(self._middle)
        for slot in self._late_sources:
            env[slot] = self.fresh(self.sources[slot])
        if swaps:
            kept = {
                old: env[new] if isinstance(new, int) else new(env) for old, new in swaps.items()
            }
            for old, value in kept.items():
                env[old] = value
        return self._play(env, self.calls[self.half :] if only is None else only, edits)

    def needed(self, names: tuple[str, ...]) -> list[Call]:
        """The calls of the backward that some of the claims depend on."""
        slots = set().union(*(self.parents(n) for n in names))
        return [
            c for c in self.calls[self.half :]
            if slots.intersection(slots_of(c.made)) or slots & written(c)
        ]  # fmt: skip

    def _start(self, given: dict[str, Any] | None) -> list[Any]:
        env: list[Any] = [None] * self.count
        for slot, value in self.sources.items():
            env[slot] = self.fresh(value)
        for name, value in (given or {}).items():
            if name in self.inputs:
                env[self.inputs[name]] = self.given(value)
        return env

    def _play(self, env: list[Any], calls: list[Call], edits: dict[int, Edit] | None) -> list[Any]:
        with np.errstate(all="ignore"):
            for call in calls:
                args = [resolve(a, env) for a in call.args]
                kwargs = {k: resolve(v, env) for k, v in call.kwargs.items()}
                edit = edits.get(call.number) if edits else None
                if edit is None:
                    result = call.function(*args, **kwargs)
                else:
                    result = edit(call, args, kwargs, env)
                _store(call.made, result, env)
        return env

    @cached_property
    def values(self) -> list[Any]:
        """What every slot holds at the end of an unedited run."""
        return self.run()

    @cached_property
    def _middle(self) -> list[Any]:
        env = self.run_forward()
        for value in env:  # an edit that writes into them fails, instead of spoiling later ones
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return env

    @cached_property
    def _late_sources(self) -> set[int]:
        """Sources that only the backward reads."""
        read = {r.slot for c in self.calls[: self.half] for r in refs([*c.args, c.kwargs])}
        return set(self.sources) - read

    @cached_property
    def _writes_back(self) -> bool:
        """Whether the backward writes into what the forward made."""
        made = {s for c in self.calls[: self.half] for s in slots_of(c.made)}
        old = made | (set(self.sources) - self._late_sources)
        for call in self.calls[self.half :]:
            if call.name in WINDOWS and any(r.slot in old for r in refs(call.args[0])):
                old.update(slots_of(call.made))
            if any(slot in old for slot in written(call)):
                return True
        return False

    def claimed(self, env: list[Any]) -> dict[str, Any]:
        """The gradients in a run, as plain arrays."""
        found = {}
        for name, ref in self.claims.items():
            value = resolve(ref, env)
            found[name] = None if value is None else self.plain(value)
        return found

    def returned(self, env: list[Any]) -> list[np.ndarray]:
        """The outputs in a run, as plain arrays."""
        return [np.asarray(self.plain(resolve(ref, env))) for ref in self.outputs]

    @cached_property
    def sites(self) -> dict[Any, list[Call]]:
        """Backward calls by place in the source, whoever called it."""
        return _grouped(self.calls[self.half :], callers=False)

    @cached_property
    def narrow_sites(self) -> dict[Any, list[Call]]:
        """Backward calls by place and callers, where that tells more."""
        wide = {tuple(c.number for c in g) for g in self.sites.values()}
        narrow = _grouped(self.calls[self.half :], callers=True)
        return {k: g for k, g in narrow.items() if tuple(c.number for c in g) not in wide}

    @cached_property
    def forward_sites(self) -> dict[Any, list[Call]]:
        """Forward calls by place in the source, then also by callers."""
        wide = _grouped(self.calls[: self.half], callers=False)
        seen = {tuple(c.number for c in g) for g in wide.values()}
        narrow = _grouped(self.calls[: self.half], callers=True)
        extra = {k: g for k, g in narrow.items() if tuple(c.number for c in g) not in seen}
        return {**wide, **extra}

    def parents(self, name: str) -> set[int]:
        """Slots that one claimed gradient depends on."""
        return _ancestors(self.calls, list(refs(self.claims[name])))

    @cached_property
    def live(self) -> set[int]:
        """Slots that the claimed gradients depend on."""
        return _ancestors(self.calls, [r for c in self.claims.values() for r in refs(c)])


def _grouped(calls: list[Call], callers: bool) -> dict[Any, list[Call]]:
    found: dict[Any, list[Call]] = {}
    for call in calls:
        site = call.site
        key = (site.code, site.instruction, call.name, site.callers if callers else ())
        found.setdefault(key, []).append(call)
    return found


def _ancestors(calls: list[Call], wanted: list[Ref]) -> set[int]:
    """Slots that the wanted ones are computed from; writing into one counts as computing it."""
    found = {r.slot for r in wanted}
    grown = True
    while grown:
        grown = False
        for call in reversed(calls):
            made = set(slots_of(call.made))
            read = [r.slot for a in (*call.args, *call.kwargs.values()) for r in refs(a)]
            touched = made | written(call)
            new = set(read) - found if touched & found else set()
            if call.name in WINDOWS and found.intersection(read[:1]):
                new |= made - found
            if new:
                found |= new
                grown = True
    return found


def last_needed(calls: list[Call], outputs: list[Any]) -> int:
    """How many of the calls were made when the outputs were complete."""
    found = _ancestors(calls, [r for o in outputs for r in refs(o)])
    last = [
        i for i, c in enumerate(calls, 1)
        if found.intersection(slots_of(c.made)) or found & written(c)
    ]  # fmt: skip
    return last[-1] if last else 0


def written(call: Call) -> set[int]:
    """Slots that a call changes in place."""
    found = {r.slot for r in refs(call.kwargs.get("out", ()))}
    if call.name in WRITERS:
        found |= {r.slot for r in refs(call.args[0])}
    return found


WRITERS = frozenset(("setitem", "add.at", "subtract.at", "multiply.at", "fill", "sort", "put"))
WINDOWS = frozenset(("getitem", "reshape", "transpose", "ravel", "squeeze", "swapaxes"))


def resolve(tree: Any, env: list[Any]) -> Any:
    """Replace references by values, in nested tuples, lists and slices."""
    kind = type(tree)
    if kind is Ref:
        value = env[tree.slot]
        return value if tree.window is None else window(value, tree.window)
    if kind is tuple:
        return tuple([resolve(t, env) for t in tree])
    if kind is list:
        return [resolve(t, env) for t in tree]
    if kind is dict:
        return {k: resolve(v, env) for k, v in tree.items()}
    return tree


def window(array: np.ndarray, place: tuple) -> np.ndarray:
    """Part of an array's memory, by offset, shape and strides."""
    offset, shape, strides, dtype = place
    flat = array.ravel(order="K")  # no copy: owners of memory are contiguous
    return np.ndarray(shape, dtype, buffer=flat.data, offset=offset, strides=strides)


def refs(tree: Any) -> Iterator[Ref]:
    """All references in a nested tree."""
    kind = type(tree)
    if kind is Ref:
        yield tree
    elif kind is tuple or kind is list:
        for t in tree:
            yield from refs(t)
    elif kind is dict:
        for t in tree.values():
            yield from refs(t)


def slots_of(made: Any) -> Iterator[int]:
    """The slots that a call made."""
    if isinstance(made, int):
        yield made
    elif made is not None:
        for m in made:
            yield from slots_of(m)


def _store(made: Any, result: Any, env: list[Any]) -> None:
    if made is None:
        return
    if isinstance(made, int):
        env[made] = result
        return
    for m, r in zip(made, result):
        _store(m, r, env)
