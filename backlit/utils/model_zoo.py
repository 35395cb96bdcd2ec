"""PyTorch's older address for downloaded weights; see hub.py."""

from __future__ import annotations

from backlit.absent import Absent

load_url = Absent("utils.model_zoo", "load_url")
