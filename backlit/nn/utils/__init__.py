"""Helpers around parameters and sequences: clipping, flat vectors, packed sequences."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from backlit.nn.utils import rnn as rnn
from backlit.nn.utils.clip import clip_grad_norm_ as clip_grad_norm_
from backlit.nn.utils.clip import clip_grad_value_ as clip_grad_value_
from backlit.nn.utils.clip import clip_grads_with_norm_ as clip_grads_with_norm_
from backlit.nn.utils.clip import get_total_norm as get_total_norm
from backlit.nn.utils.vector import parameters_to_vector as parameters_to_vector
from backlit.nn.utils.vector import vector_to_parameters as vector_to_parameters


_LATER = ("weight_norm", "remove_weight_norm", "spectral_norm", "remove_spectral_norm")
_OLDER = {"clip_grad_norm": clip_grad_norm_, "clip_grad_value": clip_grad_value_}


def __getattr__(name: str) -> Any:
    if name in ("parametrize", "parametrizations", "prune"):  # they need modules, which need us
        return import_module(f"backlit.nn.utils.{name}")
    if name in _LATER:
        return getattr(import_module("backlit.nn.utils.reparametrize"), name)
    if name in _OLDER:
        return _OLDER[name]
    from backlit.absent import refuse

    raise refuse("nn.utils", name)
