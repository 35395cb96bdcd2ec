"""An instruction that runs Python code on arrays: what a compiled step can't look into.

A Program names the code by a number, so that it stays plain data; who captured it keeps the code.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

from backlit.errors import ProgramError
from backlit.ops.op import Operator

_numbers = itertools.count(1)
_functions: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def register(function: Any) -> int:
    """A number for `function(*arrays)`, whose `specs` say what it makes; the caller keeps it."""
    number = next(_numbers)
    _functions[number] = function
    return number


def function_of(number: int) -> Any:
    """The code behind a number."""
    found = _functions.get(number)
    if found is None:
        raise ProgramError(f"callback: the code of number {number} is gone, as its step is")
    return found


class Callback(Operator):
    """Calls registered Python code. Never applied by users."""

    exports = ""
    variadic = True
    differentiable = False

    def infer(*specs, number):
        return function_of(number).specs

    def forward(*xs, number):
        return tuple(function_of(number)(*xs))
