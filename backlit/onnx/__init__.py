"""Networks as ONNX files: `export` writes one, `load` reads one. See docs/design/onnx_*.md."""

from backlit.onnx.exporting.export import export as export
from backlit.onnx.exporting.written import ONNXProgram as ONNXProgram
from backlit.onnx.loading.load import load as load
