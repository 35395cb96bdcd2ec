"""Recording Nodes and walking back; knows no operator by name.

Read in this order: node.py (what is recorded), record.py (how), engine.py (the walk back),
observe.py (looking in from outside), function.py (operators of one's own), functional.py.
"""

from __future__ import annotations

import importlib
from typing import Any

from backlit.autograd.anomaly import (
    detect_anomaly as detect_anomaly,
    set_detect_anomaly as set_detect_anomaly,
)
from backlit.autograd.engine import backward as backward, grad as grad
from backlit.autograd.function import Function as Function
from backlit.autograd.modes import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from backlit.autograd.node import Node as Node
from backlit.autograd.observe import Observer as Observer, observe as observe


def __getattr__(name: str) -> Any:
    if name == "functional":
        return importlib.import_module("backlit.autograd.functional")
    if name == "gradcheck":
        from backlit.check import gradcheck

        return gradcheck
    if name == "Variable":
        from backlit.legacy import Variable

        return Variable
    from backlit.absent import refuse

    raise refuse("autograd", name)
