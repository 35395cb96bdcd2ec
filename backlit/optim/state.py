"""The state of an optimizer: dicts whose writes are counted, so that compiled steps look again.

They are PyTorch's plain dicts otherwise. Refilling a tensor in them is no write. Next: group.py.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from backlit.state import changes


class ParamState(dict[str, Any]):
    """The state of one parameter.

    >>> opt = bl.optim.Adam([nn.Parameter(bl.ones(2))])
    >>> next(iter(opt.state.values()))["exp_avg"]
    tensor([0., 0.])
    """

    def __setitem__(self, name: str, value: Any) -> None:
        changes.count += 1
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        changes.count += 1
        super().__delitem__(name)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As dict.setdefault."""
        changes.count += 1
        return super().setdefault(name, default)

    def update(self, *args: Any, **entries: Any) -> None:
        """As dict.update."""
        changes.count += 1
        super().update(*args, **entries)

    def pop(self, *args: Any) -> Any:
        """As dict.pop."""
        changes.count += 1
        return super().pop(*args)

    def clear(self) -> None:
        """As dict.clear."""
        changes.count += 1
        super().clear()


class StateTable(defaultdict[Any, dict[str, Any]]):
    """The state of every parameter, made when it is asked for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(ParamState)
        for key, value in dict(*args[-1:]).items() if args else ():
            self[key] = value

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)

    def __copy__(self) -> StateTable:
        return StateTable(self)

    copy = __copy__

    def __setitem__(self, key: Any, value: Any) -> None:
        changes.count += 1
        plain = isinstance(value, dict) and not isinstance(value, ParamState)
        super().__setitem__(key, ParamState(value) if plain else value)

    def __delitem__(self, key: Any) -> None:
        changes.count += 1
        super().__delitem__(key)

    def pop(self, *args: Any) -> Any:
        """As dict.pop."""
        changes.count += 1
        return super().pop(*args)

    def clear(self) -> None:
        """As dict.clear."""
        changes.count += 1
        super().clear()
