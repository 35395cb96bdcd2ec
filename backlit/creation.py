"""Making tensors: from data, filled, counted, random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import devices
from backlit import dtypes as dt
from backlit import random as rng
from backlit.dlpack import array_of
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops import random as draws
from backlit.ops.op import apply
from backlit.ops.shape import sizes_of
from backlit.spelling import accept
from backlit.state import tell
from backlit.tensor import Tensor, wrap


def as_array(data: Any, dtype: dt.dtype | None = None) -> np.ndarray:
    """A fresh array from numbers, nested sequences, NumPy arrays or tensors."""
    exact = isinstance(data, (Tensor, np.ndarray, np.generic))
    if isinstance(data, Tensor):
        tell("read", data)
        array = data.cell.array
    elif exact:
        array = np.array(data)
    elif hasattr(data, "__dlpack__"):
        array, exact = array_of(data), True
    else:
        array = _from_python(data)
    if dtype is None:
        guess = array.dtype == np.float64 and not exact
        dtype = dt.get_default_dtype() if guess else dt.of_array(array)
    if array.dtype.kind == "c":
        raise DTypeError("complex numbers are not supported")
    made = array.astype(dtype.numpy, copy=False)
    return made.copy() if made is data or made.base is not None else made


def _from_python(data: Any) -> np.ndarray:
    if _holds_tensors(data):
        data = _unwrapped(data)
    try:
        array = np.array(data)
    except ValueError:
        raise ShapeError(
            "the rows of nested data have different lengths", hint="pad them, or keep a list"
        ) from None
    if array.dtype.kind not in "fiub":
        if array.dtype.kind == "c":
            raise DTypeError("complex numbers are not supported")
        raise ArgumentTypeError(f"can't make a tensor of {type(data).__name__} {_short(data)}")
    if array.size == 0 and array.dtype == np.float64:
        return array
    return array


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 40 else text[:37] + "..."


def _holds_tensors(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, Tensor)


def _unwrapped(data: Any) -> Any:
    if isinstance(data, Tensor):
        tell("read", data)
        return data.cell.array
    return [_unwrapped(d) for d in data] if isinstance(data, (list, tuple)) else data


def _made(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    result = wrap(array)
    if requires_grad:
        result.requires_grad = True
    return result


def tensor(data: Any, *, dtype: dt.dtype | None = None, device: Any = None,
           requires_grad: bool = False, pin_memory: bool = False) -> Tensor:  # fmt: skip
    """A tensor with a copy of `data`: numbers, nested lists, NumPy arrays.

    Python floats become the default dtype (float32), whole numbers int64.

    >>> bl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    devices.check(device)
    return _made(as_array(data, dtype), requires_grad)


def as_tensor(data: Any, dtype: dt.dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor; a tensor that fits already is returned as it is.

    >>> bl.as_tensor([1.0])
    tensor([1.])
    """
    devices.check(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)  # type: ignore[attr-defined]
    return _made(as_array(data, dtype))


asarray = as_tensor


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor with a copy of a NumPy array, in its dtype.

    >>> bl.from_numpy(np.arange(3.0))
    tensor([0., 1., 2.], dtype=backlit.float64)
    """
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}")
    return _made(np.array(array, dtype=dt.of_numpy(array.dtype).numpy))


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor with a copy of another library's array, or of a DLPack capsule, in its dtype.

    Raises NotAvailable where the array is not in the CPU's memory.

    >>> bl.from_dlpack(np.ones(2, dtype=np.float32))
    tensor([1., 1.])
    """
    devices.check(device)
    if copy is False:
        raise ArgumentError("from_dlpack: values are always copied", hint="leave copy out")
    array = array_of(ext_tensor)
    dt.of_array(array)  # refuses formats that Backlit does not have
    return _made(array)


def full(size: Any, fill_value: Any, *, dtype: dt.dtype | None = None, device: Any = None,
         requires_grad: bool = False, out: None = None, layout: Any = None) -> Tensor:  # fmt: skip
    """A tensor of `size` with one value everywhere.

    >>> bl.full((2,), 7.0)
    tensor([7., 7.])
    """
    devices.check(device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    if dtype is None:
        dtype = dt.as_dtype(type(value))
    return _made(np.full(_size(size), value, dtype.numpy), requires_grad)


def _size(*size: Any) -> tuple[int, ...]:
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    found = sizes_of(tuple(int(n) if isinstance(n, Tensor) else n for n in size))
    if any(n < 0 for n in found):
        raise ArgumentError(f"sizes must not be negative, got {found}")
    return found


def _filled(value: float) -> Any:
    def make(
        *size: Any,
        dtype: dt.dtype | None = None,
        device: Any = None,
        layout: Any = None,
        requires_grad: bool = False,
        out: None = None,
        names: None = None,
    ) -> Tensor:
        devices.check(device)
        target = (dtype or dt.get_default_dtype()).numpy
        return _made(np.full(_size(*size), value, target), requires_grad)

    return make


def _named(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return accept(function)


zeros = _named(_filled(0.0), "zeros", """A tensor of zeros.

    >>> bl.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """)  # fmt: skip
ones = _named(_filled(1.0), "ones", """A tensor of ones.

    >>> bl.ones(3)
    tensor([1., 1., 1.])
    """)  # fmt: skip
empty = _named(_filled(0.0), "empty", """A tensor whose values do not matter (they are zeros).

    >>> bl.empty(2, 3).shape
    backlit.Size([2, 3])
    """)  # fmt: skip


def full_like(input: Tensor, fill_value: Any, *, dtype: dt.dtype | None = None, device: Any = None,
              requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """A tensor of the shape and dtype of `input` with one value everywhere.

    >>> bl.full_like(bl.zeros(2), 3)
    tensor([3., 3.])
    """
    return full(tuple(input.shape), fill_value, dtype=dtype or input.dtype, device=device,
                requires_grad=requires_grad)  # fmt: skip


def zeros_like(input: Tensor, **kwargs: Any) -> Tensor:
    """Zeros of the shape and dtype of `input`.

    >>> bl.zeros_like(bl.tensor([1, 2]))
    tensor([0, 0])
    """
    return full_like(input, 0, **kwargs)


def ones_like(input: Tensor, **kwargs: Any) -> Tensor:
    """Ones of the shape and dtype of `input`.

    >>> bl.ones_like(bl.tensor([1, 2]))
    tensor([1, 1])
    """
    return full_like(input, 1, **kwargs)


def empty_like(input: Tensor, **kwargs: Any) -> Tensor:
    """A tensor like `input` whose values do not matter (they are zeros).

    >>> bl.empty_like(bl.ones(2)).shape
    backlit.Size([2])
    """
    return full_like(input, 0, **kwargs)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: dt.dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    out: None = None,
) -> Tensor:
    """Numbers from `start` (default 0) up to, not including, `end`.

    >>> bl.arange(4), bl.arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2, 3]), tensor([1.0000, 1.5000]))
    """
    devices.check(device)
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise ArgumentError("arange: step must not be 0")
    if (end - start) * step < 0:
        raise ArgumentError(f"arange: from {start} to {end} with step {step} leads away")
    if dtype is None:
        whole = all(isinstance(v, int) for v in (start, end, step))
        dtype = dt.int64 if whole else dt.get_default_dtype()
    count = math.ceil((end - start) / step)
    values = start + step * np.arange(count, dtype=np.int64 if dtype.kind in "iu" else np.float64)
    return _made(values.astype(dtype.numpy), requires_grad)


def linspace(start: Any, end: Any, steps: int, *, dtype: dt.dtype | None = None, device: Any = None,
             requires_grad: bool = False, out: None = None) -> Tensor:  # fmt: skip
    """`steps` numbers from `start` to `end`, both included.

    >>> bl.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    devices.check(device)
    if steps < 0:
        raise ArgumentError(f"linspace: steps must not be negative, got {steps}")
    values = np.linspace(float(start), float(end), int(steps))
    return _made(values.astype((dtype or dt.get_default_dtype()).numpy), requires_grad)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: dt.dtype | None = None,
             device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """`base` to the power of `steps` numbers from `start` to `end`.

    >>> bl.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    devices.check(device)
    values = float(base) ** np.linspace(float(start), float(end), int(steps))
    return _made(values.astype((dtype or dt.get_default_dtype()).numpy), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: dt.dtype | None = None, device: Any = None,
        requires_grad: bool = False, out: None = None) -> Tensor:  # fmt: skip
    """The identity matrix, or its first `m` columns.

    >>> bl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    devices.check(device)
    return _made(np.eye(n, m, dtype=(dtype or dt.get_default_dtype()).numpy), requires_grad)


# ----- random -----


def _drawn(op: Any, size: tuple, dtype: dt.dtype | None, generator: Any,
           requires_grad: bool) -> Tensor:  # fmt: skip
    target = dtype or dt.get_default_dtype()
    if not target.is_floating_point:
        raise DTypeError(f"random floats can't be {target.name}", hint="use randint")
    taken = rng.take(generator, math.prod(size))
    made = apply(op, *taken, shape=tuple(size), dtype=target)
    return made.requires_grad_() if requires_grad else made


@accept
def rand(*size: Any, generator: Any = None, dtype: dt.dtype | None = None, device: Any = None,
         requires_grad: bool = False, out: None = None, layout: Any = None,
         pin_memory: bool = False) -> Tensor:  # fmt: skip
    """Uniform random numbers in [0, 1).

    >>> bl.rand(2, 3).shape
    backlit.Size([2, 3])
    """
    devices.check(device)
    return _drawn(draws.Uniform, _size(*size), dtype, generator, requires_grad)


@accept
def randn(*size: Any, generator: Any = None, dtype: dt.dtype | None = None, device: Any = None,
          requires_grad: bool = False, out: None = None, layout: Any = None,
          pin_memory: bool = False) -> Tensor:  # fmt: skip
    """Standard normal random numbers.

    >>> bl.randn(2, 3).shape
    backlit.Size([2, 3])
    """
    devices.check(device)
    return _drawn(draws.Normal, _size(*size), dtype, generator, requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, generator: Any = None,
            dtype: dt.dtype | None = None, device: Any = None,
            requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Random whole numbers from `low` (default 0) up to, not including, `high`.

    >>> bool((bl.randint(3, 5, (10,)) >= 3).all())
    True
    """
    devices.check(device)
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise ArgumentError(f"randint: high ({high}) must be above low ({low})")
    shape = _size(size)
    taken = rng.take(generator, math.prod(shape))
    made = apply(draws.RandomInteger, *taken, shape=tuple(shape), dtype=dtype or dt.int64,
                 low=int(low), high=int(high))  # fmt: skip
    return made.requires_grad_() if requires_grad else made


def randperm(n: int, *, generator: Any = None, dtype: dt.dtype | None = None,
             device: Any = None) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order.

    >>> sorted(bl.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    devices.check(device)
    taken = rng.take(generator, n)
    return apply(draws.RandomPermutation, *taken, n=n, dtype=dtype or dt.int64)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None,
           dtype: dt.dtype | None = None, device: Any = None) -> Tensor:  # fmt: skip
    """Normal random numbers; `mean` and `std` are numbers or tensors.

    >>> bl.normal(10.0, 0.0, (2,))
    tensor([10., 10.])
    """
    if not isinstance(std, Tensor) and std < 0:
        raise ArgumentError(f"normal: std must not be negative, got {std}")
    if size is None:
        given = [v for v in (mean, std) if isinstance(v, Tensor)]
        if not given:
            raise ArgumentError("normal: give a size when mean and std are numbers")
        size = np.broadcast_shapes(*(tuple(v.shape) for v in given))
        dtype = dtype or given[0].dtype
    drawn = randn(size, generator=generator, dtype=dtype, device=device)
    return drawn * std + mean  # type: ignore[operator]


def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that `input` (or `p`) gives, else 0.

    >>> bl.bernoulli(bl.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    chance = input if p is None else wrap(np.full(input.shape, p))
    values = chance.cell.array
    if values.size and not bool(((values >= 0) & (values <= 1)).all()):
        raise ArgumentError("bernoulli: probabilities must be between 0 and 1")
    taken = rng.take(generator, values.size)
    return apply(draws.Bernoulli, chance, *taken, dtype=input.dtype)


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *,
                generator: Any = None) -> Tensor:  # fmt: skip
    """Indices drawn with the probabilities (or weights) in the rows of `input`.

    >>> bl.multinomial(bl.tensor([0.0, 1.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    weights = np.atleast_2d(input.cell.array.astype(np.float64))
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(1) <= 0).any():
        raise ArgumentError("multinomial: weights must be finite, not negative and not all zero")
    rows, width = weights.shape
    if not replacement and num_samples > int((weights > 0).sum(1).min()):
        raise ArgumentError(f"multinomial: {num_samples} draws without replacement are too many")
    taken = rng.take(generator, rows * (num_samples if replacement else width))
    return apply(draws.Multinomial, input, *taken, count=num_samples, replacement=replacement)


def rand_like(input: Tensor, *, dtype: dt.dtype | None = None, **kwargs: Any) -> Tensor:
    """Uniform random numbers of the shape and dtype of `input`.

    >>> bl.rand_like(bl.zeros(2)).shape
    backlit.Size([2])
    """
    return rand(tuple(input.shape), dtype=dtype or input.dtype, **kwargs)


def randn_like(input: Tensor, *, dtype: dt.dtype | None = None, **kwargs: Any) -> Tensor:
    """Standard normal random numbers of the shape and dtype of `input`.

    >>> bl.randn_like(bl.zeros(2)).shape
    backlit.Size([2])
    """
    return randn(tuple(input.shape), dtype=dtype or input.dtype, **kwargs)


def randint_like(input: Tensor, low: int, high: int | None = None, **kwargs: Any) -> Tensor:
    """Random whole numbers of the shape and dtype of `input`.

    >>> bl.randint_like(bl.zeros(2), 5).shape
    backlit.Size([2])
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, tuple(input.shape), dtype=input.dtype, **kwargs)
