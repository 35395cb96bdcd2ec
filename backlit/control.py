"""Loops and branches that Programs can hold: `bl.scan` and `bl.cond`.

A captured step unrolls Python's loops and keeps one side of Python's branches; these two become
one instruction that holds what is done at each step, or on each side. Names and meaning follow
jax.lax. Read next: ops/scan.py, ops/cond.py, and autograd/bodies.py for how a body is captured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backlit import random as rng
from backlit import tree
from backlit.autograd.bodies import Body, Const, Draw, NotAProgram, Refill, capture_body, whole
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.op import REGISTRY, slot
from backlit.program.ir import Program
from backlit.state import state
from backlit.tensor import Tensor, wrap


def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None,
         length: int | None = None, reverse: bool = False) -> tuple[Any, Any]:  # fmt: skip
    """Run `carry, y = f(carry, x)` over the first axis of `xs`: (last carry, the y's stacked).

    Carry, x and y are tensors or nested tuples, lists and dicts of them; a carry keeps its shapes
    and dtypes. Without `xs`, `length` says how often f runs; `reverse` runs from the end. f is
    captured once, so its time to compile does not depend on the length. After jax.lax.scan.

    >>> bl.scan(lambda total, x: (total + x, total * x), bl.tensor(0.0), bl.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))
    """
    init, xs = _tensors(init, "init"), _tensors(xs, "xs")
    rows = list(tree.leaves(xs))
    steps = _length(rows, length)
    carried = list(tree.leaves(init))

    def step(*args: Tensor) -> Any:
        now = tree.rebuild(init, iter(args[: len(carried)]))
        row = tree.rebuild(xs, iter(args[len(carried) :]))
        return _checked(f(now, row), init)

    first = [_row(x, -1 if reverse else 0) for x in rows]
    names = [f"h{i}" for i in range(len(carried))] + [f"x{i}" for i in range(len(rows))]
    try:
        body = capture_body(step, [*carried, *first], names, _name(f), _both, len(carried))
    except NotAProgram:
        return _step_by_step(f, init, xs, rows, steps, reverse)
    return _apply_scan(body, init, carried, rows, steps, reverse)


def _apply_scan(
    body: Body, init: Any, carried: list, rows: list, steps: int, reverse: bool
) -> tuple:
    """Apply the operator. Cells that f refills and offsets of generators are carries too."""
    count = len(carried)
    taken = [_taken(d, steps) for d in body.draws]
    consts = [*body.consts, *(Const(d.seed, seed) for d, (seed, _) in zip(body.draws, taken))]
    hidden = [*body.refills, *(Refill(at, d.before, d.after)
                               for d, (_, at) in zip(body.draws, taken))]  # fmt: skip
    inputs = [*(c.value for c in consts), *body.args[:count], *(r.before for r in hidden),
              *body.args[count:]]  # fmt: skip
    outputs = [*body.outputs[:count], *(r.after for r in hidden), *body.outputs[count:]]
    moving = count + len(hidden)
    made = REGISTRY["scan"].record(  # type: ignore[attr-defined]
        *(c.tensor for c in consts), *carried, *(r.tensor for r in hidden), *rows,
        body=Program(body.name, tuple(inputs), body.instrs, tuple(outputs)), consts=len(consts),
        carries=moving, length=steps, reverse=bool(reverse),
    )  # fmt: skip
    for refill, value in zip(body.refills, made[count:moving]):
        refill.put(value)
    carry, y = body.result
    return tree.rebuild(carry, iter(made)), tree.rebuild(y, iter(made[moving:]))


def _taken(draw: Draw, steps: int) -> list[Tensor]:
    """Seed and first offset of all that the steps draw, as tensors."""
    found = rng.take(draw.generator, draw.taken * steps)
    return [x if isinstance(x, Tensor) else whole(x) for x in found]


def _step_by_step(f: Any, init: Any, xs: Any, rows: list, steps: int, reverse: bool) -> tuple:
    """The plain loop, for an f that does what no Program holds: a Function, hooks."""
    carry, found = init, []
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, y = _checked(f(carry, tree.rebuild(xs, (x[t] for x in rows))), init)
        found.append(y)
    if reverse:
        found.reverse()
    if not found:
        raise ArgumentError("scan: without steps, f must be made of Backlit's operators")
    each = zip(*(tree.leaves(y) for y in found))
    return carry, tree.rebuild(found[0], (REGISTRY["stack"].call(list(e), 0) for e in each))


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any],
         *operands: Any) -> Any:  # fmt: skip
    """`true_fn(*operands)` where `pred` holds, else `false_fn(*operands)`.

    `pred` is a bool or a tensor of one element; both functions return tensors of the same
    structure, shapes and dtypes. In a captured step the choice is made at every run. After
    jax.lax.cond.

    >>> x = bl.tensor(-2.0)
    >>> bl.cond(x > 0, lambda x: x.sqrt(), lambda x: x * 0, x)
    tensor(-0.)
    """
    if not isinstance(pred, (Tensor, bool, np.bool_)):
        raise ArgumentTypeError(f"cond: pred must be a bool, got {type(pred).__name__}")
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise ShapeError(f"cond: pred has shape {tuple(pred.shape)}, expected one element")
    if not isinstance(pred, Tensor) or not state.observers:
        return (true_fn if bool(pred) else false_fn)(*operands)
    return _apply_cond(pred, (true_fn, false_fn), operands)


def _apply_cond(pred: Any, branches: tuple, operands: tuple) -> Any:
    given = list(tree.leaves(operands))
    names = [f"x{i}" for i in range(len(given))]
    bodies = []
    for f in branches:

        def run(*args: Tensor, f: Any = f) -> Any:
            return _tensors(f(*tree.rebuild(operands, iter(args))), "a branch's result")

        try:
            bodies.append(capture_body(run, given, names, _name(f), _leaves))
        except NotAProgram:
            raise ArgumentError(
                "cond: a branch applies a Function or registers a hook; no Program holds that",
                hint="compute both and choose with bl.where",
            ) from None
    _agree(*(b.result for b in bodies))
    if any(b.draws for b in bodies):
        raise ArgumentError(
            "cond: a branch draws random numbers, and how many would depend on the predicate",
            hint="draw them before, and hand them in as operands",
        )
    cells = list({id(r.tensor.cell.root): r for b in bodies for r in b.refills}.values())
    shared = {_source(c.tensor): c for b in bodies for c in b.consts}
    programs = [_branch(b, shared, cells) for b in bodies]
    consts = [c.tensor for c in shared.values()]
    if pred.dtype.kind != "b":
        pred = pred != 0
    made = slot.apply(
        REGISTRY["branch"], pred.reshape(()) if pred.ndim else pred, *consts, *given,
        *(r.tensor for r in cells), then=programs[0], otherwise=programs[1],
    )  # fmt: skip
    for refill, value in zip(cells, made[len(made) - len(cells) :]):
        refill.put(value)
    return tree.rebuild(bodies[0].result, iter(made))


def _source(x: Tensor) -> tuple[int, bool]:
    """What two branches read alike."""
    return id(x.cell), x.requires_grad


def _branch(body: Body, shared: dict[Any, Const], cells: list[Refill]) -> Program:
    """A branch that takes what either of both reads, and returns every cell that one refills."""
    own = {_source(c.tensor): c.value for c in body.consts}
    consts = [own.get(k, replace(c.value, name=f"u{i}"))
              for i, (k, c) in enumerate(shared.items())]  # fmt: skip
    refilled = {id(r.tensor.cell.root): r for r in body.refills}
    before, after = [], []
    for i, cell in enumerate(cells):
        passed = replace(cell.before, name=f"r{i}")
        mine = refilled.get(id(cell.tensor.cell.root))
        before.append(mine.before if mine else passed)
        after.append(mine.after if mine else passed)
    inputs = (*consts, *body.args, *before)
    return Program(body.name, inputs, body.instrs, (*body.outputs, *after))


# ----- structures -----


def _tensors(value: Any, what: str) -> Any:
    """The structure with its numbers as tensors."""
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        return type(value)((k, _tensors(v, what)) for k, v in value.items())
    if isinstance(value, (tuple, list)):
        made = [_tensors(v, what) for v in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    if isinstance(value, (bool, int, float, np.ndarray, np.generic)):
        from backlit.creation import as_tensor

        return as_tensor(value)
    raise ArgumentTypeError(f"{what}: expected tensors or structures of them, got {value!r}")


def _leaves(value: Any) -> list[Tensor]:
    return list(tree.leaves(value))


def _both(result: Any) -> list[Tensor]:
    """The tensors of (carry, y): all carries first."""
    carry, y = result
    return [*tree.leaves(carry), *tree.leaves(y)]


def _name(f: Any) -> str:
    shown = getattr(f, "__name__", type(f).__name__)
    return shown if shown.isidentifier() else "body"


def _row(x: Tensor, at: int) -> Tensor:
    array = x.cell.array
    return wrap(array[at, ...] if len(array) else np.zeros(array.shape[1:], array.dtype))


def _length(rows: list[Tensor], length: int | None) -> int:
    """How many steps: the common first axis of `xs`, or as given."""
    if any(not x.ndim for x in rows):
        raise ShapeError("scan: every tensor of xs needs a first axis, the steps")
    sizes = {x.shape[0] for x in rows} | (set() if length is None else {int(length)})
    if not sizes:
        raise ArgumentError("scan: give xs or length")
    if len(sizes) > 1:
        raise ShapeError(f"scan: different numbers of steps: {sorted(sizes)}")
    steps = sizes.pop()
    if steps < 0:
        raise ArgumentError(f"scan: length {steps} is negative")
    return steps


def _checked(found: Any, init: Any) -> tuple[Any, Any]:
    """What f returned, if it is a carry like the first one and a result."""
    if not isinstance(found, tuple) or len(found) != 2:
        raise ArgumentTypeError(
            f"scan: f must return (carry, y), got {type(found).__name__}",
            hint="return carry, None where there is nothing to stack",
        )
    carry, y = _tensors(found[0], "carry"), _tensors(found[1], "y")
    if _shape(carry) != _shape(init):
        raise ShapeError(
            f"scan: f got a carry of {_shape(init)} and returned {_shape(carry)}",
            hint="a carry keeps its structure, shapes and dtypes",
        )
    return carry, y


def _agree(a: Any, b: Any) -> None:
    if _shape(a) != _shape(b):
        raise ShapeError(f"cond: one branch returns {_shape(a)}, the other {_shape(b)}")


def _shape(value: Any) -> str:
    """A structure in words: `(float32[2, 3], {'a': int64[]})`."""
    if isinstance(value, Tensor):
        return f"{value.dtype.name}{list(value.shape)}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_shape(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_shape, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value)
