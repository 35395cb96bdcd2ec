"""`bl.see.source`: forward, backward and update as Python that one can read, run and step through.

The text is a `Source`, a str that can save itself with the arrays that are too large to be
written out. Read next: listing.py (what is printed), writer.py (how).
"""

from __future__ import annotations

import html
import os
import runpy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from backlit.errors import ProgramError
from backlit.views.source.frame import written
from backlit.views.source.listing import fused as fused_listing
from backlit.views.source.listing import listing
from backlit.views.source.literals import Unprintable, numpy_dtype
from backlit.views.source.writer import Writer


class Source(str):
    """The text of a file; `arrays` lie beside it in an .npz.

    `names` says what the Program's values are called, `gradients` what those of inputs are.
    """

    arrays: dict[str, np.ndarray]
    names: dict[str, str]
    gradients: dict[str, str]

    def save(self, path: Any) -> Path:
        """Write the file, and the arrays beside it where there are any; returns the file's path.

        >>> import tempfile, pathlib
        >>> text = bl.see.source("x * y", x=2.0, y=3.0)
        >>> text.save(pathlib.Path(tempfile.mkdtemp()) / "product").name
        'product.py'
        """
        target = Path(path)
        if target.suffix != ".py":
            target = target.with_name(f"{target.name}.py")
        target.write_text(self, encoding="utf-8")
        if self.arrays:
            with open(target.with_suffix(".npz"), "wb") as file:
                np.savez(file, **self.arrays)  # type: ignore[arg-type]
        return target

    def run(self) -> dict[str, Any]:
        """Run the file and return its variables.

        >>> bl.see.source("x * y", x=2.0, y=3.0).run()["dx"]
        3.0
        """
        with tempfile.TemporaryDirectory() as folder:
            path = self.save(Path(folder) / "step")
            with np.errstate(all="ignore"):
                return runpy.run_path(str(path))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self)}</pre>"


def source(subject: Any, *inputs: Any, path: Any = None, fused: bool = False,
           gradient: Any = None, **values: Any) -> Source:  # fmt: skip
    """A computation as the text of a Python file that needs only NumPy and gives its numbers.

    `subject` is a loss, a formula as text with `values` for its names, a Program, or a function,
    training step or compiled step to run once with `inputs`; what it changes is put back. Each line
    of the backward names the line that it differentiates. `path` saves the file; `fused` prints
    a compiled step as it is after all passes. 16-bit floats are computed in float32.

    >>> text = bl.see.source("x * y", x=2.0, y=3.0)
    >>> print(text.split("backward -----\\n")[1].split("\\n\\n")[0])
    df = 1.0  # df/df: the start
    dx = df * y  # from line 10: f = x * y
    dy = df * x  # from line 10: f = x * y
    """
    if inputs and isinstance(inputs[0], (str, os.PathLike)):
        path, inputs = inputs[0], inputs[1:]
    made = listing(subject, inputs, gradient, **values)
    try:
        shown, writer = written(fused_listing(made, Writer(made).names) if fused else made)
    except Unprintable as error:
        raise ProgramError(str(error), hint="write it with operators: bl.where, ...") from None
    text = Source(shown)
    text.arrays = {k: np.asarray(a, numpy_dtype(a.dtype)) for k, a in writer.stored.items()}
    text.names = writer.names
    text.gradients = {
        writer.names[v.name]: writer.gradient_name(v.name) for v in made.program.inputs
        if v.name in writer.gradients.totals and v.name in writer.names
    }  # fmt: skip
    if path is not None:
        text.save(path)
    return text
