"""The explicit Jacobian of one value of a graph by an earlier one, three times over.

Row by row (a walk back per element of z), column by column (forward mode, per element of x), and
by central differences of the graph run again. A random vector from the left and one from the
right check the products. Next: rerun.py.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import figures, func
from backlit.autograd.modes import no_grad
from backlit.errors import ArgumentError, GradError, NotAvailable
from backlit.tensor import Tensor, wrap
from backlit.views import charts
from backlit.views.graph import Graph, Wire
from backlit.views.record import record
from backlit.views.rerun import rerun

MOST, LONGEST = 1 << 16, 1 << 12  # elements of the matrix; of one of its sides
DIRECTIONS = 8  # along which central differences are taken
SHOWN = 8  # rows and columns that are printed


@dataclass(frozen=True, eq=False)
class Jacobian:
    """J[i, j] = dz_i / dx_j with z and x flattened: D_z rows, D_x columns.

    `differences` has, per check, the largest deviation from the matrix over its largest element;
    None where an operator has no forward mode.
    """

    of: str
    wrt: str
    of_shape: tuple[int, ...]
    wrt_shape: tuple[int, ...]
    matrix: np.ndarray
    differences: dict[str, float | None]

    @property
    def tensor(self) -> np.ndarray:
        """The same, of shape z.shape + x.shape, as `bl.func.jacrev` has it."""
        return self.matrix.reshape(self.of_shape + self.wrt_shape)

    @property
    def ok(self) -> bool:
        """Whether rows, columns, products and differences agree."""
        exact = {8: 1e-12, 4: 1e-5}.get(self.matrix.dtype.itemsize, 2e-2)
        limits = {"central differences": max(1e-6, exact)}
        found = [(d, limits.get(k, exact)) for k, d in self.differences.items() if d is not None]
        return all(d <= limit for d, limit in found)

    def _head(self) -> str:
        rows, columns = self.matrix.shape
        return (
            f"d {self.of} / d {self.wrt}: {rows} x {columns} (D_z x D_x),"
            f" z of shape {self.of_shape}, x of shape {self.wrt_shape}"
        )

    def _foot(self) -> list[str]:
        lines = []
        for name, found in self.differences.items():
            said = "no forward mode here" if found is None else f"{found:.1e}"
            lines.append(f"largest relative difference from {name}: {said}")
        return lines

    def __str__(self) -> str:
        part = self.matrix[:SHOWN, :SHOWN]
        shown = np.array2string(part, precision=6, suppress_small=False, max_line_width=100)
        cut = "" if part.shape == self.matrix.shape else f" (the first {part.shape})"
        return "\n".join([self._head() + cut, shown, *self._foot()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        foot = "".join(f"<p>{line}</p>" for line in self._foot())
        return f"<p>{self._head()}</p>{charts.svg(self._figure())}{foot}"

    def _repr_png_(self) -> bytes:
        return figures.png(self._figure())

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write the heat picture."""
        figures.write_png(self._figure(), path)

    def _figure(self) -> Any:
        rows, columns = self.matrix.shape
        wide = 1.6 + 3.0 * min(2.0, max(0.5, columns / max(rows, 1)))
        made = figures.new_figure(wide, 3.2)
        panel = charts.axes(made, title=f"d {self.of} / d {self.wrt}")
        shown = charts.heat(panel, self.matrix.astype(np.float64))
        panel.set_xlabel(f"element of {self.wrt}", fontsize=8)
        panel.set_ylabel(f"element of {self.of}", fontsize=8)
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_locator().set_params(integer=True)
        made.colorbar(shown, ax=panel).ax.tick_params(labelsize=8)
        return made


def jacobian(subject: Any, of: Any, wrt: Any, *inputs: Any) -> Jacobian:
    """The Jacobian of the value `of` by the earlier value `wrt` in a recorded computation.

    Both are names, tensors or wires. The matrix is D_z x D_x (65,536 elements and 4,096 a side at
    most, else ArgumentError) in the dtype of the graph; it is checked against forward mode,
    products with random vectors, and central differences in float64 (which differ at a kink).

    >>> x = bl.tensor([1.0, 2.0], dtype=bl.float64, requires_grad=True)
    >>> z = x * x
    >>> bl.see.jacobian(z.sum(), z, x).matrix
    array([[2., 0.],
           [0., 4.]])
    """
    graph = record(subject, *inputs).graph
    z, x = graph.wire(of), graph.wire(wrt)
    _check(graph, z, x)

    def function(value: Tensor) -> Tensor:
        return rerun(graph, {x: value})[z]

    point = wrap(x.array)
    matrix = func.jacrev(function)(point).numpy().reshape(z.array.size, x.array.size)
    return Jacobian(
        z.name, x.name, z.shape, x.shape, matrix, _differences(graph, z, x, function, matrix)
    )


def _check(graph: Graph, z: Wire, x: Wire) -> None:
    for wire in (z, x):
        if wire.graph is not graph:
            raise ArgumentError(
                f"jacobian: {wire.name} is a wire of another recording",
                hint="pass what bl.see.record returned, and wires of its graph",
            )
        if wire.array.dtype.kind not in "fV":
            raise GradError(f"jacobian: {wire.name} holds {wire.array.dtype}, not floats")
    if z is x or not _follows(z, x):
        raise ArgumentError(
            f"jacobian: {z.name} does not depend on {x.name}", hint="of=later, wrt=earlier"
        )
    rows, columns = z.array.size, x.array.size
    if rows * columns > MOST or max(rows, columns) > LONGEST:
        raise ArgumentError(
            f"jacobian: {z.name} has {rows:,} elements and {x.name} {columns:,}: a matrix of"
            f" {rows * columns:,}; the most is {MOST:,}, and {LONGEST:,} a side",
            hint="take one sample, or a part: bl.func.vjp and bl.func.jvp need no matrix",
        )


def _follows(z: Wire, x: Wire) -> bool:
    """Whether the value z was computed from x."""
    seen, stack = {x}, [x]
    while stack:
        for gate, _ in stack.pop().readers:
            for made in gate.outputs:
                if made is not None and made not in seen:
                    seen.add(made)
                    stack.append(made)
    return z in seen


def _differences(
    graph: Graph, z: Wire, x: Wire, function: Any, matrix: np.ndarray
) -> dict[str, float | None]:
    """What each other way to the same matrix deviates by."""
    rng = np.random.default_rng(0)
    point = wrap(x.array)
    left = rng.choice([-1.0, 1.0], z.shape).astype(matrix.dtype)
    right = rng.choice([-1.0, 1.0], x.shape).astype(matrix.dtype)
    matrix = matrix.astype(np.float64)
    pulled = func.vjp(function, point)[1](wrap(left))[0].numpy()
    found: dict[str, float | None] = {
        "a vector times J (VJP)": _apart(left.ravel() @ matrix, pulled, matrix, left.size)
    }
    try:
        pushed = func.jvp(function, (point,), (wrap(right),))[1].numpy()
        columns = func.jacfwd(function)(point).numpy()
        found["J times a vector (JVP)"] = _apart(matrix @ right.ravel(), pushed, matrix, right.size)
        found["J by columns, forward mode"] = _apart(matrix, columns, matrix)
    except (GradError, NotAvailable):
        found["J by columns, forward mode"] = None
    found["central differences"] = _from_differences(graph, z, x, matrix, rng)
    return found


def _apart(a: np.ndarray, b: np.ndarray, matrix: np.ndarray, terms: int = 1) -> float:
    """The largest deviation relative to the matrix; a sum of `terms` signs adds their errors."""
    scale = (float(np.abs(matrix).max(initial=0.0)) or 1.0) * math.sqrt(max(terms, 1))
    with np.errstate(invalid="ignore", over="ignore"):  # a slope may be infinite
        return float(np.abs(a.ravel() - b.ravel()).max(initial=0.0)) / scale


def _from_differences(graph: Graph, z: Wire, x: Wire, matrix: np.ndarray, rng: Any) -> float:
    """The worst over some directions, from the graph run again on either side in float64."""
    start = x.array.astype(np.float64)
    step = 1e-5 * max(1.0, float(np.abs(start).max(initial=0.0)))
    worst = 0.0
    with no_grad():
        for _ in range(DIRECTIONS):
            way = rng.choice([-1.0, 1.0], start.shape)
            above, below = (
                rerun(graph, {x: wrap(start + side * way)}, wide=True)[z].cell.array
                for side in (step, -step)
            )
            slope = (above - below) / (2 * step)
            worst = max(worst, _apart(matrix @ way.ravel(), slope, matrix, way.size))
    return worst
