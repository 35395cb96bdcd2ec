"""What is refused before anything is built: cycles, names that nothing makes, wrong types.

Each error names the node and the value. The rules of form (attributes, types of operands) are
those of the `onnx` package's own checker, asked last. Read next: build.py.
"""

from __future__ import annotations

from typing import Any

from backlit.errors import DataError, DTypeError, NotAvailable

OLDEST = 7  # before it, broadcasting was an attribute of every operator
UNCONVERTED = {"PRelu"}  # whose slopes were one per channel, which no shape tells
LARGEST = 2**31 - 1  # bytes that a protobuf message can have


def check_structure(model: Any) -> None:
    """Raise for a cycle, a value that nothing makes, a function that calls itself."""
    _check_functions(model)
    check_names(model.graph, set())


def modern(model: Any) -> Any:
    """The model under an opset that the table knows; older ones are converted by `onnx`."""
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    version = max((o.version for o in model.opset_import if not domain_of(o)), default=newest)
    if version > newest:
        raise NotAvailable(
            f"onnx.load: opset {version}; the installed onnx knows opsets to {newest}",
            hint="a newer onnx package may know it: pip install -U onnx",
        )
    return model if version >= OLDEST else _converted(model, version)


def _converted(model: Any, version: int) -> Any:
    """An old model under opset 7, or a refusal naming what can't be converted."""
    from onnx.version_converter import ConvertError, convert_version

    for node in model.graph.node:
        if node.op_type in UNCONVERTED:
            raise NotAvailable(
                f"onnx.load: {title(node)} of opset {version} means something else since opset "
                f"{OLDEST}",
                hint="export again under a newer opset",
            )
    try:
        return convert_version(model, OLDEST)
    except (ConvertError, RuntimeError) as error:
        raise NotAvailable(
            f"onnx.load: opset {version} can't be converted to {OLDEST}: {_first_line(error)}",
            hint="export again under a newer opset",
        ) from error


def check_names(graph: Any, outer: set[str]) -> None:
    """Every value is made once, and before it is read."""
    seen = set(outer)
    for value in (*graph.input, *graph.initializer):
        seen.add(value.name)
    seen |= {s.values.name for s in graph.sparse_initializer}
    _check_nodes(graph.node, seen, f"graph '{graph.name}'")
    for value in graph.output:
        if value.name not in seen:
            raise DataError(f"onnx.load: output '{value.name}': nothing makes it")


def _check_nodes(nodes: Any, seen: set[str], where: str) -> None:
    for node in nodes:
        for name in node.input:
            if name and name not in seen:
                raise _missing(nodes, node, name, where)
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                check_names(graph, seen)
        for name in filter(None, node.output):
            if name in seen:
                raise DataError(f"onnx.load: {title(node)}: value '{name}' is made twice")
            seen.add(name)


def _missing(nodes: Any, node: Any, name: str, where: str) -> DataError:
    """Why a value is not there: a cycle, a wrong order, or nobody makes it."""
    makers = {out: n for n in nodes for out in n.output if out}
    cycle = _cycle(makers, name)
    if cycle:
        return DataError(
            f"onnx.load: {where} has a cycle: " + " -> ".join(cycle),
            hint="a network is an acyclic graph; loops are Loop and Scan nodes",
        )
    if name in makers:
        return DataError(
            f"onnx.load: {title(node)} reads '{name}' before {title(makers[name])} makes it",
            hint="sort the nodes topologically",
        )
    return DataError(f"onnx.load: {title(node)} reads '{name}', which nothing makes")


def _cycle(makers: dict[str, Any], start: str) -> list[str]:
    """The values of a cycle that can be reached from `start` against the arrows, or none."""
    path: list[str] = []
    finished: set[str] = set()
    pending = [(start, False)]
    while pending:
        name, leaving = pending.pop()
        if leaving:
            finished.add(path.pop())
            continue
        if name in path:
            return [*reversed(path[path.index(name) :]), path[-1]]
        if name in finished or name not in makers:
            continue
        path.append(name)
        pending.append((name, True))
        pending += [(read, False) for read in makers[name].input if read]
    return []


def _check_functions(model: Any) -> None:
    """Functions of the file are acyclic too, and none calls itself."""
    calls: dict[tuple, Any] = {key_of(f): f for f in model.functions}
    for function in model.functions:
        seen = {*function.input}
        _check_nodes(function.node, seen, f"function '{function.name}'")
    for key in calls:
        pending, met = [key], set()
        while pending:
            for node in calls[pending.pop()].node:
                called = (node.domain, node.op_type, getattr(node, "overload", ""))
                if called == key:
                    raise DataError(f"onnx.load: function '{key[1]}' calls itself")
                if called in calls and called not in met:
                    met.add(called)
                    pending.append(called)


def check_form(model: Any) -> None:
    """What the standard's own checker finds: attributes, numbers of operands, element types."""
    import onnx
    import onnx.shape_inference

    if model.ByteSize() > LARGEST:
        return
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True)
        onnx.checker.check_model(inferred)  # which asks for shapes that a file may leave out
    except onnx.shape_inference.InferenceError as error:
        raise DTypeError(f"onnx.load: {_first_line(error)}") from error
    except (onnx.checker.ValidationError, ValueError) as error:
        raise DataError(f"onnx.load: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def key_of(function: Any) -> tuple[str, str, str]:
    """What a node says to call a function of the file."""
    return function.domain, function.name, getattr(function, "overload", "")


def domain_of(proto: Any) -> str:
    """The domain of a node or an opset; the standard's own is empty."""
    return "" if proto.domain == "ai.onnx" else proto.domain


def title(node: Any) -> str:
    """A node in messages: `node 'conv1' (Conv)`."""
    shown = node.name or next(filter(None, node.output), "")
    return f"node '{shown}' ({node.op_type})"
