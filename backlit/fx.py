"""PyTorch's address for symbolic tracing: model files mark functions there and trace nothing.

`wrap` gives back what it gets; all else can be imported, and is refused when it is used. A Program
(`bl.program.capture`) is what a traced graph is elsewhere.
"""

from __future__ import annotations

from typing import Any, TypeVar

from backlit.absent import importable, refuse

T = TypeVar("T")


def wrap(fn_or_name: T) -> T:
    """The function or name itself: nothing is traced, so nothing must be left whole.

    >>> bl.fx.wrap(abs)(-2)
    2
    """
    return fn_or_name


globals().update(
    importable(
        "fx",
        "symbolic_trace Tracer GraphModule Graph Node Proxy Interpreter Transformer "
        "replace_pattern",
    )
)


def __getattr__(name: str) -> Any:
    raise refuse("fx", name)
