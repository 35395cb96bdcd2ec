"""What is not there says so by name: PyTorch's names that Backlit lacks."""

from __future__ import annotations

import difflib

from backlit.errors import NotAvailable


def refuse(owner: str, name: str) -> Exception:
    """The error for a missing attribute: plain for private names, with a hint for public ones."""
    if name.startswith("_"):
        return AttributeError(f"{owner} has no attribute {name!r}")
    from backlit import api

    known = api.names(owner)
    near = difflib.get_close_matches(name, known, 3)
    hint = f"did you mean {', '.join(near)}?" if near else "see docs/compatibility.md for what exists"
    return NotAvailable(f"{owner}.{name} does not exist in Backlit", hint=hint)
