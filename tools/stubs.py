"""Writes the type stubs of what the operator registry attaches when Backlit is imported.

    python tools/stubs.py          write backlit/_stubs/*.pyi
    python tools/stubs.py --check  say whether they are fresh (exit status 1 if not)

The stubs have no counterpart at run time: type checkers and editors alone read them, through
`if TYPE_CHECKING` in tensor.py, `__init__.py`, nn/functional.py, linalg.py and special.py.
"""

from __future__ import annotations

import inspect
import keyword
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backlit as bl
from backlit.api import NAMESPACES

FOLDER = Path(bl.__file__).parent / "_stubs"
FILES = {"Tensor": "methods", "bl": "functions", "F": "functional", "linalg": "linalg",
         "special": "special"}  # fmt: skip
HEAD = '''"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

'''
REFLECTED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor",
             "lshift", "rshift", "matmul")  # fmt: skip
UNARY = ("neg", "pos", "abs", "invert")
COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")
# Operators of one output whose public function may return something else than one Tensor.
OTHERS = {
    "allclose", "aminmax", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "chunk",
    "cummax", "cummin", "equal", "kthvalue", "max", "median", "meshgrid", "min", "mode",
    "nanmedian", "nonzero", "sort", "split", "std_mean", "topk", "unbind", "unique",
    "unique_consecutive", "var_mean", "where",
}  # fmt: skip


def result(name: str, function: Callable[..., Any]) -> str:
    """`Tensor` where that is certain: in-place forms, and operators of one output."""
    op = getattr(function, "operator", None)
    certain = op is not None and len(op.outputs) == 1 and not OTHERS & {name, op.name}
    return "Tensor" if certain or name.endswith("_") else "Any"


def default(value: Any) -> str:
    """A default as it can stand in a stub."""
    return repr(value) if value is None or isinstance(value, (bool, int, float, str)) else "..."


def parameters(function: Callable[..., Any], method: bool) -> str:
    """The parameters as written, each of type Any; the first one of a method is `self`."""
    written, star = [], False
    for i, p in enumerate(inspect.signature(function).parameters.values()):
        if p.kind is p.VAR_POSITIONAL:
            star = True
            written += ["self", f"*{p.name}: Any"] if method and i == 0 else [f"*{p.name}: Any"]
            continue
        if p.kind is p.VAR_KEYWORD:
            written.append(f"**{p.name}: Any")
            continue
        if p.kind is p.KEYWORD_ONLY and not star:
            star = True
            written.append("*")
        name = f"{p.name}_" if keyword.iskeyword(p.name) else p.name
        value = "" if p.default is p.empty else f" = {default(p.default)}"
        written.append("self" if method and i == 0 else f"{name}: Any{value}")
    return ", ".join(written)


def declaration(name: str, function: Callable[..., Any], method: bool) -> str:
    """One function of a stub, with the first line of its documentation."""
    in_place = method and name.endswith("_") and not name.startswith("_")
    shown = NAMESPACES["Tensor"].get(name[:-1], function) if in_place else function
    given = parameters(shown, method)
    kind = result(name, function)
    text = (inspect.getdoc(function) or "").split("\n")[0].replace("\\", "\\\\").replace('"', "'")
    indent = "    " if method else ""
    body = f'\n{indent}    """{text}"""' if text else f"\n{indent}    ..."
    return f"{indent}def {name}({given}) -> {kind}:{body}\n"


def operators() -> list[str]:
    """Python's own signs."""
    lines = []
    for name in REFLECTED:
        lines += [f"    def __{name}__(self, other: Any) -> Tensor: ...",
                  f"    def __r{name}__(self, other: Any) -> Tensor: ...",
                  f"    def __i{name}__(self, other: Any) -> Tensor: ..."]  # fmt: skip
    lines += [f"    def __{name}__(self) -> Tensor: ..." for name in UNARY]
    for name in COMPARED:
        ignore = "  # type: ignore[override]" if name in ("eq", "ne") else ""
        lines.append(f"    def __{name}__(self, other: Any) -> Tensor: ...{ignore}")
    lines.append("    def __getitem__(self, index: Any) -> Tensor: ...")
    lines.append("    def __setitem__(self, index: Any, value: Any) -> None: ...")
    for name in ("T", "mT", "H", "mH"):
        lines += ["    @property", f"    def {name}(self) -> Tensor: ..."]
    return lines


def stub(space: str) -> str:
    """The text of one stub file."""
    method = space == "Tensor"
    found = sorted(NAMESPACES[space].items())
    if method:
        found = [(n, f) for n, f in found if vars(bl.Tensor).get(n) is f]
        body = [*operators(), *(declaration(n, f, True) for n, f in found)]
        return HEAD + "class TensorMethods:\n" + "\n".join(body) + "\n"
    return HEAD + "\n".join(declaration(n, f, False) for n, f in found) + "\n"


def main(arguments: list[str]) -> int:
    """Write the stubs, or with --check compare them."""
    wanted = {FOLDER / f"{file}.pyi": stub(space) for space, file in FILES.items()}
    wanted[FOLDER / "__init__.pyi"] = '"""Type stubs of the operators; see tools/stubs.py."""\n'
    if "--check" in arguments:
        return int(any(not p.exists() or p.read_text() != text for p, text in wanted.items()))
    FOLDER.mkdir(exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
