"""The sentence that explains a step, forward and backward, in English and Chinese."""

from __future__ import annotations

from backlit.views.graph import Gate


def pattern(gate: Gate) -> str | None:
    return None


def forward_text(gate: Gate) -> dict[str, str]:
    return {"en": "", "zh": ""}


def backward_text(gate: Gate) -> dict[str, str]:
    return {"en": "", "zh": ""}
