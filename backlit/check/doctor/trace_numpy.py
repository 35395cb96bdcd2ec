"""Writing a tape of plain NumPy code: arrays that note every call made on them.

`Traced` is an ndarray whose ufuncs, functions, methods, indexing and assignments pass through
the recorder; plain arrays that it meets become sources, and windows into them are found again
by their memory. NumPy's makers of arrays are wrapped while recording.
"""

from __future__ import annotations

import bisect
import dis
import functools
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from backlit.check.doctor.tape import Call, Ref, Site, Tape, last_needed
from backlit.errors import PACKAGE_FOLDER

NUMPY_FOLDER = np.__file__.rsplit("__init__", 1)[0]
MAKERS = ("zeros", "ones", "empty", "full", "eye", "identity", "array")
MATHS = ("exp", "log", "sqrt", "tanh", "sin", "cos", "tan", "sinh", "cosh", "log1p", "expm1", "pow",
         "fabs", "atan", "asin", "acos", "erf", "log2", "log10", "hypot", "prod")  # fmt: skip
METHODS = (
    "reshape", "transpose", "sum", "mean", "max", "min", "argmax", "argmin", "dot", "std", "var",
    "prod", "cumsum", "cumprod", "ravel", "flatten", "copy", "astype", "squeeze", "swapaxes",
    "repeat", "clip", "take", "trace", "diagonal", "argsort", "nonzero", "any", "all", "round",
    "fill", "sort",
)  # fmt: skip


class Traced(np.ndarray):
    """An array that tells a recorder what is done with it."""

    _slot: int | None
    _scalar: bool
    _recorder: Any

    def __array_finalize__(self, parent: Any) -> None:
        self._slot, self._scalar = None, False
        self._recorder = getattr(parent, "_recorder", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        out = kwargs.get("out")
        if isinstance(out, tuple) and all(o is None for o in out):
            kwargs.pop("out")
        return _recorder_of(inputs, kwargs).call(function, name, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        recorder = _recorder_of((self,), {})
        return recorder.call(function, function.__name__, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self._recorder.call(operator.getitem, "getitem", (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        self._recorder.call(operator.setitem, "setitem", (self, key, value), {})

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def item(self, *args: Any) -> Any:
        return self.view(np.ndarray).item(*args)

    def tolist(self) -> Any:
        return self.view(np.ndarray).tolist()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.item()) if self._scalar else id(self)

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    @property
    def T(self) -> Any:
        return self.transpose()


def _method(name: str) -> Callable[..., Any]:
    def function(x: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(x, name)(*args, **kwargs)

    def method(self: Traced, *args: Any, **kwargs: Any) -> Any:
        return self._recorder.call(function, name, (self, *args), kwargs)

    method.__name__ = name
    return method


def _in_place(name: str) -> Callable[..., Any]:
    plain, own = getattr(np.ndarray, f"__{name}__"), getattr(np.ndarray, f"__i{name}__")

    def method(self: Traced, other: Any) -> Any:  # a NumPy scalar is never changed in place
        return plain(self, other) if self._scalar else own(self, other)

    return method


for _name in METHODS:
    setattr(Traced, _name, _method(_name))
for _name in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod"):
    setattr(Traced, f"__i{_name}__", _in_place(_name))


def _recorder_of(inputs: tuple, kwargs: dict) -> Recorder:
    for x in (*inputs, *(kwargs.get("out") or ())):
        if isinstance(x, Traced) and x._recorder is not None:
            return x._recorder  # type: ignore[no-any-return]
    raise AssertionError("an array without a recorder")


class Recorder:
    """Numbers values and writes calls down."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.sources: dict[int, Any] = {}
        self.inputs: dict[str, int] = {}
        self.count = 0
        self.half = 0
        self._owners: dict[int, int] = {}  # id of an array that owns memory -> slot
        self.seeds: set[int] = set()
        self._alive: list[Any] = []
        self._unfilled: dict[int, np.ndarray] = {}

    def source(self, array: np.ndarray, name: str) -> Any:
        """A value that is given, not computed."""
        array = np.asarray(array)
        scalar = array.ndim == 0
        made = self._wrap(array, scalar)
        self.sources[made._slot] = array[()] if scalar else array.copy()
        if name:
            self.inputs[name] = made._slot
        return made

    def seed(self, array: np.ndarray) -> Any:
        """An upstream gradient."""
        made = self.source(array, "")
        self.seeds.add(made._slot)
        return made

    def halfway(self) -> None:
        """The forward is over."""
        self.half = len(self.calls)

    def finish(self, outputs: list[Any], claims: dict[str, Any]) -> Tape:
        """The tape, with what was returned."""
        outs = [self._lower(o)[0] for o in outputs]
        grads = {n: None if g is None else self._lower(g)[0] for n, g in claims.items()}
        for number, call in enumerate(self.calls):
            call.number = number
        # Gradients that the forward prepares already belong to the backward.
        self.half = min(self.half, last_needed(self.calls[: self.half], outs))
        return Tape(self.calls, self.sources, self.inputs, self.half, outs, grads, self.count,
                    self.seeds)  # fmt: skip

    def call(self, function: Any, name: str, args: tuple, kwargs: dict) -> Any:
        """Run a call on the bare arrays and note it."""
        originals: list[tuple[Any, Any]] = []
        tree, bare = self._lower(tuple(args), originals)
        named, bare_named = self._lower(dict(kwargs), originals)
        result = function(*bare, **bare_named)
        back = {id(raw): original for raw, original in originals}
        made, wrapped = self._raise(result, back)
        self.calls.append(Call(function, name, tree, named, made, site_of_caller()))
        return wrapped

    def _new(self) -> int:
        self.count += 1
        return self.count - 1

    def _wrap(self, array: np.ndarray, scalar: bool) -> Any:
        made = array.view(Traced)
        made._slot, made._scalar, made._recorder = self.adopt(array), scalar, self
        self._alive.append(made)
        return made

    def adopt(self, array: np.ndarray) -> int:
        """A number for an array that was just made."""
        slot = self._new()
        self._owners[id(array)] = slot
        self._alive.append(array)
        return slot

    def unfilled(self, array: np.ndarray) -> Any:
        """A new array without values; those that it has when first read are its own."""
        made = self._wrap(array, False)
        self._unfilled[made._slot] = array
        return made

    def give_array(self, array: np.ndarray, name: str) -> None:
        """An array that is given, not computed."""
        slot = self.adopt(array)
        self.sources[slot] = array.copy()
        if name:
            self.inputs[name] = slot

    def knows(self, array: np.ndarray) -> bool:
        """Whether the array has a number."""
        return id(array) in self._owners

    def traced(self, array: np.ndarray) -> Any:
        """A known array as one that notes what is done with it."""
        ref = self._ref(array)
        made = array.view(Traced)
        made._slot = ref.slot if ref.window is None else None
        made._scalar, made._recorder = False, self
        self._alive.append(made)
        return made

    def _raise(self, result: Any, back: dict[int, Any]) -> tuple[Any, Any]:
        """The slots of a result, and the result as the user gets it."""
        if isinstance(result, (tuple, list)):
            pairs = [self._raise(r, back) for r in result]
            values = [w for _, w in pairs]
            whole = values if isinstance(result, list) else tuple(values)
            return tuple(m for m, _ in pairs), whole
        if not isinstance(result, (np.ndarray, np.generic)):
            return None, result
        known = back.get(id(result))
        if known is not None:
            return (known._slot if isinstance(known, Traced) else None), known
        if isinstance(result, np.generic):
            made = self._wrap(np.asarray(result), True)
        else:
            made = self._wrap(result, False)
        return made._slot, made

    def _lower(self, tree: Any, originals: list | None = None) -> tuple[Any, Any]:
        """References instead of arrays, and bare arrays instead of traced ones."""
        if isinstance(tree, np.ndarray):
            bare = tree.view(np.ndarray) if isinstance(tree, Traced) else tree
            ref = self._ref(tree)
            if isinstance(tree, Traced) and tree._scalar:
                bare = bare[()]
            elif originals is not None:
                originals.append((bare, tree))
            return ref, bare
        if isinstance(tree, (tuple, list)) and type(tree) in (tuple, list):
            pairs = [self._lower(t, originals) for t in tree]
            kind = type(tree)
            return kind(r for r, _ in pairs), kind(b for _, b in pairs)
        if type(tree) is dict:
            both = {k: self._lower(v, originals) for k, v in tree.items()}
            return {k: r for k, (r, _) in both.items()}, {k: b for k, (_, b) in both.items()}
        if isinstance(tree, slice):
            plain = slice(*(_whole(x) for x in (tree.start, tree.stop, tree.step)))
            return plain, plain
        return tree, tree

    def _ref(self, array: np.ndarray) -> Ref:
        ref = self._find(array)
        if ref.slot in self._unfilled:
            self.sources[ref.slot] = self._unfilled.pop(ref.slot).copy()
        return ref

    def _find(self, array: np.ndarray) -> Ref:
        if isinstance(array, Traced) and array._slot is not None and array._recorder is self:
            return Ref(array._slot)
        if id(array) in self._owners:
            return Ref(self._owners[id(array)])
        owner: Any = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        slot = self._owners.get(id(owner))
        if slot is None:
            slot = self._new()
            bare = np.asarray(owner)
            self.sources[slot] = bare.copy() if bare.flags.c_contiguous else bare.copy(order="K")
            self._owners[id(owner)] = slot
            self._alive.append(owner)
        if array is owner or (array.shape == owner.shape and array.strides == owner.strides):
            return Ref(slot)
        offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        return Ref(slot, (offset, array.shape, array.strides, array.dtype))


def _whole(x: Any) -> Any:
    return int(x) if isinstance(x, np.ndarray) else x


def site_of_caller() -> Site:
    """The user's code on the stack, innermost first."""
    stack: list[tuple[Any, int]] = []
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(PACKAGE_FOLDER):
            if stack:
                break
        elif not name.startswith(NUMPY_FOLDER) and not name.startswith("<__array"):
            stack.append((frame.f_code, _instruction(frame.f_code, frame.f_lasti)))
        frame = frame.f_back
    if not stack:
        return Site(site_of_caller.__code__, 0, ())
    return Site(*stack[0], tuple(stack[1:]))


def _instruction(code: Any, last: int) -> int:
    """The instruction that an offset belongs to; calls that were inlined point behind it."""
    starts = _starts(code)
    return starts[max(bisect.bisect_right(starts, last) - 1, 0)]


@functools.cache
def _starts(code: Any) -> list[int]:
    return [i.offset for i in dis.get_instructions(code)]


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Arrays that this thread makes with `np.zeros` and its like are traced too."""
    thread = threading.get_ident()
    kept = {name: getattr(np, name) for name in MAKERS}

    def maker(name: str) -> Callable[..., Any]:
        function = kept[name]

        def make(*args: Any, **kwargs: Any) -> Any:
            user = not sys._getframe(1).f_code.co_filename.startswith(
                (NUMPY_FOLDER, PACKAGE_FOLDER)
            )
            if threading.get_ident() != thread or not user:
                return function(*args, **kwargs)
            if name == "empty":  # filled by whoever asked: a value of its own when first read
                return recorder.unfilled(function(*args, **kwargs))
            return recorder.call(function, name, args, kwargs)

        return make

    def scalar(function: Callable[..., Any]) -> Callable[..., Any]:
        def compute(*args: Any) -> Any:
            if not any(isinstance(a, Traced) for a in args):
                return function(*args)
            return recorder.call(_as_number(function), function.__name__, args, {})

        return compute

    functions = {name: getattr(math, name) for name in MATHS}
    for name in MAKERS:
        setattr(np, name, maker(name))
    for name, function in functions.items():
        setattr(math, name, scalar(function))
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(np, name, function)
        for name, function in functions.items():
            setattr(math, name, function)


def _as_number(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: np.float64(function(*args))
