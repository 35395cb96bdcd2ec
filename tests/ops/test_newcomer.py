"""A newcomer's operator: one class gives eager, gradients, checks, Program, LaTeX and kernel."""

import numpy as np
import pytest

import backlit as bl
from backlit.backends import reference
from backlit.check import gradcheck, gradgradcheck
from backlit.ops.op import REGISTRY, Elementwise, Operator, Spec, apply
from backlit.program import capture, parse


@pytest.fixture(scope="module")
def operators():
    class Swirl(Elementwise):
        """x e^-x^2, an operator that nobody had before."""

        exports = ""

        def formula(m, x, *, rate=1.0):
            return x * m.exp(-rate * x * x)

        def d_x(m, x, *, rate):
            return (1 - 2 * rate * x * x) * m.exp(-rate * x * x)

    class Doubled(Operator):
        """Every row twice."""

        exports = ""

        def infer(x):
            return Spec((2 * x.shape[0], *x.shape[1:]), x.dtype)

        def forward(x):
            return np.concatenate([x, x])

        def grad_x(g, x_spec):
            n = x_spec.shape[0]
            return g[:n] + g[n:]

        def latex(x):
            return rf"\begin{{pmatrix}} {x} \\ {x} \end{{pmatrix}}"

    yield Swirl, Doubled
    for op in (Swirl, Doubled):
        del REGISTRY[op.name]


def test_eager_and_gradients(operators):
    for op, shape in zip(operators, ((5,), (3, 2))):
        x = bl.randn(shape)
        assert gradcheck(lambda t, op=op: apply(op, t), x)
        assert gradgradcheck(lambda t, op=op: apply(op, t) ** 2, x)


def test_program_and_reference(operators):
    swirl, doubled = operators
    x = bl.randn(3, 2, dtype=bl.float64)
    found = capture(lambda t: apply(doubled, apply(swirl, t, rate=2.0)).sum(), x)
    assert parse(str(found.program)) == found.program
    reference.check(found.program)
    assert reference.run(found.program, found.arrays)[0] == found.result.item()


def test_latex_and_expansion(operators):
    swirl, _ = operators
    assert swirl.latex("x", rate=1.0) == r"x \cdot e^{-1 \cdot x \cdot x}"
    x = bl.randn(4, dtype=bl.float64)
    opened = capture(lambda t: swirl.expand(t, rate=1.0), x)
    assert [i.op for i in opened.program.instrs] == ["mul", "mul", "exp", "mul"]
    np.testing.assert_allclose(opened.result.numpy(), apply(swirl, x, rate=1.0).numpy())


def test_a_kernel_comes_by_itself(operators):
    from backlit.backends.cpu.loops import elementwise

    swirl, _ = operators
    x = np.random.default_rng(0).standard_normal(50000).astype(np.float32)
    found = elementwise.kernel_of(swirl)(x, rate=1.0)
    np.testing.assert_allclose(found, swirl.forward(x, rate=1.0), rtol=1e-5, atol=1e-7)
