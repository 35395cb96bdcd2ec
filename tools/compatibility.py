"""Writes docs/compatibility.md: which of PyTorch's documented functions Backlit has.

    python tools/compatibility.py          write the table
    python tools/compatibility.py --check  say whether it is fresh (exit status 1 if not)

Needs PyTorch, whose own documentation strings say what is documented.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import backlit as bl
from backlit.errors import NotAvailable

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"

INTRODUCTION = """# What of PyTorch is there

`import backlit as torch` runs small PyTorch programs unchanged. This page lists the documented
functions of PyTorch {version}, by namespace: those that Backlit has, those that are missing, and
those of subjects that it leaves out. A missing name raises `NotAvailable`, which says so by name
and is an `AttributeError` too: `hasattr` answers False.

Known differences: seeds draw other numbers than PyTorch's (the distributions are the same);
files are written by `save` as safetensors, never as pickles; there is one device, the CPU.

[programs.md](programs.md) lists public programs that were tried.

The last column counts the subjects left out as missing.

Written by `tools/compatibility.py`; a test keeps it fresh."""

HEAD = "| namespace | there | missing | share | share of everything |\n|---|---|---|---|---|\n"

# What is left out, by subject: a pattern for whole names.
OUTSIDE = {
    "complex numbers": r"complex|is_complex|is_conj|is_neg|conj\w*|real|imag|polar|angle|isreal|"
    r"view_as_(real|complex)|resolve_(conj|neg)|adjoint|cdouble|cfloat|chalf|vdot",
    "sparse tensors": r"\w*sparse\w*|\w*coalesced?|\w+_(csr|coo|csc|bsr|bsc)|values|to_dense|"
    r"(crow|ccol|col|row)?_?indices|smm|sspaddmm|hspmm|dsmm|spmm|saddmm|dense_dim",
    "quantized tensors": r"\w*quant\w*|q_\w+|int_repr|qscheme|fbgemm\w*|fused_moving\w+|"
    r"choose_qparams\w*|(grouped|scaled|scaled_grouped)_mm",
    "Fourier transforms": r"i?stft|\w*_window|\w*fft\w*",
    "random distributions": r"(cauchy|geometric|log_normal)_|poisson|binomial",
    "other devices": r"cuda|hpu|ipu|xpu|mtia|is_(cuda|xpu|mps|ipu|hpu|mtia|maia|xla|meta|cpu)|"
    r"\w*(mkldnn|cudnn|miopen|mps|vulkan)\w*|get_device\w*|\w*pinned?|pin_memory|record_stream|"
    r"\w*autocast\w*|is_\w*available|device_\w+",
    "named tensors": r"align_\w+|rename_?|refine_names|names|has_names",
    "nested tensors": r"is_nested|nested_\w*|to_padded_tensor",
    "storages and memory": r"\w*storage\w*|set_|share_memory_|is_shared|from_file|frombuffer|"
    r"to_dlpack|const_data_ptr|dim_order|is_set_to|empty_(permuted|strided)|new_empty_strided|"
    r"as_strided\w*|as_subclass|module_load|share_memory",
    "compilers and graphs": r"compile|export|cond|while_loop|vmap|sym_\w+|\w*_jit\w*|fork|wait|"
    r"freeze\w*|import_ir_module\w*|parse_\w+|merge_type_\w+|unify_type_list|\w+_copy",
    "switches and internals": r"\w+_interop_threads|set_flush_denormal|\w*vital\w*|get_file_path|"
    r"(set|get)_deterministic\w*|\w*_warn_always\w*|init_num_threads|native_\w+|grad_dtype|"
    r"compiled_with\w+|prepare_multiprocessing_environment|has_torch_function\w*|hash_tensor|"
    r"handle_torch_function|boolean_dispatch|assert_int_or_pair|classproperty|(map2?|apply)_|"
    r"reinforce|thread_safe_generator|is_(distributed|inference|same_size)|\w*_file",
}


def subject(name: str) -> str | None:
    """The subject that leaves a name out, if any."""
    return next((k for k, pattern in OUTSIDE.items() if re.fullmatch(pattern, name)), None)


def documented(owner: Any) -> list[str]:
    """Public functions of a module or class that carry documentation of their own."""
    found = []
    for name in sorted(vars(owner) if inspect.ismodule(owner) else dir(owner)):
        value = getattr(owner, name, None)
        if name.startswith("_") or inspect.isclass(value) or inspect.ismodule(value):
            continue
        if (callable(value) or inspect.isdatadescriptor(value)) and value.__doc__:
            module = getattr(value, "__module__", None) or "torch"
            if module.split(".")[0] == "torch":
                found.append(name)
    return found


def has(owner: Any, name: str) -> bool:
    """Whether Backlit offers the name."""
    try:
        getattr(owner, name)
    except NotAvailable:
        return False
    return True


class Listing(NamedTuple):
    """One namespace: what is there, what is missing, what is left out by subject."""

    there: list[str]
    missing: list[str]
    left_out: dict[str, list[str]]

    @property
    def counted(self) -> int:
        """How many of those there belong to no subject that is left out."""
        return sum(subject(name) is None for name in self.there)

    @property
    def share(self) -> float:
        """Of the names outside the subjects that are left out."""
        return self.counted / (self.counted + len(self.missing))

    @property
    def whole_share(self) -> float:
        """Of all documented names."""
        left_out = sum(map(len, self.left_out.values()))
        return len(self.there) / (len(self.there) + len(self.missing) + left_out)


def listings() -> dict[str, Listing]:
    """A Listing for torch, torch.Tensor and torch.nn.functional."""
    import torch

    pairs = {
        "torch": (torch, bl),
        "torch.Tensor": (torch.Tensor, bl.zeros(1, 1)),
        "torch.nn.functional": (torch.nn.functional, bl.nn.functional),
    }
    found = {}
    for title, (theirs, ours) in pairs.items():
        listing = found[title] = Listing([], [], {})
        for name in documented(theirs):
            if has(ours, name):
                listing.there.append(name)
            elif (why := subject(name)) is not None:
                listing.left_out.setdefault(why, []).append(name)
            else:
                listing.missing.append(name)
    return found


def _names(names: list[str]) -> str:
    return textwrap.fill(", ".join(f"`{n}`" for n in names), 100, break_long_words=False)


def page() -> str:
    """The text of docs/compatibility.md."""
    import torch

    version = torch.__version__.split("+")[0]
    parts = [INTRODUCTION.format(version=version)]
    found = listings()
    rows = [
        f"| `{title}` | {len(x.there)} | {len(x.missing)} | {100 * x.share:.0f} % "
        f"| {100 * x.whole_share:.0f} % |"
        for title, x in found.items()
    ]
    parts.append(HEAD + "\n".join(rows))
    for title, x in found.items():
        parts.append(f"## {title}\n\n### There\n\n{_names(x.there)}")
        parts.append(f"### Missing\n\n{_names(x.missing)}")
        left_out = (
            f"- {why}: {', '.join(f'`{n}`' for n in x.left_out[why])}" for why in x.left_out
        )
        fill = (textwrap.fill(line, 100, subsequent_indent="  ") for line in left_out)
        parts.append("### Left out\n\n" + "\n".join(fill))
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with --check compare it."""
    text = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
