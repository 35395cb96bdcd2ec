"""A compiled step without its inputs: arguments of the same kind are made up, and said to be so.

The signature under which the executable is kept tells their shapes and dtypes.
"""

from __future__ import annotations

from typing import Any

from backlit import dtypes as dt
from backlit.errors import ArgumentError
from backlit.program.ir import Value
from backlit.tensor import wrap
from backlit.views.source.listing import Listing, example, of_function, of_program


def of_compiled(subject: Any) -> Listing:
    """The Listing of the executable that ran last."""
    if subject.last is None:
        raise ArgumentError(
            f"{subject.name} has not been called yet, so its inputs are not known",
            hint="pass them: bl.see.source(step, x, y)",
        )
    key = next(k for k, entries in subject.entries.items() if subject.last in entries)
    try:
        given = [_argument(token) for token in key[0]]
    except _Unknown:
        return of_program(subject.program, ())
    args = tuple(x for name, x in given if name is None)
    keywords = {name: x for name, x in given if name is not None}
    made = of_function(subject.function, args, None, keywords, subject.name)
    count = sum(1 for _ in _tensors(key[0]))
    made.examples = {v.name for v in made.program.inputs[:count]}
    return made


class _Unknown(Exception):
    """An argument that is state, or an object."""


def _argument(token: tuple) -> tuple[str | None, Any]:
    if isinstance(token[0], str) and token[0] not in ("tensor", "again", "state"):
        return token[0], _made(token[1])
    return None, _made(token)


def _made(token: tuple) -> Any:
    kind = token[0]
    if kind == "tensor":
        made = wrap(example(Value("", token[1], dt.of_numpy(token[2]))))
        made._requires_grad = bool(token[3])
        return made
    if kind in (tuple, list):
        return kind(_made(t) for t in token[1:])
    if kind is dict:
        return {k: _made(t) for k, t in token[1:]}
    if len(token) == 2 and kind in (int, float, bool, str, bytes, complex, type(None)):
        return token[1]
    raise _Unknown


def _tensors(tokens: Any) -> Any:
    if isinstance(tokens, tuple) and tokens[:1] == ("tensor",):
        yield tokens
    elif isinstance(tokens, tuple):
        for t in tokens:
            yield from _tensors(t)
