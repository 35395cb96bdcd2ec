"""Recurrent layers: products around a walk through time."""
