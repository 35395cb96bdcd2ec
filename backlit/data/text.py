"""Text as characters with numbers, and the windows of it that a language model learns from.

Owns `Characters`, `TextWindows` and where Tiny Shakespeare is. What writes text is
models/gpt.py's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backlit.data.dataset import TensorDataset
from backlit.data.fetch import cache_folder, fetch, is_url
from backlit.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from backlit import Tensor

SHAKESPEARE = "input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Characters:
    """The different characters of a text, in order; each one's number is its place.

    Raises DataError for a character that the text has not.

    >>> letters = bl.data.Characters("to be")
    >>> letters.encode("bet").tolist(), letters.decode([4, 3])
    ([1, 2, 4], 'to')
    """

    def __init__(self, text: str):
        self.characters = "".join(sorted(set(text)))
        self._numbers = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def __repr__(self) -> str:
        return f"Characters({self.characters!r})"

    def encode(self, text: str) -> Tensor:
        """Numbers (len(text),) int64."""
        import backlit as bl

        try:
            numbers = [self._numbers[character] for character in text]
        except KeyError as error:
            raise DataError(
                f"Characters: {error.args[0]!r} is none of the {len(self)} characters"
            ) from None
        return bl.tensor(numbers, dtype=bl.int64)

    def decode(self, numbers: Tensor | list[int]) -> str:
        """The text of these numbers."""
        return "".join(self.characters[int(number)] for number in numbers)


class TextWindows(TensorDataset):
    """Windows of `context` tokens, and as targets the tokens that follow each of them.

    A window begins every `stride` tokens; `context` if left out, so that each token is a target
    once. Raises DataError where the tokens are too few for one window.

    >>> windows = bl.data.TextWindows(bl.arange(10), context=3)
    >>> [part.tolist() for part in windows[1]], len(windows)
    ([[3, 4, 5], [4, 5, 6]], 3)
    """

    def __init__(self, tokens: Tensor, context: int, stride: int | None = None):
        import backlit as bl

        stride = context if stride is None else stride
        if context < 1 or stride < 1 or tokens.ndim != 1:
            raise ArgumentError(
                "TextWindows: needs tokens (N,) and a context and stride of at least 1, "
                f"got {tuple(tokens.shape)}, {context}, {stride}"
            )
        if len(tokens) <= context:
            raise DataError(
                f"TextWindows: {len(tokens)} tokens, a window needs {context} and the next one"
            )
        windows = np.lib.stride_tricks.sliding_window_view(tokens.numpy(), context + 1)[::stride]
        inputs, targets = windows[:, :-1], windows[:, 1:]
        super().__init__(
            bl.from_numpy(np.ascontiguousarray(inputs)),
            bl.from_numpy(np.ascontiguousarray(targets)),
        )
        self.context, self.stride = context, stride


def tiny_shakespeare(root: str | os.PathLike[str]) -> str:
    """About 40,000 lines of Shakespeare's plays: 1,115,394 characters, 65 different ones.

    `root` is a folder of input.txt, a text file, or the URL of the folder. Text: public domain;
    gathered by A. Karpathy for char-rnn. Raises DataError where it is missing.

    >>> bl.data.tiny_shakespeare("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder/input.txt: no such file
    """
    if is_url(root):
        address = f"{str(root).rstrip('/')}/{SHAKESPEARE}"
        path = fetch(address, SHAKESPEARE_SHA256, cache_folder() / "tinyshakespeare")
    else:
        path = Path(root) if Path(root).is_file() else Path(root) / SHAKESPEARE
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text in UTF-8") from None
