"""Grad mode: whether operators on tensors that require grad are recorded."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from backlit.state import state


class _Mode:
    """A context manager that also decorates functions."""

    def __init__(self, grad: bool, inference: bool | None = None):
        self._target = (grad, inference)
        self._previous: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._previous.append((state.grad, state.inference))
        grad, inference = self._target
        state.grad = grad
        if inference is not None:
            state.inference = inference

    def __exit__(self, *error: Any) -> None:
        state.grad, state.inference = self._previous.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def again() -> _Mode:
            return type(self).__new__(type(self))._again(self._target)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        @functools.wraps(function)
        def stepped(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(again, function(*args, **kwargs)))

        return stepped if inspect.isgeneratorfunction(function) else wrapped

    def _again(self, target: tuple[bool, bool | None]) -> _Mode:
        self._target, self._previous = target, []
        return self


def _steps(mode: Callable[[], _Mode], generator: Any) -> Any:
    """A generator whose every step runs in the mode; who consumes it keeps its own."""
    resume, value = generator.send, None
    while True:
        try:
            with mode():
                found = resume(value)
        except StopIteration as end:
            return end.value
        try:
            resume, value = generator.send, (yield found)
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:
            resume, value = generator.throw, error


class no_grad(_Mode):
    """Record nothing inside: values only.

    >>> x = bl.tensor(2.0, requires_grad=True)
    >>> with bl.no_grad():
    ...     y = x * 3
    >>> y.requires_grad
    False
    """

    def __init__(self, function: Callable[..., Any] | None = None):
        super().__init__(False)

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        mode = object.__new__(cls)  # enable_grad borrows this method
        if function is not None:
            mode.__init__()  # type: ignore[misc]
            return mode(function)
        return mode


class enable_grad(_Mode):
    """Record inside, also within `no_grad`.

    >>> x = bl.tensor(2.0, requires_grad=True)
    >>> with bl.no_grad(), bl.enable_grad():
    ...     y = x * 3
    >>> y.requires_grad
    True
    """

    def __init__(self, function: Callable[..., Any] | None = None):
        super().__init__(True)

    __new__ = no_grad.__new__  # type: ignore[assignment]


class inference_mode(_Mode):
    """Record nothing inside, and say so to those who ask `is_inference_mode_enabled`.

    >>> with bl.inference_mode():
    ...     bl.is_inference_mode_enabled()
    True
    """

    def __init__(self, mode: bool | Callable[..., Any] = True):
        enabled = bool(mode)
        super().__init__(not enabled, enabled)

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        made = super().__new__(cls)
        if callable(mode):
            made.__init__()  # type: ignore[misc]
            return made(mode)
        return made


class set_grad_enabled(_Mode):
    """Turn recording on or off, at once or for a `with` block.

    >>> with bl.set_grad_enabled(False):
    ...     bl.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool):
        super().__init__(bool(mode))
        self._before = (state.grad, state.inference)
        state.grad = bool(mode)

    def __enter__(self) -> None:
        self._previous.append(self._before)
        state.grad = self._target[0]

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        state.grad = self._before[0]
        return super().__call__(function)

    def _again(self, target: tuple[bool, bool | None]) -> _Mode:
        self._before = (state.grad, state.inference)
        return super()._again(target)


def is_grad_enabled() -> bool:
    """Whether operators are recorded now.

    >>> bl.is_grad_enabled()
    True
    """
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Whether an `inference_mode` block is open.

    >>> bl.is_inference_mode_enabled()
    False
    """
    return state.inference
