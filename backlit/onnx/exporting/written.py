"""What an export gives back: the model as ONNX's message, to be saved, looked at or run.

The name and the methods are PyTorch's. Read next: proto.py (how the message is made).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backlit import tree
from backlit.errors import ArgumentTypeError
from backlit.files import atomic_write
from backlit.onnx.exporting import proto
from backlit.onnx.exporting.running import run
from backlit.tensor import Tensor, wrap

LARGEST = 2**31 - 2**20  # bytes that one protocol buffer holds
SMALLEST_APART = 1024  # bytes from which an array lies in the file beside


class ONNXProgram:
    """An exported model: `model_proto` is the onnx package's message.

    >>> made = bl.onnx.export(nn.Linear(3, 2), bl.zeros(1, 3))
    >>> made
    <ONNXProgram: 1 nodes, 2 arrays, opset 20>
    >>> made(bl.zeros(1, 3))[0].shape
    backlit.Size([1, 2])
    """

    def __init__(self, model_proto: Any) -> None:
        self.model_proto = model_proto

    def __repr__(self) -> str:
        graph, opset = self.model_proto.graph, self.model_proto.opset_import[0].version
        counts = f"{len(graph.node)} nodes, {len(graph.initializer)} arrays"
        return f"<ONNXProgram: {counts}, opset {opset}>"

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        """The outputs for tensors in the order of the inputs, by onnxruntime.

        >>> bl.onnx.export(nn.ReLU(), bl.zeros(2))(bl.tensor([-1.0, 2.0]))
        (tensor([0., 2.]),)
        """
        given = [t.detach().cell.array for t in tree.leaves((args, kwargs))]
        return tuple(map(wrap, run(self.model_proto, given)))

    def save(self, destination: Any, *, external_data: bool = False) -> None:
        """Write to a path or into an open binary file.

        With `external_data`, and from 2 GiB on, arrays lie in a file of their own beside it.

        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "relu.onnx"
        >>> bl.onnx.export(nn.ReLU(), bl.zeros(2)).save(path)
        >>> bl.onnx.load(path)(bl.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        """
        if hasattr(destination, "write"):
            destination.write(self.model_proto.SerializeToString())
            return
        if not isinstance(destination, (str, os.PathLike)):
            kind = type(destination).__name__
            raise ArgumentTypeError(f"onnx.export: expected a path or a file, got {kind}")
        path, made = Path(destination), self.model_proto
        if external_data or made.ByteSize() > LARGEST:
            made = type(made).FromString(made.SerializeToString()) if external_data else made
            _move_arrays(made, path.with_name(path.name + ".data"))
        with atomic_write(path) as file:
            file.write(made.SerializeToString())


def _move_arrays(made: Any, path: Path) -> None:
    """The arrays of a model into a file of their own, one after another."""
    helper = proto.package().external_data_helper
    offset = 0
    with atomic_write(path) as file:
        for tensor in made.graph.initializer:
            raw = tensor.raw_data
            if len(raw) < SMALLEST_APART:
                continue
            helper.set_external_data(tensor, path.name, offset, len(raw))
            tensor.ClearField("raw_data")
            tensor.data_location = proto.package().TensorProto.EXTERNAL
            file.write(raw)
            offset += len(raw)
