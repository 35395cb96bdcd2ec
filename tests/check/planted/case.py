"""The form of a case: source that is right, inputs, and planted errors as changes of the source.

A change replaces text that occurs exactly once, so that a planted error is what a slip of the pen
would have been. Nothing here knows the doctor. Read next: score.py, and any module with CASES.
"""

from __future__ import annotations

import inspect
import linecache
import textwrap
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Inputs = dict[str, Any]
Draw = Callable[[np.random.Generator], Inputs]

CAUSES = (
    "sign", "missing_factor", "extra_factor", "transposed", "lost_accumulation",
    "missing_broadcast_sum", "wrong_axis", "wrong_saved_value", "stale_saved_value",
    "mask_not_reused", "missing_regularization", "detached_path", "index_error", "shape_error",
    "kink", "float32_noise", "non_determinism", "not_differentiable",
)  # fmt: skip

# What is the same number on every input counts as one cause: leaving out a factor c is
# putting in 1/c; a path that is overwritten at a fork is a path that is cut.
SAME = {
    "missing_factor": {"extra_factor"},
    "extra_factor": {"missing_factor"},
    "lost_accumulation": {"detached_path"},
}


@dataclass(frozen=True)
class Bug:
    """A planted error: its cause, the inputs with a wrong gradient, and the changes that plant it.

    `also`: causes with the same numbers on every input, and `why` that is so. `inputs` replaces
    the inputs of the case. `wrong` is empty where the gradient is right and a remark is expected
    (a kink, rounding); `either` where the verdict itself is a matter of taste.
    """

    cause: str
    wrong: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    also: tuple[str, ...] = ()
    why: str = ""
    inputs: Draw | None = None
    either: bool = False
    wrap: Callable[[Any], Any] | None = None  # of the built subject, for systematic errors

    @property
    def accepted(self) -> set[str]:
        return {self.cause, *self.also, *SAME.get(self.cause, ())}


def bug(cause: str, wrong: str, *changes: str, also: str = "", why: str = "",
        inputs: Draw | None = None, either: bool = False) -> Bug:  # fmt: skip
    """A planted error; `changes` are old text, new text, old text, new text, ..."""
    assert cause in CAUSES and len(changes) % 2 == 0
    assert bool(also) == bool(why), "say why several causes give the same numbers"
    pairs = tuple(zip(changes[::2], changes[1::2]))
    return Bug(cause, tuple(wrong.split()), pairs, tuple(also.split()), why, inputs, either)


@dataclass
class Case:
    """Source that is right: `code` holds functions and classes, the last ones are the subject.

    `kind`: "pair" (the last two are forward and backward), "positional" (such a pair, with inputs
    in a list and gradients in a tuple), "callable" or "function" (the last one).
    `claims`: inputs that get a gradient (default: all arrays of floats).
    """

    name: str
    code: tuple[Any, ...]
    draw: Draw
    bugs: list[Bug] = field(default_factory=list)
    kind: str = "pair"
    claims: str = ""
    smooth: bool = True  # differences settle at the drawn points
    systematic: bool = True

    @property
    def is_pair(self) -> bool:
        return self.kind in ("pair", "positional")

    def rng(self, seed: int = 0) -> np.random.Generator:
        return np.random.default_rng([zlib.crc32(self.name.encode()), seed])

    def inputs(self, planted: Bug | None = None, seed: int = 0) -> Inputs:
        draw = planted.inputs if planted is not None and planted.inputs else self.draw
        return draw(self.rng(seed))

    def elsewhere(self, planted: Bug | None = None) -> Inputs:
        """Other inputs of the same kind, for an earlier or later call."""
        drawn_again = self.inputs(planted, seed=1)
        return {k: 1.25 * v if isinstance(v, float) else v for k, v in drawn_again.items()}

    def claimed(self, inputs: Inputs) -> list[str]:
        if self.claims:
            return self.claims.split()
        return [k for k, v in inputs.items() if is_float(v)]

    def source(self, planted: Bug | None = None) -> str:
        text = "\n\n".join(textwrap.dedent(inspect.getsource(x)) for x in self.code)
        for old, new in planted.changes if planted is not None else ():
            assert text.count(old) == 1, f"{self.name}: {text.count(old)} times: {old!r}"
            text = text.replace(old, new)
        return text

    def subject(self, planted: Bug | None = None) -> Any:
        """A fresh copy of the subject, with nothing left from earlier calls."""
        last = self.code[-1]
        space = dict(inspect.getmodule(last).__dict__)
        space.update(SAVED={}, np=np)  # SAVED: where the careless keep values
        text = self.source(planted)
        name = f"<{self.name}: {planted.changes if planted else 'right'}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        exec(compile(text, name, "exec"), space)
        made = [space[x.__name__] for x in self.code]
        built = tuple(made[-2:]) if self.is_pair else made[-1]
        return planted.wrap(built) if planted is not None and planted.wrap else built


def is_float(value: Any) -> bool:
    if isinstance(value, float):
        return True
    return getattr(value, "dtype", None) is not None and "float" in str(value.dtype)


def drawn(**shapes: Any) -> Draw:
    """Inputs by name: a shape is drawn from the normal distribution, a function gets the rng."""

    def draw(rng: np.random.Generator) -> Inputs:
        return {
            k: rng.standard_normal(s) if isinstance(s, tuple) else s(rng) if callable(s) else s
            for k, s in shapes.items()
        }

    return draw


def whole(high: int, *shape: int) -> Draw:
    """Whole numbers below `high`."""
    return lambda rng: rng.integers(0, high, shape)


# ----- errors that any pair can have -----


def _of(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Any], Any]:
    def wrap(pair: tuple) -> tuple:
        forward, backward = pair

        def changed(dout: Any, cache: Any) -> dict:
            grads = dict(backward(dout, cache))
            grads[name] = change(grads[name])
            return grads

        return forward, changed

    return wrap


EVERYWHERE = {
    "sign": lambda g: -g,
    "missing_factor": lambda g: 0.5 * g,
    "shape_error": lambda g: np.asarray(g)[None],
    "detached_path": lambda g: np.zeros_like(g),
    "extra_factor": lambda g: 3.0 * g,
}


def systematic(case: Case) -> list[Bug]:
    """A sign for one gradient of a pair, and one of the other general errors for another."""
    if case.kind != "pair" or not case.systematic:
        return []
    names = case.claimed(case.inputs())
    others = [c for c in EVERYWHERE if c != "sign"]
    start = zlib.crc32(case.name.encode())
    chosen = {
        "sign": names[start % len(names)],
        others[start % len(others)]: names[(start + 1) % len(names)],
    }
    return [
        Bug(cause, (name,), (), wrap=_of(name, EVERYWHERE[cause]), why=f"{cause} of {name}")
        for cause, name in chosen.items()
    ]
