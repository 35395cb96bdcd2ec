"""Recomputation: values that the backward needs are dropped and made again when it comes.

The function runs as it is and records its Nodes; what they saved is then replaced by a promise.
The first Node of it that the walk back reaches runs the function again, on the same arrays, with
the same random numbers and with cells as they were, and each Node takes what its twin saved. So
the graph is the same as without, for derivatives of any order. In a Program the first run stands
under the scope `segment`, so that the backward of a loop makes its values again, and the second
under `recompute`: passes do not merge the two.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backlit.autograd.observe import Observer
from backlit.errors import GradError
from backlit.program.parts import AGAIN, SEGMENT
from backlit.state import state
from backlit.tensor import Tensor, next_era, wrap


def recompute(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, without keeping what its backward needs: it runs again then.

    Memory for time: only the arguments and the results stay. Random numbers are the same in both
    runs, and what the first run refilled (BatchNorm's statistics) is not refilled again. The
    function must not read values that change in between. After Chen et al. (2016).

    >>> x = bl.ones(3, requires_grad=True)
    >>> bl.recompute(lambda x: (x * x).exp(), x).sum().backward()
    >>> x.grad
    tensor([5.4366, 5.4366, 5.4366])
    """
    if not state.grad:
        return function(*args, **kwargs)
    segment = _Segment(function, args, kwargs)
    with segment.observing(_First(segment), SEGMENT) as first:
        result = function(*args, **kwargs)
    segment.ops = [node.op for node in first.nodes]
    for position, node in enumerate(first.nodes):
        if node.saved:
            node.saved = Dropped(segment, position)
    return result


class Dropped:
    """Stands where a Node's saved values were."""

    __slots__ = ("position", "segment")

    def __init__(self, segment: _Segment, position: int):
        self.segment, self.position = segment, position

    def restore(self, node: Any) -> dict:
        """What the Node's twin saved, in the second run."""
        segment = self.segment
        if self.position not in segment.found:
            segment.run_again()
        saved = segment.found.pop(self.position)
        if isinstance(saved, Dropped):  # of a recomputation within
            saved = saved.restore(node)
        if "ctx" in saved:
            saved["ctx"]._node = weakref.ref(node)
        return saved


class _Segment:
    """One call: what it takes to run it again."""

    def __init__(self, function: Callable[..., Any], args: tuple, kwargs: dict):
        self.function = function
        self.args, self.kwargs = _copies(args), _copies(kwargs)
        self.scope, self.module, self.autocast = state.scope, state.module, state.autocast
        self.keeps_casts = state.casts is not None
        self.draws: list[Any] = []
        self.cells: list[tuple[Any, Any]] = []  # (refilled cell, its array before)
        self.ops: list[Any] = []
        self.found: dict[int, Any] = {}

    @contextmanager
    def observing(self, observer: Any, scope: str) -> Iterator[Any]:
        """Run with the observer, and with casts of its own: both runs make the same ones."""
        outer = state.observers, state.casts, state.scope
        state.observers = (observer, *outer[0])
        state.scope = f"{self.scope}/{scope}" if self.scope else scope
        state.casts = {} if self.keeps_casts else None
        try:
            yield observer
        finally:
            state.observers, state.casts, state.scope = outer

    def run_again(self) -> None:
        """The second run; each Node's saved values go to `found`."""
        outer = state.grad, state.module, state.autocast
        state.grad, state.module, state.autocast = True, self.module, self.autocast
        second = _Second(self)
        now = [(cell, cell.array) for cell, _ in self.cells]
        _put_all(self.cells)
        try:
            with self.observing(second, AGAIN):
                self.function(*_copies(self.args), **_copies(self.kwargs))
        finally:
            state.grad, state.module, state.autocast = outer
            _put_all([*second.cells, *now])
        ops = [node.op for node in second.nodes]
        if ops != self.ops:
            raise GradError(
                f"recompute: the function recorded {len(self.ops)} operators at first and"
                f" {len(ops)} others when it ran again",
                hint="it must do the same whenever it is called with the same arguments",
            )
        self.found = {i: node.saved for i, node in enumerate(second.nodes)}


class _Watch(Observer):
    """Collects the Nodes of a run."""

    def __init__(self, segment: _Segment):
        self.segment = segment
        self.nodes: list[Any] = []
        self.era = next_era()
        self._outer = state.observers

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if node is not None:
            self.nodes.append(node)


class _First(_Watch):
    """Writes down what the second run must find as it was."""

    def __init__(self, segment: _Segment):
        super().__init__(segment)
        self._seen: set[int] = set()

    def put(self, cell: Any) -> None:
        """A cell is about to be refilled."""
        if cell.era < self.era and id(cell) not in self._seen:
            self._seen.add(id(cell))
            self.segment.cells.append((cell, cell.array))

    def draw(self, generator: Any, count: int) -> tuple[Any, Any]:
        """Numbers are drawn: from whom they would be without this observer."""
        asked = [o for o in self._outer if hasattr(o, "draw")]
        drawn = asked[0].draw(generator, count) if asked else generator.advance(count)
        self.segment.draws.append(drawn)
        return drawn


class _Second(_Watch):
    """Gives the run what the first one had."""

    def __init__(self, segment: _Segment):
        super().__init__(segment)
        self.cells: list[tuple[Any, Any]] = []
        self._draws = iter(segment.draws)

    def put(self, cell: Any) -> None:
        """A cell is about to be refilled: it will be put back."""
        if cell.era < self.era and all(cell is not c for c, _ in self.cells):
            self.cells.append((cell, cell.array))

    def draw(self, generator: Any, count: int) -> tuple[Any, Any]:
        """The numbers of the first run again."""
        found = next(self._draws, None)
        if found is None:
            raise GradError("recompute: the function drew more random numbers when it ran again")
        return found


def _put_all(cells: list[tuple[Any, Any]]) -> None:
    """Bring cells back to earlier arrays, unobserved."""
    outer = state.observers
    state.observers = ()
    try:
        for cell, array in cells:
            if cell.array is not array:
                cell.put(array)
    finally:
        state.observers = outer


def _copies(value: Any) -> Any:
    """The structure with tensors of its own: others may refill theirs."""
    if isinstance(value, Tensor):
        made = wrap(value.cell.array)
        if value.node is not None:
            made.node = wrap(made.cell.array).requires_grad_()
        elif value.requires_grad:
            made.requires_grad_()
        return made
    if isinstance(value, dict):
        return {k: _copies(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        each = [_copies(v) for v in value]
        return type(value)(*each) if hasattr(value, "_fields") else type(value)(each)
    return value
