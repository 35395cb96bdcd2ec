"""The functional forms: every operator that declares the namespace `F`, under PyTorch's name.

>>> F.relu(bl.tensor([-1.0, 1.0]))
tensor([0., 1.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backlit.api import NAMESPACES

if TYPE_CHECKING:
    from backlit._stubs.functional import *
globals().update(NAMESPACES["F"])


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("nn.functional", name)
