"""Hooks that a module calls around forward and backward.

Owns how hooks are kept, ordered and called; a module without hooks never comes here.
Gradients reach backward hooks through two identity operators, one around the inputs and one
around the outputs, so the engine knows nothing of modules. Next: module.py.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import backlit as bl
from backlit.autograd.function import Function
from backlit.errors import ArgumentError
from backlit.state import changes
from backlit.tensor import Tensor

Grads = tuple[Tensor | None, ...]

_ids = itertools.count()


class Hook(NamedTuple):
    """One registered callable and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


class RemovableHandle:
    """Takes its hook out again; also a context manager.

    >>> layer = nn.Linear(2, 1)
    >>> handle = layer.register_forward_hook(lambda module, args, output: output * 0 + 1)
    >>> layer(bl.ones(1, 2)).tolist()
    [[1.0]]
    >>> handle.remove()
    """

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.id = next(_ids)
        self._hooks = hooks

    def remove(self) -> None:
        """Unregister the hook; a second call does nothing."""
        changes.count += 1
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register(hooks: dict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Add a hook to a module's table, at its end or at its front."""
    changes.count += 1
    handle = RemovableHandle(hooks)
    later = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[handle.id] = hook
    hooks.update(later)
    return handle


class HookMethods:
    """The hook methods of Module; the tables are made by Module.__init__."""

    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Any]  # as in PyTorch the callables themselves, or Hooks
    _backward_hooks: dict[int, Hook]
    _backward_pre_hooks: dict[int, Hook]
    forward: Callable[..., Any]

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns replaces the arguments.

        With `with_kwargs`, `hook(module, args, kwargs)` returns None or `(args, kwargs)`.

        >>> layer = nn.Identity()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
        >>> layer(bl.zeros(2)).tolist()
        [1.0, 1.0]
        """
        entry = Hook(hook, with_kwargs) if with_kwargs else hook
        return register(self._forward_pre_hooks, entry, prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; a returned value replaces the output.

        `always_call` runs it also when forward raised.

        >>> layer, seen = nn.Linear(3, 2), []
        >>> handle = layer.register_forward_hook(lambda m, args, out: seen.append(out.shape))
        >>> _ = layer(bl.zeros(4, 3)); len(seen)
        1
        """
        return register(self._forward_hooks, Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the module's backward; it may replace them.

        >>> layer = nn.Identity()
        >>> handle = layer.register_full_backward_pre_hook(lambda m, grads: (grads[0] * 3,))
        >>> x = bl.ones(2, requires_grad=True)
        >>> layer(x).sum().backward(); x.grad.tolist()
        [3.0, 3.0]
        """
        return register(self._backward_pre_hooks, Hook(hook), prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` once the input gradients are known.

        What it returns, if not None, replaces `grad_input`. Only tensors that are positional
        arguments, or members of the output tuple, are seen.

        >>> layer, seen = nn.Identity(), []
        >>> handle = layer.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0]))
        >>> layer(bl.ones(2, requires_grad=True)).sum().backward(); seen[0].tolist()
        [1.0, 1.0]
        """
        return register(self._backward_hooks, Hook(hook), prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The older name of `register_full_backward_hook`, of which it sees the full gradients."""
        return self.register_full_backward_hook(hook)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result, called = None, set()
        try:
            args, kwargs = self._run_pre_hooks(args, kwargs)
            watched = self._backward_hooks or self._backward_pre_hooks
            watch = BackwardWatch(self) if watched else None
            if watch is not None:
                args = watch.inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in list(self._forward_hooks.items()):
                called.add(key)
                result = self._run_forward_hook(hook, args, kwargs, result)
            return result if watch is None else watch.outputs(result)
        except Exception:
            for key, hook in list(self._forward_hooks.items()):
                if hook.always_call and key not in called:
                    self._run_after_error(hook, args, kwargs, result)
            raise

    def _run_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook in list(self._forward_pre_hooks.values()):
            if not isinstance(hook, Hook):
                changed = hook(self, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
                continue
            changed = hook.function(self, args, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise ArgumentError(
                    f"a pre-hook with kwargs must return None or (args, kwargs), got {changed!r}"
                )
            args, kwargs = changed
        return args, kwargs

    def _run_forward_hook(
        self, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        extra = (kwargs,) if hook.with_kwargs else ()
        changed = hook.function(self, args, *extra, result)
        return result if changed is None else changed

    def _run_after_error(
        self, hook: Hook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        try:
            self._run_forward_hook(hook, args, kwargs, result)
        except Exception as error:  # forward's own error is the one to show
            warnings.warn(f"always_call hook raised as well: {error!r}", stacklevel=4)


class BackwardWatch:
    """Collects one call's gradients and runs the module's backward hooks on them."""

    def __init__(self, module: HookMethods) -> None:
        self.module = module
        self.pre = [hook.function for hook in module._backward_pre_hooks.values()]
        self.post = [hook.function for hook in module._backward_hooks.values()]
        self.grad_output: Grads = ()
        self.has_input_grad = False
        self.slots: list[int] = []
        self.arity = 0

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.arity = len(args)
        self.slots = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        tensors = [args[i] for i in self.slots]
        self.has_input_grad = bl.is_grad_enabled() and any(t.requires_grad for t in tensors)
        if not self.has_input_grad:
            return args
        tapped = iter(_Tap.apply(self._input_grads, *tensors))
        return tuple(next(tapped) if i in self.slots else a for i, a in enumerate(args))

    def outputs(self, result: Any) -> Any:
        members = result if isinstance(result, tuple) else (result,)
        slots = [i for i, r in enumerate(members) if isinstance(r, Tensor) and r.requires_grad]
        if not slots:
            return result
        tensors = [members[i] for i in slots]
        tapped: Iterator[Tensor] = iter(_Tap.apply(self._output_grads, *tensors))
        members = tuple(next(tapped) if i in slots else r for i, r in enumerate(members))
        return members if isinstance(result, tuple) else members[0]

    def _output_grads(self, grads: Grads) -> Grads:
        for function in self.pre:
            grads = _replaced(grads, function(self.module, grads), "full_backward_pre_hook")
        self.grad_output = grads
        if not self.has_input_grad:  # no input will ever report: this is the last moment
            for function in self.post:
                function(self.module, (None,) * self.arity, grads)
        return grads

    def _input_grads(self, grads: Grads) -> Grads:
        full: list[Tensor | None] = [None] * self.arity
        for slot, grad in zip(self.slots, grads, strict=True):
            full[slot] = grad
        seen = tuple(full)
        for function in self.post:
            answer = function(self.module, seen, self.grad_output)
            seen = _replaced(seen, answer, "full_backward_hook")
        return tuple(seen[i] for i in self.slots)


def _replaced(grads: Grads, answer: Any, kind: str) -> Grads:
    if answer is None:
        return grads
    answer = answer if isinstance(answer, tuple) else (answer,)
    if len(answer) != len(grads):
        raise ArgumentError(f"{kind} returned {len(answer)} gradients, expected {len(grads)}")
    return answer


class _Tap(Function):
    """An identity whose backward hands the gradients to `seen` and passes on its answer."""

    @staticmethod
    def forward(ctx: Any, seen: Callable[[Grads], Grads], *tensors: Tensor) -> Any:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        return (None, *ctx.seen(grads))
