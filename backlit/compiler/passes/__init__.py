"""One pass a file; pipeline.py puts them in order."""
