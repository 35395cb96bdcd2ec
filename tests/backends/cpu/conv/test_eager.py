"""Generated convolutions against the NumPy reference, and against PyTorch."""

from dataclasses import dataclass, replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backlit.backends.cpu.conv import eager as conv
from backlit.ops import conv_reference

from ..helpers import assert_close, is_nhwc, nhwc, same_for_one_thread


@dataclass(frozen=True)
class Case:
    name: str
    batch: int
    inputs: int
    outputs: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...] | None = None
    padding: tuple[int, ...] | None = None
    dilation: tuple[int, ...] | None = None
    groups: int = 1

    @property
    def options(self) -> dict:
        n = len(self.size)
        return {
            "stride": self.stride or (1,) * n,
            "padding": self.padding or (0,) * n,
            "dilation": self.dilation or (1,) * n,
            "groups": self.groups,
        }


CASES = [
    Case("plain", 3, 16, 16, (8, 8), (3, 3), padding=(1, 1)),
    Case("odd channels", 2, 17, 31, (9, 7), (3, 3), padding=(1, 1)),
    Case("one channel", 2, 1, 1, (33, 31), (5, 5)),
    Case("lenet", 5, 20, 50, (12, 12), (5, 5)),
    Case("pointwise", 3, 24, 48, (6, 6), (1, 1)),
    Case("pointwise stride", 3, 16, 33, (7, 8), (1, 1), stride=(2, 2)),
    Case("stride", 2, 16, 32, (17, 17), (3, 3), stride=(2, 2), padding=(1, 1)),
    Case("asymmetric", 2, 5, 6, (13, 11), (4, 3), (3, 1), (2, 0), (1, 2)),
    Case("stride over kernel", 2, 3, 4, (17, 16), (2, 2), stride=(4, 5)),
    Case("padding over kernel", 2, 3, 4, (5, 6), (2, 1), padding=(3, 2)),
    Case("kernel 7", 1, 3, 12, (33, 31), (7, 7), stride=(2, 2), padding=(3, 3)),
    Case("dilation", 2, 8, 9, (17, 15), (3, 3), padding=(2, 4), dilation=(2, 4)),
    Case("groups", 2, 12, 18, (9, 9), (3, 3), padding=(1, 1), groups=3),
    Case("depthwise", 2, 17, 17, (9, 9), (3, 3), stride=(2, 1), padding=(1, 1), groups=17),
    Case("depthwise 24 dilated", 2, 24, 24, (9, 12), (3, 2), dilation=(2, 3), groups=24),
    Case("depth multiplier", 2, 4, 12, (5, 5), (3, 3), groups=4),
    Case("1-d", 3, 17, 33, (31,), (5,), stride=(2,), padding=(2,)),
    Case("1-d dilated groups", 2, 4, 6, (40,), (3,), dilation=(5,), groups=2),
    Case("3-d", 2, 3, 5, (7, 6, 5), (3, 2, 3), (2, 1, 1), (1, 0, 1)),
    Case("3-d dilated groups", 1, 4, 4, (9, 8, 7), (2, 3, 2), dilation=(3, 1, 2), groups=2),
    Case("single pixel", 4, 9, 7, (1, 1), (3, 3), padding=(1, 1)),
    Case("large image", 1, 16, 16, (65, 67), (3, 3), padding=(1, 1)),
    Case("few outputs", 2, 48, 12, (9, 7), (3, 3), padding=(1, 1)),
    Case("few outputs in groups", 2, 34, 4, (6, 7), (3, 2), stride=(2, 1), groups=2),
    Case("empty batch", 0, 3, 4, (8, 8), (3, 3), padding=(1, 1)),
]


def arrays(case: Case, dtype: type, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    x = rng.standard_normal((case.batch, case.inputs, *case.size)).astype(dtype)
    w = rng.standard_normal((case.outputs, case.inputs // case.groups, *case.kernel)).astype(dtype)
    b = rng.standard_normal(case.outputs).astype(dtype)
    g = rng.standard_normal(conv_reference.conv(x, w, **case.options).shape).astype(dtype)
    return x, w, b, g


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_agrees_with_reference(case: Case, dtype: type, rng: np.random.Generator) -> None:
    x, w, b, g = arrays(case, dtype, rng)
    size, options = case.size, case.options
    expected = (
        conv_reference.conv(x, w, b, **options),
        conv_reference.conv_grad_input(g, w, size=size, **options),
        conv_reference.conv_grad_weight(g, x, size=case.kernel, **options),
    )
    x, g = nhwc(x), nhwc(g)
    actual = same_for_one_thread(
        lambda: (
            conv.conv(x, w, b, **options),
            conv.conv_grad_input(g, w, size=size, **options),
            conv.conv_grad_weight(g, x, size=case.kernel, **options),
        )
    )
    for a, e in zip(actual, expected, strict=True):
        assert a.dtype == dtype
        assert_close(a, e)
    assert is_nhwc(actual[0]) and is_nhwc(actual[1])
    assert actual[2].flags.c_contiguous


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, groups = draw(st.integers(1, 3)), draw(st.integers(1, 4))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(low, high)] * n))

    return Case(
        "drawn",
        draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 9)),
        groups * draw(st.integers(1, 9)),
        sizes(1, 9),
        sizes(1, 4),
        sizes(1, 4),
        sizes(0, 4),
        sizes(1, 3),
        groups,
    )


@given(case=cases())
@settings(max_examples=80, deadline=None)
def test_any_geometry(case: Case) -> None:
    dims = (case.size, case.kernel, case.stride, case.padding, case.dilation)
    assume(min(conv_reference.output_size(*dims)) > 0)
    x, w, b, g = arrays(case, np.float64, np.random.default_rng(1))
    options = case.options
    assert_close(conv.conv(nhwc(x), w, b, **options), conv_reference.conv(x, w, b, **options))
    assert_close(
        conv.conv_grad_input(nhwc(g), w, size=case.size, **options),
        conv_reference.conv_grad_input(g, w, size=case.size, **options),
    )
    assert_close(
        conv.conv_grad_weight(nhwc(g), nhwc(x), size=case.kernel, **options),
        conv_reference.conv_grad_weight(g, x, size=case.kernel, **options),
    )


@pytest.mark.parametrize("case", [CASES[1], CASES[6], CASES[13]], ids=lambda c: c.name)
def test_memory_order_of_inputs_does_not_matter(case: Case, rng: np.random.Generator) -> None:
    x, w, b, g = arrays(case, np.float32, rng)
    for order in (lambda a: a, nhwc, lambda a: np.flip(np.flip(a, 2).copy(), 2)):
        y = conv.conv(order(x), w, b, **case.options)
        gx = conv.conv_grad_input(order(g), w, size=case.size, **case.options)
        gw = conv.conv_grad_weight(order(g), order(x), size=case.kernel, **case.options)
        np.testing.assert_array_equal(y, conv.conv(x, w, b, **case.options))
        np.testing.assert_array_equal(
            gx, conv.conv_grad_input(g, w, size=case.size, **case.options)
        )
        np.testing.assert_array_equal(
            gw, conv.conv_grad_weight(g, x, size=case.kernel, **case.options)
        )


def test_a_result_does_not_depend_on_the_rest_of_the_batch(rng: np.random.Generator) -> None:
    case = replace(CASES[1], batch=9)
    x, w, b, _ = arrays(case, np.float32, rng)
    whole = conv.conv(x, w, b, **case.options)
    np.testing.assert_array_equal(conv.conv(x[4:5], w, b, **case.options), whole[4:5])


def test_nan_and_infinity_stay_where_they_are(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 5, 9, 9)), rng.standard_normal((3, 5, 3, 3))
    x[0, 2, 4, 4] = np.nan
    options = CASES[0].options
    y = conv.conv(x, w, **options)
    expected = np.zeros((2, 9, 9), bool)
    expected[0, 3:6, 3:6] = True
    np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(expected[:, None], y.shape))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precisions_are_computed_in_float32(dtype: type, rng: np.random.Generator) -> None:
    case = CASES[1]
    half = [a.astype(dtype) for a in arrays(case, np.float64, rng)]
    options = case.options

    def run(x: np.ndarray, w: np.ndarray, b: np.ndarray, g: np.ndarray) -> list[np.ndarray]:
        return [
            conv.conv(x, w, b, **options),
            conv.conv_grad_input(g, w, size=case.size, **options),
            conv.conv_grad_weight(g, x, size=case.kernel, **options),
        ]

    for a, e in zip(run(*half), run(*(a.astype(np.float32) for a in half)), strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, e.astype(dtype))


def test_integers_take_the_reference(rng: np.random.Generator) -> None:
    case = CASES[1]
    x, w, b, g = ((9 * a).astype(np.int64) for a in arrays(case, np.float64, rng))
    options = case.options
    np.testing.assert_array_equal(
        conv.conv(x, w, b, **options), conv_reference.conv(x, w, b, **options)
    )
    assert conv.conv_grad_weight(g, x, size=case.kernel, **options).dtype == np.int64


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES[:-1], ids=lambda c: c.name)
def test_agrees_with_torch(case: Case, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    x, w, b, g = arrays(case, np.float64, rng)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    call = getattr(torch.nn.functional, f"conv{len(case.size)}d")
    y = call(tx, tw, tb, **case.options)
    y.backward(torch.tensor(g))
    options = case.options
    assert_close(conv.conv(x, w, b, **options), y.detach().numpy())
    assert_close(conv.conv_grad_input(g, w, size=case.size, **options), tx.grad.numpy())
    assert_close(conv.conv_grad_weight(g, x, size=case.kernel, **options), tw.grad.numpy())


@pytest.mark.torch
@pytest.mark.parametrize(
    ("stride", "padding", "extra", "dilation", "groups"),
    [((2, 2), (0, 0), (0, 0), (1, 1), 1), ((3, 2), (1, 2), (2, 1), (2, 1), 2)],
)
def test_input_gradient_is_the_transposed_convolution(
    stride: tuple,
    padding: tuple,
    extra: tuple,
    dilation: tuple,
    groups: int,
    rng: np.random.Generator,
) -> None:
    torch = pytest.importorskip("torch")
    x, w = rng.standard_normal((2, 6, 5, 7)), rng.standard_normal((6, 5, 2, 3))
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x), torch.tensor(w), None, stride, padding, extra, groups, dilation
    ).numpy()
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_close(conv.conv_grad_input(x, w, size=expected.shape[2:], **options), expected)
