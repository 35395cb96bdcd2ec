"""The grammar: what it takes, what it refuses and at which column, and the way back to text."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from backlit.errors import BacklitError, FormulaError
from backlit.expressions import evaluate, parse, to_latex, to_text
from backlit.expressions.functions import elementwise
from backlit.expressions.nodes import (
    Binary,
    Call,
    Derivative,
    Formula,
    Index,
    Name,
    Number,
    Statement,
    Sum,
    Unary,
)

x, y, z = Name("x"), Name("y"), Name("z")
NAMES = {"x": 0.7, "y": -1.3, "z": 2.1}


def read(text, names=()):
    return parse(text, names).statements[0].value


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x - y - z", Binary("-", Binary("-", x, y), z)),
        ("x + y * z", Binary("+", x, Binary("*", y, z))),
        ("x / y * z", Binary("*", Binary("/", x, y), z)),
        ("-x^2", Unary(Binary("^", x, Number(2)))),
        ("x^y^z", Binary("^", x, Binary("^", y, z))),
        ("x**-y", Binary("^", x, Unary(y))),
        ("x' @ y", Binary("@", Call("transpose", (x,)), y)),
        ("x^T", Call("transpose", (x,))),
        ("sigmoid'(x)", Call("sigmoid", (x,), 1)),
        ("σ(x)", Call("sigmoid", (x,))),
        ("|x|", Call("abs", (x,))),
        ("||x||^2", Binary("^", Call("norm", (x,)), Number(2))),
        ("x ⊙ y", Binary("*", x, y)),
        ("1[x > 0]", Binary(">", x, Number(0))),
        ("sum[i](x[i] * y[i, 0])",
         Sum("i", Binary("*", Index(x, ("i",)), Index(y, ("i", 0))))),
        ("1e-3 * .5", Binary("*", Number(1e-3), Number(0.5))),
        ("e^x", Call("exp", (x,))),
        ("max(0, x)", Call("max", (Number(0), x))),
        ("x # comment", x),
    ],
)  # fmt: skip
def test_text(text, tree):
    assert read(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (r"\frac{x}{y}", Binary("/", x, y)),
        (r"\frac12", Binary("/", Number(1), Number(2))),
        ("{x}y z", Binary("·", Binary("·", x, y), z)),
        (r"2x\left(y + z\right)", Binary("·", Binary("·", Number(2), x), Binary("+", y, z))),
        (r"x \odot y", Binary("*", x, y)),
        (r"x \cdot y", Binary("·", x, y)),
        (r"\sigma'(x)", Call("sigmoid", (x,), 1)),
        (r"\sqrt{x}", Call("sqrt", (x,))),
        (r"\sqrt[3]{x}", Binary("^", x, Binary("/", Number(1), Number(3)))),
        (r"e^{-x}", Call("exp", (Unary(x),))),
        (r"\ln x^2", Call("log", (Binary("^", x, Number(2)),))),
        (r"\max\{0, x\}", Call("max", (Number(0), x))),
        (r"\tfrac{1}{2}\|x\|^2",
         Binary("·", Binary("/", Number(1), Number(2)),
                Binary("^", Call("norm", (x,)), Number(2)))),
        (r"\lvert x \rvert", Call("abs", (x,))),
        (r"x^{\top}", Call("transpose", (x,))),
        (r"\mathbf{x}^T", Call("transpose", (x,))),
        (r"\mathrm{relu}(x)", Call("relu", (x,))),
        (r"W_{1}", Name("W_1")),
        (r"\hat{y}", Name("y_hat")),
        (r"\lambda x", Binary("·", Name("lambda"), x)),
        (r"\mathbb{1}[x > 0]", Binary(">", x, Number(0))),
        (r"x^23 \quad", Binary("·", Binary("^", x, Number(2)), Number(3))),
        (r"\mathbf{1}(x > 0)", Binary(">", x, Number(0))),
        (r"\mathbb{I}_{x > 0}", Binary(">", x, Number(0))),
        (r"\tanh^2(x)", Binary("^", Call("tanh", (x,)), Number(2))),
        (r"\sin^2 x", Binary("^", Call("sin", (x,)), Number(2))),
        (r"\sigma^2(x)", Binary("^", Call("sigmoid", (x,)), Number(2))),
        (r"\log_2 x", Call("log2", (x,))),
        (r"\log_{10}(x)", Call("log10", (x,))),
        (r"\|x\|_2^2", Binary("^", Call("norm", (x,)), Number(2))),
        (r"\mathbf{I} x", Binary("·", Name("I"), x)),
        (r"\begin{aligned} &x y \end{aligned}", Binary("·", x, y)),
        (r"\sum_{i=1}^{n} x_i", Sum("i", Index(x, ("i",)))),
        ("$x y$", Binary("·", x, y)),
    ],
)  # fmt: skip
def test_latex(text, tree):
    assert read(text) == tree


def test_superscripts_are_names_where_declared():
    assert read(r"{a}^{2}") == Binary("^", Name("a"), Number(2))
    assert read(r"a^{2}{}".removesuffix("{}"), ["a^2"]) == Name("a^2")
    assert read(r"W^{[1]}x", ["W^{[1]}", "x"]) == Binary("·", Name("W^{[1]}"), x)
    assert read(r"(w^{l+1})^T", ["w^{l+1}"]) == Call("transpose", (Name("w^{l+1}"),))
    assert read(r"z_j^l{}".removesuffix("{}") + r"\,", ["z_j^l"]) == Name("z_j^l")
    assert read("a^2 + x^2", ["a^2", "x"]) == Binary("+", Name("a^2"), Binary("^", x, Number(2)))
    both = parse(r"a^{2} = x y \\ q = a^{2} x^{2}")
    assert both.statements[1].value == Binary("·", Name("a^2"), Binary("^", x, Number(2)))


def test_subscripts_are_indices_where_the_name_without_them_has_a_value():
    assert read(r"w_{jk}x_k\,", ["w", "x"]) == Binary(
        "·", Index(Name("w"), ("j", "k")), Index(x, ("k",))
    )
    assert read(r"w_{jk}\,", ["w_jk"]) == Name("w_jk")
    (statement,) = parse(r"z_j = \sum_k w_{jk} x_k").statements
    assert (statement.target, statement.indices) == ("z", ("j",))


@pytest.mark.parametrize("text", [
    "f = x * y; df/dx = y", r"f = xy; \frac{\partial f}{\partial x} = y\,", "f = x*y; ∂f/∂x = y",
    r"f(x, y) = xy; \frac{df}{dx} = y\,", r"f = xy; \nabla_x f = y",
])  # fmt: skip
def test_claims(text):
    _, claim = parse(text).statements
    assert claim == Statement("x", y, claim=True, of="f")


@pytest.mark.parametrize("text", [
    "d/dx (x * y) = y", "∂/∂x (x * y) = y", r"\frac{d}{dx} xy = y",
    r"\frac{\partial}{\partial x}(x y) = y", r"\frac{\mathrm{d}}{\mathrm{d}x}(x y) = y",
])  # fmt: skip
def test_claims_about_expressions_give_them_a_name(text):
    made, claim = parse(text).statements
    assert (made.target, claim.target, claim.of, claim.value) == ("f", "x", "f", y)
    assert parse(f"f = x * y; {text}").statements[1].target == "g"


@pytest.mark.parametrize("text", ["f(x) = x^3; f'(x) = 3 * x^2", r"f(x) = {x}^3; f'(x) = 3x^2"])
def test_claims_in_lagranges_notation(text):
    made, claim = parse(text).statements
    assert (made.target, claim.of, claim.target) == ("f", "f", "x")
    with pytest.raises(FormulaError, match="derivative of a function"):
        parse("q'(x) = 3")
    with pytest.raises(FormulaError, match="parentheses"):
        parse("d/dx x^2 + x = 2 * x + 1")


def test_short_claims_and_staged_code():
    formula = parse("q = x + y; f = q * z; dq = z; dx = dq; dx += 0 * dq")
    assert [(s.target, s.claim, s.adds) for s in formula.statements] == [
        ("q", False, False), ("f", False, False), ("q", True, False), ("x", True, False),
        ("x", True, True),
    ]  # fmt: skip
    assert formula.result == "f"
    assert formula.free_names() == ("x", "y", "z")
    assert parse("dx = 2").statements[0].claim is False  # nothing is known of x


def test_derivatives_within_formulas():
    formula = parse("q = x + y; f = q * z; df/dx = df/dq * dq/dx")
    assert formula.claims[0].value == Binary("*", Derivative("f", "q"), Derivative("q", "x"))
    latex = parse(r"f = x y \\ g = \frac{\partial f}{\partial x}")
    assert latex.statements[1].value == Derivative("f", "x")


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("(x + y", 7, "expected ')', found the end"),
        ("x + * y", 5, "expected a number, a name or '('"),
        ("2x", 2, "expected an operator"),
        ("x y", 3, "expected an operator"),
        ("x ? y", 3, "not part of the grammar"),
        ("foo(x)", 1, "no function is named 'foo'"),
        ("sigmod(x)", 1, "did you mean sigmoid"),
        ("x = ", 5, "expected a number"),
        ("= x", 1, "expected a name before '='"),
        ("3 = x", 1, "expected a name before '='"),
        ("exp(x, y)", 1, "takes 1 argument, got 2"),
        ("max'(x)", 1, "no derivative"),
        ("sum[i, j](x)", 10, "one index"),
        ("x[1.5]", 3, "expected an index"),
        ("__import__('os')", 1, "no function is named"),
        ("x.__class__", 2, "not part of the grammar"),
        ("lambda: 0", 7, "not part of the grammar"),
        (r"\frac{x}", 9, "found the end"),
        (r"\input{file}", 1, "not part of the grammar"),
        (r"{x", 3, "expected '}'"),
        (r"\sum_{ij} x", 6, "expected a letter as the index of the sum"),
        (r"\mathbb{1} x", 12, "condition in brackets"),
        (r"\|x\|_1", 7, "expected the norm 2 or F"),
        (r"\Delta C \approx x", 10, "not part of the grammar"),
        (r"\sum_{j \neq y} s_j", 6, "the index of the sum"),
    ],
)
def test_everything_else_is_refused_at_its_column(text, column, words):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert caught.value.column == column, str(caught.value)
    assert words in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", ["", "  \n ", "# only a comment"])
def test_nothing_is_refused(text):
    with pytest.raises(FormulaError, match="expected a formula"):
        parse(text)


@pytest.mark.parametrize("text", [
    "(" * 500 + "x" + ")" * 500, "-" * 500 + "x", "x" + " + x" * 4000, "x^" * 500 + "x",
    "x" * 30_000, r"\frac{1}{" * 500,
])  # fmt: skip
def test_depth_and_length_have_limits(text):
    with pytest.raises(FormulaError, match=r"nested|in a row|longer"):
        parse(text)


# ----- there and back -----

NUMBERS = st.one_of(
    st.integers(0, 10**6), st.floats(0, 1e12, allow_nan=False, allow_infinity=False)
).map(Number)
LEAVES = st.one_of(NUMBERS, st.sampled_from([x, y, z, Name("alpha"), Name("w_12")]),
                   st.sampled_from([Index(Name("v"), (0,)), Index(Name("v"), (1,))]))  # fmt: skip
UNARY_FUNCTIONS = sorted(n for n, op in elementwise().items() if len(op.inputs) == 1)


def grow(inner):
    return st.one_of(
        st.builds(Unary, inner),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "/", "·", "^", "<", ">=", "=="]),
                  inner, inner),
        st.builds(lambda f, a, p: Call(f, (a,), p), st.sampled_from(UNARY_FUNCTIONS), inner,
                  st.integers(0, 1)),
        st.builds(lambda f, a, b: Call(f, (a, b)), st.sampled_from(["max", "min", "hypot"]),
                  inner, inner),
        st.builds(lambda a: Call("transpose", (a,)), inner),
    )  # fmt: skip


TREES = st.recursive(LEAVES, grow, max_leaves=12)
DECLARED = {"x": 0.7, "y": -1.3, "z": 2.1, "alpha": 0.4, "w_12": 1.5, "v": np.array([0.3, 0.9])}


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_text_reads_back_as_the_same_tree(tree):
    assert read(to_text(tree), DECLARED) == tree


SMOOTH = st.recursive(
    st.one_of(st.integers(1, 9).map(Number), st.sampled_from([x, y, z, Name("alpha"),
                                                              Index(Name("v"), (1,))])),
    lambda inner: st.one_of(
        st.builds(Unary, inner),
        st.builds(Binary, st.sampled_from(["+", "-", "*", "·"]), inner, inner),
        st.builds(lambda a, n: Binary("^", a, Number(n)), inner, st.integers(2, 3)),
        st.builds(lambda f, a: Call(f, (a,)),
                  st.sampled_from(["sigmoid", "tanh", "exp", "abs", "relu", "sum", "norm"]),
                  inner),
        st.builds(lambda a: Call("sigmoid", (a,), 1), inner),
        st.builds(lambda a, b: Call("max", (a, b)), inner, inner),
    ),
    max_leaves=8,
)  # fmt: skip


@given(SMOOTH)
@settings(max_examples=200, deadline=None)
def test_latex_means_the_same(tree):
    used = {p.name for p in tree.walk() if isinstance(p, Name)}
    values = {n: v for n, v in DECLARED.items() if n in used}
    latex = "{}".join(["", to_latex(tree)]).removeprefix("{}")
    again = parse(rf"\displaystyle {latex}", values)
    try:
        wanted = evaluate(tree, values).result
    except FormulaError:
        return  # too large a number
    found = evaluate(again, values).result
    assert np.allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-12, equal_nan=True)


@given(st.text(alphabet="xyzf019+-*/^()[]{}=<>'|\\_,;. dsum&$#@\n", max_size=40))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        formula = parse(text)
    except FormulaError as refusal:
        assert refusal.column is None or 1 <= refusal.column <= len(text) + 1
        return
    assert isinstance(formula, Formula)
    try:
        evaluate(formula, dict.fromkeys(formula.free_names(), 1.0))
    except BacklitError:
        pass


@pytest.mark.parametrize("text", [
    "q = x + y; f = q * z; df/dx = z; dy = z", "z[j] = sum[k](w[j, k] * a[k])",
    "f = x; dx += 1",
])  # fmt: skip
def test_statements_read_back(text):
    assert to_text(parse(text)) == text
    assert parse(to_text(parse(text))) == parse(text)


def test_latex_of_names():
    for name, shown in {
        "w0": "w_{0}", "W_12": "W_{12}", "delta": r"\delta", "y_hat": r"\hat{y}",
        "w^{l+1}": "w^{l+1}", "a^2": "a^{2}", "sigy": r"\mathrm{sigy}", "δ1": r"\delta_{1}",
        "z_jk^L": "z_{jk}^{L}",
    }.items():  # fmt: skip
        assert to_latex(Name(name)) == shown
        assert read(rf"\displaystyle {shown}", [name]) == Name(name)


def test_latex_of_statements():
    formula = parse("q = W1 @ x; f = norm(q - y)^2; df/dx[j] = 2 * sum[i](W1[i, j] * q[i])", ["x"])
    assert to_latex(formula) == (
        r"q = W_{1} \, x \\ f = \left\|q - y\right\|^{2} \\ "
        r"\frac{\partial f}{\partial x_{j}} = 2 \cdot \left(\sum_{i} W_{1}[i, j] \cdot q_{i}\right)"
    )
