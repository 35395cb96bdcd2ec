"""Convolutions of one to three dimensions: a family closed under differentiation.

`conv`, `conv_grad_input` and `conv_grad_weight` are each other's derivatives, so any order
works, and the transposed convolution is `conv_grad_input`. Shapes: x (N, C, *S),
w (O, C / groups, *K), y (N, O, *S').
"""

from __future__ import annotations

from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops import conv_reference as reference
from backlit.ops.op import Operator, Spec, apply, export


def per_axis(value: Any, count: int, what: str, least: int = 0) -> tuple[int, ...]:
    """One whole number per spatial axis, from one number or a sequence."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(values) == 1:
        values = values * count
    if len(values) != count or not all(hasattr(v, "__index__") for v in values):
        raise ArgumentError(f"{what} must be one whole number or {count} of them, got {value!r}")
    if any(v < least for v in values):
        raise ArgumentError(f"{what} must be at least {least}, got {value!r}")
    return tuple(int(v) for v in values)


def _check(x: Spec, w: Spec, groups: int) -> None:
    if w.dtype is not x.dtype:
        raise DTypeError(f"input is {x.dtype.name}, weight {w.dtype.name}", hint="convert one")
    if x.ndim != w.ndim:
        raise ShapeError(f"input {x.shape} and weight {w.shape} differ in their number of axes")
    if groups < 1 or w.shape[0] % groups:
        raise ArgumentError(f"groups={groups} does not divide {w.shape[0]} output channels")


class Conv(Operator):
    """Cross-correlation of `x` with the kernels `w`, plus a bias per channel."""

    exports = ""
    inputs = ("x", "w", "b")

    def infer(x, w, b, *, stride, padding, dilation, groups):
        _check(x, w, groups)
        if x.shape[1] != w.shape[1] * groups:
            raise ShapeError(
                f"input has {x.shape[1]} channels, the weight {w.shape} with groups={groups}"
                f" expects {w.shape[1] * groups}",
                hint="shapes are (N, C, *S) and (O, C/groups, *K)",
            )
        if b is not None and b.shape != (w.shape[0],):
            raise ShapeError(f"bias has shape {b.shape}, expected ({w.shape[0]},)")
        size = reference.output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
        if any(n < 1 for n in size):
            raise ShapeError(
                f"kernel {w.shape[2:]} (dilation {dilation}) is larger than the padded input"
                f" {tuple(n + 2 * p for n, p in zip(x.shape[2:], padding))}"
            )
        return Spec((x.shape[0], w.shape[0], *size), x.dtype)

    def forward(x, w, b, *, stride, padding, dilation, groups):
        return reference.conv(
            x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups
        )

    def grad_x(g, w, x_spec, stride, padding, dilation, groups):
        return apply(ConvGradInput, g, w, size=x_spec.shape[2:], stride=stride, padding=padding,
                     dilation=dilation, groups=groups)  # fmt: skip

    def grad_w(g, x, w_spec, stride, padding, dilation, groups):
        return apply(ConvGradWeight, g, x, size=w_spec.shape[2:], stride=stride, padding=padding,
                     dilation=dilation, groups=groups)  # fmt: skip

    def grad_b(g):
        return g.sum((0, *range(2, g.ndim)))

    def latex(x, w, b=None, **params):
        return f"{x} * {w}" + (f" + {b}" if b else "")


class ConvGradInput(Operator):
    """The gradient of a convolution by its input: the transposed convolution of `g`."""

    exports = ""
    inputs = ("g0", "w")

    def infer(g, w, *, size, stride, padding, dilation, groups):
        _check(g, w, groups)
        expected = reference.output_size(size, w.shape[2:], stride, padding, dilation)
        if g.shape[1] != w.shape[0] or g.shape[2:] != expected:
            raise ShapeError(
                f"input {g.shape} does not fit weight {w.shape} and spatial size {tuple(size)}:"
                f" expected {(g.shape[0], w.shape[0], *expected)}"
            )
        return Spec((g.shape[0], w.shape[1] * groups, *size), g.dtype)

    def forward(g, w, *, size, stride, padding, dilation, groups):
        return reference.conv_grad_input(
            g, w, size=size, stride=stride, padding=padding, dilation=dilation, groups=groups
        )

    def grad_g0(g, w, stride, padding, dilation, groups):
        return apply(Conv, g, w, None, stride=stride, padding=padding, dilation=dilation,
                     groups=groups)  # fmt: skip

    def grad_w(g, g0, w_spec, stride, padding, dilation, groups):
        return apply(ConvGradWeight, g0, g, size=w_spec.shape[2:], stride=stride, padding=padding,
                     dilation=dilation, groups=groups)  # fmt: skip

    def latex(g, w, **params):
        return rf"{g} *^{{\top}} {w}"


class ConvGradWeight(Operator):
    """The gradient of a convolution by its weight."""

    exports = ""
    inputs = ("g0", "x")

    def infer(g, x, *, size, stride, padding, dilation, groups):
        expected = reference.output_size(x.shape[2:], size, stride, padding, dilation)
        if g.shape[2:] != expected or g.shape[0] != x.shape[0] or x.shape[1] % groups:
            raise ShapeError(f"gradient {g.shape} does not fit input {x.shape} and kernel {size}")
        return Spec((g.shape[1], x.shape[1] // groups, *size), x.dtype)

    def forward(g, x, *, size, stride, padding, dilation, groups):
        return reference.conv_grad_weight(
            g, x, size=size, stride=stride, padding=padding, dilation=dilation, groups=groups
        )

    def grad_g0(g, x, stride, padding, dilation, groups):
        return apply(Conv, x, g, None, stride=stride, padding=padding, dilation=dilation,
                     groups=groups)  # fmt: skip

    def grad_x(g, g0, x_spec, stride, padding, dilation, groups):
        return apply(ConvGradInput, g0, g, size=x_spec.shape[2:], stride=stride, padding=padding,
                     dilation=dilation, groups=groups)  # fmt: skip

    def latex(g, x, **params):
        return rf"{g} \star {x}"


def convolve(dims: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any,
             dilation: Any, groups: int) -> Any:  # fmt: skip
    """The public convolutions: an unbatched input, padding by name, then `Conv`."""
    if not hasattr(input, "cell") or not hasattr(weight, "cell"):
        raise ArgumentTypeError(f"conv{dims}d: input and weight must be tensors")
    if input.ndim not in (dims + 1, dims + 2) or weight.ndim != dims + 2:
        raise ShapeError(
            f"conv{dims}d: input has {input.ndim} axes and weight {weight.ndim}; expected"
            f" {dims + 2} (or {dims + 1} without a batch) and {dims + 2}"
        )
    stride = per_axis(stride, dims, "stride", 1)
    dilation = per_axis(dilation, dims, "dilation", 1)
    batched = input if input.ndim == dims + 2 else input.unsqueeze(0)
    if isinstance(padding, str):
        batched, padding = _named_padding(batched, weight, stride, padding, dilation)
    y = apply(Conv, batched, weight, bias, stride=stride,
              padding=per_axis(padding, dims, "padding"), dilation=dilation,
              groups=groups)  # fmt: skip
    return y if input.ndim == dims + 2 else y.squeeze(0)


def _named_padding(x: Any, w: Any, stride: tuple, padding: str, dilation: tuple) -> tuple:
    """'valid' pads nothing; 'same' keeps the size, the odd pixel at the end."""
    count = len(stride)
    if padding == "valid":
        return x, (0,) * count
    if padding != "same":
        raise ArgumentError(f"padding must be a number, 'same' or 'valid', got {padding!r}")
    if any(s != 1 for s in stride):
        raise ArgumentError("padding='same' needs a stride of 1")
    total = [d * (k - 1) for k, d in zip(w.shape[2:], dilation)]
    if all(t % 2 == 0 for t in total):
        return x, tuple(t // 2 for t in total)
    from backlit.ops.pad import pad_constant

    sides = [side for t in reversed(total) for side in (0, t % 2)]
    return pad_constant(x, tuple(sides), 0.0), tuple(t // 2 for t in total)


def transpose(dims: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any,
              output_padding: Any, groups: int, dilation: Any) -> Any:  # fmt: skip
    """The public transposed convolutions: the gradient of a convolution by its input."""
    name = f"conv_transpose{dims}d"
    if not hasattr(input, "cell") or not hasattr(weight, "cell"):
        raise ArgumentTypeError(f"{name}: input and weight must be tensors")
    if input.ndim not in (dims + 1, dims + 2) or weight.ndim != dims + 2:
        raise ShapeError(
            f"{name}: input has {input.ndim} axes and weight {weight.ndim}; expected"
            f" {dims + 2} (or {dims + 1} without a batch) and {dims + 2}"
        )
    stride, padding = per_axis(stride, dims, "stride", 1), per_axis(padding, dims, "padding")
    dilation = per_axis(dilation, dims, "dilation", 1)
    extra = per_axis(output_padding, dims, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ArgumentError(
            f"{name}: output_padding {extra} must be smaller than stride {stride} or"
            f" dilation {dilation}"
        )
    batched = input if input.ndim == dims + 2 else input.unsqueeze(0)
    reached = tuple(e if e < s else 0 for e, s in zip(extra, stride))
    size = _transposed_size(batched.shape[2:], weight.shape[2:], stride, padding, dilation, reached)
    if bias is not None and tuple(bias.shape) != (weight.shape[1] * groups,):
        raise ShapeError(
            f"{name}: bias has shape {tuple(bias.shape)}, expected ({weight.shape[1] * groups},)"
        )
    y = apply(ConvGradInput, batched, weight, size=size, stride=stride, padding=padding,
              dilation=dilation, groups=groups)  # fmt: skip
    if reached != extra:  # no tap of the kernel reaches the rest
        from backlit.ops.pad import pad_constant

        rest = [side for e, r in zip(reversed(extra), reversed(reached)) for side in (0, e - r)]
        y = pad_constant(y, tuple(rest), 0.0)
    y = y if bias is None else y + bias.to(y.dtype).reshape((1, -1) + (1,) * dims)
    return y if input.ndim == dims + 2 else y.squeeze(0)


def _transposed_size(size: Any, kernel: Any, stride: tuple, padding: tuple, dilation: tuple,
                     extra: tuple) -> tuple[int, ...]:  # fmt: skip
    dims = zip(size, kernel, stride, padding, dilation, extra)
    found = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in dims)
    if any(n < 1 for n in found):
        raise ShapeError(
            f"input of spatial size {tuple(size)} gives a transposed convolution of size {found}",
            hint="less padding, or a larger kernel",
        )
    return found


@export("bl F")
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """One-dimensional convolution (cross-correlation) of sequences.

    input (N, C, L) or (C, L), weight (O, C / groups, K), bias (O,). `padding` is a number,
    'valid' or 'same'.

    >>> F.conv1d(bl.ones(1, 1, 3), bl.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups)


@export("bl F")
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Two-dimensional convolution (cross-correlation) of images.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,).

    >>> F.conv2d(bl.ones(1, 1, 3, 3), bl.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups)


@export("bl F")
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Three-dimensional convolution (cross-correlation) of volumes.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O,).

    >>> F.conv3d(bl.ones(1, 1, 2, 2, 2), bl.ones(1, 1, 2, 2, 2)).item()
    8.0
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups)


@export("bl F")
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):  # fmt: skip
    """Transposed convolution of sequences: the gradient of `conv1d` by its input.

    input (N, C, L) or (C, L), weight (C, O / groups, K), bias (O,).

    >>> F.conv_transpose1d(bl.ones(1, 1, 2), bl.ones(1, 1, 2), stride=2)
    tensor([[[1., 1., 1., 1.]]])
    """
    return transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@export("bl F")
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):  # fmt: skip
    """Transposed convolution of images: the gradient of `conv2d` by its input.

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, KH, KW), bias (O,).

    >>> F.conv_transpose2d(bl.ones(1, 1, 1, 1), bl.ones(1, 1, 2, 2))
    tensor([[[[1., 1.],
              [1., 1.]]]])
    """
    return transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@export("bl F")
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):  # fmt: skip
    """Transposed convolution of volumes: the gradient of `conv3d` by its input.

    input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, KD, KH, KW), bias (O,).

    >>> F.conv_transpose3d(bl.ones(1, 1, 1, 1, 1), bl.ones(1, 1, 2, 2, 2)).shape
    backlit.Size([1, 1, 2, 2, 2])
    """
    return transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
