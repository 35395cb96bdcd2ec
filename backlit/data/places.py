"""Where a data set lies: the folder that was given, the one that BACKLIT_DATA names, or a URL.

Owns the order of these places. Reading and fetching are the readers' and fetch.py's.
"""

from __future__ import annotations

from pathlib import Path

from backlit.config import flags
from backlit.errors import DataError


def data_place(
    name: str, given: str | None = None, address: str | None = None, *, source: str = ""
) -> str:
    """`given`, else the folder `name` in BACKLIT_DATA, else the public `address`.

    Raises DataError where none of them is known; `source` then says where the data comes from
    and how it is laid out.

    >>> from backlit.data.places import data_place
    >>> data_place("mnist", given="here")
    'here'
    """
    if given is not None:
        return given
    if flags.data and (Path(flags.data) / name).is_dir():
        return str(Path(flags.data) / name)
    if address is not None:
        return address
    where = f"not in {flags.data}" if flags.data else "BACKLIT_DATA names no folder"
    put = f"put it into FOLDER/{name} and set BACKLIT_DATA=FOLDER, or pass --data"
    raise DataError(f"data {name}: {where}", hint=f"{source}; {put}" if source else put)
