"""Functions of Backlit copied into the printed file: their source, without Backlit in it.

A helper is the NumPy `forward` of an operator, or what such a one calls. Annotations go, names of
modules and classes become plain names, errors become Python's own. Read next: folding.py, which
writes short ones in place of a call.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import math
import textwrap
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import BacklitError
from backlit.ops.index import SlicePut, basic_index
from backlit.ops.op import Operator
from backlit.views.source.commented import comments_of, unparsed
from backlit.views.source.literals import Unprintable, literal
from backlit.views.source.python_math import attribute

_MODULES = {np: "np", math: "math", itertools: "itertools", functools: "functools"}
_MISSING = object()
_PLACES = ("lineno", "end_lineno", "col_offset", "end_col_offset")
INDEXED = (SlicePut.forward,)  # their parameter `parts` becomes an index as NumPy has it


@functools.cache
def source_of(function: Any) -> str:
    """The text of a function, from the first column on."""
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise Unprintable(f"the source of {function!r} is not there") from None


@functools.cache
def tree_of(function: Any) -> ast.FunctionDef:
    """The syntax tree of a function; never to be changed."""
    found = ast.parse(source_of(function)).body[0]
    if not isinstance(found, ast.FunctionDef):
        raise Unprintable(f"{function!r} is not a plain function")
    return found


def plain(function: Any) -> Any:
    """The function behind a cache, a class or an instance."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return getattr(function, "__func__", function)


def copied(tree: Any) -> Any:
    """A tree of its own, to be changed."""
    if isinstance(tree, ast.AST):
        fields = {name: copied(value) for name, value in ast.iter_fields(tree)}
        places = {name: getattr(tree, name) for name in _PLACES if hasattr(tree, name)}
        return type(tree)(**fields, **places)
    if isinstance(tree, list):
        return [copied(x) for x in tree]
    return tree


class Helpers:
    """The helpers of one file, each after those that it calls."""

    def __init__(self, taken: set[str] | frozenset[str] = frozenset()) -> None:
        self.texts: dict[str, str] = {}  # name: definition, in the order to write them in
        self.modules: set[str] = set()
        self._names: dict[Any, str] = {}
        self.taken: set[str] = set(taken)

    def need(self, function: Any, owner: type[Operator] | None = None) -> str:
        """The name of a function in the file, which it is copied into."""
        function = plain(function)
        known = self._names.get((function, owner))
        if known is not None:
            return known
        name = self._free(self._wanted(function, owner))
        self._names[function, owner] = name
        self.texts[name] = ""
        del self.texts[name]  # after what it calls
        self.texts[name] = self._copy(function, name, owner)
        return name

    def define(self, wanted: str, write: Callable[[str], str]) -> str:
        """The name of a function that is written here; equal ones are one."""
        key = ("text", wanted, write("_"))
        if key not in self._names:
            name = self._free(wanted)
            self._names[key] = name
            self.texts[name] = write(name)
        return self._names[key]

    def constant(self, name: str, value: Any) -> str:
        """The name of a constant of a module."""
        key = ("constant", name, repr(value))
        if key not in self._names:
            text = ast.unparse(literal(value))
            made = self._free(name.strip("_"))
            self._names[key] = made
            self.texts[made] = f"{made} = {text}"
        return self._names[key]

    def _free(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}_{count}"
        self.taken.add(name)
        return name

    @staticmethod
    def _wanted(function: Any, owner: type[Operator] | None) -> str:
        if owner is not None and function.__name__ == "forward":
            return owner.name
        parts = function.__qualname__.split(".")
        if len(parts) > 1 and parts[-1] == "forward":
            return parts[-2].lower()
        return str(function.__name__).strip("_")

    def _copy(self, function: Any, name: str, owner: type[Operator] | None) -> str:
        tree = copied(tree_of(function))
        tree.name, tree.decorator_list, tree.returns = name, [], None
        if owner is not None and tree.args.args and tree.args.args[0].arg == "cls":
            tree.args.args.pop(0)
        plainly = Plain(self, function, owner)
        tree = _with_locals_renamed(plainly.visit(tree), plainly.referred)
        _shorten_docstring(tree)
        return unparsed(tree, comments_of(source_of(function)))


def _with_locals_renamed(tree: Any, referred: set[str]) -> Any:
    """Its own names moved out of the way of helpers that it calls."""
    hidden = (stored(tree) | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}) & referred
    for node in ast.walk(tree) if hidden else ():
        if isinstance(node, ast.Name) and node.id in hidden and not hasattr(node, "helper"):
            node.id += "_"
        elif isinstance(node, ast.arg) and node.arg in hidden:
            node.arg += "_"
    return tree


def _shorten_docstring(tree: ast.FunctionDef) -> None:
    text = ast.get_docstring(tree)
    if text is not None:
        first = text.split("\n\n")[0].replace("\n", " ")
        tree.body[0] = ast.Expr(ast.Constant(first))
    if not tree.body:
        tree.body = [ast.Pass()]


class Names:
    """What the free names of a function stand for."""

    def __init__(self, function: Any, owner: type[Operator] | None, local: set[str]):
        self.space, self.owner, self.local = function.__globals__, owner, local
        self.imported: dict[str, Any] = {}

    def look(self, node: ast.AST) -> Any:
        """The object behind a free name or a chain of attributes of one, or _MISSING."""
        if isinstance(node, ast.Name):
            if node.id == "cls" and self.owner is not None:
                return self.owner
            if node.id in self.imported:
                return self.imported[node.id]
            if node.id in self.local:
                return _MISSING
            return self.space.get(node.id, _MISSING)
        if isinstance(node, ast.Attribute):
            whole = self.look(node.value)
            if whole is _MISSING or not _is_ours(whole):
                return _MISSING
            return getattr(whole, node.attr, _MISSING)
        return _MISSING

    def imports(self, node: ast.ImportFrom) -> None:
        """An import within the function."""
        module = __import__(node.module or "", fromlist=["*"])
        for alias in node.names:
            self.imported[alias.asname or alias.name] = getattr(module, alias.name)


def _is_ours(thing: Any) -> bool:
    """A module or class of Backlit, or a dtype: its attributes are looked up here."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__.split(".")[0] == "backlit"
    return isinstance(thing, dt.dtype) or (isinstance(thing, type) and _of_backlit(thing))


def _of_backlit(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).split(".")[0] == "backlit"


def stored(tree: ast.AST) -> set[str]:
    """Names that are bound within a tree: parameters, assigned ones, those of loops."""
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)
             and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return found | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}


class Plain(ast.NodeTransformer):
    """Takes Backlit out of the source of a function."""

    def __init__(self, helpers: Helpers, function: Any, owner: type[Operator] | None):
        self.helpers, self.function = helpers, function
        self.names = Names(function, owner, stored(tree_of(function)))
        self.referred: set[str] = set()  # names of helpers

    def refer(self, thing: Any, node: ast.expr) -> ast.expr:
        """An object from outside as an expression of the file."""
        if isinstance(thing, types.ModuleType):
            name = _MODULES.get(thing)
            if name is None:
                raise Unprintable(f"module {thing.__name__}")
            self.helpers.modules.add(name)
            return ast.Name(name, ast.Load())
        if isinstance(thing, type) and issubclass(thing, BacklitError):
            return ast.Name(_plain_error(thing), ast.Load())
        function = plain(thing)
        if isinstance(function, types.FunctionType):
            if _of_backlit(function):
                owner = getattr(thing, "__self__", None)
                return self._helper(self.helpers.need(thing, owner))
            return _of_numpy(function)
        if isinstance(node, ast.Name) and isinstance(thing, (tuple, list, dict)):
            return self._helper(self.helpers.constant(node.id, thing))
        return literal(thing)

    def _helper(self, name: str) -> ast.expr:
        self.referred.add(name)
        made = ast.Name(name, ast.Load())
        made.helper = True  # type: ignore[attr-defined]
        return made

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = self.names.look(node)
        if found is _MISSING or not isinstance(node.ctx, ast.Load):
            return node
        return self.refer(found, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        found = self.names.look(node)
        if found is not _MISSING:
            return self.refer(found, node)
        if node.attr == "numpy":  # of a dtype, which is NumPy's here
            return self.visit(node.value)
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        found = self.names.look(node.func)
        if found is basic_index and self.function in INDEXED:
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        if isinstance(found, type) and issubclass(found, BacklitError):
            node.keywords = []
        if not node.keywords and _is_ours_function(found) and _gives_back(plain(found)):
            if tree_of(plain(found)).args.vararg is not None:
                return ast.Tuple([self.visit(a) for a in node.args], ast.Load())
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if _asks_for_half(node.test):
            return self.visit(node.orelse)  # type: ignore[no-any-return]
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        if _asks_for_half(node.test):
            return [self.visit(s) for s in node.orelse]
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Input is not checked again: what ran once is right."""
        if isinstance(node.value, ast.Call):
            found = self.names.look(node.value.func)
            name = getattr(found, "__name__", "").strip("_")
            if _is_ours_function(found) and name.startswith(("check", "refuse", "need", "require")):
                return None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns, node.decorator_list = None, []
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names.imports(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        return None


def _plain_error(error: type) -> str:
    return next(c.__name__ for c in error.__mro__
                if c.__module__ == "builtins" and issubclass(c, Exception))  # fmt: skip


def _of_numpy(function: Callable[..., Any]) -> ast.expr:
    module = function.__module__.replace("numpy.lib._stride_tricks_impl",
                                         "numpy.lib.stride_tricks")  # fmt: skip
    if module.split(".")[0] != "numpy":
        raise Unprintable(f"{function.__module__}.{function.__name__}")
    if getattr(np, function.__name__, None) is function:
        return attribute(f"np.{function.__name__}")
    return attribute(f"np.{module.partition('.')[2]}.{function.__name__}")


def _is_ours_function(thing: Any) -> bool:
    return isinstance(plain(thing), types.FunctionType) and _of_backlit(plain(thing))


def _asks_for_half(test: ast.expr) -> bool:
    """Whether a condition holds for 16-bit floats alone, which a printed file never has."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_asks_for_half(v) for v in test.values)
    return ast.unparse(test).endswith("itemsize == 2")


@functools.cache
def _gives_back(function: Any) -> bool:
    """Whether a function returns what it is given, 16-bit floats aside."""
    tree = tree_of(function)
    body = [s for s in tree.body if not isinstance(s, ast.Expr)]
    if len(body) != 1 or not isinstance(body[0], ast.Return) or body[0].value is None:
        return False
    value = body[0].value
    if tree.args.vararg is not None and not tree.args.args:
        whole = isinstance(value, ast.ListComp) and len(value.generators) == 1
        if not whole or ast.unparse(value.generators[0].iter) != tree.args.vararg.arg:  # type: ignore
            return False
        given = ast.unparse(value.generators[0].target)  # type: ignore[attr-defined]
        value = value.elt  # type: ignore[attr-defined]
    elif len(tree.args.args) == 1:
        given = tree.args.args[0].arg
    else:
        return False
    while isinstance(value, ast.IfExp) and _asks_for_half(value.test):
        value = value.orelse
    return isinstance(value, ast.Name) and value.id == given
