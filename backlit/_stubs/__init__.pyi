"""Type stubs of the operators; see tools/stubs.py."""
