"""Where forward is: the path of the running module, such as `net.layers.0.conv`.

It begins with the outermost module's class name, or with its `_root_name`. A path is a string,
so whoever records it needs nothing of modules; it also remembers the paths below it, so that a
call costs one look-up. Next: Module.__call__ in module.py.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from backlit.state import changes

if TYPE_CHECKING:
    from backlit.nn.module import Module


class Children(dict[str, Any]):
    """Child modules by name; any change makes remembered paths stale."""

    version = 0

    def __setitem__(self, name: str, module: Any) -> None:
        Children.version += 1
        changes.count += 1
        super().__setitem__(name, module)


class Path(str):
    """Where forward is; knows its module and the paths of the modules below."""

    __slots__ = ("below", "names", "owner", "version")
    owner: weakref.ReferenceType[Module]

    def __new__(cls, text: str, owner: Module) -> Path:
        path = super().__new__(cls, text)
        path.owner = weakref.ref(owner)
        path.forget()
        return path

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # copies are plain text

    def forget(self) -> None:
        """Start anew after some module got another child."""
        self.version = Children.version
        self.below: dict[int, Path] = {}
        self.names: dict[int, str] = {}

    def enter(self, module: Module) -> Path:
        """The path of a module called by this one: by its name, else by its class."""
        owner = self.owner()
        if owner is module or owner is None:
            return self
        if self.version != Children.version:
            self.forget()
        if not self.names:
            self.names = {id(below): name for name, below in owner.named_modules()}
        name = self.names.get(id(module))
        path = Path(f"{self}.{name or type(module).__name__.lower()}", module)
        if name is not None:
            self.below[id(module)] = path
        return path
