"""Transposed operands and results, and axes in another order."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, sites
from backlit.check.doctor.slips.common import (
    at_site,
    made_by,
    value_at,
    with_argument,
)
from backlit.check.doctor.tape import Call, Edit


def _turn(x: Any) -> Any:
    return x.swapaxes(-1, -2) if np.ndim(x) > 1 else x


def transposes(bench: Bench) -> Iterator[Trial]:
    """A matrix product with operands or result transposed or swapped; other axis orders."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name in ("matmul", "dot", "mm", "bmm", "outer"):
            for a, b, swap, out in itertools.product((0, 1), repeat=4):
                if a + b + swap + out:
                    yield at_site(site, "transposed", 1.4, "transposing here",
                                  _product(a, b, swap, out))  # fmt: skip
        elif call.name in ("transpose", "permute", "swapaxes", "moveaxis"):
            n = np.ndim(value_at(bench.first, call, 0))
            for axes in itertools.permutations(range(n)) if n <= 4 else ():
                yield at_site(site, "transposed", 1.45, f"the axes in the order {axes}",
                              _axes(axes))  # fmt: skip
        elif call.name in ("reshape", "view"):
            n = np.ndim(value_at(bench.first, call, 0))
            for axes in list(itertools.permutations(range(n)))[1:] if 2 <= n <= 4 else ():
                turn = operator.methodcaller("transpose", axes)
                yield at_site(site, "transposed", 1.5, f"with the axes {axes} before reshape,",
                              with_argument(0, turn))  # fmt: skip
            made = made_by(bench.first, call)
            n = np.ndim(made)
            for axes in list(itertools.permutations(range(n)))[1:] if 2 <= n <= 4 else ():
                yield at_site(site, "transposed", 1.5, f"transposing by {axes} for reshape",
                              _reshaped_then(axes))  # fmt: skip
        elif call.name == "einsum":
            yield from _einsums(site, call)


def _product(a: int, b: int, swap: int, out: int) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        x, y = (_turn(args[0]) if a else args[0]), (_turn(args[1]) if b else args[1])
        result = call.function(*((y, x) if swap else (x, y)), **kwargs)
        return _turn(result) if out else result

    return edit


def _axes(axes: tuple) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        return args[0].transpose(axes)

    return edit


def _reshaped_then(axes: tuple) -> Edit:
    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        shape = np.shape(call.function(*args, **kwargs))
        inverse = np.argsort(axes)
        return args[0].reshape([shape[i] for i in axes]).transpose(inverse)

    return edit


def _einsums(site: Site, call: Call) -> Iterator[Trial]:
    text = call.args[0] if isinstance(call.args[0], str) else call.kwargs.get("equation")
    if not isinstance(text, str) or "->" not in text:
        return
    left, right = text.split("->")
    terms = [*left.split(","), right]
    for k, term in enumerate(terms):
        for i, j in itertools.combinations(range(len(term)), 2):
            letters = list(term)
            letters[i], letters[j] = letters[j], letters[i]
            new = [*terms[:k], "".join(letters), *terms[k + 1 :]]
            shown = ",".join(new[:-1]) + "->" + new[-1]

            def edit(call: Call, args: list, kwargs: dict, env: list, shown: str = shown) -> Any:
                if isinstance(args[0], str):
                    return call.function(shown, *args[1:], **kwargs)
                return call.function(*args, **{**kwargs, "equation": shown})

            yield at_site(site, "transposed", 1.5, f"`{shown}`", edit)
