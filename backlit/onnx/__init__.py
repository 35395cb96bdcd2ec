"""Networks as ONNX files: `export` writes one, `load` reads one. See docs/design/onnx.md."""
