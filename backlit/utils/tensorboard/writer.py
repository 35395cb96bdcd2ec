"""SummaryWriter: PyTorch's way to log numbers, images, histograms and texts for TensorBoard.

Events wait in memory and are appended together, so that no file stays open; what waits is
written when the writer goes or Python ends. Next: values.py, messages.py, records.py.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
import weakref
from pathlib import Path
from typing import Any

from backlit.errors import CheckpointError, NotAvailable
from backlit.utils.tensorboard import messages
from backlit.utils.tensorboard.records import record
from backlit.utils.tensorboard.values import (
    figure_message,
    histogram_message,
    image_message,
    number_of,
)

_count = itertools.count()
INSTEAD = {
    "add_graph": "bl.see(...) draws the graph of a computation",
    "add_hparams": "put hyper-parameters into add_text, results into add_scalar",
}


class SummaryWriter:
    """Writes an event file into `log_dir` (default: a new folder in `runs`), for TensorBoard.

    At most `max_queue` events wait, and at most `flush_secs` seconds. After a crash at a step,
    `purge_step` hides what the older files hold from there on. Raises CheckpointError where
    the file can't be written.

    >>> import tempfile; folder = tempfile.mkdtemp()
    >>> with bl.utils.tensorboard.SummaryWriter(folder) as writer:
    ...     writer.add_scalar("loss/train", bl.tensor(0.5), 1)
    >>> import os; [name[:20] for name in os.listdir(folder)]
    ['events.out.tfevents.']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            name = f"{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}"
            log_dir = os.path.join("runs", name)
        self.log_dir, self.purge_step = os.fspath(log_dir), purge_step
        self.max_queue, self.flush_secs = max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self._below: dict[str, SummaryWriter] = {}
        self._start()

    def get_logdir(self) -> str:
        """The folder of the event files."""
        return self.log_dir

    # ----- what can be logged -----

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """One number; in single precision unless `new_style` or `double_precision` is set."""
        make = messages.exact_scalar if new_style or double_precision else messages.scalar
        self._add(tag, make(number_of(scalar_value)), global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: dict[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Several numbers in one chart: each has a folder of its own below `log_dir`."""
        for tag, value in tag_scalar_dict.items():
            folder = f"{main_tag.replace('/', '_')}_{tag}"
            if folder not in self._below:
                path = os.path.join(self.log_dir, folder)
                suffix = self.filename_suffix
                self._below[folder] = SummaryWriter(
                    path, "", self.purge_step, self.max_queue, self.flush_secs, suffix
                )
            self._below[folder].add_scalar(main_tag, value, global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How the finite numbers of a tensor are distributed; `bins` as NumPy takes them."""
        self._add(tag, histogram_message(values, bins, max_bins), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture with 1, 3 or 4 channels: floats from 0 to 1, or bytes."""
        self._add(tag, image_message(img_tensor, dataformats), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """A batch of pictures as a grid, eight in a row."""
        self._add(tag, image_message(img_tensor, dataformats), global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """A matplotlib figure, or a list of them as a grid; pyplot's are closed afterwards."""
        self._add(tag, figure_message(figure, close), global_step, walltime)

    def add_text(
        self,
        tag: str,
        text_string: str,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """A text, shown as Markdown."""
        self._add(f"{tag}/text_summary", messages.text(str(text_string)), global_step, walltime)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("add_"):
            hint = INSTEAD.get(name, "numbers, histograms, images, figures and texts are there")
            raise NotAvailable(f"SummaryWriter.{name} does not exist in Backlit", hint=hint)
        raise AttributeError(f"SummaryWriter has no attribute {name!r}")

    # ----- the file -----

    def flush(self) -> None:
        """Append what waits to the file."""
        _append(self._path, self._waiting)
        self._flushed = time.monotonic()
        for writer in self._below.values():
            writer.flush()

    def close(self) -> None:
        """Write what waits; whatever is added later goes to a new file."""
        if self._finalizer.alive:
            self.flush()
            self._finalizer.detach()
        for writer in self._below.values():
            writer.close()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _start(self) -> None:
        suffix = f"{os.getpid()}.{next(_count)}{self.filename_suffix}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{suffix}"
        self._path = Path(self.log_dir) / name
        self._waiting: list[bytes] = []
        now = time.time()
        self._waiting.append(record(messages.event(now, None, messages.version())))
        if self.purge_step is not None:
            start = messages.event(now, self.purge_step, messages.session_start())
            self._waiting.append(record(start))
            self.purge_step = None  # once: a later file goes on from here
        self.flush()  # a folder that can't be written shows at once
        self._finalizer = weakref.finalize(self, _append, self._path, self._waiting)

    def _add(self, tag: str, value: bytes, step: Any, wall_time: float | None) -> None:
        if not self._finalizer.alive:
            self._start()
        when = time.time() if wall_time is None else wall_time
        where = None if step is None else int(step)
        self._waiting.append(record(messages.event(when, where, messages.summary(tag, value))))
        late = time.monotonic() - self._flushed >= self.flush_secs
        if late or len(self._waiting) > self.max_queue:
            self.flush()


def _append(path: Path, waiting: list[bytes]) -> None:
    """Write waiting records behind those in the file, once."""
    if not waiting:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(b"".join(waiting))
    except OSError as error:
        raise CheckpointError(
            f"SummaryWriter: {path} can't be written: {error.strerror}"
        ) from error
    waiting.clear()
