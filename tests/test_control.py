"""Loops and branches as instructions: equal to Python's loops, whatever their code does."""

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import tree
from backlit.backends import reference
from backlit.errors import BacklitError, GradError, ProgramError
from backlit.program import capture, parse, write


@pytest.fixture(autouse=True)
def double():
    bl.set_default_dtype(bl.float64)
    bl.manual_seed(0)
    yield
    bl.set_default_dtype(bl.float32)


def looped(f, init, xs, reverse=False):
    """What bl.scan means."""
    rows = list(tree.leaves(xs))
    times = range(len(rows[0]))
    carry, found = init, {}
    for t in reversed(times) if reverse else times:
        carry, found[t] = f(carry, tree.rebuild(xs, (x[t] for x in rows)))
    each = zip(*(tree.leaves(found[t]) for t in times))
    return carry, tree.rebuild(found[0], (bl.stack(list(e)) for e in each))


def close(found, expected):
    for x, y in zip(found, expected, strict=True):
        x, y = (np.asarray(getattr(v, "array", v)) for v in (x, y))
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def through_programs(step):
    """The step captured: its Program keeps the rules, is read again, and gives the same."""
    found = capture(step)
    assert reference.check(found.program) == found.program
    assert parse(write(found.program)) == found.program
    close(reference.run(found.program, found.arrays), tree.leaves(found.result))
    return found


def gradients(y, inputs, order):
    """The sums of squares of gradients, order after order."""
    found = [y]
    for _ in range(order):
        grads = bl.autograd.grad(y, inputs, create_graph=True, materialize_grads=True)
        found += grads
        y = sum(((g * g).sum() for g in grads), bl.tensor(0.0)) / 10
    return found


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_third_order(reverse):
    w, h0, xs = (bl.randn(*s, requires_grad=True) for s in ((3, 3), (2, 3), (4, 2, 3)))

    def value(scan):
        def f(h, x):
            h = (h @ w + x).tanh()
            return h, (h.sum(), h * w[0])

        h, (sums, products) = scan(f, h0, xs, reverse=reverse)
        return (h * h).sum() + (sums**2).sum() + products.prod()

    def step(scan=bl.scan):
        return gradients(value(scan), [w, h0, xs], 3)

    close(step(), step(looped))
    through_programs(step)


def test_a_program_does_not_grow_with_the_length():
    w = bl.randn(3, 3, requires_grad=True)

    def step(xs):
        h, _ = bl.scan(lambda h, x: ((h @ w + x).tanh(), None), bl.zeros(3), xs)
        return bl.autograd.grad(h.sum(), w)

    sizes = {len(write(capture(step, bl.randn(n, 3)).program).splitlines()) for n in (3, 200)}
    assert len(sizes) == 1


def test_loops_and_branches_within_each_other():
    w, xs = bl.randn(3, 3, requires_grad=True), bl.randn(4, 5, 3, requires_grad=True)

    def value(scan, cond):
        def row(h, x):
            h = cond(h.sum() > 0, lambda h: h @ w, lambda h: (h * x).sin() + w[1], h)
            return h, h.sum()

        def block(h, rows):
            h, sums = scan(row, h, rows)
            return h.tanh(), (sums * w[0, 0]).sum()

        h, ys = scan(block, bl.ones(3), xs)
        return h.sum() + (ys * ys).sum()

    def chosen(pred, f, g, *operands):
        return f(*operands) if pred else g(*operands)

    def step():
        return gradients(value(bl.scan, bl.cond), [w, xs], 2)

    close(step(), gradients(value(looped, chosen), [w, xs], 2))
    through_programs(step)


def test_the_choice_is_made_at_every_run():
    w = bl.tensor(3.0, requires_grad=True)

    def step(x):
        y = bl.cond(x > 0, lambda x: x.sqrt() * w, lambda x: x * x, x)
        return y, *bl.autograd.grad(y, [x, w], allow_unused=True, materialize_grads=True)

    def leaf(value):
        return bl.tensor(value, requires_grad=True)

    program, arrays, _ = (lambda c: (c.program, c.arrays, c.result))(capture(step, leaf(4.0)))
    for value in (4.0, -4.0):
        given = [np.asarray(value), *arrays[1:]]
        close(reference.run(program, given), step(leaf(value)))


def test_where_a_body_ends_gradients():
    w, h0 = bl.randn(3, requires_grad=True), bl.randn(3, requires_grad=True)

    def value(scan):
        def f(h, x):
            with bl.no_grad():
                scale = (w * h).exp()
            inner = h.detach() if x.shape else h
            g = bl.autograd.grad((h.detach() * w).sum() ** 2, w)[0]
            return h * scale + inner * w.detach() + w + g * x, (h > 0).sum()

        h, counts = scan(f, h0, bl.arange(3.0))
        return (h * counts.sum()).sum()

    close(gradients(value(bl.scan), [w, h0], 1), gradients(value(looped), [w, h0], 1))


def test_cells_that_a_body_refills_are_carried():
    norm = bl.nn.BatchNorm1d(3)
    count, xs = bl.tensor(0), bl.randn(4, 5, 3, requires_grad=True)

    def f(h, x):
        count.add_(1)
        h = norm(h + x) * count
        return h, None

    found = []
    for scan in (bl.scan, looped):
        norm.reset_running_stats()
        count.fill_(0)
        h, _ = scan(f, bl.zeros(5, 3), xs)
        state = [norm.running_mean, norm.running_var, norm.num_batches_tracked, count]
        assert not any(s.requires_grad for s in state)
        grads = bl.autograd.grad((h**2).sum(), [xs, *norm.parameters()])
        found.append([h, *grads, *(s.clone() for s in state)])
    close(*found)
    before = count.clone()
    with pytest.raises(RuntimeError, match="broken"):
        bl.scan(lambda h, x: (count.add_(1), (_ for _ in ()).throw(RuntimeError("broken"))), xs, xs)
    close([count], [before])


def test_a_gradient_does_not_go_through_a_cell():
    for h in (bl.ones(3, requires_grad=True) * 2, bl.ones(3)):
        before, values = h.grad_fn, h.clone()

        def f(c, x, h=h):
            h.add_(x * c)
            return c, h

        with pytest.raises(GradError, match="a gradient goes through it"):
            bl.scan(f, bl.ones((), requires_grad=True), bl.ones(2))
        assert h.grad_fn is before
        close([h.detach()], [values.detach()])


def test_what_a_loop_cannot_keep_is_refused():
    w = bl.ones(2, requires_grad=True)

    def walks(h, x):
        (h * w).sum().backward()
        return h, x

    def looks(h, x):
        return h, h if w.grad is None else x

    def assigns(h, x):
        w.data = bl.zeros(2)
        return h, x

    for f, words in ((walks, "use"), (looks, "uses .grad"), (assigns, "assigns to .data")):
        with pytest.raises(GradError, match=words):
            bl.scan(f, bl.ones(2), bl.ones(3, 2))
    assert w.grad is None and w.detach().tolist() == [1.0, 1.0]


def test_a_cell_that_is_only_written():
    last = bl.zeros(2)

    def f(h, x):
        last.copy_(h * x)
        return h + x, None

    bl.scan(f, bl.ones(2), bl.ones(3, 2))
    close([last], [np.full(2, 3.0)])


def test_random_numbers_are_those_of_the_loop():
    w, xs = bl.randn(3, 3, requires_grad=True), bl.randn(4, 3)

    def f(h, x):
        h = F.dropout((h @ w + x).tanh(), 0.5)
        return h + bl.randn(3), F.dropout(h, 0.2)

    found = []
    for scan in (bl.scan, looped):
        bl.manual_seed(3)
        h, ys = scan(f, bl.zeros(3), xs)
        found.append(gradients(h.sum() + (ys**2).sum(), [w], 2))
        assert bl.get_rng_state() == (3, 36)
    close(*found)


def test_what_no_program_holds_runs_step_by_step():
    class Twice(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return bl.tensor(x.detach().numpy() * 2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    seen = []

    def hooked(h, x):
        h = h * x
        h.register_hook(lambda g: seen.append(g) or g * 10)
        return h, h

    for f in (lambda h, x: (Twice.apply(h) * x, h), hooked):
        x, xs = bl.ones(2, requires_grad=True), bl.arange(1.0, 4.0)
        close(*(gradients(s(f, x, xs, reverse=True)[0].sum(), [x], 1) for s in (bl.scan, looped)))
    assert len(seen) == 6


TRANSFORMED = {
    "jvp": lambda f, w, h: bl.func.jvp(f, (w, h), (w * 2, h + 1)),
    "hvp": lambda f, w, h: bl.func.hvp(f, (w, h), (w * 2, h + 1)),
    "hessian": lambda f, w, h: bl.func.hessian(lambda h: f(w, h))(h),
    "vmap": lambda f, w, h: bl.func.vmap(bl.func.grad(f), (None, 0))(w, bl.stack([h, h * 2])),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_functions_of_functions(name):
    w, h0, xs = bl.randn(3, 3), bl.randn(3), bl.randn(4, 3)

    def value(scan, w, h0):
        h, ys = scan(lambda h, x: ((h @ w + x).tanh(), h * x), h0, xs)
        return h.sum() + (ys**2).sum()

    found, expected = (
        TRANSFORMED[name](lambda w, h, s=s: value(s, w, h), w, h0) for s in (bl.scan, looped)
    )
    close(list(tree.leaves(found)), list(tree.leaves(expected)))


def test_a_mask_within_a_step_keeps_its_power():
    xs = bl.tensor([-1.0, 4.0, 9.0], requires_grad=True)
    h, _ = bl.scan(lambda h, x: (bl.where(x > 0, x.sqrt(), 0.0) + h, None), bl.zeros(()), xs)
    close(bl.autograd.grad(h, xs), [np.array([0, 1 / 4, 1 / 6])])


def test_branches_share_what_both_read():
    w = bl.ones(2, requires_grad=True)
    found = capture(
        lambda x: bl.cond(x > 0, lambda x: (x * w).sum(), lambda x: (x + w.detach() - w).sum(), x),
        bl.tensor(1.0),
    )
    (instr,) = [i for i in found.program.instrs if i.op == "branch"]
    assert len(instr.inputs) == 4  # the predicate, w with and without its gradient, x


def test_reading_a_value_within_is_refused():
    for f in (lambda h, x: (h if h > 0 else x, None), lambda h, x: (h * x.item(), None)):
        with pytest.raises(ProgramError, match="read into Python"):
            bl.scan(f, bl.ones(()), bl.ones(3))


def test_no_steps():
    w, h = bl.ones(3, requires_grad=True), bl.randn(3, requires_grad=True)
    carry, ys = bl.scan(lambda h, x: (h * w, h.sum()), h, bl.zeros(0, 3))
    assert ys.shape == (0,)
    close(gradients(carry.sum(), [w, h], 1), [h.sum(), bl.zeros(3), bl.ones(3)])


def test_structures_and_numbers():
    f = lambda c, _: ({"n": c["n"] + 1, "h": [c["h"][0] * 2]}, (c["n"], None, 1.5))
    carry, (counts, none, constant) = bl.scan(f, {"n": 0, "h": [1.0]}, length=3)
    assert (int(carry["n"]), float(carry["h"][0]), none) == (3, 8.0, None)
    assert counts.tolist() == [0, 1, 2] and constant.tolist() == [1.5] * 3


def test_branches_refill_cells():
    seen = bl.zeros(())

    def f(x):
        seen.add_(1)
        return x

    def step(x):
        return bl.cond(x > 0, f, lambda x: -x, x), seen.clone()

    found = capture(step, bl.tensor(2.0))
    close([seen, *found.result], [1.0, 2.0, 1.0])
    for value, count in ((3.0, 1.0), (-3.0, 0.0)):
        arrays = [np.asarray(value if v.name == "x0" else a)
                  for v, a in zip(found.program.inputs, found.arrays)]  # fmt: skip
        close(reference.run(found.program, arrays), [3.0, count])


def test_errors_name_what_is_wrong():
    with pytest.raises(BacklitError, match=r"got a carry of \(float64\[3\],\) and returned"):
        bl.scan(lambda c, x: ((c[0].sum(),), x), (bl.ones(3),), bl.ones(2))
    with pytest.raises(BacklitError, match="inner sizes differ"):
        bl.scan(lambda c, x: (c @ bl.ones(2, 2), x), bl.ones(3, 3), bl.ones(2))
