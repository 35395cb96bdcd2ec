"""Right gradients at ordinary and at awkward places: the doctor must find nothing wrong.

Every case as it is, with other seeds, in float32, on regular grids of numbers, at kinks and ties,
with large and small numbers, with one or two samples. Read next: score.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import planted
from planted.case import Bug, Case, Draw, Inputs, drawn, whole
from planted.score import diagnose


@dataclass
class Healthy:
    """A case that is right, and the inputs it is examined at."""

    case: Case
    what: str
    draw: Draw
    seed: int = 0
    changes: tuple[tuple[str, str], ...] = ()  # to another right variant

    @property
    def id(self) -> str:
        return f"{self.case.name}, {self.what}, seed {self.seed}"


def alarm(instance: Healthy) -> str:
    """What the doctor wrongly says about a right gradient; empty where it says nothing."""
    as_drawn = Bug("kink", (), instance.changes, inputs=instance.draw)
    try:
        found = diagnose(instance.case, as_drawn, instance.seed)
    except (Exception, Warning) as error:
        return f"{instance.id}: refused with {type(error).__name__}: {error}"
    said = f"wrong={found.wrong}, causes={[c.name for c in found.causes[:3]]}"
    return "" if found.ok and not found.wrong else f"{instance.id}: {said}"


def healthy(module: str, seeds: int = 1) -> Iterator[Healthy]:
    """All right gradients of a module."""
    for case in planted.cases(module):
        for seed in range(seeds):
            yield Healthy(case, "as it is", case.draw, seed + 10)
        yield from varied(case)


def varied(case: Case) -> Iterator[Healthy]:
    if case.is_pair:
        yield Healthy(case, "float32", changed(case, to_float32))
        yield Healthy(case, "grid", changed(case, to_grid))
    for b in case.bugs:
        if not b.wrong and not b.either:
            yield Healthy(case, "at a kink", b.inputs or case.draw, 0, b.changes)
    for k, draw in enumerate(PLACES.get(case.name, ())):
        yield Healthy(case, f"place {k}", draw)
    if case.name in ANY_SCALE:
        yield Healthy(case, "times 1e6", changed(case, lambda v: v * 1e6))
        yield Healthy(case, "times 1e-6", changed(case, lambda v: v * 1e-6))


def changed(case: Case, change: Callable[[np.ndarray], np.ndarray]) -> Draw:
    """The same inputs with every array changed that gets a gradient."""

    def again(rng: np.random.Generator) -> Inputs:
        inputs = case.draw(rng)
        claimed = case.claimed(inputs)
        return {
            k: change(v) if k in claimed and isinstance(v, np.ndarray) else v
            for k, v in inputs.items()
        }

    return again


def to_float32(v: np.ndarray) -> np.ndarray:
    return v.astype(np.float32)


def to_grid(v: np.ndarray) -> np.ndarray:
    return np.linspace(0.1, 0.9, v.size).reshape(v.shape)


def at(*values: float) -> Draw:
    return lambda rng: np.array(values)


def zeros(*shape: int) -> Draw:
    return lambda rng: np.zeros(shape)


def ones(*shape: int) -> Draw:
    return lambda rng: np.ones(shape)


def few(n: int, *shape: int) -> Draw:
    """Whole numbers as floats: ties are likely."""
    return lambda rng: rng.integers(-n, n + 1, shape).astype(float)


POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}
PLACES = {
    "affine": [
        drawn(x=(1, 4), w=(4, 4), b=(4,)), drawn(x=(2, 2), w=(2, 2), b=(2,)),
        drawn(x=(1, 1), w=(1, 1), b=(1,)), drawn(x=zeros(3, 3), w=zeros(3, 3), b=zeros(3)),
        drawn(x=few(2, 3, 3), w=few(2, 3, 3), b=few(2, 3)),
    ],
    "dense, samples in columns": [
        drawn(x=(2, 1), w=(2, 2), b=(2,)), drawn(x=ones(3, 3), w=ones(3, 3), b=ones(3)),
    ],
    "relu": [
        drawn(x=zeros(3, 3)), drawn(x=few(1, 4, 5)), drawn(x=at(0.0)), drawn(x=at(1e-9, -1e-9)),
    ],
    "leaky relu": [drawn(x=zeros(4)), drawn(x=few(1, 4, 5))],
    "elu": [drawn(x=few(1, 3, 4))],
    "sigmoid": [drawn(x=zeros(3)), drawn(x=at(30.0, -30.0, 700.0)), drawn(x=(1,))],
    "tanh": [drawn(x=zeros(3)), drawn(x=at(20.0, -20.0))],
    "softplus": [drawn(x=at(0.0, 30.0, -30.0))],
    "clip": [drawn(x=at(-0.5, 0.8, 0.0, 2.0)), drawn(x=few(1, 4, 4))],
    "minimum": [drawn(a=ones(3), b=ones(3)), drawn(a=few(1, 4, 4), b=few(1, 4, 4))],
    "add, max and multiply": [drawn(x=1.0, y=1.0, z=2.0, w=2.0)],
    "huber": [drawn(y=at(1.0, 0.0, -3.0), t=at(0.0, 1.0, 0.5)), drawn(y=zeros(3), t=zeros(3))],
    "elastic net of a residual": [drawn(x=at(1.0, 0.0, 2.0), t=at(1.0, 0.5, 2.0))],
    "lasso": [drawn(X=(6, 4), t=(6,), w=at(0.0, 1.0, 0.0, -1.0), b=0.0)],
    "binary cross-entropy of logits": [
        drawn(z=zeros(2, 3), t=few(0, 2, 3)), drawn(z=at(40.0, -40.0, 0.0), t=at(1, 0, 1)),
    ],
    "mean squared error over all": [
        drawn(pred=(2, 2), target=(2, 2)), drawn(pred=(1,), target=(1,)),
        drawn(pred=zeros(3), target=zeros(3)),
    ],
    "svm loss": [
        drawn(x=zeros(3, 3), y=whole(3, 3)), drawn(x=few(1, 4, 3), y=whole(3, 4)),
        drawn(x=(1, 3), y=whole(3, 1)), drawn(x=lambda rng: np.eye(3), y=at(0, 1, 2)),
    ],
    "svm loss with loops": [drawn(W=zeros(3, 3), X=(4, 3), y=whole(3, 4))],
    "softmax": [drawn(x=(1, 3)), drawn(x=(2, 2)), drawn(x=zeros(3, 3)), drawn(x=few(2, 3, 3))],
    "log-softmax": [drawn(x=zeros(2, 3)), drawn(x=(1, 2))],
    "softmax loss": [
        drawn(x=(1, 2), y=whole(2, 1)), drawn(x=(2, 2), y=whole(2, 2)),
        drawn(x=zeros(4, 3), y=whole(3, 4)), drawn(x=few(3, 4, 4), y=whole(4, 4)),
    ],
    "two-layer net with L2": [
        drawn(X=(1, 2), y=whole(2, 1), W1=(2, 2), b1=(2,), W2=(2, 2), b2=(2,)),
        drawn(X=(4, 4), y=whole(4, 4), W1=zeros(4, 4), b1=zeros(4), W2=(4, 4), b2=(4,)),
    ],
    "batch normalization, staged": [
        drawn(x=(2, 2), gamma=(2,), beta=(2,)), drawn(x=(4, 4), gamma=ones(4), beta=zeros(4)),
    ],
    "batch normalization, closed form": [
        drawn(x=(2, 3), gamma=(3,), beta=(3,)), drawn(x=few(2, 6, 3), gamma=ones(3), beta=zeros(3)),
    ],
    "layer normalization": [
        drawn(x=(1, 4), gamma=(4,), beta=(4,)), drawn(x=(4, 4), gamma=ones(4), beta=zeros(4)),
    ],
    "max pooling with loops": [
        drawn(x=zeros(1, 1, 4, 4), pool_param=POOL), drawn(x=few(1, 2, 1, 4, 4), pool_param=POOL),
        drawn(x=ones(1, 2, 2, 2), pool_param=POOL),
    ],
    "largest of each row": [drawn(x=zeros(3, 3)), drawn(x=few(1, 4, 4)), drawn(x=(1, 1))],
    "maximum at a tie": [drawn(x=zeros(4)), drawn(x=few(1, 6))],
    "dropout": [drawn(x=(1, 1)), drawn(x=ones(4, 4)), drawn(x=zeros(3, 3))],
    "embedding": [drawn(x=at(0, 0, 0), W=(2, 2)), drawn(x=whole(3, 1), W=(3, 3))],
    "W times X": [
        drawn(W=(1, 1), X=(1, 1)), drawn(W=(2, 2), X=(2, 2)), drawn(W=ones(3, 3), X=ones(3, 3)),
    ],
    "gram matrix": [drawn(x=lambda rng: np.eye(3)), drawn(x=(1, 3))],
    "distances of all pairs": [drawn(x=zeros(2, 2), y=zeros(2, 2)), drawn(x=(1, 2), y=(1, 2))],
    "running sum": [drawn(x=(1, 1)), drawn(x=ones(3, 3))],
    "rnn step": [
        drawn(x=(1, 2), prev_h=(1, 2), Wx=(2, 2), Wh=(2, 2), b=(2,)),
        drawn(x=(3, 3), prev_h=zeros(3, 3), Wx=(3, 3), Wh=(3, 3), b=zeros(3)),
    ],
    "attention": [drawn(q=(1, 2), k=(1, 2), v=(1, 2)), drawn(q=zeros(3, 3), k=(3, 3), v=(3, 3))],
    "product of a sum": [drawn(x=0.0, y=0.0, z=0.0), drawn(x=1.0, y=1.0, z=1.0)],
    "multiply": [drawn(a=zeros(3), b=ones(3)), drawn(a=(1,), b=(1,))],
}  # fmt: skip
ANY_SCALE = (
    "affine", "dense, samples in columns", "relu", "leaky relu", "W times X", "add a row",
    "multiply by a column", "multiply", "dot product", "outer product", "gather and square",
    "mean squared error over all", "embedding", "running sum", "differences", "concatenation",
    "max pooling with loops", "average pooling", "convolution of a row", "temporal affine",
    "variance of each column", "distances of all pairs", "largest of each row", "moving average",
    "minimum", "huber", "vector of length one", "cosine similarity", "divide", "residual",
)  # fmt: skip
