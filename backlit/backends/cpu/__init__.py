"""Native CPU kernels, generated with LLVM at run time; they know NumPy arrays and no Tensor."""
