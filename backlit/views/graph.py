"""The recorded graph as plain data: gates, the wires between them, and what flowed both ways.

A gate is one applied operator, a wire one value with the total of its gradient. At each gate,
for each input, `upstream` times the local derivative is `downstream`, its contribution to the
wire's gradient. All faces (circuit, derivation, source, nudge) read this and nothing else.
Filled by record.py; must not know how anything is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.ops import formula as fm


@dataclass(eq=False)
class Wire:
    """One value: an array, or a Python number where the program wrote one."""

    id: int
    value: Any
    kind: str  # "input" (may need a gradient), "parameter", "constant", "value" (made by a gate)
    maker: Gate | None = None
    output: int = 0  # which output of its maker
    name: str = ""  # unique, a Python identifier with dots for parameters
    given: bool = False  # the name is the user's own
    grad: np.ndarray | None = None  # total over the readers; None where no gradient flows
    readers: list[tuple[Gate, int]] = field(default_factory=list)
    tensor: Any = field(default=None, repr=False)  # a leaf's own Tensor
    graph: Any = field(default=None, repr=False)  # the Graph that it belongs to

    @property
    def numeric(self) -> bool:
        """Whether it is a number or numbers; a Function may be called with anything else."""
        return isinstance(self.value, np.ndarray | np.generic | bool | int | float)

    @property
    def raw(self) -> bool:
        """Whether it is no Tensor: a number, or an array that a Function was called with."""
        if not isinstance(self.value, np.ndarray):
            return True
        own = any(hasattr(gate.op, "user") for gate, _ in self.readers)
        return own and self.maker is None and self.tensor is None

    @property
    def array(self) -> np.ndarray:
        """The value as an array; an object in it where it is no number."""
        if self.numeric:
            return np.asarray(self.value)
        held = np.empty((), dtype=object)
        held[()] = self.value
        return held

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def contributions(self) -> list[tuple[Gate, int, np.ndarray]]:
        """What each reader hands back; their sum is `grad`."""
        found = []
        for gate, i in self.readers:
            part = gate.downstream[i]
            if part is not None:
                found.append((gate, i, part))
        return found

    def __repr__(self) -> str:
        return f"<wire {self.name or self.id} {self.shape}>"


@dataclass(eq=False)
class Gate:
    """One applied operator."""

    id: int
    op: Any
    inputs: tuple[Wire | None, ...]
    outputs: tuple[Wire | None, ...]
    params: dict[str, Any]
    node: Any = field(default=None, repr=False)  # None where nothing was recorded
    module: str = ""
    scope: str = ""
    upstream: list[np.ndarray | None] = field(default_factory=list)  # one per output
    downstream: list[np.ndarray | None] = field(default_factory=list)  # one per input
    program: Any = field(default=None, repr=False)  # (code object, instruction) of the user
    replayed: Any = field(default=None, repr=False)  # the Node that it ran again, if it did

    @property
    def line(self) -> str:
        """The user's line: `train.py:41`."""
        from backlit.errors import describe_line

        return describe_line(*self.program) if self.program else ""

    @property
    def output(self) -> Wire:
        """The first output."""
        wire = self.outputs[0]
        assert wire is not None
        return wire

    def named_values(self) -> dict[str, Any]:
        """Inputs and outputs by the operator's own names for them."""
        values = {n: w.value for n, w in zip(self.op.inputs, self.inputs) if w is not None}
        values.update({n: w.value for n, w in zip(self.op.outputs, self.outputs) if w is not None})
        return values

    def has_local(self, i: int) -> bool:
        """Whether input `i` has a local derivative element by element."""
        return bool(self.op.elementwise and i in self.op.locals)

    def local(self, i: int) -> Any:
        """The local derivative by input `i`, element by element; see `has_local`."""
        with np.errstate(all="ignore"):  # infinities and NaN show in the values
            return self.op.local(fm.NUMPY, i, self.named_values(), self.params)

    def local_latex(self, i: int, names: dict[str, str]) -> str:
        """The local derivative as LaTeX; `names` by the operator's own names."""
        shown = {k: fm.Tex(v) for k, v in names.items()}
        return str(fm.Tex.of(self.op.local(fm.LATEX, i, shown, self.params)))

    def __repr__(self) -> str:
        made = ", ".join(w.name or str(w.id) for w in self.outputs if w is not None)
        read = ", ".join(w.name or str(w.id) if w is not None else "None" for w in self.inputs)
        return f"<gate {made} = {self.op.name}({read})>"


@dataclass(eq=False)
class Graph:
    """Gates and wires in the order in which they ran; `loss` is where the walk back began.

    >>> x = bl.tensor(-2.0, requires_grad=True)
    >>> graph = bl.views.record((x + 5.0) * -4.0).graph
    >>> [gate.op.name for gate in graph.gates], graph.loss.value, graph.leaves[0].grad
    (['add', 'mul'], array(-12., dtype=float32), array(-4., dtype=float32))
    """

    gates: list[Gate]
    wires: list[Wire]
    loss: Wire
    title: str = ""

    def __post_init__(self) -> None:
        for wire in self.wires:
            wire.graph = self

    @property
    def leaves(self) -> list[Wire]:
        """Inputs and parameters that get a gradient, in order of first use."""
        return [w for w in self.wires if w.maker is None and w.grad is not None]

    def wire(self, which: Any) -> Wire:
        """The wire of a name, an id, a Tensor, or itself."""
        for wire in self._matching(which):
            return wire
        from backlit.errors import ArgumentError

        shown = which if isinstance(which, str | int) else type(which).__name__
        names = ", ".join(w.name for w in self.wires if w.given)
        raise ArgumentError(f"no value {shown!r} in this graph", hint=f"it has {names}")

    def _matching(self, which: Any) -> Iterator[Wire]:
        if isinstance(which, Wire):
            yield which
        elif hasattr(which, "cell"):
            yield from (w for w in self.wires if w.tensor is which)
            yield from (w for w in self.wires if w.value is which.cell.array)
            if which.node is not None:
                for w in self.wires:
                    nodes = (w.maker.node, w.maker.replayed) if w.maker is not None else ()
                    if any(node is which.node for node in nodes) and w.output == which.index:
                        yield w
        else:
            yield from (w for w in self.wires if which in (w.name, w.id) and w.name != "")
