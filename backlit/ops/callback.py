"""An instruction that runs Python code on arrays: what a compiled step can't look into."""

from __future__ import annotations

from backlit.ops.op import Operator


class Callback(Operator):
    """Calls `function(*arrays)`, whose `specs` say what it makes. Never applied by users."""

    exports = ""
    variadic = True
    differentiable = False

    def infer(*specs, function):
        return function.specs

    def forward(*xs, function):
        return tuple(function(*xs))
