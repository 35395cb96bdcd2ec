"""The checker is checked with planted errors: it must catch them and name them."""

import numpy as np
import pytest

import backlit as bl
from backlit.check import GradcheckError, compare, gradcheck, gradgradcheck, slope


def planted(name, forward, backward):
    """A Function with a chosen backward."""

    def run_forward(ctx, *args):
        ctx.save_for_backward(*args)
        return forward(*args)

    def run_backward(ctx, g):
        return backward(g, *ctx.saved_tensors)

    body = {"forward": staticmethod(run_forward), "backward": staticmethod(run_backward)}
    return type(name, (bl.autograd.Function,), body).apply


HEALTHY = [
    (lambda x: x.sigmoid() * x.exp(), (3,)),
    (lambda x: (x @ x.mT).softmax(-1), (3, 3)),
    (lambda x: x.relu(), (4, 5)),
    (lambda x: x.abs().sqrt(), (4,)),
    (lambda x: x.max(dim=0).values, (4, 2)),
    (lambda x: bl.nn.functional.dropout(x, 0.5) * 2, (6,)),
]


@pytest.mark.parametrize(("function", "shape"), HEALTHY)
def test_healthy_functions_pass(function, shape):
    bl.manual_seed(3)
    assert gradcheck(function, bl.randn(shape))


WRONG = {
    "sign": planted("SignError", lambda x: x * x, lambda g, x: -2 * x * g),
    "factor": planted("FactorError", lambda x: x * x, lambda g, x: x * g),
    "slightly": planted("SlightError", lambda x: x.exp(), lambda g, x: 1.0005 * x.exp() * g),
    "mean": planted("MeanError", lambda x: x.mean(), lambda g, x: g * bl.ones_like(x)),
    "transposed": planted("Transposed", lambda x: x @ bl.tensor([[1.0, 2.0], [3.0, 4.0]]).double(),
                          lambda g, x: g @ bl.tensor([[1.0, 2.0], [3.0, 4.0]]).double()),
    "one element": planted("OneElement", lambda x: x * 3.0,
                           lambda g, x: g * 3.0 + bl.tensor([[0.0, 0.0], [0.5, 0.0]]).double()),
    "stale": planted("Stale", lambda x: x.sigmoid(), lambda g, x: g * x * (1 - x)),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WRONG))
def test_planted_errors_are_caught_and_named(name):
    bl.manual_seed(0)
    x = bl.randn(2, 2)
    report = compare(lambda t: WRONG[name](t * 1.5), x)
    assert not report.ok
    assert len(report.operators) == 1 and report.operators[0].split(" at ")[0] in {
        "SignError", "FactorError", "SlightError", "MeanError", "Transposed", "OneElement", "Stale",
    }  # fmt: skip
    assert "test_gradcheck.py" in report.operators[0]
    with pytest.raises(GradcheckError, match="wrong operator"):
        gradcheck(lambda t: WRONG[name](t * 1.5), x)
    assert not gradcheck(WRONG[name], x, raise_exception=False)


def test_the_element_is_named():
    report = compare(WRONG["one element"], bl.randn(2, 2))
    assert [(f.input, f.element) for f in report.failures] == [(0, (1, 0))]


def test_the_input_is_named():
    wrong = planted("Product", lambda a, b: a * b, lambda g, a, b: (g * b, g * b))
    report = compare(wrong, (bl.randn(3), bl.randn(3)))
    assert {f.input for f in report.failures} == {1}


def test_a_kink_is_no_error():
    report = compare(lambda x: x.relu(), bl.tensor([0.0, 1.0, -1.0]))
    assert report.ok and report.kinks == [(0, (0,))]
    assert compare(lambda x: x.abs(), bl.zeros(2)).ok


def test_a_slope_outside_both_sides_of_a_kink_is_an_error():
    wrong = planted("Relu", lambda x: x.relu(), lambda g, x: g * bl.where(x > 0, 1.0, -0.5))
    report = compare(wrong, bl.tensor([0.0]))
    assert not report.ok


def test_second_derivatives():
    assert gradgradcheck(lambda x: x.tanh() ** 2, bl.randn(3))
    wrong = planted("Cube", lambda x: x**3, lambda g, x: g * (3 * x * x).detach())
    assert gradcheck(wrong, bl.randn(3))
    assert not gradgradcheck(wrong, bl.randn(3) + 2, raise_exception=False)


def test_a_function_that_changes_is_refused():
    counter = iter(range(100))
    with pytest.raises(ValueError, match="different values"):
        gradcheck(lambda x: x * next(counter), bl.randn(2))


def test_whole_number_inputs_are_left_alone():
    assert gradcheck(lambda x, i: x[i], (bl.randn(4), bl.tensor([1, 3, 1])))
    with pytest.raises(ValueError, match="floating point"):
        gradcheck(lambda i: i * 2, bl.tensor([1]))


def test_slopes_at_steep_and_flat_places():
    for f, d in ((np.exp, 1.0), (lambda t: np.sin(50 * t), 50.0), (lambda t: 1e8 + t, 1.0)):
        found = slope(f)
        assert abs(found.value - d) <= 1e-6 * max(1, d) + 3 * found.error
