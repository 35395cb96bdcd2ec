"""Three wrong gradients, and how gradcheck finds them.

The mistakes are the usual ones: a contribution lost where a value forks (`=` for `+=`), a factor
forgotten, a sum over the batch left out. Each is a user-defined Function whose forward is right.
"""

from __future__ import annotations

import argparse

import backlit as bl
from backlit.autograd import Function


class LostFork(Function):
    """x · σ(x), which uses x twice; the backward remembers one use."""

    @staticmethod
    def forward(ctx, x):
        s = x.sigmoid()
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, grad_output):
        x, s = ctx.saved_tensors
        grad_x = grad_output * s
        grad_x = grad_output * x * s * (1 - s)  # should be +=
        return grad_x


class LostFactor(Function):
    """Half the squared error, summed; the backward forgets the upstream gradient."""

    @staticmethod
    def forward(ctx, a, t):
        ctx.save_for_backward(a, t)
        return 0.5 * ((a - t) ** 2).sum()

    @staticmethod
    def backward(ctx, grad_output):
        a, t = ctx.saved_tensors
        return a - t, t - a  # should be multiplied by grad_output


class LostSum(Function):
    """x + bias for a batch; the backward takes the first sample's gradient for the bias."""

    @staticmethod
    def forward(ctx, x, bias):
        return x + bias

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, grad_output[0]  # should be grad_output.sum(0)


def check(function: type[Function], *inputs: bl.Tensor) -> str:
    """What gradcheck says about a function."""
    try:
        bl.check.gradcheck(function.apply, inputs)
    except bl.check.GradcheckError as error:
        return str(error)
    return "the gradients are right"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    parser.parse_args()
    bl.manual_seed(0)
    x, bias = bl.randn(4, 3), bl.randn(3)
    for function, inputs in ((LostFork, (x,)), (LostFactor, (x, x + 1)), (LostSum, (x, bias))):
        print(f"{function.__name__}: {function.__doc__}")
        print(check(function, *inputs), end="\n\n")


if __name__ == "__main__":
    main()
