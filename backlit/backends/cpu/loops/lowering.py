"""Lowerings to generated loop nests: elementwise operators, reductions, fused bodies, copies.

The border between the plan and the generator: where operands lie, how results are laid out,
which words a kernel gets. Kernels are kept by the key of their nest, so equal loops of different
layers are one. Next: space.py, nest.py, kernel.py, finish.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.value import Unsupported
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.plans.plan import Place, Plan, Task, Word
from backlit.program.ir import Instr, Program, Value

from . import finish as loops_finish
from .kernel import Loops
from .nest import (
    FINISH_BLOCK,
    Layout,
    Nest,
    _out,
    dense_output,
    order_of,
    output_order,
    plan_nest,
    strides_of,
)
from .space import REDUCTIONS, Roles, roles, space_of


def lower_instr(plan: Plan, instr: Instr) -> Any:
    """An elementwise operator or a reduction: a body of one instruction."""
    if any(v is None for v in instr.outputs) or len(instr.outputs) != 1:
        return NotImplemented
    given = [x for x in instr.inputs if isinstance(x, Value)]
    inputs = tuple(dict.fromkeys(given))
    made = lower_body(plan, Program("one", inputs, (instr,), instr.outputs), inputs)
    if made is NotImplemented and instr.op in REDUCTIONS and len(instr.params["dims"]) > 1:
        return _lower_axis_by_axis(plan, instr)
    return made


def _lower_axis_by_axis(plan: Plan, instr: Instr) -> Any:
    """A reduction over axes that do not lie together: the last of them first."""
    x, out = instr.inputs[0], _out(instr)
    assert isinstance(x, Value)
    *rest, last = instr.params["dims"]
    shape = tuple(1 if i == last else n for i, n in enumerate(x.shape))
    between = Value(f"{out.name}_{last}", shape, out.dtype)
    keep = {"keepdim": True} if "keepdim" in instr.params else {}
    first = Instr(instr.op, (x,), (between,), {"dims": (last,), **keep})
    if instr.op == "count_nonzero":
        return NotImplemented
    if lower_instr(plan, first) is NotImplemented:
        return NotImplemented
    if instr.params["keepdim"]:
        then = Instr(instr.op, (between,), (out,), {"dims": tuple(rest), "keepdim": True})
        return lower_instr(plan, then)
    place = plan.place(between)
    kept = [i for i in range(len(shape)) if i != last]
    flat = Value(f"{between.name}_flat", tuple(shape[i] for i in kept), out.dtype)
    strides = tuple(place.strides[i] for i in kept)
    plan.alias(flat, Place(place.buffer, place.offset, flat.shape, strides, place.dtype))
    then = Instr(instr.op, (flat,), (out,), {"dims": tuple(rest), "keepdim": False})
    return lower_instr(plan, then)


def lower_fused(plan: Plan, instr: Instr) -> Any:
    """A fused instruction: its body over the operands."""
    body: Program = instr.params["body"]
    if any(not isinstance(x, Value) for x in instr.inputs):
        return NotImplemented
    operands: Any = instr.inputs
    return lower_body(plan, body, operands, instr.outputs)


def lower_body(plan: Plan, body: Program, operands: Sequence[Value],
               results: Sequence[Value | None] | None = None) -> Any:  # fmt: skip
    """Tasks for a body whose inputs are `operands` and whose outputs become `results`."""
    results = list(body.outputs) if results is None else list(results)  # type: ignore[arg-type]
    places = {v.name: plan.place(x) for v, x in zip(body.inputs, operands)}
    if any(n == 0 for v in _values(body) for n in v.shape):
        return NotImplemented
    space = space_of(body.instrs)
    if space is None:
        return NotImplemented
    for v in body.inputs:
        space.take(v)
    outputs = [v for v in body.outputs if isinstance(v, Value)]
    if len({v.name for v in outputs}) < len(body.outputs):
        return NotImplemented
    if any(v in body.inputs for v in outputs):
        return NotImplemented
    found = roles(space, body.instrs, outputs)
    try:
        made = _choose(plan.machine, found, body, outputs, places)
    except Unsupported:
        return NotImplemented
    if made is None:
        return NotImplemented
    chosen, nest, order, kernels = made
    for v, r in zip(outputs, results):
        axes = output_order(chosen, v, order)
        if r is None:
            places[v.name] = plan.temporary(v.shape, v.dtype.numpy, axes)
        else:
            places[v.name] = plan.result(r, axes)
    _add(plan, nest, kernels, places, body, [v.name for v in outputs])
    return None


def _values(body: Program) -> list[Value]:
    listed = [v for i in body.instrs for v in (*i.inputs, *i.outputs)]
    return [v for v in (*body.inputs, *listed) if isinstance(v, Value)]


def _choose(machine: features.Machine, found: list[Roles], body: Program, outputs: list[Value],
            places: dict[str, Place]) -> tuple[Roles, Nest, list[int], Any] | None:  # fmt: skip
    """The way to loop that walks memory best, with its kernels."""
    candidates: list[tuple] = []
    for r in found:
        strides = {v.name: strides_of(r, v, places[v.name].strides) for v in body.inputs}
        order = order_of(r, body.inputs, outputs, strides)
        for v in outputs:
            strides[v.name] = dense_output(r, v, order)
        extents = {a: r.space.extents[a] for a in r.all}
        nest = plan_nest(r, body.instrs, body.inputs, outputs,
                         Layout(strides, order, extents), machine)  # fmt: skip
        if nest is not None:
            candidates.append((_badness(nest), len(candidates), r, nest, order))
    if not candidates:
        return None
    _, _, r, nest, order = min(candidates, key=lambda c: c[:2])
    nest, rename = _numbered(nest)
    return r, nest, order, (_kernels(nest), rename)


def _badness(nest: Nest) -> int:
    """How far lanes are from neighbours in memory."""
    lanes = [o.line if nest.middle is None else o.middle for o in (*nest.inputs, *nest.outputs)]
    far = sum(s not in (0, 1) for s in lanes)
    return 4 * far + (nest.middle is not None) + (nest.line < nest.width and nest.middle is None)


# ----- kernels, kept by key -----


def _numbered(nest: Nest) -> tuple[Nest, dict[str, str]]:
    """The nest with values named by number, so that equal loops have equal keys."""
    rename: dict[str, str] = {}
    for o in nest.inputs:
        rename.setdefault(o.name, f"x{len(rename)}")
    for i in nest.instrs:
        for v in (*i.inputs, *i.outputs):
            if isinstance(v, Value):
                rename.setdefault(v.name, f"v{len(rename)}")
    for o in nest.outputs:
        rename.setdefault(o.name, f"v{len(rename)}")

    def named(x: Any) -> Any:
        return Value(rename[x.name], x.shape, x.dtype) if isinstance(x, Value) else x

    instrs = [
        Instr(i.op, tuple(map(named, i.inputs)), tuple(map(named, i.outputs)),
              {} if i.op in ("expand", "reshape", "permute", "positions") else i.params)
        for i in nest.instrs
    ]  # fmt: skip

    def table(d: dict[str, Any]) -> dict[str, Any]:
        return {rename[k]: v for k, v in d.items() if k in rename}

    made = replace(
        nest, instrs=instrs,
        inputs=[replace(o, name=rename[o.name]) for o in nest.inputs],
        outputs=[replace(o, name=rename[o.name]) for o in nest.outputs],
        varies=table(nest.varies), level=table(nest.level),
        late=frozenset(rename[n] for n in nest.late), kinds=table(nest.kinds),
        counts=table(nest.counts), positions=table(nest.positions),
    )  # fmt: skip
    return made, rename


_nests: dict[tuple, Nest] = {}  # what a key stands for, until its kernel is generated


def _kernels(nest: Nest) -> tuple:
    """Address and fields of the nest's kernel and, where sums are left over, of the finish."""
    key = nest.key()
    _nests[key] = nest
    main = _main_kernel(key)
    if not _is_split(nest):
        return main, _fields(nest), None, ()
    return main, _fields(nest), _finish_kernel(key), _finish_fields(nest)


@jit.recipe
def _main_kernel(key: tuple) -> int:
    nest = _nests[key]
    inline = None if _is_split(nest) or not (nest.columns or nest.fulls) else loops_finish.inline
    f = Loops(nest, _fields(nest), inline).build()
    return jit.compile_function(codegen.module([f]), f.name, features.machine())


@jit.recipe
def _finish_kernel(key: tuple) -> int:
    nest = _nests[key]
    f = loops_finish.build(nest, _finish_fields(nest))
    return jit.compile_function(codegen.module([f]), f.name, features.machine())


def _is_split(nest: Nest) -> bool:
    """Whether sums of several chunks are left to join."""
    if nest.chunked == "line":
        return bool(nest.fulls)
    return bool(nest.chunked and (nest.columns or nest.fulls))


def _fields(nest: Nest) -> tuple[str, ...]:
    """Names of the words; they depend on nothing but the key."""
    found = [o.name for o in (*nest.inputs, *nest.outputs)]
    for o in (*nest.inputs, *nest.outputs):
        found += [f"{o.name}_{a}" for a, s in enumerate(o.outer) if s]
        found += [f"{o.name}_{k}" for k in ("middle", "line") if getattr(o, k) not in (0, 1)]
    found += ["rows", "line", "middle", "step", "scratch", "scratch_row", "scratch_line"]
    found += [f"extent_{a}" for a in range(1, len(nest.outer))]
    found += [f"count_{_out(i).name}" for i in nest.instrs if i.op == "mean"]
    found += [f"partial_{_out(i).name}" for i in (*nest.columns, *nest.fulls)]
    return tuple(dict.fromkeys(found))


def _finish_fields(nest: Nest) -> tuple[str, ...]:
    blocks = ("finish_step",) if nest.line > FINISH_BLOCK else ()
    return (*_fields(nest), "parts", *blocks)


# ----- tasks -----


def _add(plan: Plan, nest: Nest, made: tuple, places: dict[str, Place], body: Program,
         outputs: list[str]) -> None:  # fmt: skip
    (address, fields, finish, finish_fields), rename = made
    words: dict[str, Word] = {rename[n]: p for n, p in places.items() if n in rename}
    for o in (*nest.inputs, *nest.outputs):
        words |= {f"{o.name}_{a}": s for a, s in enumerate(o.outer)}
        words |= {f"{o.name}_middle": o.middle, f"{o.name}_line": o.line}
    words |= {"rows": nest.row_steps, "middle": nest.middle or 1, "line": nest.line}
    words |= {"step": nest.step}
    words |= {f"extent_{a}": n for a, n in enumerate(nest.outer)}
    words |= {f"count_{n}": float(c) for n, c in nest.counts.items()}
    scratch = _scratch(plan, nest, words)
    partials = _partials(plan, nest, words)
    words |= {"parts": nest.chunks, "finish_step": FINISH_BLOCK}
    reads = tuple(places[v.name] for v in body.inputs)
    late = {n for n in outputs if rename[n] in nest.late}
    label = "+".join(dict.fromkeys(i.op for i in body.instrs))[:60]
    ends = tuple(places[n] for n in outputs if not (finish and n in late))
    pairs = _in_place(nest, places, rename, outputs, False)
    afterwards = _in_place(nest, places, rename, outputs, True)
    if not finish and not nest.chunked:
        pairs += afterwards
    plan.add(Task(
        label, address, [words.get(k, 0) for k in fields], nest.chunks, reads,
        (*ends, *partials, *scratch), pairs,
        flops=nest.elements * nest.cost,
    ))  # fmt: skip
    if finish:
        blocks = -(-nest.line // FINISH_BLOCK) if nest.line > FINISH_BLOCK else 1
        plan.add(Task(
            label + ": finish", finish, [words.get(k, 0) for k in finish_fields], blocks,
            (*partials, *reads), tuple(places[n] for n in late), afterwards,
        ))  # fmt: skip


def _scratch(plan: Plan, nest: Nest, words: dict[str, Word]) -> list[Place]:
    """Lines that a worker keeps between passes."""
    if nest.held or not any(k == "line" for k in nest.kinds.values()):
        return []
    kept = Loops(nest, _fields(nest), None).spilled
    if not kept:
        return []
    line = -(-nest.line * 8 // 64) * 64 * (nest.width if nest.middle is not None else 1) + 64
    place = plan.temporary((plan.workers, len(kept), line), np.uint8)
    words |= {"scratch": place, "scratch_row": len(kept) * line, "scratch_line": line}
    return [place]


def _partials(plan: Plan, nest: Nest, words: dict[str, Word]) -> list[Place]:
    found = []
    several = nest.chunks if nest.chunked in ("rows", "middle") else 1
    for i in nest.columns:
        dtype = np.bool_ if i.op in ("any", "all") else mem.accumulator(_out(i).dtype.numpy)
        found.append(plan.temporary((several, nest.line), dtype))
        words[f"partial_{_out(i).name}"] = found[-1]
    for i in nest.fulls:
        dtype = np.bool_ if i.op in ("any", "all") else mem.accumulator(_out(i).dtype.numpy)
        found.append(plan.temporary((nest.chunks,), dtype))
        words[f"partial_{_out(i).name}"] = found[-1]
    return found


def _in_place(nest: Nest, places: dict[str, Place], rename: dict[str, str],
              outputs: Sequence[str], late: bool) -> tuple[tuple[Place, Place], ...]:  # fmt: skip
    """Pairs that may share memory: a result that is written where, or after, its operand is read
    for the last time."""
    back = {n: k for k, n in rename.items()}
    deepest = max([0, *nest.level.values()])
    early = _early(nest)
    whole = {n for n, v in nest.varies.items() if v[2] or nest.elements == 1}
    pairs = []
    for o in nest.outputs:
        is_late = o.name in nest.late
        if is_late != late or (not late and nest.level.get(o.name, 0) < deepest):
            continue
        found = []
        for x in nest.inputs:
            same = (x.outer, x.middle, x.line, x.dtype) == (o.outer, o.middle, o.line, o.dtype)
            alike = same and nest.varies[x.name] == nest.varies[o.name]
            free = x.name not in early if late else o.name in whole
            if alike and free and back[o.name] in outputs:
                found.append((places[back[x.name]], places[back[o.name]]))
        # new state belongs where the old one lies, not where a gradient did
        state = [pair for pair in found if pair[0].buffer.memory is not None]
        pairs += state or found
    return tuple(pairs)


def _early(nest: Nest) -> set[str]:
    """What is read before the finish."""
    found = {o.name for o in nest.outputs if o.name not in nest.late}
    for i in reversed(nest.instrs):
        name = _out(i).name
        if name in nest.kinds or (name in found and name not in nest.late):
            found.update(x.name for x in i.inputs if isinstance(x, Value))
    return found


# ----- copies -----


MOVED = {1: dt.int8, 2: dt.int16, 4: dt.int32, 8: dt.int64}


def lower_copy(plan: Plan, source: Place, target: Place) -> Any:
    """Copy between places of one shape, whatever their strides."""
    if not source.size or source.dtype.itemsize not in MOVED or source.dtype.kind == "c":
        return NotImplemented
    dtype = MOVED[source.dtype.itemsize]
    x, y = Value("x", source.shape, dtype), Value("y", source.shape, dtype)
    instr = Instr("clone", (x,), (y,))
    space = space_of([instr])
    assert space is not None
    (found,) = roles(space, [instr], [y])
    strides = {"x": strides_of(found, x, source.strides), "y": strides_of(found, y, target.strides)}
    order = sorted(found.all, key=lambda a: -abs(strides["y"][a]))
    extents = {a: space.extents[a] for a in found.all}
    nest = plan_nest(found, [instr], [x], [y], Layout(strides, order, extents), plan.machine)
    assert nest is not None
    nest, rename = _numbered(nest)
    places = {"x": source, "y": target}
    body = Program("copy", (x,), (instr,), (y,))
    _add(plan, nest, (_kernels(nest), rename), places, body, ["y"])
    return None
