"""What each ONNX operator means, by family: importing this fills the table."""

from backlit.onnx.loading.operators import (
    activations,
    attributes,
    control,
    convolution,
    elementwise,
    images,
    indexing,
    normalization,
    pooling,
    quantization,
    random,
    recurrent,
    reductions,
    scattering,
    sequences,
    shapes,
)

__all__ = [
    "activations",
    "attributes",
    "control",
    "convolution",
    "elementwise",
    "images",
    "indexing",
    "normalization",
    "pooling",
    "quantization",
    "random",
    "recurrent",
    "reductions",
    "scattering",
    "sequences",
    "shapes",
]
