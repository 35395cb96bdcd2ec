"""Closed operators spelled out in elementwise instructions and sums, so that they can be fused.

Softmax, losses over classes and row normalizations are closed for speed in eager mode; here one
loop nest takes them together with what stands around them. Each rule is the operator's formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backlit import dtypes as dt
from backlit.ops.op import REGISTRY, Spec
from backlit.ops.random import ALPHA, alpha_affine
from backlit.program.ir import Instr, Program, Value

Results = tuple[Any, ...]


def decompose(program: Program) -> Program:
    """Replace what has a rule and floats of 32 or 64 bits by simpler instructions."""
    instrs: list[Instr] = []
    taken = {v.name for i in program.instrs for v in i.outputs if v is not None}
    taken |= {v.name for v in program.inputs}
    logarithms: dict[str, tuple[Value, Value]] = {}
    for instr in program.instrs:
        rule = RULES.get(instr.op)
        first = instr.inputs[0] if instr.inputs else None
        if instr.op == "exp" and isinstance(first, Value) and first.name in logarithms:
            instrs.append(replace(instr, op="div", inputs=logarithms[first.name]))
            continue
        if rule is None or not isinstance(first, Value) or not _is_plain(instr):
            instrs.append(instr)
            continue
        writer = _Writer(instr, taken)
        found = rule(writer, *instr.inputs, **instr.params)
        if found is None:
            instrs.append(instr)
            continue
        if instr.op == "log_softmax":  # its exponential is there already, but for a division
            made = [i.outputs[0] for i in writer.instrs if i.op in ("exp", "sum")]
            logarithms[writer.stem] = (made[0], made[1])  # type: ignore[assignment]
        instrs += writer.ended(found)
    return replace(program, instrs=tuple(instrs))


def _is_plain(instr: Instr) -> bool:
    values = [v for v in (*instr.inputs, *instr.outputs) if isinstance(v, Value)]
    floats = [v for v in values if v.dtype.is_floating_point]
    sizes = all(n for v in values for n in v.shape)
    return sizes and all(v.dtype in (dt.float32, dt.float64) for v in floats)


class _Writer:
    """Instructions in place of one, with the notes of the original."""

    def __init__(self, instr: Instr, taken: set[str]) -> None:
        self.instr, self.taken = instr, taken
        self.instrs: list[Instr] = []
        self.stem = next(v.name for v in instr.outputs if v is not None)

    def __call__(self, op: str, *inputs: Any, **params: Any) -> Value:
        specs = [Spec(x.shape, x.dtype) if isinstance(x, Value) else x for x in inputs]
        spec: Any = REGISTRY[op].infer(*specs, **params)
        out = Value(self._name(op), tuple(spec.shape), spec.dtype)
        self.instrs.append(replace(self.instr, op=op, inputs=inputs, outputs=(out,), params=params))
        return out

    def _name(self, op: str) -> str:
        count = len(self.instrs)
        while True:
            name = f"{self.stem}_{op}_{count}"
            if name not in self.taken:
                self.taken.add(name)
                return name
            count += 1

    def over(self, op: str, x: Value, dims: tuple[int, ...], keepdim: bool = True) -> Value:
        return self(op, x, dims=dims, keepdim=keepdim)

    def shaped(self, x: Value, shape: tuple[int, ...]) -> Value:
        return x if x.shape == shape else self("reshape", x, shape=shape)

    def ended(self, results: Results) -> list[Instr]:
        """The instructions, the results under the names of the original's outputs."""
        names: dict[str, Value] = {}
        for r, v in zip(results, self.instr.outputs):
            if v is None:
                continue
            if r.name in names or not any(r in i.outputs for i in self.instrs):
                r = self("clone", r)
            names[r.name] = v

        def renamed(x: Any) -> Any:
            return names.get(x.name, x) if isinstance(x, Value) else x

        return [
            replace(i, inputs=tuple(map(renamed, i.inputs)), outputs=tuple(map(renamed, i.outputs)))
            for i in self.instrs
        ]


# ----- softmax and its kin -----


def _softmax(w: _Writer, x: Value, dim: int) -> Results | None:
    if not x.shape:
        return None
    e = w("exp", w("sub", x, w.over("amax", x, (dim,))))
    return (w("div", e, w.over("sum", e, (dim,))),)


def _log_softmax(w: _Writer, x: Value, dim: int) -> Results | None:
    if not x.shape:
        return None
    shifted = w("sub", x, w.over("amax", x, (dim,)))
    total = w("log", w.over("sum", w("exp", shifted), (dim,)))
    return (w("sub", shifted, total),)


def _logsumexp(w: _Writer, x: Value, dims: tuple[int, ...], keepdim: bool) -> Results | None:
    if not dims:
        return None
    top = w.over("amax", x, dims)
    top = w("where", w("isfinite", top), top, 0.0)
    total = w("add", w("log", w.over("sum", w("exp", w("sub", x, top)), dims)), top)
    return (total if keepdim else w.shaped(total, w.instr.outputs[0].shape),)  # type: ignore[union-attr]


def _variance(w: _Writer, x: Value, dims: tuple[int, ...], correction: float,
              keepdim: bool) -> Results | None:  # fmt: skip
    if not dims:
        return None
    count = math.prod(x.shape[d] for d in dims)
    away = w("sub", x, w.over("mean", x, dims))
    total = w.over("sum", w("mul", away, away), dims, keepdim)
    free = max(count - correction, 0)
    return (w("div", total, float(free)),) if free else None


def _deviation(w: _Writer, x: Value, **params: Any) -> Results | None:
    found = _variance(w, x, **params)
    return None if found is None else (w("sqrt", found[0]),)


def _sum_to(w: _Writer, x: Value, shape: tuple[int, ...]) -> Results | None:
    extra = len(x.shape) - len(shape)
    dims = tuple(range(extra)) + tuple(
        extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1
    )
    if not dims:
        return None
    return (w.shaped(w.over("sum", x, dims), tuple(shape)),)


# ----- losses over classes -----


def _hits(w: _Writer, target: Value, classes: int, first: bool) -> Value:
    """Where a class is the target's: (N, C, ...). The gradient spells it its own way, so that
    neither keeps it for the other."""
    shape = (1, classes, *(1 for _ in target.shape[1:]))
    at = w("positions", shape=shape, dim=1, dtype=target.dtype)
    column = w.shaped(target, (target.shape[0], 1, *target.shape[1:]))
    return w("eq", column, at) if first else w("eq", at, column)


def _weights(w: _Writer, hits: Value, weight: Value) -> Value:
    """The weight of each target's class."""
    shape = (1, weight.shape[0], *(1 for _ in hits.shape[2:]))
    return w.over("sum", w("where", hits, w.shaped(weight, shape), 0.0), (1,), False)


def _nll_loss(w: _Writer, x: Value, target: Value, weight: Value | None, ignore_index: int,
              reduction: str) -> Results | None:  # fmt: skip
    hits = _hits(w, target, x.shape[1], True)
    picked = w("neg", w.over("sum", w("where", hits, x, 0.0), (1,), False))
    scale = None if weight is None else _weights(w, hits, weight)
    if scale is not None:
        picked = w("mul", picked, scale)
    ignored = w("eq", target, ignore_index)
    # a class that does not exist can't raise here: its loss is no number
    known = w("logical_and", w("ge", target, 0), w("lt", target, x.shape[1]))
    loss = w("where", ignored, 0.0, w("where", known, picked, math.nan))
    if reduction == "none":
        return (loss,)
    dims = tuple(range(len(target.shape)))
    total = w.over("sum", loss, dims, False)
    if reduction == "sum":
        return (total,)
    counted = w("where", ignored, 0.0, _ones(w, target, x.dtype) if scale is None else scale)
    return (w("div", total, w.over("sum", counted, dims, False)),)


def _ones(w: _Writer, target: Value, dtype: Any) -> Value:
    """1 for every target that equals itself."""
    return w("cast", w("ge", target, dt.iinfo(target.dtype).min), dtype=dtype)


def _nll_loss_grad(w: _Writer, g: Value, target: Value, weight: Value | None, classes: int,
                   ignore_index: int, reduction: str) -> Results | None:  # fmt: skip
    kept = w("ne", target, ignore_index)
    hits = _hits(w, target, classes, False)
    scale = w("cast", kept, dtype=g.dtype)
    if weight is not None:
        scale = w("where", kept, _weights(w, hits, weight), 0.0)
    if reduction == "mean":
        total = w.over("sum", scale, tuple(range(len(target.shape))), False)
        scale = w("mul", scale, w("div", g, total))
    else:
        scale = w("mul", scale, g)
    column = w.shaped(w("neg", scale), (target.shape[0], 1, *target.shape[1:]))
    return (w("where", hits, column, 0.0),)


# ----- normalization of rows -----


def _layer_norm(w: _Writer, x: Value, scale: Value | None, shift: Value | None, count: int,
                eps: float) -> Results:  # fmt: skip
    axes = tuple(range(len(x.shape) - count, len(x.shape)))
    mean = w.over("mean", x, axes)
    away = w("sub", x, mean)
    rstd = w("rsqrt", w("add", w.over("mean", w("mul", away, away), axes), eps))
    return _affine(w, w("mul", away, rstd), scale, shift), mean, rstd


def _affine(w: _Writer, y: Value, scale: Value | None, shift: Value | None) -> Value:
    if scale is not None:
        y = w("mul", y, scale)
    return y if shift is None else w("add", y, shift)


def _layer_norm_grad(w: _Writer, g: Value, x: Value, scale: Value | None, mean: Value,
                     rstd: Value, count: int, eps: float) -> Results:  # fmt: skip
    axes, lead = _split(x, count)
    normal = w("mul", w("sub", x, mean), rstd)
    scaled = g if scale is None else w("mul", g, scale)
    along = w("mul", normal, w.over("mean", w("mul", scaled, normal), axes))
    gx = w("mul", w("sub", w("sub", scaled, w.over("mean", scaled, axes)), along), rstd)
    return gx, w.over("sum", w("mul", g, normal), lead, False), w.over("sum", g, lead, False)


def _rms_norm(w: _Writer, x: Value, scale: Value | None, count: int, eps: float) -> Results:
    axes, _ = _split(x, count)
    rstd = w("rsqrt", w("add", w.over("mean", w("mul", x, x), axes), eps))
    return _affine(w, w("mul", x, rstd), scale, None), rstd


def _rms_norm_grad(w: _Writer, g: Value, x: Value, scale: Value | None, rstd: Value, count: int,
                   eps: float) -> Results:  # fmt: skip
    axes, lead = _split(x, count)
    normal = w("mul", x, rstd)
    scaled = g if scale is None else w("mul", g, scale)
    along = w("mul", normal, w.over("mean", w("mul", scaled, normal), axes))
    gx = w("mul", w("sub", scaled, along), rstd)
    return gx, w.over("sum", w("mul", g, normal), lead, False)


def _group_norm(w: _Writer, x: Value, scale: Value | None, shift: Value | None, groups: int,
                eps: float) -> Results:  # fmt: skip
    rows = w.shaped(x, (x.shape[0], groups, -(-math.prod(x.shape[1:]) // groups)))
    mean = w.over("mean", rows, (2,))
    away = w("sub", rows, mean)
    rstd = w("rsqrt", w("add", w.over("mean", w("mul", away, away), (2,)), eps))
    scale, shift = (v and _by_channel(w, v, x) for v in (scale, shift))
    y = _affine(w, w.shaped(w("mul", away, rstd), x.shape), scale, shift)
    kept = (x.shape[0], groups)
    return y, w.shaped(mean, kept), w.shaped(rstd, kept)


def _group_norm_grad(w: _Writer, g: Value, x: Value, scale: Value | None, mean: Value,
                     rstd: Value, groups: int, eps: float) -> Results:  # fmt: skip
    rows = (x.shape[0], groups, -(-math.prod(x.shape[1:]) // groups))
    mean, rstd = (w.shaped(v, (*v.shape, 1)) for v in (mean, rstd))
    normal = w("mul", w("sub", w.shaped(x, rows), mean), rstd)
    scaled = w.shaped(g if scale is None else w("mul", g, _by_channel(w, scale, x)), rows)
    along = w("mul", normal, w.over("mean", w("mul", scaled, normal), (2,)))
    gx = w("mul", w("sub", w("sub", scaled, w.over("mean", scaled, (2,))), along), rstd)
    rest = (0, *range(2, len(x.shape)))
    gw = w.over("sum", w("mul", g, w.shaped(normal, x.shape)), rest, False)
    return w.shaped(gx, x.shape), gw, w.over("sum", g, rest, False)


def _by_channel(w: _Writer, v: Value, x: Value) -> Value:
    return w.shaped(v, (*v.shape, *(1,) * (len(x.shape) - 2)))


def _p_norm(w: _Writer, x: Value, p: float, dims: tuple[int, ...], keepdim: bool) -> Results | None:
    if not dims:
        return None
    if p == 2:
        return (w("sqrt", w.over("sum", w("mul", x, x), dims, keepdim)),)
    name = {1: "sum", math.inf: "amax", -math.inf: "amin"}.get(p)
    return name and (w.over(name, w("abs", x), dims, keepdim),)  # type: ignore[return-value]


def _split(x: Value, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a row, and those that tell rows apart."""
    lead = len(x.shape) - count
    return tuple(range(lead, len(x.shape))), tuple(range(lead))


# ----- random choices: the mask is drawn once for forward and backward -----


def _kept(w: _Writer, x: Value, seed: Any, offset: Any, p: float, lead: int) -> Value:
    """The mask over the first axes, shaped to broadcast over all."""
    mask = w("keep_mask", seed, offset, shape=x.shape[:lead], p=p)
    return w.shaped(mask, (*x.shape[:lead], *(1,) * (len(x.shape) - lead)))


def _dropout(w: _Writer, x: Value, seed: Any, offset: Any, p: float,
             lead: int | None = None) -> Results | None:  # fmt: skip
    keep = _kept(w, x, seed, offset, p, len(x.shape) if lead is None else lead)
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    return (w("where", keep, w("mul", x, scale), 0.0),)


def _alpha_dropout(w: _Writer, x: Value, seed: Any, offset: Any, p: float,
                   lead: int) -> Results | None:  # fmt: skip
    scale, shift = alpha_affine(p)
    kept = w("add", w("mul", x, scale), shift)
    return (w("where", _kept(w, x, seed, offset, p, lead), kept, ALPHA * scale + shift),)


def _bernoulli(w: _Writer, p: Value, seed: Any, offset: Any, dtype: dt.dtype) -> Results | None:
    drawn = w("uniform", seed, offset, shape=p.shape, dtype=dt.float32)
    wide = drawn if p.dtype is dt.float32 else w("cast", drawn, dtype=p.dtype)
    return (w("cast", w("lt", wide, p), dtype=dtype),)


RULES: dict[str, Callable[..., Results | None]] = {
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "alpha_dropout": _alpha_dropout,
    "bernoulli": _bernoulli,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "var": _variance,
    "std": _deviation,
    "sum_to": _sum_to,
    "nll_loss": _nll_loss,
    "nll_loss_grad": _nll_loss_grad,
    "layer_norm": _layer_norm,
    "layer_norm_grad": _layer_norm_grad,
    "group_norm": _group_norm,
    "group_norm_grad": _group_norm_grad,
    "p_norm": _p_norm,
    "rms_norm": _rms_norm,
    "rms_norm_grad": _rms_norm_grad,
}
