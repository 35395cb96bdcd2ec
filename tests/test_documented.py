"""Every public name is documented: what it is, and one example that runs as a doctest."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

import backlit as bl
from backlit.api import NAMESPACES

PUBLIC_ROOMS = ("nn", "optim", "optim.lr_scheduler", "optim.swa_utils", "data", "check", "func",
                "models", "train", "creation", "nn.init", "nn.utils", "autograd", "estimators",
                "onnx", "train.recipes", "train.sweep", "jit", "fx", "distributions",
                "utils.tensorboard")  # fmt: skip


def functions():
    for space in ("bl", "F", "linalg", "special"):
        for name, function in NAMESPACES[space].items():
            yield pytest.param(function, id=f"{space}.{name}")


def members():
    for room in PUBLIC_ROOMS:
        module = import_module(f"backlit.{room}")
        for name in dir(module):
            found = getattr(module, name)
            own = getattr(found, "__module__", "").startswith("backlit")
            if (
                name.startswith("_")
                or not own
                or not (inspect.isclass(found) or inspect.isfunction(found))
            ):
                continue
            if (
                inspect.isfunction(found)
                and found.__module__ != module.__name__
                and not hasattr(module, "__path__")
            ):
                continue
            yield pytest.param(found, id=f"{room}.{name}")


@pytest.mark.parametrize("function", list(functions()))
def test_functions_have_an_example(function):
    text = inspect.getdoc(function) or ""
    assert text, "no docstring"
    in_place = function.__name__.endswith("_")  # documented by the operator itself
    assert in_place or ">>>" in text, f"no example in: {text[:60]}"
    assert len(text.splitlines()) <= 24


@pytest.mark.parametrize("member", list(members()))
def test_classes_and_functions_are_documented(member):
    text = inspect.getdoc(member) or ""
    assert text, "no docstring"


@pytest.mark.parametrize("name", [n for n in dir(bl.Tensor) if not n.startswith("_")])
def test_tensor_methods_are_documented(name):
    found = inspect.getattr_static(bl.Tensor, name)
    if isinstance(found, property) or not callable(found):
        return
    assert inspect.getdoc(found), f"Tensor.{name} has no docstring"
