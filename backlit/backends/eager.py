"""Which operators run by generated kernels in eager mode; each is loaded at its first use.

One table from operator to kernel, all with the signature of the operator's `forward`. With
`config.flags.kernels` off, or for dtypes that a kernel does not take, the NumPy form runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from backlit.config import flags
from backlit.ops.op import REGISTRY, Elementwise

KERNELS = {
    "conv": ("conv.eager", "conv"),
    "conv_grad_input": ("conv.eager", "conv_grad_input"),
    "conv_grad_weight": ("conv.eager", "conv_grad_weight"),
    "max_pool": ("pool.eager", "max_pool"),
    "max_pool_grad": ("pool.eager", "max_pool_grad"),
    "avg_pool": ("pool.eager", "avg_pool"),
    "avg_pool_grad": ("pool.eager", "avg_pool_grad"),
    "batch_norm": ("norm.eager", "batch_norm"),
    "batch_norm_grad": ("norm.eager", "batch_norm_grad"),
    "lstm": ("plans.eager", "lstm"),
    "lstm_grad": ("plans.eager", "lstm_grad"),
    "gru": ("plans.eager", "gru"),
    "gru_grad": ("plans.eager", "gru_grad"),
    "rnn": ("plans.eager", "rnn"),
    "rnn_grad": ("plans.eager", "rnn_grad"),
}


# Below so many elements NumPy's few passes cost less than the call of a kernel.
SMALLEST, SMALLEST_COSTLY = 16384, 2048
COSTLY = {"exp", "expm1", "log", "log1p", "tanh", "erf", "gate"}  # functions of many instructions


def install() -> None:
    """Give every operator of the table its kernel, to be loaded when it first runs; formulas get
    theirs from the generator that reads them."""
    for op in REGISTRY.values():
        if issubclass(op, Elementwise) and op.result != "bool":
            costly = COSTLY.intersection(op.formula.__code__.co_names)
            op.smallest = SMALLEST_COSTLY if costly else SMALLEST
            op.kernel = staticmethod(_formula_loader(op))
    for name, (module, function) in KERNELS.items():
        if name in REGISTRY:
            REGISTRY[name].kernel = staticmethod(_loader(REGISTRY[name], module, function))


def _loader(op: Any, module: str, function: str) -> Callable[..., Any]:
    def first(*arrays: Any, **params: Any) -> Any:
        op.kernel = staticmethod(_fitted(op, _load(module, function))) if flags.kernels else None
        return (op.kernel or op.forward)(*arrays, **params)

    return first


def _formula_loader(op: Any) -> Callable[..., Any]:
    def first(*arrays: Any, **params: Any) -> Any:
        if not flags.kernels:
            op.kernel = None
            return op.forward(*arrays, **params)
        op.kernel = staticmethod(_load("loops.elementwise", "kernel_of")(op))
        op.product = staticmethod(_load("loops.elementwise", "product_of")(op))
        return op.kernel(*arrays, **params)

    return first


def _fitted(op: Any, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel with the operator's parameters: `eps` of a gradient is not read, and a given
    `divisor` is left to the NumPy form."""
    known = inspect.signature(kernel).parameters
    extra = [p for p in inspect.signature(op.forward).parameters if p in ("eps", "divisor")]
    extra = [p for p in extra if p not in known]
    if not extra:
        return kernel

    def run(*arrays: Any, **params: Any) -> Any:
        if params.get("divisor") is not None:
            return op.forward(*arrays, **params)
        return kernel(*arrays, **{k: v for k, v in params.items() if k not in extra})

    return run


_configured: list[bool] = []


def configure() -> None:
    """Tell the package that generates kernels what the flags say, once."""
    if not _configured:
        from backlit.backends.cpu.native import features, store, threads

        threads.set_num_threads(flags.threads)
        features.set_vector_width(flags.vector or None)
        features.set_isa(flags.isa or None)
        store.set_folder(flags.cache or None)
        _configured.append(True)


def _load(module: str, function: str) -> Callable[..., Any]:
    """The kernel, after the flags were told to the package that generates it."""
    configure()
    return getattr(import_module(f"backlit.backends.cpu.{module}"), function)


def set_num_threads(count: int) -> None:
    """Use `count` threads for large kernels.

    >>> n = bl.get_num_threads(); bl.set_num_threads(1); bl.get_num_threads()
    1
    >>> bl.set_num_threads(n)
    """
    from backlit.errors import ArgumentError

    if not isinstance(count, int) or count < 1:
        raise ArgumentError(f"set_num_threads: expected a whole number from 1, got {count!r}")
    flags.threads = count
    if _configured:
        from backlit.backends.cpu.native import threads

        threads.set_num_threads(count)


def get_num_threads() -> int:
    """How many threads large kernels use.

    >>> bl.get_num_threads() >= 1
    True
    """
    return flags.threads
