"""Is the gradient right? Central differences along random directions, in float64.

A wrong direction is followed up element by element, and the operators on the way are checked one
by one, so that the report names the operator, its line and the element. Kinks are told from
errors: a claimed slope between those of the two sides is a fair choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import backlit as bl
from backlit import tree
from backlit.autograd import Observer, observe
from backlit.check.differences import slope
from backlit.errors import ArgumentError, BacklitError
from backlit.tensor import Tensor

ELEMENTS = 1000  # at most so many are followed up one by one
DIRECTIONS = 2


class GradcheckError(BacklitError, RuntimeError):
    """A gradient disagrees with central differences. `report` says where."""

    report: Report


@dataclass(frozen=True)
class Failure:
    """One element whose gradient is wrong."""

    input: int
    element: tuple[int, ...]
    claimed: float
    numerical: float

    def __str__(self) -> str:
        where = f"[{', '.join(map(str, self.element))}]" if self.element else ""
        return (
            f"input {self.input}{where}: the backward says {self.claimed:.10g},"
            f" differences say {self.numerical:.10g}"
        )


@dataclass
class Report:
    """What was found; `ok` where every gradient agrees."""

    failures: list[Failure] = field(default_factory=list)
    kinks: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures

    def __str__(self) -> str:
        if self.ok:
            at = f"; kinks at {self.kinks}" if self.kinks else ""
            return f"the gradients agree with central differences{at}"
        worst = sorted(self.failures, key=lambda f: -abs(f.claimed - f.numerical))
        lines = [str(f) for f in worst[:5]]
        if len(worst) > 5:
            lines.append(f"and {len(worst) - 5} more elements")
        if self.operators:
            lines.append("wrong operator: " + "; ".join(self.operators))
        return "\n".join(lines)


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    eps: float | None = None,
    atol: float = 1e-6,
    rtol: float = 1e-6,
    raise_exception: bool = True,
    **ignored: Any,
) -> bool:
    """Compare the gradients of `func` with central differences; raise where they disagree.

    Inputs are taken in float64; those of floating point are differentiated by. The error names
    input, element and operator.

    >>> bl.check.gradcheck(lambda x: x.sigmoid() * x, bl.randn(3))
    True
    """
    report = compare(func, inputs, tolerance=max(atol, rtol))
    if report.ok:
        return True
    if not raise_exception:
        return False
    error = GradcheckError(str(report), hint="the operator's own backward is where to look")
    owner = getattr(func, "__self__", func)  # of a Function's `apply`: the Function
    error.operator = getattr(owner, "__name__", "function")
    error.report = report
    raise error


def gradgradcheck(func: Callable[..., Any], inputs: Any, grad_outputs: Any = None,
                  eps: float | None = None, atol: float = 1e-6, rtol: float = 1e-6,
                  raise_exception: bool = True, **ignored: Any) -> bool:  # fmt: skip
    """`gradcheck` of the gradient itself: second derivatives.

    >>> bl.check.gradgradcheck(lambda x: x**3, bl.randn(3))
    True
    """
    given = _as_tuple(inputs)
    floats = [i for i, x in enumerate(given) if _is_float(x)]

    def first(*args: Any) -> tuple:
        outputs = [y for y in tree.leaves(func(*args)) if y.requires_grad]
        if not outputs:
            return tuple(bl.zeros_like(args[i]) for i in floats)
        seeds = _directions(outputs, np.random.default_rng(7))
        return bl.autograd.grad(outputs, [args[i] for i in floats], seeds, create_graph=True,
                                materialize_grads=True)  # fmt: skip

    return gradcheck(first, given, eps, atol, rtol, raise_exception)


def compare(func: Callable[..., Any], inputs: Any, *, tolerance: float = 1e-6,
            seed: int = 0) -> Report:  # fmt: skip
    """The report behind `gradcheck`.

    >>> class Double(bl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 3
    >>> print(bl.check.compare(Double.apply, bl.ones(1)))
    input 0[0]: the backward says 3, differences say 2
    wrong operator: Double at ...
    """
    given = tuple(_prepared(x) for x in _as_tuple(inputs))
    wanted = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ArgumentError("gradcheck: no input is a floating point tensor")
    probe = _Probe(func, given, np.random.default_rng(seed))
    report = Report()
    grads = probe.gradients(wanted)
    suspects = [
        (i, g) for i, g in zip(wanted, grads)
        if not all(probe.agrees_along(i, g, tolerance) for _ in range(DIRECTIONS))
    ]  # fmt: skip
    for i, g in suspects:
        _follow_up(probe, i, g, tolerance, report)
    if report.failures:
        report.operators = wrong_operators(func, given, tolerance)
    return report


def _follow_up(probe: _Probe, i: int, g: Tensor, tolerance: float, report: Report) -> None:
    """Name the elements: by the sum of the outputs, which reads easily, else as they were found."""
    drawn, probe.weights = probe.weights, [bl.ones_like(w) for w in probe.weights]
    before = len(report.failures) + len(report.kinks)
    (plain,) = probe.gradients([i])
    probe.follow_up(i, plain, tolerance, report)
    probe.weights = drawn
    if len(report.failures) + len(report.kinks) == before:
        probe.follow_up(i, g, tolerance, report)


def _as_tuple(inputs: Any) -> tuple:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _prepared(x: Any) -> Any:
    """A float64 leaf for each floating point tensor."""
    if not _is_float(x):
        return x
    return bl.tensor(x.detach().cell.array.astype(np.float64), requires_grad=True)


def _directions(outputs: Sequence[Tensor], rng: np.random.Generator) -> list[Tensor]:
    return [bl.from_numpy(np.asarray(rng.standard_normal(tuple(y.shape)))) for y in outputs]


class _Probe:
    """The function as a scalar one: its outputs weighted by fixed random numbers."""

    def __init__(self, func: Callable[..., Any], given: tuple, rng: np.random.Generator):
        self.func, self.given, self.rng = func, given, rng
        self.random = bl.get_rng_state()
        outputs = self.outputs(given)
        if not outputs:
            raise ArgumentError("gradcheck: the function returns no floating point tensor")
        self.weights = _directions(outputs, rng)
        again = self.outputs(given)
        for y, z in zip(outputs, again):
            if not np.array_equal(y.detach().cell.array, z.detach().cell.array, equal_nan=True):
                raise ArgumentError(
                    "gradcheck: two calls gave different values",
                    hint="the function must not depend on time, order or outside random numbers",
                )

    def outputs(self, args: tuple) -> list[Tensor]:
        bl.set_rng_state(self.random)
        with bl.enable_grad():
            floats = [y for y in tree.leaves(self.func(*args)) if y.is_floating_point()]
        # Where a gradient is claimed at all, outputs without one (statistics) are not looked at.
        return [y for y in floats if y.requires_grad] or floats

    def gradients(self, wanted: list[int]) -> tuple:
        outputs, inputs = self.outputs(self.given), [self.given[i] for i in wanted]
        if not outputs[0].requires_grad:
            return tuple(bl.zeros_like(x) for x in inputs)
        return bl.autograd.grad(outputs, inputs, self.weights, materialize_grads=True)

    def along(self, i: int, direction: np.ndarray) -> Callable[[float], float]:
        """The weighted output as a function of a step from input `i`."""
        start = self.given[i].detach().cell.array

        def value(t: float) -> float:
            moved = bl.tensor(start + t * direction, requires_grad=True)
            args = (*self.given[:i], moved, *self.given[i + 1 :])
            outputs = self.outputs(args)
            return sum(
                float((y.detach().cell.array * w.cell.array).sum())
                for y, w in zip(outputs, self.weights)
            )

        return value

    def agrees_along(self, i: int, g: Tensor, tolerance: float) -> bool:
        """Along a random direction, and not by the grace of a kink."""
        start = self.given[i].detach().cell.array
        direction = self.rng.standard_normal(start.shape)
        direction = direction / max(float(np.linalg.norm(direction)), 1e-300)
        claimed = float((g.detach().cell.array * direction).sum())
        found = slope(self.along(i, direction), claimed, tolerance)
        return found.sides is None and found.agrees(claimed, tolerance)

    def follow_up(self, i: int, g: Tensor, tolerance: float, report: Report) -> None:
        """Element by element."""
        claims = g.detach().cell.array
        places = list(np.ndindex(claims.shape))
        if len(places) > ELEMENTS:
            chosen = self.rng.choice(len(places), ELEMENTS, replace=False)
            places = [places[k] for k in sorted(chosen)]
        for place in places:
            basis = np.zeros(claims.shape)
            basis[place] = 1.0
            claimed = float(claims[place])
            found = slope(self.along(i, basis), claimed, tolerance)
            if not found.agrees(claimed, tolerance):
                report.failures.append(Failure(i, tuple(place), claimed, found.value))
            elif found.sides is not None:
                report.kinks.append((i, tuple(place)))


# ----- which operator -----


class _Applications(Observer):
    """Every recorded application, with its inputs."""

    def __init__(self) -> None:
        self.found: list[tuple[Any, tuple, dict, Any]] = []

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if node is not None:
            self.found.append((op, inputs, params, node))


def wrong_operators(func: Callable[..., Any], given: tuple, tolerance: float) -> list[str]:
    """Operators on the way whose own gradient is wrong: `name at file:line`."""
    watch = _Applications()
    with observe(watch):
        func(*given)
    names = []
    for op, inputs, params, node in watch.found:
        if not _is_right(op, inputs, params, tolerance):
            name = f"{op.name} at {node.where}"
            if name not in names:
                names.append(name)
    return names


def _is_right(op: Any, inputs: tuple, params: dict, tolerance: float) -> bool:
    """Check one application by itself, from the values that it had."""
    args = tuple(_alone(x) for x in inputs)
    user = getattr(op, "user", None)

    def again(*tensors: Any) -> Any:
        return user.apply(*tensors) if user is not None else bl.ops.op.apply(op, *tensors, **params)

    wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        return True
    probe = _Probe(again, args, np.random.default_rng(3))
    report = Report()
    for i, g in zip(wanted, probe.gradients(wanted)):
        if not probe.agrees_along(i, g, tolerance):
            probe.follow_up(i, g, tolerance, report)
    return report.ok


def _alone(x: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    made = bl.tensor(x.detach().cell.array)
    return made.requires_grad_() if x.requires_grad else made
