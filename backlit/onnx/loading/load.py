"""`bl.onnx.load`: an ONNX file as a module that runs, trains, compiles and can be seen.

Only puts together what `loading/` has. See docs/design/onnx_import.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backlit.onnx.loading.files import Source
    from backlit.onnx.loading.module import GraphModule


def load(f: Source) -> GraphModule:
    """A network from an ONNX file: a path, an open file, bytes, a ModelProto, or an export.

    Floating point initializers become parameters under their names; BatchNormalization's
    statistics become buffers. Raises DataError for damaged files, cycles and values that nothing
    makes, NotAvailable for operators that Backlit has not. Needs `pip install backlit[onnx]`.

    >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    >>> x = bl.randn(1, 3)
    >>> bl.allclose(bl.onnx.load(bl.onnx.export(net, x))(x), net(x))
    True
    """
    from backlit.onnx.loading.build import Builder, functions_of
    from backlit.onnx.loading.checks import check_form, check_structure, modern
    from backlit.onnx.loading.files import read_model
    from backlit.onnx.loading.module import GraphModule, check_inputs

    model = modern(read_model(f))
    check_structure(model)
    own = model.producer_name == "backlit"  # whose constants have a / in their names
    fixed = (lambda name: "/" in name) if own else (lambda name: False)
    builder = Builder(model.opset_import, functions_of(model), fixed)
    graph = builder.graph(model.graph, {})
    check_form(model)  # last: it knows less of names
    types = {i.name: i.type for i in model.graph.input}
    check_inputs(graph, types)
    return GraphModule(graph, builder.weights, types)
