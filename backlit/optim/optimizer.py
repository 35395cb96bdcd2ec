"""The base of all optimizers: parameter groups, state, saving and loading, hooks around `step`.

Knows no update rule. PyTorch's layout throughout: `state` maps a parameter to a dict, and
`state_dict()` numbers the parameters in the order of the groups. A subclass with its own `step`
needs nothing else; the rules that Backlit ships build on rule.py, which is next.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, NotAvailable
from backlit.nn.hooks import Hook, RemovableHandle, register
from backlit.nn.parameter import is_lazy
from backlit.optim.group import ParamGroup, named_or_plain, options_of
from backlit.optim.state import ParamState, StateTable
from backlit.state import changes
from backlit.tensor import Tensor

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]
Closure = Callable[[], Any]


class _Required:
    """The default of an option that every group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Run the registered hooks around the outermost `step` of an optimizer."""

    @functools.wraps(step)
    def run(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._in_step:
            return step(self, *args, **kwargs)
        self._in_step = self._opt_called = True
        try:
            passed, kwargs = self._run_pre_hooks((self, *args), kwargs)
            result = step(*passed, **kwargs)
            for hook in list(self._step_post_hooks.values()):
                hook.function(self, passed, kwargs)
            return result
        finally:
            self._in_step = False

    return run


class Optimizer:
    """Base of all optimizers: groups of parameters with their options, and state per parameter.

    `params` is an iterable of tensors, of `(name, tensor)` pairs, or of dicts with a "params" key
    and the options that differ from `defaults`. Raises ValueError for an empty list, a non-leaf
    tensor or one given twice, TypeError for what is not a tensor.

    >>> class Halve(bl.optim.Optimizer):
    ...     def step(self, closure=None):
    ...         with bl.no_grad():
    ...             for group in self.param_groups:
    ...                 for p in group["params"]:
    ...                     p.mul_(group["factor"])
    >>> p = nn.Parameter(bl.tensor([2.0]))
    >>> Halve([p], {"factor": 0.5}).step(); p.tolist()
    [1.0]
    """

    _in_step = False
    _opt_called = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise ArgumentTypeError(
                f"{type(self).__name__}: params must be an iterable of tensors or dicts, got one"
                " tensor",
                hint="put it in a list: [p]",
            )
        if defaults.get("differentiable"):
            raise NotAvailable(
                f"{type(self).__name__}: differentiable=True is not available",
                hint="write the update with tensor operations to differentiate through it",
            )
        if defaults.get("fused") and defaults.get("foreach"):
            raise ArgumentError(f"{type(self).__name__}: fused and foreach cannot both be True")
        self.defaults = defaults
        self.state = StateTable()
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks: dict[int, Hook] = {}
        self._step_post_hooks: dict[int, Hook] = {}
        self._state_dict_pre_hooks: dict[int, Hook] = {}
        self._state_dict_post_hooks: dict[int, Hook] = {}
        self._load_state_dict_pre_hooks: dict[int, Hook] = {}
        self._load_state_dict_post_hooks: dict[int, Hook] = {}
        groups: list[Any] = list(params)
        if not groups:
            raise ArgumentError(
                f"{type(self).__name__}: optimizer got an empty parameter list",
                hint="model.parameters() is a generator: it is empty once used up",
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    def step(self, closure: Closure | None = None) -> Any:
        """Update every parameter that has a gradient; a closure's loss is returned."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or fill them with zeros.

        >>> p = nn.Parameter(bl.ones(2))
        >>> p.sum().backward()
        >>> bl.optim.SGD([p], lr=0.1).zero_grad(); p.grad is None
        True
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = p.grad.detach()  # the same storage, without a history
                    p.grad.zero_()

    # groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters, with options of their own where the dict gives them.

        >>> a, b = nn.Parameter(bl.ones(1)), nn.Parameter(bl.ones(1))
        >>> opt = bl.optim.SGD([a], lr=0.1)
        >>> opt.add_param_group({"params": [b], "lr": 0.01})
        >>> [group["lr"] for group in opt.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, dict):
            raise ArgumentTypeError(
                f"add_param_group: expected a dict, got {type(param_group).__name__}"
            )
        group = ParamGroup(param_group)
        group["params"], names = _ordered(param_group["params"])
        if names:
            group["param_names"] = names
        self._check_names(group)
        for name, default in self.defaults.items():
            if name not in group and default is required:
                raise ArgumentError(
                    f"{type(self).__name__}: the parameter group gives no {name}, which has no"
                    " default"
                )
            group.setdefault(name, default)
        group["params"] = self._check_params(group["params"])
        self.param_groups.append(group)
        changes.count += 1

    def _check_names(self, group: Mapping[str, Any]) -> None:
        names, params = group.get("param_names"), group["params"]
        if names is not None and len(names) != len(params):
            raise ArgumentError(
                f"{type(self).__name__}: {len(params)} parameters but {len(names)} names",
                hint="give every parameter a name, or none",
            )
        for other in self.param_groups:
            if ("param_names" in other) != (names is not None):
                raise ArgumentError(
                    f"{type(self).__name__}: either all groups have parameter names or none"
                )

    def _check_params(self, params: list[Any]) -> list[Tensor]:
        taken = {id(p.cell) for group in self.param_groups for p in group["params"]}
        unique: dict[int, Tensor] = {}
        for p in params:
            if not isinstance(p, Tensor):
                raise ArgumentTypeError(
                    f"{type(self).__name__}: can only optimize tensors, got {type(p).__name__}"
                )
            if not (p.is_leaf or getattr(p, "retains_grad", False)):
                raise ArgumentError(
                    f"{type(self).__name__}: can't optimize a non-leaf tensor",
                    hint="optimize the parameter it is computed from, or detach it",
                )
            key = id(p.cell)
            if key in taken:
                raise ArgumentError(
                    f"{type(self).__name__}: some parameters appear in more than one parameter"
                    " group"
                )
            if unique.setdefault(key, p) is not p:
                raise ArgumentError(
                    f"{type(self).__name__}: two parameters of a group share their storage",
                    hint="tie weights by giving both modules the same Parameter",
                )
        if len(unique) < len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is"
                " updated once",
                stacklevel=4,
            )
        return list(unique.values())

    # saving and loading

    def state_dict(self) -> dict[str, Any]:
        """State by parameter number, and the groups with numbers in place of tensors.

        The tensors are the live ones, as in PyTorch: copy or save them before the next step.

        >>> p = nn.Parameter(bl.ones(2))
        >>> bl.optim.Adam([p]).state_dict()["state"][0].keys()
        dict_keys(['step', 'exp_avg', 'exp_avg_sq'])
        """
        for hook in list(self._state_dict_pre_hooks.values()):
            hook.function(self)
        numbers = {id(p): i for i, p in enumerate(self._all_params())}
        saved: dict[str, Any] = {
            "state": {
                numbers.get(id(key), key): dict(value) if isinstance(key, Tensor) else value
                for key, value in self.state.items()
            },
            "param_groups": [
                {**options_of(group), "params": [numbers[id(p)] for p in group["params"]]}
                for group in self.param_groups
            ],
        }
        for hook in list(self._state_dict_post_hooks.values()):
            changed = hook.function(self, saved)
            saved = saved if changed is None else changed
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a saved state (copied, cast to each parameter's dtype) and its options.

        Raises ValueError, and changes nothing, where groups or shapes do not fit.

        >>> a, b = nn.Parameter(bl.ones(2)), nn.Parameter(bl.ones(2))
        >>> saved = bl.optim.Adam([a], lr=0.5).state_dict()
        >>> opt = bl.optim.Adam([b]); opt.load_state_dict(saved)
        >>> opt.param_groups[0]["lr"]
        0.5
        """
        saved = dict(state_dict)
        for hook in list(self._load_state_dict_pre_hooks.values()):
            changed = hook.function(self, saved)
            saved = saved if changed is None else changed
        groups = [dict(group) for group in saved["param_groups"]]
        self._check_sizes(groups)
        numbers = [number for group in groups for number in group["params"]]
        params = dict(zip(numbers, self._all_params()))
        state = StateTable()
        for key, value in saved["state"].items():
            key = int(key) if isinstance(key, str) and key.isdigit() else key
            p = params.get(key)
            if p is None:
                state[key] = value
            else:
                state[p] = ParamState(
                    {name: self._restored(p, name, v) for name, v in value.items()}
                )
        for group in self.param_groups:
            self._check_state(group, state)
        self.__setstate__({"state": state})
        for group, new in zip(self.param_groups, groups):
            group.update(deepcopy(options_of(new)))
            self._loaded(group)
        for hook in list(self._load_state_dict_post_hooks.values()):
            hook.function(self)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take over attributes; PyTorch's optimizers complete old states here."""
        vars(self).update(state)
        changes.count += 1

    def _all_params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def _check_sizes(self, saved: list[dict[str, Any]]) -> None:
        name = type(self).__name__
        if len(saved) != len(self.param_groups):
            raise ArgumentError(
                f"{name}: loaded state dict has {len(saved)} parameter groups, the optimizer"
                f" {len(self.param_groups)}"
            )
        for i, (old, new) in enumerate(zip(self.param_groups, saved)):
            if len(old["params"]) != len(new["params"]):
                raise ArgumentError(
                    f"{name}: group {i} of the loaded state dict has {len(new['params'])}"
                    f" parameters, the optimizer's {len(old['params'])}"
                )

    def _restored(self, p: Tensor, name: str, value: Any) -> Any:
        """A saved value as own state of `p`: copied, floats in the parameter's dtype."""
        if isinstance(value, dict):
            return {k: self._restored(p, k, v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._restored(p, name, v) for v in value)
        if not isinstance(value, Tensor):
            if not hasattr(value, "__array__"):
                return value
            value = bl.tensor(value.__array__())
        value = value.detach().clone()
        keeps = name == "step" or is_lazy(p) or not p.is_floating_point()
        return value if keeps else value.to(p.dtype)

    def _check_state(self, group: dict[str, Any], state: Mapping[Any, dict[str, Any]]) -> None:
        """Refuse a state that is about to be loaded and does not fit the group."""

    def _loaded(self, group: dict[str, Any]) -> None:
        """Called for each group once its state and options are the loaded ones."""

    # hooks

    def _run_pre_hooks(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook in list(self._step_pre_hooks.values()):
            changed = hook.function(self, args, kwargs)
            if changed is None:
                continue
            if not isinstance(changed, tuple) or len(changed) != 2:
                raise RuntimeError(
                    f"a step pre-hook must return None or (args, kwargs), got {changed!r}"
                )
            args, kwargs = changed
        return args, kwargs

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step.

        `args` begins with the optimizer, as in PyTorch; `(args, kwargs)` returned replace them.
        """
        return register(self._step_pre_hooks, Hook(hook))

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step.

        >>> opt, calls = bl.optim.SGD([nn.Parameter(bl.ones(1))], lr=0.1), []
        >>> handle = opt.register_step_post_hook(lambda *seen: calls.append(1))
        >>> opt.step(); handle.remove(); opt.step(); calls
        [1]
        """
        return register(self._step_post_hooks, Hook(hook))

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` collects."""
        return register(self._state_dict_pre_hooks, Hook(hook), prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)`; what it returns, if not None, is the answer."""
        return register(self._state_dict_post_hooks, Hook(hook), prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; a returned dict is loaded instead."""
        return register(self._load_state_dict_pre_hooks, Hook(hook), prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return register(self._load_state_dict_post_hooks, Hook(hook), prepend)


def _ordered(params: Any) -> tuple[list[Any], list[str]]:
    """The parameters of a group as a list, and their names if they have any."""
    if isinstance(params, Tensor):
        return [params], []
    if isinstance(params, (set, frozenset)):
        raise ArgumentTypeError(
            "optimizer parameters must have an order that is the same in every run, got a set",
            hint="give a list",
        )
    tensors, names = named_or_plain(params)
    return tensors, names
