"""Weight and spectral normalization in their older form: the weight is computed before forward.

State dicts have the older names (`weight_g`, `weight_v`; `weight_orig`, `weight_u`, `weight_v`)
that public checkpoints use. New code is better served by parametrizations.py.
"""

from __future__ import annotations

from typing import Any, TypeVar

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter
from backlit.nn.utils.parametrizations import _WeightNorm
from backlit.tensor import Tensor

M = TypeVar("M", bound=Module)
_TRANSPOSED = (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)


class _Computed:
    """A hook that sets a weight from other parameters before each forward."""

    word: str

    def __init__(self, name: str) -> None:
        self.name = name

    def install(self, module: Module) -> None:
        if _find(module, self.name) is not None:
            raise ArgumentError(f"{self.word}: '{self.name}' is computed already")
        weight = module._parameters.get(self.name)
        if weight is None:
            raise ArgumentError(
                f"{self.word}: {type(module).__name__} has no parameter '{self.name}'"
            )
        delattr(module, self.name)
        self.begin(module, weight)
        setattr(module, self.name, self.compute(module))
        self.handle = module.register_forward_pre_hook(self)

    def begin(self, module: Module, weight: Tensor) -> None:
        raise NotImplementedError

    def compute(self, module: Module) -> Tensor:
        raise NotImplementedError

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module))

    def remove(self, module: Module, parts: tuple[str, ...]) -> None:
        weight = getattr(module, self.name).detach()
        self.handle.remove()
        for name in (self.name, *(f"{self.name}_{part}" for part in parts)):
            delattr(module, name)
        module.register_parameter(self.name, Parameter(weight))


class _Length(_Computed):
    word = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.rule = _WeightNorm(dim)

    def begin(self, module: Module, weight: Tensor) -> None:
        length, direction = self.rule.right_inverse(weight.detach())
        module.register_parameter(f"{self.name}_g", Parameter(length))
        module.register_parameter(f"{self.name}_v", Parameter(direction.clone()))

    def compute(self, module: Module) -> Tensor:
        return self.rule(getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v"))


class _Spectral(_Computed):
    word = "spectral_norm"

    def __init__(self, name: str, iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        if iterations <= 0:
            raise ArgumentError(
                f"spectral_norm: n_power_iterations must be positive, got {iterations}"
            )
        self.iterations, self.dim, self.eps = iterations, dim, eps

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def begin(self, module: Module, weight: Tensor) -> None:
        module.register_parameter(f"{self.name}_orig", Parameter(weight.detach()))
        rows, columns = self._matrix(weight.detach()).shape
        for part, size in (("u", rows), ("v", columns)):
            start = F.normalize(bl.randn(size, dtype=weight.dtype), dim=0, eps=self.eps)
            module.register_buffer(f"{self.name}_{part}", start)

    def compute(self, module: Module) -> Tensor:
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self._matrix(weight)
        if module.training:
            with bl.no_grad():
                for _ in range(self.iterations):
                    v.copy_(F.normalize(matrix.T @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
        sigma = u.clone() @ (matrix @ v.clone())  # the graph keeps these values
        return weight / sigma


def _find(module: Module, name: str) -> _Computed | None:
    hooks = module._forward_pre_hooks.values()
    return next((h for h in hooks if isinstance(h, _Computed) and h.name == name), None)


def _remove(module: M, name: str, kind: type[_Computed], parts: tuple[str, ...]) -> M:
    found = _find(module, name)
    if not isinstance(found, kind):
        raise ArgumentError(f"remove_{kind.word}: {type(module).__name__} has none at '{name}'")
    found.remove(module, parts)
    return module


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Write a weight as length `weight_g` times direction `weight_v`; Salimans and Kingma 2016.

    >>> layer = nn.utils.weight_norm(nn.Linear(20, 40))
    >>> layer.weight_g.shape, layer.weight_v.shape
    (backlit.Size([40, 1]), backlit.Size([40, 20]))
    """
    _Length(name, dim).install(module)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again.

    >>> nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    return _remove(module, name, _Length, ("g", "v"))


def spectral_norm(
    module: M,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> M:
    """Divide a weight by its largest singular value, by power iteration; Miyato et al. 2018.

    >>> layer = nn.utils.spectral_norm(nn.Linear(20, 40))
    >>> layer.weight_u.shape, layer.weight_orig.shape
    (backlit.Size([40]), backlit.Size([40, 20]))
    """
    if dim is None:
        dim = 1 if isinstance(module, _TRANSPOSED) else 0
    _Spectral(name, n_power_iterations, dim, eps).install(module)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the weight a parameter again.

    >>> nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(2, 1)))
    Linear(in_features=2, out_features=1, bias=True)
    """
    return _remove(module, name, _Spectral, ("orig", "u", "v"))
