"""Open axes: graphs of one model at several sizes, merged into one that holds for all.

Rules write sizes as constants. What differs between the graphs must be a polynomial of the open
sizes, such as 3 n or n m + 1, with whole coefficients; then nodes compute it from the inputs'
shapes. One size more than the polynomials need checks them. Read next: graph.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.dtypes import of_array
from backlit.errors import ArgumentError
from backlit.onnx.exporting.graph import Graph, Node, Port, reads

SMALLEST = 2  # an axis of size 1 broadcasts: it would not show what depends on it
MOST = 3  # open sizes: each doubles the number of captures


@dataclass(frozen=True)
class OpenAxis:
    """A symbol, an input and an axis of it where its size stands, and the size of the example."""

    symbol: str
    input: int
    axis: int
    example: int


def sample_sizes(axes: Sequence[OpenAxis]) -> list[dict[str, int]]:
    """The sizes to capture at: corners that determine the polynomials, and one to check them."""
    base = {a.symbol: max(a.example, SMALLEST) for a in axes}  # equal ones have equal sizes
    corners = itertools.product((0, 1), repeat=len(base))
    steps = [*corners, (2,) * len(base)]
    return [{s: n + d for (s, n), d in zip(base.items(), step)} for step in steps]


class Polynomial:
    """A sum of products of symbols: {("n",): 3, (): 1} is 3 n + 1."""

    def __init__(self, terms: dict[tuple[str, ...], int]) -> None:
        self.terms = {k: c for k, c in terms.items() if c}

    @property
    def constant(self) -> int | None:
        """Its value, if that is always the same."""
        return self.terms.get((), 0) if set(self.terms) <= {()} else None

    def __str__(self) -> str:
        """In the spelling of ONNX's names of axes."""
        products = ["*".join([str(c)] * (c != 1 or not k) + list(k)) for k, c in self.terms.items()]
        return " + ".join(reversed(products)).replace("+ -", "- ") or "0"


def fitted(sizes: Sequence[dict[str, int]], values: Sequence[int]) -> Polynomial | None:
    """The polynomial through all values, or None; in whole numbers, so exact at any size.

    Differences between the corners are its coefficients around the first one.
    """
    base, symbols = sizes[0], list(sizes[0])
    corners = {
        frozenset(n for n in symbols if s[n] > base[n]): v for s, v in zip(sizes, values[:-1])
    }
    around = {
        kind: sum((-1) ** len(kind - part) * v for part, v in corners.items() if part <= kind)
        for kind in corners
    }
    terms = {
        tuple(n for n in symbols if n in kind): sum(
            c * math.prod(-base[n] for n in wide - kind)
            for wide, c in around.items() if kind <= wide
        )
        for kind in corners
    }  # fmt: skip
    last = sum(c * math.prod(sizes[-1][n] for n in kind) for kind, c in terms.items())
    return Polynomial(terms) if last == values[-1] else None


class _Merger:
    """Merges the graphs: constants that differ become computed ones."""

    def __init__(self, graphs: Sequence[Graph], sizes: Sequence[dict[str, int]],
                 axes: Sequence[OpenAxis]) -> None:  # fmt: skip
        self.graphs, self.sizes, self.axes = graphs, sizes, axes
        self.first = graphs[0]
        self.nodes: list[Node] = []  # that compute sizes: they come before all others
        self.constants = dict(self.first.constants)
        self._made: dict[str, str] = {}
        self._readers: dict[str, list[Node]] = {}
        for node in self.first.nodes:
            for name in set(reads(node)):
                self._readers.setdefault(name, []).append(node)

    def merged(self) -> Graph:
        self._same_nodes()
        for name, array in list(self.first.constants.items()):
            arrays = [g.constants[name] for g in self.graphs]
            if any(a is not array and not _equal(a, array) for a in arrays):
                self._compute(name, arrays)
        ports = [
            [self._port(pair) for pair in zip(*(getattr(g, side) for g in self.graphs))]
            for side in ("inputs", "outputs")
        ]
        nodes = [*self.nodes, *self.first.nodes]
        return Graph(self.first.name, ports[0], nodes, ports[1], self.constants, self.first.kept)

    def _same_nodes(self) -> None:
        lists = [list(_all_nodes(g.nodes)) for g in self.graphs]
        for nodes in zip(*lists):
            if any(_form(n) != _form(nodes[0]) for n in nodes[1:]):
                raise self._refused(nodes[0], "what is computed depends on it")
        if len({len(nodes) for nodes in lists}) > 1:
            raise self._refused(self.first.nodes[-1], "the number of operations depends on it")

    def _refused(self, node: Node | None, why: str) -> ArgumentError:
        symbols = ", ".join(repr(s) for s in self.sizes[0])
        op = f" ({node.op})" if node else ""
        error = ArgumentError(
            f"onnx.export: the open axis {symbols} can't stay open: {why}{op}",
            hint="export that axis at one size, or compute with x.shape and reshape(-1)",
        )
        if node:
            error.place(" in ".join(x for x in (node.place, node.module) if x))
        return error

    # ----- constants that differ -----

    def _compute(self, name: str, arrays: list[np.ndarray]) -> None:
        """Nodes that compute a constant, under its name."""
        del self.constants[name]
        if name not in self._readers:
            return
        reader = self._readers[name][0]
        if len({a.shape for a in arrays}) == 1:
            self._compute_elements(name, arrays, reader)
        elif all(a.size and (a == arrays[0].reshape(-1)[0]).all() for a in arrays):
            shape = self._sizes([a.shape for a in arrays], reader)
            value = arrays[0].reshape(-1)[:1]
            self.nodes.append(Node("ConstantOfShape", (shape,), (name,), {"value": value}))
        elif all(_is_range(a) for a in arrays):
            self._compute_range(name, arrays, reader)
        else:
            raise self._refused(reader, f"a constant of shape {arrays[0].shape} depends on it")

    def _compute_elements(self, name: str, arrays: list[np.ndarray], reader: Node | None) -> None:
        """Sizes, or numbers made of them: each a polynomial, or all of them one over one."""
        columns = list(zip(*(a.reshape(-1).tolist() for a in arrays)))
        kind = of_array(arrays[0])
        found, inverse = self._fitted(columns, kind)
        if arrays[0].ndim > 1 or found is None:
            first = next(c for c in columns if len(set(c)) > 1)
            raise self._refused(reader, f"the number {first[0]:g} depends on it")
        free = [i for i, p in enumerate(found) if p.constant is None]
        reshapes = all(n.op == "Reshape" and n.inputs[1] == name for n in self._readers[name])
        if reshapes and len(free) == 1 and 0 not in arrays[0]:
            sizes = [-1 if i in free else v for i, v in enumerate(arrays[0].tolist())]
            self.constants[name] = np.array(sizes, np.int64)
            return
        made = self._joined(found) if arrays[0].ndim else self._scalar(found[0])
        if kind is not dt.int64:
            made = self._node("Cast", made, to=kind)
        self.nodes.append(Node("Reciprocal" if inverse else "Identity", (made,), (name,)))

    def _fitted(self, columns: list[tuple], kind: dt.dtype) -> tuple[list[Polynomial] | None, bool]:
        """The polynomials of these values or of their reciprocals, and which of both."""
        for inverse in (False, True):
            with np.errstate(all="ignore"):
                turned = [[1 / v if inverse and v else v for v in c] for c in columns]
            whole = [[round(v) if abs(v) < 2**53 else 0 for v in c] for c in turned]
            same = all(
                kind.numpy.type(1 / w if inverse and w else w) == v
                for c, values in zip(columns, whole) for v, w in zip(c, values)
            )  # fmt: skip
            found = [fitted(self.sizes, values) for values in whole] if same else [None]
            if all(p is not None for p in found):
                return [p for p in found if p is not None], inverse
        return None, False

    def _scalar(self, p: Polynomial) -> str:
        return self._node("Squeeze", self._value(p))

    def _compute_range(self, name: str, arrays: list[np.ndarray], reader: Node | None) -> None:
        """0, 1, ... along one axis, in the shape it has."""
        size = self._sizes([(a.size,) for a in arrays], reader)
        zero, one = (self._constant(np.array(v, np.int64)) for v in (0, 1))
        counted = self._node("Range", zero, self._node("Squeeze", size), one)
        shape = self._sizes([a.shape for a in arrays], reader)
        kind = of_array(arrays[0])
        counted = counted if kind is dt.int64 else self._node("Cast", counted, to=kind)
        self.nodes.append(Node("Reshape", (counted, shape), (name,)))

    def _sizes(self, shapes: list[tuple[int, ...]], reader: Node | None) -> str:
        """A vector of sizes."""
        if len({len(s) for s in shapes}) > 1:
            raise self._refused(reader, "the number of axes depends on it")
        found = [fitted(self.sizes, column) for column in zip(*shapes)]
        if any(p is None for p in found):
            raise self._refused(reader, "a size is no polynomial of it")
        return self._joined([p for p in found if p is not None])

    def _joined(self, polynomials: list[Polynomial]) -> str:
        values = [self._value(p) for p in polynomials]
        return values[0] if len(values) == 1 else self._node("Concat", *values, axis=0)

    def _value(self, p: Polynomial) -> str:
        """The value of a polynomial, as a vector of one element."""
        total = ""
        for kind, factor in p.terms.items() or (((), 0),):
            written = factor != 1 or not kind
            product = self._constant(np.array([factor], np.int64)) if written else ""
            for symbol in kind:
                size = self._size(symbol)
                product = self._node("Mul", product, size) if product else size
            total = self._node("Add", total, product) if total else product
        return total

    def _size(self, symbol: str) -> str:
        axis = next(a for a in self.axes if a.symbol == symbol)
        name = self.first.inputs[axis.input].name
        return self._node("Shape", name, start=axis.axis, end=axis.axis + 1)

    def _constant(self, array: np.ndarray) -> str:
        name = f"size/{array.dtype}_{'_'.join(map(str, array.reshape(-1).tolist()))}_{array.ndim}"
        self.constants[name] = array
        return name

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The output of a node, the same for the same node."""
        key = repr((op, inputs, sorted(attributes.items())))
        if key not in self._made:
            self._made[key] = f"size/{op}_{len(self._made)}"
            self.nodes.append(Node(op, inputs, (self._made[key],), attributes))
        return self._made[key]

    def _port(self, ports: tuple[Port, ...]) -> Port:
        """An input or output whose open axes have names."""
        shape: list[int | str] = []
        for column in zip(*(p.shape for p in ports)):
            found = fitted(self.sizes, column)  # type: ignore[arg-type]
            if found is None:
                shape.append("")
            else:
                shape.append(str(found) if found.constant is None else found.constant)
        return Port(ports[0].name, ports[0].dtype, tuple(shape))


def merged(graphs: Sequence[Graph], sizes: Sequence[dict[str, int]],
           axes: Sequence[OpenAxis]) -> Graph:  # fmt: skip
    """One graph for all sizes; refuses by name what they do not share."""
    return _Merger(graphs, sizes, axes).merged()


def _all_nodes(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        for body in node.bodies:
            yield from _all_nodes(body.nodes)


def _form(node: Node) -> tuple[Any, ...]:
    """What must agree between the sizes; bodies are compared node by node."""
    plain = {
        k: v.tolist() if isinstance(v, np.ndarray) else v
        for k, v in node.attributes.items()
        if k not in ("body", "then_branch", "else_branch")
    }
    return node.op, node.inputs, node.outputs, repr(sorted(plain.items()))


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _is_range(a: np.ndarray) -> bool:
    return (
        a.dtype.kind == "i"
        and a.size == max(a.shape, default=0)
        and bool((a.reshape(-1) == np.arange(a.size)).all())
    )
