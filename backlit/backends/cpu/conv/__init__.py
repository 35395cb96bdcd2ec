"""Convolution and its gradients, on arrays and in plans, alone or with a normalization."""
