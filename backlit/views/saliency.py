"""Which parts of an input the answer depends on: the gradient of a score by the input.

Simonyan et al. (2013), "Deep inside convolutional networks". The model runs once in evaluation
mode and is left as it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import figures
from backlit.autograd.engine import grad
from backlit.autograd.modes import enable_grad
from backlit.errors import ArgumentError, ArgumentTypeError, IndexOutOfRange
from backlit.random import default_generator
from backlit.tensor import Tensor, wrap
from backlit.views import charts

MOST = 8  # samples in the picture


@dataclass(frozen=True, eq=False)
class Saliency:
    """`gradient` of the shape of the input; `target` and `score` have one entry per sample.

    `.heat` is what the picture shows: sizes of the gradient, the largest over the channels, for
    images (N, H, W); the gradient itself for tables (N, features) and sequences (N, T, features).
    """

    input: np.ndarray
    gradient: np.ndarray
    target: np.ndarray
    score: np.ndarray

    @property
    def images(self) -> bool:
        return self.input.ndim > 3

    @property
    def heat(self) -> np.ndarray:
        if not self.images:
            return self.gradient
        axes = tuple(range(1, self.gradient.ndim - 2))
        return np.abs(self.gradient).max(axes)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        lines = [f"gradients of {len(self.score)} scores by an input of shape {self.input.shape}"]
        for i, (t, s) in enumerate(zip(self.target[:MOST], self.score[:MOST])):
            size = float(np.linalg.norm(self.gradient[i]))
            place = np.unravel_index(np.abs(self.gradient[i]).argmax(), self.gradient[i].shape)
            at = ", ".join(map(str, place))
            lines.append(
                f"sample {i}: class {t}, score {s:.5g}, norm {size:.5g}, largest at [{at}]"
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_png_(self) -> bytes:
        return figures.png(self._figure())

    def png(self, path: str | os.PathLike[str]) -> None:
        """Write the picture."""
        figures.write_png(self._figure(), path)

    def _figure(self) -> Any:
        if self.gradient.ndim == 2:
            return self._strip()
        rows = [_beside(self._parts(), self.images)]
        if self.images:
            rows.insert(0, np.concatenate([_picture(x) for x in self.input[:MOST]], 1))
        high, wide = rows[-1].shape[:2]
        size = min(10.0, 1.3 * len(self.score[:MOST]) + 1.0)
        made = figures.new_figure(size, len(rows) * max(1.0, size * high / wide) + 0.4)
        for number, shown in enumerate(rows, 1):
            panel = charts.axes(made, (len(rows), 1, number), "" if number > 1 else self._title())
            if number == len(rows):
                charts.heat(panel, shown, signed=not self.images)
                self._name_samples(panel, wide)
                if not self.images:
                    panel.set_ylabel("feature", fontsize=8)
                    panel.set_xlabel("time, sample after sample", fontsize=8)
            else:
                panel.imshow(shown, cmap="gray", aspect="auto")
                panel.set_xticks([])
            panel.set_yticks([])
        return made

    def _parts(self) -> list[np.ndarray]:
        """The heat of each sample, at most 1."""
        tops = [float(np.abs(h).max(initial=0.0)) or 1.0 for h in self.heat[:MOST]]
        return [h / top for h, top in zip(self.heat[:MOST], tops)]

    def _title(self) -> str:
        return "input, and how much the score depends on it" if self.images else "gradients"

    def _name_samples(self, panel: Any, wide: int) -> None:
        count = min(MOST, len(self.score))
        width = wide / count
        panel.set_xticks([width * (i + 0.5) - 0.5 for i in range(count)])
        panel.set_xticklabels([f"class {t}" for t in self.target[:MOST]], fontsize=8)

    def _strip(self) -> Any:
        made = figures.new_figure(5.0, 0.8 + 0.3 * min(MOST, len(self.score)))
        panel = charts.axes(made, title="gradient of the score by each feature")
        charts.heat(panel, self.heat[:MOST])
        panel.set_xlabel("feature", fontsize=8)
        panel.set_ylabel("sample", fontsize=8)
        for axis in (panel.xaxis, panel.yaxis):
            axis.get_major_locator().set_params(integer=True)
        return made


def saliency(model: Callable[..., Any], x: Tensor, target: Any = None) -> Saliency:
    """The gradient of each sample's score by the input `x`, as a picture.

    `model` maps (N, ...) to scores (N, classes), (N, classes, H, W) (maps are summed) or (N,).
    `target` is a class, or one per sample; by default the class of the largest score. Raises
    ArgumentTypeError for an input that is not floating: there is no gradient by whole numbers.

    >>> model = nn.Linear(2, 3, bias=False)
    >>> seen = bl.see.saliency(model, bl.ones(1, 2), target=1)
    >>> bool((seen.gradient[0] == model.weight.detach().numpy()[1]).all())
    True
    """
    if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
        kind = x.dtype.name if isinstance(x, Tensor) else type(x).__name__
        raise ArgumentTypeError(
            f"saliency: expected a floating tensor, got {kind}",
            hint="give images as floats; for tokens, the embedded sequence",
        )
    if x.ndim < 2 or not x.numel():
        raise ArgumentError(f"saliency: expected a batch (N, ...), got shape {tuple(x.shape)}")
    leaf = wrap(x.cell.array).requires_grad_()
    with enable_grad():
        scores, chosen = _scores(_evaluated(model, leaf), target, len(x))
        (found,) = grad(scores.sum(), leaf, allow_unused=True)  # type: ignore[attr-defined]
    if found is None:
        raise ArgumentError("saliency: the scores do not depend on the input")
    return Saliency(x.detach().numpy(), found.numpy(), chosen, scores.detach().numpy())


def _evaluated(model: Callable[..., Any], x: Tensor) -> Tensor:
    """The output in evaluation mode, with a graph; modes and random numbers are put back."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    modes, generator = [m.training for m in modules], default_generator.get_state()
    for m in modules:
        m.training = False
    try:
        out = model(x)
    finally:
        default_generator.set_state(generator)
        for m, mode in zip(modules, modes):
            m.training = mode
    if not isinstance(out, Tensor):
        raise ArgumentTypeError(f"saliency: the model returned a {type(out).__name__}, no tensor")
    return out


def _scores(out: Tensor, target: Any, count: int) -> tuple[Tensor, np.ndarray]:
    """One score per sample and the class that it is of."""
    if out.ndim == 0 or out.shape[0] != count:
        raise ArgumentError(f"saliency: output of shape {tuple(out.shape)} for {count} samples")
    if not out.requires_grad:
        raise ArgumentError("saliency: the scores do not depend on the input")
    by_class = out.reshape((count, 1)) if out.ndim == 1 else out  # type: ignore[attr-defined]
    if by_class.ndim > 2:
        by_class = by_class.sum(tuple(range(2, by_class.ndim)))
    values = by_class.cell.array
    if target is None:
        chosen = values.argmax(1)
    else:
        given = target.numpy() if isinstance(target, Tensor) else np.asarray(target)
        chosen = np.broadcast_to(given, (count,)) if given.ndim < 1 else given
    if chosen.shape != (count,) or chosen.dtype.kind not in "iu":
        raise ArgumentError(f"saliency: target must be one class, or {count}, got {target!r}")
    if chosen.min() < 0 or chosen.max() >= values.shape[1]:
        raise IndexOutOfRange(f"saliency: target {target!r} for {values.shape[1]} classes")
    return by_class[wrap(np.arange(count)), wrap(chosen.astype(np.int64))], chosen


def _beside(parts: list[np.ndarray], images: bool) -> np.ndarray:
    """Samples from left to right; sequences with time from left to right too."""
    return np.concatenate(parts if images else [p.T for p in parts], 1)


def _picture(image: np.ndarray) -> np.ndarray:
    """(C, ..., H, W) of any scale as (H, W) or (H, W, 3) between 0 and 1."""
    while image.ndim > 3:
        image = image[:, 0]
    shown = image.transpose(1, 2, 0) if len(image) == 3 else image.mean(0)
    low, high = float(shown.min()), float(shown.max())
    return (shown - low) / (high - low) if high > low else np.zeros_like(shown)
