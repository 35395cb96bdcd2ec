"""Writing a module's values into a flat dict, and reading them back.

Owns key names, strictness and the report of what did not fit. Loading changes nothing when
it fails. Files are not its business: see backlit.save and backlit.load. Next: module.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, CheckpointError
from backlit.nn.hooks import Hook, RemovableHandle, register
from backlit.nn.parameter import Parameter, is_lazy
from backlit.tensor import Tensor

if TYPE_CHECKING:
    from backlit.nn.module import Module

EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found missing and superfluous."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class StateDictMethods:
    """The saving and loading methods of Module; the tables are made by Module.__init__."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers: set[str]
    _state_dict_hooks: dict[int, Hook]
    _state_dict_pre_hooks: dict[int, Hook]
    _load_state_dict_pre_hooks: dict[int, Hook]
    _load_state_dict_post_hooks: dict[int, Hook]
    modules: Callable[[], Iterable[Module]]

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Every parameter and persistent buffer by its dotted name.

        The tensors share the module's cells, so they follow later updates; `keep_vars` leaves
        them attached to the graph. Tied weights appear under each of their names.

        >>> list(nn.Sequential(nn.Linear(2, 3), nn.ReLU()).state_dict())
        ['0.weight', '0.bias']
        """
        result: Any = destination
        if destination is None:
            result = OrderedDict()
            result._metadata = {}  # PyTorch's attribute: the `_version` of each module's class
        local = {"version": getattr(type(self), "_version", 1)}
        if hasattr(result, "_metadata"):
            result._metadata[prefix[:-1]] = local
        for hook in list(self._state_dict_pre_hooks.values()):
            hook.function(self, prefix, keep_vars)
        self._save_to_state_dict(result, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                child = f"{prefix}{name}."
                module.state_dict(destination=result, prefix=child, keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            changed = hook.function(self, result, prefix, local)
            result = result if changed is None else changed
        return result

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values from a state dict into this module and its children.

        `strict=False` forgives missing and unexpected keys; sizes must fit always.
        `assign=True` takes the given tensors themselves. On an error nothing has changed.

        >>> a, b = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
        >>> bool((a.weight == b.weight).all())
        True
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentTypeError(
                f"load_state_dict expects a dict, got {type(state_dict).__name__}"
            )
        values = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        before = Snapshot(self.modules())
        try:
            versions = getattr(state_dict, "_metadata", {})
            report = (strict, missing, unexpected, errors)
            _load(self, values, "", versions, assign, report)
            if strict and unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
            if strict and missing:
                errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
            if errors:
                listing = "\n\t".join(errors)
                name = type(self).__name__
                raise CheckpointError(f"Error(s) in loading state_dict for {name}:\n\t{listing}")
        except BaseException:
            before.restore()
            raise
        return IncompatibleKeys(missing, unexpected)

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for name, tensor in self._own_state().items():
            lazy = keep_vars or is_lazy(tensor)
            destination[prefix + name] = tensor if lazy else tensor.detach()
        if _has_extra_state(self):
            destination[prefix + EXTRA] = self.get_extra_state()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = self._own_state()
        for name, tensor in own.items():
            if prefix + name not in state_dict:
                missing_keys.append(prefix + name)
                continue
            error = self._load_one(
                name, tensor, state_dict[prefix + name], bool(local_metadata.get("assign"))
            )
            if error:
                error_msgs.append(error.format(key=prefix + name))
        extra = _has_extra_state(self)
        if extra and prefix + EXTRA in state_dict:
            self.set_extra_state(state_dict[prefix + EXTRA])
        elif extra:
            missing_keys.append(prefix + EXTRA)
        for key in state_dict:
            if not key.startswith(prefix):
                continue
            head, dot, _ = key[len(prefix) :].partition(".")
            known = self._modules if dot else own
            if head not in known and not (extra and head == EXTRA and not dot):
                unexpected_keys.append(key)

    def _load_one(self, name: str, tensor: Tensor, value: Any, assign: bool) -> str | None:
        """Fill one parameter or buffer; the answer is an error text with a {key} or None."""
        if not isinstance(value, Tensor):
            return f"{{key}}: expected a tensor, the checkpoint holds {type(value).__name__}"
        if is_lazy(tensor):
            if is_lazy(value):
                return None
            tensor.materialize(value.shape)
        elif is_lazy(value):
            return "{key}: the checkpoint's value is uninitialized"
        elif tuple(value.shape) != tuple(tensor.shape):
            return (
                f"size mismatch for {{key}}: the checkpoint has shape {tuple(value.shape)}, "
                f"the model has {tuple(tensor.shape)}."
            )
        with bl.no_grad():
            if not assign:
                tensor.copy_(value)
            elif not isinstance(tensor, Parameter):
                setattr(self, name, value.detach())
            elif isinstance(value, Parameter):
                setattr(self, name, value)
            else:
                setattr(self, name, Parameter(value.detach(), tensor.requires_grad))
        return None

    def _own_state(self) -> dict[str, Tensor]:
        tensors: dict[str, Any] = dict(self._parameters)
        tensors |= {k: b for k, b in self._buffers.items() if k not in self._non_persistent_buffers}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def get_extra_state(self) -> Any:
        """What a subclass wants kept beside its tensors; override with `set_extra_state`."""
        raise NotImplementedError(f"{type(self).__name__} has no get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave; override both or neither."""
        raise NotImplementedError(f"{type(self).__name__} has no set_extra_state")

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` collects values.

        >>> layer, prefixes = nn.Linear(2, 3), []
        >>> handle = layer.register_state_dict_pre_hook(lambda m, p, keep: prefixes.append(p))
        >>> _ = nn.Sequential(layer).state_dict(); prefixes
        ['0.']
        """
        return register(self._state_dict_pre_hooks, Hook(hook))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after values are collected.

        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_state_dict_post_hook(lambda m, d, p, meta: d.pop(p + "bias"))
        >>> list(nn.Sequential(layer).state_dict())
        ['0.weight']
        """

        def in_place(*args: Any) -> None:
            hook(*args)

        return register(self._state_dict_hooks, Hook(in_place))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        return register(self._state_dict_hooks, Hook(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected,
        errors)` before this module reads its values; it may rename keys in `state_dict`.

        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_load_state_dict_pre_hook(
        ...     lambda m, d, prefix, *rest: d.update({"bias": d.pop("b")}))
        >>> layer.load_state_dict({"weight": bl.zeros(3, 2), "b": bl.ones(3)})
        <All keys matched successfully>
        """
        return register(self._load_state_dict_pre_hooks, Hook(hook, with_kwargs=True))

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return register(self._load_state_dict_pre_hooks, Hook(hook, with_kwargs=with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading; it may edit the two lists.

        >>> layer = nn.Linear(2, 3)
        >>> handle = layer.register_load_state_dict_post_hook(lambda m, k: k.missing_keys.clear())
        >>> layer.load_state_dict({"weight": bl.zeros(3, 2)})
        <All keys matched successfully>
        """
        return register(self._load_state_dict_post_hooks, Hook(hook))


def _load(
    module: Any,
    values: dict[str, Any],
    prefix: str,
    versions: Mapping[str, Any],
    assign: bool,
    report: tuple[bool, list[str], list[str], list[str]],
) -> None:
    local = {**versions.get(prefix[:-1], {}), "assign": assign}
    for hook in list(module._load_state_dict_pre_hooks.values()):
        hook.function(*((module,) if hook.with_kwargs else ()), values, prefix, local, *report)
    module._load_from_state_dict(values, prefix, local, *report)
    for name, child in module._modules.items():
        if child is not None:
            _load(child, values, f"{prefix}{name}.", versions, assign, report)
    _, missing, unexpected, _ = report
    for hook in list(module._load_state_dict_post_hooks.values()):
        if hook.function(module, IncompatibleKeys(missing, unexpected)) is not None:
            raise ArgumentError("a load_state_dict post hook must edit the keys in place")


class Snapshot:
    """The arrays and tables of some modules; arrays are immutable, so this copies nothing."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.tables = [(m, dict(m._parameters), dict(m._buffers)) for m in modules]
        tensors = [t for _, p, b in self.tables for t in (*p.values(), *b.values())]
        filled = [t for t in tensors if t is not None and not is_lazy(t)]
        self.arrays = [(t.cell, t.cell.array) for t in filled]

    def restore(self) -> None:
        for module, parameters, buffers in self.tables:
            for table, old in ((module._parameters, parameters), (module._buffers, buffers)):
                table.clear()
                table.update(old)  # type: ignore[arg-type]
        for cell, array in self.arrays:
            if cell.array is not array:
                cell.put(array)


def _has_extra_state(module: StateDictMethods) -> bool:
    return type(module).get_extra_state is not StateDictMethods.get_extra_state


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
