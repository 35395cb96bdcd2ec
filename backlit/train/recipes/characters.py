"""Plays written letter by letter: a small GPT on Shakespeare.

The first nine tenths of Tiny Shakespeare are learned from, the rest tells how well. samples.txt
is what the network writes. With --data, a text file of one's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backlit as bl
from backlit.data import Characters, TextWindows, tiny_shakespeare
from backlit.data.places import data_place
from backlit.files import atomic_write, saving
from backlit.models import GPT
from backlit.nn.functional import cross_entropy
from backlit.train.callbacks import Callback
from backlit.train.recipe import Job, Recipe, Settings, one_cycle, parts

ADDRESS = (
    "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e"
    "/data/tinyshakespeare"
)
TEMPERATURES = (0.5, 0.8, 1.0)


@dataclass
class CharactersSettings(Settings):
    """Adam with decoupled weight decay, the learning rate rising and falling once."""

    epochs: int = 4
    batch_size: int = 32
    lr: float = 0.003
    context: int = 64  # letters that are read to tell the next one
    width: int = 128
    depth: int = 4
    heads: int = 4
    dropout: float = 0.0
    weight_decay: float = 0.1
    written: int = 500  # letters of each sample


class Perplexity(Callback):
    """Adds exp(val_loss) to each row: among how many letters the network is in doubt."""

    def on_epoch(self, run: Any, row: dict[str, Any]) -> None:
        row["val_perplexity"] = math.exp(row["val_loss"])


def letter_loss(logits: Any, targets: Any) -> Any:
    """Cross-entropy over all places of all windows."""
    return cross_entropy(logits.flatten(0, 1), targets.flatten())


def write_samples(model: GPT, letters: Characters, path: Path, count: int, start: str) -> None:
    """What the model writes after `start`, at several temperatures."""
    texts = []
    for temperature in TEMPERATURES:
        tokens = model.generate(letters.encode(start).unsqueeze(0), count, temperature)
        text = letters.decode(tokens[0].tolist()).strip("\n")
        texts.append(f"----- temperature {temperature} -----\n{text}\n")
    with saving(path), atomic_write(path) as file:
        file.write("\n".join(texts).encode())


def prepare(settings: CharactersSettings) -> Job:
    """Windows beside each other, each letter a target once in a pass."""
    text = _source() if settings.smoke else tiny_shakespeare(_place(settings.data))
    letters = Characters(text)
    tokens = letters.encode(text)
    cut = int(0.9 * len(tokens))

    def windows(settings: CharactersSettings, train: bool) -> TextWindows:
        return TextWindows(tokens[:cut] if train else tokens[cut:], settings.context)

    training, held_out = parts(settings, windows, shuffle=False)  # the text goes on at the cut
    batches: Any = bl.data.DataLoader(training, settings.batch_size, shuffle=True, drop_last=True)
    size = (settings.context, settings.width, settings.depth, settings.heads)
    model = GPT(len(letters), *size, dropout=settings.dropout)
    optimizer = bl.optim.AdamW(
        model.parameters(),
        lr=settings.lr,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
    )
    count = min(settings.written, 40) if settings.smoke else settings.written
    start = "\n" if "\n" in text else text[0]
    return Job(
        model=model,
        train_data=batches,
        val_data=bl.data.DataLoader(held_out, 100),
        loss=letter_loss,
        optimizer=optimizer,
        scheduler=one_cycle(settings, optimizer, batches, cycle_momentum=False),
        scheduler_per_batch=True,
        clip_grad_norm=1.0,
        callbacks=[Perplexity()],
        pictures={"samples.txt": lambda path: write_samples(model, letters, path, count, start)},
    )


def _place(given: str | None) -> str:
    return data_place("tinyshakespeare", given, ADDRESS)


def _source() -> str:
    """The text of this file: a little to learn from without data."""
    return Path(__file__).read_text(encoding="utf-8")


RECIPE = Recipe(
    name="characters",
    title="Shakespeare letter by letter with a small GPT",
    data="Tiny Shakespeare (1.1 MB of text, 65 letters)",
    expects="perplexity ~6 on the last tenth of the text (reckoned)",
    minutes=10,
    settings=CharactersSettings,
    prepare=prepare,
    says="perplexity {val_perplexity:.2f} on the {part} text",
    part="held-out",
    score="val_perplexity",
    lower_is_better=True,
    pictures=("samples.txt",),
)
