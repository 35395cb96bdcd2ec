"""History: what a training measured, one row an epoch, in memory and as metrics.jsonl.

The file is replaced whole each time, so that a kill never leaves half a line and a resumed run
never doubles one. NaN and infinity, which JSON has not, become null. Next: plots.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from backlit.errors import DataError
from backlit.files import atomic_write, saving

KEYS = ("epoch", "train_loss", "val_loss", "val_accuracy")  # every row has these


class History:
    """The rows of a training, one dict an epoch; a key gives a column.

    `stopped` says why the training ended.

    >>> history = bl.train.History([{"epoch": 1, "train_loss": 0.7}])
    >>> history.append({"epoch": 2, "train_loss": 0.4})
    >>> history["train_loss"], history.best("train_loss")["epoch"], len(history)
    ([0.7, 0.4], 2, 2)
    """

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stopped = ""
        for row in rows or []:
            self.append(row)

    def append(self, row: dict[str, Any]) -> None:
        self.rows.append({**dict.fromkeys(KEYS), **row})

    def __getitem__(self, key: str) -> list[Any]:
        if not any(key in row for row in self.rows):
            have = sorted({k for row in self.rows for k in row})
            raise KeyError(f"{key!r}; there are: {', '.join(have) or 'no rows yet'}")
        return [row.get(key) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"History({len(self)} epochs, stopped={self.stopped!r})"

    def _repr_html_(self) -> str:
        from html import escape

        keys = dict.fromkeys(key for row in self for key in row)
        columns = [key for key in keys if any(row.get(key) is not None for row in self)]
        lines = [[_shown(row.get(key)) for key in columns] for row in self]
        style = ' style="text-align:right;padding:.15em .6em"'
        table = "".join(
            "<tr>" + "".join(f"<{tag}{style}>{escape(cell)}</{tag}>" for cell in line) + "</tr>"
            for tag, line in [("th", columns), *(("td", line) for line in lines)]
        )
        return f"<table>{table}</table><p>{escape(self.stopped)}</p>"

    def best(self, key: str = "val_loss", mode: str = "min") -> dict[str, Any]:
        """The row with the lowest (`mode="max"`: highest) value, the earliest of equals."""
        sign = 1 if mode == "min" else -1
        rows = [row for row in self.rows if _is_number(row.get(key))]
        if not rows:
            raise KeyError(f"no row has a number under {key!r}")
        return min(rows, key=lambda row: sign * row[key])

    def write(self, path: str | os.PathLike[str]) -> None:
        """Replace a JSON Lines file by these rows; CheckpointError where it can't be written."""
        lines = [json.dumps(_plain(row), allow_nan=False) + "\n" for row in self.rows]
        with saving(path), atomic_write(path) as file:
            file.write("".join(lines).encode())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> History:
        """The rows of a metrics.jsonl; DataError naming the line that is not one."""
        history = cls()
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    history.append(dict(json.loads(line)))
                except (ValueError, TypeError):
                    raise DataError(f"{path}: line {number} is not a JSON object") from None
        return history


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _shown(value: Any) -> str:
    """A value in a cell: numbers as short as they can be told apart."""
    return f"{value:.5g}" if isinstance(value, float) else "" if value is None else str(value)


def _plain(value: Any) -> Any:
    """Values that JSON has."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
