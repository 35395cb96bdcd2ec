"""A small GPT: a causal transformer that predicts the next token, and writes by sampling it.

Radford et al. 2019, "Language models are unsupervised multitask learners" (GPT-2): pre-norm
blocks, learned positions, GELU in its tanh form, the token table shared with the last layer.
Parameters are named as in GPT-2 (wte, wpe, h, ln_f), weights kept as Linear keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class CausalSelfAttention(nn.Module):
    """Each position of (B, T, width) reads itself and the positions before it.

    >>> from backlit.models.gpt import CausalSelfAttention
    >>> attention, x = CausalSelfAttention(8, heads=2), bl.randn(1, 5, 8)
    >>> bl.allclose(attention(x)[:, :3], attention(x[:, :3]), atol=1e-6)
    True
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)
        self.resid_dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        split = self.c_attn(x).view(n, t, 3, self.heads, d // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        seen = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        joined = seen.transpose(1, 2).reshape(n, t, d)
        return self.resid_dropout(self.c_proj(joined))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Linear to four times the width, GELU, Linear back, at every position alone.

    >>> from backlit.models.gpt import FeedForward
    >>> FeedForward(8)(bl.zeros(1, 5, 8)).shape == (1, 5, 8)
    True
    """

    def __init__(self, width: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(4 * width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(ln_1(x)), then x + mlp(ln_2(x)); shapes (B, T, width).

    >>> from backlit.models.gpt import Block
    >>> Block(8, heads=2)(bl.zeros(1, 5, 8)).shape == (1, 5, 8)
    True
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = CausalSelfAttention(width, heads, dropout, bias)
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = FeedForward(width, dropout, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """Tokens (B, T), int64, to logits of each next token (B, T, vocabulary); T up to `context`.

    GPT-2 is GPT(50257, 1024, 768, 12, 12): 124 million parameters. `tied` shares the token table
    with the last layer, `bias` gives Linear and LayerNorm theirs.

    >>> from backlit import models
    >>> net = models.GPT(65, context=16, width=32, depth=2, heads=4)
    >>> net(bl.zeros(1, 16, dtype=bl.int64)).shape == (1, 16, 65)
    True
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 64,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        bias: bool = True,
        tied: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ArgumentError(f"GPT: width {width} must be a multiple of heads {heads}")
        self.context = context
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, width),
                "wpe": nn.Embedding(context, width),
                "drop": nn.Dropout(dropout),
                "h": nn.ModuleList(Block(width, heads, dropout, bias) for _ in range(depth)),
                "ln_f": nn.LayerNorm(width, bias=bias),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self._draw(depth)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight

    def _draw(self, depth: int) -> None:
        """Normal weights of 0.02; what adds to the residual path is less by sqrt(2 depth)."""
        for name, module in self.named_modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                shrink = math.sqrt(2 * depth) if name.endswith("c_proj") else 1.0
                nn.init.normal_(module.weight, std=0.02 / shrink)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        steps = tokens.shape[1]
        if steps > self.context:
            raise ArgumentError(f"GPT: {steps} tokens do not fit a context of {self.context}")
        parts = self.transformer
        places = bl.arange(steps, device=tokens.device)
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"](places))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))  # type: ignore[no-any-return]

    @bl.no_grad()
    def generate(
        self, tokens: Tensor, count: int, temperature: float = 1.0, top_k: int | None = None
    ) -> Tensor:
        """Tokens (B, T) continued by `count` samples to (B, T + count), dropout off.

        Logits are divided by `temperature` (0 takes the likeliest token); only the `top_k`
        likeliest are drawn from. What is older than the context is not read.

        >>> from backlit import models
        >>> net = models.GPT(5, context=4, width=8, depth=1, heads=2)
        >>> net.generate(bl.tensor([[0, 1]]), 6).shape == (1, 8)
        True
        """
        if temperature < 0 or (top_k is not None and top_k < 1):
            raise ArgumentError(
                f"GPT.generate: temperature must be at least 0 and top_k at least 1, "
                f"got {temperature} and {top_k}"
            )
        training = self.training
        self.eval()
        try:
            for _ in range(count):
                logits = self(tokens[:, -self.context :])[:, -1]
                tokens = bl.cat([tokens, _drawn(logits, temperature, top_k)], 1)
        finally:
            self.train(training)
        return tokens


def _drawn(logits: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """One token (B, 1) for each row of logits (B, vocabulary)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return bl.multinomial(F.softmax(logits / temperature, -1), 1)


def from_gpt2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a GPT from GPT-2's published one, whose Linear weights are (in, out).

    Names may start with `transformer.` or not; masks that are kept as buffers are left out, and
    the last layer takes the token table where it has no weight of its own.

    >>> from backlit.models.gpt import from_gpt2
    >>> state = {"wte.weight": bl.zeros(5, 8), "h.0.attn.c_attn.weight": bl.zeros(8, 24)}
    >>> {name: tuple(value.shape) for name, value in from_gpt2(state).items()}["lm_head.weight"]
    (5, 8)
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue
        turned = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        own = name.startswith(("transformer.", "lm_head."))
        found[name if own else f"transformer.{name}"] = value.t() if turned else value
    if "transformer.wte.weight" in found:
        found.setdefault("lm_head.weight", found["transformer.wte.weight"])
    return found
