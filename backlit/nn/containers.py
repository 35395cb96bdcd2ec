"""Modules that hold modules or parameters: Sequential, lists and dicts.

They own order and names ("0", "1", ... or keys), nothing else. Next: module.py.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, KeysView, Mapping
from typing import Any, Self, overload

from backlit.errors import ArgumentError, ArgumentTypeError, IndexOutOfRange
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter
from backlit.tensor import Tensor


class _Indexed(Module):
    """A list of modules kept under the names "0", "1", ..."""

    def _key(self, index: int) -> str:
        """The name at a position; names need not be numbers in a Sequential."""
        size, position = len(self), operator.index(index)
        if not -size <= position < size:
            raise IndexOutOfRange(f"index {position} is out of range for {size} modules")
        return list(self._modules)[position]

    def _refill(self, modules: Iterable[Any]) -> None:
        self._changed()
        kept = list(modules)
        self._modules.clear()
        for position, module in enumerate(kept):
            self._modules[str(position)] = module

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        doomed = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        self._refill([m for name, m in self._modules.items() if name not in doomed])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def append(self, module: Module) -> Self:
        """Add one module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        if not isinstance(modules, Iterable):
            kind = type(modules).__name__
            raise ArgumentTypeError(f"{type(self).__name__}.extend: expected modules, got {kind}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module before a position."""
        if not isinstance(module, Module):
            raise ArgumentTypeError(f"insert: {type(module).__name__} is not a Module")
        if not -len(self) <= index <= len(self):
            raise IndexOutOfRange(f"insert: index {index} is out of range for {len(self)} modules")
        modules = list(self)
        modules.insert(index, module)
        self._refill(modules)
        return self

    def pop(self, index: int | slice = -1) -> Any:
        """Take a module out and return it."""
        module = self[index]  # type: ignore[index]
        del self[index]
        return module


class Sequential(_Indexed):
    """Calls its modules one after the other, each on the result of the one before.

    Takes modules, or one ordered dict of named modules; slices are Sequentials too.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> net(bl.zeros(5, 2)).shape == (5, 3)
    True
    >>> net[1]
    ReLU()
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], Mapping)
        pairs = args[0].items() if named else ((str(i), m) for i, m in enumerate(args))
        for name, module in pairs:
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ArgumentError(
                f"Sequential + {type(other).__name__}: only Sequentials can be joined"
            )
        return Sequential(*self, *other)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise ArgumentTypeError(f"Sequential * {type(times).__name__}: expected an int")
        if times <= 0:
            raise ArgumentError(f"Sequential * {times}: must be positive")
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        self._refill((self * times)._modules.values())
        return self


class ModuleList(_Indexed):
    """A list of modules that their parent knows; it has no forward.

    >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
    >>> len(layers), len(list(layers.parameters()))
    (2, 4)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._key(index)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def insert(self, index: int, module: Module) -> None:
        """Put a module before a position."""
        super().insert(index, module)

    def __repr__(self) -> str:
        """Runs of equal modules take one line: `(0-2): 3 x ReLU()`."""
        runs: list[tuple[int, int, str]] = []
        for position, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], position, text)
            else:
                runs.append((position, position, text))
        lines = []
        for first, last, text in runs:
            head = f"({first})" if first == last else f"({first}-{last})"
            many = "" if first == last else f"{last - first + 1} x "
            lines.append("\n  " + f"{head}: {many}{text}".replace("\n", "\n  "))
        return f"{self._get_name()}({''.join(lines)}\n)" if lines else f"{self._get_name()}()"


class ModuleDict(Module):
    """Modules by name, which their parent knows; it has no forward.

    >>> heads = nn.ModuleDict({"a": nn.Linear(4, 2), "b": nn.Linear(4, 3)})
    >>> heads["b"].out_features, "a" in heads
    (3, True)
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self._changed()
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove every module."""
        self._changed()
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """The (name, module) pairs."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or from (name, module) pairs."""
        for key, module in _pairs("ModuleDict", modules):
            self[key] = module


class ParameterList(Module):
    """A list of parameters that the parent module knows; tensors become parameters.

    >>> nn.ParameterList([bl.zeros(2), bl.ones(3)])[1].requires_grad
    True
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _key(self, index: int) -> str:
        position = operator.index(index)
        if not -self._size <= position < self._size:
            raise IndexOutOfRange(f"index {position} is out of range for {self._size} parameters")
        return str(position % self._size)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._key(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._size))

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def append(self, value: Any) -> Self:
        """Add one value at the end."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several values at the end."""
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise ArgumentTypeError(f"ParameterList: expected a list, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(f"({i}): {_described(value)}" for i, value in enumerate(self))

    def __repr__(self) -> str:
        return _one_per_line(self)


class ParameterDict(Module):
    """Parameters by name, which the parent module knows; tensors become parameters.

    >>> d = nn.ParameterDict({"scale": bl.ones(2)})
    >>> d["scale"].requires_grad, list(d)
    (True, ['scale'])
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise ArgumentTypeError(f"ParameterDict: keys are strings, got {type(key).__name__}")
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __or__(self, other: Any) -> ParameterDict:
        joined = ParameterDict(self)
        joined.update(other)
        return joined

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """A new dict of the same parameters."""
        return ParameterDict(self)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default."""
        return getattr(self, key) if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is set to the default when absent."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove everything."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        """Take a value out and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Take the last pair out and return it."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    @classmethod
    def fromkeys(cls, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dict with the same value for each key."""
        return cls(dict.fromkeys(keys, default))

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._keys.keys()

    def items(self) -> list[tuple[str, Any]]:
        """The (name, value) pairs."""
        return [(key, self[key]) for key in self]

    def values(self) -> list[Any]:
        """The values."""
        return [self[key] for key in self]

    def update(self, parameters: Any) -> None:
        """Add values from a mapping, another ParameterDict, or (name, value) pairs."""
        for key, value in _pairs("ParameterDict", parameters):
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(f"({key}): {_described(value)}" for key, value in self.items())

    def __repr__(self) -> str:
        return _one_per_line(self)


def _pairs(name: str, values: Any) -> list[tuple[str, Any]]:
    if isinstance(values, (Mapping, ModuleDict, ParameterDict)):
        return list(values.items())
    if not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name}: expected a mapping or pairs, got {type(values).__name__}")
    pairs = [tuple(pair) for pair in values]
    for pair in pairs:
        if len(pair) != 2:
            raise ArgumentError(f"{name}: expected (name, value) pairs, got {pair!r}")
    return pairs  # type: ignore[return-value]


def _as_parameter(value: Any) -> Any:
    plain = isinstance(value, Tensor) and not isinstance(value, Parameter)
    return Parameter(value) if plain else value


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    sizes = "x".join(map(str, value.shape))
    return f"{kind} containing: [{value.dtype} of size {sizes}]"


def _one_per_line(module: Module) -> str:
    lines = module.extra_repr().replace("\n", "\n  ")
    return f"{module._get_name()}(\n  {lines}\n)" if lines else f"{module._get_name()}()"
