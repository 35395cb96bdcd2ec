"""A computation as a plain Python file that needs only NumPy: `bl.see.source`."""

from backlit.views.source.source import Source as Source, source as source
