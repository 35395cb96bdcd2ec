"""Probability distributions: draw, and say how probable a value is. PyTorch's names.

Read in this order: distribution.py (what all have), continuous.py, discrete.py, joint.py, kl.py.
"""

from __future__ import annotations

from typing import Any

from backlit.distributions.continuous import Exponential as Exponential
from backlit.distributions.continuous import Gumbel as Gumbel
from backlit.distributions.continuous import Laplace as Laplace
from backlit.distributions.continuous import LogNormal as LogNormal
from backlit.distributions.continuous import Normal as Normal
from backlit.distributions.continuous import Uniform as Uniform
from backlit.distributions.discrete import Bernoulli as Bernoulli
from backlit.distributions.discrete import Categorical as Categorical
from backlit.distributions.discrete import OneHotCategorical as OneHotCategorical
from backlit.distributions.distribution import Distribution as Distribution
from backlit.distributions.joint import Independent as Independent
from backlit.distributions.joint import MultivariateNormal as MultivariateNormal
from backlit.distributions.kl import kl_divergence as kl_divergence
from backlit.distributions.kl import register_kl as register_kl


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("distributions", name)
