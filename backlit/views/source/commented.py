"""A copied function as text, with the comments of its source.

Python's syntax trees hold no comments; they are read off the source and put back by the line that
a statement came from. Knows syntax trees and text only.
"""

from __future__ import annotations

import ast
import io
import tokenize

_BLOCKS = ("body", "orelse", "finalbody", "handlers")
_FOR_TOOLS = ("fmt:", "type:", "noqa", "pragma")


def comments_of(source: str) -> dict[int, str]:
    """Comments by line, without those that are for tools."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("# ")
        if token.type == tokenize.COMMENT and not text.startswith(_FOR_TOOLS):
            found[token.start[0]] = token.string.partition("  # ")[0]
    return found


def unparsed(tree: ast.stmt, comments: dict[int, str]) -> str:
    """The text of a statement whose parts know the lines that they came from."""
    left = dict(comments)
    return "\n".join(_lines(tree, left, 0))


def _lines(node: ast.AST, left: dict[int, str], depth: int) -> list[str]:
    pad = "    " * depth
    first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
    blocks = {name: getattr(node, name) for name in _BLOCKS if getattr(node, name, None)}
    if not blocks:
        text = _plain(node).split("\n")
        said = _taken(left, first, last)
        above = [pad + c for c in _above(left, first)]
        if said and len(text) == 1:
            text[0] += f"  {said[0]}"
        return [*above, *(pad + line for line in text)]
    made = [pad + c for c in _above(left, first)]
    start = _first_line(blocks)
    head = _head(node, blocks)
    said = _taken(left, first, max(first, start - 1)) if start else []
    made.append(pad + head[0] + (f"  {said[0]}" if said else ""))
    for name, body in blocks.items():
        if name == "orelse" and not _is_elif(body):
            made.append(f"{pad}else:")
        elif name == "orelse":
            inner = _lines(body[0], left, depth)
            inner[0] = inner[0].replace("if ", "elif ", 1)
            made += inner
            continue
        elif name == "finalbody":
            made.append(f"{pad}finally:")
        for part in body:
            made += _lines(part, left, depth if name == "handlers" else depth + 1)
    return made


def _plain(node: ast.AST) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return f'"""{value.value}"""'
    return ast.unparse(ast.fix_missing_locations(node))


def _head(node: ast.AST, blocks: dict[str, list]) -> list[str]:
    """The first line of a statement that holds others."""
    bare = type(node)(**{n: v for n, v in ast.iter_fields(node) if n not in blocks})
    for name in _BLOCKS:
        if name in node._fields:
            setattr(bare, name, [ast.Pass()] if name == "body" else [])
    if isinstance(node, ast.Try):
        return ["try:"]
    return ast.unparse(ast.fix_missing_locations(bare)).split("\n")


def _is_elif(body: list[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.If)


def _first_line(blocks: dict[str, list]) -> int:
    return next((getattr(s, "lineno", 0) for body in blocks.values() for s in body), 0)


def _taken(left: dict[int, str], first: int, last: int) -> list[str]:
    """The comments on the lines of a statement."""
    return [left.pop(n) for n in sorted(left) if first <= n <= last]


def _above(left: dict[int, str], line: int) -> list[str]:
    """Comments on lines of their own right before."""
    start = line
    while start - 1 in left:
        start -= 1
    return _taken(left, start, line - 1) if line else []
