"""Reading and writing by index tensors, and what only moves elements."""
