"""`bl.compile`: a function whose calls run as native code, one executable per signature.

The first call with a signature is recorded (step.py) and compiled (entry.py); later ones check
that what the step can read is as it was (guards.py) and run. A step that can't be compiled is
refused with its reason; one that would be compiled again and again runs as it is written.
"""

from __future__ import annotations

import copy
import functools
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.compiler import debug, unrolled
from backlit.compiler.build import build, passes_of
from backlit.compiler.call import Call, NotTaken, Quick
from backlit.compiler.entry import Entry, Stale
from backlit.compiler.explain import Explanation, explain
from backlit.compiler.guards import Item, Walk, differences, failed, restore
from backlit.compiler.step import Attempt, Step, finish, run_recorded
from backlit.config import flags
from backlit.errors import CaptureError, user_line
from backlit.state import changes, state
from backlit.tensor import Tensor, wrap

MOST = 8  # executables of one function that differ in more than their signature


def compile(fn: Any = None, *, name: str | None = None, disable: bool = False,
            **options: Any) -> Any:  # fmt: skip
    """A function, method or module whose calls run as native code; also a decorator.

    The first call is recorded and compiled; shapes, numbers, flags and modes that the code can
    read are guarded, and what changes is compiled anew. Raises CaptureError where the code reads
    values into Python. PyTorch's options (`mode`, `fullgraph`, `dynamic`, `backend`) are accepted.

    >>> @bl.compile
    ... def double(x):
    ...     return x + x
    >>> double(bl.tensor([1.0, 2.0]))
    tensor([2., 4.])
    """
    unknown = set(options) - {"fullgraph", "dynamic", "backend", "mode", "options"}
    if unknown:
        raise TypeError(f"compile() got an unexpected argument '{min(unknown)}'")
    if fn is None:
        return functools.partial(compile, name=name, disable=disable)
    if isinstance(fn, Compiled) or disable:
        return fn
    if not callable(fn):
        raise TypeError(f"compile: expected a function, method or module, got {type(fn).__name__}")
    return Compiled(fn, name)


class Compiled:
    """What `bl.compile` returns: call it like the function.

    `loop(*stacked)` runs the function for every entry of the leading axis in one native call;
    `explain()` tells what became of it. Attributes of a compiled module are the module's.
    """

    # one for all: functions share the blocks of the cells that they read and refill
    _lock = threading.RLock()

    def __init__(self, function: Callable[..., Any], name: str | None = None):
        shown = name or getattr(function, "__name__", None) or type(function).__name__.lower()
        self.function = function
        self.name = shown if shown.isidentifier() else "step"
        self.entries: dict[Any, list[Entry]] = {}
        self.last: Entry | None = None
        self.reason: str | None = None  # why calls run as they are written, if they do
        self._quick: Quick | None = None
        self._warmed: set[str] = set()
        self.pinned: dict[int, Any] = {}  # cells of arguments that the code also reaches by itself
        self._recompiled = 0
        if isinstance(function, (types.FunctionType, types.MethodType)):
            functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.observers or self.reason is not None or not flags.compile:
            return self.function(*args, **kwargs)
        with self._lock:
            quick = self._quick
            if quick is not None and not kwargs:
                found = quick.run(args)
                if found is not NotTaken:
                    return found
            return self._slow(args, kwargs)

    def loop(self, *stacked: Any, steps: int | None = None) -> Any:
        """Call for every entry of the leading axis of the tensors; results are stacked.

        A function without tensors among its arguments is called `steps` times.

        >>> total = bl.zeros(())
        >>> step = bl.compile(lambda x: total.add_(x))
        >>> step.loop(bl.tensor([1.0, 2.0, 3.0])).shape, total
        (backlit.Size([]), tensor(6.))
        """
        tensors = [t for t in stacked if isinstance(t, Tensor)]
        counts = {len(t) for t in tensors} | ({steps} if steps is not None else set())
        if len(counts) != 1:
            raise CaptureError(f"loop: the leading axes are {sorted(counts)}, not one number")
        count = counts.pop()
        if state.observers or self.reason is not None or not flags.compile or not count:
            return self._loop_eagerly(stacked, count)
        with self._lock:
            first = tuple(_first(t) if isinstance(t, Tensor) else t for t in stacked)
            call = Call(first, {}, self.pinned)
            entry = self._match(call)
            if entry is None:
                entry, warmed = self._compile(call)
                if entry is None:  # the first step ran as it is written
                    return self._loop_eagerly(stacked, count, warmed)
            arrays = [t.cell.array for t in tensors]
            if not entry.loops or len(call.tensors) != len(tensors):
                return self._loop_eagerly(stacked, count)
            flags_ = [True] * len(arrays)
            if not entry.collect(arrays, ()):
                return self._loop_eagerly(stacked, count)
            return entry.loop(arrays, flags_ + [False] * (len(arrays) - len(flags_)), count)

    def _loop_eagerly(self, stacked: tuple, count: int, *before: Any) -> Any:
        found = list(before)
        for i in range(len(found), count):
            found.append(self(*(wrap(t.cell.array[i]) if isinstance(t, Tensor) else t
                                for t in stacked)))  # fmt: skip
        return _stacked(found)

    # ----- choosing an executable -----

    def _slow(self, args: tuple, kwargs: dict) -> Any:
        call = Call(args, kwargs, self.pinned)
        entry = self._match(call)
        if entry is not None and flags.check:
            self._check_again(entry.captured, call)
        if entry is None:
            try:
                entry, result = self._compile(call)
            except _TooMany:
                return self.function(*args, **kwargs)
            if entry is None:
                return result
        arrays = call.arrays()
        entry.collect(arrays, call.tensors)
        self._quick = None if flags.check else Quick.of(entry, call)
        return entry.run(arrays, call.tensors)

    def _match(self, call: Call) -> Entry | None:
        entries = self.entries.get(call.key, ())
        walk: Walk | None = None
        self._why: str | None = None
        for entry in entries:
            if entry.count != changes.count or not entry.watches_hold():
                walk = walk or self._walk(call)
                why = failed(entry.walk.items, entry.states, entry.loose, walk)
                if why is not None:
                    self._why = why
                    continue
                entry.walk.watches = walk.watches
                if not entry.is_sound():
                    if not all(tensor.cell is cell for tensor, cell in entry.tensors):
                        self._why = "a tensor has other storage"
                        continue
                    try:
                        entry.make()
                    except Stale:
                        self._why = "a tensor has another shape or dtype"
                        continue
                entry.count = changes.count
            if not entry.grads_hold(call.tensors):
                self._why = "a gradient is there, or is not, or is another tensor"
            elif not call.fits(entry):
                self._why = "an argument is also a tensor that the step reads by itself"
            elif not entry.collect([], call.tensors):
                self._why = "a tensor has another shape or dtype"
            else:
                self.last = entry
                return entry
        return None

    def _walk(self, call: Call) -> Walk:
        return Walk([(self.name, self.function), *call.roots])

    # ----- capture -----

    def _compile(self, call: Call) -> tuple[Entry | None, Any]:
        """A new Entry; or None and the result of a call that ran as it is written."""
        entries = self.entries.setdefault(call.key, [])
        if entries:
            self._recompiled += 1
            if self._recompiled > MOST:
                self._give_up()
        before = self._walk(call)
        if call.reached(before, self.pinned):
            return self._compile(Call(call.args, call.kwargs, self.pinned))
        if before.iterators:
            raise CaptureError(
                f"the step reads from {before.iterators[0]}, an iterator, which goes on by itself",
                hint="take from it outside and pass the batch as an argument",
            )
        step, found = self._record(call, before)
        if step is None:
            return None, found
        if flags.check:
            step, found = self._check_again(step, call)
        unrolled.hint(step.program)
        entry = Entry(step, build)
        entry.captured = step if flags.check else None
        entry.walk = self._walk(call)
        entry.loose = set(found)
        entry.count = changes.count
        entries.append(entry)
        self.last = entry
        if debug.on(debug.KERNELS):
            debug.say(debug.KERNELS, f"kernels of {self.name}", self.explain())
        return entry, None

    def _check_again(self, step: Step, call: Call) -> tuple[Step, Any]:
        """Record once more; refuse a step that is not what it was."""
        from backlit.compiler.checking import compare_captures

        again, found = self._record(call, self._walk(call))
        compare_captures(step, again)
        return again, found

    def _record(self, call: Call, before: Walk) -> tuple[Any, Any]:
        """The Step of an eager run and the tensors that it replaced; or None and its result,
        where it set something up that is there from now on."""
        leaves, args, kwargs = call.as_leaves()
        attempt = run_recorded(
            lambda: self.function(*args, **kwargs), leaves, call.names,
            lambda cell: _identifier(before.cells.get(id(cell))),
        )  # fmt: skip
        try:
            after = self._walk(call)
            changed, kept = self._changed(before, after, attempt)
            if changed:
                again = [label for label in changed if label in self._warmed]
                if again:
                    self._refuse(again[0], before, after)
                self._warmed.update(changed)
                return None, attempt.result
        except BaseException:
            attempt.put_back()
            raise
        attributes = [(i.holder, i.key, i.value) for i in kept.values()]
        return finish(attempt, self.name, attributes), kept

    def _changed(
        self, before: Walk, after: Walk, attempt: Attempt
    ) -> tuple[list[str], dict[str, Item]]:
        """What the step changed that a compiled run would not, and tensors that it replaced."""
        recorder = attempt.recorder
        read = {id(cell) for _, cell in recorder.tensors.values()}
        changed, kept = [], {}
        for label in differences(before, after):
            old, new = before.items.get(label), after.items.get(label)
            tensors = old is not None and new is not None and (
                isinstance(old.value, Tensor) and isinstance(new.value, Tensor)
            )  # fmt: skip
            if old is None or new is None or not tensors:
                changed.append(label)
            elif old.value is new.value:  # its flags or hooks; storage is seen by the recorder
                if old.token[2] != new.token[2]:
                    changed.append(label)
            elif (
                old.token[2][:2] == new.token[2][:2]
                and id(old.value.cell) not in read
                and not recorder.is_old(new.value.cell)
                and isinstance(new.holder, dict)
            ):
                kept[label] = new
            else:
                changed.append(label)
        return changed, kept

    def _refuse(self, label: str, before: Walk, after: Walk) -> None:
        """Put back what is known of it, and say what the step changes."""
        restore(before, after)
        old = before.items.get(label)
        hint = "keep counts in a tensor (n += 1 refills it), or do it outside the step"
        if old is not None and isinstance(old.value, Tensor):
            hint = "refill it in place: old.copy_(new)"
        error = CaptureError(
            f"the step changes {label}, which a compiled run would not do again", hint=hint
        )
        error.place(user_line())
        raise error

    def _give_up(self) -> None:
        why = self._why or "another argument"
        self.reason = f"compiled {self._recompiled} times; the last guard that failed: {why}"
        warnings.warn(
            f"{self.name}: runs as it is written from now on, since it was {self.reason}",
            stacklevel=4,
        )
        raise _TooMany

    # ----- looking -----

    def explain(self, *, measure: bool = True) -> Explanation | None:
        """Passes, kernels, memory and calls back into Python of the executable that ran last;
        None before the first call. `measure` runs its tasks one by one and takes their time.

        >>> step = bl.compile(lambda x: x.exp() + 1)
        >>> step(bl.ones(3)); print(step.explain(measure=False)) # doctest: +ELLIPSIS
        tensor([3.7183, 3.7183, 3.7183])
        step(float32[3])
        instructions: 2 captured -> ...
        """
        if self.last is None:
            return None
        with self._lock:
            return explain(self.last.program, self.passes, self.last.executable, measure=measure)

    @property
    def program(self) -> Any:
        """The Program of the executable that ran last, as captured; None before the first call."""
        return self.last.program if self.last else None

    @property
    def passes(self) -> list[tuple[str, Any]]:
        """(name, Program) after each pass."""
        return passes_of(self.last.program) if self.last else []

    @property
    def executable(self) -> Any:
        """What runs; None before the first call."""
        return self.last.executable if self.last else None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        bound = Compiled(types.MethodType(self.function, instance), self.name)
        name = getattr(self.function, "__name__", "")
        if hasattr(instance, "__dict__") and name in vars(type(instance)):
            instance.__dict__[name] = bound  # found first from now on
        return bound

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "function" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.function, name)

    def __deepcopy__(self, memo: dict) -> Compiled:
        return Compiled(copy.deepcopy(self.function, memo), self.name)

    def __reduce__(self) -> Any:
        return Compiled, (self.function, self.name)

    def __repr__(self) -> str:
        return f"<compiled {self.function!r}>"


class _TooMany(Exception):
    """The function runs as it is written."""


def _identifier(label: str | None) -> str | None:
    """A label as the name of a Value: `model.0.weight` is `model_0_weight`."""
    if label is None:
        return None
    from backlit.program.text import is_name

    made = "".join(c if c.isalnum() else "_" for c in label).strip("_")
    while "__" in made:
        made = made.replace("__", "_")
    return made if is_name(made) else f"v_{made}" if is_name(f"v_{made}") else None


def _first(t: Tensor) -> Tensor:
    made = wrap(t.cell.array[0])
    made._requires_grad = t._requires_grad
    return made


def _stacked(results: list[Any]) -> Any:
    """Results of single steps with an axis of steps in front of every tensor."""
    first = results[0] if results else None
    if isinstance(first, Tensor):
        return wrap(np.stack([r.cell.array for r in results]))
    if isinstance(first, dict):
        return {k: _stacked([r[k] for r in results]) for k in first}
    if isinstance(first, (tuple, list)):
        return type(first)(_stacked(list(column)) for column in zip(*results))
    return first
