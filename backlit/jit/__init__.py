"""PyTorch's address for scripting: here every program runs as Python, and stays what it is.

`script` and `trace` give back what they get, as PyTorch's do with PYTORCH_JIT=0. For native code
see compiler/; saving scripted modules is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from typing import Final as Final

from backlit.nn.module import Module

T = TypeVar("T")
ScriptModule = Module  # what scripted classes inherit from


def script(obj: T, *args: Any, **kwargs: Any) -> T:
    """The function, class or module itself, also as a decorator.

    >>> bl.jit.script(abs)(-2)
    2
    """
    return obj


def trace(func: T, example_inputs: Any = None, *args: Any, **kwargs: Any) -> T:
    """The function or module itself; `bl.program.capture` records one.

    >>> bl.jit.trace(nn.Identity(), bl.ones(1))(bl.ones(1))
    tensor([1.])
    """
    return func


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Leaves a function as it is, with or without arguments.

    >>> bl.jit.ignore(abs)(-2), bl.jit.ignore(drop=True)(abs)(-2)
    (2, 2)
    """
    return drop if callable(drop) else lambda fn: fn


def unused(fn: T) -> T:
    """Leaves a function as it is.

    >>> bl.jit.unused(abs)(-2)
    2
    """
    return fn


export = script_method = script_if_tracing = unused
_overload = _overload_method = unused  # of functions by their types: the last definition counts


def annotate(the_type: Any, the_value: T) -> T:
    """The value; the type is for readers.

    >>> bl.jit.annotate(list, [])
    []
    """
    return the_value


def Attribute(value: T, type: Any = None) -> T:
    """The value, as a scripted module's attribute.

    >>> bl.jit.Attribute(3, int)
    3
    """
    return value


def is_scripting() -> bool:
    """False: nothing is scripted.

    >>> bl.jit.is_scripting()
    False
    """
    return False


def is_tracing() -> bool:
    """False: nothing is traced.

    >>> bl.jit.is_tracing()
    False
    """
    return False


def __getattr__(name: str) -> Callable[..., Any]:
    from backlit.absent import refuse

    raise refuse("jit", name)
