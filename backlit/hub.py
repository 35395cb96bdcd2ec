"""PyTorch's address for downloads: nothing is downloaded here.

Model files import the loader for weights that most programs never ask for, so the names can be
imported, and are refused when they are used. `bl.load` reads a file that is there.
"""

from __future__ import annotations

from typing import Any

from backlit.absent import importable, refuse

globals().update(
    importable(
        "hub",
        "load list help get_dir set_dir load_state_dict_from_url download_url_to_file "
        "_get_torch_home",
    )
)


def __getattr__(name: str) -> Any:
    raise refuse("hub", name)
