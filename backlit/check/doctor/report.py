"""What the doctor says: causes, each with its evidence, and the diagnosis that lists them.

Knows no mathematics. Read next: examine.py, which fills it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field

NAMES = (
    "sign", "missing_factor", "extra_factor", "transposed", "lost_accumulation",
    "missing_broadcast_sum", "wrong_axis", "wrong_saved_value", "stale_saved_value",
    "mask_not_reused", "missing_regularization", "detached_path", "index_error", "shape_error",
    "kink", "float32_noise", "non_determinism", "not_differentiable",
)  # fmt: skip


@dataclass(frozen=True)
class Cause:
    """One explanation of a wrong gradient: which input and element, and the numbers behind it."""

    name: str
    input: str
    index: tuple[int, ...]
    evidence: str
    confidence: float

    def __post_init__(self) -> None:
        assert self.name in NAMES, self.name

    @property
    def element(self) -> tuple[str, tuple[int, ...]]:
        """The element that shows it best: (input name, index)."""
        return self.input, self.index

    def __str__(self) -> str:
        return f"{self.name} ({self.confidence:.0%}) in {place(self.input, self.index)}: " + (
            self.evidence
        )


@dataclass
class Diagnosis:
    """Whether the gradients are right, which are not, and why: the likeliest cause first."""

    wrong: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # elements with both numbers, in words

    @property
    def ok(self) -> bool:
        """True where every claimed gradient is right; a kink or a note may be listed anyway."""
        return not self.wrong

    def __str__(self) -> str:
        if self.ok:
            head = f"healthy: the gradient of {_listed(self.checked)} agrees with differences"
        else:
            head = f"wrong: the gradient of {_listed(self.wrong)}"
        lines = [head, *(f"  {line}" for line in self.failures)]
        lines += [f"  {k}. {cause}" for k, cause in enumerate(self.causes, 1)]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def place(name: str, index: tuple[int, ...]) -> str:
    """An element as one writes it: `w[0, 2]`."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "nothing"
