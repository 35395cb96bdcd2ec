"""Fewer instructions for the same values: identities, common subexpressions, dead code.

Names of outputs stay. Instructions of a recomputed scope are never merged with the originals.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backlit.backends.cpu.loops.nest import HEAVY
from backlit.ops.op import REGISTRY
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.program.text import literal

RECOMPUTED = "recompute"


def simplify(program: Program) -> Program:
    """Merge equal instructions, skip those that change nothing, drop those nobody reads."""
    known: dict[str, Operand] = {}  # what a name is replaced by
    seen: dict[Any, tuple[Value | None, ...]] = {}
    instrs: list[Instr] = []
    for instr in program.instrs:
        inputs = tuple(known.get(x.name, x) if isinstance(x, Value) else x for x in instr.inputs)
        instr = replace(instr, inputs=inputs)
        same = _unchanged(instr)
        if same is not None:
            known[instr.outputs[0].name] = same  # type: ignore[union-attr]
            continue
        key = _key(instr)
        earlier = seen.get(key) if key is not None else None
        if earlier is not None and _covers(earlier, instr.outputs):
            for old, new in zip(earlier, instr.outputs):
                if new is not None:
                    known[new.name] = old
            continue
        if key is not None:
            seen[key] = instr.outputs
        instrs.append(instr)
    outputs = tuple(known.get(x.name, x) if isinstance(x, Value) else x for x in program.outputs)
    return drop_dead(replace(program, instrs=tuple(instrs), outputs=outputs))


def merge_equal(instrs: list[Instr], kept: set[str]) -> list[Instr]:
    """The instructions of one kernel without repetitions; values of `kept` names all stay."""
    known: dict[str, Value] = {}
    seen: dict[Any, Value] = {}
    found: list[Instr] = []
    for instr in instrs:
        inputs = tuple(known.get(x.name, x) if isinstance(x, Value) else x for x in instr.inputs)
        instr = replace(instr, inputs=inputs)
        (out,) = instr.outputs
        assert out is not None
        key = _key(instr, apart=False)
        if key is not None and key in seen and out.name not in kept:
            known[out.name] = seen[key]
            continue
        if key is not None:
            seen.setdefault(key, out)
        found.append(instr)
    return found


def _covers(earlier: tuple[Value | None, ...], outputs: tuple[Value | None, ...]) -> bool:
    return all(new is None or old is not None for old, new in zip(earlier, outputs))


def _key(instr: Instr, apart: bool = True) -> Any:
    """Equal keys, equal results; None for what is never merged.

    `apart`: what the gradient computes cheaply again is not kept for it.
    """
    if RECOMPUTED in instr.scope.split("/") or any(
        isinstance(p, Program) for p in instr.params.values()
    ):
        return None
    try:
        params = tuple((k, literal(v)) for k, v in sorted(instr.params.items()))
    except Exception:  # a parameter that has no text is compared by nothing
        return None
    inputs = tuple(
        x.name if isinstance(x, Value) else (type(x).__name__, repr(x)) for x in instr.inputs
    )
    if not inputs and (apart or instr.op != "positions"):
        return None  # without operands it may draw from somewhere
    cheap = apart and REGISTRY[instr.op].elementwise and instr.op not in HEAVY
    wide = any(v is not None and v.shape for v in instr.outputs)
    return instr.op, inputs, params, cheap and wide and bool(instr.backward_of)


def _unchanged(instr: Instr) -> Value | None:
    """The operand that an instruction returns as it is, if it does."""
    if len(instr.outputs) != 1 or instr.outputs[0] is None:
        return None
    out = instr.outputs[0]
    x = instr.inputs[0] if instr.inputs else None
    if not isinstance(x, Value) or (x.shape, x.dtype) != (out.shape, out.dtype):
        return _times_one(instr)
    if instr.op in ("cast", "expand", "reshape", "sum_to", "clone"):
        return x
    if instr.op == "permute" and tuple(instr.params["dims"]) == tuple(range(len(x.shape))):
        return x
    if instr.op in ("sum", "mean", "amax", "amin") and not instr.params["dims"]:
        return x
    return _times_one(instr)


def _times_one(instr: Instr) -> Value | None:
    """x * 1, 1 * x, x / 1, x ** 1."""
    if instr.op not in ("mul", "div", "pow") or len(instr.inputs) != 2:
        return None
    a, b = instr.inputs
    if instr.op == "mul" and not isinstance(a, Value):
        a, b = b, a
    if isinstance(a, Value) and not isinstance(b, (Value, bool)) and b == 1:
        out = instr.outputs[0]
        return a if out is not None and (a.shape, a.dtype) == (out.shape, out.dtype) else None
    return None


def drop_dead(program: Program) -> Program:
    """Without instructions that nobody reads, and outputs that nobody reads as None."""
    needed = {x.name for x in program.outputs if isinstance(x, Value)}
    kept: list[Instr] = []
    for instr in reversed(program.instrs):
        wanted = tuple(v if v is not None and v.name in needed else None for v in instr.outputs)
        if not any(v is not None for v in wanted):
            continue
        if len(wanted) > 1 and not REGISTRY[instr.op].view:
            instr = replace(instr, outputs=wanted)
        kept.append(instr)
        needed.update(x.name for x in instr.inputs if isinstance(x, Value))
    return replace(program, instrs=tuple(reversed(kept)))
