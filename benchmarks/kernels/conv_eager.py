"""How fast are the eager CPU kernels beside PyTorch eager, layer by layer?

Prints milliseconds and ratios (Backlit / PyTorch, below 1 is faster) for the convolutions,
batch normalizations and pools of LeNet, ResNet-20, DenseNet-BC-40-12 and a U-Net; repeats of
both frameworks alternate. Run: `python benchmarks/kernels/conv_eager.py [network]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from backlit.backends.cpu.conv import eager as conv
from backlit.backends.cpu.norm import eager as norm
from backlit.backends.cpu.pool import eager as pool

REPEATS = 7
CALLS = 3


@dataclass(frozen=True)
class Conv:
    """One convolution: `times` of them per step, x (batch, inputs, size, size)."""

    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    times: int = 1
    first: bool = False
    transposed: bool = False

    def __str__(self) -> str:
        kind = "up" if self.transposed else "conv"
        return (
            f"{kind} {self.kernel}x{self.kernel}/{self.stride} "
            f"{self.inputs}->{self.outputs} at {self.size}"
        )


@dataclass(frozen=True)
class Norm:
    """One batch normalization over (batch, channels, size, size)."""

    batch: int
    channels: int
    size: int
    times: int = 1

    def __str__(self) -> str:
        return f"batch_norm {self.channels} at {self.size}"


@dataclass(frozen=True)
class Pool:
    """One 2x2 pool over (batch, channels, size, size)."""

    batch: int
    channels: int
    size: int
    average: bool = False

    times: int = 1

    def __str__(self) -> str:
        kind = "avg_pool" if self.average else "max_pool"
        return f"{kind} {self.channels} at {self.size}"


Layer = Conv | Norm | Pool


def lenet() -> list[Layer]:
    return [
        Conv(64, 1, 20, 28, 5, padding=0, first=True),
        Pool(64, 20, 24),
        Conv(64, 20, 50, 12, 5, padding=0),
        Pool(64, 50, 8),
    ]


def resnet20() -> list[Layer]:
    n = 128
    layers: list[Layer] = [Conv(n, 3, 16, 32, first=True)]
    for channels, size in ((16, 32), (32, 16), (64, 8)):
        first = channels == 16
        if not first:
            layers.append(Conv(n, channels // 2, channels, 2 * size, stride=2))
            layers.append(Conv(n, channels // 2, channels, 2 * size, 1, 2, 0))
        layers.append(Conv(n, channels, channels, size, times=6 if first else 5))
        layers.append(Norm(n, channels, size, times=7))
    return layers


def densenet() -> list[Layer]:
    n, channels = 64, 24
    layers: list[Layer] = [Conv(n, 3, 24, 32, first=True)]
    for size in (32, 16, 8):
        for _ in range(6):
            layers += [Norm(n, channels, size), Conv(n, channels, 48, size, 1, 1, 0)]
            channels += 12
        layers += [Norm(n, 48, size, times=6), Conv(n, 48, 12, size, times=6)]
        layers.append(Norm(n, channels, size))
        if size > 8:
            layers.append(Conv(n, channels, channels // 2, size, 1, 1, 0))
            channels //= 2
            layers.append(Pool(n, channels, size, average=True))
    return layers


def unet() -> list[Layer]:
    n = 16
    layers: list[Layer] = []
    for level, channels in enumerate((16, 32, 64)):
        size = 64 >> level
        layers += [
            Conv(n, 1 if level == 0 else channels // 2, channels, size, first=level == 0),
            Conv(n, channels, channels, size, times=2),
            Norm(n, channels, size, times=4),
            Pool(n, channels, size),
            Conv(n, 2 * channels, channels, size // 2, 2, 2, 0, transposed=True),
            Conv(n, 2 * channels, channels, size),
        ]
    layers += [Conv(n, 64, 128, 8), Conv(n, 128, 128, 8), Norm(n, 128, 8, times=2)]
    layers.append(Conv(n, 16, 2, 64, 1, 1, 0))
    return layers


NETWORKS = {"lenet": lenet, "resnet20": resnet20, "densenet": densenet, "unet": unet}
Pair = tuple[Callable[[], object], Callable[[], object]]


def nhwc(shape: tuple[int, ...]) -> np.ndarray:
    n, c, *size = shape
    memory = np.random.default_rng(0).standard_normal((n, *size, c)).astype(np.float32)
    return memory.transpose(0, 3, 1, 2)


def plain(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))


def conv_pairs(layer: Conv) -> dict[str, Pair]:
    s, p, one = (layer.stride,) * 2, (layer.padding,) * 2, (1, 1)
    kernel = (layer.kernel,) * 2
    x = nhwc((layer.batch, layer.inputs, layer.size, layer.size))
    ends = (layer.outputs, layer.inputs)
    w = (
        np.random.default_rng(1)
        .standard_normal((*(ends[::-1] if layer.transposed else ends), *kernel))
        .astype(np.float32)
    )
    options = {"stride": s, "padding": p, "dilation": one, "groups": 1}
    tx, tw = plain(x), plain(w)
    call = F.conv_transpose2d if layer.transposed else F.conv2d
    ty = call(tx, tw, stride=s, padding=p)
    g = nhwc(tuple(ty.shape))
    tg = plain(g)

    def torch_gradient(which: tuple[bool, bool, bool]) -> object:
        return torch.ops.aten.convolution_backward(
            tg, tx, tw, None, s, p, one, layer.transposed, (0, 0), 1, which
        )

    outer = tuple(ty.shape[2:])
    if layer.transposed:
        forward = lambda: conv.conv_grad_input(x, w, size=outer, **options)
        to_input = lambda: conv.conv(g, w, **options)
        to_weight = lambda: conv.conv_grad_weight(x, g, size=kernel, **options)
    else:
        forward = lambda: conv.conv(x, w, **options)
        to_input = lambda: conv.conv_grad_input(g, w, size=x.shape[2:], **options)
        to_weight = lambda: conv.conv_grad_weight(g, x, size=kernel, **options)
    pairs: dict[str, Pair] = {
        "forward": (forward, lambda: call(tx, tw, stride=s, padding=p)),
        "weight": (to_weight, lambda: torch_gradient((False, True, False))),
    }
    if not layer.first:
        pairs["input"] = (to_input, lambda: torch_gradient((True, False, False)))
    return pairs


def norm_pairs(layer: Norm) -> dict[str, Pair]:
    x = nhwc((layer.batch, layer.channels, layer.size, layer.size))
    w, b = np.ones(layer.channels, np.float32), np.zeros(layer.channels, np.float32)
    g = nhwc(x.shape) + 1
    tx, tg, tw, tb = plain(x), plain(g), plain(w), plain(b)
    _, mean, rstd = norm.batch_norm(x, w, b, eps=1e-5)
    _, tmean, trstd = torch.native_batch_norm(tx, tw, tb, None, None, True, 0.1, 1e-5)

    def torch_gradient() -> object:
        return torch.ops.aten.native_batch_norm_backward(
            tg, tx, tw, None, None, tmean, trstd, True, 1e-5, (True, True, True)
        )

    return {
        "forward": (
            lambda: norm.batch_norm(x, w, b, eps=1e-5),
            lambda: torch.native_batch_norm(tx, tw, tb, None, None, True, 0.1, 1e-5),
        ),
        "input": (lambda: norm.batch_norm_grad(g, x, w, mean, rstd), torch_gradient),
    }


def pool_pairs(layer: Pool) -> dict[str, Pair]:
    x = nhwc((layer.batch, layer.channels, layer.size, layer.size))
    tx, two, none, one = plain(x), (2, 2), (0, 0), (1, 1)
    size = x.shape[2:]
    if layer.average:
        options = {"kernel": two, "stride": two, "padding": none, "ceil_mode": False}
        options["count_include_pad"] = True
        y = pool.avg_pool(x, **options)
        ty = F.avg_pool2d(tx, 2)
        return {
            "forward": (lambda: pool.avg_pool(x, **options), lambda: F.avg_pool2d(tx, 2)),
            "input": (
                lambda: pool.avg_pool_grad(y, size=size, **options),
                lambda: torch.ops.aten.avg_pool2d_backward(
                    ty, tx, two, two, none, False, True, None
                ),
            ),
        }
    options = {"kernel": two, "stride": two, "padding": none, "dilation": one, "ceil_mode": False}
    y, indices = pool.max_pool(x, **options)
    ty, tindices = F.max_pool2d(tx, 2, return_indices=True)
    return {
        "forward": (
            lambda: pool.max_pool(x, **options),
            lambda: F.max_pool2d(tx, 2, return_indices=True),
        ),
        "input": (
            lambda: pool.max_pool_grad(y, indices, size=size),
            lambda: torch.ops.aten.max_pool2d_with_indices_backward(
                ty, tx, two, two, none, one, False, tindices
            ),
        ),
    }


def measure(pair: Pair, repeats: int) -> tuple[float, float]:
    """Return the best milliseconds of both, the least disturbed; rounds alternate."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, kept in zip(pair, times, strict=True):
            # the other's idle threads spin for a while and would hold a core
            time.sleep(0.01)
            call()
            for _ in range(CALLS):
                start = time.perf_counter()
                call()
                kept.append(1e3 * (time.perf_counter() - start))
    return min(times[0]), min(times[1])


def report(network: str, repeats: int) -> None:
    print(f"\n{network:<28}{'times':>6}  forward / input / weight: ms (ratio to PyTorch)")
    kinds = {Conv: conv_pairs, Norm: norm_pairs, Pool: pool_pairs}
    total = {"ours": 0.0, "torch": 0.0}
    for layer in NETWORKS[network]():
        cells = {"forward": "", "input": "", "weight": ""}
        for name, pair in kinds[type(layer)](layer).items():
            ours, theirs = measure(pair, repeats)
            cells[name] = f"{ours:.2f} ({ours / theirs:.2f})"
            total["ours"] += layer.times * ours
            total["torch"] += layer.times * theirs
        print(f"{layer!s:<28}{layer.times:>6}  " + "".join(f"{c:>16}" for c in cells.values()))
    ratio = total["ours"] / total["torch"]
    ours, theirs = total["ours"], total["torch"]
    print(f"{'sum':<28}{'':>6}  {ours:.1f} ms, PyTorch {theirs:.1f} ms ({ratio:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), metavar="network")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parser.parse_args()
    for network in arguments.networks:
        report(network, arguments.repeats)


if __name__ == "__main__":
    main()
