"""How a gate is written: its symbol in the circuit, its line of mathematics, its settings.

Formulas come from the operators' own `latex` and local derivatives; only the drawn symbols and,
for derivatives that are whole Jacobians, their usual matrix forms are listed here.
"""

from __future__ import annotations

import linecache

from backlit.ops import formula as fm
from backlit.views.graph import Gate, Wire
from backlit.views.names import tex
from backlit.views.sentences.words import called

SYMBOLS = {
    "add": "+", "sub": "−", "mul": "×", "div": "÷", "neg": "×−1", "pow": "xⁿ", "square": "x²",
    "sqrt": "√", "rsqrt": "1/√", "reciprocal": "1/x", "exp": "exp", "log": "ln", "abs": "|x|",
    "maximum": "max", "minimum": "min", "sigmoid": "σ", "relu": "ReLU", "sum": "Σ",
    "mean": "mean", "prod": "∏", "matmul": "@", "linear": "W x", "conv": "conv",
    "max_pool": "max pool", "avg_pool": "avg pool", "batch_norm": "batch norm",
    "layer_norm": "layer norm", "log_softmax": "log softmax", "nll_loss": "−log p[y]",
    "permute": "transpose", "sum_to": "Σ", "mse_loss": "(x−y)²", "eq": "=", "ne": "≠", "lt": "<",
    "le": "≤", "gt": ">", "ge": "≥", "logical_not": "¬", "logical_and": "∧", "logical_or": "∨",
    "erf": "erf", "amax": "max", "amin": "min", "max_dim": "max", "min_dim": "min",
    "cumsum": "Σ…", "inv": "A⁻¹", "floor": "⌊x⌋", "ceil": "⌈x⌉", "embedding": "table",
    "linear_scan": "scan",
}  # fmt: skip

# Downstream gradients that are products of whole arrays, G being the upstream one.
_PRODUCTS = {
    ("matmul", 0): r"G\,{1}^{{\top}}",
    ("matmul", 1): r"{0}^{{\top}} G",
    ("linear", 0): r"G\,{1}",
    ("linear", 1): r"G^{{\top}} {0}",
    ("linear", 2): r"\sum_n G_n",
    ("conv", 0): r"G *^{{\top}} {1}",
    ("conv", 1): r"G \star {0}",
    ("conv", 2): r"\sum_{{n,s}} G_{{n,s}}",
    ("log_softmax", 0): r"G - e^{{y}} \textstyle\sum G",
    ("softmax", 0): r"y \odot (G - \textstyle\sum G \odot y)",
    ("sum", 0): r"G",
    ("nll_loss", 0): r"-c\,G \text{{ at the labels, }} c = \tfrac{{1}}{{N}} \text{{ in a mean}}",
}
_LONGEST = 60


def symbol(gate: Gate) -> str:
    """What stands in the gate."""
    return SYMBOLS.get(gate.op.name, gate.op.name.replace("_", " "))


def wire_tex(wire: Wire) -> str:
    """The name of a wire as LaTeX; a number written in the program is itself."""
    if wire.kind == "constant" and isinstance(wire.value, int | float):
        return fm.number(wire.value)
    name = tex(wire.name)
    return f"{{{name}}}" if "^" in name else name  # operators add exponents of their own


def gate_tex(gate: Gate) -> str:
    """The gate as an equation: `q = x + y`."""
    made = [wire_tex(w) for w in gate.outputs if w is not None and (w.readers or w.output == 0)]
    left = made[0] if len(made) == 1 else f"({', '.join(made)})"
    return f"{left} = {_right_side(gate)}"


def _right_side(gate: Gate) -> str:
    shown = [_operand(w, gate) if w is not None else None for w in gate.inputs]
    present = [name for name in shown if name is not None]
    negative = [f"({name})" if name.startswith("-") else name for name in present]
    if len(present) == len(shown):
        return str(gate.op.latex(*negative, **gate.params))
    try:
        return str(gate.op.latex(*shown, **gate.params))
    except (TypeError, AttributeError):  # its rule does not know of absent inputs
        return str(gate.op.latex(*present, **gate.params))


def _operand(wire: Wire, gate: Gate) -> str:
    """The name in braces where it has an index: rules of operators may add one of their own."""
    name = wire_tex(wire)
    bare = gate.op.elementwise or not set(name) & set("_^")
    return name if bare else f"{{{name}}}"


# Local derivatives whose formula is a matter of cases, as the field writes them.
_CASES = {
    ("maximum", 0): r"[{0} > {1}] + \tfrac12 [{0} = {1}]",
    ("maximum", 1): r"[{1} > {0}] + \tfrac12 [{0} = {1}]",
    ("minimum", 0): r"[{0} < {1}] + \tfrac12 [{0} = {1}]",
    ("minimum", 1): r"[{1} < {0}] + \tfrac12 [{0} = {1}]",
    ("relu", 0): r"[{0} > 0]",
    ("pow", 0): r"{1} \cdot {{{0}}}^{{{1} - 1}}",
}


def local_tex(gate: Gate, i: int) -> str:
    """The local derivative by input `i`, or how the whole Jacobian meets the gradient G."""
    cases = _CASES.get((gate.op.name, i))
    if cases is not None:
        return cases.format(*(wire_tex(w) for w in gate.inputs if w is not None))
    if gate.has_local(i):
        names = {
            n: wire_tex(w)
            for n, w in zip((*gate.op.inputs, *gate.op.outputs), (*gate.inputs, *gate.outputs))
            if w is not None
        }
        return gate.local_latex(i, names)
    form = _PRODUCTS.get((gate.op.name, i))
    if form is not None:
        return form.format(*(_operand(w, gate) if w is not None else "" for w in gate.inputs))
    return r"J^{\top} G"


def settings(gate: Gate) -> dict[str, str]:
    """Keyword parameters as short texts; those that say nothing are left out."""
    found = {}
    others = {f"argument {i}": w.value for i, w in enumerate(gate.inputs)
              if w is not None and not w.numeric}  # fmt: skip
    for name, value in (gate.params | others).items():
        if value is None:
            continue
        text = " ".join(str(value).split())
        found[name] = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return found


def code_line(gate: Gate) -> str:
    """The text of the user's line, where its file is there."""
    if gate.program is None:
        return ""
    code, _ = gate.program
    _, _, number = gate.line.rpartition(":")
    return linecache.getline(code.co_filename, int(number)).strip() if number.isdigit() else ""


_INFIX = {"add": "+", "sub": "-", "mul": "·", "div": "/", "matmul": "@", "pow": "**"}


def plain(gate: Gate) -> str:
    """The gate as a line of plain text: `q = x + y`, `h = relu(z)`."""
    own = ".".join(str(gate.module).split(".")[1:]) + "."  # its parameters by their last name
    names = [called(w).removeprefix(own) for w in gate.inputs if w is not None]
    made = ", ".join(w.name for w in gate.outputs if w is not None and (w.readers or not w.output))
    sign = _INFIX.get(gate.op.name)
    if sign and len(names) == 2:
        right = f" {sign} ".join(f"({n})" if n.startswith("-") else n for n in names)
        return f"{made} = {right}"
    if gate.op.name == "neg":
        return f"{made} = -{names[0]}"
    return f"{made} = {gate.op.name}({', '.join(names)})"
