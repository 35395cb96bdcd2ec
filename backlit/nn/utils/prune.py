"""Pruning: parameters with a mask, computed again before each forward.

A pruned parameter `weight` becomes `weight_orig` and a buffer `weight_mask`; `weight` itself is
their product, set by a hook. What is pruned already is not chosen again. Names, arguments and
the order of masks are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter
from backlit.nn.utils.vector import parameters_to_vector
from backlit.tensor import Tensor

M = TypeVar("M", bound=Module)


class BasePruningMethod:
    """What chooses a mask: a subclass gives `compute_mask` and its `PRUNING_TYPE`.

    The type says what one element of the choice is: "unstructured" (a number), "structured" (a
    slice along `self.dim`) or "global" (the subclass looks at everything itself).
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask for importance scores `t`, with zeros where `default_mask` has them."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_mask()")

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """The original parameter times its mask."""
        name = self._tensor_name
        original = getattr(module, name + "_orig")
        return getattr(module, name + "_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> BasePruningMethod:
        """Prune `module.name`, also when it is pruned already; gives the hook."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        earlier = _hook(module, name)
        weight = _prunable(module, name) if earlier is None else getattr(module, name + "_orig")
        scores = getattr(module, name) if importance_scores is None else importance_scores
        if scores.shape != weight.shape:
            raise ShapeError(
                f"prune: importance_scores of {tuple(scores.shape)} for a parameter of"
                f" {tuple(weight.shape)}"
            )
        before = _mask(module, name, weight)
        hook: BasePruningMethod = method
        if earlier is not None:
            hook = PruningContainer(*(earlier if isinstance(earlier, PruningContainer)
                                      else (earlier,)), method)  # fmt: skip
        mask = hook.compute_mask(scores.detach(), before).to(weight.dtype)
        if earlier is None:
            delattr(module, name)
            module.register_parameter(name + "_orig", weight)
        else:
            earlier._handle.remove()
        module.register_buffer(name + "_mask", mask)
        hook(module, ())
        hook._handle = module.register_forward_pre_hook(hook)
        return hook

    def prune(
        self,
        t: Tensor,
        default_mask: Tensor | None = None,
        importance_scores: Tensor | None = None,
    ) -> Tensor:
        """The tensor with its mask multiplied in; nothing is registered."""
        before = bl.ones_like(t) if default_mask is None else default_mask
        scores = t if importance_scores is None else importance_scores
        return t * self.compute_mask(scores, before).to(t.dtype)

    def remove(self, module: Module) -> None:
        """Make the pruned values a parameter again; the zeros stay."""
        name = self._tensor_name
        original = getattr(module, name + "_orig")
        with bl.no_grad():
            original.copy_(self.apply_mask(module))
        for part in (name, name + "_orig", name + "_mask"):
            delattr(module, part)
        module.register_parameter(name, original)
        self._handle.remove()

    _handle: Any


class PruningContainer(BasePruningMethod):
    """Methods that pruned one parameter after each other: each chooses among what was left."""

    def __init__(self, *methods: BasePruningMethod) -> None:
        self._methods: list[BasePruningMethod] = []
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod) -> None:
        """Append a method; all must prune the parameter of one name."""
        if not isinstance(method, BasePruningMethod):
            raise ArgumentTypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._methods and method._tensor_name != self._tensor_name:
            raise ArgumentError(
                f"PruningContainer: a method for '{method._tensor_name}' beside those for"
                f" '{self._tensor_name}'"
            )
        self._tensor_name = method._tensor_name
        self._methods.append(method)

    def __len__(self) -> int:
        return len(self._methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._methods)

    def __getitem__(self, index: Any) -> Any:
        return self._methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The last method's choice among what `default_mask` keeps."""
        method = self._methods[-1]
        if method.PRUNING_TYPE == "global":
            kept: Any = ...
        elif method.PRUNING_TYPE == "unstructured":
            kept = default_mask != 0
        elif method.PRUNING_TYPE == "structured":
            dim = _axis(t, method.dim)  # type: ignore[attr-defined]
            others = [d for d in range(t.ndim) if d != dim]
            alive = (default_mask != 0).sum(others) != 0 if others else default_mask != 0
            kept = (slice(None),) * dim + (alive,)
        else:
            raise ArgumentError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE!r}",
                                hint="unstructured, structured or global")  # fmt: skip
        mask = default_mask.clone()
        mask[kept] = method.compute_mask(t[kept], default_mask[kept]).to(mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, but makes the mask, which a program may then fill itself."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Unstructured(BasePruningMethod):
    """A count or share of the numbers with the lowest rank."""

    def __init__(self, amount: float) -> None:
        self.amount = _checked(amount)

    def rank(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        mask = default_mask.clone().reshape(-1)
        if count:
            mask[self.rank(t).reshape(-1).topk(count, largest=False).indices] = 0
        return mask.reshape(t.shape)


class RandomUnstructured(_Unstructured):
    """`amount` numbers drawn at random: a share, or how many."""

    def rank(self, t: Tensor) -> Tensor:
        return bl.rand(t.shape)


class L1Unstructured(_Unstructured):
    """The `amount` numbers of least magnitude: a share, or how many."""

    def rank(self, t: Tensor) -> Tensor:
        return t.abs()


class _Structured(BasePruningMethod):
    """A count or share of the slices along `dim` with the lowest rank."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        self.amount, self.dim = _checked(amount), dim

    def rank(self, slices: Tensor) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim < 2:
            raise ArgumentError(
                f"Structured pruning needs a parameter of two axes or more, got {tuple(t.shape)}",
                hint="use an unstructured method",
            )
        dim = _axis(t, self.dim)
        count = _count(self.amount, t.shape[dim])
        mask = default_mask.clone()
        if count:
            lowest = self.rank(t.movedim(dim, 0).flatten(1)).topk(count, largest=False).indices
            mask[(slice(None),) * dim + (lowest,)] = 0
        return mask


class RandomStructured(_Structured):
    """`amount` slices along `dim` drawn at random."""

    def rank(self, slices: Tensor) -> Tensor:
        return bl.rand(len(slices))


class LnStructured(_Structured):
    """The `amount` slices along `dim` of least `n`-norm."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def rank(self, slices: Tensor) -> Tensor:
        return slices.norm(p=self.n, dim=1)


class CustomFromMask(BasePruningMethod):
    """A mask that is given."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: M, name: str) -> M:
    """Give `module.name` a mask of ones.

    >>> nn.utils.prune.identity(nn.Linear(2, 1), "weight").weight_mask
    tensor([[1., 1.]])
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: M, name: str, amount: float) -> M:
    """Zero numbers of `module.name` at random: a share (float) or how many (int).

    >>> layer = nn.utils.prune.random_unstructured(nn.Linear(4, 2), "weight", amount=0.25)
    >>> (layer.weight_mask == 0).sum().item()
    2
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: M, name: str, amount: float, importance_scores: Tensor | None = None
) -> M:
    """Zero the numbers of least magnitude, or of least importance where scores are given.

    >>> layer = nn.Linear(4, 1)
    >>> scores = bl.tensor([[3.0, 1.0, 4.0, 2.0]])
    >>> nn.utils.prune.l1_unstructured(layer, "weight", 2, scores).weight_mask
    tensor([[1., 0., 1., 0.]])
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: M, name: str, amount: float, dim: int) -> M:
    """Zero slices of `module.name` along `dim` at random.

    >>> layer = nn.utils.prune.random_structured(nn.Linear(3, 4), "weight", 1, dim=0)
    >>> layer.weight_mask.sum(1).sort().values
    tensor([0., 3., 3., 3.])
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: M,
    name: str,
    amount: float,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> M:
    """Zero the slices along `dim` of least `n`-norm.

    >>> layer = nn.Linear(2, 2)
    >>> layer.weight.data = bl.tensor([[1.0, 2.0], [0.1, 0.2]])
    >>> nn.utils.prune.ln_structured(layer, "weight", amount=1, n=2, dim=0).weight_mask
    tensor([[1., 1.],
            [0., 0.]])
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: M, name: str, mask: Tensor) -> M:
    """Prune `module.name` by a mask of one's own.

    >>> mask = bl.tensor([[1.0, 0.0]])
    >>> nn.utils.prune.custom_from_mask(nn.Linear(2, 1), "weight", mask).weight_mask
    tensor([[1., 0.]])
    """
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: dict[tuple[Module, str], Tensor] | None = None,
    **kwargs: Any,
) -> None:
    """Prune several parameters as if they were one: the shares may differ between them.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    >>> both = [(net[0], "weight"), (net[1], "weight")]
    >>> nn.utils.prune.global_unstructured(both, nn.utils.prune.L1Unstructured, amount=3)
    >>> sum((module.weight_mask == 0).sum().item() for module, _ in both)
    3
    """
    chosen = list(parameters)
    given = {} if importance_scores is None else importance_scores
    method = pruning_method(**kwargs)
    method._tensor_name = "all"
    if method.PRUNING_TYPE != "unstructured":
        raise ArgumentTypeError(
            f"Only 'unstructured' methods prune globally, not {pruning_method.__name__}"
        )
    values = [getattr(module, name).detach() for module, name in chosen]
    scores = [given.get(pair, value) for pair, value in zip(chosen, values, strict=True)]
    masks = [_mask(m, name, value) for (m, name), value in zip(chosen, values, strict=True)]
    whole = PruningContainer(method).compute_mask(
        parameters_to_vector(scores), parameters_to_vector(masks)
    )
    parts = whole.split([value.numel() for value in values])
    for (module, name), value, part in zip(chosen, values, parts, strict=True):
        custom_from_mask(module, name, part.reshape(value.shape))


def remove(module: M, name: str) -> M:
    """Make a pruned parameter an ordinary one again; the zeros stay, and may then be trained.

    >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(4, 1), "weight", 3)
    >>> [n for n, _ in nn.utils.prune.remove(layer, "weight").named_parameters()]
    ['bias', 'weight']
    """
    hook = _hook(module, name)
    if hook is None:
        raise ArgumentError(
            f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
        )
    hook.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether any parameter of the module, or of those in it, is pruned.

    >>> nn.utils.prune.is_pruned(nn.Linear(2, 1))
    False
    """
    return any(_hooks(m) for m in module.modules())


def _hooks(module: Module) -> list[BasePruningMethod]:
    return [h for h in module._forward_pre_hooks.values() if isinstance(h, BasePruningMethod)]


def _hook(module: Module, name: str) -> BasePruningMethod | None:
    return next((h for h in _hooks(module) if h._tensor_name == name), None)


def _prunable(module: Module, name: str) -> Parameter:
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(f"prune: {type(module).__name__} has no parameter '{name}'")
    return weight


def _mask(module: Module, name: str, like: Tensor) -> Tensor:
    found = getattr(module, name + "_mask", None)
    return bl.ones_like(like, requires_grad=False) if found is None else found.detach()


def _axis(t: Tensor, dim: int) -> int:
    if not -t.ndim <= dim < t.ndim:
        raise ArgumentError(f"prune: a parameter of {tuple(t.shape)} has no dim {dim}")
    return dim % t.ndim


def _checked(amount: Any) -> Any:
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise ArgumentTypeError(f"prune: amount must be a number, got {amount!r}")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ArgumentError(
            f"prune: amount={amount!r}", hint="a share from 0.0 to 1.0, or a count (int) from 0"
        )
    return amount


def _count(amount: Any, size: int) -> int:
    count = round(amount * size) if isinstance(amount, float) else amount
    if count > size:
        raise ArgumentError(f"amount={amount} must be at most the number to choose from, {size}")
    return int(count)
