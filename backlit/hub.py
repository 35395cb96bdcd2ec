"""PyTorch's address for downloads: nothing is downloaded here.

Model files import the loader for weights that most programs never ask for, so the names can be
imported, and are refused when they are used. Where downloads would lie is answered: other
packages put files of their own beside them. `bl.load` reads a file that is there.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from backlit.absent import importable, refuse

_chosen: list[str] = []

globals().update(importable("hub", "load list help load_state_dict_from_url download_url_to_file"))


def get_dir() -> str:
    """The folder of downloads: torch/hub in the user's cache, or the one chosen.

    >>> bl.hub.get_dir().endswith("hub")
    True
    """
    return _chosen[-1] if _chosen else os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Names another folder of downloads, for this process."""
    _chosen[:] = [os.path.expanduser(d)]


def _get_torch_home() -> str:
    return os.path.expanduser(os.path.join("~", ".cache", "torch"))


def __getattr__(name: str) -> Any:
    if name == "tqdm":  # scripts borrow the progress bar from here
        return import_module("tqdm").tqdm
    raise refuse("hub", name)
