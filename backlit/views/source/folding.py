"""A short NumPy function in place of its call: parameters put in, dead branches left out.

Shapes and dtypes of the arrays are known, so `if not dims` is decided here and `x.dtype` has a
value. What is left must be one expression that uses every intermediate once; else NotShort.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.ops.op import Operator
from backlit.views.source.helpers import Helpers, Plain, copied, plain, stored, tree_of
from backlit.views.source.literals import Text, Unprintable, index, literal

LONGEST = 76  # characters of a call written out
_SHAPE = ("shape", "dtype", "ndim", "size", "itemsize")
_SAME_SHAPE = ("np.square", "np.abs", "np.exp", "np.sqrt", "np.log")


class NotShort(Exception):
    """The function is no single expression; it is called."""


class Static:
    """What is known of an array before it is there."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.ndim, self.itemsize = len(self.shape), self.dtype.itemsize
        self.size = int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]


@dataclass
class Operand:
    """An array: its text, and what is known of it."""

    node: ast.expr
    static: Static | None
    uses: int = 0


@dataclass
class Constant:
    """A value that is known now."""

    value: Any


def short(function: Any, args: list[Any], params: dict[str, Any], helpers: Helpers,
          owner: type[Operator] | None = None) -> ast.expr:  # fmt: skip
    """The result of a function as one expression. `args` are Operands and Constants."""
    found = _Folder(plain(function), args, params, helpers, owner).result()
    given = sum(a.uses * len(ast.unparse(a.node)) for a in args if isinstance(a, Operand))
    if len(ast.unparse(found)) - given > LONGEST and not _is_call_of_helper(found):
        raise NotShort
    return found


def _is_call_of_helper(node: ast.expr) -> bool:
    """Whether it hands its operands to another function and no more."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and all(isinstance(a, (ast.Name, ast.Constant)) for a in node.args)
    )


class _Folder(Plain):
    def __init__(self, function: Any, args: list[Any], params: dict[str, Any], helpers: Helpers,
                 owner: type[Operator] | None):  # fmt: skip
        super().__init__(helpers, function, owner)
        self.tree = tree_of(function)
        self.bound = self._bind(args, params)
        self.inside: set[str] = set()  # bound by comprehensions around

    def _bind(self, args: list[Any], params: dict[str, Any]) -> dict[str, Any]:
        given = self.tree.args
        names = [a.arg for a in given.args]
        if names and names[0] == "cls" and self.names.owner is not None:
            names.pop(0)
        bound: dict[str, Any] = dict(zip(names, args))
        if given.vararg is not None:
            rest = tuple(a if isinstance(a, Operand) else a.value for a in args[len(names) :])
            bound[given.vararg.arg], args = Constant(rest), args[: len(names)]
        defaults = dict(zip(names[::-1], given.defaults[::-1]))
        named = {a.arg: d for a, d in zip(given.kwonlyargs, given.kw_defaults)}
        for name, default in (defaults | named).items():
            if name in params:
                bound[name] = params[name] if _is_bound(params[name]) else Constant(params[name])
            elif name not in bound and default is not None:
                bound[name] = Constant(ast.literal_eval(default))
        if not set(names) | set(named) <= bound.keys() or len(args) > len(names):
            raise NotShort
        return bound

    def result(self) -> ast.expr:
        """What the function returns."""
        found = self._run(self.tree.body)
        if found is None:
            raise NotShort
        for what in self.bound.values():
            local = isinstance(what, Operand) and getattr(what, "local", False)
            if local and what.uses > 1 and not _is_atom(what.node):
                raise NotShort
        return found

    # ----- statements -----

    def _run(self, body: list[ast.stmt]) -> ast.expr | None:
        for statement in body:
            if isinstance(statement, ast.Return) and statement.value is not None:
                return self.fold(statement.value)
            if isinstance(statement, ast.If):
                known, value = self.constant(statement.test)
                if not known:
                    raise NotShort
                found = self._run(statement.body if value else statement.orelse)
                if found is not None:
                    return found
            elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                self._assign(statement.targets[0], statement.value)
            elif isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
                old = ast.Name(statement.target.id, ast.Load())
                self._assign(statement.target, ast.BinOp(old, statement.op, statement.value))
            elif isinstance(statement, ast.ImportFrom):
                self.names.imports(statement)
            elif not _is_docstring(statement) and not self._is_check(statement):
                raise NotShort
        return None

    def _is_check(self, statement: ast.stmt) -> bool:
        """Whether it only refuses bad input."""
        return isinstance(statement, ast.Expr) and super().visit_Expr(copied(statement)) is None

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        known, found = self.constant(value)
        if known:
            self._assign_constant(target, found)
            return
        if not isinstance(target, ast.Name):
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                for t, v in zip(target.elts, value.elts, strict=True):
                    self._assign(t, v)
                return
            raise NotShort
        node = self.fold(value)
        before = self.bound.get(target.id)
        if isinstance(before, Operand) and getattr(before, "local", False) and before.uses > 1:
            raise NotShort
        made = Operand(node, self._static(value))
        made.local = True  # type: ignore[attr-defined]
        self.bound[target.id] = made

    def _assign_constant(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self.bound[target.id] = Constant(value)
        elif isinstance(target, ast.Tuple) and not any(
            isinstance(t, ast.Starred) for t in target.elts
        ):
            for t, v in zip(target.elts, value, strict=True):
                self._assign_constant(t, v)
        else:
            raise NotShort

    # ----- what is known -----

    def constant(self, node: ast.expr) -> tuple[bool, Any]:
        """Whether an expression has a value now that can be written down, and the value."""
        known, value = self._evaluated(node)
        return known and _is_plain(value), value

    def _evaluated(self, node: ast.expr) -> tuple[bool, Any]:
        """The same for any value; operands may be parts of it, as they are."""
        if isinstance(node, ast.Starred):
            return False, None
        node = _AskedTypes(self.bound).visit(copied(node))
        if not self._closed(node, self.inside):
            return False, None
        space = {
            name: what.value if isinstance(what, Constant) else what.static
            for name, what in self.bound.items()
        }
        if self.names.owner is not None:
            space["cls"] = self.names.owner
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "<source>", "eval")
        try:
            with np.errstate(all="ignore"):
                # the globals of the function, under what is bound: comprehensions see both
                value = eval(code, {**self.function.__globals__, **self.names.imported, **space})
        except Exception:  # it needs the array itself
            return False, None
        return True, value

    def _closed(self, node: ast.AST, hidden: set[str]) -> bool:
        """Whether no array is read, only shapes and dtypes."""
        about = _asked_about(node)
        if about is not None and isinstance(self.bound.get(about), Operand):
            return self.bound[about].static is not None and about not in hidden
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store) or node.id not in hidden:
                return not isinstance(self.bound.get(node.id), Operand) and self._known(node.id)
            return False
        if isinstance(node, (ast.ListComp, ast.GeneratorExp, ast.SetComp, ast.DictComp)):
            made = {n for g in node.generators for n in stored(g.target)}
            if made & self.bound.keys():
                return False
            return all(self._closed(c, hidden) for c in _without(node, made))
        if isinstance(node, (ast.Lambda, ast.NamedExpr)):
            return False
        return all(self._closed(c, hidden) for c in ast.iter_child_nodes(node))

    def _known(self, name: str) -> bool:
        if isinstance(self.bound.get(name), Constant) or name in self.names.imported:
            return True
        if name == "cls" and self.names.owner is not None:
            return True
        return name not in self.names.local and (
            name in self.function.__globals__ or hasattr(builtins, name)
        )

    def _static(self, node: ast.expr) -> Static | None:
        """Shape and dtype of an expression, where they are plain to see."""
        if isinstance(node, ast.Name):
            what = self.bound.get(node.id)
            return what.static if isinstance(what, Operand) else None
        if isinstance(node, ast.Attribute) and node.attr == "T":
            x = self._static(node.value)
            return x and Static(x.shape[::-1], x.dtype)
        if isinstance(node, ast.IfExp):
            known, value = self.constant(node.test)
            return self._static(node.body if value else node.orelse) if known else None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _SAME_SHAPE:
            return self._static(node.args[0])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            x = self._static(node.func.value)
            if x is not None and node.func.attr == "astype":
                known, dtype = self.constant(node.args[0])
                return Static(x.shape, dtype) if known else None
        return None

    # ----- expressions -----

    def fold(self, node: ast.expr) -> ast.expr:
        """The expression with everything known put in."""
        return self.visit(copied(node))  # type: ignore[no-any-return]

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
            known, value = self.constant(node)
            if known:
                try:
                    return literal(value)
                except Unprintable:
                    pass
        return super().visit(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        what = self.bound.get(node.id)
        if isinstance(what, Operand):
            what.uses += 1
            return copied(what.node)  # type: ignore[no-any-return]
        if isinstance(what, Constant):
            return literal(self._placed(what.value))
        return super().visit_Name(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        known, value = self.constant(node.test)
        if known:
            return self.visit(node.body if value else node.orelse)  # type: ignore[no-any-return]
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        kept = []
        for part in node.values:
            known, value = self.constant(part)
            if not known:
                kept.append(part)
            elif bool(value) == isinstance(node.op, ast.Or):
                return literal(value)
        node.values = kept
        return self.visit(kept[0]) if len(kept) == 1 else self.generic_visit(node)  # type: ignore

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        known, value = self._evaluated(node.slice)
        if known and _is_index(value):
            return ast.Subscript(self.visit(node.value), index(self._placed(value)), ast.Load())
        return self.generic_visit(node)  # type: ignore[return-value]

    def _placed(self, value: Any) -> Any:
        """An index with the texts of the operands in it."""
        if isinstance(value, tuple):
            return tuple(map(self._placed, value))
        if isinstance(value, Operand):
            value.uses += 1
            return Text(copied(value.node))
        return value

    def _comprehension(self, node: Any) -> Any:
        made = {n for g in node.generators for n in stored(g.target)}
        if made & self.bound.keys():
            raise NotShort
        outer = self.inside
        self.inside = outer | made
        try:
            return self.generic_visit(node)
        finally:
            self.inside = outer

    visit_ListComp = visit_GeneratorExp = visit_SetComp = _comprehension

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        raise NotShort

    def visit_Call(self, node: ast.Call) -> ast.expr:
        found = self.names.look(node.func)
        function = plain(found)
        ours = str(getattr(function, "__module__", "")).startswith("backlit")
        if hasattr(function, "__code__") and ours and not node.keywords:
            made = self._nested(found, node)
            if made is not None:
                return made
        if isinstance(node.func, ast.Attribute):
            static = self._static(node.func.value)
            method = node.func.attr
            if method == "astype" and self._keeps_dtype(node):
                return self.visit(node.func.value)  # type: ignore[no-any-return]
            if method in ("sum", "max", "min", "prod") and static is not None:
                return self._reduction(node, static)
            if ast.unparse(node.func) == "np.matmul" and len(node.args) == 2:
                made = ast.BinOp(node.args[0], ast.MatMult(), node.args[1])
                return self.generic_visit(made)  # type: ignore[return-value]
        made = super().visit_Call(node)
        if isinstance(made, ast.Call):
            made.args = [a for given in made.args for a in _unpacked(given)]
        return made

    def _nested(self, function: Any, node: ast.Call) -> ast.expr | None:
        """A call of another short function, written out."""
        args: list[Any] = []
        for a in node.args:
            known, value = self.constant(a)
            if isinstance(a, ast.Starred):
                return None
            args.append(Constant(value) if known else Operand(self.fold(a), self._static(a)))
        try:
            owner = getattr(function, "__self__", None)
            made = _Folder(plain(function), args, {}, self.helpers, owner)
            result = made.result()
            if any(a.uses > 1 and not _is_atom(a.node) for a in args if isinstance(a, Operand)):
                return None
            return result
        except NotShort:
            return None

    def _keeps_dtype(self, node: ast.Call) -> bool:
        """Whether `.astype(d, copy=False)` is there for 16-bit floats alone."""
        gentle = any(k.arg == "copy" and isinstance(k.value, ast.Constant) and not k.value.value
                     for k in node.keywords)  # fmt: skip
        known, dtype = self.constant(node.args[0])
        arrays = [w.static.dtype for w in self.bound.values()
                  if isinstance(w, Operand) and w.static is not None]  # fmt: skip
        same = known and all(a == np.dtype(dtype) for a in arrays)
        asked = any(isinstance(n, (ast.Compare, ast.BoolOp)) for n in ast.walk(node.func))
        if asked or any(isinstance(n, ast.Compare) for w in self.bound.values()
                        if isinstance(w, Operand) for n in ast.walk(w.node)):  # fmt: skip
            return False
        return gentle and same and np.dtype(dtype).kind == "f"

    def _reduction(self, node: ast.Call, x: Static) -> ast.expr:
        """`x.sum(axis=0)`: what NumPy does by itself is not said."""
        kept = []
        for k in node.keywords:
            known, value = self.constant(k.value)
            if known and k.arg == "keepdims" and not value:
                continue
            sums_as_it_is = x.dtype.kind == "f" or x.dtype == np.int64
            if known and k.arg == "dtype" and value == x.dtype and sums_as_it_is:
                continue
            if known and k.arg == "axis" and isinstance(value, tuple):
                if len(value) == x.ndim and not _keeps(node, self):
                    continue
                k = ast.keyword("axis", literal(value[0] if len(value) == 1 else value))
                kept.append(k)
                continue
            kept.append(ast.keyword(k.arg, self.visit(k.value)))
        assert isinstance(node.func, ast.Attribute)
        owner = ast.Attribute(self.visit(node.func.value), node.func.attr, ast.Load())
        return ast.Call(owner, [self.visit(a) for a in node.args], kept)


def _keeps(node: ast.Call, folder: _Folder) -> bool:
    for k in node.keywords:
        if k.arg == "keepdims":
            known, value = folder.constant(k.value)
            return not known or bool(value)
    return False


class _AskedTypes(ast.NodeTransformer):
    """`isinstance(x, np.ndarray)` is known of every operand."""

    def __init__(self, bound: dict[str, Any]):
        self.bound = bound

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            what, kind = node.args
            known = isinstance(what, ast.Name) and what.id in self.bound
            if known and ast.unparse(kind) == "np.ndarray":
                return ast.Constant(isinstance(self.bound[what.id], Operand))  # type: ignore
        return self.generic_visit(node)


def _asked_about(node: ast.AST) -> str | None:
    """x of `x.shape`, `x is None` and `len(x)`, which are known before x is."""
    if isinstance(node, ast.Attribute) and node.attr in _SHAPE:
        what: Any = node.value
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        right = node.comparators[0]
        what = node.left if isinstance(right, ast.Constant) and right.value is None else None
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "len":
        what = node.args[0]
    else:
        return None
    return what.id if isinstance(what, ast.Name) else None


def _unpacked(given: ast.expr) -> list[ast.expr]:
    """`*(2, 3)` as two arguments."""
    if isinstance(given, ast.Starred) and isinstance(given.value, ast.Tuple):
        return given.value.elts
    return [given]


def _is_index(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_index, value))
    return isinstance(value, Operand) or _is_plain(value)


def _without(node: Any, names: set[str]) -> list[ast.AST]:
    """The parts of a comprehension with its own names replaced by numbers."""

    class Own(ast.NodeTransformer):
        def visit_Name(self, n: ast.Name) -> ast.AST:
            return ast.Constant(0) if n.id in names else n

    return [Own().visit(copied(c)) for c in ast.iter_child_nodes(node)]


def _is_bound(x: Any) -> bool:
    return isinstance(x, (Operand, Constant))


def _is_atom(node: ast.expr) -> bool:
    return isinstance(node, (ast.Name, ast.Constant))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_plain(value: Any) -> bool:
    """Whether a value can be written down, or is at least no array and no function."""
    try:
        literal(value)
        return True
    except Unprintable:
        return False
