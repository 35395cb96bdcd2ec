"""Networks as ONNX files: `export` writes one, `load` reads one. See docs/design/onnx.md."""

from backlit.onnx.exporting.export import export as export
