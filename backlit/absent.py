"""What is not there says so by name: PyTorch's names that Backlit lacks.

A missing name raises NotAvailable, an AttributeError too, so that `hasattr` answers False.
docs/compatibility.md lists what there is; tools/compatibility.py writes it.
"""

from __future__ import annotations

import difflib
import re

from backlit.errors import NotAvailable

# Whole subjects, by the names that programs use: what to do instead.
SUBJECTS = {
    r"jit|compile|export|fx|onnx|_dynamo": "run the program eagerly: leave the call out",
    r"GradScaler": "bl.autocast in bfloat16 needs none: its exponents are those of float32",
    r"cuda|xpu|hpu|mtia|\w*Stream|Event": "Backlit runs on the CPU: leave the call out",
    r"distributed|multiprocessing|futures|DataParallel|DistributedDataParallel":
        "one process trains; DataLoader takes num_workers",
    r"\w*sparse\w*|\w*_csr|\w*_coo|\w*_csc": "tensors are dense",
    r"\w*complex\w*|cfloat|cdouble|real|imag|view_as_real|polar|angle":
        "there are no complex numbers: keep two real tensors",
    r"fft|stft|istft|\w*_window": "Fourier transforms: use numpy.fft on x.numpy()",
    r"\w*quantize\w*|q_\w+|ao|quantization|qint\w+|quint\w+": "there are no quantized tensors",
    r"distributions": "draw with bl.randn, bl.rand, bl.multinomial, bl.bernoulli",
    r"tensorboard": "backlit.train.fit writes metrics.jsonl and pictures of the curves",
    r"Storage|\w+Storage|storage|untyped_storage": "values live in cells; see Tensor.data_ptr",
}  # fmt: skip


def refuse(owner: str, name: str) -> Exception:
    """The error for a missing attribute: plain for private names, with a hint for public ones."""
    if name.startswith("_"):
        return AttributeError(f"{owner} has no attribute {name!r}")
    return NotAvailable(f"{owner}.{name} does not exist in Backlit", hint=_hint(owner, name))


def _hint(owner: str, name: str) -> str:
    from backlit import api

    for pattern, advice in SUBJECTS.items():
        if re.fullmatch(pattern, name):
            return advice
    near = difflib.get_close_matches(name, api.names(owner), 3)
    if near:
        return f"did you mean {', '.join(near)}?"
    return "docs/compatibility.md lists what exists"
