"""Sums of products by Einstein's convention: einsum.

The equation is read once per set of shapes into a plan: what to do with each operand (diagonals,
sums), then pairs to multiply. Each pair is one matrix product; nothing else computes.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.matmul import Matmul
from backlit.ops.op import Composite, apply
from backlit.ops.shape import Permute, Reshape, to

Labels = tuple[int, ...]  # letters as numbers: a.. z, then A.. Z, then axes of the dots
_DOTS = 100  # the first label of an axis that `...` stands for


class Einsum(Composite):
    """Products of tensors, summed over the labels that the output lacks.

    The equation names axes by letters, `...` stands for axes that broadcast; or lists of numbers
    follow each operand. More than two operands are multiplied in a greedy order.

    >>> a = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> bl.einsum("ij,jk->ik", a, a), bl.einsum("ii", a)
    (tensor([[ 7., 10.],
            [15., 22.]]), tensor(5.))
    """

    exports = "bl"

    def expand(equation, *operands):
        if not isinstance(equation, str):
            equation, operands = _from_lists((equation, *operands))
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        if not operands:
            raise ArgumentError("einsum: expected at least one operand")
        for x in operands:
            if not hasattr(x, "cell"):
                raise ArgumentTypeError(f"einsum: expected tensors, got {type(x).__name__}")
        plan = planned(equation, tuple(x.cell.array.shape for x in operands))
        return _computed(plan, list(operands))

    def latex(equation, *names):
        return rf"\sum {' '.join(names)}"


def _from_lists(args: tuple) -> tuple[str, tuple]:
    """The sublist form as an equation: einsum(a, [0, 1], b, [1, 2], [0, 2])."""

    def letters(labels: Any) -> str:
        return "".join("..." if n is Ellipsis else _letter(n) for n in labels)

    count = len(args) // 2
    terms = ",".join(letters(args[2 * i + 1]) for i in range(count))
    arrow = f"->{letters(args[-1])}" if len(args) % 2 else ""
    return terms + arrow, tuple(args[2 * i] for i in range(count))


def _letter(n: int) -> str:
    if not 0 <= n < 52:
        raise ArgumentError(f"einsum: labels are numbers from 0 to 51, got {n}")
    return chr(ord("A") + n) if n < 26 else chr(ord("a") + n - 26)


# ----- reading -----


class Plan(NamedTuple):
    """How to compute: the labels of each operand, the steps, the labels of the result."""

    operands: tuple[Labels, ...]
    steps: tuple[tuple[int, int, Labels], ...]  # positions of a pair, labels of its product
    output: Labels
    sizes: tuple[tuple[int, int], ...]


@lru_cache(maxsize=512)
def planned(equation: str, shapes: tuple[tuple[int, ...], ...]) -> Plan:
    """Read an equation for operands of these shapes."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ArgumentError(f"einsum: {equation!r} names {len(terms)} operands, got {len(shapes)}")
    dots = max((len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes) if "..." in t),
               default=0)  # fmt: skip
    labels = [_labels(t, len(s), equation) for t, s in zip(terms, shapes)]
    sizes = _sizes(labels, shapes, equation)
    output = _labels(right, None, equation, dots) if arrow else _implied(labels, dots)
    if len(set(output)) != len(output):
        raise ArgumentError(f"einsum: the output of {equation!r} repeats a label")
    for label in output:
        if label not in sizes:
            raise ArgumentError(f"einsum: an output label of {equation!r} is in no operand")
    narrow = [
        tuple(n for n, size in zip(found, shape) if size == sizes[n])
        for found, shape in zip(labels, shapes)
    ]
    steps = _order([tuple(dict.fromkeys(n)) for n in narrow], output, sizes)
    return Plan(tuple(labels), steps, output, tuple(sizes.items()))


def _labels(term: str, ndim: int | None, equation: str, dots: int = 0) -> Labels:
    """The labels of a term; `...` fills up to `ndim` axes, counted from the last."""
    before, found, after = term.partition("...")
    if found and ndim is not None:
        dots = ndim - len(before) - len(after)
    names = before + after
    if not all(c.isascii() and c.isalpha() for c in names) or dots < 0:
        raise ArgumentError(f"einsum: {term!r} in {equation!r} is no list of letters")
    if ndim is not None and len(names) + (dots if found else 0) != ndim:
        raise ShapeError(f"einsum: {term!r} in {equation!r} names {len(names)} axes of {ndim}")
    spread = tuple(range(_DOTS + dots - 1, _DOTS - 1, -1)) if found else ()
    return (*map(_number, before), *spread, *map(_number, after))


def _number(letter: str) -> int:
    return ord(letter) - ord("A")  # upper case before lower case, as letters sort


def _implied(labels: list[Labels], dots: int) -> Labels:
    """The labels that occur once, in alphabetical order, after those of the dots."""
    flat = [n for found in labels for n in found if n < _DOTS]
    once = sorted(n for n in set(flat) if flat.count(n) == 1)
    return (*range(_DOTS + dots - 1, _DOTS - 1, -1), *once)


def _sizes(labels: list[Labels], shapes: Any, equation: str) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for found, shape in zip(labels, shapes):
        for label, size in zip(found, shape):
            known = sizes.get(label, 1)
            if known != 1 and size not in (1, known):
                raise ShapeError(f"einsum: a label of {equation!r} has sizes {known} and {size}",
                                 hint=f"operands: {', '.join(map(str, shapes))}")  # fmt: skip
            sizes[label] = size if known == 1 else known
    return sizes


def _order(found: list[Labels], output: Labels, sizes: dict[int, int]) -> tuple:
    """Pairs to multiply, the pair whose product is smallest beside its factors first."""
    terms: list[Labels | None] = list(found)
    steps = []
    while sum(t is not None for t in terms) > 1:
        alive = [i for i, t in enumerate(terms) if t is not None]
        best: Any = None
        for x, i in enumerate(alive):
            for j in alive[x + 1 :]:
                product = _product(terms, i, j, output)
                gain = _count(product, sizes) - _count(terms[i], sizes) - _count(terms[j], sizes)
                if best is None or gain < best[0]:
                    best = (gain, i, j, product)
        _, i, j, product = best
        terms[i], terms[j] = product, None
        steps.append((i, j, product))
    return tuple(steps)


def _count(labels: Any, sizes: dict[int, int]) -> int:
    return math.prod(sizes[n] for n in labels)


def _product(terms: list, i: int, j: int, output: Labels) -> Labels:
    """Labels that are still needed after multiplying two terms: batch, left, right."""
    others = {n for k, t in enumerate(terms) if t is not None and k not in (i, j) for n in t}
    kept = [n for n in dict.fromkeys((*terms[i], *terms[j])) if n in others or n in output]
    both = [n for n in kept if n in terms[i] and n in terms[j]]
    return (*both, *(n for n in kept if n not in both and n in terms[i]),
            *(n for n in kept if n not in both and n in terms[j]))  # fmt: skip


# ----- computing -----


def _computed(plan: Plan, operands: list) -> Any:
    from backlit import dtypes as dt

    sizes = dict(plan.sizes)
    common = dt.result_type(*operands)
    terms: list[Any] = [
        _single(to(x, common), labels, sizes) for x, labels in zip(operands, plan.operands)
    ]
    for i, j, product in plan.steps:
        terms[i] = (_multiplied(terms[i], terms[j], product, sizes), product)
    x, labels = terms[0]
    x, labels = _summed(x, labels, plan.output)
    return _arranged(x, labels, plan.output)


def _single(x: Any, labels: Labels, sizes: dict[int, int]) -> tuple[Any, Labels]:
    """Diagonals of repeated labels; axes of size 1 that others stretch are dropped."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: no diagonal of axes of {x.shape[first]} and"
                                 f" {x.shape[second]}")  # fmt: skip
            x = x.diagonal(0, first, second)
            labels = (*(n for n in labels if n != label), label)
    stretched = tuple(k for k, n in enumerate(labels) if x.shape[k] != sizes[n])
    if stretched:
        x = x.squeeze(stretched)
        labels = tuple(n for k, n in enumerate(labels) if k not in stretched)
    return x, labels


def _summed(x: Any, labels: Labels, kept: Any) -> tuple[Any, Labels]:
    """Sum over the labels that nobody needs."""
    lost = tuple(k for k, n in enumerate(labels) if n not in kept)
    if lost:
        x = x.sum(lost, dtype=x.dtype)
    return x, tuple(n for n in labels if n in kept)


def _arranged(x: Any, labels: Labels, wanted: Labels) -> Any:
    if labels == wanted:
        return x
    return apply(Permute, x, dims=tuple(labels.index(n) for n in wanted))


def _multiplied(left: tuple, right: tuple, product: Labels, sizes: dict[int, int]) -> Any:
    """One matrix product: batch axes, own axes of the left and right, summed axes."""
    (a, la), (b, lb) = left, right
    a, la = _summed(a, la, {*lb, *product})
    b, lb = _summed(b, lb, {*la, *product})
    batch = tuple(n for n in product if n in la and n in lb)
    rows = tuple(n for n in product if n in la and n not in lb)
    columns = tuple(n for n in product if n in lb and n not in la)
    inner = tuple(n for n in la if n in lb and n not in batch)
    if not inner and not rows and not columns:
        return _arranged(a, la, batch) * _arranged(b, lb, batch)
    lead = tuple(sizes[n] for n in batch)
    m, n, k = (_count(part, sizes) for part in (rows, columns, inner))
    a = _shaped(_arranged(a, la, (*batch, *rows, *inner)), (*lead, m, k))
    b = _shaped(_arranged(b, lb, (*batch, *inner, *columns)), (*lead, k, n))
    made = apply(Matmul, a, b) if inner else a * b
    return _shaped(made, tuple(sizes[x] for x in (*batch, *rows, *columns)))


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.cell.array.shape == shape else apply(Reshape, x, shape=shape)
