"""Sampling for several processes: importable, and refused when it is used."""

from __future__ import annotations

from backlit.absent import Absent

DistributedSampler = Absent("utils.data.distributed", "DistributedSampler")
