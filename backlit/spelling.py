"""Other spellings of arguments, as PyTorch takes them: NumPy's names, sizes by name, old orders.

`accept` wraps the functions that have such an argument and leaves all others alone. It knows
signatures, never operators.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

NUMPY = {"axis": "dim", "keepdims": "keepdim"}
SIZES = {"size", "sizes", "shape"}  # view takes 2, 3 or (2, 3) or size=(2, 3)
FACTOR_FIRST = {"add": "alpha", "sub": "alpha", "addcmul": "value", "addcdiv": "value"}


def accept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, or one that takes its arguments in their other spellings too."""
    parameters, star = _parameters(function)
    renamed = [(a, b) for a, b in NUMPY.items() if b in parameters and a not in parameters]
    stars = {star} - {"args", ""}
    stars |= SIZES if stars & SIZES else set()
    factor = FACTOR_FIRST.get(function.__name__.removesuffix("_"))
    if not (renamed or stars or factor):
        return function
    most = 2 if factor == "alpha" else 3

    @functools.wraps(function)
    def spelled(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for theirs, ours in renamed:
                if theirs in kwargs and ours not in kwargs:
                    kwargs[ours] = kwargs.pop(theirs)
            for star in stars & kwargs.keys():
                args = (*args, kwargs.pop(star))
        if factor and len(args) > most:  # x.add_(-0.1, y), as it was written before alpha=
            kwargs[factor] = args[1]
            args = (args[0], *args[2:])
        return function(*args, **kwargs)

    return spelled


def _parameters(function: Callable[..., Any]) -> tuple[set[str], str]:
    """Names of the parameters, and that of the starred one; hundreds are read at every start."""
    code = inspect.unwrap(function).__code__
    named = code.co_argcount + code.co_kwonlyargcount
    starred = bool(code.co_flags & inspect.CO_VARARGS)
    both = starred + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    star = code.co_varnames[named] if starred else ""
    return set(code.co_varnames[: named + both]), star
