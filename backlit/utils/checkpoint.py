"""PyTorch's address and spelling of recomputation: `checkpoint` is `bl.recompute`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backlit.autograd.recompute import recompute
from backlit.errors import ArgumentError


def checkpoint(function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
               context_fn: Any = None, determinism_check: str = "default", debug: bool = False,
               preserve_rng_state: bool = True, early_stop: bool = True,
               **kwargs: Any) -> Any:  # fmt: skip
    """`bl.recompute(function, *args, **kwargs)`; the switches are accepted and change nothing.

    Random numbers are always the same in both runs.

    >>> from backlit.utils.checkpoint import checkpoint
    >>> x = bl.ones(2, requires_grad=True)
    >>> checkpoint(bl.exp, x, use_reentrant=False).sum().backward(); x.grad
    tensor([2.7183, 2.7183])
    """
    if context_fn is not None:
        raise ArgumentError("checkpoint: context_fn is not supported", hint="leave it out")
    return recompute(function, *args, **kwargs)


def checkpoint_sequential(functions: Iterable[Callable[[Any], Any]], segments: int, input: Any,
                          use_reentrant: bool | None = None, **kwargs: Any) -> Any:  # fmt: skip
    """A chain of functions or modules in `segments` parts, all but the last recomputed.

    >>> from backlit.utils.checkpoint import checkpoint_sequential
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> checkpoint_sequential(model, 2, bl.ones(1, 2)).shape
    backlit.Size([1, 1])
    """
    parts = list(functions)
    if not 1 <= segments <= max(len(parts), 1):
        raise ArgumentError(f"checkpoint_sequential: {segments} segments of {len(parts)} functions")
    size = len(parts) // segments

    def run(first: int, last: int) -> Callable[[Any], Any]:
        def chain(x: Any) -> Any:
            for part in parts[first:last]:
                x = part(x)
            return x

        return chain

    for i in range(segments - 1):
        input = checkpoint(run(i * size, (i + 1) * size), input, use_reentrant=use_reentrant,
                           **kwargs)  # fmt: skip
    return run((segments - 1) * size, len(parts))(input)
