"""What is checked of a row: each function here raises AssertionError where a row is wrong.

Gradients are compared with PyTorch's, and with central differences along random directions in
float64. A sample whose differences do not settle sits at a kink: it is drawn again, and the
tolerance stays. Read next: test_rows.py, which runs these on all rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from rows import Row, T

import backlit as bl
from backlit.api import NAMESPACES
from backlit.autograd import Observer, observe
from backlit.errors import BacklitError
from backlit.ops import formula as fm
from backlit.ops.op import REGISTRY, Elementwise, Operator, spec_of
from backlit.tensor import Tensor

TRIES = 6  # samples drawn before a row counts as wrong
STEP = 1e-3  # of central differences, halved once and extrapolated
DIFFERENCE_TOLERANCE = 1e-7


# ----- calling -----


def function_of(row: Row) -> Callable[..., Any]:
    """The public function that a row calls."""
    if callable(row.call):
        return row.call
    space, _, name = row.call.rpartition(".")
    found = NAMESPACES[space or "bl"].get(name)
    return found if found is not None else getattr(Tensor if space == "Tensor" else bl, name)


def is_published(row: Row) -> bool:
    """Whether the function that a row calls exists."""
    try:
        return callable(function_of(row))
    except AttributeError:
        return False


def operators_of(row: Row) -> tuple[str, ...]:
    """Names of the operators that a row covers."""
    if row.op is not None:
        return (row.op,) if isinstance(row.op, str) else tuple(row.op)
    operator = getattr(function_of(row), "operator", None)
    return (operator.name,) if operator else ()


def has_gradient(row: Row) -> bool:
    """As the row says, else as its operator declares."""
    if row.grad is not None:
        return row.grad
    return all(REGISTRY[name].differentiable for name in operators_of(row))


def oracle_of(row: Row) -> Callable[..., Any] | None:
    """PyTorch's function for a row, or None."""
    torch = pytest.importorskip("torch")
    if row.torch is None or callable(row.torch):
        return row.torch
    dotted = row.torch or (row.call if isinstance(row.call, str) else "")
    assert dotted, f"{row.name}: a callable needs torch= (a name, a callable or None)"
    space, _, name = dotted.rpartition(".")
    owner = {"": torch, "bl": torch, "Tensor": torch.Tensor, "F": torch.nn.functional,
             "linalg": torch.linalg, "special": torch.special}[space]  # fmt: skip
    return getattr(owner, name)


def seed_of(row: Row, position: int, attempt: int = 0) -> np.random.Generator:
    """Every check of a row draws the same samples."""
    return np.random.default_rng([zlib.crc32(row.name.encode()), position, attempt])


def draw(args: tuple, rng: np.random.Generator) -> tuple[list, dict]:
    """Arguments with arrays in place of T's, split into positional and keyword ones."""
    filled = [_filled(a, rng) for a in args]
    if filled and isinstance(filled[-1], dict):
        return filled[:-1], filled[-1]
    return filled, {}


def _filled(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, T):
        return Drawn(value.draw(rng), value)
    if isinstance(value, dict):
        return {k: _filled(v, rng) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(v, T) for v in value):
        return type(value)(_filled(v, rng) for v in value)
    return value


class Drawn:
    """A drawn array and the T that it was drawn for."""

    def __init__(self, array: np.ndarray, placeholder: T):
        self.array, self.placeholder = array, placeholder

    @property
    def free(self) -> bool:
        """Whether it is a float of the tested width."""
        return self.placeholder.dtype is None

    def in_dtype(self, dtype: Any) -> np.ndarray:
        return self.array.astype(dtype) if self.free else self.array


class Case:
    """One call: the function with drawn arguments, ready to run on any tensors."""

    def __init__(self, args: tuple, rng: np.random.Generator):
        self.args, self.keywords = draw(args, rng)
        self.drawn: list[Drawn] = []
        self._walk(lambda d: self.drawn.append(d))

    def _walk(self, replace: Callable[[Drawn], Any]) -> tuple[list, dict]:
        def visit(value: Any) -> Any:
            if isinstance(value, Drawn):
                return replace(value)
            if isinstance(value, dict):
                return {k: visit(v) for k, v in value.items()}
            if isinstance(value, (list, tuple)) and any(isinstance(v, Drawn) for v in value):
                return type(value)(visit(v) for v in value)
            return value

        return [visit(a) for a in self.args], visit(self.keywords)

    @property
    def active(self) -> list[int]:
        """Positions of the drawn tensors that take a gradient."""
        return [i for i, d in enumerate(self.drawn) if d.free and d.placeholder.grad]

    def arrays(self, dtype: Any = np.float64) -> list[np.ndarray]:
        return [d.in_dtype(dtype) for d in self.drawn]

    def run(self, function: Callable[..., Any], tensors: Sequence[Any]) -> list[Any]:
        """Call with these tensors in place of the drawn ones; the outputs in one flat list."""
        found = iter(tensors)
        args, keywords = self._walk(lambda _: next(found))
        return flat(function(*args, **keywords))


def flat(value: Any) -> list[Any]:
    """Outputs of any nesting, in order."""
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in flat(v)]
    return [value]


def cases(row: Row, attempt: int = 0) -> list[Case]:
    """One case per argument tuple."""
    assert row.args, f"{row.name}: a row without arguments checks nothing"
    return [Case(args, seed_of(row, i, attempt)) for i, args in enumerate(row.args)]


def leaves(case: Case, dtype: Any = np.float64, grad: bool = True) -> list[Tensor]:
    """Fresh Backlit tensors of a case."""
    made = [bl.from_numpy(a) for a in case.arrays(dtype)]
    for i in case.active if grad else ():
        made[i].requires_grad_()
    return made


def differentiable(outputs: list) -> list[int]:
    return [i for i, y in enumerate(outputs) if isinstance(y, Tensor) and y.requires_grad]


def directions(outputs: list, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """A random gradient for each differentiable output."""
    return {i: rng.standard_normal(tuple(outputs[i].shape)) for i in differentiable(outputs)}


def step_of(row: Row, case: Case) -> Callable[..., list]:
    """The row's call, with gradients of everything that has one."""

    def step(*tensors: Tensor) -> list:
        bl.manual_seed(1)
        active = [tensors[i] for i in case.active]
        for t in active:
            t.requires_grad_()
        outputs = [y for y in case.run(function_of(row), tensors) if isinstance(y, Tensor)]
        roots = [outputs[i] for i in differentiable(outputs)]
        if not active or not roots or not has_gradient(row):
            return outputs
        loss = sum((y * y).sum() for y in roots)
        grads = bl.autograd.grad(loss, active, allow_unused=True)
        return [*outputs, *(g for g in grads if g is not None)]

    return step


def close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """Equal up to `tolerance`, relative to the largest finite value and to each element."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, not {expected.shape}"
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected, what)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    np.testing.assert_allclose(
        found.astype(np.float64), expected.astype(np.float64), rtol=tolerance,
        atol=tolerance * scale, err_msg=what,
    )  # fmt: skip


# ----- agreement with an oracle -----


def equals_torch(row: Row, dtype: type, tolerance: float) -> None:
    """Values, dtypes and gradients are PyTorch's."""
    torch = pytest.importorskip("torch")
    oracle = oracle_of(row)
    if oracle is None:
        pytest.skip("no counterpart in PyTorch")
    for position, case in enumerate(cases(row)):
        what = f"{row.name}, arguments {position}, {dtype.__name__}"
        ours = leaves(case, dtype)
        theirs = [_torch_tensor(torch, a) for a in case.arrays(dtype)]
        for i in case.active:
            theirs[i].requires_grad_()
        found, expected = case.run(function_of(row), ours), case.run(oracle, theirs)
        assert len(found) == len(expected), f"{what}: {len(found)} outputs, not {len(expected)}"
        for y, t in zip(found, expected):
            _same_output(y, t, tolerance, what)
        if not has_gradient(row) or not case.active:
            continue
        tracked = [y.requires_grad for y in expected if hasattr(y, "requires_grad")]
        assert tracked == [y.requires_grad for y in found if hasattr(y, "requires_grad")], (
            f"{what}: outputs with a gradient are {tracked} in PyTorch"
        )
        seeds = directions(found, np.random.default_rng(position))
        chosen = [i for i in case.active if theirs[i].numel()]
        got = _pulled(found, seeds, [ours[i] for i in chosen], dtype) if seeds else ()
        want = torch.autograd.grad(
            [expected[i] for i in seeds], [theirs[i] for i in chosen],
            [torch.from_numpy(np.asarray(v, dtype)) for v in seeds.values()], allow_unused=True,
        ) if chosen and seeds else ()  # fmt: skip
        for i, g, w in zip(chosen, got, want):
            g = np.zeros_like(ours[i].cell.array) if g is None else g.cell.array
            w = np.zeros_like(ours[i].cell.array) if w is None else w.numpy()
            close(g, w, tolerance, f"{what}: gradient of tensor {i}")


def _torch_tensor(torch: Any, array: np.ndarray) -> Any:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    return torch.from_numpy(array.copy())


def _same_output(y: Any, t: Any, tolerance: float, what: str) -> None:
    if not isinstance(y, Tensor):
        assert y == t, f"{what}: {y!r}, not {t!r}"
        return
    name = str(t.dtype).removeprefix("torch.")
    assert y.dtype.name == name, f"{what}: dtype {y.dtype.name}, not {name}"
    if name == "float32":
        tolerance = max(tolerance, 1e-6)  # whole numbers became the default float
    expected = t.detach().float() if name == "bfloat16" else t.detach()
    found = y.cell.array.astype(np.float32) if name == "bfloat16" else y.cell.array
    close(found, expected.numpy(), tolerance, what)


def _pulled(outputs: list, seeds: dict, inputs: list, dtype: Any, create: bool = False) -> tuple:
    given = [bl.from_numpy(np.asarray(v, dtype)) for v in seeds.values()]
    return bl.autograd.grad([outputs[i] for i in seeds], inputs, given, retain_graph=True,
                            create_graph=create, allow_unused=True)  # fmt: skip


def equals_numpy(row: Row) -> None:
    """Values are those of the row's NumPy oracle."""
    assert row.numpy is not None
    for position, case in enumerate(cases(row)):
        found = case.run(function_of(row), leaves(case, grad=False))
        expected = case.run(row.numpy, case.arrays())
        for y, e in zip(found, expected):
            value = y.cell.array if isinstance(y, Tensor) else y
            close(value, e, row.tol, f"{row.name}, arguments {position}")


# ----- agreement with itself -----


class InferWatch(Observer):
    """Compares `infer` with every output that passes."""

    def __init__(self) -> None:
        self.applied: list[tuple[Any, tuple, dict]] = []

    def after_forward(self, op, inputs, params, outputs, node):
        self.applied.append((op, inputs, params))
        arrays = [x.cell.array if isinstance(x, Tensor) else x for x in inputs]
        if op.value_shaped or op.infer is Operator.infer:
            return
        specs = op.infer(*map(spec_of, arrays), **params)
        specs = specs if isinstance(specs, tuple) and type(specs) is tuple else (specs,)
        for spec, y in zip(specs, outputs):
            if y is None or spec is None:
                continue
            told = (tuple(spec.shape), spec.dtype.name)
            made = (tuple(y.shape), y.dtype.name)
            assert told == made, f"{op.name}: infer says {told}, forward made {made}"


def infer_agrees(row: Row) -> None:
    """`infer` is right for every operator that runs, also in the backward of the backward."""
    for dtype in (np.float64, np.float32):
        for position, case in enumerate(cases(row)):
            with observe(InferWatch()):
                inputs = leaves(case, dtype)
                outputs = case.run(function_of(row), inputs)
                seeds = directions(outputs, np.random.default_rng(position))
                active = [inputs[i] for i in case.active]
                if seeds and active and has_gradient(row):
                    _pulled(outputs, seeds, active, dtype, create=row.double)


def memory_order_is_no_matter(row: Row) -> None:
    """Reversed, strided and transposed arrays give the same."""
    for position, case in enumerate(cases(row)):
        plain = case.run(function_of(row), leaves(case, grad=False))
        strided = [bl.tensor(0)] * len(case.drawn)
        for i, array in enumerate(case.arrays()):
            strided[i] = bl.from_numpy(array)
            strided[i].cell.put(_strided(array, i))
        for y, z in zip(plain, case.run(function_of(row), strided)):
            if isinstance(y, Tensor):
                close(z.cell.array, y.cell.array, 1e-12, f"{row.name}, arguments {position}")


def _strided(array: np.ndarray, choice: int) -> np.ndarray:
    """The same values in another memory layout."""
    if not array.ndim:
        return array
    if choice % 2:
        doubled = np.repeat(array, 2, axis=-1)
        return doubled[..., ::2]
    return np.ascontiguousarray(array.T).T if array.ndim > 1 else array[::-1].copy()[::-1]


def half_agrees(row: Row) -> None:
    """16-bit floats give the dtype PyTorch's rules give, and the value to their precision."""
    for dtype, precision in (("float16", 2.0**-8), ("bfloat16", 2.0**-5)):
        for position, case in enumerate(cases(row)):
            tensors = leaves(case, grad=False)
            narrow = [
                x.to(getattr(bl, dtype)) if d.free else x for x, d in zip(tensors, case.drawn)
            ]
            wide = [x.to(bl.float64) if d.free else x for x, d in zip(narrow, case.drawn)]
            found = case.run(function_of(row), narrow)
            expected = case.run(function_of(row), wide)
            for y, e in zip(found, expected):
                if isinstance(y, Tensor) and y.dtype.is_floating_point:
                    what = f"{row.name}, arguments {position}, {dtype}"
                    close(y.cell.array.astype(np.float64), e.detach().cell.array, precision, what)
                    if e.dtype is bl.float64 and all(d.free for d in case.drawn):
                        assert y.dtype.name == dtype, f"{what}: result is {y.dtype.name}"


def zero_sizes(row: Row) -> None:
    """An elementwise operator takes empty tensors and gives empty ones."""
    for position, args in enumerate(row.args):
        case = Case(args, seed_of(row, position))
        shapes = [d.array.shape for d in case.drawn]
        if not shapes or len(set(shapes)) > 1 or not shapes[0]:
            continue
        inputs = leaves(case, grad=False)
        for x in inputs:
            x.cell.put(x.cell.array[:0])
        for y in case.run(function_of(row), inputs):
            assert tuple(y.shape) == (0, *shapes[0][1:])


def in_place_agrees(row: Row) -> None:
    """`x.name_(...)` is `x.name(...)` in the place of x, with its gradient."""
    method = NAMESPACES["Tensor"][function_of(row).__name__ + "_"]
    for position, case in enumerate(cases(row)):
        if not case.args or not isinstance(case.args[0], Drawn):
            continue
        what = f"{row.name}_, arguments {position}"
        found = []
        for function in (function_of(row), method):
            inputs = leaves(case)
            start = inputs[0]
            copied = start.clone()
            outputs = case.run(function, [copied, *inputs[1:]])
            if outputs[0].shape != copied.shape or outputs[0].dtype is not copied.dtype:
                break
            active = [inputs[i] for i in case.active]
            seeds = directions(outputs, np.random.default_rng(position))
            grads = _pulled(outputs, seeds, active, np.float64) if seeds and active else ()
            found.append([outputs[0].detach(), *grads])
            if function is method:
                assert outputs[0] is copied, f"{what}: did not return its input"
        for y, z in zip(*found) if len(found) == 2 else ():
            if y is not None:
                close(z.cell.array, y.cell.array, 1e-12, what)


# ----- central differences -----


def gradients_agree(row: Row) -> None:
    """Backward is the derivative of forward."""
    for position in range(len(row.args)):
        _settled(row, position, _first_order)


def second_gradients_agree(row: Row) -> None:
    """Backward of backward is the derivative of backward, by inputs and by its gradient."""
    for position in range(len(row.args)):
        _settled(row, position, _second_order)


class Kink(Exception):
    """The sample sits where there is no derivative."""


def _settled(row: Row, position: int, check: Callable[[Row, Case, Any, str], None]) -> None:
    """Run a check on the first sample whose differences settle."""
    for attempt in range(TRIES):
        rng = seed_of(row, position, attempt)
        case = Case(row.args[position], rng)
        if not case.active:
            return
        try:
            return check(row, case, rng, f"{row.name}, arguments {position}")
        except Kink:
            continue
    raise AssertionError(f"{row.name}, arguments {position}: the differences never settled")


def _first_order(row: Row, case: Case, rng: Any, what: str) -> None:
    function, active = function_of(row), case.active
    inputs = leaves(case)
    outputs = case.run(function, inputs)
    seeds = directions(outputs, rng)
    if not seeds:  # an index, a whole number: where PyTorch is installed it is asked as well
        return
    grads = _pulled(outputs, seeds, [inputs[i] for i in active], np.float64)
    arrays = case.arrays()

    def value(moved: list[np.ndarray]) -> float:
        with bl.no_grad():
            ys = case.run(function, [bl.from_numpy(a) for a in moved])
        return sum(float((ys[i].cell.array * v).sum()) for i, v in seeds.items())

    _compare(value, arrays, dict(zip(active, grads)), rng, f"{what}: gradient")


def _second_order(row: Row, case: Case, rng: Any, what: str) -> None:
    function, active = function_of(row), case.active
    outputs = case.run(function, leaves(case))
    seeds = directions(outputs, rng)
    ways = [rng.standard_normal(a.shape) for a in (case.arrays()[i] for i in active)]
    arrays = case.arrays()
    count = len(arrays)
    arrays += [np.asarray(v) for v in seeds.values()]

    def slope(tensors: list[Tensor]) -> Tensor | None:
        """The first derivative along `ways`."""
        ys = case.run(function, tensors[:count])
        gs = bl.autograd.grad([ys[i] for i in seeds], [tensors[i] for i in active],
                              tensors[count:], create_graph=True, allow_unused=True)  # fmt: skip
        terms = [
            (g * bl.from_numpy(np.asarray(w))).sum() for g, w in zip(gs, ways) if g is not None
        ]
        return sum(terms[1:], terms[0]) if terms else None

    variables = [bl.from_numpy(a) for a in arrays]
    moving = [*active, *range(count, len(arrays))]
    for i in moving:
        variables[i].requires_grad_()
    total = slope(variables)
    if total is None:
        return
    grads = bl.autograd.grad(total, [variables[i] for i in moving], allow_unused=True)

    def value(moved: list[np.ndarray]) -> float:
        tensors = [bl.from_numpy(a) for a in moved]
        for i in active:
            tensors[i].requires_grad_()
        found = slope(tensors)
        return found.item() if found is not None else 0.0

    _compare(value, arrays, dict(zip(moving, grads)), rng, f"{what}: second gradient")


def _compare(value: Callable, arrays: list, grads: dict[int, Any], rng: Any, what: str) -> None:
    """The gradient along one random direction for each tensor, against differences."""
    for i, g in grads.items():
        way = rng.standard_normal(arrays[i].shape)
        claimed = 0.0 if g is None else float((g.detach().cell.array * way).sum())

        def difference(h: float, i: int = i, way: np.ndarray = way) -> float:
            ends = []
            for sign in (1, -1):
                moved = list(arrays)
                moved[i] = np.asarray(arrays[i] + sign * h * way)
                ends.append(value(moved))
            return (ends[0] - ends[1]) / (2 * h)

        coarse, fine, finest = (difference(STEP / n) for n in (1, 2, 4))
        one, two = (4 * fine - coarse) / 3, (4 * finest - fine) / 3  # Richardson's extrapolation
        scale = max(1.0, abs(two), 0.0 if g is None else _size(g))
        if not abs(one - two) <= 0.3 * DIFFERENCE_TOLERANCE * scale:
            raise Kink
        assert abs(claimed - two) <= DIFFERENCE_TOLERANCE * scale, (
            f"{what} of tensor {i}: claimed {claimed}, differences say {two}"
        )


def _size(g: Tensor) -> float:
    array = np.abs(g.detach().cell.array)
    return float(array.max()) if array.size else 0.0


# ----- the other readings -----


def refuses(row: Row) -> None:
    """Bad input raises the named error with the words, and changes nothing."""
    for position, (args, error, words) in enumerate(row.bad):
        case = Case(args, seed_of(row, position))
        with pytest.raises(error) as caught:
            case.run(function_of(row), leaves(case))
        assert isinstance(caught.value, BacklitError), f"{row.name}: {caught.value!r} is bare"
        assert words in str(caught.value), f"{row.name}: {caught.value} lacks {words!r}"


def writes_latex(row: Row) -> None:
    """Every operator of the row that runs writes itself as LaTeX."""
    watch = InferWatch()
    with observe(watch):
        case = cases(row)[0]
        case.run(function_of(row), leaves(case))
    for op, inputs, params in watch.applied:
        if op.name in operators_of(row):
            names = [f"x_{i}" if isinstance(x, Tensor) else str(x) for i, x in enumerate(inputs)]
            text = str(op.latex(*names, **params))
            assert text and "object at" not in text, f"{op.name}: no LaTeX: {text!r}"
            assert text.count("{") == text.count("}"), f"{op.name}: unbalanced: {text}"


def readings_agree(op: type[Elementwise], inputs: tuple, params: dict) -> None:
    """A formula means the same on arrays, on Tensors and as the applied operator."""
    arrays = [x.cell.array if isinstance(x, Tensor) else x for x in inputs]
    with np.errstate(all="ignore"):
        closed, used = op.run(list(arrays), params)
        plain = op.formula(fm.NUMPY, *used, **params)
    tolerance = 1e-5 if np.asarray(closed).dtype == np.float32 else 1e-12
    close(plain, closed, tolerance, f"{op.name}: NumPy")
    tensors = [bl.from_numpy(a) if isinstance(a, np.ndarray) else a for a in used]
    opened = op.expand(*tensors, **params)
    made = opened.cell.array if isinstance(opened, Tensor) else opened
    close(made, closed, tolerance, f"{op.name}: expansion")
