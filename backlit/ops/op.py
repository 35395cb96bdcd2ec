"""The contract of an operator: one class holds all that Backlit knows about it.

An operator is never instantiated; its class is a namespace of rules, and the signatures of the
rules are declarations: what a rule names is what it gets, and what is saved for the backward.
Owns the registry and the slot `apply`, which `autograd.record` fills. Must not import Tensor.
Read next: docs/design/operators.md, then elementwise.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError, ShapeError
from backlit.ops import formula as fm


class Spec(NamedTuple):
    """Shape and dtype of a value: what `infer` takes and returns."""

    shape: tuple[int, ...]
    dtype: dt.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)


REGISTRY: dict[str, type[Operator]] = {}


class _Slot:
    """What the core asks of others without knowing them by name; each is filled once."""

    apply: Callable[..., Any]  # by autograd.record: record and run an operator
    view_put: type[Operator]  # by ops.shape: writes through a path of view operators
    wrap: Callable[..., Any]  # by autograd.record: a tensor around an array
    refill: Callable[..., Any]  # by autograd.record: the end of every in-place method
    refuse_leaf: Callable[..., Any]  # by autograd.record: a leaf is not changed in place
    in_place: Callable[..., Any]  # by autograd.record: an operator into its first input
    follow_base: Callable[..., Any]  # by autograd.record: a view takes the history of its base
    replay: Callable[..., Any]  # by autograd.bodies: run a Program on tensors, recorded
    joint: Callable[..., Any]  # by autograd.bodies: a Program followed by its backward
    detach: type[Operator]  # by ops.scan: where a gradient ends within a Program
    autocast: Callable[..., Any]  # by autograd.autocast: inputs in the dtype of the open block


slot = _Slot()


def apply(op: type[Operator], *tensors: Any, **params: Any) -> Any:
    """Run an operator on tensors (or Python numbers) and record it where a gradient is due."""
    return slot.apply(op, *tensors, **params)


class Rule(NamedTuple):
    """A backward rule and what its signature asks for."""

    function: Callable[..., Any]
    grads: tuple[int, ...]  # outputs whose gradients come first, in order
    saved: tuple[str, ...]  # inputs and outputs it reads
    specs: tuple[str, ...]  # inputs of which it needs shape and dtype only
    params: tuple[str, ...]
    needs: bool  # wants to know which gradients are asked for


_RULES = ("formula", "call", "infer", "forward", "into", "backward", "latex", "expand", "jvp")


class Operator:
    """Base of all operators; see docs/design/operators.md.

    A class gives `infer` and `forward`, and for the gradient either one `grad_<input>` per input
    or a joint `backward`. `call` is the public function.
    """

    name: ClassVar[str] = ""
    exports: ClassVar[str] = "bl Tensor"  # namespaces of the public function
    aliases: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[str, ...]] = ("y",)
    variadic: ClassVar[bool] = False  # takes any number of tensors; rules get tuples
    differentiable: ClassVar[bool] = True
    nondifferentiable: ClassVar[tuple[str, ...]] = ()  # outputs without a gradient, such as indices
    view: ClassVar[bool] = False  # forward may return a NumPy view of its first input
    moves: ClassVar[bool] = False  # only moves or adds elements: carries a mask along
    value_shaped: ClassVar[bool] = False  # output shape depends on values: eager only
    promotes: ClassVar[bool] = False  # tensors of different dtypes are first cast to a common one
    rules: ClassVar[dict[str, Rule]] = {}
    plans: ClassVar[dict[int, tuple[tuple[str, str, int], ...]]] = {}
    wants_specs: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    precision: ClassVar[str] = ""  # under autocast: "low", "float32" or as given; see precision.py
    call: ClassVar[Callable[..., Any]]  # the public function, where there is one
    kernel: ClassVar[Callable[..., Any] | None] = None  # a backend's eager form of `forward`

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        for key, value in list(vars(cls).items()):
            rule = key in _RULES or key.startswith(("grad_", "d_", "mask_"))
            if rule and isinstance(value, FunctionType):
                setattr(cls, key, staticmethod(value))
        if abstract:
            return
        if "name" not in vars(cls):
            cls.name = re.sub(r"(?<!^)(?<![A-Z])(?=[A-Z])", "_", cls.__name__).lower()
        assert cls.name not in REGISTRY, f"two operators named {cls.name}"
        REGISTRY[cls.name] = cls
        cls._complete()

    @classmethod
    def _complete(cls) -> None:
        """Read the declarations out of the signatures."""
        if not cls.inputs and not cls.variadic and "forward" in vars(cls):
            cls.inputs = names_of(cls.forward)[0]
        cls.rules = {}
        for name in cls.inputs:
            function = getattr(cls, f"grad_{name}", None)
            if function is not None:
                cls.rules[name] = cls._rule(function)
        if hasattr(cls, "backward"):
            cls.rules["*"] = cls._rule(cls.backward)
        cls.plans = {}
        cls.wants_specs = any(rule.specs for rule in cls.rules.values())

    @classmethod
    def _rule(cls, function: Callable[..., Any]) -> Rule:
        grads: list[Any] = []
        saved: list[str] = []
        specs: list[str] = []
        params: list[str] = []
        needs = False
        first, keywords = names_of(function)
        for name in (*first, *keywords):
            if name == "g":
                grads.append(0)
            elif name == "gs":
                grads.append(slice(None))  # those of all outputs, as a list
            elif name.startswith("g_") and name[2:] in cls.outputs:
                grads.append(cls.outputs.index(name[2:]))
            elif name in (*cls.inputs, *cls.outputs, *(("xs", "ys") if cls.variadic else ())):
                saved.append(name)
            elif name.endswith("_spec") or name == "specs":
                specs.append(name)
            elif name == "needs":
                needs = True
            else:
                params.append(name)
        return Rule(function, tuple(grads), tuple(saved), tuple(specs), tuple(params), needs)

    @classmethod
    def plan(cls, bits: int) -> tuple[tuple[str, str, int], ...]:
        """What to save when the inputs of those bits need a gradient: (name, source, index)."""
        names: dict[str, None] = {}
        for input_name, rule in cls.rules.items():
            if input_name == "*" or bits >> cls.inputs.index(input_name) & 1:
                names.update(dict.fromkeys(rule.saved))
        if not cls.rules and hasattr(cls, "expand"):
            names = dict.fromkeys((*cls.inputs, *(("xs",) if cls.variadic else ())))
        cls.plans[bits] = tuple(
            (name, "input", cls.inputs.index(name))
            if name in cls.inputs
            else (name, "rest", len(cls.inputs))
            if name == "xs"
            else (name, "outputs", 0)
            if name == "ys"
            else (name, "output", cls.outputs.index(name))
            for name in names
        )
        return cls.plans[bits]

    @classmethod
    def run(cls, arrays: list[Any], params: dict[str, Any]) -> tuple[Any, list[Any]]:
        """Check with `infer`, then compute: the outputs, and the arrays as they were used."""
        cls.infer(*map(spec_of, arrays), **params)
        return (cls.kernel or cls.forward)(*arrays, **params), arrays

    @staticmethod
    def infer(*specs: Spec, **params: Any) -> Spec | tuple[Spec, ...]:
        """Shape and dtype of the outputs; the one place where bad input is refused."""
        raise NotImplementedError

    @staticmethod
    def forward(*arrays: Any, **params: Any) -> Any:
        """The obvious NumPy form: the oracle of every faster one."""
        raise NotImplementedError

    @classmethod
    def latex(cls, *names: str, **params: Any) -> str:
        """The application as LaTeX, given the LaTeX of its inputs."""
        return rf"\operatorname{{{cls.name.replace('_', chr(92) + '_')}}}" + fm.parenthesize(
            ", ".join(names)
        )


def names_of(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the positional and of the keyword-only parameters, read off the code: a hundredth
    of what a full signature costs, and this happens for every rule when Backlit is imported."""
    code = function.__code__
    count = code.co_argcount
    return code.co_varnames[:count], code.co_varnames[count : count + code.co_kwonlyargcount]


def spec_of(value: Any) -> Any:
    """The Spec of an array; numbers and absent inputs stay what they are."""
    if isinstance(value, np.ndarray):
        return Spec(value.shape, dt.of_array(value))
    return value


class Elementwise(Operator, abstract=True):
    """An operator that is a formula of its elements, with broadcasting.

    A subclass gives `formula(m, x, ...)` and the local derivative by each input, `d_x(m, ...)`,
    whose parameters name what it reads: inputs, the output `y`, keyword parameters. A derivative
    may be a plain number; an input without one is not differentiable.
    """

    promotes = True
    formula: ClassVar[Callable[..., Any]]
    result: ClassVar[str] = "promote"  # or "float" (whole numbers become floats), or "bool"
    symbol: ClassVar[str] = ""  # LaTeX of the function, where it has a name
    inplace: ClassVar[bool] = False  # the public function takes `inplace=`
    locals: ClassVar[dict[int, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]]] = {}
    masks: ClassVar[dict[int, Any]] = {}
    elementwise = True
    bare: ClassVar[bool] = True  # `forward` is nothing but the formula
    smallest: ClassVar[int] = 0  # elements from which on a backend's kernels pay
    product: ClassVar[Callable[..., Any] | None] = None  # a backend's `g` times local derivative
    defaults: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _complete(cls) -> None:
        first, keywords = names_of(cls.formula)
        cls.inputs = first[1:]
        cls.defaults = dict.fromkeys(keywords) | (cls.formula.__kwdefaults__ or {})
        cls.rules, cls.plans, cls.locals, cls.masks = {}, {}, {}, {}
        for i, name in enumerate(cls.inputs):
            function = getattr(cls, f"d_{name}", None)
            if function is not None:
                rule = cls._rule(function)
                rule = rule._replace(params=tuple(p for p in rule.params if p != "m"))
                cls.rules[name] = rule
                cls.locals[i] = (function, rule.saved, rule.params)
                masked = getattr(cls, f"mask_{name}", None)
                if masked is not None:
                    cls.masks[i] = (masked, names_of(masked)[0][1:])
        cls.differentiable = bool(cls.locals)
        cls.bare = getattr(cls.forward, "__func__", None) is Elementwise.forward.__func__  # type: ignore[attr-defined]
        if "call" not in vars(cls):
            cls.call = staticmethod(cls._public(keywords))

    @classmethod
    def _public(cls, keywords: tuple[str, ...]) -> Callable[..., Any]:
        """The public function, with the parameters of the formula."""
        names = ["input", "other", "third"][: len(cls.inputs)]
        if not keywords and not cls.inplace and len(names) < 3:
            return _plain(cls, len(names))
        with_default = cls.formula.__kwdefaults__ or {}
        space: dict[str, Any] = {f"_{k}": v for k, v in with_default.items()}
        given = [f"{k}=_{k}" if f"_{k}" in space else k for k in keywords]
        inputs = ", ".join(names)
        passed = ", ".join(["op", inputs, *(f"{k}={k}" for k in keywords)])
        lines = [f"def call({', '.join([inputs, *given, *['inplace=False'] * cls.inplace])}):"]
        if cls.inplace:
            lines.append(f"    if inplace: return in_place({passed})")
        lines.append(f"    return slot.apply({passed})")
        space |= {"op": cls, "slot": slot, "in_place": _in_place}
        exec("\n".join(lines), space)  # binding a signature at every call costs microseconds
        call = space["call"]
        # Its frames are ours, so that a Node names the user's line.
        call.__code__ = call.__code__.replace(co_filename=__file__)
        return call

    @classmethod
    def run(cls, arrays: list[Any], params: dict[str, Any]) -> tuple[Any, list[Any]]:
        common, size = None, 0
        for a in arrays:
            if type(a) is np.ndarray:
                if common is None:
                    common, size = a.dtype, a.size
                elif a.dtype is not common:
                    common = None
                    break
            elif type(a) is not float and type(a) is not int:
                common = None
                break
        if common is None or common.kind != "f" or common.itemsize == 2:
            specs = [spec_of(a) for a in arrays]
            cls.infer(*specs)
            operand = cls._operand_dtype(specs)
            arrays = cls._convert(arrays, operand)
            if operand.kind == "f" and operand.itemsize == 2:
                return cls._run_half(arrays, params), arrays
            return cls.forward(*arrays, **params), arrays
        try:
            if cls.kernel is not None and size >= cls.smallest:
                return cls.kernel(*arrays, **params), arrays
            if cls.bare:
                return cls.formula(fm.NUMPY, *arrays, **params), arrays
            return cls.forward(*arrays, **params), arrays
        except ValueError:
            cls.infer(*map(spec_of, arrays))  # names the shapes, if it was they
            raise

    @classmethod
    def _run_half(cls, arrays: list[Any], params: dict[str, Any]) -> Any:
        """16-bit floats are computed in single and rounded once, at the end."""
        wide = [
            a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind in "fV" else a
            for a in arrays
        ]
        dtype = next(a.dtype for a in arrays if isinstance(a, np.ndarray) and a.dtype.kind in "fV")
        found = np.asarray(cls.forward(*wide, **params))
        return found.astype(dtype) if found.dtype.kind == "f" else found

    @staticmethod
    def _convert(arrays: list[Any], common: dt.dtype) -> list[Any]:
        """The operands in one dtype; numbers stay numbers where an array gives the dtype."""
        target = common.numpy
        bare = common.kind == "f" and any(isinstance(a, np.ndarray) for a in arrays)
        return [
            a.astype(target, copy=False)
            if isinstance(a, np.ndarray)
            else a
            if bare
            else np.asarray(a).astype(target)[()]  # whole numbers wrap around, as in PyTorch
            for a in arrays
        ]

    @classmethod
    def promoted(cls, inputs: tuple, first: int = 0) -> list[Any] | None:
        """The inputs (from `first` on) with tensors cast to the common dtype, as recorded
        operators; None where they have it already."""
        given = inputs[first:]
        specs = [spec_of(x.cell.array) if hasattr(x, "cell") else spec_of(x) for x in given]
        common = cls._operand_dtype(specs)
        if all(not isinstance(s, Spec) or s.dtype is common for s in specs):
            return None
        cls.infer(*(spec_of(getattr(x, "array", x)) for x in inputs))
        met = [x.to(common) if hasattr(x, "cell") else x for x in given]
        return [*inputs[:first], *met]

    @classmethod
    def _operand_dtype(cls, specs: list[Any]) -> dt.dtype:
        common = dt.result_type(*specs)
        if cls.result == "float" and not common.is_floating_point:
            return dt.get_default_dtype()
        return common

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        if len(specs) != len(cls.inputs) or not params.keys() <= cls.defaults.keys():
            raise TypeError(f"{cls.name} takes {', '.join((*cls.inputs, *cls.defaults))}")
        shape = broadcast_shapes(*(s.shape for s in specs if isinstance(s, Spec)))
        common = cls._operand_dtype(list(specs))
        return Spec(shape, dt.bool_ if cls.result == "bool" else common)

    @classmethod
    def forward(cls, *arrays: Any, **params: Any) -> Any:
        return cls.formula(fm.NUMPY, *arrays, **params)

    @classmethod
    def local(cls, m: Any, index: int, values: dict[str, Any], params: dict[str, Any]) -> Any:
        """The local derivative by input `index`, in the mathematics `m`."""
        function, names, keywords = cls.locals[index]
        given = [values[name] for name in names]
        if not keywords:
            return function(m, *given)
        chosen = {k: params[k] if k in params else cls.defaults[k] for k in keywords}
        return function(m, *given, **chosen)

    @classmethod
    def mask(cls, m: Any, index: int, values: dict[str, Any]) -> Any:
        """Where input `index` takes part at all, or None for everywhere: see docs."""
        found = cls.masks.get(index)
        return found and found[0](m, *(values[name] for name in found[1]))

    @classmethod
    def expand(cls, *tensors: Any, **params: Any) -> Any:
        """The formula, gate by gate."""
        return cls.formula(fm.TENSOR, *tensors, **params)

    @classmethod
    def gate(cls, m: Any, *values: Any, **params: Any) -> Any:
        """This operator within another's formula: one gate as Tensors, spelled out elsewhere."""
        if m is fm.TENSOR:
            return slot.apply(cls, *values, **params)
        if m is fm.LATEX:
            return fm.Tex(cls.latex(*map(str, values), **params))
        return cls.formula(m, *values, **params)

    @classmethod
    def latex(cls, *names: str, **params: Any) -> str:
        if cls.symbol:
            return cls.symbol + fm.parenthesize(", ".join(names))
        return str(cls.formula(fm.LATEX, *(fm.Tex(n) for n in names), **params))


def _in_place(op: type[Operator], input: Any, *others: Any, **params: Any) -> Any:
    """`inplace=True`: the result in the place of the first input."""
    slot.refuse_leaf(input, op.name)
    return slot.refill(input, slot.apply(op, input, *others, **params))


def _plain(op: type[Elementwise], count: int) -> Callable[..., Any]:
    """The public function of one or two tensors and nothing else."""
    if count == 1:

        def call(input: Any) -> Any:
            return slot.apply(op, input)
    else:

        def call(input: Any, other: Any) -> Any:  # type: ignore[misc]
            return slot.apply(op, input, other)

    return call


class Composite(Operator, abstract=True):
    """An operator made of others: its application records their Nodes, under its own scope.

    A subclass gives `expand`, which is also the public function. Nothing is closed, so its
    gradient is theirs; readers may fold the Nodes of one scope into one gate.
    """

    expand: ClassVar[Callable[..., Any]]

    @classmethod
    def _complete(cls) -> None:
        cls.inputs = names_of(cls.expand)[0]
        cls.call = staticmethod(slot_scoped(cls.name, cls.expand, cls))


def slot_scoped(name: str, function: Callable[..., Any], op: Any = Operator) -> Callable[..., Any]:
    """`function`, with the scope `name` around the Nodes that it records."""
    from functools import wraps

    from backlit.state import state

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if op.precision and state.autocast is not None:
            args = slot.autocast(op, args)
            kwargs = dict(zip(kwargs, slot.autocast(op, tuple(kwargs.values()))))
        outer = state.scope
        state.scope = f"{outer}/{name}" if outer else name
        try:
            return function(*args, **kwargs)
        finally:
            state.scope = outer

    return call


# ----- rules that many operators share -----


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape under broadcasting."""
    result: list[int] = [1] * max((len(s) for s in shapes), default=0)
    for shape in shapes:
        offset = len(result) - len(shape)
        for i, size in enumerate(shape):
            if result[offset + i] == 1:
                result[offset + i] = size
            elif size not in (1, result[offset + i]):
                listed = " and ".join(map(str, map(tuple, shapes)))
                raise ShapeError(
                    f"shapes {listed} do not broadcast: sizes {result[offset + i]} and {size}"
                    f" at axis {i - len(shape)}",
                    hint="axes are matched from the last; a size of 1 stretches",
                )
    return tuple(result)


def normalize_axis(axis: int, ndim: int) -> int:
    """A non-negative axis; refuses one outside the range."""
    from backlit.errors import IndexOutOfRange

    try:
        axis = axis.__index__()
    except AttributeError:
        raise ArgumentTypeError(f"dim must be a whole number, got {axis!r}") from None
    size = max(ndim, 1)
    if not -size <= axis < size:
        raise IndexOutOfRange(
            f"dim {axis} is out of range for a tensor of {ndim} axes",
            hint=f"from {-size} to {size - 1}",
        )
    return axis % size


def normalize_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple without repetition; None means all."""
    if axes is None or (isinstance(axes, (tuple, list)) and not axes):
        return tuple(range(ndim))
    if not isinstance(axes, (tuple, list)):
        axes = (axes,)
    found = [normalize_axis(a, ndim) for a in axes]
    if len(set(found)) != len(found):
        raise ArgumentTypeError(f"dim {tuple(axes)} names an axis twice")
    return tuple(sorted(found)) if ndim else ()


def require_float(spec: Spec, what: str = "input") -> None:
    """Refuse whole numbers where only floats have a meaning."""
    if not spec.dtype.is_floating_point:
        raise DTypeError(
            f"{what} must be floating point, got {spec.dtype.name}", hint="convert it: x.float()"
        )


# ----- plain functions beside the operators -----

FUNCTIONS: list[tuple[str, tuple[str, ...], Callable[..., Any]]] = []


def export(namespaces: str, *aliases: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Publish a plain function (not a gate of its own) in namespaces: `@export("bl Tensor")`."""

    def publish(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.append(
            (namespaces, (getattr(function, "public", function.__name__), *aliases), function)
        )
        return function

    return publish


def export_in_place(function: Callable[..., Any], name: str) -> None:
    """Publish the method `name`: the function, into its first argument."""

    def refill(input: Any, *args: Any, **keywords: Any) -> Any:
        slot.refuse_leaf(input, name)
        return slot.refill(input, function(input, *args, **keywords))

    refill.__name__ = name
    refill.__doc__ = f"`{name[:-1]}`, in place."
    export("Tensor")(refill)
