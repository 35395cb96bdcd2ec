"""Record and run: what happens when an operator is applied.

Check and compute (`op.run`), wrap the arrays, append a Node where a gradient is due, tell the
observers. Also in-place application and the histories of views. Knows no operator by name but
the one that writes through a view, which it finds by its declaration.
Read next: engine.py, which walks back over the Nodes made here.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from backlit.autograd.node import Node
from backlit.errors import (
    PACKAGE_FOLDER,
    ArgumentError,
    ArgumentTypeError,
    BacklitError,
    DTypeError,
    GradError,
    ShapeError,
    user_line,
)
from backlit.ops import op as contract
from backlit.state import state, tell
from backlit.tensor import Cell, Tensor, ViewCell, wrap

try:  # NumPy's warnings off for one operator; errstate costs more than a small operator
    from numpy._core._ufunc_config import (  # type: ignore[attr-defined]
        _extobj_contextvar,
        _make_extobj,
    )

    _QUIET: Any = _make_extobj(all="ignore")
    _hush, _unhush = _extobj_contextvar.set, _extobj_contextvar.reset
except ImportError:  # the public way, slower

    def _hush(_: Any) -> Any:
        quiet = np.errstate(all="ignore")
        quiet.__enter__()
        return quiet

    def _unhush(quiet: Any) -> None:
        quiet.__exit__(None, None, None)

    _QUIET = None

_new = object.__new__
_getframe = sys._getframe
_NUMBERS = frozenset((int, float, bool, type(None)))


def apply(op: Any, *inputs: Any, **params: Any) -> Any:
    """Run `op` on tensors and Python numbers; the result is one tensor or a tuple of them."""
    arrays: list[Any] = []
    edges: list[Any] = []
    bits, bit = 0, 1  # which inputs need a gradient
    recording = state.grad
    if op.precision and state.autocast is not None:
        inputs = contract.slot.autocast(op, inputs)
    dtype, mixed = None, False
    for x in inputs:
        edge = None
        if isinstance(x, Tensor):
            if x._base is not None and (x._base.node is not x._stamp or state.observers):
                follow_base(x)
            array = x.cell.array
            arrays.append(array)
            if array.dtype is not dtype:
                dtype, mixed = array.dtype, dtype is not None
            if recording:
                if x.node is not None:
                    edge, bits = (x.node, x.index), bits | bit
                elif x._requires_grad:
                    edge, bits = (x, 0), bits | bit
        else:
            arrays.append(x if type(x) in _NUMBERS else constant(op, x))
        edges.append(edge)
        bit <<= 1
    if mixed and op.promotes:
        met = op.promoted(inputs)
        if met is not None:
            return apply(op, *met, **params)
    observers = state.observers
    for observer in observers:
        observer.before_forward(op, inputs, params)
    token = _hush(_QUIET)
    try:
        results, arrays = op.run(arrays, params)
    except BacklitError as error:
        error.locate(op.name, here())
        raise
    finally:
        _unhush(token)
    node = None
    if type(results) is not tuple:
        if op.view and type(results) is np.ndarray:
            output = wrap_view(op, inputs[0], results, params)
        else:
            if type(results) is not np.ndarray:
                results = np.asarray(results)
            output = _new(Tensor)
            output.cell = Cell(results)
        if bits and op.differentiable and results.dtype.kind in "fV":
            node = make_node(op, edges, bits, params, arrays, (results,))
            output.node = node
        if observers:
            _tell_after(op, inputs, params, (output,), node)
        return output
    results = tuple(None if r is None else np.asarray(r) for r in results)
    outputs = tuple(None if r is None else wrap(r) for r in results)
    if bits and op.differentiable:
        node = make_node(op, edges, bits, params, arrays, results)
        for i, made in enumerate(outputs):
            if made is None or made.cell.array.dtype.kind not in "fV":
                continue
            if not op.nondifferentiable or op.outputs[i] not in op.nondifferentiable:
                made.node, made.index = node, i
    if observers:
        _tell_after(op, inputs, params, outputs, node)
    return outputs


def _tell_after(op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any) -> None:
    for observer in state.observers:
        observer.after_forward(op, inputs, params, outputs, node)


def constant(op: Any, value: Any) -> Any:
    """A NumPy value among the operands, as an array; anything else is refused."""
    if isinstance(value, np.generic):
        return value.item() if value.dtype.kind in "fiub" else value
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (int, float)):  # an IntEnum, for example
        return int(value) if isinstance(value, int) else float(value)
    error = ArgumentTypeError(
        f"expected a Tensor, got {type(value).__name__}", hint="make one with bl.tensor(...)"
    )
    error.locate(op.name, here())
    raise error


def here() -> str:
    """The user's line and the module path, for messages."""
    line = user_line()
    return f"{line} in {state.module}" if state.module and line else line


def make_node(op: Any, edges: list, bits: int, params: dict, arrays: list,
              results: tuple) -> Node:  # fmt: skip
    """The Node of one application, with the values that its backward will read."""
    plan = op.plans.get(bits)
    if plan is None:
        plan = op.plan(bits)
    saved: dict[str, Any] = {}
    for name, source, i in plan:
        if source == "input":
            saved[name] = arrays[i]
        elif source == "output":
            saved[name] = results[i]
        elif source == "outputs":
            saved[name] = results
        else:
            saved[name] = tuple(arrays[i:])
    specs = _specs(arrays) if op.wants_specs else ()
    if len(results) == 1:
        outputs: tuple = ((results[0].shape, results[0].dtype),)
    else:
        outputs = tuple(((), None) if r is None else (r.shape, r.dtype) for r in results)
    node = Node(op, tuple(edges), params, saved, specs, outputs)
    if None in edges:
        node.constants = tuple([a if e is None else None for a, e in zip(arrays, edges)])
    frame: Any = _getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
        frame = frame.f_back
    if frame is not None:
        node.code, node.instruction = frame.f_code, frame.f_lasti
    node.module, node.scope, node.backward_of = state.module, state.scope, state.backward_of
    return node


def _specs(arrays: list) -> tuple:
    """Shapes and dtypes of the inputs, for rules that ask for them."""
    return tuple((a.shape, a.dtype) if isinstance(a, np.ndarray) else a for a in arrays)


def edges_of(inputs: tuple) -> tuple[list, int]:
    """Where each input came from, and which need a gradient, as bits."""
    edges, bits = [], 0
    for i, x in enumerate(inputs):
        edge = None
        if isinstance(x, Tensor) and x.requires_grad:
            edge = (x.node, x.index) if x.node is not None else (x, 0)
            bits |= 1 << i
        edges.append(edge)
    return edges, bits


# ----- views -----


def wrap_view(op: Any, source: Any, array: np.ndarray, params: dict) -> Tensor:
    """The result of a view operator: a window where the memory is shared, else a new cell."""
    made = _new(Tensor)
    if not isinstance(source, Tensor):
        made.cell = Cell(array)
        return made
    if array is source.cell.array:  # nothing to do, and a window all the same
        array = array.view()
    elif array.base is None or not np.may_share_memory(array, source.cell.array):
        made.cell = Cell(array)
        return made
    made.cell = ViewCell(source.cell, op, params, array)
    made._base = source._base if source._base is not None else source
    made._stamp = made._base.node
    return made


def follow_base(view: Tensor) -> None:
    """Give a view the history of its base, which an in-place method has changed."""
    base = view._base
    assert base is not None
    if base.node is view._stamp and view.cell.fresh:
        return
    moved = base
    outer = state.grad
    state.grad = True
    try:
        for op, params in view.cell.path()[_depth(base) :]:
            moved = apply(op, moved, **params)
    finally:
        state.grad = outer
    set_history(view, moved.node, moved.index)
    view._stamp = base.node
    view.cell.see(moved.cell.array)  # the array that was recorded, not another equal one


# ----- in place -----


def set_history(tensor: Tensor, node: Any, index: int) -> None:
    """Another Node makes the tensor from now on; `retain_grad` stays with the tensor."""
    tensor.node, tensor.index = node, index
    if tensor._retains:
        tensor.__dict__.pop("_retaining").remove()
        tensor._retains = False
        if node is not None:
            tensor.retain_grad()


def refuse_leaf(tensor: Tensor, name: str) -> None:
    """A leaf that requires grad keeps its value under grad mode, as in PyTorch."""
    if not state.grad:
        return
    base = tensor._base if tensor._base is not None else tensor
    if base.node is None and base._requires_grad:
        kind = "a leaf" if base is tensor else "a view of a leaf"
        error = GradError(
            f"{kind} that requires grad can't be changed in place",
            hint="wrap it in `with bl.no_grad():`, or compute a new tensor",
        )
        error.locate(name, here())
        raise error


def refill(tensor: Tensor, value: Tensor) -> Tensor:
    """Make `tensor` hold `value`, with its history: the end of every in-place method."""
    array = value.cell.array
    old = tensor.cell.array
    if array.dtype != old.dtype:
        lossy = array.dtype.kind in "fV" and old.dtype.kind not in "fV"
        if lossy or old.dtype.kind == "b":
            raise DTypeError(
                f"in place, a result of {value.dtype.name} does not fit a tensor of"
                f" {tensor.dtype.name}", hint="compute a new tensor, or convert it first"
            )  # fmt: skip
        value = value.to(tensor.dtype)  # type: ignore[attr-defined]
        array = value.cell.array
    if array.shape != old.shape:
        raise ShapeError(
            f"in place, a result of shape {array.shape} does not fit a tensor of {old.shape}"
        )
    if state.observers:
        tell("refilled", tensor)
    if isinstance(tensor.cell, ViewCell):
        _refuse_overlap(tensor)
        if tensor._base is not None or state.observers:
            return _refill_view(tensor, value)
    if value.cell is not tensor.cell:
        tensor.cell.put(array)
    if state.grad and value.requires_grad:
        made_by = (value.node, value.index) if value.node is not None else (value, 0)
        set_history(tensor, *made_by)
    elif state.grad and tensor.node is not None:
        set_history(tensor, None, 0)
    return tensor


def _refuse_overlap(tensor: Tensor) -> None:
    """An expanded tensor shows one place several times: it can't hold several values."""
    cell = tensor.cell
    if cell.array.flags.writeable:
        return
    if not cell.look(cell.root.array.copy(order="K")).flags.writeable:
        raise ArgumentError(
            f"in place on an expanded tensor of shape {cell.array.shape}: several of its elements"
            " share one place in memory", hint="x.clone() has a place for each"
        )  # fmt: skip


def _refill_view(tensor: Tensor, value: Tensor) -> Tensor:
    """Write through to the base; under grad mode as a recorded operator."""
    cell, base = tensor.cell, tensor._base
    if base is None and state.observers:  # a detached view: its root is all there is
        base = tensor._base = Tensor.__new__(Tensor)
        base.cell = cell.root
    tracked = state.observers or (
        state.grad and (value.requires_grad or base.requires_grad)  # type: ignore[union-attr]
    )
    if not tracked:
        cell.put(value.cell.array)
        return tensor
    assert base is not None
    path = tuple((op.name, params) for op, params in cell.path()[_depth(base) :])
    written = apply(contract.slot.view_put, base, value, path=path)
    refill(base, written)
    follow_base(tensor)
    return tensor


def _depth(base: Tensor) -> int:
    return len(base.cell.path()) if isinstance(base.cell, ViewCell) else 0


def in_place(op: Any, tensor: Tensor, *others: Any, **params: Any) -> Tensor:
    """`tensor = op(tensor, ...)` in its own cell, writing in place where nobody else looks."""
    refuse_leaf(tensor, op.name + "_")
    if "into" in vars(op) and _sole_owner(tensor, op, others):
        arrays = [
            x.cell.array if isinstance(x, Tensor) else x if type(x) in _NUMBERS else constant(op, x)
            for x in (tensor, *others)
        ]
        if _keeps_type(op, arrays, params):
            return _overwrite(op, tensor, others, arrays, params)
        del arrays
    return refill(tensor, apply(op, tensor, *others, **params))


def _sole_owner(tensor: Tensor, op: Any, others: tuple) -> bool:
    """Whether the cell's array is held by nothing but the cell."""
    cell = tensor.cell
    if type(cell) is not Cell or state.observers or cell.array.base is not None:
        return False
    if not cell.array.flags.owndata or not cell.array.flags.writeable:
        return False
    # One reference from the cell, one from this call's argument.
    if sys.getrefcount(cell.array) > 2:
        return False
    if not state.grad:
        return True
    bits = edges_of((tensor, *others))[1]
    return not bits or op.inputs[0] not in {name for name, _, _ in op.plan(bits)}


def _keeps_type(op: Any, arrays: list, params: dict) -> bool:
    """Whether the result has the shape and dtype of the first input."""
    specs = [contract.spec_of(a) for a in arrays]
    whole = specs[0].dtype.kind != "f" and issubclass(op, contract.Elementwise)
    if whole and any(not isinstance(s, contract.Spec) for s in specs):
        return False  # NumPy refuses numbers outside the range; `apply` lets them wrap around
    try:
        return op.infer(*specs, **params) == specs[0]
    except BacklitError as error:
        error.locate(op.name + "_", here())
        raise


def _overwrite(op: Any, tensor: Tensor, others: tuple, arrays: list, params: dict) -> Tensor:
    """Compute into the tensor's own array."""
    cell, array = tensor.cell, arrays[0]
    token = _hush(_QUIET)
    try:
        op.into(*arrays, **params)
    except BacklitError as error:
        error.locate(op.name + "_", here())
        raise
    finally:
        _unhush(token)
    cell.version += 1
    edges, bits = edges_of((tensor, *others))
    if state.grad and bits:
        set_history(tensor, make_node(op, edges, bits, params, arrays, (array,)), 0)
    return tensor


contract.slot.apply, contract.slot.wrap = apply, wrap
contract.slot.refill, contract.slot.refuse_leaf = refill, refuse_leaf
contract.slot.in_place, contract.slot.follow_base = in_place, follow_base
