"""The recipes, one file each: data, model, loss, optimizer, schedule, pictures.

Owns the list of their names; a recipe's module is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

from backlit.errors import ArgumentError
from backlit.train.recipe import Recipe

# In the order of `backlit recipes`; a name with - is a module with _.
NAMES = (
    "digits", "nielsen", "mnist", "fashion", "cifar10", "nuclei", "pen-digits", "hand-movements",
    "skeleton", "characters", "adding", "autoencoder", "pseudo-labels", "sign-digits",
)  # fmt: skip


def find(name: str) -> Recipe:
    """The recipe of this name. Raises ArgumentError with all names where there is none.

    >>> bl.train.recipes.find("digits").title
    'handwritten digits with LeNet'
    """
    if name not in NAMES:
        raise ArgumentError(f"train: there is no recipe {name!r}", hint=", ".join(NAMES))
    module = import_module(f"backlit.train.recipes.{name.replace('-', '_')}")
    recipe: Recipe = module.RECIPE
    return recipe
