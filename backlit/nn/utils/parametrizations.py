"""Ready-made parametrizations: weight normalization and spectral normalization.

The machinery that reads a parameter through them is in parametrize.py.
"""

from __future__ import annotations

import backlit as bl
from backlit.errors import ArgumentError, IndexOutOfRange
from backlit.nn import functional as F
from backlit.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from backlit.nn.module import Module
from backlit.nn.utils.parametrize import register_parametrization
from backlit.tensor import Tensor


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = dim

    def _norm(self, weight: Tensor) -> Tensor:
        """The length of each slice along `dim`, or of everything."""
        if self.dim is None:
            return (weight * weight).sum().sqrt()
        others = [d for d in range(weight.ndim) if d != self.dim % weight.ndim]
        return (weight * weight).sum(others, keepdim=True).sqrt()

    def forward(self, length: Tensor, direction: Tensor) -> Tensor:
        return direction * (length / self._norm(direction))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return self._norm(weight), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Write a weight as length times direction; Salimans and Kingma 2016.

    The length (`original0`) is per slice along `dim`; None means one length for all.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original1.shape == (40, 20)
    True
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexOutOfRange(f"spectral_norm: dim {dim} is outside {weight.ndim} dimensions")
        if n_power_iterations <= 0:
            raise ArgumentError(
                f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}"
            )
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            matrix = self._as_matrix(weight.detach())
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                start = bl.randn(size, dtype=weight.dtype)
                self.register_buffer(name, F.normalize(start, dim=0, eps=eps))
            self._power_iteration(matrix, 15)

    def _as_matrix(self, weight: Tensor) -> Tensor:
        return weight.movedim(self.dim, 0).flatten(1)

    def _power_iteration(self, matrix: Tensor, times: int) -> None:
        """Move _u and _v towards the first pair of singular vectors."""
        with bl.no_grad():
            for _ in range(times):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.T @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._as_matrix(weight)
        if self.training:
            self._power_iteration(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the graph keeps these values
        return weight / (u @ (matrix @ v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, kept up by power iteration.

    Each reading in training does `n_power_iterations`; Miyato et al. 2018.

    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(20, 40), n_power_iterations=50)
    >>> abs(float(bl.linalg.svd(layer.weight)[1][0]) - 1) < 0.1
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ArgumentError(f"spectral_norm: {type(module).__name__} has no tensor '{name}'")
    if dim is None:
        transposed = isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d))
        dim = 1 if transposed else 0
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, dim, eps)
    )
