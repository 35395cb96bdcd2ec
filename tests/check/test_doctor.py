"""The doctor on small subjects of every kind; the large suite of planted errors lies beside."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.check import Cause, Diagnosis
from backlit.check.doctor import Subject, diagnose
from backlit.errors import ArgumentError, ArgumentTypeError

RNG = np.random.default_rng(3)
INPUTS = {
    "x": RNG.standard_normal((4, 3)),
    "w": RNG.standard_normal((3, 5)),
    "b": np.zeros(5),
}


def forward(x, w, b):
    h = x @ w + b
    return np.maximum(h, 0), (x, w, h)


def right(dout, cache):
    x, w, h = cache
    dh = dout * (h > 0)
    return {"x": dh @ w.T, "w": x.T @ dh, "b": dh.sum(axis=0)}


def changed(name, change):
    def backward(dout, cache):
        grads = right(dout, cache)
        return {**grads, name: change(grads[name])}

    return backward


def test_a_right_pair_is_healthy():
    found = bl.check.doctor((forward, right), INPUTS)
    assert found.ok and not found.wrong and not found.causes
    assert str(found).startswith("healthy")


@pytest.mark.parametrize(
    ("name", "change", "cause"),
    [
        ("w", lambda g: -g, "sign"),
        ("b", lambda g: g / 4, "extra_factor"),
        ("x", lambda g: g / 2, "missing_factor"),
        ("x", np.zeros_like, "detached_path"),
        ("b", lambda g: g[None], "shape_error"),
        ("w", lambda g: np.roll(g, 1, axis=0), "index_error"),
        ("w", lambda g: g.T.copy(), "transposed"),
    ],
)
def test_errors_of_a_whole_gradient(name, change, cause):
    found = bl.check.doctor((forward, changed(name, change)), INPUTS)
    assert found.wrong == [name]
    assert found.causes[0].name == cause
    assert found.causes[0].input == name and found.causes[0].element[0] == name
    assert 0 < found.causes[0].confidence <= 1


def test_a_factor_is_named():
    found = bl.check.doctor((forward, changed("b", lambda g: g / 4)), INPUTS)
    assert "4 = size 0 of x" in found.causes[0].evidence


def test_a_missing_mask_names_the_line():
    def backward(dout, cache):
        x, w, _ = cache
        return {"x": dout @ w.T, "w": x.T @ dout, "b": dout.sum(axis=0)}

    found = bl.check.doctor((forward, backward), INPUTS)
    assert set(found.wrong) == {"x", "w", "b"}
    assert found.causes[0].name == "mask_not_reused"


def test_a_wrong_saved_value_names_the_line():
    def tanh_forward(x):
        y = np.tanh(x)
        return y, (x, y)

    def tanh_backward(dout, cache):
        x, _ = cache
        return {"x": dout * (1 - x**2)}

    found = bl.check.doctor((tanh_forward, tanh_backward), {"x": RNG.standard_normal((3, 2))})
    assert found.causes[0].name == "wrong_saved_value"
    assert "tanh" in found.causes[0].evidence


def test_batch_statistics_taken_as_constants():
    def norm_forward(x):
        centred = x - x.mean(axis=0)
        std = np.sqrt((centred**2).mean(axis=0) + 1e-5)
        return centred / std, std

    def norm_backward(dout, std):
        return {"x": dout / std}

    found = bl.check.doctor((norm_forward, norm_backward), {"x": RNG.standard_normal((6, 3))})
    assert found.causes[0].name in ("detached_path", "lost_accumulation")


def test_repeated_indices():
    def embed(w, rows):
        return w[rows], (w.shape, rows)

    def backward(dout, cache):
        shape, rows = cache
        dw = np.zeros(shape)
        dw[rows] += dout
        return {"w": dw}

    inputs = {"w": RNG.standard_normal((5, 2)), "rows": np.array([1, 3, 1])}
    found = bl.check.doctor((embed, backward), inputs)
    assert found.causes[0].name == "index_error"


def ridge(w, x):
    r = x @ w
    return float((r**2).mean() + 0.1 * (w**2).sum()), (w, x, r)


def test_a_loss_without_its_penalty():
    def backward(dout, cache):
        _, x, r = cache
        return {"w": dout * 2 * x.T @ r / len(r)}

    found = bl.check.doctor(
        (ridge, backward), {"w": RNG.standard_normal(3), "x": RNG.standard_normal((5, 3))}
    )
    assert found.causes[0].name == "missing_regularization"
    assert "0.2 * w" in found.causes[0].evidence


def test_gradients_in_the_order_of_a_sequence():
    def product(a, b):
        return a * b, (a, b)

    def backward(dout, cache):
        a, b = cache
        return dout * b, -dout * a

    found = bl.check.doctor((product, backward), [np.arange(1.0, 4), np.arange(2.0, 5)])
    assert found.wrong == ["b"] and found.causes[0].name == "sign"


def test_a_mask_drawn_again():
    def drop(x):
        mask = np.random.rand(*x.shape) < 0.5
        return x * mask, mask

    def backward(dout, mask):
        return {"x": dout * (np.random.rand(*dout.shape) < 0.5)}

    before = np.random.get_state()[1].tolist()
    x = {"x": RNG.standard_normal((4, 5))}
    assert bl.check.doctor((drop, backward), x).causes[0].name == "mask_not_reused"
    assert bl.check.doctor((drop, lambda dout, mask: {"x": dout * mask}), x).ok
    assert np.random.get_state()[1].tolist() == before


def test_a_value_of_another_call():
    saved = {}

    def square(x):
        saved["x"] = x
        return x * x, None

    def backward(dout, cache):
        return {"x": 2 * saved["x"] * dout}

    found = bl.check.doctor((square, backward), {"x": RNG.standard_normal(4)})
    assert found.causes[0].name == "stale_saved_value"


def test_chance_in_the_forward():
    fresh = np.random.SeedSequence

    def noisy(x):
        return x + np.random.default_rng(fresh().entropy % 2**32).normal(), None

    found = bl.check.doctor((noisy, lambda dout, cache: {"x": dout}), {"x": np.ones(3)})
    assert not found.ok and found.causes[0].name == "non_determinism"


def test_steps_have_no_slope():
    found = bl.check.doctor(
        (lambda x: (np.round(3 * x), None), lambda dout, _: {"x": 3 * dout}),
        {"x": RNG.standard_normal(5)},
    )
    assert found.wrong == ["x"] and found.causes[0].name == "not_differentiable"


def test_kinks_are_remarks():
    x = {"x": np.array([0.0, 1.0, -2.0])}
    relu = (lambda x: (np.maximum(x, 0), x), lambda dout, x: {"x": dout * (x > 0)})
    found = bl.check.doctor(relu, x)
    assert found.ok
    assert [(c.name, c.element) for c in found.causes] == [("kink", ("x", (0,)))]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales_do_not_matter(scale):
    inputs = {k: v * scale for k, v in INPUTS.items()}
    assert bl.check.doctor((forward, right), inputs).ok
    wrong = bl.check.doctor((forward, changed("w", lambda g: -g)), inputs)
    assert wrong.causes[0].name == "sign"


class Product(bl.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g @ b, a.T @ g


def test_functions_and_where_they_are_applied():
    inputs = {"a": bl.randn(3, 3), "b": bl.randn(3, 3)}
    for subject in (Product, Product.apply):
        found = bl.check.doctor(subject, inputs)
        assert found.wrong == ["a"] and found.causes[0].name == "transposed"
    inside = bl.check.doctor(lambda a: Product.apply(a, a.detach() * 0 + 1).tanh().sum(), [
        bl.randn(3, 3)
    ])  # fmt: skip
    assert isinstance(inside, Diagnosis)


def test_a_detached_path_on_tensors():
    found = bl.check.doctor(lambda x: (x * x.sigmoid().detach()).sum(), [bl.randn(4)])
    assert found.wrong == ["x"] and found.causes[0].name == "detached_path"
    assert bl.check.doctor(lambda x: (x * x.sigmoid()).sum(), [bl.randn(4)]).ok


def test_pytorch_functions():
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return x**2 * g

    found = bl.check.doctor(Cube, [torch.randn(4)])
    assert found.wrong == ["x"] and found.causes[0].name == "missing_factor"
    assert bl.check.doctor(lambda x: x.tanh().sum(), {"x": torch.randn(4)}).ok


def test_a_subject_of_ones_own():
    class Printed(Subject):
        def __init__(self):
            self.values = {"t": np.array(0.7)}

        def outputs(self, values):
            return [np.sin(values["t"])]

        def claims(self, values, seeds, **protocol):
            return {"t": -np.cos(values["t"]) * seeds[0]}

    found = diagnose(Printed())
    assert found.wrong == ["t"] and isinstance(found.causes[0], Cause)
    assert found.causes[0].name == "sign"


def test_bad_subjects_are_refused():
    with pytest.raises(ArgumentTypeError, match="can't examine"):
        bl.check.doctor(3, {"x": np.ones(2)})
    with pytest.raises(ArgumentError, match="no gradient"):
        bl.check.doctor((lambda x: (x, None), lambda d, c: {}), {"x": np.ones(2)})


def test_reports():
    found = bl.check.doctor((forward, changed("w", lambda g: -g)), INPUTS)
    assert "wrong: the gradient of w" in str(found) and "1. sign" in str(found)
    assert found._repr_html_().startswith("<pre>")


def test_a_backward_that_fails():
    def backward(dout, cache):
        x, w, _ = cache
        return {"x": dout @ w, "w": x.T @ dout, "b": dout.sum(axis=0)}

    found = bl.check.doctor((forward, backward), INPUTS)
    assert not found.ok
    assert [c.name for c in found.causes] == ["shape_error", "transposed"]
    assert "matmul" in found.causes[0].evidence
