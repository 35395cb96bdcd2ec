"""Named results of operators with several outputs: `x.max(dim=1).indices`."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any


@cache
def _type(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # noqa: PYI024


def named(name: str, **values: Any) -> Any:
    """A named tuple of outputs."""
    return _type(name, tuple(values))(*values.values())
