"""What convolutions and pools share: kernel, strides, dilations, and the padding that follows."""

from __future__ import annotations

from dataclasses import dataclass

from backlit.errors import ArgumentError, ShapeError
from backlit.onnx.loading.table import Node


@dataclass(frozen=True)
class Window:
    """A window over the spatial axes; `before` and `after` are pads, one per axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def even(self) -> bool:
        """Whether both ends are padded alike."""
        return self.before == self.after

    @property
    def extents(self) -> tuple[int, ...]:
        """How far a window reaches."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations))

    def widths(self) -> list[int]:
        """The pads in the order of `F.pad`: last axis first."""
        pairs = reversed(list(zip(self.before, self.after)))
        return [width for pair in pairs for width in pair]


def window_of(node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """The window that a node's attributes describe, over axes of these sizes."""
    rank = len(sizes)
    if rank not in (1, 2, 3):
        raise node.unsupported(f"{rank} spatial axes", "1, 2 or 3 are supported")
    strides = tuple(node.get("strides", [1] * rank))
    dilations = tuple(node.get("dilations", [1] * rank))
    pads = list(node.get("pads", [0] * 2 * rank))
    if not len(kernel) == len(strides) == len(dilations) == len(pads) // 2 == rank:
        raise ShapeError(f"{node.op}: kernel {kernel}, strides {strides}, dilations {dilations}"
                         f" and pads {pads} for {rank} spatial axes")  # fmt: skip
    plain = Window(kernel, strides, dilations, tuple(pads[:rank]), tuple(pads[rank:]))
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return _same(plain, sizes, auto == "SAME_UPPER")
    if auto == "VALID":
        return Window(kernel, strides, dilations, (0,) * rank, (0,) * rank)
    if auto not in ("NOTSET", ""):
        raise ArgumentError(f"{node.op}: unknown auto_pad '{auto}'")
    return plain


def _same(window: Window, sizes: tuple[int, ...], upper: bool) -> Window:
    """Padded so that the output has ceil(size / stride) elements."""
    before, after = [], []
    for size, stride, extent in zip(sizes, window.strides, window.extents):
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        less, more = total // 2, total - total // 2
        before.append(less if upper else more)
        after.append(more if upper else less)
    return Window(window.kernel, window.strides, window.dilations, tuple(before), tuple(after))


def outputs(window: Window, sizes: tuple[int, ...], ceil: bool) -> tuple[int, ...]:
    """How many windows fit; with `ceil` one more that begins within the padded input."""
    counts = []
    for i, size in enumerate(sizes):
        room = size + window.before[i] + window.after[i] - window.extents[i]
        stride = window.strides[i]
        count = room // stride + 1
        if ceil and room % stride and count * stride < size + window.before[i]:
            count += 1
        counts.append(count)
    return tuple(counts)


def stretched(window: Window, sizes: tuple[int, ...], counts: tuple[int, ...]) -> Window:
    """The window with as much padding at the end as that many outputs need, and no more."""
    after = []
    for i, size in enumerate(sizes):
        reach = (counts[i] - 1) * window.strides[i] + window.extents[i]
        after.append(reach - size - window.before[i])
    return Window(window.kernel, window.strides, window.dilations, window.before, tuple(after))
