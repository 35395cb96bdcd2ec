"""A character LSTM: learns to continue a text, character by character.

    python examples/characters.py --text book.txt --steps 2000

The hidden state is carried from chunk to chunk and detached between them, so that gradients go
back through one chunk only (truncated backpropagation through time).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import backlit as bl
from backlit import nn, optim
from backlit.nn import functional as F

# William Blake, "The Tyger" (1794).
POEM = """Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?

In what distant deeps or skies.
Burnt the fire of thine eyes?
On what wings dare he aspire?
What the hand, dare seize the fire?

And what shoulder, & what art,
Could twist the sinews of thy heart?
And when thy heart began to beat,
What dread hand? & what dread feet?

What the hammer? what the chain,
In what furnace was thy brain?
What the anvil? what dread grasp,
Dare its deadly terrors clasp!

When the stars threw down their spears
And water'd heaven with their tears:
Did he smile his work to see?
Did he who made the Lamb make thee?

Tyger Tyger burning bright,
In the forests of the night:
What immortal hand or eye,
Dare frame thy fearful symmetry?
"""


class CharacterModel(nn.Module):
    """Embedding, LSTM, and logits of the next character."""

    def __init__(self, alphabet: str, width: int) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.embedding = nn.Embedding(len(alphabet), width // 2)
        self.lstm = nn.LSTM(width // 2, width, batch_first=True)
        self.head = nn.Linear(width, len(alphabet))

    def forward(self, codes: bl.Tensor, state=None):
        """Logits (B, T, alphabet) and the state after codes (B, T)."""
        hidden, state = self.lstm(self.embedding(codes), state)
        return self.head(hidden), state

    def encode(self, text: str) -> bl.Tensor:
        """Codes (T,) of a text; characters outside the alphabet are left out."""
        return bl.tensor([self.alphabet.index(c) for c in text if c in self.alphabet])

    def write(self, start: str, length: int, temperature: float = 0.7) -> str:
        """`start`, continued by sampling."""
        text = start
        with bl.no_grad():
            logits, state = self(self.encode(start)[None])
            for _ in range(length):
                chances = F.softmax(logits[0, -1] / temperature, dim=0)
                code = bl.multinomial(chances, 1)
                text += self.alphabet[code.item()]
                logits, state = self(code[None], state)
        return text


def chunks(codes: bl.Tensor, batch: int, length: int) -> Iterator[tuple]:
    """Endlessly: inputs and targets (batch, length), and whether the text starts again."""
    columns = (len(codes) - 1) // batch
    inputs = codes[: columns * batch].reshape(batch, columns)
    targets = codes[1 : columns * batch + 1].reshape(batch, columns)
    while True:
        for first in range(0, columns - length + 1, length):
            part = slice(first, first + length)
            yield inputs[:, part], targets[:, part], first == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="a text file; a poem of Blake if left out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--smoke", action="store_true", help="a few steps of a small network")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.steps, arguments.width = 30, 24
    bl.manual_seed(0)
    text = arguments.text.read_text(encoding="utf-8") if arguments.text else POEM
    model = CharacterModel("".join(sorted(set(text))), arguments.width)
    batch, length = 4, 32
    if len(text) <= batch * length:
        raise SystemExit(f"the text has {len(text)} characters; give it more than {batch * length}")
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    state = None
    for step, (inputs, targets, starts) in enumerate(chunks(model.encode(text), batch, length), 1):
        state = None if starts else tuple(part.detach() for part in state)
        logits, state = model(inputs, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step == 1 or step % 100 == 0 or step == arguments.steps:
            print(f"step {step}: {loss.item():.3f} nats per character")
        if step == arguments.steps:
            break
    print(model.write(text[:10], 200))


if __name__ == "__main__":
    main()
