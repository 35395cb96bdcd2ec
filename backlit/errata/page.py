"""The errata as one self-contained HTML file: no script, no network, light and dark.

Knows how pages look, not what is true. In a terminal: terminal.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backlit.errata.erratum import Erratum, Finding, Words

STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #1b7f3b; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7bd88f; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin: 0 0 .3rem; }
section { border-top: 1px solid var(--line); padding: 1.2rem 0; }
pre { background: #8881; padding: .6rem .8rem; border-radius: .4rem; overflow-x: auto;
      margin: .4rem 0; font-size: .9rem; white-space: pre-wrap; }
.verdict { font-size: .85rem; font-weight: 600; white-space: nowrap; }
.bad { color: var(--bad); } .good { color: var(--good); }
.finding { border-left: .25rem solid currentColor; padding-left: .8rem; margin: .8rem 0; }
.finding > * { color: CanvasText; } .finding p { margin: .2rem 0; font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
td { border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; vertical-align: top; }
h3 { font-size: .95rem; margin: 1rem 0 .2rem; } a { color: inherit; }
"""
TITLE = Words("Errata", "勘误")
INTRODUCTION = Words(
    "Each statement below was decided by computing when this page was made.",
    "以下每条结论均由生成本页时的计算得出。",
)


def to_html(errata: Sequence[Erratum]) -> str:
    """All given pages as one document, with a table of contents where there are several."""
    contents = _contents(errata) if len(errata) > 1 else ""
    title = errata[0].number if len(errata) == 1 else "Errata"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_both(TITLE)}</h1>\n<p>{_both(INTRODUCTION, '<br>')}</p>\n{contents}"
        f"{''.join(map(_section, errata))}</body>\n</html>\n"
    )


def _both(words: Words, between: str = " · ") -> str:
    return f'{escape(words.en)}{between}<span lang="zh">{escape(words.zh)}</span>'


def _verdict(e: Erratum) -> str:
    tone = "good" if e.verdict.en == "right" else "bad"
    return f'<span class="verdict {tone}">{_both(e.verdict)}</span>'


def _contents(errata: Sequence[Erratum]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{e.number}">{e.number}</a></td><td>{escape(e.text)}</td>'
        f"<td>{_both(e.title)}</td><td>{_verdict(e)}</td></tr>\n"
        for e in errata
    )
    return f"<table>\n{rows}</table>\n"


def _section(e: Erratum) -> str:
    printed, corrected = e.found
    parts = [
        f'<section id="{e.number}">\n',
        f"<h2>{e.number} ({escape(e.text)}) {_both(e.title)}</h2>\n",
        _verdict(e),
        f"<p>{_both(e.why, '<br>')}</p>\n",
    ]
    if printed:
        parts.append(f"<h3>{_both(Words('Printed', '原文'))}</h3>\n")
        parts += map(_finding, printed)
    heading = Words("Corrected", "更正") if printed else Words("As printed", "原文")
    parts.append(f"<h3>{_both(heading)}</h3>\n")
    parts += map(_finding, corrected)
    return "".join([*parts, "</section>\n"])


def _finding(finding: Finding) -> str:
    v = finding.verdict
    tone, mark = ("good", "✓") if v.right else ("bad", "✗")
    told = [f"{mark} {v.evidence}"]
    if v.cause:
        told.append(f"cause: {v.cause}")
    if v.counter and v.counter != v.evidence:
        told.append(f"smallest counter-example: {v.counter}")
    lines = "".join(f"<p>{escape(t)}</p>" for t in told)
    shown = escape(finding.statement.shown.strip("\n"))
    return f'<div class="finding {tone}"><pre>{shown}</pre>{lines}</div>\n'
