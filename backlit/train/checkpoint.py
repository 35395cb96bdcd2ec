"""Checkpoints: a training state that survives a kill at any moment.

One checkpoint is `<name>.safetensors`, the whole state, sealed by `<name>.json`, its manifest:
epoch, step, data position, random state, versions, size and sha256 of the tensor file. The
manifest is written last and removed first, so that whatever has one was complete. What the state
holds is state.py's business, how files are replaced is serialization.py's.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

import backlit
from backlit.errors import ArgumentError, CheckpointError
from backlit.files import atomic_write, saving, sweep
from backlit.serialization import load, save

FORMAT = 1


@dataclass
class Checkpoint:
    """A checkpoint that was read back and verified."""

    name: str
    state: dict[str, Any]
    manifest: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run: a folder that keeps the last few and the best.

    `keep` counts the last ones; the one of the lowest score stays beside them.

    >>> import tempfile; folder = tempfile.mkdtemp()
    >>> checkpoints = bl.train.Checkpoints(folder, keep=1)
    >>> for epoch in 1, 2, 3:
    ...     _ = checkpoints.save({"w": bl.ones(2)}, epoch=epoch, step=epoch, score=1.0)
    >>> checkpoints.names(), checkpoints.best()
    (['epoch0001-step00000001', 'epoch0003-step00000003'], 'epoch0001-step00000001')
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep: int = 3) -> None:
        if keep < 1:
            raise ArgumentError(f"Checkpoints: keep={keep}: at least one must be kept")
        self.folder = Path(folder)
        self.keep = keep

    def save(
        self,
        state: dict[str, Any],
        *,
        epoch: int,
        step: int,
        score: float | None = None,
        summary: dict[str, Any] | None = None,
    ) -> str:
        """Write the state, seal it, remove what is no longer kept; returns its name.

        `score` is better when lower; `summary` (JSON) goes into the manifest for people to read.
        Raises CheckpointError where the files can't be written; older checkpoints then stand.
        """
        name = checkpoint_name(epoch, step)
        tensors, seal = self._files(name)
        # The manifest repeats these so that a manifest of another save is noticed.
        state = {**state, "checkpoint": {"epoch": epoch, "step": step, "score": score}}
        with saving(self.folder / name):
            self.folder.mkdir(parents=True, exist_ok=True)
            seal.unlink(missing_ok=True)
            try:
                manifest = self._manifest(state["checkpoint"], _write_state(tensors, state))
                with atomic_write(seal) as file:
                    file.write(json.dumps({**(summary or {}), **manifest}, indent=1).encode())
            except BaseException:
                tensors.unlink(missing_ok=True)
                raise
            self._prune(newest=name)
        return name

    def load(self, name: str) -> Checkpoint:
        """Read one checkpoint; CheckpointError, naming the one before it, if it is damaged."""
        try:
            return self._open(name)
        except CheckpointError as error:
            before = [n for n in self.names() if n < name]
            error.hint = f"the previous one is {before[-1]}" if before else None
            raise

    def latest(self, report: Callable[[str], None] = print) -> Checkpoint | None:
        """The newest undamaged checkpoint, or None if there never was one.

        Each newer one that is damaged or unfinished is told to `report`. Raises CheckpointError
        when there are checkpoints and all of them are damaged.
        """
        problems: list[str] = []
        for name in reversed(self._present()):
            try:
                found = self._open(name)
            except CheckpointError as error:
                problems.append(error.message)
                continue
            for problem in problems:
                report(f"{problem}; using {name} instead")
            return found
        if any(self.folder.glob("*.json")):
            raise CheckpointError(
                f"{self.folder}: no checkpoint can be used: " + "; ".join(problems),
                hint="start a new run, or put a copy of these files back",
            )
        return None

    def names(self) -> list[str]:
        """The sealed checkpoints, oldest first."""
        return [name for name in self._present() if self._files(name)[1].exists()]

    def best(self) -> str | None:
        """The checkpoint of the lowest score, the earliest of equals; None without scores."""
        scores = {name: self._score(name) for name in self.names()}
        known = {name: score for name, score in scores.items() if not math.isnan(score)}
        return min(known, key=known.__getitem__) if known else None

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.safetensors", self.folder / f"{name}.json"

    def _present(self) -> list[str]:
        files = [*self.folder.glob("epoch*.safetensors"), *self.folder.glob("epoch*.json")]
        return sorted({file.stem for file in files}, key=lambda stem: (len(stem), stem))

    def _score(self, name: str) -> float:
        try:
            score = json.loads(self._files(name)[1].read_bytes())["score"]
            return math.nan if score is None else float(score)
        except (OSError, ValueError, TypeError, KeyError):
            return math.nan  # damaged: it can't be the best one

    def _manifest(self, identity: dict[str, Any], file: dict[str, Any]) -> dict[str, Any]:
        versions = {
            "backlit": backlit.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        }
        return {"format": FORMAT, **identity, **file, "versions": versions}

    def _open(self, name: str) -> Checkpoint:
        tensors, seal = self._files(name)
        try:
            manifest = json.loads(seal.read_bytes())
            expected = {key: manifest[key] for key in ("epoch", "step", "score")}
            size, digest, version = manifest["bytes"], manifest["sha256"], manifest["format"]
        except FileNotFoundError:
            raise _damaged(name, "it has no manifest, so its save never finished") from None
        except (ValueError, TypeError, KeyError):
            raise _damaged(name, f"its manifest {seal.name} is corrupt") from None
        if version != FORMAT:
            raise CheckpointError(f"checkpoint {name} has format {version}, not {FORMAT}")
        try:
            with open(tensors, "rb") as file:
                if (found := os.fstat(file.fileno()).st_size) != size:
                    raise _damaged(name, f"{tensors.name} has {found} bytes instead of {size}")
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise _damaged(name, f"the sha256 of {tensors.name} differs")
                file.seek(0)
                state = load(file)
        except FileNotFoundError:
            raise _damaged(name, f"{tensors.name} is missing") from None
        if state.pop("checkpoint", None) != expected:
            raise _damaged(name, f"its manifest {seal.name} describes another state")
        return Checkpoint(name, state, manifest)

    def _prune(self, newest: str) -> None:
        """Remove unsealed leftovers and all but the last few and the best."""
        sealed = self.names()
        kept = {newest, self.best(), *sealed[-self.keep :]}
        for name in self._present():
            if name not in kept:
                tensors, seal = self._files(name)
                seal.unlink(missing_ok=True)
                tensors.unlink(missing_ok=True)
        sweep(self.folder)


def checkpoint_name(epoch: int, step: int) -> str:
    """Names sort as the training went: by finished epochs, then by steps."""
    return f"epoch{epoch:04d}-step{step:08d}"


def _damaged(name: str, reason: str) -> CheckpointError:
    return CheckpointError(f"checkpoint {name} is damaged: {reason}")


def _write_state(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    with atomic_write(path) as file:
        hashing = _Hashing(file)
        save(state, hashing)  # type: ignore[arg-type]
    return {"bytes": hashing.size, "sha256": hashing.digest.hexdigest()}


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: Any) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)
