"""The twin of a PyTorch subject: the same code objects, calling Backlit where they called PyTorch.

A twin runs on Backlit's tensors, so its calls can be followed (subject_tensor.py). No source is
read: functions are made anew around their code, with other globals. The twin explains, it never
judges; where its numbers are not PyTorch's, there is none.
"""

from __future__ import annotations

import builtins
import dis
import sys
import types
import warnings
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np

import backlit as bl
from backlit.check.doctor.subject_tensor import TensorSubject, of_function
from backlit.check.doctor.subjects import Subject

PLACES = ("autograd", "nn.functional", "nn", "linalg", "special", "autograd.function")
SHARED = (int, float, complex, str, bytes, type(None), type(...), slice, range,
          np.generic, np.dtype, np.ufunc, np.random.Generator)  # fmt: skip
SHARED_ROOTS = frozenset(("numpy", *sys.stdlib_module_names))
NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
LOADS = ("LOAD_GLOBAL", "LOAD_NAME")


def twin_of(subject: Any) -> TensorSubject | None:
    """The twin of a TorchSubject; None where it can't run, or has other outputs."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            made = _made(subject)
            return made if _same_outputs(made, subject) else None
    except Exception:  # the user's code, where it was not meant to run
        return None


def _made(subject: Any) -> TensorSubject:
    translate = _Translator()
    inputs = {
        name: bl.tensor(subject.values[name], requires_grad=True)
        if name in subject.values
        else translate(value)
        for name, value in subject.inputs.items()
    }
    function = translate(subject.function)
    made = of_function(function, inputs) or TensorSubject(function, inputs)
    made.keywords = subject.keywords
    return made


def _same_outputs(a: Subject, b: Subject) -> bool:
    if a.names != b.names:
        return False
    ours, theirs = a.outputs(b.values), b.outputs(b.values)
    return len(ours) == len(theirs) and all(
        np.shape(x) == np.shape(y) and np.allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)
        for x, y in zip(ours, theirs)
    )


class _Translator:
    """Values that code can reach, with Backlit in place of PyTorch; what can change is copied."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}  # id -> original, kept alive, and twin

    def __call__(self, value: Any) -> Any:
        if isinstance(value, SHARED):
            return value
        if id(value) in self._known:
            return self._known[id(value)][1]
        torch = sys.modules["torch"]
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, types.MethodType):
            return getattr(self(value.__self__), value.__name__)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type) and issubclass(value, torch.autograd.Function):
            return self._class(value)
        if isinstance(value, torch.Tensor) or type(value) in (np.ndarray, dict, list, tuple, set):
            return self._copy(value)
        return self._named(value)

    def _keep(self, value: Any, twin: Any) -> Any:
        self._known[id(value)] = value, twin
        return twin

    def _module(self, module: types.ModuleType) -> Any:
        root, _, path = module.__name__.partition(".")
        if root == "torch":
            return attrgetter(path)(bl) if path else bl
        if root not in SHARED_ROOTS:  # its functions may use PyTorch, or hold state
            raise TypeError(f"module {module.__name__} has no twin")
        return module

    def _named(self, value: Any) -> Any:
        """A class, a function of a library or a dtype, found again by its name."""
        torch = sys.modules["torch"]
        root = str(getattr(value, "__module__", None)).partition(".")[0]
        if root in SHARED_ROOTS and isinstance(value, NAMED):
            return value
        name = getattr(value, "__name__", str(value).removeprefix("torch."))
        for place in ("", *PLACES):
            theirs, ours = (attrgetter(place)(m) if place else m for m in (torch, bl))
            if vars(theirs).get(name) is value:
                return getattr(ours, name)
        raise TypeError(f"{value!r} has no twin")

    def _function(self, function: types.FunctionType) -> Any:
        root = str(function.__globals__.get("__name__")).partition(".")[0]
        if root == "torch" and hasattr(function, "__wrapped__"):  # once_differentiable, for one
            return self(function.__wrapped__)
        if root == "torch" or root in SHARED_ROOTS:
            return self._named(function)
        space = self._space(function.__globals__)
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        twin = types.FunctionType(function.__code__, space, function.__name__, None, cells)
        self._keep(function, twin)
        twin.__defaults__ = self(function.__defaults__)
        twin.__kwdefaults__ = self(function.__kwdefaults__)
        for old, new in zip(function.__closure__ or (), cells):
            new.cell_contents = self(old.cell_contents)
        for name in _globals_read(function.__code__):
            if name in function.__globals__:
                space[name] = self(function.__globals__[name])
        return twin

    def _space(self, space: dict[str, Any]) -> dict[str, Any]:
        """The globals of the twins of a module: one for all, filled with what they read."""
        if id(space) in self._known:
            return self._known[id(space)][1]  # type: ignore[no-any-return]

        def importing(*args: Any, **kwargs: Any) -> Any:
            return self(builtins.__import__(*args, **kwargs))

        own = {**vars(builtins), "__import__": importing}
        about = {k: v for k, v in space.items() if k in ("__name__", "__package__")}
        return self._keep(space, {**about, "__builtins__": own})  # type: ignore[no-any-return]

    def _class(self, cls: type) -> Any:
        if cls is sys.modules["torch"].autograd.Function:
            return bl.autograd.Function
        twin = type(cls.__name__, tuple(self(base) for base in cls.__bases__), {})
        self._keep(cls, twin)
        for name, value in vars(cls).items():
            if isinstance(value, (staticmethod, classmethod)):
                if name not in ("jvp", "vmap"):
                    setattr(twin, name, type(value)(self(value.__func__)))
            elif not name.startswith("__") and name != "_backward_cls":
                setattr(twin, name, self(value))
        return twin

    def _copy(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self._keep(value, value.copy())
        if isinstance(value, sys.modules["torch"].Tensor):
            array = value.detach().cpu().numpy().copy()
            return self._keep(value, bl.tensor(array, requires_grad=value.requires_grad))
        if isinstance(value, dict):
            return self._keep(value, {self(k): self(v) for k, v in value.items()})
        return self._keep(value, type(value)(self(v) for v in value))


def _globals_read(code: types.CodeType) -> Iterator[str]:
    """Names that code, and functions defined in it, read from globals."""
    for i in dis.get_instructions(code):
        if i.opname in LOADS:
            yield i.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals_read(constant)
