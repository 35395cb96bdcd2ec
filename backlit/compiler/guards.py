"""What a step can read beside its tensors: numbers, flags, strings and structures that Python sees.

`Walk` starts at the function and follows closures, globals, methods, modules, optimizers and the
attributes that the code names; every plain value that it meets is an item. Two walks with equal
items lead to the same Program. What no counter (`state.changes`) covers is also a watch, which
a call compares by identity. Next: compile.py.
"""

from __future__ import annotations

import dis
import enum
import functools
import io
import random
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterator
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from backlit import dtypes as dt
from backlit.compiler.cells import spec_of_cell
from backlit.errors import PACKAGE_FOLDER
from backlit.random import Generator
from backlit.tensor import HookHandle, Tensor

_PLAIN = (int, float, complex, bool, str, bytes, type(None), type(...), range, slice, dt.dtype,
          np.dtype, np.generic)  # fmt: skip
_SMALL = 1 << 16  # bytes of a NumPy array that are compared at every call
_MANY = 4096  # elements of a container that are looked at one by one
_OWN = ("_version", "_root_path", "_modules", "_parameters", "_buffers", "_in_step", "_opt_called",
        "_non_persistent_buffers", "_cells", "defaults")  # fmt: skip


class Item(NamedTuple):
    """One value: what is compared, where it is kept, and whether a guard compares it."""

    token: Any
    holder: Any
    key: Any
    value: Any
    guarded: bool = True


class Watch(NamedTuple):
    """Places and what was there: `get(key)` of each must give the same objects."""

    get: Any
    keys: tuple
    values: tuple

    def holds(self) -> bool:
        return all(map(is_, map(self.get, self.keys), self.values))


class Walk:
    """The items and watches that are reached from `roots`, pairs of a label and an object."""

    def __init__(self, roots: list[tuple[str, Any]]):
        self.items: dict[str, Item] = {}
        self.watches: list[Watch] = []
        self.cells: dict[int, str] = {}  # labels of the cells of tensors
        self.iterators: list[str] = []
        self.contents: list[tuple[Any, Any]] = []  # lists and dicts, and copies of them
        self._names: set[str] = {"forward", "__call__"}
        self._seen: dict[int, Any] = {}  # an id is only good while its object lives
        self._objects: list[tuple[str, Any, set[str]]] = []
        for label, root in roots:
            self._visit(label, root, None, None)
        self._follow_names()

    # ----- kinds of values -----

    def _visit(self, label: str, x: Any, holder: Any, key: Any) -> None:
        if isinstance(x, Tensor):
            self._tensor(label, x, holder, key)
        elif isinstance(x, (*_PLAIN, enum.Enum)):
            token = (type(x), repr(x) if isinstance(x, float) else x)
            if isinstance(x, (slice, np.generic)):
                token = (type(x), repr(x))
            self.items[label] = Item(token, holder, key, x)
        elif id(x) in self._seen:
            self.items[label] = Item(("object", id(x)), holder, key, x)
        else:
            self._seen[id(x)] = x
            self._compound(label, x, holder, key)

    def _compound(self, label: str, x: Any, holder: Any, key: Any) -> None:
        token: Any = (type(x).__name__, id(x))
        if type(x).__module__ == "backlit.compiler.compile":
            self._visit(label, x.function, None, None)
        elif isinstance(x, types.FunctionType):
            self._function(label, x)
        elif isinstance(x, types.MethodType):
            token = ("method", id(x.__self__), id(x.__func__))
            self._visit(label.rpartition(".")[0] or "self", x.__self__, None, None)
            self._visit(label, x.__func__, None, None)
        elif isinstance(x, functools.partial):
            for name, part in (("func", x.func), ("args", x.args), ("keywords", x.keywords)):
                self._visit(f"{label}.{name}", part, None, None)
        elif isinstance(x, (dict, list, tuple, set, frozenset, deque)) and not _is_group(x):
            token = (type(x).__name__, len(x))
            self._container(label, x)
        elif isinstance(x, np.ndarray):
            token = self._array(x)
        elif isinstance(x, (np.random.Generator, np.random.RandomState, random.Random)):
            source: Any = getattr(x, "bit_generator", x)
            token = ("random", repr(getattr(source, "state", None) or source.getstate()))
        elif isinstance(x, Generator):
            pass  # the recorder knows what is drawn from it
        elif _is_module(x):
            self._module(label, x)
        elif hasattr(x, "param_groups") and hasattr(x, "state"):
            self._optimizer(label, x)
        elif isinstance(x, type):
            self._objects.append((label, x, set()))
        elif isinstance(x, types.ModuleType):
            if not _is_library(x.__name__):
                self._objects.append((label, x, set()))
        elif isinstance(x, Iterator) and not isinstance(x, io.IOBase):
            self.iterators.append(label)
        elif isinstance(getattr(x, "__wrapped__", None), types.FunctionType):
            self._visit(label, x.__wrapped__, None, None)  # of functools.cache, for example
        else:
            self._object(label, x)
        self.items.setdefault(label, Item(token, holder, key, x))

    def _tensor(self, label: str, x: Tensor, holder: Any, key: Any) -> None:
        cell = x.cell
        shape, dtype = spec_of_cell(cell)
        hooks = tuple(map(id, (*(x._hooks or ()), *x.__dict__.get("_accumulated", ()))))
        flags = (shape, dtype, x._requires_grad, x.node is None, hooks)
        self.items[label] = Item(("tensor", id(cell), flags), holder, key, x)
        known = self.cells.get(id(cell))
        if known is None or "param_groups" in known:
            self.cells[id(cell)] = label
        for hook in (*(x._hooks or ()), *x.__dict__.get("_accumulated", ())):
            self._visit(f"a hook of {label}", hook, None, None)

    def _function(self, label: str, function: Any) -> None:
        """Its closure, and if it is the user's own, what its code names."""
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            try:
                content = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            self._visit(name, content, cell, "cell_contents")
            self.watches.append(Watch(lambda _, c=cell: c.cell_contents, (0,), (content,)))
        if _is_foreign(code.co_filename):
            return
        attributes, names = _names_of(code)
        self._names |= attributes
        space = function.__globals__
        known = tuple(n for n in sorted(names) if n in space and not _is_library_value(space[n]))
        for name in known:
            self._visit(name, space[name], space, name)
        if known:
            self.watches.append(Watch(space.get, known, tuple(space[n] for n in known)))
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for i, value in enumerate(defaults):
            self._visit(f"{label}: default {i}", value, None, None)

    def _container(self, label: str, x: Any) -> None:
        if isinstance(x, (dict, list)):
            self.contents.append((x, x.copy()))
        if isinstance(x, dict):
            keys, values = tuple(x), tuple(x.values())
            self._watch(lambda: len(x) == len(keys) and all(map(is_, map(x.get, keys), values)))
            for name, value in zip(keys, values):
                part = (
                    f"[{name!r}]" if isinstance(name, (str, int, float, bool, tuple)) else "[...]"
                )
                self._visit(label + part, value, x, name)
        elif isinstance(x, (list, tuple, deque)):
            content = tuple(x)
            if not isinstance(x, tuple):
                self._watch(lambda: len(x) == len(content) and all(map(is_, x, content)))
            for i, value in enumerate(content[:_MANY]):
                self._visit(f"{label}[{i}]", value, x, i)
            if len(content) > _MANY:
                rest = ("rest", tuple(map(id, content)))
                self.items[f"{label} (its end)"] = Item(rest, None, None, content)
        else:
            elements = frozenset(x)
            self._watch(lambda: x == elements)
            plain = ("elements", tuple(sorted(map(repr, x))))
            self.items[f"{label} (elements)"] = Item(plain, None, None, None)

    def _watch(self, holds: Any) -> None:
        self.watches.append(Watch(lambda _: holds(), (0,), (True,)))

    def _array(self, x: np.ndarray) -> Any:
        """The content of an array; of a large one, elements from all over it."""
        step = 1 if x.nbytes <= _SMALL else x.size // _MANY

        def content() -> bytes:
            return x.tobytes() if step == 1 else x.flat[::step].tobytes()

        now = content()
        self._watch(lambda: content() == now)
        return ("array", 0 if step == 1 else id(x), x.shape, x.dtype, now)

    # ----- modules, optimizers, other objects -----

    def _module(self, label: str, module: Any) -> None:
        for name, value in vars(module).items():
            if name in _OWN or isinstance(value, HookHandle):
                continue
            if name.endswith("_hooks"):
                self._hooks(f"{label}.{name}", value)
            elif not _is_other_object(value) or name in self._names:
                self._visit(f"{label}.{name}", value, vars(module), name)
            else:
                self._objects.append((label, module, set()))
        for table in ("_parameters", "_buffers", "_modules"):
            for name, value in vars(module)[table].items():
                self._visit(f"{label}.{name}", value, vars(module)[table], name)
        self._methods(label, module)

    def _hooks(self, label: str, table: dict) -> None:
        self.items[label] = Item(("hooks", tuple(table)), None, None, None)
        for hook in table.values():
            function = getattr(hook, "function", hook)  # some tables hold the callables themselves
            self._visit(f"{label}: {getattr(function, '__name__', 'hook')}", function, None, None)

    def _optimizer(self, label: str, optimizer: Any) -> None:
        fields = vars(optimizer)
        for name, value in fields.items():
            if name.endswith("_hooks"):
                self._hooks(f"{label}.{name}", value)
            elif name not in (*_OWN, "state", "param_groups"):
                self._visit(f"{label}.{name}", value, fields, name)
        for i, group in enumerate(optimizer.param_groups):
            self._group(f"{label}.param_groups[{i}]", group)
        own = not _is_library(type(optimizer).__module__)
        for i, (key, entries) in enumerate(optimizer.state.items()):
            if isinstance(entries, dict):
                for name, value in entries.items():
                    self._visit(f"{label}.state[{i}][{name!r}]", value, entries, name)
                if own and type(entries) is dict:
                    self.watches.append(Watch(entries.get, tuple(entries), tuple(entries.values())))
            del key
        kept = tuple(k for k in fields if k not in _OWN)
        self.watches.append(Watch(fields.get, kept, tuple(fields[k] for k in kept)))
        self._methods(label, optimizer)

    def _group(self, label: str, group: dict) -> None:
        cells = getattr(group, "_cells", {})
        for name, value in group.items():
            if name == "params":
                for i, p in enumerate(value):
                    self._visit(f"{label}['params'][{i}]", p, value, i)
                continue
            self._visit(f"{label}[{name!r}]", value, group, name)
            for t in cells.get(name, ()):
                self.cells[id(t.cell)] = f"{label}[{name!r}]"
            if name in cells and not isinstance(value, Tensor):
                for found in [k for k in self.items if k.startswith(f"{label}[{name!r}]")]:
                    self.items[found] = self.items[found]._replace(guarded=False)
        if type(group) is dict:  # of an optimizer of the user's own: writes are not counted
            self.watches.append(Watch(group.get, tuple(group), tuple(group.values())))

    def _object(self, label: str, x: Any) -> None:
        if not type(x).__module__.startswith("backlit.optim."):
            self._objects.append((label, x, set()))
            self._methods(label, x)
            return
        fields = vars(x)  # a schedule: its own code reads and counts
        for name, value in fields.items():
            self._visit(f"{label}.{name}", value, fields, name)
        self.watches.append(Watch(fields.get, tuple(fields), tuple(fields.values())))

    def _methods(self, label: str, x: Any) -> None:
        if not _is_library(type(x).__module__):
            self._objects.append((label, type(x), set()))

    def _follow_names(self) -> None:
        """Attributes that the code names, until no new ones are met."""
        count = -1
        while count != (count := len(self._names) + len(self._objects)):
            for label, x, done in list(self._objects):
                for name in sorted(self._names - done):
                    done.add(name)
                    self._attribute(label, x, name)

    def _attribute(self, label: str, x: Any, name: str) -> None:
        if isinstance(x, type):
            for cls in x.__mro__:
                if name in vars(cls) and not _is_library(cls.__module__):
                    self._class_attribute(label, cls, name)
                    return
            return
        fields = getattr(x, "__dict__", None)
        if fields is not None and name in fields:
            value = fields[name]
        elif name in getattr(type(x), "__slots__", ()) and hasattr(x, name):
            value = getattr(x, name)
            self.watches.append(Watch(lambda n: getattr(x, n, None), (name,), (value,)))
        else:
            if hasattr(type(x), name) and fields is not None and not _is_module(x):
                self.watches.append(Watch(fields.get, (name,), (None,)))  # it may get its own
            return
        if _is_library_value(value):
            return
        self._visit(f"{label}.{name}", value, fields, name)
        if not _is_module(x) and fields is not None:
            self.watches.append(Watch(fields.get, (name,), (value,)))

    def _class_attribute(self, label: str, cls: type, name: str) -> None:
        value = vars(cls)[name]
        bare = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        self._visit(f"{cls.__name__}.{name}", bare, cls, name)
        if isinstance(value, _PLAIN):
            self.watches.append(Watch(vars(cls).get, (name,), (value,)))


# ----- what is whose -----

_PATHS = sysconfig.get_paths()
_LIBRARIES = (PACKAGE_FOLDER, "<frozen", *(_PATHS[k] for k in ("stdlib", "purelib", "platlib")))


@functools.cache
def _names_of(code: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Attributes and globals that a code object and those within it name."""
    attributes, names = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(instruction.argval)
        elif "ATTR" in instruction.opname or "METHOD" in instruction.opname:
            attributes.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            more, others = _names_of(constant)
            attributes |= more
            names |= others
    return frozenset(attributes), frozenset(names)


def _is_foreign(filename: str) -> bool:
    """Whether code is Backlit's, Python's or an installed package's."""
    return filename.startswith(_LIBRARIES)


@functools.cache
def _is_library(module: str) -> bool:
    top = module.partition(".")[0]
    if top in ("backlit", "builtins", "numpy") or top in sys.stdlib_module_names:
        return module != "__main__"
    found = sys.modules.get(top)
    return _is_foreign(str(getattr(found, "__file__", None) or ""))


def _is_library_value(x: Any) -> bool:
    if isinstance(x, types.ModuleType):
        return _is_library(x.__name__)
    if isinstance(x, (types.FunctionType, type)):
        return _is_library(str(x.__module__))
    return isinstance(x, types.BuiltinFunctionType)


def _is_module(x: Any) -> bool:
    return hasattr(type(x), "named_modules") and "_modules" in getattr(x, "__dict__", {})


def _is_group(x: Any) -> bool:
    return hasattr(x, "_cells")


def _is_other_object(x: Any) -> bool:
    """Whether a value is none of the kinds that a module usually keeps."""
    kinds = (Tensor, *_PLAIN, enum.Enum, dict, list, tuple, set, frozenset, np.ndarray)
    functions = (types.FunctionType, types.MethodType, functools.partial, type)
    return not (isinstance(x, (*kinds, *functions)) or _is_module(x))


# ----- two walks -----


def differences(before: Walk, after: Walk) -> list[str]:
    """Labels of what is not the same."""
    labels = {**before.items, **after.items}
    return [k for k in labels if _token(before, k) != _token(after, k)]


def _token(walk: Walk, label: str) -> Any:
    found = walk.items.get(label)
    return None if found is None else found.token


def restore(before: Walk, after: Walk) -> None:
    """Put plain values, lists and dicts back as they were, as far as they can be set."""
    for name in differences(before, after):
        old = before.items.get(name)
        if old is not None and old.holder is not None:
            _set(old)
    for container, content in before.contents:
        if isinstance(container, list):
            container[:] = content
        elif len(container) != len(content):
            container.clear()
            container.update(content)


def _set(item: Item) -> None:
    try:
        if isinstance(item.holder, types.CellType):
            item.holder.cell_contents = item.value
        elif isinstance(item.holder, type):
            setattr(item.holder, item.key, item.value)
        else:
            item.holder[item.key] = item.value
    except (TypeError, AttributeError, IndexError, ValueError):
        pass


def failed(guards: dict[str, Item], used: set[int], loose: set[str], now: Walk) -> str | None:
    """The first guard that fails, in words, or None. A tensor that the step does not read may be
    another one of the same kind."""
    for label, item in guards.items():
        other = now.items.get(label)
        if other is None:
            return f"{label} is not there any more"
        if not item.guarded or other.token == item.token:
            continue
        if label in loose and isinstance(other.value, Tensor):
            continue
        if item.token[0] == other.token[0] == "tensor":
            same_kind = item.token[2] == other.token[2]
            if same_kind and item.token[1] not in used:
                continue
            return f"{label} is another tensor" if same_kind else f"{label} changed its kind"
        return f"{label} was {_short(item.value)}, is {_short(other.value)}"
    new = [k for k in now.items if k not in guards and now.items[k].guarded]
    return f"{new[0]} is new" if new else None


def _short(x: Any) -> str:
    text = repr(x) if isinstance(x, _PLAIN) else f"a {type(x).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."
