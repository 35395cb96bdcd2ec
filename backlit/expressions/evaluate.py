"""Formulas on Tensors: every operation of the text is a recorded operator.

`evaluate` takes values as they are; `run` makes them float64 leaves that require grad. Assigned
names are kept. Claimed derivatives are computed as they are printed, never believed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError, BacklitError, FormulaError
from backlit.expressions import functions, labelled, names
from backlit.expressions.grammar import parse
from backlit.expressions.labelled import Value
from backlit.expressions.nodes import (
    CONSTANTS,
    Binary,
    Call,
    Derivative,
    Expression,
    Formula,
    Index,
    Name,
    Number,
    Statement,
    Sum,
    Unary,
)
from backlit.ops import formula as fm
from backlit.tensor import Tensor

_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "^": operator.pow, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@dataclass
class Evaluation:
    """What a formula gave: its result, every named value, and what each claim came to."""

    result: Tensor
    values: dict[str, Tensor]
    claims: dict[tuple[str | None, str], Tensor] = field(default_factory=dict)


def run(text: str, /, **values: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute a formula at values that become float64 leaves: its result and all named values.

    >>> from backlit import expressions
    >>> f, named = expressions.run("q = x + y; f = q * z", x=-2, y=5, z=-4)
    >>> f.backward()
    >>> f.item(), named["q"].item(), named["x"].grad.item()
    (-12.0, 3.0, -4.0)
    """
    formula = parse(text, values)
    leaves = {name: leaf(value) for name, value in values.items()}
    found = evaluate(formula, leaves)
    return found.result, found.values


def leaf(value: Any) -> Tensor:
    """A float64 leaf; a Tensor that has a history keeps it."""
    if isinstance(value, Tensor) and value.requires_grad:
        return value
    return _float64(value).requires_grad_()


def _float64(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().clone().to(bl.float64)
    return bl.tensor(np.asarray(value, dtype=np.float64))


def evaluate(formula: Formula | Expression, values: Mapping[str, Any], *,
             upstream: Tensor | None = None, unused: bool = False) -> Evaluation:  # fmt: skip
    """Compute a formula at the given values: Tensors as they are, numbers and arrays in float64.

    `upstream` is the gradient that arrives at the result: what a claim's `dY` means where Y is
    the result; ones if left out. Raises FormulaError for names without a value (with the column),
    for values that nothing reads (unless `unused`), and for shapes that do not fit.

    >>> from backlit import expressions
    >>> formula = expressions.parse("f = x^2; df/dx = 2*x", ["x"])
    >>> found = expressions.evaluate(formula, {"x": 3.0})
    >>> found.result.item(), found.claims["f", "x"].item()
    (9.0, 6.0)
    """
    if isinstance(formula, Expression):
        formula = Formula((Statement(None, formula),))
    given = {n: v if isinstance(v, Tensor) else _float64(v) for n, v in values.items()}
    check_names(formula, given, unused)
    return _Evaluator(formula, given).run(upstream)


def check_names(formula: Formula, given: Mapping[str, Any], unused: bool = False) -> None:
    """Refuse names without a value, values that nothing reads, and two for one name."""
    for one, other in pairwise(sorted(given, key=names.key)):
        if names.key(one) == names.key(other):
            raise FormulaError(f"formula: {one!r} and {other!r} are spellings of one name")
    for name in formula.free_names():
        if names.find(name, given) is None and not _is_upstream(name, formula):
            have = ", ".join(given) or "none"
            message, at = f"{name!r} has no value", formula.names_read()[name]
            hint = f"values given: {have}; pass {name}=..."
            raise FormulaError.at(formula.text, at, message, hint)
    targets = {names.key(str(s.target)) for s in formula.statements}
    read = {names.key(n) for n in formula.names_read()} | {
        names.key(p.wrt) for s in formula.statements for p in s.value.walk()
        if isinstance(p, Derivative)
    }  # fmt: skip
    for name in () if unused else given:
        if names.key(name) not in read | targets:
            expected = ", ".join(formula.free_names()) or "no names"
            raise FormulaError(f"formula: the value {name!r} is not used",
                               hint=f"the formula reads {expected}")  # fmt: skip


def _is_upstream(name: str, formula: Formula) -> bool:
    return formula.result is not None and name == f"d{formula.result}"


class _Evaluator:
    """One walk over the statements; assignments first, then claims."""

    def __init__(self, formula: Formula, given: dict[str, Tensor]):
        self.formula, self.values = formula, dict(given)
        self.claims: dict[tuple[str | None, str], Tensor] = {}
        self.upstream: Tensor | None = None

    def run(self, upstream: Tensor | None) -> Evaluation:
        parts = (p for s in self.formula.statements for p in s.value.walk())
        if not any(isinstance(p, Derivative) for p in parts):
            return self.walk(upstream)
        # The engine's derivatives need a history, also of constants.
        self.values = {
            n: t if t.requires_grad else t.detach().requires_grad_() for n, t in self.values.items()
        }
        with bl.enable_grad():
            return self.walk(upstream)

    def walk(self, upstream: Tensor | None) -> Evaluation:
        result: Tensor | None = None
        for statement in self.formula.statements:
            if not statement.claim:
                result = self.assign(statement)
        assert result is not None
        self.upstream = bl.ones_like(result) if upstream is None else upstream
        with bl.no_grad():
            for statement in self.formula.claims:
                self.claim(statement)
        return Evaluation(result, self.values, self.claims)

    def assign(self, statement: Statement) -> Tensor:
        value = self.settled(statement)
        name = statement.target
        if name is None:
            return value
        known = names.find(name, self.values)
        if statement.adds:
            if known is None:
                self.fail(statement.at, f"{name} has no value that could be added to")
            value = self.values[known or name] + value
        elif known is not None:
            self.fail(statement.at, f"{name} has a value already", "give the new one a new name")
        self.values[known or name] = value
        return value

    def claim(self, statement: Statement) -> None:
        of = statement.of or self.formula.result
        wrt = names.find(str(statement.target), self.values)
        if wrt is None:
            self.fail(statement.at, f"{statement.target!r} has no value to differentiate by")
        value = self.settled(statement, tuple(self.values[str(wrt)].shape)).detach()
        if not value.ndim and not value.item():  # 0 is 0 of any shape
            value = bl.zeros_like(self.values[str(wrt)])
        key = (of, str(wrt))
        self.claims[key] = self.claims[key] + value if statement.adds else value

    def settled(self, statement: Statement, shape: tuple[int, ...] | None = None) -> Tensor:
        """The right side as a Tensor with its axes in the order of the left side's letters.

        A claim may lack a letter: the derivative by x has the `shape` of x whatever is claimed.
        """
        value = self.of(statement.value)
        if set(value.axes) - set(statement.indices):
            loose = ", ".join(sorted(set(value.axes) - set(statement.indices)))
            self.fail(statement.value.at, f"the index {loose} is neither summed nor on the left")
        if not statement.indices:
            return value.tensor()
        missing = set(statement.indices) - set(value.axes)
        if missing and shape is not None and len(shape) == len(statement.indices):
            spread = Value(value.tensor() if not value.axes else value.data, value.axes)
            return bl.ones(shape, dtype=bl.float64) * spread.ordered(statement.indices)
        if missing:
            letters = ", ".join(sorted(missing))
            self.fail(statement.at, f"the right side does not depend on the index {letters}")
        return value.ordered(statement.indices)

    def fail(self, at: int, message: str, hint: str | None = None) -> None:
        raise FormulaError.at(self.formula.text, at, message, hint)

    # ----- expressions -----

    def of(self, part: Expression) -> Value:
        try:
            return self._of(part)
        except FormulaError:
            raise
        except BacklitError as error:
            raise FormulaError.at(self.formula.text, part.at, error.message, error.hint) from error
        except OverflowError as error:
            raise FormulaError.at(self.formula.text, part.at, "the number is too large") from error
        except ZeroDivisionError as error:
            raise FormulaError.at(self.formula.text, part.at, "a division by zero") from error

    def _of(self, part: Expression) -> Value:
        match part:
            case Number():
                return Value(float(part.value))
            case Name():
                return self.named(part)
            case Unary():
                return labelled.meet(operator.neg, self.of(part.operand))
            case Binary():
                return self.binary(part.op, self.of(part.left), self.of(part.right))
            case Call():
                return self.call(part, [self.of(a) for a in part.args])
            case Index():
                base = self.named(part.base)
                return labelled.element(base.tensor(), part.indices, part.base.name)
            case Sum():
                return labelled.add_up(self.of(part.body), part.index)
            case Derivative():
                return self.derivative(part)
        raise AssertionError(part)

    def named(self, part: Name) -> Value:
        known = names.find(part.name, self.values)
        if known is not None:
            return Value(self.values[known])
        result = self.formula.result
        if part.name[0] == "d":
            wrt = names.find(part.name[1:], self.values)
            if (result, wrt) in self.claims:
                return Value(self.claims[result, str(wrt)])
            if result is not None and part.name == f"d{result}" and self.upstream is not None:
                return Value(self.upstream)
        if part.name in CONSTANTS:
            return Value(CONSTANTS[part.name])
        raise FormulaError.at(self.formula.text, part.at, f"{part.name!r} has no value")

    def binary(self, op: str, x: Value, y: Value) -> Value:
        if op in "@·":
            if op == "@" and (x.is_scalar or y.is_scalar):
                raise ArgumentError("@ is the product of matrices, not of scalars", hint="write *")
            return labelled.matrix_product(x, y, scales=op == "·")
        function = _ARITHMETIC[op]
        if op in ("<", "<=", ">", ">=", "==", "!="):
            return labelled.meet(lambda a, b: _as_number(function(a, b)), x, y)
        return labelled.meet(lambda a, b: _real(function(a, b)), x, y)

    def call(self, part: Call, args: list[Value]) -> Value:
        if part.function == "transpose":
            return labelled.transpose(args[0])
        if part.function in functions.OF_ARRAYS:
            return self.of_arrays(part, args)
        op = functions.elementwise()[part.function]
        if all(not isinstance(v.data, Tensor) for v in args):
            args = [Value(v.tensor()) for v in args]
        if not part.primes:
            return labelled.meet(lambda *data: op.call(*_conditions(op, data)), *args)
        return labelled.meet(lambda x: _slope(op, x), args[0])

    def of_arrays(self, part: Call, args: list[Value]) -> Value:
        function = functions.OF_ARRAYS[part.function][2]
        if part.function in ("max", "min") and len(args) > 1:
            if all(not isinstance(v.data, Tensor) for v in args):
                args = [Value(v.tensor()) for v in args]
            return labelled.meet(function, *args)
        if any(v.axes for v in args):
            raise ArgumentError(
                f"{part.function} takes whole arrays, not elements",
                hint="a sum over an index is \\sum_i or sum[i](...)",
            )
        return Value(function(*(v.tensor() for v in args)), row=args[0].row and
                     part.function in ("softmax", "log_softmax"))  # fmt: skip

    def derivative(self, part: Derivative) -> Value:
        """What was claimed for it, or the engine's."""
        of, wrt = (names.find(n, self.values) for n in (part.of, part.wrt))
        for name, found in ((part.of, of), (part.wrt, wrt)):
            if found is None:
                raise ArgumentError(f"{name!r} has no value")
        claimed = self.claims.get((of, str(wrt)))
        if claimed is None:
            y, x = self.values[str(of)], self.values[str(wrt)]
            if y.ndim:
                raise ArgumentError(
                    f"{of} has shape {tuple(y.shape)}; only of scalars is the derivative a value"
                )
            claimed = _true_gradient(y, x)
        if part.indices:
            return labelled.element(claimed, tuple(part.indices), f"d{of}/d{wrt}")
        return Value(claimed)


def _true_gradient(y: Tensor, x: Tensor) -> Tensor:
    if y is x:
        return bl.ones_like(x)
    if not y.requires_grad or not x.requires_grad:
        return bl.zeros_like(x)
    (found,) = bl.autograd.grad([y], [x], retain_graph=True, materialize_grads=True)
    return found


def _slope(op: Any, x: Any) -> Tensor:
    """The local derivative of an elementwise operator, from its own formula."""
    name = op.inputs[0]
    values = {name: x, "y": op.call(x)}
    found = op.local(fm.TENSOR, 0, values, {})
    return _as_number(found) * bl.ones_like(x)


def _as_number(found: Any) -> Any:
    """Truth values as 1.0 and 0.0."""
    return found.to(bl.float64) if isinstance(found, Tensor) else float(found)


def _conditions(op: Any, data: tuple) -> tuple:
    if op.name != "where":
        return data
    condition = data[0] if isinstance(data[0], Tensor) else bl.tensor(float(data[0]))
    return condition != 0, *data[1:]


def _real(found: Any) -> Any:
    if isinstance(found, complex):
        raise ArgumentError("a power of a negative number to a fraction is not real")
    return found
