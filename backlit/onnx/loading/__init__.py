"""How an ONNX file becomes a module.

`files` reads it, `checks` refuses, `build` makes a graph of it, `graph` runs, `module` holds the
parameters; `table` and `operators/` say what each operator means, `standard` where they do not.
"""
