"""Batch normalization and its gradient, on arrays and in plans."""
