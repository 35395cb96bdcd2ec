"""`bl.see.source`: the contract's examples as text, names, remarks, and files that run alone."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ArgumentTypeError, GradError, ProgramError
from backlit.nn import functional as F


def scalar(value):
    return bl.tensor(value, dtype=bl.float64, requires_grad=True)


def statements(text):
    """Code without remarks, of everything from the inputs on."""
    lines = text.split("# ----- inputs -----")[1].split('if __name__ == "__main__"')[0].split("\n")
    return [line.split("  #")[0] for line in lines if line and not line.startswith("#")]


def staged():
    """Contract row C8, in the names of the text."""
    x, y = scalar(3.0), scalar(-4.0)
    sigy = 1.0 / (1 + bl.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + bl.exp(-x))
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1.0 / den
    f = num * invden
    return x, y, f


# ----- the contract's circuits -----


def test_the_first_circuit_line_by_line():
    x, y, z = scalar(-2.0), scalar(5.0), scalar(-4.0)
    q = x + y
    f = q * z
    assert statements(bl.see.source(f)) == [
        "x = -2.0", "y = 5.0", "z = -4.0",
        "q = x + y", "f = q * z",
        "df = 1.0", "dq = df * z", "dz = df * q", "dx = dq", "dy = dq",
    ]  # fmt: skip


def test_the_first_circuit_from_text():
    found = bl.see.source("(x + y) * z", x=-2, y=5, z=-4).run()
    assert [found[k] for k in ("f", "df", "dx", "dy", "dz")] == [-12, 1, -4, -4, 3]


def test_staged_values_and_all_named_intermediates():
    x, y, f = staged()
    found = bl.see.source(f).run()
    assert (found["x"], found["y"]) == (x.item(), y.item())
    forward = {
        "sigy": 0.01798620996209156, "num": 3.0179862099620918, "sigx": 0.9525741268224334,
        "xpy": -1.0, "xpysqr": 1.0, "den": 1.9525741268224333, "invden": 0.5121444488396316,
        "f": 1.5456448841066441,
    }  # fmt: skip
    backward = {
        "dnum": 0.5121444488, "dinvden": 3.0179862100, "dden": -0.7915934473,
        "dsigx": -0.7915934473, "dxpysqr": -0.7915934473, "dxpy": 1.5831868945,
        "dsigy": 0.5121444488,
    }  # fmt: skip
    for name, value in forward.items():
        assert found[name] == pytest.approx(value, rel=1e-15), name
    for name, value in backward.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert found["dx"] == pytest.approx(2.0595697955721652, rel=1e-14)
    assert found["dy"] == pytest.approx(1.5922327514838093, rel=1e-14)


def test_the_backward_recomputes_no_exponential():
    f = staged()[2]
    lines = statements(bl.see.source(f))
    start = lines.index("df = 1.0")
    assert sum("np.exp" in line for line in lines[:start]) == 2
    assert not any("np.exp" in line for line in lines[start:])


def test_the_numbers_are_the_engines_to_the_bit():
    x, y, f = staged()
    found = bl.see.source(f).run()
    f.backward()
    assert (found["f"], found["dx"], found["dy"]) == (f.item(), x.grad.item(), y.grad.item())


def test_backward_lines_come_in_reverse_and_name_the_line_that_they_differentiate():
    f = staged()[2]
    text = bl.see.source(f)
    lines = text.split("\n")
    start = lines.index("# ----- backward -----")
    named = [int(m[1]) for line in lines[start:] if (m := re.search(r"# from line (\d+)", line))]
    assert named == sorted(named, reverse=True)
    for line in lines[start + 2 :]:
        found = re.search(r"# from line (\d+) \(test_source.py:\d+\): (.*)$", line)
        if found:
            assert lines[int(found[1]) - 1].startswith(found[2])
            target = line.split(" = ")[0].removeprefix("d")
            about = (target, target.rpartition("_")[0])  # `dx_1` is a contribution to `dx`
            assert any(re.search(rf"\b{name}\b", found[2]) for name in about if name), line
        elif line.startswith("d"):
            assert "its gradients add up" in line


def test_gates_of_a_max_circuit():
    x, y, z, w = scalar(3.0), scalar(-4.0), scalar(2.0), scalar(-1.0)
    f = 2 * (x * y + bl.maximum(z, w))
    found = bl.see.source(f).run()
    assert [float(found[k]) for k in ("f", "dx", "dy", "dz", "dw")] == [-20, -8, 6, 2, 0]


# ----- names -----


def test_names_avoid_keywords_builtins_and_each_other():
    values = {"lambda": 2.0, "sum": 3.0, "dx": 4.0, "x": 5.0, "np": 6.0}
    tensors = {name: scalar(v) for name, v in values.items()}
    f = tensors["lambda"] * tensors["sum"] * tensors["dx"] * tensors["x"] * tensors["np"]
    text = bl.see.source(f)
    found = text.run()
    grads = bl.autograd.grad(f, list(tensors.values()))
    assert sorted(g.item() for g in grads) == sorted(found[d] for d in text.gradients.values())
    assert "lambda" not in found
    assert found["np"] is np


def test_the_same_subject_gives_the_same_text():
    f = staged()[2]
    assert bl.see.source(f) == bl.see.source(f)


def test_parameters_have_the_names_of_the_model():
    bl.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(bl.tanh(self.hidden(x)))

    net = Net().double()
    loss = net(bl.randn(5, 3).double()).square().mean()
    found = bl.see.source(loss).run()
    loss.backward()
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(found[f"d{name.replace('.', '_')}"], p.grad.numpy())


# ----- steps -----


def make_step(rule, **options):
    bl.manual_seed(3)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, 3)).double()
    optimizer = getattr(bl.optim, rule)(net.parameters(), lr=0.1, **options)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return net, step, bl.randn(6, 4).double(), bl.randint(0, 3, (6,))


RULES = {
    "SGD": {"momentum": 0.9, "nesterov": True}, "Adam": {}, "AdamW": {"weight_decay": 0.1},
    "Adamax": {}, "NAdam": {}, "RAdam": {}, "Adagrad": {}, "Adadelta": {}, "RMSprop": {},
    "ASGD": {}, "Rprop": {},
}  # fmt: skip


def test_every_optimizer_has_a_row():
    rules = {
        name for name, rule in vars(bl.optim).items()
        if isinstance(rule, type) and issubclass(rule, bl.optim.Optimizer)
    }  # fmt: skip
    assert rules - {"Optimizer", "LBFGS"} == set(RULES)  # LBFGS reads its loss into Python


@pytest.mark.parametrize("rule", RULES)
def test_the_update_is_the_optimizers(rule):
    net, step, x, y = make_step(rule, **RULES[rule])
    for _ in range(2):
        text = bl.see.source(step, x, y)
        found = text.run()
        loss = step(x, y)
        assert found["loss"] == loss.item()
        for name, p in net.named_parameters():
            shown = f"layer{name.replace('.', '_')}"
            np.testing.assert_allclose(found[shown], p.detach().numpy(), rtol=1e-13, atol=1e-15)
            np.testing.assert_allclose(found[f"d{shown}"], p.grad.numpy(), rtol=1e-13, atol=1e-15)


def test_reading_a_step_changes_nothing():
    net, step, x, y = make_step("Adam")
    before = [p.detach().numpy().copy() for p in net.parameters()]
    state = bl.get_rng_state()
    bl.see.source(step, x, y)
    assert bl.get_rng_state() == state
    assert all(p.grad is None for p in net.parameters())
    for p, old in zip(net.parameters(), before):
        np.testing.assert_array_equal(p.detach().numpy(), old)


@pytest.mark.parametrize("fused", [False, True])
def test_a_compiled_step_before_and_after_fusion(fused):
    net, step, x, y = make_step("SGD")
    compiled = bl.compile(step)
    text = bl.see.source(compiled, x, y, fused=fused)
    found = text.run()
    loss = compiled(x, y)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-13)
    for name, p in net.named_parameters():
        shown = f"layer{name.replace('.', '_')}"
        np.testing.assert_allclose(found[shown], p.detach().numpy(), rtol=1e-12, atol=1e-15)
    assert ("def fused(" in text) is fused


def test_a_compiled_step_without_its_inputs_has_stand_ins():
    _, step, x, y = make_step("SGD")
    compiled = bl.compile(step)
    with pytest.raises(ArgumentError, match="has not been called"):
        bl.see.source(compiled)
    compiled(x, y)
    text = bl.see.source(compiled)
    assert text.count("a stand-in, put your own here") == 2
    assert np.isfinite(text.run()["loss"])


# ----- loops and branches -----


def test_a_scan_is_a_loop_forward_and_backward():
    bl.manual_seed(1)
    xs, w = bl.randn(5, 3).double().requires_grad_(), bl.randn(3).double().requires_grad_()

    def total(xs, w):
        def body(h, x):
            h = (h * w + x).tanh()
            return h, h

        h, ys = bl.scan(body, bl.zeros(3, dtype=bl.float64), xs)
        return (ys * ys).sum() + h.sum()

    text = bl.see.source(total, xs, w)
    found = text.run()
    loss = total(xs, w)
    grads = bl.autograd.grad(loss, [xs, w])
    assert "for t in range(5):" in text
    assert "for t in reversed(range(5)):" in text
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-14)
    np.testing.assert_allclose(found["dxs"], grads[0].numpy(), rtol=1e-13)
    np.testing.assert_allclose(found["dw"], grads[1].numpy(), rtol=1e-13)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_branch_is_chosen_by_the_value(sign):
    x = scalar(sign)

    def f(x):
        return bl.cond(x > 0, lambda x: x.exp(), lambda x: x * x, x)

    found = bl.see.source(f, x).run()
    (g,) = bl.autograd.grad(f(x), [x])
    assert found["dx"] == g.item()


def test_recurrent_operators_keep_their_loop():
    bl.manual_seed(1)
    net = nn.LSTM(3, 4).double()
    loss = net(bl.randn(5, 2, 3).double())[0].square().sum()
    text = bl.see.source(loss)
    found = text.run()
    loss.backward()
    assert len(re.findall(r"for t in ", text)) == 2
    np.testing.assert_allclose(found["dweight_hh_l0"], net.weight_hh_l0.grad.numpy(), rtol=1e-12)


def lstm_cell(x, cell):
    h = c = bl.zeros(2, 4, dtype=bl.float64)
    for t in range(6):
        h, c = cell(x[t], (h, c))
    return (h * h).sum()


def gru_cell(x, cell):
    h, seen = bl.zeros(2, 4, dtype=bl.float64), []
    for row in x.unbind(0):
        h = cell(row, h)
        seen.append(h)
    return bl.stack(seen).pow(2).mean()


def rnn_cell(x, cell):
    h = bl.zeros(2, 4, dtype=bl.float64)
    for t in reversed(range(6)):
        h = cell(x[t], h)
    return h.sum()


@pytest.mark.parametrize("run", [lstm_cell, gru_cell, rnn_cell])
def test_a_python_loop_that_was_unrolled_is_a_loop_again(run):
    bl.manual_seed(0)
    cell = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[run.__name__[:-5]]
    cell = cell(3, 4).double()
    x = bl.randn(6, 2, 3).double().requires_grad_()
    loss = run(x, cell)
    text = bl.see.source(loss)
    found = text.run()
    loss.backward()
    assert text.count("for t in range(") + text.count("for t in reversed(range(") == 2
    assert text.count("@ weight_hh.T") == 1
    assert found["loss"] == loss.item()
    np.testing.assert_allclose(found["dx"], x.grad.numpy(), rtol=1e-13, atol=1e-15)
    for name, p in cell.named_parameters():
        np.testing.assert_allclose(found[f"d{name}"], p.grad.numpy(), rtol=1e-13, atol=1e-15)


def test_a_loop_over_layers_keeps_each_gradient():
    bl.manual_seed(0)
    weights = [bl.randn(4, 4).double().requires_grad_() for _ in range(5)]
    h = bl.randn(2, 4).double()
    for w in weights:
        h = bl.tanh(h @ w)
    del w  # a second name of the last
    loss = h.sum()
    text = bl.see.source(loss)
    found = text.run()
    loss.backward()
    assert "for t in range(5):" in text
    for i, w in enumerate(weights):
        np.testing.assert_array_equal(found[f"dweights{i}"], w.grad.numpy())


def test_a_number_that_counts_is_the_loops_variable():
    x = scalar(0.5)
    y = x
    for n in range(1, 7):
        y = y * x + n
    found = bl.see.source(y).run()
    (g,) = bl.autograd.grad(y, [x])
    assert found["dx"] == pytest.approx(g.item(), rel=1e-15)


def test_blocks_of_different_modules_stay_apart():
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(5))).double()
    text = bl.see.source(net(bl.randn(2, 4).double()).sum())
    assert "for " not in text


# ----- files -----


def test_a_saved_file_runs_alone(tmp_path):
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 15), nn.ReLU(), nn.Linear(15, 1)).double()
    loss = net(bl.randn(7, 20).double()).square().mean()
    path = tmp_path / "folder with space" / "net.py"
    path.parent.mkdir()
    text = bl.see.source(loss, path=path)
    assert path.read_text(encoding="utf-8") == text
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.npz", "net.py"]
    code = f"""
import runpy, sys
sys.modules["backlit"] = None
runpy.run_path({str(path)!r}, run_name="__main__")
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True,
                         text=True, check=True)  # fmt: skip
    loss.backward()
    shown = dict(line.split(" = ") for line in run.stdout.strip().split("\n"))
    assert float(shown["loss"]) == loss.item()
    norm = np.linalg.norm(net[0].weight.grad.numpy())
    assert float(shown["|dlayer0_weight|"]) == pytest.approx(norm, rel=1e-13)


def test_large_arrays_lie_beside_the_file_and_nothing_is_pickled(tmp_path):
    w = bl.randn(20, 20).double().requires_grad_()
    text = bl.see.source((w * w).sum())
    assert 'data["w"]' in text
    path = text.save(tmp_path / "step")
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as data:
        np.testing.assert_array_equal(data["w"], w.detach().numpy())


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -0.0, 5e-324, 1.7976931348623157e308])
@pytest.mark.parametrize("dtype", [bl.float64, bl.float32])
def test_extreme_numbers_read_back_bit_by_bit(value, dtype):
    with np.errstate(all="ignore"):
        x = bl.tensor([value, 1.0], dtype=dtype, requires_grad=True)
    found = bl.see.source((x * 1.0).sum()).run()["x"]
    array = x.detach().numpy()
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


def test_formulas_in_latex_make_a_file_without_warnings():
    text = bl.see.source(r"\frac{x}{y} \cdot x", x=3.0, y=2.0)
    assert compile(text, "step.py", "exec")
    assert text.run()["dx"] == 3.0


@pytest.mark.parametrize("name", ["step", "step.py", "step.v2"])
def test_names_of_files(tmp_path, name):
    w = bl.randn(200).double().requires_grad_()
    path = bl.see.source((w * w).sum()).save(tmp_path / name)
    assert path.name == f"{name.removesuffix('.py')}.py"
    assert path.with_suffix(".npz").exists()


def test_notebooks_show_the_text():
    text = bl.see.source(bl.relu(scalar(2.0)))
    assert text._repr_html_().startswith("<pre>")
    assert "(relu_1 &gt; 0)" in text._repr_html_() or "(loss &gt; 0)" in text._repr_html_()


def test_no_line_is_long():
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(),
                        nn.Linear(72, 3)).double()  # fmt: skip
    loss = F.cross_entropy(net(bl.randn(2, 1, 8, 8).double()), bl.tensor([0, 2]))
    assert max(map(len, bl.see.source(loss).split("\n"))) <= 120


# ----- what can't be printed -----


class Clipped(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return bl.from_numpy(np.clip(x.detach().numpy(), 0, 1))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ((x > 0) & (x < 1))


def test_code_of_the_users_that_is_no_operator_is_refused_by_name():
    x = bl.tensor([0.5, 2.0], dtype=bl.float64, requires_grad=True)
    with pytest.raises(ProgramError, match="Clipped"):
        bl.see.source(lambda x: Clipped.apply(x).sum(), x)
    with pytest.raises(ProgramError, match="Clipped"):
        bl.see.source(Clipped.apply(x).sum())


class Cube(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x * x


def test_a_function_of_operators_is_printed_as_what_it_does():
    x = bl.tensor([0.5, 2.0], dtype=bl.float64, requires_grad=True)
    made = bl.see.source(Cube.apply(x).sum()), bl.see.source(lambda x: Cube.apply(x).sum(), x)
    for found in made:
        np.testing.assert_array_equal(found.run()["dx"], [0.75, 12.0])


def test_half_precision_is_computed_in_single():
    x = bl.tensor([0.5, 2.0], dtype=bl.float16, requires_grad=True)
    text = bl.see.source((x * x).sum().float())
    found = text.run()
    assert "16-bit floats are computed in float32." in text.split("\n")[0]
    assert found["dx"].dtype == np.float32
    np.testing.assert_array_equal(found["dx"], [1.0, 4.0])


def test_subjects_without_a_graph():
    with pytest.raises(ArgumentTypeError, match="expected a tensor"):
        bl.see.source(3)
    with pytest.raises(GradError, match="no history"):
        bl.see.source(bl.tensor(1.0))
    with pytest.raises(ArgumentTypeError, match="return its loss"):
        bl.see.source(lambda: None)
