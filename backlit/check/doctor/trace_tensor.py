"""Writing a tape of code on tensors: an observer that notes every operator.

Arrays are never overwritten while an observer is open, so the identity of an array is the
identity of a value. NumPy code inside a Function is followed through `Tensor.numpy()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import backlit as bl
from backlit.autograd import Observer, observe
from backlit.check.doctor.tape import Call
from backlit.check.doctor.trace_numpy import Recorder, Traced, recording, site_of_caller
from backlit.tensor import Tensor


class TensorRecorder(Recorder, Observer):
    """Notes operators; the values on the tape are the arrays of the tensors."""

    def give(self, tensor: Tensor, name: str) -> None:
        """A tensor that is given, not computed."""
        self.give_array(tensor.cell.array, name)
        if not name:
            self.seeds.add(self._owners[id(tensor.cell.array)])

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if getattr(op, "user", None) is not None:
            return
        arrays = [o.cell.array for o in outputs if o is not None]
        if any(self.knows(a) for a in arrays):
            return

        def function(*args: Any, **kwargs: Any) -> Any:
            return op.run(list(args), kwargs)[0]

        tree, _ = self._lower(tuple(x.cell.array if isinstance(x, Tensor) else x for x in inputs))
        made = tuple(None if o is None else self.adopt(o.cell.array) for o in outputs)
        slots = made if len(made) > 1 else made[0]
        self.calls.append(Call(function, op.name, tree, dict(params), slots, site_of_caller()))

    def copied(self, source: Any, array: np.ndarray) -> None:
        """An array that became the value of a tensor."""
        if not self.knows(array):
            tree, _ = self._lower((source,))
            dtype, slot = array.dtype, self.adopt(array)
            function = lambda a: np.array(a, dtype)
            self.calls.append(Call(function, "copy", tree, {}, slot, site_of_caller()))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Observe operators, and NumPy calls on what `numpy()` hands out."""
        kept = Tensor.numpy
        makers = {name: getattr(bl, name) for name in ("from_numpy", "tensor", "as_tensor")}

        def bare(make: Any) -> Any:
            def made(data: Any, *args: Any, **kwargs: Any) -> Any:
                if not isinstance(data, Traced):
                    return make(data, *args, **kwargs)
                tensor = make(np.asarray(data), *args, **kwargs)
                self.copied(data, tensor.cell.array)
                return tensor

            return made

        def numpy(tensor: Tensor, *, force: bool = False) -> Any:
            return self.traced(kept(tensor, force=force))

        Tensor.numpy = numpy  # type: ignore
        for name, make in makers.items():
            setattr(bl, name, bare(make))
        try:
            with recording(self), observe(self):
                yield
        finally:
            Tensor.numpy = kept  # type: ignore[method-assign]
            for name, make in makers.items():
                setattr(bl, name, make)
