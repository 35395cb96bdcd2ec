"""How an ONNX file becomes a module: `files` reads it, `checks` refuses, `graph` runs, `module`
holds the parameters, `table` and `operators/` say what each operator means."""
