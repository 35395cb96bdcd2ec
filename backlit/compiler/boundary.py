"""Functions of the user's own within a compiled step: called back in Python at every run.

A Function whose code reads values can't be written down; its forward and its backward become one
instruction each (`callback`), which run the user's code on arrays. Next: recorder.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.autograd.function import Context
from backlit.autograd.modes import no_grad
from backlit.errors import GradError, ShapeError
from backlit.ops.op import Spec
from backlit.tensor import Tensor, wrap


class Forward:
    """`forward` of a Function with the arguments that are not tensors as they were."""

    def __init__(self, cls: Any, args: tuple, outputs: tuple):
        self.cls = cls
        self.template = tuple(None if isinstance(a, Tensor) else a for a in args)
        self.given = tuple(isinstance(a, Tensor) for a in args)
        self.needs = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        self.shapes = [tuple(a.shape) if isinstance(a, Tensor) else () for a in args]
        self.all_specs = [_spec(o) for o in outputs]
        self.specs = tuple(s for s in self.all_specs if s is not None)
        self.outputs: tuple = ()  # their Values: the backward runs after they are made
        self.ctx: Any = None

    def __repr__(self) -> str:
        return f"{self.cls.__name__}.forward"

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        waiting = iter(arrays)
        args = tuple(
            wrap(next(waiting).copy()) if given else a
            for a, given in zip(self.template, self.given)
        )
        ctx = Context(self.needs)
        with no_grad():
            found = self.cls._run(ctx, args)
        listed = found if isinstance(found, tuple) else (found,)
        ctx._keep(args, listed)
        self.ctx = ctx
        made = [o.cell.array for o in listed if isinstance(o, Tensor)]
        _check(self, made, self.specs)
        return tuple(made)


class Backward:
    """`backward` of the Function whose forward ran last."""

    def __init__(self, forward: Forward, arrived: list[bool], found: list[np.ndarray | None]):
        self.forward, self.arrived = forward, arrived
        self.wanted = [i for i, a in enumerate(found) if a is not None]
        self.specs = tuple(Spec(a.shape, dt.of_array(a)) for a in found if a is not None)

    def __repr__(self) -> str:
        return f"{self.forward.cls.__name__}.backward"

    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        forward, waiting = self.forward, iter(arrays)
        ctx = forward.ctx
        given: list[Tensor | None] = []
        for there, spec in zip(self.arrived, forward.all_specs):
            if there:
                given.append(wrap(next(waiting).copy()))
            elif ctx.materialize_grads and spec is not None:
                given.append(wrap(np.zeros(spec.shape, spec.dtype.numpy)))
            else:
                given.append(None)
        with no_grad():
            found = forward.cls.backward(ctx, *given)
        results = list(found) if isinstance(found, (tuple, list)) else [found]
        made = []
        for i in self.wanted:
            g = results[i] if i < len(results) else None
            if g is None:
                raise GradError(f"{self!r}: no gradient where there was one when it was captured")
            made.append(g.cell.array)
        _check(self, made, self.specs)
        return tuple(made)


def _spec(value: Any) -> Spec | None:
    array = value.cell.array if isinstance(value, Tensor) else None
    return None if array is None else Spec(array.shape, dt.of_array(array))


def _check(what: Any, arrays: Any, specs: tuple[Spec, ...]) -> None:
    shapes = [a.shape for a in arrays]
    if shapes != [s.shape for s in specs]:
        expected = [s.shape for s in specs]
        raise ShapeError(f"{what!r}: shapes {shapes}, but {expected} when it was captured")
