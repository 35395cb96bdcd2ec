"""The version, in the place where PyTorch programs look for it."""

__version__ = "0.1.0"
cuda = None  # built without a GPU backend
hip = None
