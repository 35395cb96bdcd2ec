"""Is this loss what backpropagation assumes: an average over samples, a function of the outputs?

Nielsen (2015), chapter 2, states both assumptions. They are tried out: the loss of the batch
twice over, of each sample alone, of the same outputs again; and the loss's graph is searched for
leaves that are not the outputs. Next: docs/design/lenses.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit import tree
from backlit.autograd.engine import collect, grad, resolve
from backlit.autograd.modes import enable_grad, no_grad
from backlit.autograd.node import Node
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.random import default_generator
from backlit.tensor import Tensor, wrap

NOTES = ("regularization",)  # told, and no fault


@dataclass(frozen=True)
class LossFinding:
    """One assumption that does not hold (or a note): its name, and the numbers that show it."""

    name: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}"


@dataclass(frozen=True)
class LossReport:
    """The loss of the batch, of the batch twice over, the mean over samples, and the findings.

    `.ok` where both assumptions hold; a regularization term is named and leaves them standing.
    """

    value: float | None
    twice: float | None  # None where the batch could not be doubled
    mean_of_samples: float | None
    findings: tuple[LossFinding, ...]

    @property
    def ok(self) -> bool:
        return all(f.name in NOTES for f in self.findings)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.findings)

    def __str__(self) -> str:
        shown = [("of the batch", self.value), ("of the batch twice over", self.twice),
                 ("of single samples, on average", self.mean_of_samples)]  # fmt: skip
        lines = [f"loss {what}: {v:.8g}" for what, v in shown if v is not None]
        if self.ok:
            lines.append("an average over samples and a function of the outputs")
        return "\n".join([*lines, *map(str, self.findings)])

    __repr__ = __str__


def loss(loss_fn: Callable[..., Any], outputs: Any, targets: Any = None) -> LossReport:
    """Check that a loss is the mean over samples of a function of the outputs (and targets).

    `outputs` and `targets` hold one sample per entry of their first axis; several may come in a
    tuple. Names found: not_reduced, sum_reduction, weighted_average, batch_dependent, random,
    reads_batch_data, reads_parameters, detached; and regularization, an added term.

    >>> outputs, labels = bl.randn(4, 3), bl.tensor([0, 2, 1, 1])
    >>> bl.check.loss(nn.CrossEntropyLoss(), outputs, labels).ok
    True
    >>> bl.check.loss(nn.CrossEntropyLoss(reduction="sum"), outputs, labels).names
    ('sum_reduction',)
    """
    generator = default_generator.get_state()
    try:
        with enable_grad():
            return _report(_Probe(loss_fn, outputs, targets))
    finally:
        default_generator.set_state(generator)


def _report(probe: _Probe) -> LossReport:
    shape = probe.shape()
    if shape is not None:
        text = f"the loss has shape {shape}: one number is due; take its mean"
        return LossReport(None, None, None, (LossFinding("not_reduced", text),))
    value = probe.value()
    if not math.isfinite(value):
        text = f"the loss is {value}: nothing can be compared; give outputs with a finite loss"
        return LossReport(value, None, None, (LossFinding("not_finite", text),))
    findings = _determined(probe, value)
    if findings:  # nothing that is random can be compared
        return LossReport(value, None, None, tuple(findings))
    twice, mean, findings = _average(probe, value)
    return LossReport(value, twice, mean, (*findings, *_outputs_only(probe)))


class _Probe:
    """The loss at parts of the batch."""

    def __init__(self, loss_fn: Callable[..., Any], outputs: Any, targets: Any):
        if not callable(loss_fn):
            raise ArgumentTypeError(
                f"check.loss: expected a loss function, got {type(loss_fn).__name__}",
                hint="bl.check.loss(nn.CrossEntropyLoss(), outputs, targets)",
            )
        self.loss_fn = loss_fn
        self.outputs = tree.over(outputs, lambda t: t.detach())
        self.targets = targets
        tensors = [*tree.leaves(outputs), *tree.leaves(targets)]
        sizes = {t.shape[0] for t in tensors if t.ndim}
        if not list(tree.leaves(outputs)):
            raise ArgumentTypeError(f"check.loss: outputs is a {type(outputs).__name__}, no tensor")
        if len(sizes) != 1 or 0 in sizes:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
            raise ArgumentError(f"check.loss: the first axes of {shapes} are not one batch size")
        self.count = sizes.pop()
        dtypes = [t.dtype for t in tree.leaves(outputs) if t.dtype.is_floating_point]
        self.tolerance = 1e-9 if bl.float64 in dtypes else 1e-4

    def call(self, outputs: Any, targets: Any) -> Tensor:
        given = (outputs,) if targets is None else (outputs, targets)
        found = self.loss_fn(*given)
        if not isinstance(found, Tensor):
            raise ArgumentTypeError(f"check.loss: the loss is a {type(found).__name__}, no tensor")
        return found

    def at(self, index: Any) -> float:
        """The loss of the samples of an index."""

        def part(t: Tensor) -> Tensor:
            return t[index] if t.ndim else t  # type: ignore[index,no-any-return]

        with no_grad():
            found = self.call(tree.over(self.outputs, part), tree.over(self.targets, part))
            return float(found.sum())  # type: ignore[attr-defined]

    def shape(self) -> tuple[int, ...] | None:
        """The shape of a loss that is not one number."""
        with no_grad():
            found = self.call(self.outputs, self.targets)
        return tuple(found.shape) if found.numel() != 1 else None

    def value(self) -> float:
        return self.at(list(range(self.count)))

    def same(self, a: float, b: float) -> bool:
        return abs(a - b) <= self.tolerance * max(abs(a), abs(b), 1e-12)


def _determined(probe: _Probe, value: float) -> list[LossFinding]:
    """The same outputs give the same loss, and no random number is drawn for it."""
    before = default_generator.get_state()
    again = probe.value()
    drawn = default_generator.get_state() != before
    if again != value and not (np.isnan(again) and np.isnan(value)):
        text = f"the same outputs give {value:.8g} and then {again:.8g}"
        return [LossFinding("random", text + (", with random numbers" if drawn else ""))]
    return []


# ----- an average over samples -----


def _average(probe: _Probe, value: float) -> tuple[float | None, float | None, list[LossFinding]]:
    whole = list(range(probe.count))
    try:
        twice = probe.at(whole + whole)
    except Exception as error:
        text = f"with the batch twice over it fails ({_first_line(error)})"
        hint = f"{text}: it holds other data of {probe.count} samples; pass all as targets"
        return None, None, [LossFinding("reads_batch_data", hint)]
    try:
        alone = [probe.at([i]) for i in whole]
    except Exception as error:
        text = f"it can't be computed for one sample alone ({_first_line(error)})"
        return twice, None, [LossFinding("batch_dependent", text)]
    mean = sum(alone) / probe.count
    if probe.same(twice, value) and probe.same(mean, value):
        return twice, mean, []
    return twice, mean, [_why_no_average(probe, value, twice, alone)]


def _why_no_average(probe: _Probe, value: float, twice: float, alone: list[float]) -> LossFinding:
    total = sum(alone)
    # With an added term R: the batch S + R, twice 2 S + R, single samples S + n R together.
    data = twice - value
    rest = value - data
    if not probe.same(twice, value) and probe.same(total, data + probe.count * rest):
        text = (
            f"it adds the samples up ({value:.6g} for the batch, {twice:.6g} for it twice over), so"
            f" steps grow with the batch; divide by the {probe.count} samples"
        )
        return LossFinding("sum_reduction", text)
    weights = _weights(probe, value, alone) if probe.same(twice, value) else None
    if weights is not None:
        shown = ", ".join(f"{w:.4g}" for w in weights[:8])
        text = f"samples count unequally, as {shown}: class weights, or samples that are ignored"
        return LossFinding("weighted_average", text)
    text = (
        f"the batch has {value:.6g}, twice over {twice:.6g}, the mean over single samples is"
        f" {total / probe.count:.6g}: what a sample adds depends on the others"
    )
    return LossFinding("batch_dependent", text)


def _weights(probe: _Probe, value: float, alone: list[float]) -> list[float] | None:
    """Weights w with loss = sum w C / sum w, relative to the first; None where there are none."""
    valid = [i for i, c in enumerate(alone) if np.isfinite(c)]
    if not valid:
        return None
    first, weights = valid[0], [0.0] * len(alone)
    weights[first] = 1.0
    for i in valid[1:]:
        pair = probe.at([first, i])
        # (C_first + w C_i) / (1 + w) = pair
        down = pair - alone[i]
        if probe.same(pair, alone[i]) or (alone[first] - pair) / down < 0:
            return None
        weights[i] = (alone[first] - pair) / down
    found = sum(weights[i] * alone[i] for i in valid) / sum(weights)
    return weights if abs(found - value) <= 10 * probe.tolerance * max(abs(value), 1e-12) else None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


# ----- a function of the outputs -----


def _outputs_only(probe: _Probe) -> list[LossFinding]:
    found, leaves, others = _run(probe, moved=False)
    if found is None or not any(g is not None for g in grad(
        found, leaves, retain_graph=True, allow_unused=True
    )):  # fmt: skip
        text = "no gradient reaches the outputs: the loss is detached from them, or constant"
        return [LossFinding("detached", text)]
    if not others:
        return []
    names = _named(probe.loss_fn, others)
    here = grad(found, others, allow_unused=True)
    moved, _, again = _run(probe, moved=True)
    assert moved is not None
    there = grad(moved, again, allow_unused=True)
    apart = [
        name for name, a, b in zip(names, here, there)
        if not np.allclose(_array(a), _array(b), rtol=probe.tolerance, atol=0)
    ]  # fmt: skip
    if apart:
        text = f"the loss itself depends on {', '.join(apart)}, together with the outputs"
        return [LossFinding("reads_parameters", text)]
    text = (
        f"a term of {', '.join(names)} alone is added: its gradient does not go through the"
        " outputs, so delta does not see it"
    )
    return [LossFinding("regularization", text)]


def _array(g: Tensor | None) -> Any:
    return 0.0 if g is None else g.numpy()


def _run(probe: _Probe, moved: bool) -> tuple[Tensor | None, list[Tensor], list[Tensor]]:
    """The loss with its graph, the outputs as leaves (moved a little), and its other leaves."""

    def fresh(t: Tensor) -> Tensor:
        if not t.dtype.is_floating_point:
            return t
        array = t.cell.array
        if moved:  # towards zero, so that probabilities stay probabilities
            shrink = 1 - 0.1 * np.abs(np.cos(np.arange(array.size))).reshape(array.shape)
            array = (array * shrink if array.any() else shrink).astype(array.dtype)
        return wrap(array).requires_grad_()

    outputs = tree.over(probe.outputs, fresh)
    leaves = [t for t in tree.leaves(outputs) if t.requires_grad]
    found = probe.call(outputs, probe.targets).sum()  # type: ignore[attr-defined]
    if not found.requires_grad:
        return None, leaves, []
    others: dict[int, Tensor] = {}
    for node in collect([found], None)[0]:
        for edge in node.edges:
            target = resolve(edge)[0] if edge is not None else None
            if isinstance(target, Tensor) and not any(target is t for t in leaves):
                others.setdefault(id(target), target)
            assert target is None or isinstance(target, Tensor | Node)
    return found, leaves, list(others.values())


def _named(loss_fn: Any, tensors: list[Tensor]) -> list[str]:
    """Names of tensors where the loss function holds them, else their shapes."""
    names: dict[int, str] = {}
    code = getattr(loss_fn, "__code__", None)
    cells = getattr(loss_fn, "__closure__", None) or ()
    spaces = dict(zip(code.co_freevars, cells)) if code is not None else {}
    held = {k: c.cell_contents for k, c in spaces.items()}
    held |= {k: v for k, v in getattr(loss_fn, "__globals__", {}).items()
             if code is not None and k in code.co_names}  # fmt: skip
    for name, value in [("", loss_fn), *held.items()]:
        if isinstance(value, Tensor):
            names[id(value)] = name
        elif hasattr(value, "named_parameters"):
            for path, p in value.named_parameters():
                names.setdefault(id(p), f"{name}.{path}".lstrip("."))
    return [names.get(id(t), f"a tensor of shape {tuple(t.shape)}") for t in tensors]
