"""Every exception that Backlit raises. The docstring of a class is its documentation page.

A message names the operator and the numbers; `apply` adds the user's own line and module path.
Each class also inherits the builtin that PyTorch raises for the same mistake, so that
`except RuntimeError` written for PyTorch keeps working.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from types import FrameType, TracebackType
from typing import Any

PACKAGE_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
OPERATORS = os.path.join(PACKAGE_FOLDER, "ops") + os.sep


class BacklitError(Exception):
    """A mistake that the user can mend.

    `str(error)` is at most three lines: what is wrong (operator first), where, and a hint.
    """

    def __init__(self, message: str, *, hint: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.operator: str | None = None
        self.where: list[str] = []

    def locate(self, operator: str, where: str) -> BacklitError:
        """Add the operator and the user's line, once: the innermost knows best."""
        if self.operator is None:
            self.operator = operator
            self.place(where)
        return self

    def place(self, where: str) -> None:
        """Add the user's line to an error that has none yet."""
        if where and not self.where:
            self.where.append(where)

    def __str__(self) -> str:
        operator, where = self.operator, self.where
        if operator is None and not where and self.__traceback__ is not None:
            operator, where = self._from_traceback()
        named = operator is None or self.message.startswith(f"{operator}: ")
        head = self.message if named else f"{operator}: {self.message}"
        lines = [head, *(f"  at {w}" for w in where)]
        return "\n".join([*lines, f"  hint: {self.hint}"] if self.hint else lines)

    def _from_traceback(self) -> tuple[str | None, list[str]]:
        """What was called from which line, where a public function refused its arguments."""
        line, operator = "", None
        step = self.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            if not code.co_filename.startswith(PACKAGE_FOLDER):
                line, operator = describe_line(code, step.tb_lasti), None
            elif line and operator is None and code.co_filename.startswith(OPERATORS):
                operator = code.co_qualname.removesuffix(".call")
            step = step.tb_next
        if operator is None or not operator.isidentifier():
            return None, []
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operator).lower(), [line]


class ShapeError(BacklitError, RuntimeError):
    """Sizes that do not fit: `matmul: inner sizes differ: (32, 784) @ (512, 10)`."""


class DTypeError(BacklitError, RuntimeError, TypeError):
    """A dtype that the operator does not take: `mean` of whole numbers, an index of floats."""


class IndexOutOfRange(BacklitError, IndexError):
    """An index, axis or class label outside its range."""


class ArgumentError(BacklitError, ValueError, RuntimeError):
    """An argument whose value makes no sense: a negative size, an unknown mode."""


class ArgumentTypeError(BacklitError, TypeError):
    """An argument of a wrong kind: a list where a tensor is due, a missing operand."""


class LinAlgError(BacklitError, RuntimeError, ValueError):
    """A matrix that linear algebra can't work with: singular, not positive definite, not finite."""


class NotAvailable(BacklitError, NotImplementedError, AttributeError):
    """A name that PyTorch has and Backlit has not, or not yet. The message says so by name."""


class GradError(BacklitError, RuntimeError):
    """A backward pass that can't be: no graph, a graph already freed, a non-scalar root."""


class ExportError(BacklitError, BufferError):
    """A tensor that can't be handed to another library as it wants: it requires grad, or the
    library wants its memory without a copy."""


class ProgramError(BacklitError, ValueError):
    """A Program that breaks a rule of the form, or text that does not parse."""


class CaptureError(ProgramError, RuntimeError):
    """A step that can't be compiled as it stands: it reads a value into Python, draws from Python's
    own random numbers, or changes what no tensor holds. The message names the line."""


class FormulaError(BacklitError, ValueError):
    """A formula that is not in the grammar, at the column that `column` names, or one whose
    names and values do not fit: `column 7 of '(x + y * z': expected ')', found the end`."""

    column: int | None = None

    @classmethod
    def at(cls, text: str, column: int, message: str, hint: str | None = None) -> FormulaError:
        """The error at a column (from 1) of `text`."""
        line = text if len(text) <= 60 else text[max(0, column - 30) : column + 30]
        shown = " ".join(line.split())
        error = cls(f"formula: {message}, at column {column} of '{shown}'", hint=hint)
        error.column = column
        return error


class DataError(BacklitError, ValueError):
    """A data file that is truncated, corrupt or not what its name says."""


class WorkerError(BacklitError, RuntimeError):
    """A worker process of a DataLoader that died, could not start or did not answer in time."""


class CheckpointError(BacklitError, RuntimeError):
    """A saved state that is damaged or does not fit the model."""


class DivergedError(BacklitError, FloatingPointError, RuntimeError):
    """A training whose loss, gradient or parameters became NaN or infinite."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a training, after a whole step and a save.

    `checkpoint` is the path of what was saved, or None; `history` the rows so far.
    """

    def __init__(self, message: str, checkpoint: str | None, history: Any):
        super().__init__(message)
        self.checkpoint, self.history = checkpoint, history


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame outside this package, or None."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_FOLDER):
        frame = frame.f_back
    return frame


def describe_line(code: Any, instruction: int) -> str:
    """`file:line` of an instruction in a code object; empty where there is none."""
    if code is None:
        return ""
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if number is not None and start <= instruction < end:
            line = number
            break
    return f"{os.path.basename(code.co_filename)}:{line}"


def user_line() -> str:
    """The user's line that is running now: `train.py:41`."""
    frame = user_frame(2)
    return describe_line(frame.f_code, frame.f_lasti) if frame is not None else ""


def hide_internal_frames() -> None:
    """Let an uncaught BacklitError show the user's own lines only."""
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
        from backlit.config import flags

        if isinstance(error, TrainingInterrupted) and not flags.traceback:
            print("\n".join([str(error), *getattr(error, "__notes__", ())]), file=sys.stderr)
            raise SystemExit(130)  # what a shell expects after Ctrl-C
        if flags.traceback or not isinstance(error, BacklitError):
            return previous(kind, error, tb)
        frames = traceback.extract_tb(tb)
        own = [f for f in frames if not f.filename.startswith(PACKAGE_FOLDER)]
        print("Traceback (most recent call last):", file=sys.stderr)
        print("".join(traceback.format_list(own)), end="", file=sys.stderr)
        print(f"{kind.__module__}.{kind.__qualname__}: {error}", file=sys.stderr)
        print("".join(f"{note}\n" for note in getattr(error, "__notes__", ())), end="",
              file=sys.stderr)  # fmt: skip

    sys.excepthook = hook
