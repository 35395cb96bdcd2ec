"""Parametrizations: a parameter computed from others by a module, each time it is read.

A parametrized module changes its class to one whose property computes the value; what it is
computed from lives in `module.parametrizations`. Next: parametrizations.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn.containers import ModuleDict, ModuleList
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter
from backlit.tensor import Tensor

_cache: dict[tuple[int, str], Tensor] | None = None


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized value once while the context is open.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _cache
    outer, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = outer


class ParametrizationList(ModuleList):
    """The chain of modules that computes one value, and what it starts from.

    `original` is the one start, or `original0`, `original1`, ... where the first module's
    `right_inverse` gives several.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original0.shape == (2, 1)
    True
    """

    def __init__(self, modules: Sequence[Module], original: Tensor) -> None:
        super().__init__(modules)
        trained, start = isinstance(original, Parameter), _invert(self, original.detach())
        self.is_tensor = isinstance(start, Tensor)
        starts: Any = (start,) if self.is_tensor else start
        self.ntensors = len(starts)
        for name, value in zip(self._names(), starts, strict=True):
            if trained:
                self.register_parameter(name, Parameter(value.detach(), original.requires_grad))
            else:
                self.register_buffer(name, value)

    def _names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Tensor) -> None:
        """Refill the start so that the computed value becomes `value`."""
        start = _invert(self, value.detach())
        starts: Any = (start,) if self.is_tensor else start
        with bl.no_grad():
            for name, part in zip(self._names(), starts, strict=True):
                getattr(self, name).copy_(part)

    def forward(self) -> Tensor:
        value: Any = self[0](*(getattr(self, name) for name in self._names()))
        for module in list(self)[1:]:
            value = module(value)
        return value  # type: ignore[no-any-return]


def _invert(modules: ModuleList, value: Tensor) -> Any:
    with bl.no_grad():
        for module in reversed(list(modules)):
            if hasattr(module, "right_inverse"):
                value = module.right_inverse(value)
    return value


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of a module by `parametrization` from now on.

    The shape must stay, and the dtype as well, unless `unsafe`. Several are chained.

    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = nn.Linear(3, 3)
    >>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    if is_parametrized(module, tensor_name):
        chain = _chains(module)[tensor_name]
        before = getattr(module, tensor_name)
        chain.append(parametrization)
        try:
            if hasattr(parametrization, "right_inverse"):
                chain.right_inverse(before)
            if not unsafe:
                _check_value(before, chain(), parametrization)
        except BaseException:
            chain.pop()
            raise
        return module
    tensors: dict[str, Any] = {**module._parameters, **module._buffers}
    original = tensors.get(tensor_name)
    if original is None:
        raise ArgumentError(
            f"{type(module).__name__} has no parameter or buffer '{tensor_name}' to parametrize"
        )
    chain = ParametrizationList([parametrization], original)
    if not unsafe:
        _check_value(original, chain(), parametrization)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _change_class(module)
    setattr(type(module), tensor_name, _computed(tensor_name))
    _chains(module)[tensor_name] = chain
    return module


def _check_value(before: Tensor, after: Any, parametrization: Module) -> None:
    name = type(parametrization).__name__
    if not isinstance(after, Tensor):
        raise ArgumentError(f"{name} must return a tensor, got {type(after).__name__}")
    if after.shape != before.shape or after.dtype != before.dtype:
        raise ArgumentError(
            f"{name} must keep shape and dtype: it makes {tuple(after.shape)} {after.dtype} of "
            f"{tuple(before.shape)} {before.dtype}; unsafe=True allows that"
        )


def _chains(module: Module) -> Any:
    return module._modules["parametrizations"]


def _change_class(module: Module) -> None:
    kind = type(module)
    module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {"_ordinary": kind})
    module.parametrizations = ModuleDict()


def _computed(name: str) -> property:
    def read(module: Module) -> Tensor:
        if _cache is None:
            return _chains(module)[name]()  # type: ignore[no-any-return]
        key = (id(module), name)
        if key not in _cache:
            _cache[key] = _chains(module)[name]()
        return _cache[key]

    def write(module: Module, value: Tensor) -> None:
        _chains(module)[name].right_inverse(value)

    return property(read, write)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module, or one of its tensors, is parametrized.

    >>> nn.utils.parametrize.is_parametrized(nn.Linear(2, 2))
    False
    """
    chains = module._modules.get("parametrizations")
    if not isinstance(chains, ModuleDict):
        return False
    return len(chains) > 0 if tensor_name is None else tensor_name in chains


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make the value an ordinary parameter or buffer again, as computed or as it started.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> layer = nn.utils.parametrize.remove_parametrizations(layer, "weight")
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"{type(module).__name__}: '{tensor_name}' is not parametrized")
    chain = _chains(module)[tensor_name]
    if not leave_parametrized and not chain.is_tensor:
        raise ArgumentError(
            f"'{tensor_name}' starts from {chain.ntensors} tensors: only its computed value can "
            "be left"
        )
    start = getattr(chain, chain._names()[0])
    with bl.no_grad():
        value = getattr(module, tensor_name) if leave_parametrized else start
    delattr(type(module), tensor_name)
    del _chains(module)[tensor_name]
    if not len(_chains(module)):
        del module.parametrizations
        module.__class__ = type(module)._ordinary  # type: ignore[attr-defined]
    if isinstance(start, Parameter):
        module.register_parameter(tensor_name, Parameter(value.detach(), start.requires_grad))
    else:
        module.register_buffer(tensor_name, value.detach())
    return module
