"""How names are spelled: `W1`, `W_1` and `W_{1}` are one name, `δ` and `\\delta` another.

A superscript is part of a name only where that name is declared (`a^2` among the values or on
the left of `=`); otherwise it is a power.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ",
    "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
_LETTERS = {ord(letter): name for name, letter in GREEK.items()}
ACCENTS = ("hat", "tilde", "bar")
VARIANTS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "varrho": "rho"}


def plain(name: str) -> str:
    """The name with Greek letters written out: `δ1` becomes `delta1`."""
    return name.translate(_LETTERS)


@lru_cache(maxsize=4096)
def key(name: str) -> str:
    """What two spellings of one name have in common."""
    base, _, layer = plain(name).partition("^")
    base = re.sub(r"[_{},\s]", "", base)
    layer = re.sub(r"[][{}()\s]", "", layer)
    return f"{base}^{layer}" if layer else base


def find(name: str, declared: Iterable[str]) -> str | None:
    """The declared spelling of a name, or None."""
    declared = list(declared)
    if name in declared:
        return name
    wanted = key(name)
    return next((d for d in declared if key(d) == wanted), None)


def latex(name: str) -> str:
    """A name as LaTeX: `delta^2` becomes `\\delta^{2}`, `w_jk` `w_{jk}`."""
    base, _, layer = plain(name).partition("^")
    layer = layer.strip("{}")
    head, _, sub = base.partition("_")
    digits = re.fullmatch(r"([A-Za-z]+)(\d+)", head)
    if digits and not sub:
        head, sub = digits.groups()
    if head in GREEK:
        shown = f"\\{head}"
    elif len(head) == 1:
        shown = head
    else:
        shown = rf"\mathrm{{{head}}}"
    if sub in ACCENTS:
        shown = rf"\{sub}{{{shown}}}"
    else:
        shown += f"_{{{sub}}}" if sub else ""
    return shown + (f"^{{{layer}}}" if layer else "")
