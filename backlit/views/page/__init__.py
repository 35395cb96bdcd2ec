"""The page: a snapshot as one HTML file that needs no server and no network.

html.py puts the file together; page.js, page.css and layout.js are built from web/ (see
docs/design/page.md) and are data here. Must not know what a Node is: it reads snapshots only.
"""

from backlit.views.page.html import render

__all__ = ["render"]
