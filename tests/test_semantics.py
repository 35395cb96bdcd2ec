"""What programs mean, where it is easy to get wrong: views and cells, histories, Functions."""

import enum

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, GradError, ShapeError


def leaf(value):
    return bl.tensor(value, dtype=bl.float64, requires_grad=True)


# ----- views -----


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.squeeze(),
        lambda x: x.reshape(3),
        lambda x: x[:],
        lambda x: x[...],
        lambda x: x.expand(3),
        lambda x: x.permute(0),
        lambda x: x.narrow(0, 0, 3),
        lambda x: x.view_as(x),
    ],
)
def test_a_view_that_changes_nothing_is_a_view_all_the_same(view):
    x = bl.zeros(3)
    seen = view(x)
    x.add_(1)
    assert seen.tolist() == [1, 1, 1]
    seen.mul_(5)
    assert x.tolist() == [5, 5, 5]
    with pytest.raises(GradError, match="leaf"):
        view(bl.ones(3, requires_grad=True)).mul_(2)


def test_an_expanded_tensor_follows_its_base_and_refuses_to_be_written():
    x = bl.zeros(1, 3)
    wide = x.expand(2, 3)
    x.add_(1)
    assert wide.tolist() == [[1, 1, 1], [1, 1, 1]]
    for change in (lambda: wide.add_(1), lambda: wide.mul_(leaf(2.0)), lambda: wide[0].zero_()):
        with pytest.raises(ArgumentError, match=r"share one place(?s:.*)clone"):
            change()
    assert x.tolist() == [[1, 1, 1]] and wide.clone().add_(1)[1, 2].item() == 2
    x.expand(1, 1, 3).add_(1)
    assert x.tolist() == [[2, 2, 2]], "nothing repeats, so it can be written"


def test_the_history_of_a_view_is_that_of_its_base_now():
    w = leaf([2.0, 3.0])
    base = bl.ones(2, dtype=bl.float64)
    view = base[:1]
    base.mul_(w)
    assert view.requires_grad and not view.is_leaf and view.grad_fn is not None
    view.sum().backward()
    assert w.grad.tolist() == [1, 0]


def test_a_detached_view_gets_a_history_of_its_own():
    w = leaf([2.0, 3.0])
    base = bl.ones(2, 2, dtype=bl.float64)
    row = base[0].detach()
    row.mul_(w)
    assert row.requires_grad and not base.requires_grad
    assert base.tolist() == [[2, 3], [1, 1]]
    row.sum().backward()
    assert w.grad.tolist() == [1, 1]


def test_retain_grad_stays_with_the_tensor_when_it_is_changed_in_place():
    x = leaf([1.0, 1.0])
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1, 1] and x.grad.tolist() == [6, 6]


def test_a_broadcast_condition_masks_second_derivatives():
    x = leaf([[0.0, 4.0]])
    y = leaf([[1.0], [2.0]])
    z = bl.where(x > 0, x.sqrt() * y, y)
    (g,) = bl.autograd.grad((z * z).sum(), x, create_graph=True)
    (h,) = bl.autograd.grad((g * g).sum(), y)
    assert g.tolist() == [[0.0, 5.0]] and h.tolist() == [[20.0], [40.0]]


# ----- Functions -----


class Double(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.mul_(2)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


def test_a_function_that_changes_a_view_changes_the_history_of_the_base():
    x = leaf([1.0, 2.0])
    h = x * 3
    Double.apply(h[:1])
    (h * h).sum().backward()
    assert h.tolist() == [6, 6] and x.grad.tolist() == [72, 36]


def test_a_function_does_not_change_a_leaf_that_requires_grad():
    with pytest.raises(GradError, match=r"Double: a leaf"):
        Double.apply(leaf([1.0]))
    with pytest.raises(GradError, match=r"Double: a view of a leaf"):
        Double.apply(leaf([1.0])[:])


def test_a_function_keeps_the_values_of_what_it_saved():
    outside = bl.tensor([3.0], dtype=bl.float64)

    class Scale(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(outside)
            return x * outside

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = leaf([1.0])
    y = Scale.apply(x)
    outside.mul_(100)
    y.backward()
    assert x.grad.item() == 3.0


def test_a_function_may_return_other_things_beside_tensors():
    class Both(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, 5

        @staticmethod
        def backward(ctx, g, nothing):
            assert nothing is None
            return g * 2

    x = leaf([1.0])
    y, five = Both.apply(x)
    y.backward()
    assert five == 5 and x.grad.item() == 2.0


def test_gradients_of_a_function_are_summed_down_but_not_stretched():
    class Product(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x, w, shrink):
            ctx.save_for_backward(x, w)
            ctx.shrink = shrink
            return x * w

        @staticmethod
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            return g * w, (g * x).sum() if ctx.shrink else g * x, None

    x, w = leaf([2.0]), leaf([3.0, 4.0])
    Product.apply(x, w, False).sum().backward()
    assert x.grad.tolist() == [7.0] and w.grad.tolist() == [2.0, 2.0]
    with pytest.raises(ShapeError, match=r"Product: backward gave gradient 1 of shape \(\)"):
        Product.apply(x, w, True).sum().backward()


# ----- hooks and modes -----


def test_hooks_of_leaves_that_nobody_asked_for_do_not_run():
    x, w = leaf([1.0]), leaf([3.0])
    seen = []
    x.register_hook(lambda g: seen.append("x"))
    w.register_hook(lambda g: seen.append("w"))
    (x * w).backward(inputs=[w])
    bl.autograd.grad(x * w, w)
    assert seen == ["w", "w"] and x.grad is None


def test_a_generator_without_gradients_leaves_its_consumer_alone():
    @bl.no_grad()
    def batches():
        told = []
        while len(told) < 3:
            try:
                told.append((yield bl.is_grad_enabled()))
            except KeyError:
                told.append("caught")
        return told

    made = batches()
    assert [next(made), bl.is_grad_enabled()] == [False, True]
    assert made.send(1) is False and made.throw(KeyError("x")) is False
    with pytest.raises(StopIteration) as end:
        made.send(2)
    assert end.value.value == [1, "caught", 2] and bl.is_grad_enabled()
    unfinished = batches()
    next(unfinished)
    unfinished.close()
    assert bl.is_grad_enabled()


# ----- operands -----


def test_numbers_of_other_types_are_numbers():
    class Two(enum.IntEnum):
        TWO = 2

    for two in (Two.TWO, np.int64(2), np.float32(2), np.uint8(2), 2):
        x = bl.tensor([1.0, 3.0])
        assert (x * two).tolist() == (two * x).tolist() == [2, 6]
        assert (x * two).dtype is bl.float32
        x *= two
        assert x.tolist() == [2, 6] and x.dtype is bl.float32


@pytest.mark.parametrize("shared", [False, True])
def test_whole_numbers_wrap_around_in_place_whoever_owns_them(shared):
    x = bl.tensor([1, 2], dtype=bl.uint8)
    other = x.numpy() if shared else None
    x += -2
    assert x.tolist() == [255, 0]
    x += np.int64(2)
    assert x.tolist() == [1, 2] and x.dtype is bl.uint8
    assert other is None or other.tolist() == [1, 2]


def test_in_place_does_not_make_bools_of_numbers():
    x = bl.tensor([True, False])
    with pytest.raises(DTypeError, match=r"int64 does not fit a tensor of bool"):
        x += 2
    assert x.tolist() == [True, False]


def test_lists_are_no_operands():
    x = bl.ones(3)
    some = [1, 2, 3]
    for wrong in (lambda: x + some, lambda: some * x, lambda: some @ x, lambda: x @ some):
        with pytest.raises(TypeError):
            wrong()
    assert (x == None) is False and (x != None) is True  # noqa: E711
    with pytest.raises(TypeError):
        _ = x < None
    assert (np.ones(3, np.float32) @ x).item() == 3


# ----- functions of functions -----


@pytest.mark.parametrize("name", ["grad", "jacrev", "jacfwd", "hessian"])
def test_derivatives_depend_on_the_weights_in_a_closure(name):
    w, x = leaf([1.0, 2.0]), bl.tensor([3.0, 4.0], dtype=bl.float64)
    made = getattr(bl.func, name)(lambda x: (w * x * x).sum())
    found = made(x)
    assert found.requires_grad
    (g,) = bl.autograd.grad(found.sum(), w)
    assert g.tolist() == ([2, 2] if name == "hessian" else [6, 8])
    with bl.no_grad():
        assert not made(x).requires_grad
    assert not getattr(bl.func, name)(lambda x: (x * x).sum())(x).requires_grad


# ----- printing -----


def _printed():
    r = np.random.default_rng(0)
    shapes = [(), (3,), (2, 3), (2, 2, 3), (0,), (2, 0), (30,), (1,), (1100,), (40, 30)]
    shapes.append((2, 21, 30))
    for shape in shapes:
        normal = r.standard_normal(shape)
        holes = r.random(shape) > 0.6
        yield normal
        yield normal * 1e9
        yield normal * 1e-6
        yield np.round(normal * 3)
        yield np.round(normal * 2000)
        yield np.round(normal * 3) * 1e9
        yield 10.0 ** (normal * 2)
        yield np.where(holes, np.nan, normal)
        yield np.where(holes, np.inf, np.where(normal > 0, -np.inf, np.round(normal)))
        yield np.full(shape, np.nan)
        yield np.zeros(shape)
        yield -np.zeros(shape)
        yield np.round(normal * 100).astype(np.int64)
        yield holes


def test_tensors_print_as_in_pytorch():
    torch = pytest.importorskip("torch")
    for array in _printed():
        if array.size == 0 and array.dtype.kind == "b":
            continue  # the names of the dtypes differ
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        ours, theirs = bl.from_numpy(np.asarray(array)), torch.from_numpy(np.array(array))
        assert repr(ours).replace("backlit.", "torch.") == repr(theirs)


def test_a_suffix_that_does_not_fit_gets_a_line_of_its_own():
    x = bl.arange(24, dtype=bl.float64)[10:]
    assert repr(x).endswith("22., 23.],\n       dtype=backlit.float64)")
