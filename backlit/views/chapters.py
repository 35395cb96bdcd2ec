"""What a snapshot tells beside the circuit: its derivation and its source, where they are short.

Both are written by their own faces (derive/, source/); here they become plain data. A large
computation gets neither: a page of thousands of lines helps nobody, and the faces can be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.errors import BacklitError
from backlit.views.numbers import exact
from backlit.views.record import Recorded

GATES = 60  # a longer computation has its derivation and source only on request
LETTERS = 60_000
LANGUAGES = ("en", "zh")


def chapters(recorded: Recorded) -> dict[str, Any]:
    """`derivation` and `source` of a snapshot, each where it can be made and is short.

    >>> from backlit.views.chapters import chapters
    >>> found = chapters(bl.views.record("x * y", x=3, y=-4))
    >>> found["derivation"]["en"][-1]["text"], "dx = " in found["source"]
    ('∂f/∂y = 1 · 3 = 3', True)
    """
    if len(recorded.graph.gates) > GATES:
        return {}
    found: dict[str, Any] = {}
    lines = _short(lambda: {language: _lines(recorded, language) for language in LANGUAGES})
    if lines is not None:
        found["derivation"] = lines
    text = _short(lambda: _source(recorded))
    if text is not None:
        found["source"] = text
    return found


def _source(recorded: Recorded) -> str | None:
    """The source of what was recorded; None where its numbers have changed since."""
    from backlit.views.source.listing import listing
    from backlit.views.source.source import source

    made = listing(recorded, ())
    then = [np.asarray(a).tobytes() for a in recorded.arrays]
    now = [np.asarray(a).tobytes() for a in made.arrays.values()]
    return str(source(made)) if sorted(then) == sorted(now) else None


def _lines(recorded: Recorded, language: str) -> list[dict[str, Any]]:
    from backlit.views.derive import derive

    return [
        {
            "tex": line.tex,
            "text": line.text,
            "kind": line.kind,
            "error": None if line.error is None else exact(line.error),
            "ok": line.ok,
        }
        for line in derive(recorded, language=language).lines
    ]


def _short(make: Callable[[], Any]) -> Any:
    """What a face makes; None where it refuses this computation or has very much to say."""
    try:
        with np.errstate(all="ignore"):  # what is not finite is shown, not warned of
            made = make()
    except BacklitError:
        return None
    return made if made is not None and len(str(made)) <= LETTERS else None
