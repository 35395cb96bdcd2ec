"""Tensor: a storage cell, a gradient, and the Node that made it. No mathematics.

A cell points to an array that nobody writes to once it is made; in-place methods put a new array
into the cell. A view remembers its base cell and reads it again when the base has changed.
Methods are attached from the operator registry (api.py). Read next: autograd/record.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit import dtypes as dt
from backlit.dlpack import capsule_of
from backlit.errors import ArgumentError, ArgumentTypeError, ExportError, GradError
from backlit.state import changes, state, tell

if TYPE_CHECKING:
    from backlit._stubs.methods import TensorMethods
else:  # the registry attaches them; see api.py
    TensorMethods = object


class Size(tuple):
    """A shape: a tuple with `numel`."""

    __slots__ = ()

    def numel(self) -> int:
        """The number of elements.

        >>> bl.zeros(2, 3).shape.numel()
        6
        """
        count = 1
        for size in self:
            count *= size
        return count

    def __repr__(self) -> str:
        return f"backlit.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:  # type: ignore[override]
        return Size(tuple(self) + tuple(other))


class Cell:
    """The mutable place of a tensor; its array is never written to by others.

    `era` tells what was there before a capture began from what was made inside it.
    """

    __slots__ = ("__weakref__", "array", "era", "version")

    def __init__(self, array: np.ndarray):
        self.array = array
        self.version = 0
        self.era = _era

    def put(self, array: np.ndarray) -> None:
        """Refill the cell."""
        if state.observers:
            tell("put", self)
        self.array = array
        self.version += 1

    @property
    def root(self) -> Cell:
        return self


_era = 0


def next_era() -> int:
    """Begin an era: cells made from now on have this number or a later one."""
    global _era
    _era += 1
    return _era


class ViewCell:
    """A window into another cell: `op` with `params`, applied to the parent's array."""

    __slots__ = ("__weakref__", "_array", "_seen", "op", "params", "parent", "root")

    def __init__(self, parent: Cell | ViewCell, op: Any, params: dict, array: np.ndarray):
        self.parent, self.op, self.params = parent, op, params
        self.root: Cell = parent.root
        self._array, self._seen = array, self.root.version

    @property
    def version(self) -> int:
        return self.root.version

    @property
    def array(self) -> np.ndarray:
        if self._seen != self.root.version:
            self._array, self._seen = self.look(self.root.array), self.root.version
        return self._array

    @property
    def fresh(self) -> bool:
        """Whether the window shows the root as it is now."""
        return self._seen == self.root.version

    def see(self, array: np.ndarray) -> None:
        """Take an array that was computed elsewhere as what the window shows now."""
        self._array, self._seen = array, self.root.version

    def path(self) -> tuple[tuple[Any, dict], ...]:
        """The view operators from the root to here."""
        steps = []
        cell: Any = self
        while isinstance(cell, ViewCell):
            steps.append((cell.op, cell.params))
            cell = cell.parent
        return tuple(reversed(steps))

    def look(self, array: np.ndarray) -> np.ndarray:
        """This window of a root array."""
        for op, params in self.path():
            array = op.forward(array, **params)
        return array

    def put(self, array: np.ndarray) -> None:
        """Write through to the root cell."""
        fresh = self.root.array.copy(order="K")
        self.look(fresh)[...] = array
        self.root.put(fresh)


class Tensor(TensorMethods):
    """An n-dimensional array that remembers how it was computed.

    >>> x = bl.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # Instance attributes start from these: a new tensor sets only what differs.
    cell: Any
    node: Any = None  # the Node that made it, or the leaf that it stands for
    index: int = 0  # which output of the Node
    support: Any = None  # where a gradient may be non-zero; see ops.shape.Where
    _requires_grad: bool = False
    _grad: Tensor | None = None
    _base: Tensor | None = None  # of a view: the tensor whose history it follows
    _stamp: Any = None  # the base's Node when this view's Node was made
    _hooks: list | None = None
    _retains: bool = False

    __hash__ = object.__hash__

    def __new__(cls, data: Any = None, *args: Any, **kwargs: Any) -> Tensor:
        made = object.__new__(cls)
        return made

    def __init__(self, data: Any = (), *sizes: int):
        from backlit.creation import as_array

        if isinstance(data, int) and not isinstance(data, bool):
            array = np.zeros((data, *sizes), dt.get_default_dtype().numpy)
        elif isinstance(data, Tensor):
            array = data.cell.array
        else:
            array = as_array(data, dt.get_default_dtype())
        self.cell = Cell(array)

    # ----- identity -----

    @property
    def array(self) -> np.ndarray:
        """The current array. Never write to it."""
        return self.cell.array

    @property
    def shape(self) -> Size:
        return Size(self.cell.array.shape)

    @property
    def dtype(self) -> dt.dtype:
        return dt.of_array(self.cell.array)

    @property
    def ndim(self) -> int:
        return self.cell.array.ndim

    @property
    def itemsize(self) -> int:
        return self.cell.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.cell.array.nbytes

    @property
    def device(self) -> Any:
        from backlit.devices import CPU

        return CPU

    @property
    def layout(self) -> str:
        return "strided"

    is_cuda = is_sparse = is_quantized = is_meta = is_mkldnn = is_mps = is_xpu = False
    is_nested = False

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        if dim is None:
            return self.shape
        from backlit.ops.op import normalize_axis

        return self.cell.array.shape[normalize_axis(dim, self.ndim)]

    def dim(self) -> int:
        """The number of axes."""
        return self.cell.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self.cell.array.size

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.cell.array.itemsize

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating point."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """False: there are no complex numbers."""
        return False

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """True: how an array lies in memory is not part of a tensor's meaning."""
        return True

    def stride(self, dim: int | None = None) -> Any:
        """Steps of a contiguous array of this shape; memory order is not part of the meaning."""
        steps, step = [], 1
        for size in reversed(self.shape):
            steps.append(step)
            step *= max(size, 1)
        found = tuple(reversed(steps))
        return found if dim is None else found[dim]

    def storage_offset(self) -> int:
        """0: every tensor starts its own storage."""
        return 0

    def data_ptr(self) -> int:
        """The address of the current array, for telling tensors apart."""
        return self.cell.array.ctypes.data

    @property
    def _version(self) -> int:
        return self.cell.version

    # ----- gradient -----

    def _follow(self) -> None:
        """Before the history of a view is looked at: an in-place method may have changed it."""
        if self._base is not None and self._base.node is not self._stamp:
            from backlit.ops.op import slot

            slot.follow_base(self)

    @property
    def requires_grad(self) -> bool:
        if self._base is not None:
            self._follow()
        return self._requires_grad or self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.node is not None:
            if value:
                return
            raise GradError(
                "requires_grad can be cleared on leaf tensors only", hint="use x.detach()"
            )
        if value and not self.dtype.is_floating_point:
            raise GradError(f"only floating point tensors can require grad, not {self.dtype.name}")
        if self._requires_grad != bool(value):
            _note_change(self)
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        self._follow()
        return self.node is None

    @property
    def grad_fn(self) -> Any:
        self._follow()
        return self.node if type(self.node).__name__ == "Node" else None

    @property
    def grad(self) -> Tensor | None:
        if state.observers:
            tell("grad_read", self)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise ArgumentTypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
        if value is not None and value.shape != self.shape:
            raise GradError(f"grad has shape {tuple(value.shape)}, the tensor {tuple(self.shape)}")
        if state.observers:
            tell("grad_set", self)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        if state.observers:
            tell("grad_set", self)
        self._grad = None

    @property
    def retains_grad(self) -> bool:
        return self._retains

    @property
    def output_nr(self) -> int:
        return self.index

    @property
    def name(self) -> str | None:
        return self.__dict__.get("_name")

    @name.setter
    def name(self, value: str | None) -> None:
        self.__dict__["_name"] = value

    def backward(self, gradient: Any = None, retain_graph: bool | None = None,
                 create_graph: bool = False, inputs: Any = None) -> None:  # fmt: skip
        """Add the gradient of this tensor to `.grad` of every leaf that it depends on.

        A tensor with more than one element needs `gradient`, of its own shape.

        >>> x = bl.tensor(3.0, requires_grad=True)
        >>> (x**2).backward()
        >>> x.grad
        tensor(6.)
        """
        from backlit.autograd.engine import backward

        backward(self, gradient, retain_graph, create_graph, inputs)

    def register_hook(self, hook: Any) -> Any:
        """Call `hook(grad)` when the gradient of this tensor is known; it may return another.

        >>> x = bl.tensor(2.0, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> (x * x).backward(); x.grad
        tensor(40.)
        """
        if not self.requires_grad:
            raise GradError("register_hook: the tensor does not require grad")
        if self.grad_fn is not None:
            if self.node.hooks is None:
                self.node.hooks = {}
            hooks = self.node.hooks.setdefault(self.index, [])
        else:
            if self._hooks is None:
                self._hooks = []
            hooks = self._hooks
            _note_change(self)
        hooks.append(hook)
        return HookHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """Call `hook(tensor)` after a leaf's `.grad` was updated."""
        if self.node is not None:
            raise GradError("register_post_accumulate_grad_hook: not a leaf tensor")
        hooks = self.__dict__.setdefault("_accumulated", [])
        hooks.append(hook)
        _note_change(self)
        return HookHandle(hooks, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of a tensor that is not a leaf.

        >>> x = bl.tensor(2.0, requires_grad=True)
        >>> y = x * x; y.retain_grad(); (y * 3).backward(); y.grad
        tensor(3.)
        """
        if not self.requires_grad:
            raise GradError("retain_grad: the tensor does not require grad")
        if self.grad_fn is None or self._retains:
            return
        self._retains = True
        mine = weakref.ref(self)

        def keep(grad: Tensor) -> None:
            tensor = mine()
            if tensor is not None:
                kept = wrap(grad.cell.array)
                kept.node, kept.index = grad.node, grad.index
                tensor._grad = kept

        self.__dict__["_retaining"] = self.register_hook(keep)

    def detach(self) -> Tensor:
        """The same cell without its history."""
        made = object.__new__(Tensor)
        made.cell = self.cell
        return made

    def detach_(self) -> Tensor:
        """Forget the history, in place."""
        self.node, self._base, self._stamp = None, None, None
        self._requires_grad = False
        return self

    @property
    def data(self) -> Tensor:
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise ArgumentTypeError(f"data must be a Tensor, got {type(value).__name__}")
        if state.observers:
            tell("storage_set", self)
        _note_change(self)
        # Another cell, not a refill: who holds the old `.data` keeps the old values.
        self.cell, self._base, self._stamp = value.cell, None, None

    # ----- out to Python -----

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The values as a read-only NumPy array."""
        if self.requires_grad and not force:
            raise GradError(
                "numpy() on a tensor that requires grad would lose its history",
                hint="use x.detach().numpy()",
            )
        _tell_read(self)
        view = self.cell.array.view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            name = array.dtype.name
            raise ArgumentError(
                f"no array of {np.dtype(dtype)} without a copy: the tensor holds {name}"
            )
        return array.astype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None,
                        **settings: Any) -> Any:  # fmt: skip
        """NumPy's functions on tensors: `array * x` is ours, `np.sqrt(x)` a tensor of values."""
        ours = REFLECTED.get(ufunc.__name__) if method == "__call__" and out is None else None
        if ours is not None and not settings and isinstance(inputs[0], np.ndarray | np.generic):
            return getattr(inputs[1], ours)(inputs[0])
        if out is not None and any(isinstance(target, Tensor) for target in out):
            raise ArgumentTypeError(f"{ufunc.__name__}: NumPy can't write into a tensor")
        arrays = [x.numpy() if isinstance(x, Tensor) else x for x in inputs]
        if out is not None:
            return getattr(ufunc, method)(*arrays, out=out, **settings)
        found = getattr(ufunc, method)(*arrays, **settings)
        if isinstance(found, tuple):
            return tuple(wrap(np.asarray(part)) for part in found)
        return None if found is None else wrap(np.asarray(found))

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
                   copy: bool | None = None) -> Any:  # fmt: skip
        """A DLPack capsule with a copy: consumers ignore that an array is read-only."""
        if self.requires_grad:
            raise ExportError(
                "__dlpack__ of a tensor that requires grad would lose its history",
                hint="use x.detach()",
            )
        if copy is False or dl_device not in (None, self.__dlpack_device__()):
            wish = "without a copy" if copy is False else f"on the device {dl_device}"
            raise ExportError(f"__dlpack__: a tensor can't be handed out {wish}",
                              hint="x.numpy() is a read-only view")  # fmt: skip
        _tell_read(self)
        return capsule_of(self.cell.array.copy())

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the CPU

    def item(self) -> Any:
        """The only element, as a Python number."""
        array = self.cell.array
        if array.size != 1:
            raise ArgumentTypeError(
                f"item: a tensor with {array.size} elements is not one number",
                hint="use tolist(), or reduce it first",
            )
        _tell_read(self)
        found = array.item()
        return found if isinstance(found, (bool, int, float)) else float(found)

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        _tell_read(self)
        array = self.cell.array
        return array.astype(np.float32).tolist() if array.dtype.kind == "V" else array.tolist()

    def __bool__(self) -> bool:
        if self.cell.array.size != 1:
            raise ArgumentTypeError(
                f"the truth of a tensor with {self.numel()} elements is ambiguous",
                hint="use .any() or .all()",
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.kind == "f":
            raise ArgumentTypeError("only whole-number tensors of one element are an index")
        return int(self.item())

    def __len__(self) -> int:
        if not self.ndim:
            raise ArgumentTypeError("len() of a 0-dim tensor")
        return self.cell.array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise ArgumentTypeError("iteration over a 0-dim tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any().item())

    def __reversed__(self) -> Tensor:
        return self.flip(0) if self.ndim else self  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        from backlit.printing import tensor_repr

        _tell_read(self)
        return tensor_repr(self)

    def _repr_html_(self) -> str:
        from backlit.printing import tensor_html

        _tell_read(self)
        return tensor_html(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 and spec else repr(self)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self.node is not None:
            raise GradError(
                "deepcopy of a tensor with history",
                hint="use x.detach().clone(), or deepcopy leaves",
            )
        if id(self) in memo:
            return memo[id(self)]
        made = object.__new__(type(self))
        cells = memo.setdefault("backlit cells", {})
        root = self.cell.root
        if isinstance(self.cell, ViewCell):
            made.cell = Cell(self.cell.array.copy())
        else:
            made.cell = cells.setdefault(id(root), Cell(root.array))
        made._requires_grad = self._requires_grad
        for key, value in self.__dict__.items():
            if key.startswith("_") or key in ("cell", "node", "index", "support"):
                continue
            made.__dict__[key] = value
        memo[id(self)] = made
        if self._grad is not None:
            made._grad = wrap(self._grad.cell.array)
        return made

    def __copy__(self) -> Tensor:
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (_rebuild, (type(self), np.asarray(self.cell.array), self._requires_grad))

    def __getattr__(self, name: str) -> Any:
        from backlit.absent import refuse

        raise refuse("Tensor", name)


REFLECTED = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__",
    "floor_divide": "__rfloordiv__", "remainder": "__rmod__", "power": "__rpow__",
    "matmul": "__rmatmul__", "bitwise_and": "__rand__", "bitwise_or": "__ror__",
    "bitwise_xor": "__rxor__", "equal": "__eq__", "not_equal": "__ne__", "less": "__gt__",
    "less_equal": "__ge__", "greater": "__lt__", "greater_equal": "__le__",
}  # fmt: skip


def _rebuild(cls: type[Tensor], array: np.ndarray, requires_grad: bool) -> Tensor:
    """What a worker process sends: values only."""
    made = object.__new__(cls)
    made.cell = Cell(array)
    made._requires_grad = requires_grad
    return made


def _note_change(tensor: Tensor) -> None:
    """Count a change that a captured step may depend on: only if the tensor is older than it."""
    if tensor.cell.root.era < _era:
        changes.count += 1


def _tell_read(tensor: Tensor) -> None:
    """Let observers know that a value leaves the graph for Python."""
    if state.observers:
        tell("read", tensor)


class HookHandle:
    """Takes its hook off again: `handle.remove()`."""

    def __init__(self, hooks: list, hook: Any):
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)
            changes.count += 1

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


class Parameter(Tensor):
    """A tensor that a Module finds and an optimizer trains.

    >>> nn.Parameter(bl.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True):
        source = Tensor(()) if data is None else data
        if not isinstance(source, Tensor):
            raise ArgumentTypeError(f"Parameter: expected a Tensor, got {type(data).__name__}")
        self.cell = source.cell
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a Module keeps and saves but no optimizer trains.

    >>> nn.Buffer(bl.zeros(2))
    tensor([0., 0.])
    """

    def __init__(self, data: Any = None, *, persistent: bool = True):
        source = Tensor(()) if data is None else data
        self.cell = source.cell
        self.persistent = persistent


def wrap(array: Any) -> Tensor:
    """A tensor around an array that nobody will write to."""
    if type(array) is not np.ndarray:
        array = np.asarray(array)
    made = object.__new__(Tensor)
    made.cell = Cell(array)
    return made
