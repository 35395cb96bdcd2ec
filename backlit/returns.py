"""Named results of operators with several outputs: `x.max(dim=1).indices`."""

from __future__ import annotations

from collections import namedtuple
from functools import cache
from typing import Any


def _written(self: Any) -> str:
    """One output per line, as their values fill lines of their own."""
    parts = ",\n".join(f"{name}={value!r}" for name, value in self._asdict().items())
    return f"backlit.return_types.{type(self).__name__}(\n{parts})"


@cache
def _type(name: str, fields: tuple[str, ...]) -> Any:
    plain = namedtuple(name, fields)  # type: ignore[misc]
    return type(name, (plain,), {"__slots__": (), "__repr__": _written})


def named(name: str, **values: Any) -> Any:
    """A named tuple of outputs."""
    return _type(name, tuple(values))(*values.values())
