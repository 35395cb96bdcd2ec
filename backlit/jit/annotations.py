"""PyTorch's address for the types in scripted code: Python's own."""

from __future__ import annotations

from typing import Any as Any
from typing import Dict as Dict  # noqa: UP035
from typing import List as List  # noqa: UP035
from typing import NamedTuple as NamedTuple
from typing import Optional as Optional
from typing import Tuple as Tuple  # noqa: UP035
from typing import Union as Union

from backlit.jit import Final as Final
from backlit.tensor import Tensor as Tensor
