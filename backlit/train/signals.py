"""Ctrl-C and SIGTERM during a training: the first asks to stop, the second stops at once.

`fit` looks at `requested` after every step, so that a step and the save after it are whole.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Within the block, the first SIGINT or SIGTERM only sets `requested`.

    Outside the main thread, where Python takes no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.requested = ""
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt("stopped at once, without saving")
        self.requested = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        # print() may be what was interrupted, and can't be entered twice.
        os.write(2, f"\n{self.requested}: finishing this step; once more stops at once\n".encode())
