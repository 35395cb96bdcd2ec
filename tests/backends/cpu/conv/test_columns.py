"""Weight gradients as one product, at every vector width, against the reference."""

import ml_dtypes
import numpy as np
import pytest

from backlit.backends.cpu.conv import columns, eager
from backlit.backends.cpu.plans import executable
from backlit.ops import conv as ops
from backlit.ops import conv_reference
from backlit.ops.op import apply

from ..helpers import assert_close, same_for_one_thread
from ..lowering import check_lowering
from .test_eager import CASES, Case, arrays

UNGROUPED = [c for c in CASES if c.batch and c.groups == 1]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product, also for the small arrays of tests."""
    monkeypatch.setattr(columns, "LARGE_WEIGHT", 0)
    monkeypatch.setattr(columns, "PIXELS_PER_OUTPUT", 10**6)


def check(case: Case, dtype: object, rng: np.random.Generator) -> None:
    x, _, _, g = (a.astype(dtype) for a in arrays(case, np.float32, rng))

    def step(x, g):
        return apply(ops.ConvGradWeight, g, x, size=case.kernel, **case.options)

    program = check_lowering(step, x, g)
    labels = [t.label for t in executable.build(program, {}, {}, 1).tasks]
    assert "combine" not in labels


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", UNGROUPED, ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_agrees_with_reference(case: Case, dtype: type, rng: np.random.Generator) -> None:
    check(case, dtype, rng)


@pytest.mark.parametrize("case", UNGROUPED[:4], ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_bfloat16(case: Case, rng: np.random.Generator) -> None:
    check(case, ml_dtypes.bfloat16, rng)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", UNGROUPED, ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_eager(case: Case, dtype: type, rng: np.random.Generator) -> None:
    x, _, _, g = arrays(case, dtype, rng)
    given = {"size": case.kernel, **case.options}
    (actual,) = same_for_one_thread(lambda: [eager.conv_grad_weight(g, x, **given)])
    assert actual.dtype == dtype
    assert_close(actual, conv_reference.conv_grad_weight(g, x, **given))
