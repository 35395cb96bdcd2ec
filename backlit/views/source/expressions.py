"""One instruction as Python: an expression of the texts of its operands.

An elementwise operator is its formula; another one is the source of its own `forward`, written out
where that is short and called where it is not. Read next: writer.py.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.ops.callback import function_of
from backlit.ops.index import basic_index
from backlit.ops.op import REGISTRY, Elementwise, Operator, Spec
from backlit.program.ir import Instr, Value
from backlit.views.source.folding import Constant, NotShort, Operand, Static, short
from backlit.views.source.helpers import INDEXED, Helpers
from backlit.views.source.literals import Unprintable, dtype_name, index, literal, numpy_dtype
from backlit.views.source.loops import NESTED, nested
from backlit.views.source.python_math import Code, PythonMath, attribute, call, number


class Expressions:
    """Instructions as syntax trees, for one file and its helpers."""

    def __init__(self, helpers: Helpers, names: dict[str, str] | None = None):
        self.helpers, self.names = helpers, names or {}

    def of(self, instr: Instr, operands: Sequence[ast.expr | None]) -> ast.expr:
        """The right-hand side; `operands` has a text for each operand that is a Value."""
        if instr.op == "handed_on" and operands[0] is not None:
            return operands[0] if len(operands) == 1 else ast.Tuple(list(operands), ast.Load())  # type: ignore
        op = REGISTRY.get(instr.op)
        if op is None or instr.op == "callback":
            raise Unprintable(_of_the_users(instr))
        try:
            if instr.op in NESTED:
                given = [literal(x) if node is None else node
                         for x, node in zip(instr.inputs, operands)]  # fmt: skip
                return nested(self, instr, given)
            if issubclass(op, Elementwise):
                return self._formula(op, instr, operands)
            return self._forward(op, instr, operands)
        except Unprintable as error:
            raise Unprintable(f"{instr.op} can't be written with NumPy alone: {error}") from None

    @staticmethod
    def shape_of(op: str, value: Value, params: dict[str, Any]) -> Value:
        """What an operator makes of a value, without running it."""
        spec = REGISTRY[op].infer(Spec(value.shape, value.dtype), **params)
        assert isinstance(spec, Spec)
        return Value("", spec.shape, spec.dtype)

    # ----- formulas -----

    def _formula(
        self, op: type[Elementwise], instr: Instr, operands: Sequence[ast.expr | None]
    ) -> ast.expr:
        result = instr.outputs[0]
        assert result is not None
        first = 1 if op.name == "where" else 0
        specs = [Spec(x.shape, x.dtype) if isinstance(x, Value) else x for x in instr.inputs]
        common = numpy_dtype(op._operand_dtype(specs[first:]))
        values: list[Any] = []
        for i, (x, node) in enumerate(zip(instr.inputs, operands)):
            if isinstance(x, Value):
                assert node is not None
                if i >= first and numpy_dtype(x.dtype) != common:
                    node = _as_type(node, common)
                values.append(Code(node))
            else:
                values.append(x)
        dtype = numpy_dtype(result.dtype)
        m = PythonMath(dtype if first else common, self.helpers.need)
        found = op.formula(m, *values, **instr.params)
        return found.node if isinstance(found, Code) else _whole(found, result)

    # ----- forwards -----

    def _forward(
        self, op: type[Operator], instr: Instr, operands: Sequence[ast.expr | None]
    ) -> ast.expr:
        function = op.forward
        owner = getattr(function, "__self__", None)
        owner = op if isinstance(owner, type) else None
        args: list[Any] = []
        for x, node in zip(instr.inputs, operands):
            if isinstance(x, Value):
                assert node is not None
                args.append(Operand(node, Static(x.shape, numpy_dtype(x.dtype))))
            else:
                args.append(Constant(x))
        if len(instr.outputs) == 1:
            try:
                made = short(function, args, dict(instr.params), self.helpers, owner)
                return _bare(made) if instr.outputs[0] and instr.outputs[0].shape else made
            except NotShort:
                pass
        name = self.helpers.need(function, owner or _named_by(op, function))
        given = [a.node if isinstance(a, Operand) else literal(a.value) for a in args]
        keywords = {k: literal(v) for k, v in instr.params.items()}
        if function in INDEXED:  # as one writes an index
            place = index(basic_index(instr.params["parts"]))
            keywords["parts"] = ast.Subscript(attribute("np.s_"), place, ast.Load())
        return call(name, *given, **keywords)


def _named_by(op: type[Operator], function: Any) -> type[Operator] | None:
    """The operator whose name a helper gets; None where the function is another's."""
    return op if function.__qualname__.split(".")[0] == op.__name__ else None


def _bare(node: ast.expr) -> ast.expr:
    """Without np.asarray, which is for results of no axes."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.asarray":
        return node.args[0] if len(node.args) == 1 and not node.keywords else node
    return node


def _as_type(node: ast.expr, dtype: np.dtype) -> ast.expr:
    return ast.Call(ast.Attribute(node, "astype", ast.Load()), [attribute(dtype_name(dtype))], [])


def _whole(value: Any, result: Value) -> ast.expr:
    """A formula that is one number everywhere."""
    dtype = attribute(dtype_name(result.dtype))
    return call("np.full", literal(result.shape), number(value), dtype)


def _of_the_users(instr: Instr) -> str:
    """Which Function it is that computes on its own."""
    name = instr.op
    if name == "callback":
        function = function_of(instr.params["number"])
        name = getattr(getattr(function, "cls", None), "__name__", "a Function of your own")
    return f"{name} computes outside of Backlit's operators, so it has no lines to print"
