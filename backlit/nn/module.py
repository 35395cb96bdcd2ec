"""Module: a tree of named parameters, buffers and child modules with a forward method.

Owns registration, attribute access, traversal, conversion and the call. Saving and loading
live in state_dict.py, hooks in hooks.py, its table in summary.py. A call also tells the engine
where it is: during forward `state.module` is the module's path, such as `net.layers.0.conv`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import getattr_static
from typing import Any, Self

from backlit.autograd.record import here
from backlit.errors import ArgumentError, ArgumentTypeError, BacklitError
from backlit.nn.conversion import ConversionMethods
from backlit.nn.hooks import HookMethods
from backlit.nn.parameter import Buffer, Parameter, is_lazy
from backlit.nn.path import Children, Path
from backlit.nn.state_dict import StateDictMethods
from backlit.nn.summary import SummaryMethods, Yielding
from backlit.state import changes, state
from backlit.tensor import Tensor

_HOOK_TABLES = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
_TABLES = ("_parameters", "_buffers", "_modules", *_HOOK_TABLES)


class Module(StateDictMethods, HookMethods, ConversionMethods, SummaryMethods):
    """Base of every network part: assign parameters and modules in `__init__`, write `forward`.

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.fc = nn.Linear(4, 2)
    ...     def forward(self, x):
    ...         return F.relu(self.fc(x))
    >>> Net()(bl.zeros(3, 4)).shape == (3, 2)
    True
    """

    training: bool
    _version: int
    _root_name: str | None = None  # path of a module that no module called

    def __init__(self) -> None:
        fields = self.__dict__
        fields["training"] = True
        fields["_version"] = 0
        fields["_non_persistent_buffers"] = set()
        fields.update((table, {}) for table in _TABLES)
        fields["_modules"] = Children()

    # ---- the call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses write it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outer: Any = state.module
        if type(outer) is Path and outer.version == Children.version:
            path = outer.below.get(id(self)) or outer.enter(self)
        else:
            path = self._enter(outer)
        state.module = path
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
            ):
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except BacklitError as error:
            error.place(here())
            raise
        except AttributeError as error:
            wrong = _not_a_tensor(self, error, args)
            if wrong is None:
                raise
            raise wrong from error
        finally:
            state.module = outer

    def _enter(self, outer: str) -> Path:
        if isinstance(outer, Path):
            return outer.enter(self)
        name = self._root_name or type(self).__name__.lower()
        text = f"{outer}.{name}" if outer else name
        path = self.__dict__.get("_root_path")
        if type(path) is not Path or path != text or path.owner() is not self:
            path = self.__dict__["_root_path"] = Path(text, self)
        elif path.version != Children.version:
            path.forget()
        return path

    # ---- registration

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name; None keeps the name without a value.

        >>> m = nn.Module()
        >>> m.register_parameter("scale", nn.Parameter(bl.ones(1)))
        >>> [name for name, _ in m.named_parameters()]
        ['scale']
        """
        self._check_new_name(name, "parameter", self._table("_parameters"))
        if param is not None and not isinstance(param, Parameter):
            kind = type(param).__name__
            raise ArgumentTypeError(f"parameter '{name}' must be a Parameter or None, got {kind}")
        if param is not None and not is_lazy(param) and param.grad_fn is not None:
            raise ArgumentError(
                f"parameter '{name}' must be a leaf; to use a computed value, compute it in forward"
            )
        self._changed()
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but no parameter; `persistent` ones are saved.

        >>> m = nn.Module()
        >>> m.register_buffer("mean", bl.zeros(3))
        >>> list(m.state_dict())
        ['mean']
        """
        self._check_new_name(name, "buffer", self._table("_buffers"))
        if tensor is not None and not isinstance(tensor, Tensor):
            kind = type(tensor).__name__
            raise ArgumentTypeError(f"buffer '{name}' must be a Tensor or None, got {kind}")
        self._changed()
        self._buffers[name] = tensor
        (self._non_persistent_buffers.discard if persistent else self._non_persistent_buffers.add)(
            name
        )

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under a name.

        >>> m = nn.Module()
        >>> m.add_module("fc", nn.Linear(2, 2))
        >>> m.fc
        Linear(in_features=2, out_features=2, bias=True)
        """
        if module is not None and not isinstance(module, Module):
            raise ArgumentTypeError(f"{type(module).__name__} is not a Module")
        self._check_new_name(name, "module", self._table("_modules"))
        self._changed()
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def _check_new_name(self, name: str, kind: str, table: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{kind} name must be a string, got {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"{kind} name must be non-empty and without '.', got {name!r}")
        gives_way = isinstance(getattr_static(type(self), name, None), Yielding)
        if hasattr(self, name) and name not in table and not gives_way:
            raise KeyError(f"attribute '{name}' already exists")

    def _table(self, which: str) -> dict[str, Any]:
        table: dict[str, Any] | None = self.__dict__.get(which)
        if table is None:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning "
                "parameters, buffers or modules"
            )
        return table

    def _changed(self) -> None:
        changes.count += 1
        self.__dict__["_version"] = self.__dict__.get("_version", 0) + 1

    # ---- attributes

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        if "_modules" in fields:  # absent until Module.__init__ has run
            if name in fields["_parameters"]:
                return fields["_parameters"][name]
            if name in fields["_buffers"]:
                return fields["_buffers"][name]
            if name in fields["_modules"]:
                return fields["_modules"][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get(name, self) is value:
            return  # as train() often does: whoever watches the version need not look
        self._changed()
        if isinstance(value, Parameter):
            self._table("_parameters")
            self._forget(name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            children = self._table("_modules")
            self._forget(name, keep="_modules")
            children[name] = value
        elif isinstance(value, Buffer):
            self._table("_buffers")
            self._forget(name, keep="_buffers")
            self.register_buffer(name, value, getattr(value, "persistent", True))
        elif not self._assign_registered(name, value):
            object.__setattr__(self, name, value)

    def _assign_registered(self, name: str, value: Any) -> bool:
        """Assign a plain value to a registered name, as far as its kind allows."""
        for table, wanted in _KINDS:
            registered = self.__dict__.get(table)
            if registered is None or name not in registered:
                continue
            if value is not None and not (table == "_buffers" and isinstance(value, Tensor)):
                kind = type(value).__name__
                raise ArgumentTypeError(
                    f"cannot assign {kind} to '{name}': {wanted} or None expected"
                )
            registered[name] = value
            return True
        return False

    def _forget(self, name: str, keep: str | None = None) -> None:
        self.__dict__.pop(name, None)
        for table in ("_parameters", "_buffers", "_modules"):
            if table != keep:
                self.__dict__[table].pop(name, None)
        if keep != "_buffers":
            self._non_persistent_buffers.discard(name)

    def __delattr__(self, name: str) -> None:
        self._changed()
        for table, _ in _KINDS:
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                self._non_persistent_buffers.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__}
        names.update(*(self.__dict__.get(table, ()) for table, _ in _KINDS))
        return sorted(name for name in names if not name[:1].isdigit())

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        for table in (*_TABLES, "_non_persistent_buffers"):
            twin.__dict__[table] = self.__dict__[table].copy()
        return twin

    # ---- traversal

    def _named_members(
        self, table: str, prefix: str, recurse: bool, unique: bool
    ) -> Iterator[tuple[str, Any]]:
        below = self.named_modules(prefix, remove_duplicate=unique)
        seen = set()
        for path, module in below if recurse else [(prefix, self)]:
            for name, tensor in getattr(module, table).items():
                if tensor is None:
                    continue
                key = id(tensor.cell)
                if key in seen:
                    continue
                if unique:
                    seen.add(key)
                yield (f"{path}.{name}" if path else name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Each parameter with its dotted name; tied ones (one storage cell) come once.

        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 2)).named_parameters()]
        ['0.weight', '0.bias']
        """
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Each parameter once.

        >>> sum(p.numel() for p in nn.Linear(3, 2).parameters())
        8
        """
        return (tensor for _, tensor in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Each buffer with its dotted name.

        >>> [name for name, _ in nn.BatchNorm1d(2).named_buffers()]
        ['running_mean', 'running_var', 'num_batches_tracked']
        """
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Each buffer once."""
        return (tensor for _, tensor in self.named_buffers(recurse=recurse))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Each direct child with its name.

        >>> [name for name, _ in nn.Sequential(nn.ReLU(), nn.Tanh()).named_children()]
        ['0', '1']
        """
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Each direct child once."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | str | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and everything below it, with dotted names.

        >>> [name for name, _ in nn.Sequential(nn.ReLU()).named_modules()]
        ['', '0']
        """
        if isinstance(memo, str):  # a prefix given by position
            prefix = memo
        seen: set[Module] = memo if isinstance(memo, set) else set()
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(seen, below, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and everything below it, each once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted name; "" is this module.

        >>> nn.Sequential(nn.Sequential(nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        module: Any = self
        for name in target.split(".") if target else []:
            parent, module = module, getattr(module, name, None)
            if not isinstance(module, Module):
                kind = type(parent).__name__
                raise AttributeError(f"'{target}': {kind} has no module '{name}'")
        found: Module = module
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted name."""
        return self._get_member(target, Parameter, "parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted name."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if name not in owner._buffers:
            raise AttributeError(f"{type(owner).__name__} has no buffer '{name}'")
        return self._get_member(target, Tensor, "buffer")  # type: ignore[no-any-return]

    def _get_member(self, target: str, kind: Any, word: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        value = getattr(owner, name, None)
        if not isinstance(value, kind):
            raise AttributeError(f"{type(owner).__name__} has no {word} '{name}'")
        return value

    # ---- modes

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below: Dropout and BatchNorm behave accordingly.

        >>> nn.Dropout().train(False).training
        False
        """
        if not isinstance(mode, bool):
            raise ArgumentError(f"train: mode must be a bool, got {type(mode).__name__}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode: the same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make every parameter ask for gradients, or stop asking.

        >>> nn.Linear(2, 2).requires_grad_(False).weight.requires_grad
        False
        """
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of every parameter, or set them to zero."""
        for param in self.parameters():
            if param.grad is None or set_to_none:
                param.grad = None
            else:
                param.grad.detach_().zero_()  # type: ignore[attr-defined]

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module below, then on this one.

        >>> seen = []
        >>> _ = nn.Sequential(nn.ReLU()).apply(lambda m: seen.append(type(m).__name__)); seen
        ['ReLU', 'Sequential']
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- text

    def extra_repr(self) -> str:
        """The arguments that `repr` shows; subclasses override."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        body = [f"({name}): {_indented(repr(m))}" for name, m in self._modules.items()]
        if len(lines) == 1 and not body:
            return f"{self._get_name()}({extra})"
        inside = "".join(f"\n  {line}" for line in lines + body)
        return f"{self._get_name()}({inside}\n)" if inside else f"{self._get_name()}()"


_KINDS = (("_parameters", "Parameter"), ("_modules", "Module"), ("_buffers", "Tensor"))


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _not_a_tensor(module: Module, error: AttributeError, args: tuple) -> BacklitError | None:
    """What to say where a layer asked its input for what only tensors have."""
    found = error.obj
    ours = type(module).__module__.startswith("backlit.nn.")
    if not ours or isinstance(found, Tensor) or not any(found is x for x in args):
        return None
    name, kind = type(module).__name__, type(found).__name__
    hint = "make one with bl.tensor(...)"
    wrong = ArgumentTypeError(f"{name}: expected a Tensor, got {kind}", hint=hint)
    wrong.place(here())
    return wrong
