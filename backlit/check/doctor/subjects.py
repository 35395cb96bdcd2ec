"""What is examined: something with outputs and with gradients that it claims.

`Subject` is the contract that truth, hypotheses and report work on; `Pair` is a hand-written
forward and backward on NumPy arrays. Tensors: subject_tensor.py, subject_torch.py.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from backlit.check.doctor.repeatable import Chance, generators_of, repeatable
from backlit.errors import ArgumentError, ArgumentTypeError

SEED = 20
FAULTS = (ValueError, TypeError, IndexError, ZeroDivisionError, AttributeError, KeyError,
          RuntimeError, FloatingPointError, np.exceptions.AxisError)  # fmt: skip


class Subject:
    """Outputs as arrays, and the gradients claimed for the named inputs.

    `values` holds one float64 array per differentiated input; `outputs` and `claims` take such a
    dictionary. Upstream gradients (`seeds`) come one per output; a loss has the seed 1.
    """

    values: dict[str, np.ndarray]
    lowered: tuple[str, ...] = ()  # inputs that were given in float32
    functions: tuple[Any, ...] = ()
    accumulates: bool = True  # the claims add up contributions by hand
    coarse: bool = False  # float64 values are rounded to float32 on the way

    @property
    def names(self) -> list[str]:
        """The inputs whose gradient is claimed."""
        return list(self.values)

    def surroundings(self) -> AbstractContextManager[Any]:
        """What holds while the subject is examined."""
        return nullcontext()

    def outputs(self, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs at `values`."""
        raise NotImplementedError

    def claims(self, values: dict[str, np.ndarray], seeds: list[np.ndarray],
               *, reseed: int | None = None, before: Any = None, between: Any = None,
               ) -> dict[str, np.ndarray | None]:  # fmt: skip
        """The gradients that the subject claims, None where it says there is none.

        `reseed`: other random numbers in the backward; `before`, `between`: values of a forward
        call before, or between forward and backward.
        """
        raise NotImplementedError

    def trace(self, values: dict[str, np.ndarray], seeds: list[np.ndarray]) -> Any:
        """A Tape of forward and backward, or None where the calls can't be followed."""
        return None

    def at_given_precision(self, seeds: list[np.ndarray]) -> dict[str, np.ndarray | None] | None:
        """The claims in the dtypes that were given, where those are below float64."""
        return None

    def outputs_at_given_precision(self) -> list[np.ndarray]:
        """The outputs in the dtypes that were given; nothing where those are float64."""
        return []


class Pair(Subject):
    """`forward(**inputs) -> (out, cache)` and `backward(dout, cache) -> {name: gradient}`."""

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any):
        self.forward, self.backward = forward, backward
        self.functions = (forward, backward)
        self.generators = generators_of(forward, backward)
        self.keywords = isinstance(inputs, Mapping) and _takes_keywords(forward, inputs)
        self.inputs = dict(named(forward, inputs))
        self.paths = _paths(self.inputs)
        every = _floats(self.inputs, self.paths)
        self.chance = Chance()
        gradients: Any = None
        try:
            gradients = self._run(every, None)[2]
            claimed = self._by_name(gradients)
        except FAULTS:  # the examination calls it again, and says what fails
            self._forward(every)
            claimed = every
        self.values = {n: every[n] for n in every if n in claimed}
        if not self.values:
            raise ArgumentError(
                f"doctor: the backward returns no gradient for a floating point input, got"
                f" {type(gradients).__name__}", hint="return {name: gradient}"
            )  # fmt: skip
        self.lowered = tuple(
            n for n in self.values if getattr(_get(self.inputs, self.paths[n]), "dtype", None)
            in (np.float32, np.float16)
        )  # fmt: skip

    def outputs(self, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        returned = self.chance.run(lambda: self._forward(values), SEED, self.generators)
        out, _, _ = self._split(returned)
        return [np.asarray(o) for o in float_leaves(out)]

    def claims(self, values: dict[str, np.ndarray], seeds: list[np.ndarray],
               *, reseed: int | None = None, before: Any = None, between: Any = None,
               ) -> dict[str, np.ndarray | None]:  # fmt: skip
        return self._by_name(
            self._run(values, seeds, reseed=reseed, before=before, between=between)[2]
        )

    def at_given_precision(self, seeds: list[np.ndarray]) -> dict[str, np.ndarray | None] | None:
        if not self.lowered:
            return None
        given = {n: np.asarray(_get(self.inputs, self.paths[n])) for n in self.values}
        return self.claims(given, [np.asarray(s, np.float32) for s in seeds])

    def outputs_at_given_precision(self) -> list[np.ndarray]:
        if not self.lowered:
            return []
        given = {n: np.asarray(_get(self.inputs, self.paths[n])) for n in self.values}
        return self.outputs(given)

    # ----- calling what was written -----

    def _forward(self, values: Mapping[str, Any], pack: Callable[[Any], Any] = np.array,
                 constant: Callable[[Any], Any] = np.array) -> Any:  # fmt: skip
        given = _copied(self.inputs, constant)
        for name, value in values.items():
            old = _get(given, self.paths[name])
            number = not isinstance(old, np.ndarray) and np.ndim(value) == 0
            _put(given, self.paths[name], value if number else pack(value))
        with np.errstate(all="ignore"):
            return self.forward(**given) if self.keywords else self.forward(*given.values())

    def _backward(self, seeds: Any, returned: Any, extra: int) -> Any:
        _, _, cache = self._split(returned)
        dout = seeds if isinstance(seeds, tuple) else (seeds,)
        with np.errstate(all="ignore"):
            if extra:
                return self.backward(*dout, cache)
            dout = dout if len(dout) > 1 else dout[0]
            if not isinstance(returned, tuple) and _positional(self.backward) == 1:
                return self.backward(dout)
            return self.backward(dout, cache)

    def _split(self, returned: Any) -> tuple[Any, int, Any]:
        """Output, whether several outputs lie beside each other, and cache."""
        if isinstance(returned, tuple) and len(returned) == 2:
            return returned[0], 0, returned[1]
        if isinstance(returned, tuple) and len(returned) > 2:
            return returned[:-1], 1, returned[-1]
        return returned, 0, None

    def _seeds(self, out: Any, seeds: list[np.ndarray] | None, pack: Any = np.array) -> Any:
        leaves = float_leaves(out)
        if seeds is None:
            seeds = [np.ones(np.shape(o)) for o in leaves]
        flat = iter(seeds)

        def build(value: Any) -> Any:
            if isinstance(value, (tuple, list)):
                return tuple(build(v) for v in value)
            if isinstance(value, dict):
                return {k: build(v) for k, v in value.items()}
            if not is_float(value):
                return None
            seed = next(flat)
            return float(seed) if np.ndim(value) == 0 else pack(seed)

        return build(out)

    def _run(
        self,
        values: Mapping[str, np.ndarray],
        seeds: list[np.ndarray] | None,
        *,
        reseed: int | None = None,
        before: Any = None,
        between: Any = None,
    ) -> Any:
        with repeatable(SEED, self.generators) as again:
            if before is not None:
                self._forward(before)
                again(SEED)
            returned = self._forward(values)
            out, extra, _ = self._split(returned)
            dout = self._seeds(out, seeds)
            if between is not None:
                self._forward(between)
            if reseed is not None:
                again(reseed)
            return out, returned, self._backward(dout, returned, extra)

    def _by_name(self, gradients: Any) -> dict[str, Any]:
        """Gradients by the names of inputs, whatever the backward returned."""
        if isinstance(gradients, Mapping):
            found = {_name_of(str(k), self.paths): v for k, v in gradients.items()}
            return {k: v for k, v in found.items() if k in self.paths}
        if not isinstance(gradients, (tuple, list)):
            gradients = (gradients,)
        names = list(self.inputs)
        if len(gradients) != len(names):
            names = list(_floats(self.inputs, self.paths))
        given = dict(zip(names, gradients))
        numbers = {n for n in given if not isinstance(self.inputs.get(n), np.ndarray)}
        return {
            n: v
            for n, v in given.items()
            if n in self.paths and (v is not None or n not in numbers)
        }

    def trace(self, values: dict[str, np.ndarray], seeds: list[np.ndarray]) -> Any:
        from backlit.check.doctor.trace_numpy import Recorder, recording

        recorder = Recorder()
        with repeatable(SEED, self.generators), recording(recorder):
            given = {n: recorder.source(np.array(v), n) for n, v in values.items()}
            returned = self._forward(given, lambda x: x,
                                     lambda x: recorder.source(np.array(x), ""))  # fmt: skip
            out, extra, _ = self._split(returned)
            recorder.halfway()
            dout = self._seeds(out, seeds, lambda s: recorder.seed(np.array(s)))
            found = self._by_name(self._backward(dout, returned, extra))
            return recorder.finish(float_leaves(out), {n: found.get(n) for n in self.values})


# ----- names and places of inputs -----


def named(function: Callable[..., Any], inputs: Any) -> dict[str, Any]:
    """Inputs by name: as given, else as the signature has them, else by number."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if not isinstance(inputs, Sequence) or isinstance(inputs, str):
        inputs = (inputs,)
    try:
        parameters = [
            p.name for p in inspect.signature(function).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]  # fmt: skip
    except (TypeError, ValueError):
        parameters = []
    names = parameters if len(parameters) >= len(inputs) else map(str, range(len(inputs)))
    return dict(zip(names, inputs))


def _takes_keywords(function: Callable[..., Any], inputs: Mapping[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(**inputs)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _positional(function: Callable[..., Any]) -> int:
    try:
        return len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return 2


def is_float(value: Any) -> bool:
    """A floating point array or number."""
    return getattr(getattr(value, "dtype", None), "kind", "") == "f" or isinstance(value, float)


def float_leaves(value: Any) -> list[Any]:
    """Floating point arrays and numbers in nested tuples, lists and dictionaries."""
    if isinstance(value, (tuple, list)):
        return [leaf for v in value for leaf in float_leaves(v)]
    if isinstance(value, Mapping):
        return [leaf for v in value.values() for leaf in float_leaves(v)]
    return [value] if is_float(value) else []


def _copied(value: Any, array: Callable[[Any], Any]) -> Any:
    """A copy that the called code may change."""
    kind = type(value)
    if kind is np.ndarray:
        return array(value)
    if kind is dict:
        return {k: _copied(v, array) for k, v in value.items()}
    if kind in (list, tuple):
        return kind(_copied(v, array) for v in value)
    return value if kind in (int, float, str, bool, type(None)) else copy.deepcopy(value)


def _paths(inputs: Mapping[str, Any]) -> dict[str, tuple]:
    """Where each named value lies; values in a nested dictionary go by their own key."""
    found: dict[str, tuple] = {name: (name,) for name in inputs}
    for name, value in inputs.items():
        if isinstance(value, Mapping):
            for key in value:
                if isinstance(key, str):
                    found.setdefault(key, (name, key))
    return found


def _floats(inputs: dict[str, Any], paths: dict[str, tuple]) -> dict[str, np.ndarray]:
    return {
        n: np.array(_get(inputs, p), np.float64)
        for n, p in paths.items()
        if is_float(_get(inputs, p))
    }


def _get(inputs: Any, path: tuple) -> Any:
    for key in path:
        inputs = inputs[key]
    return inputs


def _put(inputs: Any, path: tuple, value: Any) -> None:
    for key in path[:-1]:
        inputs = inputs[key]
    inputs[path[-1]] = value


def _name_of(key: str, known: Mapping[str, Any]) -> str:
    """`dx`, `grad_x` and `x_grad` are the gradient of `x`."""
    if key in known:
        return key
    shorter = (key.removeprefix("d"), key.removeprefix("grad_"), key.removesuffix("_grad"),
               key.removeprefix("d_"))  # fmt: skip
    return next((s for s in shorter if s != key and s in known), key)


def refuse(subject: Any) -> ArgumentTypeError:
    """The error for something that can't be examined."""
    return ArgumentTypeError(
        f"doctor: can't examine {type(subject).__name__}",
        hint="pass a function on tensors, a Function, or (forward, backward) on NumPy arrays",
    )
