"""The harness itself: wrong rules planted in fresh operators must be caught, right ones pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import harness
import numpy as np
import pytest
from rows import Row, T

import backlit as bl
from backlit.errors import ShapeError
from backlit.ops.op import REGISTRY, Elementwise, Operator, Spec, apply

SQUARE = T((3, 3))


@pytest.fixture
def registry() -> Iterator[None]:
    """Operators made in a test leave the registry with it."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def doubled(slope: float) -> Row:
    class PlantedDouble(Elementwise):
        def formula(m, x):
            return 2 * x

        def d_x(m):
            return slope

    return Row(PlantedDouble.call, op="planted_double", args=[(SQUARE,)], torch=None)


def cubed(first: Callable, name: str = "planted_cube") -> Row:
    op = type("PlantedCube", (Elementwise,), {
        "formula": lambda m, x: x * x * x, "d_x": first,
    })  # fmt: skip
    return Row(op.call, op=op.name, args=[(SQUARE,)], torch="Tensor.pow")


def product(grad_a: Callable) -> Row:
    class PlantedProduct(Operator):
        def infer(a, b):
            return Spec((*a.shape[:-1], b.shape[-1]), a.dtype)

        def forward(a, b):
            return np.matmul(a, b)

        def grad_b(g, a):
            return a.mT @ g

    PlantedProduct.grad_a = staticmethod(grad_a)
    PlantedProduct._complete()
    call = lambda a, b: apply(PlantedProduct, a, b)
    call.__name__ = "planted_product"
    return Row(call, op="planted_product", args=[(SQUARE, SQUARE)], torch="bl.matmul")


def caught(check: Callable[[Row], None], row: Row) -> None:
    with pytest.raises(AssertionError):
        check(row)


@pytest.mark.usefixtures("registry")
class TestPlantedGradients:
    def test_right_slope_passes(self) -> None:
        row = doubled(2.0)
        harness.gradients_agree(row)
        harness.second_gradients_agree(row)

    @pytest.mark.parametrize("slope", [2.001, 1.0, -2.0, 2.00001])
    def test_wrong_slope(self, slope: float) -> None:
        caught(harness.gradients_agree, doubled(slope))

    def test_missing_factor(self) -> None:
        caught(harness.gradients_agree, cubed(lambda m, x: x * x))

    def test_right_product_passes(self) -> None:
        row = product(lambda g, b: g @ b.mT)
        harness.gradients_agree(row)
        harness.second_gradients_agree(row)

    def test_transposed_gradient(self) -> None:
        caught(harness.gradients_agree, product(lambda g, b: (g @ b.mT).mT))

    def test_forgotten_transpose(self) -> None:
        caught(harness.gradients_agree, product(lambda g, b: g @ b))

    def test_absent_gradient(self) -> None:
        row = product(lambda g, b: None)
        caught(harness.gradients_agree, row)

    @pytest.mark.torch
    def test_wrong_gradient_against_torch(self) -> None:
        pytest.importorskip("torch")
        caught(lambda r: harness.equals_torch(r, np.float64, 1e-10),
               product(lambda g, b: g @ b.mT * 1.000001))  # fmt: skip

    def test_rule_that_can_not_be_differentiated(self) -> None:
        def detached(m, x):
            return 3 * (x * x).detach() if isinstance(x, bl.Tensor) else 3 * x * x

        row = cubed(detached)
        harness.gradients_agree(row)
        caught(harness.second_gradients_agree, row)


@pytest.mark.usefixtures("registry")
class TestPlantedRules:
    def test_infer_that_disagrees(self) -> None:
        class PlantedShape(Operator):
            def infer(x):
                return Spec(x.shape, x.dtype)

            def forward(x):
                return x.sum(axis=0)

        call = lambda x: apply(PlantedShape, x)
        caught(harness.infer_agrees, Row(call, op="planted_shape", args=[(SQUARE,)], torch=None))

    def test_forward_that_depends_on_memory_order(self) -> None:
        class PlantedOrder(Operator):
            def infer(x):
                return Spec((x.shape[0] * x.shape[1],), x.dtype)

            def forward(x):
                return x.ravel(order="K").copy()

        call = lambda x: apply(PlantedOrder, x)
        row = Row(call, op="planted_order", args=[(SQUARE,)], torch=None)
        caught(harness.memory_order_is_no_matter, row)

    def test_bad_input_accepted(self) -> None:
        row = Row("add", bad=[((SQUARE, SQUARE), ShapeError, "do not broadcast")])
        with pytest.raises(pytest.fail.Exception):
            harness.refuses(row)

    def test_bad_input_refused_with_other_words(self) -> None:
        row = Row("add", bad=[((SQUARE, T((2,))), ShapeError, "no such words")])
        caught(harness.refuses, row)

    def test_kink_is_drawn_again_not_excused(self) -> None:
        """A corner inside the step never settles, however often it is drawn."""
        corner = T((1,), domain=(1e-5, 2e-5))
        caught(harness.gradients_agree, Row("abs", args=[(corner,)]))

    def test_reading_that_differs(self) -> None:
        class PlantedReading(Elementwise):
            def formula(m, x):
                return x * 2 if isinstance(x, bl.Tensor) else x * 3

        row = np.ones(3)
        with pytest.raises(AssertionError):
            harness.readings_agree(PlantedReading, (bl.from_numpy(row),), {})
