"""The walk back: newest Node first, each backward rule once, contributions added up.

Three steps. Collect the Nodes that the roots depend on (and that lead to the wanted inputs);
visit them newest first, which is a topological order; hand each rule the sum of the gradients
that arrived. The engine, not the rules, sums over broadcast axes and converts dtypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.autograd.node import FREED, Node
from backlit.autograd.record import _QUIET, _hush, _unhush
from backlit.errors import ArgumentTypeError, BacklitError, GradError, ShapeError
from backlit.ops import formula as fm
from backlit.ops.op import Rule, Spec
from backlit.state import state, tell
from backlit.tensor import Tensor, wrap

# ----- entrances -----


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None,
             create_graph: bool = False, inputs: Any = None) -> None:  # fmt: skip
    """Add the gradients of `tensors` to `.grad` of the leaves that they depend on.

    >>> x = bl.tensor(3.0, requires_grad=True)
    >>> bl.autograd.backward(x * x); x.grad
    tensor(6.)
    """
    roots = _listed(tensors)
    seeds = _seeds(roots, grad_tensors, create_graph)
    wanted = None if inputs is None else _listed(inputs)
    for t in wanted or ():
        if not t.requires_grad:
            raise GradError("backward: one of `inputs` does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    leaves, captured = walk(roots, seeds, keep, create_graph, wanted)
    for leaf, total in leaves.values():
        if wanted is None or any(leaf is t for t in wanted):
            accumulate(leaf, total, create_graph)
    for i, total in captured.items():
        accumulate(wanted[i], total, create_graph)  # type: ignore[index]


def grad(outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None,
         create_graph: bool = False, only_inputs: bool = True, allow_unused: bool | None = None,
         is_grads_batched: bool = False, materialize_grads: bool = False) -> tuple:  # fmt: skip
    """Gradients of `outputs` with respect to `inputs`, as a tuple; `.grad` stays untouched.

    `only_inputs` is accepted for older programs; it has always been true.

    >>> x = bl.tensor(3.0, requires_grad=True)
    >>> bl.autograd.grad(x**3, x)
    (tensor(27.),)
    """
    if is_grads_batched:
        from backlit.autograd.functional import grad_batched

        return grad_batched(outputs, inputs, grad_outputs, create_graph, allow_unused,
                            materialize_grads)  # fmt: skip
    roots, wanted = _listed(outputs), _listed(inputs)
    for t in wanted:
        if not isinstance(t, Tensor) or not t.requires_grad:
            raise GradError("grad: one of the inputs does not require grad")
    seeds = _seeds(roots, grad_outputs, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    leaves, captured = walk(roots, seeds, keep, create_graph, wanted)
    found = []
    for i, t in enumerate(wanted):
        total = captured.get(i)
        leaf = resolve((t, 0))[0]
        if total is None and id(leaf) in leaves:
            total = leaves[id(leaf)][1]
        if total is None and materialize_grads:
            total = wrap(np.zeros_like(t.cell.array))
        elif total is None and not allow_unused:
            raise GradError(
                f"grad: input {i} of shape {tuple(t.shape)} is not used in the graph",
                hint="allow_unused=True gives None for it, materialize_grads=True zeros",
            )
        found.append(total)
    return tuple(found)


def _listed(x: Any) -> list:
    if isinstance(x, Tensor):
        return [x]
    if x is None:
        return []
    return list(x)


def _seeds(roots: list, given: Any, create_graph: bool) -> list[Tensor]:
    """The gradient of each root: as given, or 1 for a scalar."""
    values = _listed(given) if given is not None else [None] * len(roots)
    if len(values) != len(roots):
        raise GradError(f"{len(roots)} outputs but {len(values)} gradients for them")
    seeds = []
    for root, seed in zip(roots, values):
        if not isinstance(root, Tensor):
            raise ArgumentTypeError(f"expected a Tensor, got {type(root).__name__}")
        if not root.requires_grad:
            raise GradError(
                "the tensor does not require grad and has no history",
                hint="make the inputs with requires_grad=True, and do not work under no_grad",
            )
        array = root.cell.array
        if seed is None:
            if array.size != 1:
                raise GradError(
                    f"backward on a tensor of shape {array.shape}: only a scalar has one gradient",
                    hint="reduce it (.sum(), .mean()), pass a `gradient` of the same shape, or use"
                    " bl.func.jacrev for all rows",
                )
            seed = wrap(np.ones_like(array))
        elif not isinstance(seed, Tensor):
            raise ArgumentTypeError(f"gradient must be a Tensor, got {type(seed).__name__}")
        elif seed.cell.array.shape != array.shape:
            raise ShapeError(
                f"gradient of shape {seed.cell.array.shape} for an output of {array.shape}"
            )
        seeds.append(seed if create_graph else seed.detach())
    return seeds


# ----- the walk -----


def walk(roots: list, seeds: list, keep: bool, create: bool, wanted: list | None) -> tuple:
    """Visit the graph. Returns the totals of the leaves, {id: (leaf, gradient)}, and of the
    wanted tensors that are not leaves, {position: gradient}."""
    order, leading = collect(roots, wanted)
    watched: dict[tuple[int, int], list[int]] = {}
    for i, t in enumerate(wanted or ()):
        target, index = resolve((t, 0))
        if type(target) is Node:
            watched.setdefault((target.id, index), []).append(i)
    arrived: dict[int, list] = {node.id: [None] * len(node.outputs) for node in order}
    leaves: dict[int, tuple] = {}
    captured: dict[int, Tensor] = {}
    outer = state.grad, state.backward_of, state.scope, state.autocast
    state.grad, state.autocast = create, None
    silent = not create and not state.observers  # nothing that runs now leaves a Node
    token = _hush(_QUIET)
    try:
        for root, seed in zip(roots, seeds):
            _deposit((root, 0), seed, arrived, leaves)
        for node in order:
            grads = arrived.pop(node.id)
            if node.hooks is not None:
                _run_hooks(node, grads)
            if watched:
                _capture(node, grads, watched, captured)
            if leading is not None and node.id not in leading:
                continue
            if grads[0] is None and (len(grads) == 1 or all(g is None for g in grads)):
                continue
            results: Sequence[Tensor | None]
            if type(node.saved) is not dict:  # dropped by `recompute`
                dropped: Any = node.saved
                node.saved = dropped.restore(node)
            if silent and node.op.elementwise and node.saved is not FREED:
                results = pull_arrays(node, grads[0])
            else:
                state.backward_of, state.scope = node, node.scope
                results = pull(node, grads)
            if not keep:
                node.let_go()
            for edge, g in zip(node.edges, results):
                if edge is not None and g is not None:
                    _deposit(edge, g, arrived, leaves)
    finally:
        _unhush(token)
        state.grad, state.backward_of, state.scope, state.autocast = outer
    asked = None if wanted is None else {id(resolve((t, 0))[0]) for t in wanted}
    for key, (leaf, total) in leaves.items():
        if leaf._hooks and (asked is None or key in asked):
            leaves[key] = (leaf, _hooked(leaf._hooks, total))
    return leaves, captured


def _capture(node: Node, grads: list, watched: dict, captured: dict) -> None:
    """Keep the gradients of wanted tensors that are not leaves."""
    for i, g in enumerate(grads):
        for position in watched.get((node.id, i), ()):
            if g is not None:
                captured[position] = g


def collect(roots: list, wanted: list | None) -> tuple[list[Node], set[int] | None]:
    """The Nodes to visit, newest first, and which of them lead to a wanted tensor."""
    seen: dict[int, Node] = {}
    stack = []
    for root in roots:
        target, _ = resolve((root, 0))
        if type(target) is Node and target.id not in seen:
            seen[target.id] = target
            stack.append(target)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None:
                target = edge[0]
                if type(target) is not Node:
                    target = resolve(edge)[0]
                if type(target) is Node and target.id not in seen:
                    seen[target.id] = target
                    stack.append(target)
    order = [seen[i] for i in sorted(seen, reverse=True)]
    if wanted is None:
        return order, None
    targets = {id(resolve((t, 0))[0]) for t in wanted}
    leading: set[int] = set()
    for node in reversed(order):
        for edge in node.edges:
            if edge is not None:
                target = resolve(edge)[0]
                if id(target) in targets or (type(target) is Node and target.id in leading):
                    leading.add(node.id)
                    break
    return [n for n in order if n.id in leading or id(n) in targets], leading


def resolve(edge: tuple) -> tuple:
    """Follow a tensor that stands for another to its Node or leaf."""
    target, index = edge
    while type(target) is not Node and target.node is not None:
        target, index = target.node, target.index
    return target, index


def _deposit(edge: tuple, g: Tensor, arrived: dict, leaves: dict) -> None:
    """Add a contribution where the edge leads, in that value's shape and dtype."""
    target, index = edge
    if type(target) is not Node and target.node is not None:
        target, index = resolve(edge)
    array = g.cell.array
    if type(target) is Node:
        slots = arrived.get(target.id)
        if slots is None:
            return  # leads to nothing wanted
        shape, dtype = target.outputs[index]
        if array.dtype is not dtype or array.shape != shape:
            g = fit(g, shape, dtype)
        before = slots[index]
        slots[index] = g if before is None else add(before, g)
        return
    leaf = target.cell.array
    if array.shape != leaf.shape or array.dtype != leaf.dtype:
        g = fit(g, leaf.shape, leaf.dtype)
    known = leaves.get(id(target))
    leaves[id(target)] = (target, g if known is None else add(known[1], g))


def fit(g: Tensor, shape: tuple, dtype: np.dtype) -> Tensor:
    """Sum a gradient over broadcast axes and convert it to the dtype of its value."""
    if g.cell.array.shape != shape:
        summed = g.sum_to_size(shape)  # type: ignore[attr-defined]
        if g.support is not None:
            summed.support = g.support.to(dt.float32).sum_to_size(shape) != 0
        g = summed
    if g.cell.array.dtype != dtype:
        support = g.support
        g = g.to(dt.of_numpy(dtype))  # type: ignore[attr-defined]
        g.support = support
    return g


def add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two contributions; masked only where both are."""
    if state.grad or state.observers:
        total = a + b  # type: ignore[operator]
    else:
        total = wrap(a.cell.array + b.cell.array)
    if a.support is not None and b.support is not None:
        total.support = a.support | b.support
    return total


def accumulate(leaf: Tensor, g: Tensor, create: bool) -> None:
    """Add to `.grad`, in a tensor of its own: gradients may be shared between leaves."""
    if state.observers:
        tell("grad_read", leaf)
    if leaf._grad is None:
        kept = wrap(g.cell.array)
        if create:
            kept.node, kept.index = g.node, g.index
        leaf._grad = kept
    elif create:
        leaf._grad = leaf._grad + g  # type: ignore[operator]
    else:
        cell = leaf._grad.cell
        if state.observers:
            cell.put((leaf._grad.detach() + g.detach()).cell.array)  # type: ignore[operator]
        else:
            cell.put(np.asarray(cell.array + g.cell.array))
    for hook in leaf.__dict__.get("_accumulated", ()):
        hook(leaf)


def _run_hooks(node: Node, grads: list) -> None:
    assert node.hooks is not None
    for index, hooks in node.hooks.items():
        if grads[index] is not None:
            grads[index] = _hooked(hooks, grads[index])


def _hooked(hooks: list, g: Tensor) -> Tensor:
    for hook in tuple(hooks):
        changed = hook(g)
        if changed is not None:
            if changed.shape != g.shape:
                raise ShapeError(f"hook: gradient of shape {tuple(g.shape)} became {changed.shape}")
            g = changed
    return g


# ----- one Node -----


def pull(node: Node, grads: list) -> Sequence[Tensor | None]:
    """The gradients of a Node's inputs from those of its outputs, by recorded operators."""
    if node.saved is FREED:
        error = GradError(
            "the saved values of this graph were freed by an earlier backward",
            hint="pass retain_graph=True to the first one",
        )
        error.locate(node.op.name, node.where)
        raise error
    observers = state.observers
    for observer in observers:
        observer.before_backward(node, grads)
    try:
        if node.op.elementwise:
            results = pull_formula(node, grads[0])
        else:
            results = pull_rules(node, grads)
    except BacklitError as error:
        error.where.append(f"{node.where} (forward of {node.op.name})")
        raise
    for observer in observers:
        observer.after_backward(node, grads, list(results))
    return results


def pull_arrays(node: Node, g: Tensor) -> list[Tensor | None]:
    """The elementwise rule on bare arrays, when nothing is recorded."""
    op, array, support, saved = node.op, g.cell.array, g.support, node.saved
    results: list[Tensor | None] = []
    for i, edge in enumerate(node.edges):
        if edge is None or i not in op.locals:
            results.append(None)
            continue
        if op.product is not None and support is None and i not in op.masks:
            made = _by_kernel(op, i, array, node)
            if made is not None:
                results.append(wrap(made))
                continue
        function, names, keywords = op.locals[i]
        if keywords:
            d = op.local(fm.NUMPY, i, saved, node.params)
        else:
            d = function(fm.NUMPY, *[saved[name] for name in names])
        if type(d) is np.ndarray and d.dtype is not array.dtype and d.dtype.kind == "f":
            d = d.astype(array.dtype)  # constants of a formula come as float64
        if support is not None or i in op.masks:
            results.append(_masked_product(array, d, op.mask(fm.NUMPY, i, saved), support))
        elif type(d) is int and (d == 1 or d == -1):
            results.append(g if d == 1 else wrap(-array))
        else:
            results.append(wrap(array * d))
    return results


def _by_kernel(op: Any, i: int, array: np.ndarray, node: Node) -> np.ndarray | None:
    """The product with a local derivative in one pass, where a backend has a kernel for it."""
    names = op.locals[i][1]
    if not names or array.size < op.smallest:
        return None
    return op.product(i, array, tuple(node.saved[name] for name in names), node.params)


def _masked_product(array: np.ndarray, d: Any, mask: Any, support: Tensor | None) -> Tensor:
    """A product with a local derivative that is 0 outside the mask, whatever the derivative is."""
    keep = mask if support is None else support.cell.array
    if mask is not None and support is not None:
        keep = keep & mask
    made = wrap(np.where(keep, array * d, array.dtype.type(0)))
    made.support = wrap(np.broadcast_to(keep, made.cell.array.shape))
    return made


def pull_formula(node: Node, g: Tensor) -> list[Tensor | None]:
    """The elementwise rule in recorded operators."""
    op, support = node.op, g.support
    values = {name: saved_tensor(node, name) for name in node.saved}
    results: list[Tensor | None] = []
    for i, edge in enumerate(node.edges):
        if edge is None or i not in op.locals:
            results.append(None)
            continue
        d = op.local(fm.TENSOR, i, values, node.params)
        if type(d) is int and d in (1, -1):
            made = g if d == 1 else -g  # type: ignore[operator]
        else:
            made = g * d  # type: ignore[operator]
        mask = op.mask(fm.TENSOR, i, values)
        if mask is not None or support is not None:
            keep = mask if support is None else support
            if mask is not None and support is not None:
                keep = support & mask
            made = made.where(keep, 0.0)
            made.support = keep.expand(made.shape)  # a condition may have been broadcast
        results.append(made)
    return results


def pull_rules(node: Node, grads: list) -> list[Tensor | None]:
    """The operator's own rules."""
    op = node.op
    if "ctx" in node.saved:
        return op.rules["*"].function(node.saved["ctx"], grads, node)
    if not op.rules:
        return pull_expanded(node, grads)
    joint = op.rules.get("*")
    if joint is not None:
        results = list(_call(joint, node, grads))
    else:
        results = [None] * len(node.edges)
        for i, (name, edge) in enumerate(zip(op.inputs, node.edges)):
            if edge is not None and name in op.rules:
                results[i] = _call(op.rules[name], node, grads)
    support = grads[0].support if grads[0] is not None else None
    if op.moves and support is not None:
        _carry_support(node, support, results)
    return results


def pull_expanded(node: Node, grads: list) -> list[Tensor | None]:
    """Differentiate an operator without rules through its expansion."""
    op, create = node.op, state.grad
    inputs: list[Any] = []
    for name in (*op.inputs, *(("xs",) if op.variadic else ())):
        values = node.saved[name] if name == "xs" else (node.saved[name],)
        inputs.extend(wrap(v) if isinstance(v, np.ndarray) else v for v in values)
    for x, need in zip(inputs, node.needs):
        if need:
            x._requires_grad = True
    state.grad = True
    try:
        outputs = op.expand(*inputs, **node.params)
    finally:
        state.grad = create
    pairs = [(y, g) for y, g in zip(_listed(outputs), grads) if g is not None and y.requires_grad]
    wanted = [x for x, need in zip(inputs, node.needs) if need]
    found = iter(grad([y for y, _ in pairs], wanted, [g for _, g in pairs], create_graph=create,
                      allow_unused=True) if pairs else ())  # fmt: skip
    results = [next(found, None) if need else None for need in node.needs]
    for x, edge in zip(inputs, node.edges):
        if edge is not None:  # from here on the copies stand for the true inputs
            x.node, x.index = edge
    return results


def _carry_support(node: Node, support: Tensor, results: list) -> None:
    """Where an operator only moves elements, its rule moves the mask as well."""
    outer = state.grad
    state.grad = False
    try:
        bare = support.to(dt.of_numpy(node.outputs[0][1]))  # type: ignore[attr-defined]
        moved = pull_rules(node, [bare] + [None] * (len(node.outputs) - 1))
    finally:
        state.grad = outer
    for result, mask in zip(results, moved):
        if result is not None and mask is not None:
            result.support = mask != 0


def _call(rule: Rule, node: Node, grads: list) -> Any:
    """Call a rule with what its signature names."""
    given: dict[str, Any] = {name: saved_tensor(node, name) for name in rule.saved}
    for name in rule.specs:
        given[name] = _specs(node, name)
    for name in rule.params:
        if name in node.params:
            given[name] = node.params[name]
    if rule.needs:
        given["needs"] = node.needs
    if rule.grads == (0,):
        return rule.function(grads[0], **given)
    return rule.function(*(grads[i] for i in rule.grads), **given)


def _specs(node: Node, name: str) -> Any:
    if name == "specs":
        return tuple(_spec(s) for s in node.in_specs[len(node.op.inputs) :])
    return _spec(node.in_specs[node.op.inputs.index(name.removesuffix("_spec"))])


def _spec(found: Any) -> Any:
    return Spec(found[0], dt.of_numpy(found[1])) if isinstance(found, tuple) else found


def saved_tensor(node: Node, name: str) -> Any:
    """A saved value as a tensor, tied again to where it came from."""
    value = node.saved[name]
    op = node.op
    if name == "xs":
        first = len(op.inputs)
        return tuple(_tied(a, node.edges[first + i]) for i, a in enumerate(value))
    if name == "ys":
        edges = [(node, i) if a.dtype.kind in "fV" else None for i, a in enumerate(value)]
        return tuple(map(_tied, value, edges))
    if not isinstance(value, np.ndarray):
        return value
    if name in op.inputs:
        return _tied(value, node.edges[op.inputs.index(name)])
    made = wrap(value)
    if state.grad:
        made.node, made.index = node, op.outputs.index(name)
    return made


def _tied(value: Any, edge: tuple | None) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    made = wrap(value)
    if edge is not None and state.grad:
        made.node, made.index = edge
    return made
