"""Backends: what runs Programs and operators. `reference` is NumPy, `cpu` is generated code."""
