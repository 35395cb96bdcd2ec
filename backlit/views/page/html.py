"""One self-contained HTML file from a snapshot.

The file holds its program, its styles and the snapshot, and a policy that lets nothing else run
and nothing be fetched: scripts and styles are allowed by their hashes. The snapshot is data, in a
block that no browser executes. Must not know how anything is drawn: that is web/'s.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
from base64 import b64encode
from functools import cache
from importlib.resources import files
from typing import Any

from backlit.errors import ArgumentError

FORMAT, VERSION = "backlit.snapshot", 1
LANGUAGES = ("en", "zh")

PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="page"><noscript>{title}: {needs}</noscript></div>
<script type="application/json" id="snapshot">{data}</script>
<script type="text/plain" id="layout-engine">{engine}</script>
<script>{program}</script>
</body>
</html>
"""
NEEDS = {
    "en": "this circuit is drawn by a script inside this file; please allow scripts.",
    "zh": "此计算图由文件内的脚本绘制，请允许运行脚本。",
}


def render(snapshot: dict[str, Any], language: str = "en") -> str:
    """The page of a snapshot as one HTML text, in English (`"en"`) or Chinese (`"zh"`).

    Raises ArgumentError for another format, a newer version, or another language.

    >>> gates = {"wires": [], "gates": [], "groups": []}
    >>> page = bl.views.page.render({"format": "backlit.snapshot", "version": 1,
    ...                              "title": "f < 0", "circuit": gates, "loss": ""})
    >>> "<title>f &lt; 0</title>" in page
    True
    """
    _accept(snapshot, language)
    return PAGE.format(
        language=language,
        policy=_policy(),
        title=html.escape(str(snapshot["title"])),
        needs=NEEDS[language],
        style=_asset("page.css"),
        data=_data(snapshot),
        engine=_packed("layout.js"),
        program=_asset("page.js"),
    )


def _accept(snapshot: dict[str, Any], language: str) -> None:
    if snapshot.get("format") != FORMAT:
        raise ArgumentError(
            f"page: not a snapshot: format is {snapshot.get('format')!r}",
            hint=f"snapshots have the format {FORMAT!r}",
        )
    version = snapshot.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ArgumentError(
            f"page: snapshot version {version!r}, this Backlit reads up to {VERSION}",
            hint="open it with the Backlit that wrote it, or a newer one",
        )
    if language not in LANGUAGES:
        raise ArgumentError(
            f"page: no language {language!r}", hint=f"there is {' and '.join(map(repr, LANGUAGES))}"
        )


@cache
def _asset(name: str) -> str:
    text = files("backlit.views.page").joinpath(name).read_text(encoding="utf-8")
    assert "</script" not in text and "<!--" not in text and "</style" not in text
    return text


@cache
def _packed(name: str) -> str:
    """A large text, compressed: two thirds of the file would be the layout engine."""
    return b64encode(gzip.compress(_asset(name).encode(), mtime=0)).decode()


@cache
def _policy() -> str:
    """Nothing is fetched, and only the scripts and styles of this file run."""
    program, engine, style = (
        f"'sha256-{b64encode(hashlib.sha256(_asset(n).encode()).digest()).decode()}'"
        for n in ("page.js", "layout.js", "page.css")
    )
    return (
        f"default-src 'none'; script-src {program} {engine}; worker-src blob:; "
        f"style-src {style}; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    )


def _data(snapshot: dict[str, Any]) -> str:
    """JSON that can't end the block it stands in."""
    text = json.dumps(snapshot, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
