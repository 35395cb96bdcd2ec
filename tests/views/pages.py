"""A browser for the tests of the page, and snapshots made by hand.

Drives the system's Chromium through Playwright; nothing is downloaded. `Chromium.open` shows a
snapshot or a circuit, refuses every request that is no file, and fails a test whose page logs an
error.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backlit.views.page import render

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP, PHONE = (1280, 800), (390, 844)


def chromium() -> str | None:
    """The system's Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


class Chromium:
    """One browser process for many pages."""

    def __init__(self, playwright: Any, folder: Path):
        self.browser = playwright.chromium.launch(
            executable_path=chromium(), headless=True, args=FLAGS
        )
        self.folder = folder

    @contextmanager
    def open(
        self, snapshot: dict[str, Any], language: str = "en", size: tuple[int, int] = DESKTOP,
        scheme: str = "light", html: str | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """A page that shows the snapshot; its errors and requests fail the test."""
        file = self.folder / "page.html"
        file.write_text(html or render(snapshot, language), encoding="utf-8")
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme,
            reduced_motion="reduce",
        )  # fmt: skip
        page = context.new_page()
        faults: list[str] = []
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("request", lambda r: None if _local(r.url) else faults.append(r.url))
        page.goto(file.as_uri())
        if html is None:
            settled(page)
        try:
            yield page
        finally:
            context.close()
        assert not faults


def _local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:", "about:"))


def settled(page: Any) -> None:
    """Wait until what was asked for last is drawn."""
    page.wait_for_selector(".stage[data-drawn]:not([aria-busy])", timeout=60_000)


def does(page: Any, act: Any) -> None:
    """Do something that lays out again, and wait for it."""
    before = page.get_attribute(".stage", "data-drawn")
    act()
    page.wait_for_selector(
        f'.stage[data-drawn]:not([data-drawn="{before}"]):not([aria-busy])', timeout=60_000
    )


# ----- by hand -----


def snapshot_of(circuit: dict[str, Any], loss: str, title: str = "by hand") -> dict[str, Any]:
    """A whole snapshot around a circuit."""
    return {"format": "backlit.snapshot", "version": 1, "title": title, "circuit": circuit,
            "loss": loss}  # fmt: skip


def wire(name: str, value: Any, grad: Any, kind: str = "value", **more: Any) -> dict[str, Any]:
    """A scalar wire whose id is its name."""
    held = None if grad is None else {"scalar": grad}
    return {
        "id": name, "name": name, "tex": name, "kind": kind, "shape": [], "dtype": "float64",
        "maker": None, "output": 0, "value": {"scalar": value}, "grad": held, **more,
    }  # fmt: skip


def add_gate(name: str, inputs: list[str], output: str, line: str = "") -> dict[str, Any]:
    """An add gate with upstream gradient 1."""
    one = {"scalar": 1.0}
    back = {"input": 0, "upstream": one, "downstream": one, "local": one, "local_tex": "1",
            "factored": True}  # fmt: skip
    says = {"en": f"{output} is computed", "zh": f"计算 {output}"}
    return {"id": name, "op": "add", "symbol": "+", "tex": "", "inputs": inputs,
            "outputs": [output], "params": {}, "group": None, "module": "", "scope": "",
            "line": line, "code": "", "backward": [back], "upstream": [one], "pattern": None,
            "forward_text": says, "backward_text": says, "inside": None}  # fmt: skip


def chain(n: int) -> dict[str, Any]:
    """n additions of 1, one after the other, the i-th on line i of chain.py."""
    wires = [wire("x0", 0.0, 1.0, "input")]
    gates = []
    for i in range(n):
        wires.append(wire(f"c{i}", 1.0, None, "constant"))
        wires.append(wire(f"x{i + 1}", i + 1.0, 1.0, maker=f"g{i}"))
        gates.append(add_gate(f"g{i}", [f"x{i}", f"c{i}"], f"x{i + 1}", f"chain.py:{i}"))
    return snapshot_of({"wires": wires, "gates": gates, "groups": []}, f"x{n}")
