"""Names of values, taken from the user's code.

In this order: the names of a formula; the variable that the user's line stores the result in;
for parameters their path in the module (`fc1.weight`); for other leaves the variable that holds
them where the view was asked for; else the operator's name. Names are unique: a second `h` is
`h_2`. The gradient of `q` is `dq`. Next: docs/design/source.md for names in printed programs.
"""

from __future__ import annotations

import dis
import keyword
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from backlit.errors import PACKAGE_FOLDER, user_frame
from backlit.tensor import Tensor
from backlit.views.graph import Gate, Graph, Wire

FRAMES = 4  # so many of the user's frames are searched for the names of leaves
GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi",
    "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
))  # fmt: skip
_OWN = {"w": "weight", "weight": "weight", "b": "bias", "bias": "bias"}  # of layers' operators
_STORES = frozenset(("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF"))


def name_wires(graph: Graph, known: dict[int, str]) -> None:
    """Give every wire its name; `known` has names by the id of an array."""
    taken: dict[str, int] = {}
    # A formula brings all its names: what the user's line stores is the view, not a value.
    wanted: dict[int, str] = {} if known else dict(_stored(graph))
    held: dict[int, str] | None = {} if known else None
    for wire in graph.wires:
        name = known.get(id(wire.value)) or wanted.get(wire.id)
        if not name and wire.maker is None:
            name = _parameter_path(wire)
            if not name and isinstance(wire.value, np.ndarray):
                if held is None:
                    held = dict(_held_by_frames())
                name = held.get(id(wire.value))
        wire.given = bool(name)
        wire.name = _unique(name or _fallback(wire), taken)


def _fallback(wire: Wire) -> str:
    if wire.maker is not None:
        return f"{wire.maker.op.name}"
    if not isinstance(wire.value, np.ndarray):
        return "number"
    return {"parameter": "p", "input": "x"}.get(wire.kind, "c")


def _unique(name: str, taken: dict[str, int]) -> str:
    """The name, or `name_2`, `name_3`, ...; `taken` knows the last number of each."""
    unique, count = name, taken.get(name, 1)
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    taken[name] = count
    taken.setdefault(unique, 1)
    return unique


# ----- variables that the user's line stores -----


def _stored(graph: Graph) -> Iterator[tuple[int, str]]:
    """Wires whose value the user's code puts into a variable, with its name."""
    last: dict[tuple, list[Gate]] = {}
    for gate in graph.gates:
        if gate.program is not None:
            last.setdefault(gate.program, []).append(gate)
    for (code, instruction), gates in last.items():
        names = stored_names(code, instruction)
        # One call may record many gates: the name is that of its last result, each time around.
        for gate in _results(gates):
            wires = [w for w in gate.outputs if w is not None]
            for wire, name in zip(wires, names):
                yield wire.id, name


def _results(gates: list[Gate]) -> list[Gate]:
    """Of the gates of one instruction, those whose output none of the others reads."""
    own = set(map(id, gates))
    return [
        g for g in gates
        if not any(id(r) in own for w in g.outputs if w is not None for r, _ in w.readers)
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def stored_names(code: Any, instruction: int) -> tuple[str, ...]:
    """The variables (or attributes) that take the result of an instruction."""
    # A call into Python leaves the pointer within its cache: what follows has a higher offset.
    steps = iter([i for i in dis.get_instructions(code) if i.offset > instruction])
    found: list[str] = []
    missing = 1
    for step in steps:
        if step.opname in _STORES:
            found.append(step.argval)
            missing -= 1
        elif step.opname == "UNPACK_SEQUENCE" and not found:
            missing = int(step.argval)
        elif step.opname == "COPY" and not found:
            continue
        elif step.opname.startswith("LOAD_") and not found:
            following = next(steps, None)
            if following is not None and following.opname == "STORE_ATTR":
                return (following.argval,)
            return ()
        else:
            return ()
        if not missing:
            return tuple(found)
    return ()


# ----- leaves -----


def _parameter_path(wire: Wire) -> str:
    """`fc1.weight`: the path of the module that read it and the name that it has there."""
    for gate, i in wire.readers:
        owner = getattr(gate.module, "owner", None)
        module = owner() if owner is not None else None
        if module is None:
            key = _OWN.get(gate.op.inputs[i]) if i < len(gate.op.inputs) else None
            if key and gate.module and wire.kind == "parameter":  # the module itself is gone
                return ".".join([*str(gate.module).split(".")[1:], key])
            continue
        for key, held in (*module._parameters.items(), *module._buffers.items()):
            if held is not None and (held is wire.tensor or held.cell.array is wire.value):
                if key in module._parameters:  # a frozen one was replayed as its array
                    wire.kind, wire.tensor = "parameter", held
                return ".".join([*str(gate.module).split(".")[1:], key])
    return ""


def _held_by_frames() -> Iterator[tuple[int, str]]:
    """(id of an array, name) for what the user's frames hold, the nearest last."""
    frames: list[Any] = []
    frame = user_frame(1)
    while frame is not None and len(frames) < FRAMES:
        if not frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
            frames.append(frame)
        frame = frame.f_back
    for frame in reversed(frames):
        for space in (frame.f_globals, frame.f_locals):
            for name, held in list(space.items()):
                if not name.startswith("_"):
                    yield from _arrays_of(name, held)


def _arrays_of(name: str, held: Any) -> Iterator[tuple[int, str]]:
    if isinstance(held, Tensor):
        yield id(held.cell.array), name
    elif isinstance(held, np.ndarray):
        yield id(held), name
    elif isinstance(held, (list, tuple)) and len(held) <= 64:
        for i, entry in enumerate(held):
            if isinstance(entry, Tensor):
                yield id(entry.cell.array), f"{name}{i}"
    elif isinstance(held, dict) and len(held) <= 64:
        for key, entry in held.items():
            if isinstance(entry, Tensor) and isinstance(key, str):
                yield id(entry.cell.array), key
    elif hasattr(held, "named_parameters") and not isinstance(held, type):
        for path, parameter in held.named_parameters():
            if isinstance(parameter, Tensor):  # another library's modules have them too
                yield id(parameter.cell.array), path


# ----- names as Python and as LaTeX -----


def identifier(name: str) -> str:
    """A Python name: `fc1.weight` becomes `fc1_weight`."""
    made = re.sub(r"\W", "_", name)
    made = f"v{made}" if not made or made[0].isdigit() else made
    return f"{made}_" if keyword.iskeyword(made) else made


def tex(name: str) -> str:
    r"""A name as LaTeX: `W1` is `W_{1}`, `sigma_x` `\sigma_{x}`, `fc1.weight` `W^{\text{fc1}}`.

    >>> bl.views.names.tex("W1"), bl.views.names.tex("fc1.bias")
    ('W_{1}', 'b^{\\text{fc1}}')
    """
    *path, last = name.split(".")
    if path:
        symbol = {"weight": "W", "bias": "b"}.get(last, _word(last))
        shown = ".".join(path).replace("_", r"\_")
        return rf"{symbol}^{{\text{{{shown}}}}}"
    found = re.fullmatch(r"([A-Za-z]+?)_?(\d+)", name)
    if found:
        return f"{_word(found[1])}_{{{found[2]}}}"
    first, _, rest = name.partition("_")
    if rest and (len(first) in (1, 2) or first in GREEK):
        return f"{_word(first)}_{{{_word(rest)}}}"
    return _word(name)


def _word(word: str) -> str:
    if word in GREEK:
        return f"\\{word}"
    if len(word) == 1:
        return word
    return rf"\mathrm{{{word}}}".replace("_", r"\_")
