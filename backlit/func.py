"""Functions of functions: `grad`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`, `hvp`, `vmap`.

PyTorch's `torch.func`. Each takes a function of tensors (or dicts and lists of them) and nests to
any depth. Forward mode is the backward of the backward; `vmap` applies the function sample by
sample and stacks, which is right for every function.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from backlit import tree
from backlit.autograd.engine import collect, resolve
from backlit.autograd.engine import grad as _grad
from backlit.autograd.modes import enable_grad
from backlit.control import scan
from backlit.errors import ArgumentError, ArgumentTypeError, GradError
from backlit.ops.op import REGISTRY
from backlit.state import state
from backlit.tensor import Tensor, wrap

_depth = threading.local()


def stack(tensors: list[Tensor], dim: int = 0) -> Tensor:
    """Tensors along a new axis."""
    return REGISTRY["stack"].call(tensors, dim)


@contextmanager
def _nested() -> Iterator[Callable[..., bool]]:
    """Records inside. Gives a function that tells whether the results keep their history: where a
    transformation runs around this one, or a tensor outside is to be differentiated by."""
    level, recording = getattr(_depth, "level", 0), state.grad

    def keeps(args: tuple, output: Any, inputs: list[Tensor]) -> bool:
        return recording and (level > 0 or _tracked(args) or _reaches_others(output, inputs))

    _depth.level = level + 1
    try:
        with enable_grad():
            yield keeps
    finally:
        _depth.level = level


def _reaches_others(output: Any, inputs: list[Tensor]) -> bool:
    """Whether the output depends on a leaf that is none of the inputs: a weight in a closure."""
    roots = [t for t in tree.leaves(output) if t.requires_grad]
    own = {id(x) for x in inputs}
    ends = [edge[0] for n in collect(roots, None)[0] for edge in n.edges if edge is not None]
    leaves = [resolve((end, 0))[0] for end in (*roots, *ends) if isinstance(end, Tensor)]
    return any(isinstance(x, Tensor) and id(x) not in own for x in leaves)


def _fresh(x: Tensor) -> Tensor:
    """A tensor to differentiate by, tied to `x` where `x` itself is tracked."""
    if not x.dtype.is_floating_point:
        raise GradError(f"can't differentiate by a tensor of {x.dtype.name}")
    if x.requires_grad:
        return x.clone()  # type: ignore[attr-defined]
    return x.detach().requires_grad_()


def _chosen(argnums: int | tuple[int, ...], args: tuple) -> tuple[int, ...]:
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    if not all(-len(args) <= i < len(args) for i in wanted):
        raise ArgumentError(f"argnums {argnums} for a call with {len(args)} arguments")
    return tuple(i % len(args) for i in wanted)


def _replaced(args: tuple, wanted: tuple[int, ...]) -> tuple[list[Any], list[Tensor]]:
    """The arguments with fresh tensors in the wanted places, and those tensors."""
    made = list(args)
    for i in wanted:
        made[i] = tree.over(args[i], _fresh)
    inputs = [t for i in wanted for t in tree.leaves(made[i])]
    if not inputs:
        raise ArgumentTypeError("the arguments to differentiate by hold no tensor")
    return made, inputs


def _tracked(args: tuple) -> bool:
    return any(t.requires_grad for t in tree.leaves(args))


def _finish(result: Any, keep: bool) -> Any:
    return result if keep else tree.over(result, Tensor.detach)


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0,
                   has_aux: bool = False) -> Callable[..., Any]:  # fmt: skip
    """A function that returns the gradient of `func` and its value.

    >>> bl.func.grad_and_value(lambda x: x**2)(bl.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        wanted = _chosen(argnums, args)
        with _nested() as keeps:
            made, inputs = _replaced(args, wanted)
            found = func(*made, **kwargs)
            value, aux = found if has_aux else (found, None)
            keep = keeps(args, value, inputs)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise GradError(
                    "grad: the function must return one scalar tensor", hint="use jacrev for others"
                )
            values = iter(_zeros_for_missing(value, inputs, keep))
            grads = tuple(tree.rebuild(made[i], values) for i in wanted)
        grads = grads[0] if isinstance(argnums, int) else grads
        output = (_finish(value, keep), _finish(aux, keep)) if has_aux else _finish(value, keep)
        return _finish(grads, keep), output

    return gradient


def _zeros_for_missing(value: Tensor, inputs: list[Tensor], keep: bool) -> list[Tensor]:
    if not value.requires_grad:
        return [wrap(np.zeros_like(x.cell.array)) for x in inputs]
    return list(_grad(value, inputs, create_graph=keep, materialize_grads=True))


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0,
         has_aux: bool = False) -> Callable[..., Any]:  # fmt: skip
    """A function that returns the gradient of `func`, which must return a scalar.

    >>> bl.func.grad(bl.func.grad(lambda x: x**3))(bl.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        grads, output = both(*args, **kwargs)
        return (grads, output[1]) if has_aux else grads

    return gradient


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple:
    """The output of `func` and a function from its gradient to those of the inputs.

    >>> y, pull = bl.func.vjp(lambda x: x * bl.tensor([2.0, 3.0]), bl.ones(2))
    >>> pull(bl.ones(2))
    (tensor([2., 3.]),)
    """
    with _nested() as keeps:
        made, inputs = _replaced(primals, tuple(range(len(primals))))
        found = func(*made)
        output, aux = found if has_aux else (found, None)
        keep = keeps(primals, output, inputs)

    def pull(*cotangents: Any) -> tuple:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        with enable_grad():
            roots = list(tree.leaves(output))
            pairs = [(y, v) for y, v in zip(roots, tree.leaves(given)) if y.requires_grad]
            if len(list(tree.leaves(given))) != len(roots):
                raise ArgumentError("vjp: give one gradient per output, in its structure")
            create = keep or _tracked(cotangents)
            found = _grad([y for y, _ in pairs], inputs, [v for _, v in pairs], retain_graph=True,
                          create_graph=create, materialize_grads=True)  # fmt: skip
        values = iter(found)
        return tuple(_finish(tree.rebuild(p, values), create) for p in made)

    shown = _finish(output, keep)
    return (shown, pull, _finish(aux, keep)) if has_aux else (shown, pull)


def jvp(func: Callable[..., Any], primals: tuple, tangents: tuple, *, strict: bool = False,
        has_aux: bool = False) -> tuple:  # fmt: skip
    """The output of `func` and its directional derivative along `tangents`.

    The derivative of v -> v J by v, applied to the tangents, is J t: two walks back.

    >>> bl.func.jvp(lambda x: x**2, (bl.tensor(3.0),), (bl.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    if len(primals) != len(tangents):
        raise ArgumentError(f"jvp: {len(primals)} primals, {len(tangents)} tangents")
    with _nested() as keeps:
        made, inputs = _replaced(tuple(primals), tuple(range(len(primals))))
        found = func(*made)
        output, aux = found if has_aux else (found, None)
        keep = keeps((primals, tangents), output, inputs)
        pushed = _push(output, inputs, list(tree.leaves(tuple(tangents))), keep)
    shown = (_finish(output, keep), _finish(pushed, keep))
    return (*shown, _finish(aux, keep)) if has_aux else shown


def _push(output: Any, inputs: list[Tensor], directions: list[Tensor], keep: bool) -> Any:
    """J t for each tensor of `output`."""
    roots = list(tree.leaves(output))
    seeds = [wrap(np.zeros_like(y.cell.array)).requires_grad_() for y in roots]
    pairs = [(y, u) for y, u in zip(roots, seeds) if y.requires_grad]
    zeros = [wrap(np.zeros_like(y.cell.array)) for y in roots]
    if not pairs:
        return tree.rebuild(output, iter(zeros))
    rows = _grad([y for y, _ in pairs], inputs, [u for _, u in pairs], create_graph=True,
                 allow_unused=True)  # fmt: skip
    linear = [(r, t) for r, t in zip(rows, directions) if r is not None and r.requires_grad]
    if not linear:
        return tree.rebuild(output, iter(zeros))
    columns = _grad([r for r, _ in linear], seeds, [t for _, t in linear], create_graph=keep,
                    retain_graph=True, materialize_grads=True)  # fmt: skip
    return tree.rebuild(output, iter(columns))


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False,
           chunk_size: int | None = None) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian of `func`, one walk back per element of the output.

    Its shape is that of the output followed by that of the input.

    >>> bl.func.jacrev(lambda x: x**2)(bl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(func, argnums, has_aux, _rows)


def _jacobian(func: Callable[..., Any], argnums: int | tuple[int, ...], has_aux: bool,
              blocks: Callable[..., list[Tensor]]) -> Callable[..., Any]:  # fmt: skip
    """A function that returns the Jacobian, made of `blocks`: dy/dx for each input x."""

    def jacobian(*args: Any) -> Any:
        wanted = _chosen(argnums, args)
        with _nested() as keeps:
            made, inputs = _replaced(args, wanted)
            found = func(*made)
            output, aux = found if has_aux else (found, None)
            keep = keeps(args, output, inputs)

            def of_output(y: Tensor) -> Any:
                values = iter(blocks(y, inputs, keep))
                each = tuple(tree.rebuild(made[i], values) for i in wanted)
                return each[0] if isinstance(argnums, int) else each

            result = _finish(tree.over(output, of_output), keep)
        return (result, _finish(aux, keep)) if has_aux else result

    return jacobian


def _rows(y: Tensor, inputs: list[Tensor], keep: bool) -> list[Tensor]:
    """dy/dx for each input, of shape y.shape + x.shape."""
    array = y.cell.array
    if not y.requires_grad or array.size == 0:
        return [wrap(np.zeros((*array.shape, *x.shape), x.cell.array.dtype)) for x in inputs]
    found = _over_basis(y, lambda e: _grad(y, inputs, e, retain_graph=True, create_graph=keep,
                                           materialize_grads=True))  # fmt: skip
    return [c.reshape((*array.shape, *x.shape)) for c, x in zip(found, inputs)]


UNROLLED = 4  # basis vectors for which a captured step has instructions of their own


def _over_basis(like: Tensor, function: Callable[[Tensor], tuple[Tensor, ...]]) -> list[Tensor]:
    """The results of a linear function for every basis vector, stacked; as a loop in a Program."""
    array = like.cell.array
    basis = np.eye(array.size, dtype=array.dtype).reshape(array.size, *array.shape)
    if state.observers and array.size > UNROLLED:
        return list(scan(lambda _, e: (None, function(e)), None, wrap(basis))[1])
    found = [function(wrap(basis[i, ...])) for i in range(array.size)]
    return [stack(list(c)) for c in zip(*found)]


def jacfwd(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *,
           randomness: str = "error") -> Callable[..., Any]:  # fmt: skip
    """The Jacobian of `func`, one directional derivative per element of the input.

    >>> bl.func.jacfwd(lambda x: x**2)(bl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    return _jacobian(
        func, argnums, has_aux, lambda y, inputs, keep: [_columns(y, x, keep) for x in inputs]
    )


def _columns(y: Tensor, x: Tensor, keep: bool) -> Tensor:
    """dy/dx, column by column."""
    if x.numel() == 0:
        return wrap(np.zeros((*y.shape, *x.shape), y.cell.array.dtype))
    (found,) = _over_basis(x, lambda e: (_push(y, [x], [e], keep),))
    columns = found.permute((*range(1, found.ndim), 0))  # type: ignore[attr-defined]
    return columns.reshape((*y.shape, *x.shape))  # type: ignore[no-any-return]


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a scalar function.

    >>> bl.func.hessian(lambda x: (x**3).sum())(bl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def hvp(func: Callable[..., Any], primals: tuple, tangents: tuple) -> Any:
    """The Hessian of a scalar function times a vector, without the Hessian.

    >>> bl.func.hvp(lambda x: (x**3).sum(), (bl.tensor([1.0, 2.0]),), (bl.tensor([1.0, 1.0]),))
    tensor([ 6., 12.])
    """
    argnums = tuple(range(len(primals)))
    with _nested() as keeps:
        made, inputs = _replaced(tuple(primals), argnums)
        value = func(*made)
        keep = keeps((primals, tangents), value, inputs)
        first = _grad(value, inputs, create_graph=True, materialize_grads=True)
        pairs = [(g, t) for g, t in zip(first, tree.leaves(tuple(tangents))) if g.requires_grad]
        if pairs:
            found = _grad([g for g, _ in pairs], inputs, [t for _, t in pairs], create_graph=keep,
                          materialize_grads=True)  # fmt: skip
        else:
            found = tuple(wrap(np.zeros_like(x.cell.array)) for x in inputs)
    values = iter(found)
    result = tuple(_finish(tree.rebuild(m, values), keep) for m in made)
    return result[0] if len(result) == 1 else result


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error",
         *, chunk_size: int | None = None) -> Callable[..., Any]:  # fmt: skip
    """`func` mapped over an axis of its arguments: sample by sample, the results stacked.

    >>> bl.func.vmap(lambda x: x.sum())(bl.ones(3, 2))
    tensor([2., 2., 2.])

    Per-sample gradients:

    >>> loss = lambda w, x: (w * x).sum() ** 2
    >>> bl.func.vmap(bl.func.grad(loss), in_dims=(None, 0))(bl.ones(2), bl.eye(2))
    tensor([[2., 0.],
            [0., 2.]])
    """

    def mapped(*args: Any) -> Any:
        dims = _matched(in_dims, args)
        sizes = {x.size(d) for x, d in _pairs(args, dims) if d is not None}
        if len(sizes) != 1:
            what = "no argument is mapped" if not sizes else f"sizes differ: {sorted(sizes)}"
            raise ArgumentError(f"vmap: {what}")
        count = sizes.pop()
        if count == 0:
            raise ArgumentError("vmap: the mapped axis is empty")
        results = [func(*_pick(args, dims, i)) for i in range(count)]
        return _stacked(results, out_dims)

    return mapped


def _matched(in_dims: Any, args: tuple) -> Any:
    if isinstance(in_dims, int) or in_dims is None:
        return tuple(in_dims for _ in args)
    if len(in_dims) != len(args):
        raise ArgumentError(f"vmap: in_dims has {len(in_dims)} entries for {len(args)} arguments")
    return tuple(in_dims)


def _pairs(value: Any, dims: Any) -> Iterator[tuple[Tensor, int | None]]:
    """Each tensor with the axis to map over."""
    if isinstance(value, Tensor):
        yield value, dims
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from _pairs(v, dims[k] if isinstance(dims, dict) else dims)
    elif isinstance(value, (tuple, list)):
        for i, v in enumerate(value):
            yield from _pairs(v, dims[i] if isinstance(dims, (tuple, list)) else dims)


def _pick(value: Any, dims: Any, i: int) -> Any:
    """Sample `i` of every mapped tensor."""

    def sample(x: Tensor, d: int | None) -> Tensor:
        return x if d is None else x[(slice(None),) * (d % x.ndim) + (i,)]  # type: ignore[index]

    picked = iter([sample(x, d) for x, d in _pairs(value, dims)])
    return tree.rebuild(value, picked)


def _stacked(results: list, out_dims: Any) -> Any:
    columns = list(zip(*(tuple(tree.leaves(r)) for r in results)))
    count = len(columns)
    dims = [out_dims] * count if isinstance(out_dims, int) else list(out_dims)
    return tree.rebuild(results[0], iter([stack(list(c), d) for c, d in zip(columns, dims)]))


def functional_call(module: Any, parameter_and_buffer_dicts: Any, args: Any = (),
                    kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True,
                    strict: bool = False) -> Any:  # fmt: skip
    """Call a module with other tensors in place of its parameters and buffers.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> bl.func.functional_call(layer, {"weight": bl.tensor([[2.0]])}, (bl.tensor([3.0]),))
    tensor([6.])
    """
    given: dict[str, Tensor] = {}
    many = parameter_and_buffer_dicts
    for part in (many,) if isinstance(many, dict) else many:
        given.update(part)
    own = dict(module.named_parameters(remove_duplicate=False))
    own.update(module.named_buffers(remove_duplicate=False))
    unknown = sorted(set(given) - set(own))
    if unknown:
        raise ArgumentError(f"functional_call: the module has no {', '.join(unknown)}")
    if strict and set(own) - set(given):
        raise ArgumentError(f"functional_call: missing {', '.join(sorted(set(own) - set(given)))}")
    swaps = dict(given)
    if tie_weights:
        for name, tensor in own.items():
            for other, value in given.items():
                if own[other].cell is tensor.cell:
                    swaps.setdefault(name, value)
    call_args = args if isinstance(args, tuple) else (args,)
    return _call_swapped(module, swaps, call_args, kwargs or {})


def _call_swapped(module: Any, swaps: dict[str, Tensor], args: tuple, kwargs: dict) -> Any:
    undo: list[tuple[dict, str, Any]] = []
    try:
        for name, value in swaps.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            table = owner._parameters if last in owner._parameters else owner._buffers
            undo.append((table, last, table[last]))
            table[last] = value
        return module(*args, **kwargs)
    finally:
        for table, last, value in reversed(undo):
            table[last] = value


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of equal modules, stacked along a new first axis."""
    models = list(models)
    params = {
        name: stack([dict(m.named_parameters())[name] for m in models]).detach().requires_grad_()
        for name, _ in models[0].named_parameters()
    }
    buffers = {
        name: stack([dict(m.named_buffers())[name] for m in models])
        for name, _ in models[0].named_buffers()
    }
    return params, buffers
