"""What a sweep may try: ranges such as lr=0.001..0.1 and choices such as width=8,16,32.

Owns reading these texts against a recipe's settings. What is drawn from them is search.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backlit.errors import ArgumentError
from backlit.train.recipe import Recipe
from backlit.train.run_folders import settings_from_text

DECADE = 10  # a range that spans more is drawn by its logarithm
DIGITS = 4  # significant ones of a drawn number, so that people can read and repeat it
NOT_SWEPT = {
    "seed": "--seeds 0,1,2 names the seeds",
    "smoke": "--smoke makes the whole sweep a smoke test",
    "data": "a sweep compares settings on one data set",
    "validation": "a sweep compares settings on one part of the data",
    "threads": "the number of threads changes no result",
}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both are whole."""

    low: float
    high: float

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def log(self) -> bool:
        """Whether factors matter rather than differences."""
        return self.low > 0 and self.high / self.low >= DECADE

    def rounded(self, value: float) -> float:
        """A drawn number as it is used."""
        short = float(f"{value:.{DIGITS}g}")
        return value if self.whole or not self.low <= short <= self.high else short


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[Any, ...]

    def rounded(self, value: Any) -> Any:
        return value


Space = Mapping[str, Range | Choices]


def read_space(recipe: Recipe, texts: Iterable[str], fixed: Iterable[str] = ()) -> Space:
    """The settings of a recipe that are tried, from texts such as `lr=0.001..0.1`.

    Raises ArgumentError for a text that is none, a setting the recipe has not, or one in `fixed`.

    >>> from backlit.train import recipes
    >>> from backlit.train.sweep.space import read_space
    >>> read_space(recipes.find("fashion"), ["lr=0.001..0.1", "width=8,16"])
    {'lr': Range(low=0.001, high=0.1), 'width': Choices(values=(8, 16))}
    """
    found: dict[str, Range | Choices] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise _unreadable(text)
        if name in NOT_SWEPT:
            raise ArgumentError(f"sweep: {name} can't be tried", hint=NOT_SWEPT[name])
        if name in found or name in fixed:
            raise ArgumentError(f"sweep: {name} is given twice: {text}")
        found[name] = _read_values(recipe, name, values, text)
    if not found:
        raise ArgumentError("sweep: nothing to try", hint="such as --over lr=0.001..0.1")
    return found


def _read_values(recipe: Recipe, name: str, values: str, text: str) -> Range | Choices:
    low, dots, high = values.partition("..")
    parts = [low, high] if dots else values.split(",")
    if len(parts) < 2 or not all(part.strip() for part in parts):
        raise _unreadable(text)
    typed = [getattr(settings_from_text(recipe, {name: part.strip()}), name) for part in parts]
    if not dots:
        if len(set(typed)) < len(typed):
            raise ArgumentError(f"sweep: a value is there twice: {text}")
        return Choices(tuple(typed))
    if any(isinstance(value, bool | str) for value in typed):
        raise ArgumentError(f"sweep: {name} has no range: {text}", hint=f"{name}=A,B lists values")
    if not typed[0] < typed[1]:
        raise ArgumentError(f"sweep: {text}: a range goes up from a number to a larger one")
    return Range(*typed)


def _unreadable(text: str) -> ArgumentError:
    return ArgumentError(
        f"sweep: --over {text}: expected a range or choices",
        hint="lr=0.001..0.1 is a range, width=8,16,32 are choices",
    )
