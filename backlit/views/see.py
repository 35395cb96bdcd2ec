"""`bl.see`: one name for all faces of a computation.

Calling it draws the circuit; its attributes are the other faces. Every face records the subject
by itself (record.py) or takes what `bl.see.record` returned, so that several agree to the bit.
"""

from __future__ import annotations

from typing import Any


class See:
    """See a computation: call it for the circuit, or ask for one of its other faces.

    The subject of every face is a tensor that was computed, a function or compiled step with its
    inputs, or a formula as text.

    >>> circuit = bl.see("(x + y) * z", x=-2, y=5, z=-4)
    >>> circuit.graph.wire("x").grad
    array(-4.)
    """

    def __call__(self, subject: Any, *inputs: Any, **options: Any) -> Any:
        """The circuit of a computation; see `views.circuit.circuit`."""
        from backlit.views.circuit import circuit

        return circuit(subject, *inputs, **options)

    def __getattr__(self, name: str) -> Any:
        if name not in FACES:
            raise AttributeError(f"bl.see has no face {name!r}; it has {', '.join(FACES)}")
        from importlib import import_module

        return getattr(import_module(f"backlit.views.{FACES[name]}"), name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FACES]

    def __repr__(self) -> str:
        return f"<bl.see: call it, or {', '.join(f'.{name}' for name in FACES)}>"


FACES = {
    "record": "record",
    "derive": "derive",
    "source": "source",
    "nudge": "nudge",
    "jacobian": "jacobian",
    "saved": "saved",
    "saliency": "saliency",
    "precision": "precision",
}

see = See()
