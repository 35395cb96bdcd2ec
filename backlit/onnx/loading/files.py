"""Bytes to an ONNX model and its tensors; everything that may be wrong with a file.

Weights that lie beside the model are read from its own folder only. Nothing in a file is run.
Must not know what operators mean. Read next: checks.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DataError, NotAvailable
from backlit.onnx.loading.table import dtype_of

Source = str | os.PathLike[str] | bytes | IO[bytes] | Any  # a ModelProto, or an export


def onnx_package() -> Any:
    """The `onnx` package, which knows the format."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        raise NotAvailable(
            "onnx.load: the package onnx is missing", hint="pip install 'backlit[onnx]'"
        ) from None
    return onnx


def read_model(source: Source) -> Any:
    """A ModelProto whose tensors are all in memory. Raises DataError where a file is damaged."""
    onnx = onnx_package()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    source = getattr(source, "model_proto", source)  # of an export
    model = onnx.ModelProto()
    if isinstance(source, onnx.ModelProto):
        model.CopyFrom(source)
        name, folder = "the model", None
    else:
        content, name, folder = _read(source)
        try:
            model.ParseFromString(content)
        except DecodeError as error:
            raise DataError(f"onnx.load: {name} is not an ONNX file, or is cut short") from error
    _check_text(model, name)
    if not model.HasField("graph") or not model.opset_import:
        raise DataError(f"onnx.load: {name} holds no ONNX graph")
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _bring(tensor, folder, name)
    return model


def _read(source: Source) -> tuple[bytes, str, Path | None]:
    """Content, a name for messages, and the folder in which further files may lie."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), "the bytes", None
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            raise ArgumentError(f"onnx.load: {path} is a folder, not a file")
        return path.read_bytes(), str(path), path.parent
    if hasattr(source, "read"):
        return source.read(), str(getattr(source, "name", "the file")), None
    raise ArgumentError(
        f"onnx.load: expected a path, a file, bytes or a ModelProto, got {source!r}"
    )


def _check_text(message: Any, name: str) -> None:
    """Every name is text; protobuf itself lets damaged ones pass as bytes."""
    from google.protobuf.message import Message

    fields = message.ListFields() if message.DESCRIPTOR.name != "TensorProto" else ()
    for part, value in fields:  # a tensor's fields would copy its data
        if part.type not in (part.TYPE_STRING, part.TYPE_MESSAGE):
            continue
        for inner in [value] if isinstance(value, str | bytes | Message) else value:
            if isinstance(inner, bytes):
                raise DataError(f"onnx.load: {name} is damaged: {inner!r} is not text")
            if isinstance(inner, Message):
                _check_text(inner, name)
    if not fields and not isinstance(getattr(message, "name", ""), str):
        raise DataError(f"onnx.load: {name} is damaged: {message.name!r} is not text")


def _tensors(model: Any) -> Any:
    """Every tensor of a model: initializers and attributes, also in graphs within nodes."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: Any) -> Any:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: Any) -> Any:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _graph_tensors(graph)


def _bring(tensor: Any, folder: Path | None, name: str) -> None:
    """Read a tensor's bytes from the file that it names."""
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    what = f"onnx.load: tensor '{tensor.name}'"
    if folder is None:
        raise DataError(
            f"{what} lies in the file '{location}'; {name} has no folder", hint="load by path"
        )
    path = _inside(folder, location, what)
    size = path.stat().st_size
    try:
        start = int(entries.get("offset", 0))
        length = int(entries.get("length", size - start))
    except ValueError:
        raise DataError(f"{what}: offset or length is no number") from None
    if start < 0 or length < 0 or start + length > size:
        raise DataError(
            f"{what}: bytes {start} to {start + length} of '{location}', which has {size}",
            hint="the file is cut short or belongs to another model",
        )
    with open(path, "rb") as file:
        file.seek(start)
        tensor.raw_data = file.read(length)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")


def _inside(folder: Path, location: str, what: str) -> Path:
    """The path of a file within the model's folder; refuses what leads out of it."""
    home = folder.resolve()
    path = (home / location).resolve()
    if not location or "\\" in location or not path.is_relative_to(home) or path == home:
        raise DataError(
            f"{what}: '{location}' is not within the model's folder",
            hint="weights are read from the folder of the model only",
        )
    if not path.is_file():
        raise DataError(f"{what}: there is no file '{location}' beside the model")
    return path


def to_array(tensor: Any, what: str) -> np.ndarray:
    """The values of a TensorProto; refuses what Backlit has no dtype for."""
    wanted = dtype_of(tensor.data_type, what)
    try:
        found = onnx_package().numpy_helper.to_array(tensor)
    except (ValueError, TypeError, RuntimeError) as error:
        shape = tuple(tensor.dims)
        raise DataError(f"{what}: its data does not fill shape {shape}: {error}") from error
    return np.array(found, wanted.numpy, copy=True, order="C")


def is_float(array: np.ndarray) -> bool:
    """Whether gradients can flow to values of this kind."""
    return dt.of_array(array).is_floating_point
