"""Derivations of the founding texts' examples: what they print, and that every line holds."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError
from backlit.nn import functional as F
from backlit.views.derive import Derivation, rules
from backlit.views.derive.terms import Matmul, Times

KATEX = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "katex" / "dist"
EXACT = 1e-12


def t(values: object, grad: bool = True) -> bl.Tensor:
    return bl.tensor(values, dtype=bl.float64, requires_grad=grad)


def holds(derivation: Derivation) -> Derivation:
    broken = [line.text for line in derivation.lines if not line.ok]
    assert not broken and derivation.error <= EXACT, broken
    return derivation


def line(derivation: Derivation, start: str, kind: str = "symbols") -> str:
    """The first line of a kind that begins so."""
    found = [x.text for x in derivation.lines if x.kind == kind and x.text.startswith(start)]
    assert found, f"no line {start!r} in\n{derivation}"
    return found[0]


def printed(derivation: Derivation, left: str) -> str:
    """What a line with numbers ends in."""
    return line(derivation, f"{left} = ", "numbers").rpartition(" = ")[2]


def grads(derivation: Derivation) -> dict[str, float]:
    return {w.name: w.grad for w in derivation.graph.leaves}


# ----- circuits of numbers -----


def test_c1_symbols_then_numbers() -> None:
    d = holds(bl.see.derive("q = x + y; f = q * z", x=-2, y=5, z=-4))
    assert line(d, "∂f/∂x") == "∂f/∂x = ∂f/∂q · ∂q/∂x = ∂f/∂q · 1"
    assert line(d, "∂f/∂x", "numbers") == "∂f/∂x = -4 · 1 = -4"
    assert [printed(d, f"∂f/∂{v}") for v in "qzy"] == ["-4", "3", "-4"]
    assert line(d, "∂f/∂f") == "∂f/∂f = 1"  # where the walk back starts


def test_wrt_chooses_what_is_derived() -> None:
    d = holds(bl.see.derive("q = x + y; f = q * z", "x", x=-2, y=5, z=-4))
    lefts = {x.text.split(" = ")[0] for x in d.lines if x.text.startswith("∂")}
    assert lefts == {"∂f/∂f", "∂f/∂q", "∂f/∂x"}
    x, y = t(2.0), t(3.0)
    assert "∂f/∂y" not in str(bl.see.derive(x * y, wrt=x))
    with pytest.raises(BacklitError, match="no value 'w'"):
        bl.see.derive(x * y, wrt="w")


NEURON = {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3}


def test_c6_c7_the_gates_of_a_sigmoid_are_one() -> None:
    text = "1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))"
    d = holds(bl.see.derive(text, **NEURON))
    assert "= σ(v₄) · (1 - σ(v₄))" in line(d, "∂f/∂v₄")  # after the step through the gates
    assert [printed(d, f"∂f/∂{v}") for v in ("x₀", "x₁")] == ["0.3932", "-0.5898"]
    assert [printed(d, f"∂f/∂{v}") for v in ("w₀", "w₁", "w₂")] == ["-0.1966", "-0.3932", "0.1966"]
    one = holds(bl.see.derive("sigma(w0*x0 + w1*x1 + w2)", **NEURON))
    for name, g in grads(d).items():
        assert abs(g - grads(one)[name]) <= 1e-15
    assert line(one, "∂f/∂v₄").endswith("∂f/∂f · (f · (1 - f))")


def test_c8_c9_forks_add_up() -> None:
    d = holds(bl.see.derive("(x + sigma(y)) / (sigma(x) + (x + y)^2)", x=3, y=-4))
    assert any("x is read by 3 gates" in x.text for x in d.lines)
    assert line(d, "∂f/∂x").count("∂f/∂v") == 6  # three contributions, by symbols and by formula
    assert (printed(d, "∂f/∂x"), printed(d, "∂f/∂y")) == ("2.06", "1.592")
    np.testing.assert_allclose(grads(d)["x"], 2.0595697955721652, rtol=1e-14)
    np.testing.assert_allclose(grads(d)["y"], 1.5922327514838093, rtol=1e-14)
    paths = str(d)[str(d).index("All paths") :]
    assert "∂f/∂v₂ · ∂v₂/∂x + ∂f/∂v₆ · ∂v₆/∂v₃ · ∂v₃/∂x" in paths


def test_c10_second_order() -> None:
    d = holds(bl.see.derive("(x + sigma(y)) / (sigma(x) + (x + y)^2)", x=3, y=-4, order=2))
    assert printed(d, "∂²f/∂x²") == "2.573"
    assert printed(d, "∂²f/∂y²") == "1.687"
    assert printed(d, "∂²f/(∂x ∂y)") == printed(d, "∂²f/(∂y ∂x)") == "2.12"


def test_c13_gates_route_and_swap() -> None:
    d = holds(bl.see.derive("2 * (x*y + max(z, w))", x=3, y=-4, z=2, w=-1))
    assert [printed(d, f"∂f/∂{v}") for v in "xyzw"] == ["-8", "6", "2", "0"]


# ----- matrices -----


def test_v2_by_matrices_and_by_indices() -> None:
    rng = np.random.default_rng(0)
    X, W = t(rng.normal(size=(2, 3)).tolist()), t(rng.normal(size=(3, 4)).tolist())
    Y = X @ W
    L = (Y * Y).sum()
    d = holds(bl.see.derive(L, form="index"))
    assert line(d, "∂L/∂X") == "∂L/∂X = (∂L/∂Y) Wᵀ"
    assert line(d, "∂L/∂W") == "∂L/∂W = Xᵀ ∂L/∂Y"
    assert line(d, "Yₘₙ") == "Yₘₙ = Σₖ Xₘₖ Wₖₙ"
    assert line(d, "∂Yₘₙ/∂Xᵢⱼ") == "∂Yₘₙ/∂Xᵢⱼ = [m = i] Wⱼₙ"
    double = line(d, "∂L/∂Xᵢⱼ")
    assert "Σₘ Σₙ (∂L/∂Yₘₙ) ∂Yₘₙ/∂Xᵢⱼ" in double and "Σₙ (∂L/∂Yᵢₙ) Wⱼₙ" in double
    assert "Yₘₙ" not in str(bl.see.derive(L))


def test_v3_columns() -> None:
    rng = np.random.default_rng(0)
    W, X = t(rng.normal(size=(5, 10)).tolist()), t(rng.normal(size=(10, 3)).tolist())
    D = W @ X
    L = (D * D).sum()
    d = holds(bl.see.derive(L))
    assert line(d, "∂L/∂W") == "∂L/∂W = (∂L/∂D) Xᵀ"
    assert line(d, "∂L/∂X") == "∂L/∂X = Wᵀ ∂L/∂D"
    assert "[5 × 10, ‖·‖ = " in line(d, "∂L/∂W", "numbers")  # too large to print


def test_broadcasting_sums_back() -> None:
    x, b = t([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), t([1.0, -1.0])
    L = ((x + b) * x).sum()
    d = holds(bl.see.derive(L))
    assert line(d, "∂L/∂b") == "∂L/∂b = Σᵢ ∂L/∂[v₁]_(i,:)"
    assert printed(d, "∂L/∂b") == "[9, 12]"


def test_n12_softmax_and_cross_entropy() -> None:
    z, labels = t([[1.0, 2.0, 0.5], [0.1, -1.0, 3.0]]), bl.tensor([0, 2])
    d = holds(bl.see.derive(F.cross_entropy(z, labels)))
    assert line(d, "∂f/∂z").endswith("= (1/2) (softmax(z) - onehot(labels))")


def test_n4_and_mse_in_closed_form() -> None:
    x, w, b, y = t([1.0, 2.0], False), t([0.5, -0.25]), t(0.1), t(1.0, False)
    a = bl.sigmoid((w * x).sum() + b)
    C = 0.5 * (a - y) ** 2
    d = holds(bl.see.derive(C))
    assert printed(d, "∂C/∂b") == "-0.1185" and printed(d, "∂C/∂w") == "[-0.1185, -0.2369]"
    out = t([[1.0, 2.0], [3.0, 4.0]])
    d = holds(bl.see.derive(F.mse_loss(out, t([[0.0, 1.0], [1.0, 1.0]], False))))
    assert line(d, "∂f/∂out").endswith("= 0.5 (out - c)")


def test_conv_norm_attention_have_their_rules() -> None:
    bl.manual_seed(0)
    x = bl.randn(2, 2, 5, 5, dtype=bl.float64, requires_grad=True)
    conv = nn.Conv2d(2, 3, 3, stride=2, padding=1).double()
    norm = nn.BatchNorm2d(3).double()
    d = holds(bl.see.derive((norm(conv(x)) ** 2).sum() * 0.5))
    assert "Σ_(n,i,j)" in line(d, "∂f/∂weight_(o,c,u,v)")
    assert "x_(n,c,2i + u - 1,2j + v - 1)" in line(d, "∂f/∂weight_(o,c,u,v)")
    assert line(d, "μ_v₂").startswith("μ_v₂ = (1/18) (Σ_(i,k,l) [v₁]")
    q = bl.randn(1, 4, 3, dtype=bl.float64, requires_grad=True)
    d = holds(bl.see.derive((F.scaled_dot_product_attention(q, q, q) ** 2).sum()))
    assert line(d, "P_").endswith("softmax(0.57735 (q qᵀ))")


# ----- the two-layer SVM -----


def test_n3_p11_the_derivation_is_complete() -> None:
    X, y = t([[1, -2], [0.5, 1]], False), bl.tensor([0, 2])
    W1, W2 = t([[1, -1], [-0.5, 2]]), t([[0.2, 0.4], [-0.3, 0.5], [0.6, -0.1]])
    rows, lam = bl.arange(2), 0.1
    H = bl.relu(X @ W1.T)
    s = H @ W2.T
    margins = bl.clamp(s - s[rows, y].unsqueeze(1) + 1, min=0)
    wrong = t([[0, 1, 1], [1, 1, 0]], False)
    L = (margins * wrong).sum() / 2 + lam * (W1**2).sum() + lam * (W2**2).sum()
    d = holds(bl.see.derive(L))
    assert printed(d, "L") == "3.778"
    for name in ("W₁", "W₂"):
        assert f"2 · 0.1 {name}" in line(d, f"∂L/∂{name}")  # the regularization's 2 lambda W
    assert printed(d, "∂L/∂W₁") == "[[0.4, -0.6], [0.175, 0.95]]"
    assert printed(d, "∂L/∂W₂") == "[[-1.46, 0.955], [-0.06, 0.975], [1.62, -1.77]]"
    # the gradient of the right class: minus the count of positive margins
    ones = "1[margins > 0, j ≠ y]"
    assert line(d, "∂L/∂s").endswith(f"= 0.5 ({ones} - onehot(y) ⊙ (Σⱼ {ones}_(:,j)))")
    assert printed(d, "∂L/∂s") == "[[-0.5, 0, 0.5], [0.5, 0.5, -1]]"
    assert "δ² = (δ³ W³) ⊙ ReLU'(z²)" in line(d, "δ²")


# ----- BP1 to BP4 -----


def nielsen(**options: object) -> Derivation:
    x, y = t([1.0, -2.0], False), t([1.0, 0.0], False)
    W2, b2 = t([[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]]), t([0.1, -0.1, 0.0])
    W3, b3 = t([[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]]), t([0.05, -0.05])
    a2 = bl.sigmoid(W2 @ x + b2)
    a3 = bl.sigmoid(W3 @ a2 + b3)
    C = 0.5 * ((y - a3) ** 2).sum()
    return bl.see.derive(C, **options)


def test_n7_to_n9_delta_of_every_layer() -> None:
    d = holds(nielsen())
    assert printed(d, "C") == "0.226"
    assert line(d, "δ³").startswith("δ³ = ∇ₐ C ⊙ σ'(z³) = (a³ - y) ⊙ σ'(z³)")
    assert printed(d, "δ³") == "[-0.1177, 0.1194]"
    assert line(d, "δ²").startswith("δ² = (W³ᵀ δ³) ⊙ σ'(z²)")
    assert printed(d, "δ²") == "[-0.01765, 0.01081, 0.003227]"
    assert line(d, "∂C/∂b²") == "∂C/∂b² = δ²" and line(d, "∂C/∂W³") == "∂C/∂W³ = δ³ a²ᵀ"
    assert printed(d, "∂C/∂W³").startswith("[[-0.05299, -0.04171, -0.01818]")
    assert printed(d, "∂C/∂W²").endswith("[0.003227, -0.006454]]")
    texts = [x.text for x in d.lines if x.kind == "words"]
    assert all(f"BP{k}, Layer {n}" in texts for k, n in ((1, 3), (2, 2), (3, 3), (4, 2)))


def test_p6_elements_equal_matrices() -> None:
    d = holds(nielsen())
    assert line(d, "z²ⱼ") == "z²ⱼ = Σₖ w²ⱼₖ a¹ₖ + b²ⱼ"
    assert line(d, "δ²ⱼ") == "δ²ⱼ = Σₖ w³ₖⱼ δ³ₖ σ'(z²ⱼ)"
    assert line(d, "∂C/∂w³ⱼₖ") == "∂C/∂w³ⱼₖ = a²ₖ δ³ⱼ"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_n10_proofs(language: str) -> None:
    d = holds(nielsen(numbers=False, proofs=True, language=language))
    titles = [x.text for x in d.lines if x.kind == "heading" and "BP" in x.text]
    proof = {"en": "Proof of BP{} (Layer {})", "zh": "BP{} 的证明 (第 {} 层)"}[language]
    for number, layer in ((1, 3), (2, 2), (3, 3), (4, 3), (3, 2), (4, 2)):
        assert proof.format(number, layer) in titles
    text = str(d)
    assert "δ³ⱼ = Σₖ (∂C/∂a³ₖ) ∂a³ₖ/∂z³ⱼ" in text  # BP1: the whole sum
    assert "δ³ⱼ = (∂C/∂a³ⱼ) ∂a³ⱼ/∂z³ⱼ" in text  # of which one term stays
    assert "∂z³ₖ/∂z²ⱼ = w³ₖⱼ σ'(z²ⱼ)" in text  # BP2: the step that proofs leave out
    assert "∂z³ᵢ/∂w³ⱼₖ = [i = j] a²ₖ" in text  # BP4


@pytest.mark.parametrize("turned", [False, True])
def test_a_batch_in_rows(turned: bool) -> None:
    bl.manual_seed(0)
    x, labels = bl.randn(5, 3, dtype=bl.float64), bl.tensor([0, 1, 0, 1, 1])
    if turned:
        first, second = (t(bl.randn(n, m).tolist()) for n, m in ((3, 4), (4, 2)))
        loss = F.cross_entropy(bl.tanh(x @ first) @ second, labels)
    else:
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        loss = F.cross_entropy(net(x), labels)
    d = holds(bl.see.derive(loss, numbers=False, proofs=True))
    transpose = "ᵀ" if turned else ""
    assert line(d, "δ²").startswith(f"δ² = (δ³ W³{transpose}) ⊙ tanh'(z²)")
    wanted = "a²ᵀ δ³" if turned else "δ³ᵀ a²"
    assert line(d, "∂loss/∂W³") == f"∂loss/∂W³ = {wanted}"
    assert line(d, "δ³").endswith("(1/5) (softmax(z³) - onehot(labels))")
    assert "Proof of BP2 (Layer 2)" in str(d) and "Proof of BP4 (Layer 2)" in str(d)


def test_what_is_no_network_has_no_layers() -> None:
    A = t([[1.0, 2.0], [0.5, 1.0]])
    assert "BP1" not in str(holds(bl.see.derive((A @ (A @ A)).sum())))
    assert "BP1" not in str(holds(bl.see.derive("x * y", x=1, y=2)))


def test_only_chains_are_layered() -> None:
    bl.manual_seed(0)
    x = bl.randn(4, 3, dtype=bl.float64)
    one, two = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()
    h = bl.tanh(one(x))
    skip = holds(bl.see.derive((h + two(h)).sum()))
    norm = nn.Sequential(one, nn.BatchNorm1d(3), nn.ReLU(), two).double()
    between = holds(bl.see.derive((norm(x) ** 2).mean()))
    tied = holds(bl.see.derive((bl.tanh(x @ one.weight.T) @ one.weight - x).square().sum()))
    chain = holds(bl.see.derive((two(h) ** 2).mean()))
    assert ["BP2" in str(d) for d in (skip, between, tied, chain)] == [False] * 3 + [True]
    assert "BP1" not in f"{skip}{between}{tied}"


# ----- lines that do not hold -----


def test_a_wrong_rule_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    W, X = t([[1.0, 2.0], [3.0, 4.0]]), t([[1.0, -1.0], [0.5, 2.0]])
    wrong = lambda back, i: Matmul(back.g, back.x(1))  # without the transpose
    monkeypatch.setitem(rules.RULES, "matmul", wrong)
    D = W @ X
    L = (D * D).sum()
    d = bl.see.derive(L)
    assert not d.ok and d.error > 1e-3
    (broken,) = {x.text.split(" = ")[0] for x in d.lines if not x.ok and "∂L/∂W" in x.text}
    assert broken == "∂L/∂W"
    assert "✗ does not hold" in str(d) and "(!)" in d.latex


def test_a_lost_contribution_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    from backlit.views.derive import chain

    monkeypatch.setattr(chain, "added", lambda terms: terms[-1])  # the last write wins
    d = bl.see.derive("(x + sigma(y)) / (sigma(x) + (x + y)^2)", x=3, y=-4)
    broken = {x.text.split(" = ")[0] for x in d.lines if not x.ok}
    assert {"∂f/∂x", "∂f/∂y"} <= broken


def test_a_users_wrong_backward_is_told() -> None:
    class Cube(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * x * g

    x = t(2.0)
    d = bl.see.derive(Cube.apply(x) + 1)
    assert not d.ok
    (told,) = [x.text for x in d.lines if not x.ok]
    assert told == (
        "The rule of Cube is not the derivative of what it computes:"
        " differences give 12, the rule 8."
    )
    assert line(d, "∂f/∂x") == "∂f/∂x = 2 · x · x · ∂f/∂v₁"  # what it does is shown all the same


def test_a_wrong_local_derivative_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from backlit.ops.op import REGISTRY

    wrong = lambda m, y: 1 - y  # of tanh, without the square
    monkeypatch.setitem(REGISTRY["tanh"].locals, 0, (wrong, ("y",), ()))
    d = bl.see.derive("tanh(x) * y", x=0.5, y=2)
    (told,) = [x.text for x in d.lines if not x.ok]
    assert told.endswith("differences give 1.573, the rule 1.076.")


def test_a_hook_is_told() -> None:
    x = t([1.0, 2.0])
    y = x * 2
    y.register_hook(lambda g: g * 3)
    d = bl.see.derive(y.sum())
    assert not d.ok and "A hook of the program changes the gradient of y here." in str(d)
    assert line(d, "∂f/∂y").startswith("∂f/∂y = (∂f/∂f) 1₂ ✗")
    assert printed(d, "∂f/∂x") == "[6, 6]"


def test_a_kink_is_not_told() -> None:
    assert bl.see.derive(bl.relu(t([0.0, 1.0, -1.0])).sum()).ok
    assert bl.see.derive(t([1.0, -3.0]).abs().sum()).ok


def test_float32_holds_to_its_rounding() -> None:
    bl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    loss = (net(bl.randn(3, 1, 6, 6)) ** 2).mean()
    d = bl.see.derive(loss)
    assert d.ok and 0 < d.error < 2e-5
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    loss = F.cross_entropy(net(bl.randn(5, 3)), bl.tensor([0, 1, 0, 1, 1]))
    d = bl.see.derive(loss, form="index", proofs=True)
    assert d.ok and 0 < d.error < 2e-5


def test_masked_branches_stay_out() -> None:
    x = t([-1.0, 4.0])
    L = bl.where(x > 0, x.sqrt(), 0.0).sum()
    d = holds(bl.see.derive(L))
    assert printed(d, "∂L/∂x") == "[0, 0.25]"


# ----- what it can be made of, and how it is shown -----


def test_a_seed_a_function_and_a_step() -> None:
    x = t([1.0, 2.0])
    d = holds(bl.see.derive(x * x, gradient=bl.tensor([1.0, 10.0], dtype=bl.float64)))
    assert printed(d, "∂L/∂x") == "[2, 40]"
    d = holds(bl.see.derive(lambda v: (v * v).sum(), None, x))
    assert any("is given" in y.text for y in bl.see.derive(x * x, gradient=x.detach()).lines)
    with pytest.raises(BacklitError, match="only a scalar"):
        bl.see.derive(x * x)
    with pytest.raises(BacklitError, match="form must be"):
        bl.see.derive("x * 2", x=1, form="matrices")
    with pytest.raises(BacklitError, match="language must be"):
        bl.see.derive("x * 2", x=1, language="de")
    with pytest.raises(BacklitError, match="order must be"):
        bl.see.derive("x * 2", x=1, order=3)


def test_numbers_may_be_left_out() -> None:
    d = bl.see.derive("x * y", x=3, y=4, numbers=False)
    assert {x.kind for x in d.lines} == {"heading", "words", "symbols"}


def test_latex_is_an_align_environment_per_section() -> None:
    d = bl.see.derive("x * y", x=3, y=4)
    latex = d.latex
    assert latex.count(r"\begin{align*}") == latex.count(r"\end{align*}") >= 2
    assert r"\frac{\partial f}{\partial x} &= \frac{\partial f}{\partial f}" in latex
    assert r"\subsection*{Forward: the values}" in latex
    assert d._repr_latex_().startswith("$$\\begin{aligned}")
    assert "<h4>Forward: the values</h4>" in d._repr_html_()


def test_chinese_words() -> None:
    d = bl.see.derive("x * x + x", x=3, language="zh")
    assert "反向：链式法则" in str(d) and "x 被 2 个门读取" in str(d)


@pytest.mark.skipif(
    shutil.which("node") is None or not KATEX.exists(), reason="KaTeX is not installed"
)
def test_katex_takes_every_line(tmp_path: Path) -> None:
    bl.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2)).double()
    loss = F.cross_entropy(net(bl.randn(5, 3, dtype=bl.float64)), bl.tensor([0, 1, 0, 1, 1]))
    made = [
        bl.see.derive(loss, form="index"),
        nielsen(proofs=True, language="zh"),
        bl.see.derive("(x + sigma(y)) / (sigma(x) + (x+y)^2)", x=3, y=-4, order=2),
    ]
    lines = [x.tex for d in made for x in d.lines] + [d._repr_latex_()[2:-2] for d in made]
    (tmp_path / "lines.json").write_text(json.dumps(lines))
    script = f"""
import katex from {json.dumps(str(KATEX / "katex.mjs"))};
import {{ readFileSync }} from "node:fs";
for (const line of JSON.parse(readFileSync("lines.json", "utf8")))
  katex.renderToString(line, {{ throwOnError: true, strict: "ignore", displayMode: true }});
"""
    (tmp_path / "check.mjs").write_text(script)
    done = subprocess.run(
        ["node", "check.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]


CIRCUITS = {
    "C1": ("(x + y) * z", {"x": -2, "y": 5, "z": -4}),
    "C4": ("1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", NEURON),
    "C8": ("(x + sigma(y)) / (sigma(x) + (x + y)^2)", {"x": 3, "y": -4}),
    "C13": ("2 * (x*y + max(z, w))", {"x": 3, "y": -4, "z": 2, "w": -1}),
    "more": ("tanh(x*y) - sqrt(y^2 + 1) / ln(3 - x)", {"x": -0.5, "y": -2}),
    "powers": ("x^3 - 2^y + (x / y)^2 - abs(y)", {"x": -1.5, "y": -2}),
}


@pytest.mark.parametrize("name", CIRCUITS)
def test_printed_numbers_are_read_back(name: str) -> None:
    """What stands in a line, read by the LaTeX grammar, is what the line says."""
    text, values = CIRCUITS[name]
    d = holds(bl.see.derive(text, order=2, **values))
    for x in d.lines:
        if x.kind == "numbers":
            sides = [float(bl.expressions.run(side)[0]) for side in x.sides[1:]]
            np.testing.assert_allclose(sides, sides[-1], rtol=4e-3, atol=1e-3, err_msg=x.text)


def test_terms_write_what_they_compute() -> None:
    from backlit.views.derive.terms import Minus, Number, Plus, Symbol, Transposed

    a, b = Symbol("a", np.array([[1.0, 2.0]])), Symbol("b", np.array([[3.0], [4.0]]))
    made = Plus(Matmul(a, b), Minus(Times(Number(2), Transposed(b))))
    assert str(made.tex()) == r"a b - 2 \, {b}^{\top}"
    np.testing.assert_array_equal(made.value, [[11 - 6, 11 - 8]])
    assert made.bound.max() == 11 + 8
