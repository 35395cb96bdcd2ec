"""Operators of one's own: `Function` with `forward(ctx, ...)` and `backward(ctx, ...)`.

Inside a Function reading values into Python is allowed: it is a boundary that no reader looks
behind. Its backward may use any Backlit operator, so it can be differentiated again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from backlit.autograd.modes import no_grad
from backlit.autograd.record import (
    edges_of,
    here,
    make_node,
    refill,
    refuse_leaf,
    set_history,
)
from backlit.errors import ArgumentTypeError, GradError
from backlit.ops.op import Operator, Rule
from backlit.state import state
from backlit.tensor import Tensor, wrap


class Context:
    """What `forward` leaves for `backward`; free attributes are welcome."""

    def __init__(self, needs: tuple[bool, ...]):
        self.needs_input_grad = needs
        self.materialize_grads = True
        self._given: tuple[Any, ...] = ()
        self._saved: list[tuple[str, Any, Any]] = []
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._node: Any = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs, outputs or other tensors (or None) for `backward`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise ArgumentTypeError(
                    f"save_for_backward: expected tensors, got {type(t).__name__}",
                    hint="keep other things as attributes: ctx.scale = 2",
                )
        self._given = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs `forward` changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (True) or None for outputs without a gradient."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`, tied to their history."""
        if self._saved is None:
            raise GradError(
                "the saved tensors were freed by an earlier backward",
                hint="pass retain_graph=True to the first one",
            )
        return tuple(self._restore(*entry) for entry in self._saved)

    def _keep(self, args: tuple, outputs: tuple) -> None:
        """Turn the saved tensors into arrays and where they came from: no reference cycle."""
        for t in self._given:
            if t is None:
                self._saved.append(("none", None, None))
                continue
            outs = [i for i, o in enumerate(outputs) if o is t]
            ins = [i for i, a in enumerate(args) if a is t]
            where = (
                ("output", outs[0]) if outs else ("input", ins[0]) if ins else ("other", _origin(t))
            )
            self._saved.append((where[0], t.cell.array, where[1]))
        self._given = ()

    def _restore(self, kind: str, array: Any, where: Any) -> Any:
        if kind == "none":
            return None
        made = wrap(array)
        if kind == "other":
            made.node, made.index = where
            return made
        if state.grad and self._node is not None:
            node = self._node()
            if kind == "output" and node is not None:
                made.node, made.index = node, where
            elif kind == "input" and node is not None and node.edges[where] is not None:
                made.node, made.index = node.edges[where]
        return made


def _origin(t: Tensor) -> tuple[Any, int]:
    """Where a tensor comes from: its Node, itself if it is a leaf to differentiate by, nothing."""
    if not t.requires_grad:
        return None, 0
    return (t.node, t.index) if t.node is not None else (t, 0)


class Function:
    """Base of user-defined operators, in PyTorch's style.

    `forward(ctx, *args)` computes; `backward(ctx, *grads)` returns one gradient (or None) per
    argument. Use it through `apply`.

    >>> class Multiply(bl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, a, b):
    ...         ctx.save_for_backward(a, b)
    ...         return a * b
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         a, b = ctx.saved_tensors
    ...         return grad * b, grad * a
    >>> x = bl.tensor(3.0, requires_grad=True)
    >>> Multiply.apply(x, bl.tensor(4.0)).backward(); x.grad
    tensor(4.)
    """

    _operator: ClassVar[type[Operator]]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls._operator = _operator_of(cls)

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs."""
        raise NotImplementedError("a Function must define forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return one gradient per argument of forward."""
        raise NotImplementedError("this Function has no backward, so it has no gradient")

    setup_context: ClassVar[Callable[..., Any] | None] = None

    @classmethod
    def _run(cls, ctx: Context, args: tuple) -> Any:
        if cls.setup_context is None:
            return cls.forward(ctx, *args)
        found = cls.forward(*args)
        cls.setup_context(ctx, args, found)
        return found

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record the application."""
        needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        ctx = Context(needs)
        op = cls._operator
        for observer in state.observers:
            observer.before_forward(op, args, {})
        with no_grad(), _boundary():
            found = cls._run(ctx, args)
        listed = found if isinstance(found, tuple) else (found,)
        if isinstance(found, list) or not any(isinstance(o, Tensor) for o in listed):
            raise ArgumentTypeError(
                f"{cls.__name__}.forward must return a tensor or a tuple of them, got"
                f" {type(found).__name__}"
            )
        for dirty in ctx._dirty:
            refuse_leaf(dirty, cls.__name__)
        outputs = tuple(_as_output(o, args, ctx) for o in listed)
        node = _tie(op, ctx, args, listed, outputs) if state.grad and any(needs) else None
        ctx._given = ()
        for observer in state.observers:
            observer.after_forward(op, args, {}, outputs, node)
        return outputs if isinstance(found, tuple) else outputs[0]


@contextmanager
def _boundary() -> Iterator[None]:
    """What runs inside is hidden from observers that ask for it."""
    observers = state.observers
    if any(getattr(observer, "opaque", False) for observer in observers):
        state.observers = ()
    try:
        yield
    finally:
        state.observers = observers


def _as_output(output: Any, args: tuple, ctx: Context) -> Any:
    """An input that is returned becomes a tensor of its own, unless it is marked dirty."""
    if any(output is a for a in args) and not any(output is d for d in ctx._dirty):
        return wrap(output.cell.array)
    return output


def _tie(op: Any, ctx: Context, args: tuple, listed: tuple, outputs: tuple) -> Any:
    """Record the Node of an application and tie the outputs to it."""
    import weakref

    ctx._keep(args, listed)
    results = tuple(o.cell.array if isinstance(o, Tensor) else None for o in outputs)
    node = make_node(op, *edges_of(args), {}, [], results)
    edges = zip(args, node.edges)
    node.constants = tuple(
        None if e is not None else wrap(a.cell.array) if isinstance(a, Tensor) else a
        for a, e in edges  # an argument that is a NumPy array stays one
    )
    # Freed with the saved values, so that a second backward is refused.
    node.saved = {"ctx": ctx}
    ctx._node = weakref.ref(node)
    for i, o in enumerate(outputs):
        constant = any(listed[i] is c for c in ctx._constant)
        if isinstance(o, Tensor) and not constant and o.cell.array.dtype.kind in "fV":
            if any(o is d for d in ctx._dirty) and o._base is not None:
                _write_through(o, node, i)
            else:
                set_history(o, node, i)
    return node


def _write_through(view: Tensor, node: Any, index: int) -> None:
    """A view that `forward` changed: its base follows."""
    value = wrap(view.cell.array)
    value.node, value.index = node, index
    refill(view, value)


def _operator_of(cls: type[Function]) -> type[Operator]:
    """The operator that Nodes of a Function name; it is not in the registry."""

    class UserFunction(Operator, abstract=True):
        user = cls
        name = cls.__name__
        variadic = True

        @classmethod
        def plan(op, bits: int) -> tuple:
            return ()

    UserFunction.__name__ = UserFunction.__qualname__ = cls.__name__
    UserFunction.plans = {}
    UserFunction.rules = {"*": Rule(functools.partial(_backward, cls), (), ("ctx",), (), (), False)}
    return UserFunction


def _backward(cls: type[Function], ctx: Context, grads: list, node: Any) -> list:
    """Call the user's rule and hold it to its word."""
    given = [
        wrap(np.zeros(shape, dtype))
        if g is None and ctx.materialize_grads and dtype is not None
        else g
        for g, (shape, dtype) in zip(grads, node.outputs)
    ]
    with _boundary():
        found = cls.backward(ctx, *given)
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    while len(results) > len(node.edges) and results[-1] is None:
        results.pop()
    if len(results) != len(node.edges):
        raise GradError(
            f"{cls.__name__}.backward returned {len(results)} gradients for"
            f" {len(node.edges)} arguments of forward", hint="return None where there is none"
        )  # fmt: skip
    for i, (g, edge) in enumerate(zip(results, node.edges)):
        if g is None or edge is None:
            continue
        if not isinstance(g, Tensor):
            raise ArgumentTypeError(f"{cls.__name__}.backward: gradient {i} is not a Tensor")
        _check_shape(cls, i, g, edge)
    return results


def _expands(small: tuple, large: tuple) -> bool:
    """Whether a gradient may come in the larger shape: the engine sums it down."""
    pairs = zip(reversed(small), reversed(large))
    return len(small) <= len(large) and all(a in (1, b) for a, b in pairs)


def _check_shape(cls: type[Function], i: int, g: Tensor, edge: tuple) -> None:
    from backlit.autograd.engine import resolve
    from backlit.autograd.node import Node
    from backlit.errors import ShapeError

    target, index = resolve(edge)
    shape = target.outputs[index][0] if isinstance(target, Node) else tuple(target.shape)
    if not _expands(tuple(shape), tuple(g.shape)):
        error = ShapeError(
            f"backward gave gradient {i} of shape {tuple(g.shape)} for an input of {tuple(shape)}"
        )
        error.locate(cls.__name__, here())
        raise error


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a `backward` that computes outside the graph: a second derivative is refused."""

    @functools.wraps(function)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        if state.grad:
            raise GradError("this Function is once differentiable", hint="drop create_graph=True")
        return function(ctx, *grads)

    return wrapped
