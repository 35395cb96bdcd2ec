"""A small training in a process of its own, for tests that kill it.

Usage: child.py FOLDER [DIE_AT [DAMAGE]]. Dies by SIGKILL before its DIE_AT-th change of a file
or step, counted together; prints how many there were when it ends. Has all that resuming must
restore: shuffled batches, dropout, BatchNorm, momentum, a schedule, random augmentation.
"""

from __future__ import annotations

import builtins
import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

import backlit as bl
from backlit import nn
from backlit.train import Callback, EarlyStop, fit

EPOCHS = 3
moments = 0
die_at = 0


def moment() -> None:
    """One more moment at which a kill may come."""
    global moments
    moments += 1
    if moments == die_at:
        os.kill(os.getpid(), signal.SIGKILL)


def watched(call):
    def wrapped(*args, **kwargs):
        moment()
        return call(*args, **kwargs)

    return wrapped


class Noisy(bl.data.Dataset):
    """Draws its noise from Python's, NumPy's and Backlit's global generators."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(22, 4)).astype(np.float32)
        self.y = (self.x.sum(1) > 0).astype(np.int64)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i):
        noise = random.gauss(0, 0.1) + np.random.normal() * 0.1
        return bl.from_numpy(self.x[i]) + noise + bl.randn(4) * 0.1, bl.tensor(self.y[i])


class EachStep(Callback):
    def on_batch(self, run) -> None:
        moment()


def train(folder: Path, resume: bool):
    random.seed(1)
    np.random.seed(2)
    bl.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
    )
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = Noisy()
    history = fit(
        model,
        bl.data.DataLoader(data, batch_size=4, shuffle=True, generator=bl.Generator()),
        loss=nn.functional.cross_entropy,
        optimizer=optimizer,
        epochs=EPOCHS,
        val_data=bl.data.DataLoader(data, batch_size=8, shuffle=True),
        metrics=["accuracy"],
        scheduler=bl.optim.lr_scheduler.StepLR(optimizer, 1, 0.5),
        early_stop=EarlyStop(10),
        callbacks=[EachStep()],
        run_dir=folder,
        resume=resume,
        checkpoint_every_steps=2,
        keep_checkpoints=2,
        progress="lines",
    )
    return model, history


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    die_at = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for name in ("replace", "fsync", "unlink", "mkdir"):
        setattr(os, name, watched(getattr(os, name)))
    model, history = train(folder, resume=True)
    bl.save(model.state_dict(), folder / "model.safetensors")
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history]
    builtins.print("END", json.dumps({"moments": moments, "rows": rows}))
