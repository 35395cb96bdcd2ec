"""LaTeX as plain text for terminals: the same formulas, one line each.

Reads the subset of LaTeX that operators and derivations write. Fractions become quotients,
matrices nested brackets, cases conditions; commands that it does not know lose their backslash.
"""

from __future__ import annotations

import re

_SIGNS = {
    "partial": "∂", "cdot": "·", "odot": "⊙", "times": "×", "otimes": "⊗", "oplus": "⊕",
    "sum": "Σ", "prod": "Π", "top": "ᵀ", "infty": "∞", "nabla": "∇", "le": "≤", "ge": "≥",
    "leq": "≤", "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "land": "and", "lor": "or",
    "lnot": "not ", "sim": "~", "star": "⋆", "in": "∈", "exists": "∃", "forall": "∀", "|": "‖",
    "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "langle": "⟨", "rangle": "⟩",
    "ll": "<<", "gg": ">>", "ldots": "...", "dots": "...", "cdots": "...", "mid": "|",
    "quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", " ": " ", "!": "", "_": "_",
    "{": "{", "}": "}", "%": "%", "#": "#", "to": "→", "mapsto": "→", "Rightarrow": "⇒",
    "ln": "ln ", "log": "log", "det": "det ", "leftarrow": "←", "circ": "∘", "pm": "±",
    "colon": ":", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "blacksquare": "∎",
}  # fmt: skip
_GREEK_NAMES = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi",
    "omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega",
)  # fmt: skip
_GREEK = dict(zip(_GREEK_NAMES, "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ"))
_GROUPED = {  # commands that show their argument as it is
    "mathrm", "text", "operatorname", "mathbf", "mathbb", "boldsymbol", "mathcal", "mathit",
    "mathbin", "mathop", "textstyle", "displaystyle",
}  # fmt: skip
_LOW = dict(zip("0123456789+-()aeijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ"))
_HIGH = dict(zip("0123456789+-()nilLᵀ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˡᴸᵀ"))
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)


def plain(tex: str) -> str:
    r"""LaTeX as one line of text.

    >>> bl.views.derive.plain.plain(r"\frac{\partial f}{\partial x_{1}} = e^{-x} \cdot \sigma")
    '∂f/∂x₁ = e^(-x) · σ'
    """
    reader = _Reader(_TOKEN.findall(tex))
    return re.sub(r" {2,}", " ", reader.until(()).replace("∂ ", "∂").replace("∂² ", "∂²")).strip()


class _Reader:
    def __init__(self, tokens: list[str]):
        self.tokens, self.place = tokens, 0

    def until(self, ends: tuple[str, ...]) -> str:
        """Everything up to one of the tokens, which is passed over."""
        out: list[str] = []
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if token in ends:
                break
            out.append(self.one(token))
        return "".join(out)

    def argument(self) -> str:
        while self.place < len(self.tokens) and self.tokens[self.place].isspace():
            self.place += 1
        if self.place >= len(self.tokens):
            return ""
        token = self.tokens[self.place]
        self.place += 1
        return self.until(("}",)) if token == "{" else self.one(token)

    def one(self, token: str) -> str:
        if token == "{":
            return self.until(("}",))
        if token == "^":
            return _raised(self.argument())
        if token == "_":
            return _lowered(self.argument())
        if token == "&":
            return ""
        if token.isspace():
            return " "
        return self.command(token[1:]) if token[0] == "\\" and len(token) > 1 else token

    def command(self, name: str) -> str:
        if name == "frac":
            above, below = (
                self.argument().replace("∂ ", "∂").replace("∂² ", "∂²") for _ in range(2)
            )
            text = f"{_atom(above)}/{_atom(below)}"
            return f"({text})" if self.multiplies() else text
        if name == "sqrt":
            return f"√({self.argument()})"
        if name == "overline":
            return f"mean({self.argument()})"
        if name == "hat":
            return f"{self.argument()}\u0302"
        if name in ("left", "right", "big", "Big"):
            return self.bracket()
        if name == "begin":
            return self.environment(self.argument())
        if name in _GROUPED:
            return self.argument()
        if name == "\\":
            return " "
        return _SIGNS.get(name) or _GREEK.get(name) or name

    def multiplies(self) -> bool:
        """Whether what follows is a factor without a sign: a / b c would be misread."""
        rest = (t for t in self.tokens[self.place :] if not t.isspace() and t != "\\,")
        following = next(rest, "")
        return (
            following[:1].isalnum()
            or following in ("{", "\\left", "\\frac", "\\sum")
            or (following[:1] == "\\" and following[1:] in (*_GROUPED, *_GREEK))
        )

    def bracket(self) -> str:
        token = self.tokens[self.place]
        self.place += 1
        if token == ".":
            return ""
        return self.one(token) if token != "{" else "{"

    def environment(self, name: str) -> str:
        rows: list[list[str]] = [[]]
        cell: list[str] = []
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if token in ("&", "\\\\", "\\end"):
                rows[-1].append("".join(cell).strip())
                cell = []
                if token == "\\\\":
                    rows.append([])
                if token == "\\end":
                    self.argument()
                    break
            else:
                cell.append(self.one(token))
        return _arranged(name, rows)


def _arranged(name: str, rows: list[list[str]]) -> str:
    if name == "cases":
        shown = [
            r[0] if len(r) < 2 else f"{r[0]} {'' if r[1] == 'otherwise' else 'if '}{r[1]}"
            for r in rows
        ]
        return "{" + "; ".join(shown) + "}"
    listed = ["[" + ", ".join(r) + "]" for r in rows]
    return listed[0] if len(listed) == 1 else "[" + ", ".join(listed) + "]"


def _atom(text: str) -> str:
    text = text.strip()
    simple = re.fullmatch(r"∂?(\[[^\[\]]*\])?[\w₀-₉ᵀ²³⁰-⁹ˡᴸ.ₐ-ₜ⁺⁻⁽⁾ᵢᵣᵤᵥⱼ]*(_\([^()]*\))?", text)
    wrapped = text.startswith("(") and text.endswith(")") and text.count("(") == 1
    return text if simple or wrapped else f"({text})"


def _raised(text: str) -> str:
    text = text.strip()
    if text and all(c in _HIGH for c in text) and len(text) <= 3:
        return "".join(_HIGH[c] for c in text)
    return f"^{text}" if re.fullmatch(r"\w+", text) else f"^({text})"


def _lowered(text: str) -> str:
    text = text.strip()
    if text and all(c in _LOW for c in text) and len(text) <= 4:
        return "".join(_LOW[c] for c in text)
    return f"_{text}" if re.fullmatch(r"\w+", text) else f"_({text})"
