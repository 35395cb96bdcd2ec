"""What is not there says so by name: PyTorch's names that Backlit lacks.

A missing name raises NotAvailable, an AttributeError too, so that `hasattr` answers False.
docs/compatibility.md lists what there is; tools/compatibility.py writes it.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from backlit.errors import NotAvailable

# Whole subjects, by the names that programs use: what to do instead.
SUBJECTS = {
    r"compile|export|_dynamo": "run the program eagerly: leave the call out",
    r"cuda|xpu|hpu|mtia|\w*Stream|Event": "Backlit runs on the CPU: leave the call out",
    r"futures|spawn|Process|Pool|init_process_group|get_rank|get_world_size|Distributed\w+":
        "one process trains; DataLoader takes num_workers",
    r"load_url|load_state_dict_from_url|download_url_to_file":
        "nothing is downloaded here: bl.load reads a file that you have",
    r"\w*sparse\w*|\w*_csr|\w*_coo|\w*_csc": "tensors are dense",
    r"\w*complex\w*|cfloat|cdouble|real|imag|view_as_real|polar|angle":
        "there are no complex numbers: keep two real tensors",
    r"fft|stft|istft|\w*_window": "Fourier transforms: use numpy.fft on x.numpy()",
    r"\w*quantize\w*|q_\w+|ao|quantization|qint\w+|quint\w+": "there are no quantized tensors",
    r"tensorboard": "bl.utils.tensorboard.SummaryWriter writes what TensorBoard shows",
    r"Storage|\w+Storage|storage|untyped_storage": "values live in cells; see Tensor.data_ptr",
}  # fmt: skip


def refuse(owner: str, name: str) -> Exception:
    """The error for a missing attribute: plain for private names, with a hint for public ones."""
    if name.startswith("_"):
        return AttributeError(f"{owner} has no attribute {name!r}")
    return NotAvailable(f"{owner}.{name} does not exist in Backlit", hint=_hint(owner, name))


class Absent:
    """A name that programs import and may never use: the refusal waits for the use."""

    def __init__(self, owner: str, name: str) -> None:
        self._owner, self._name = owner, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise refuse(self._owner, self._name)

    def __getattr__(self, name: str) -> Any:
        raise refuse(f"{self._owner}.{self._name}", name)


def importable(owner: str, names: str) -> dict[str, Absent]:
    """What a module of absent names offers to `import`."""
    return {name: Absent(owner, name) for name in names.split()}


def _hint(owner: str, name: str) -> str:
    from backlit import api

    for pattern, advice in SUBJECTS.items():
        if re.fullmatch(pattern, name):
            return advice
    near = difflib.get_close_matches(name, api.names(owner), 3)
    if near:
        return f"did you mean {', '.join(near)}?"
    return "docs/compatibility.md lists what exists"
