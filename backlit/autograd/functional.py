"""PyTorch's `torch.autograd.functional`: derivatives of a function at a point.

`jacobian`, `hessian`, `vjp`, `jvp`, `hvp`, `vhp` take the function and its inputs at once; the
transformations that return functions are in `backlit.func`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backlit import func as transforms
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


def _as_tuple(inputs: Any) -> tuple:
    return (
        inputs
        if isinstance(inputs, tuple)
        else tuple(inputs)
        if isinstance(inputs, list)
        else (inputs,)
    )


def _settled(result: Any, create_graph: bool) -> Any:
    from backlit import tree

    return result if create_graph else tree.over(result, Tensor.detach)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`, shape output + input, nested for tuples.

    >>> bl.autograd.functional.jacobian(lambda x: x.exp(), bl.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    given = _as_tuple(inputs)
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ArgumentError(f"jacobian: unknown strategy {strategy!r}")
    transform = transforms.jacrev if strategy == "reverse-mode" else transforms.jacfwd
    argnums: Any = tuple(range(len(given))) if isinstance(inputs, (tuple, list)) else 0
    return _settled(transform(func, argnums)(*given), create_graph)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a scalar function at `inputs`.

    >>> bl.autograd.functional.hessian(lambda x: (x**2).sum(), bl.ones(2))
    tensor([[2., 0.],
            [0., 2.]])
    """
    given = _as_tuple(inputs)
    argnums: Any = tuple(range(len(given))) if isinstance(inputs, (tuple, list)) else 0
    return _settled(transforms.hessian(func, argnums)(*given), create_graph)


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:  # fmt: skip
    """The output, and v times the Jacobian.

    >>> bl.autograd.functional.vjp(lambda x: x * 2, bl.ones(2), bl.ones(2))[1]
    tensor([2., 2.])
    """
    output, pull = transforms.vjp(func, *_as_tuple(inputs))
    if v is None:
        v = output.detach() * 0 + 1
    found = pull(v)
    found = found if isinstance(inputs, (tuple, list)) else found[0]
    return _settled(output, create_graph), _settled(found, create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:  # fmt: skip
    """The output, and the Jacobian times v.

    >>> bl.autograd.functional.jvp(lambda x: x * 2, bl.ones(2), bl.ones(2))[1]
    tensor([2., 2.])
    """
    given = _as_tuple(inputs)
    directions = tuple(x.detach() * 0 + 1 for x in given) if v is None else _as_tuple(v)
    return _settled(transforms.jvp(func, given, directions), create_graph)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False,
        strict: bool = False) -> tuple:  # fmt: skip
    """The value of a scalar function, and its Hessian times v.

    >>> bl.autograd.functional.hvp(lambda x: (x**3).sum(), bl.ones(2), bl.ones(2))[1]
    tensor([6., 6.])
    """
    given = _as_tuple(inputs)
    directions = tuple(x.detach() * 0 + 1 for x in given) if v is None else _as_tuple(v)
    found = transforms.hvp(func, given, directions)
    if isinstance(inputs, (tuple, list)):
        found = _as_tuple(found)
    return _settled(func(*given), create_graph), _settled(found, create_graph)


vhp = hvp  # the Hessian of a smooth function is symmetric


def grad_batched(outputs: Any, inputs: Any, grad_outputs: Any, create_graph: bool,
                 allow_unused: bool | None, materialize_grads: bool) -> tuple:  # fmt: skip
    """`autograd.grad` for a batch of gradients along a new first axis."""
    from backlit.autograd.engine import grad

    rows = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    each = [
        grad(outputs, inputs, [r[i] for r in rows], True, create_graph, allow_unused=allow_unused,
             materialize_grads=materialize_grads)
        for i in range(len(rows[0]))
    ]  # fmt: skip
    return tuple(
        None if column[0] is None else transforms.stack(list(column)) for column in zip(*each)
    )
