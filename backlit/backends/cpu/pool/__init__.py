"""Maximum and average pooling and their gradients, on arrays and in plans."""
