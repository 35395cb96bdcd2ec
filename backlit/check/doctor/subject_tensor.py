"""Functions on Backlit's tensors as subjects: any callable, or an `autograd.Function`.

The claim is what the engine's walk back gives, user-written rules included. Where a callable is
wrong, the user's Functions inside it are examined one by one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import backlit as bl
from backlit import tree
from backlit.autograd import Function, Observer, observe
from backlit.check.doctor.repeatable import Chance, generators_of, repeatable
from backlit.check.doctor.subjects import SEED, Subject, named
from backlit.errors import ArgumentError, DTypeError
from backlit.tensor import Tensor


class TensorSubject(Subject):
    """A callable on tensors; the engine differentiates it."""

    def __init__(self, function: Callable[..., Any], inputs: Any, signature: Any = None):
        self.function = function
        self.accumulates = False
        self.functions = (function,)
        self.chance = Chance()
        self.generators = generators_of(function)
        self.inputs = _in_order(signature or function, named(signature or function, inputs))
        self.keywords = isinstance(inputs, Mapping) and _by_keyword(function, self.inputs)
        floats = [n for n, v in self.inputs.items() if _floating(v)]
        asked = [n for n in floats if getattr(self.inputs[n], "requires_grad", False)]
        if not floats:
            raise ArgumentError("doctor: no input is a floating point tensor")
        self.values = {n: _array(self.inputs[n]).astype(np.float64) for n in asked or floats}
        self.lowered = tuple(
            n for n in self.values
            if isinstance(self.inputs[n], Tensor) and self.inputs[n].dtype != bl.float64
        )  # fmt: skip
        self.dtype: Any = np.float64
        try:
            self.claimed = self._claimed_outputs()
        except DTypeError:  # meets tensors of its own in float32: examined as given
            self.dtype = np.float32
            self.claimed = self._claimed_outputs()

    def _claimed_outputs(self) -> list[int]:
        """Which outputs have a gradient; all of floating point where none has."""
        leaves = self._leaves(self._tensors(self.values))
        if not leaves:
            raise ArgumentError("doctor: the function returns no floating point tensor")
        return [i for i, y in enumerate(leaves) if y.requires_grad] or list(range(len(leaves)))

    def _tensors(self, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        given = {}
        for name, v in self.inputs.items():
            if name in values:
                given[name] = bl.tensor(values[name].astype(self.dtype), requires_grad=True)
            elif _floating(v):
                given[name] = bl.tensor(_array(v).astype(self.dtype))
            else:
                plain = bl.tensor(v) if isinstance(v, np.ndarray) else v
                given[name] = plain.detach().clone() if isinstance(plain, Tensor) else plain
        return given

    def _call(self, tensors: dict[str, Any]) -> Any:
        with bl.enable_grad():
            return self.function(**tensors) if self.keywords else self.function(*tensors.values())

    def _leaves(self, tensors: dict[str, Any]) -> list[Tensor]:
        return self.chance.run(lambda: _float_tensors(self._call(tensors)), SEED, self.generators)  # type: ignore[no-any-return]

    def outputs(self, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        leaves = self._leaves(self._tensors(values))
        return [_array(leaves[i]) for i in self.claimed if i < len(leaves)]

    def claims(self, values: dict[str, np.ndarray], seeds: list[np.ndarray], *,
               reseed: int | None = None, before: Any = None, between: Any = None,
               ) -> dict[str, np.ndarray | None]:  # fmt: skip
        return self._claims(self._tensors(values), seeds, reseed, before, between)

    def at_given_precision(self, seeds: list[np.ndarray]) -> dict[str, np.ndarray | None] | None:
        if not self.lowered:
            return None
        given = {
            n: bl.tensor(v.detach(), requires_grad=True) if n in self.values else v
            for n, v in self.inputs.items()
        }
        return self._claims(given, [s.astype(np.float32) for s in seeds], None, None, None)

    def _claims(self, tensors: dict[str, Any], seeds: list[np.ndarray], reseed: int | None,
                before: Any, between: Any) -> dict[str, np.ndarray | None]:  # fmt: skip
        with repeatable(SEED, self.generators) as again:
            if before is not None:
                self._call(self._tensors(before))
                again(SEED)
            leaves = _float_tensors(self._call(tensors))
            if between is not None:
                self._call(self._tensors(between))
            if reseed is not None:
                again(reseed)
            return self._grads([leaves[i] for i in self.claimed], tensors, seeds)

    def _grads(self, outputs: list[Tensor], tensors: dict[str, Any],
               seeds: list[np.ndarray]) -> dict[str, np.ndarray | None]:  # fmt: skip
        if not outputs[0].requires_grad:
            return dict.fromkeys(self.values)
        weights = [bl.tensor(s, dtype=y.dtype) for s, y in zip(seeds, outputs)]
        found = bl.autograd.grad(outputs, [tensors[n] for n in self.values], weights,
                                 allow_unused=True)  # fmt: skip
        return {n: None if g is None else _array(g) for n, g in zip(self.values, found)}

    def trace(self, values: dict[str, np.ndarray], seeds: list[np.ndarray]) -> Any:
        from backlit.check.doctor.trace_tensor import TensorRecorder

        recorder = TensorRecorder()
        tensors = self._tensors(values)
        for name in self.values:
            recorder.give(tensors[name], name)
        with repeatable(SEED, self.generators), recorder.watching():
            leaves = _float_tensors(self._call(tensors))
            outputs = [leaves[i] for i in self.claimed]
            if not outputs[0].requires_grad:
                return None
            recorder.halfway()
            weights = [bl.tensor(s) for s in seeds]
            for w in weights:
                recorder.give(w, "")
            found = bl.autograd.grad(outputs, [tensors[n] for n in self.values], weights,
                                     allow_unused=True)  # fmt: skip
        grads = {n: None if g is None else g.cell.array for n, g in zip(self.values, found)}
        return recorder.finish([y.cell.array for y in outputs], grads)

    def parts(self) -> list[tuple[str, Subject]]:
        """The user's Functions applied inside, each as a subject with the values that it had."""
        watch = _Applications()
        with repeatable(SEED, self.generators), observe(watch):
            self._call(self._tensors(self.values))
        return watch.found


def of_function(subject: Any, inputs: Any) -> TensorSubject | None:
    """The subject for a Function class or its `apply`; None for anything else."""
    owner = getattr(subject, "__self__", subject)
    if isinstance(owner, type) and issubclass(owner, Function):
        forward = owner.forward
        drop = owner.setup_context is None

        def signature(*args: Any) -> None: ...

        parameters = list(inspect.signature(forward).parameters.values())[1 if drop else 0 :]
        signature.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [p.replace(default=p.empty) for p in parameters]
        )
        made = TensorSubject(owner.apply, inputs, signature)
        made.accumulates = True
        made.functions = (forward, owner.backward)
        made.generators = generators_of(forward, owner.backward)
        return made
    return None


class _Applications(Observer):
    """Applications of the user's Functions."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Subject]] = []

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        user = getattr(op, "user", None)
        if user is None or node is None:
            return
        copies = [x.detach().clone() if isinstance(x, Tensor) else x for x in inputs]
        for copy, x in zip(copies, inputs):
            if isinstance(x, Tensor) and x.requires_grad:
                copy.requires_grad_()
        subject = of_function(user, copies)
        if subject is not None:
            self.found.append((f"{user.__name__} at {node.where}", subject))


def _float_tensors(result: Any) -> list[Tensor]:
    return [y for y in tree.leaves(result) if isinstance(y, Tensor) and y.is_floating_point()]


def _floating(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool(value.is_floating_point())
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _array(value: Any) -> np.ndarray:
    return np.array(value.detach().cell.array if isinstance(value, Tensor) else value)


def _by_keyword(function: Callable[..., Any], inputs: dict[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(**inputs)
    except (TypeError, ValueError):
        return False
    return True


def _in_order(function: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs in the order of the signature, where it names them all."""
    try:
        names = [n for n in inspect.signature(function).parameters if n in inputs]
    except (TypeError, ValueError):
        return inputs
    return {n: inputs[n] for n in names} if len(names) == len(inputs) else inputs
