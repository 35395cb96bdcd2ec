"""The walk back: accumulation, freeing, hooks, deep graphs, memory, errors."""

import gc
import weakref

import numpy as np
import pytest

import backlit as bl
from backlit.errors import GradError, ShapeError


def leaf(value, dtype=bl.float64):
    return bl.tensor(value, dtype=dtype, requires_grad=True)


def test_gradients_accumulate_in_grad():
    x = leaf(3.0)
    (x * x).backward()
    (x * x).backward()
    assert x.grad.item() == 12.0


def test_a_fork_adds_its_branches():
    x = leaf([1.0, 2.0])
    y = x * 3
    (y * y + y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [2 * 9 * 1 + 3, 2 * 9 * 2 + 3])


def test_grads_of_two_leaves_are_separate_tensors():
    a, b = leaf([1.0]), leaf([1.0])
    (a + b).sum().backward()
    a.grad.mul_(5)
    assert b.grad.item() == 1.0


def test_backward_of_a_non_scalar_says_what_to_do():
    with pytest.raises(GradError, match=r"only a scalar.*\n.*hint: reduce it"):
        (leaf([1.0, 2.0]) * 2).backward()
    with pytest.raises(ShapeError, match="gradient of shape"):
        (leaf([1.0, 2.0]) * 2).backward(bl.ones(3))
    with pytest.raises(GradError, match="does not require grad"):
        bl.tensor(1.0).backward()


def test_a_freed_graph_is_refused_and_names_its_line():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(GradError, match=r"(?s)mul: the saved values.*test_engine.py:\d+"):
        y.backward()
    z = x * x
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.item() == 12.0


def test_a_sum_can_be_walked_twice_because_it_saves_nothing():
    x = leaf(2.0)
    y = x + x
    y.backward()
    y.backward()
    assert x.grad.item() == 4.0


def test_hooks_change_and_see_gradients():
    x = leaf(2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    handle = x.register_hook(lambda g: g * 10)
    (y * y).backward(retain_graph=True)
    assert seen == [12.0] and x.grad.item() == 360.0
    handle.remove()
    x.grad = None
    (y * y).backward()
    assert x.grad.item() == 36.0


def test_retain_grad_keeps_the_gradient_of_an_inner_tensor():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    (y * y).backward()
    assert y.grad.item() == 12.0 and y.retains_grad and not y.is_leaf


def test_post_accumulate_hooks_see_the_leaf():
    x = leaf(2.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * x).backward()
    assert seen == [4.0]


def test_grad_leaves_grad_alone_and_prunes():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    (gx,) = bl.autograd.grad(z * z, [x], retain_graph=True)
    assert gx.item() == 2 * 6 * 3 and x.grad is None and y.grad is None
    (gz,) = bl.autograd.grad(z * z, [z])
    assert gz.item() == 12.0


def test_grad_of_an_unused_input():
    x, y = leaf(2.0), leaf(3.0)
    with pytest.raises(GradError, match="not used"):
        bl.autograd.grad(x * x, [y])
    assert bl.autograd.grad(x * x, [y], allow_unused=True) == (None,)
    assert bl.autograd.grad(x * x, [y], materialize_grads=True)[0].item() == 0.0


def test_backward_into_chosen_inputs_only():
    x, y = leaf(2.0), leaf(3.0)
    z = x * 2
    (z * y).backward(inputs=[z])
    assert z.grad.item() == 3.0 and x.grad is None and y.grad is None


def test_any_order_of_derivative():
    x = leaf(2.0)
    y = x**5
    for expected in (5 * 16, 20 * 8, 60 * 4, 120 * 2, 120.0):
        (y,) = bl.autograd.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_a_chain_of_100_000_nodes_neither_recurses_nor_leaks():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    inner = weakref.ref(y.grad_fn)
    gc.collect()
    gc.disable()
    try:
        del y
        assert inner() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x.sigmoid() * x.exp()).sum(),
        lambda x: x.softmax(0).log().sum(),
        lambda x: x.max(dim=0).values.sum(),
        lambda x: bl.autograd.grad((x**3).sum(), x, create_graph=True)[0].sum(),
    ],
)
def test_a_dead_graph_is_free_at_once(make):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    gc.collect()
    gc.disable()
    try:
        y = make(x)
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_a_saved_output_keeps_its_graph_without_a_cycle():
    x = leaf(1.0)
    y = x.exp()
    (g,) = bl.autograd.grad(y, x, create_graph=True)
    (h,) = bl.autograd.grad(g, x)
    assert h.item() == pytest.approx(np.e)


def test_a_graph_has_no_cycle():
    """An operator can only read tensors that exist: edges lead to older Nodes."""
    x = leaf(2.0)
    y = ((x * x).exp() + x).sum()
    stack, seen = [y.grad_fn], set()
    while stack:
        node = stack.pop()
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], bl.autograd.Node):
                assert edge[0].id < node.id
                if edge[0].id not in seen:
                    seen.add(edge[0].id)
                    stack.append(edge[0])
    assert seen


def test_nodes_print_operator_line_and_shapes():
    x = leaf([1.0, 2.0])
    text = repr((x * 2).grad_fn)
    assert "mul #" in text and "leaf(2,)" in text and "test_engine.py:" in text


def test_no_grad_and_its_kin():
    x = leaf(2.0)

    @bl.no_grad()
    def double(t):
        return t * 2

    assert not double(x).requires_grad
    with bl.inference_mode():
        assert bl.is_inference_mode_enabled() and not (x * 2).requires_grad
    with bl.no_grad(), bl.enable_grad():
        assert (x * 2).requires_grad
    bl.set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
    finally:
        bl.set_grad_enabled(True)
    with bl.set_grad_enabled(False):
        assert not bl.is_grad_enabled()
    assert bl.is_grad_enabled()


def test_observers_see_the_four_moments():
    class Log(bl.autograd.Observer):
        def __init__(self):
            self.lines = []

        def before_forward(self, op, inputs, params):
            self.lines.append(f"> {op.name}")

        def after_forward(self, op, inputs, params, outputs, node):
            self.lines.append(f"< {op.name}")

        def before_backward(self, node, grads):
            self.lines.append(f">> {node.op.name} {grads[0].item():g}")

        def after_backward(self, node, grads, input_grads):
            self.lines.append(f"<< {[None if g is None else g.item() for g in input_grads]}")

    x, log = leaf(3.0), Log()
    with bl.autograd.observe(log):
        y = x * 4.0
        y.backward()
    assert log.lines[:2] == ["> mul", "< mul"]
    assert log.lines[2] == ">> mul 1" and log.lines[-1] == "<< [4.0, None]"
    assert "> mul" in log.lines[3:]  # the rule's own product is seen as well


def test_backward_of_ties_gradient_nodes_to_their_forward():
    x = leaf(3.0)
    y = x * x
    (g,) = bl.autograd.grad(y, x, create_graph=True)
    assert g.grad_fn.backward_of is y.grad_fn


def test_unused_outputs_give_no_gradient():
    x = leaf([1.0, 3.0, 2.0])
    values, indices = x.max(dim=0)
    assert not indices.requires_grad
    values.backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_float32_values_keep_float32_gradients():
    x = bl.tensor([1.0, -1.0], requires_grad=True)
    y = bl.tensor([2.0, 2.0], dtype=bl.float64, requires_grad=True)
    (bl.relu(x) * y).sum().backward()
    assert x.grad.dtype is bl.float32 and y.grad.dtype is bl.float64
