"""Devices: there is one, the CPU. The rest says honestly that it is not there."""

from __future__ import annotations

from typing import Any

from backlit.errors import NotAvailable


class device:
    """A place for tensors. `bl.device("cpu")` is the only one so far.

    >>> bl.device("cpu")
    device(type='cpu')
    """

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        name = str(type)
        if ":" in name:
            name, _, number = name.partition(":")
            index = int(number)
        if name != "cpu":
            raise NotAvailable(
                f"device {str(type)!r} is not available: Backlit runs on the CPU",
                hint='use bl.device("cpu"); bl.cuda.is_available() is False',
            )
        self.type, self.index = name, index

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __str__(self) -> str:
        return self.type

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, device) and other.type == self.type

    def __hash__(self) -> int:
        return hash(self.type)

    def __enter__(self) -> device:
        return self

    def __exit__(self, *error: Any) -> None:
        return None


CPU = device()


def check(where: Any) -> None:
    """Refuse a device that does not exist."""
    if where is not None and not isinstance(where, device):
        device(where)
