"""Formulas given as text or LaTeX: read by a stated grammar, evaluated on Tensors, written back.

`run` computes one at values and keeps every name; `parse`, `evaluate`, `to_text` and `to_latex`
are its parts. Nothing here executes text as code. The grammar: docs/design/expressions.md.
"""

from backlit.expressions.evaluate import (
    Evaluation as Evaluation,
    evaluate as evaluate,
    leaf as leaf,
    run as run,
)
from backlit.expressions.grammar import parse as parse
from backlit.expressions.nodes import Expression as Expression, Formula as Formula
from backlit.expressions.write import to_latex as to_latex, to_text as to_text
