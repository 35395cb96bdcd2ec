"""A model run in evaluation as if it had never been run: what it changes is put back.

So every capture starts from the same state, whatever the model caches at its first run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from backlit.nn import Module
from backlit.nn.lazy import LazyModule

_TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """In evaluation mode; modules get back their modes and attributes, cells their arrays."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    kept = [_Kept(m) for m in modules]
    tensors = (t for m in modules for name in _TABLES[:2] for t in vars(m)[name].values())
    cells = [(t.cell.root, t.cell.root.array) for t in tensors if t is not None]
    for m in modules:
        m.training = False
    try:
        yield
    finally:
        for k in kept:
            k.put_back()
        for cell, array in cells:
            if cell.array is not array:
                cell.put(array)


class _Kept:
    """The attributes of a module and its tables of parameters, buffers and modules."""

    def __init__(self, module: Module) -> None:
        self.module, self.mode = module, module.training
        self.fields = dict(vars(module))
        self.tables = {name: dict(vars(module)[name]) for name in _TABLES}

    def put_back(self) -> None:
        fields = vars(self.module)
        for name in fields.keys() - self.fields.keys():
            del fields[name]
        count = fields.get("_version")  # it only ever grows: compiled steps look at it
        fields.update(self.fields)
        if count is not None:
            fields["_version"] = count
        for name, table in self.tables.items():
            fields[name].clear()
            fields[name].update(table)
        fields["training"] = not self.mode
        self.module.training = self.mode  # counted as a change


def settle(model: Any, run: Callable[[], Any]) -> None:
    """Run a model once whose lazy modules still wait for their shapes, in evaluation."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, Module) else []
    if not any(isinstance(m, LazyModule) for m, _ in modes):
        return
    for m, _ in modes:
        m.training = False
    try:
        run()
    finally:
        for m, mode in modes:
            m.training = mode
