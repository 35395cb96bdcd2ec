"""The page in a browser: its numbers are the engine's; it walks, opens, finds, and is legible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from circuits import c1, c5, c8, c13, two_layer
from pages import PHONE, Chromium, chain, chromium, does, settled, snapshot_of, wire

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.views.derivatives import local
from backlit.views.graph import Gate, Graph
from backlit.views.page import render

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="needs Chromium"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with sync_api.sync_playwright() as playwright:
        started = Chromium(playwright, tmp_path_factory.mktemp("pages"))
        yield started
        started.browser.close()


def drawn(make: Any, **options: Any) -> Any:
    """The circuit of an example."""
    return make(lambda loss: bl.see(loss, **options))[0]


def lstm(see: Any = bl.see) -> tuple[Any]:
    """Two steps of an LSTM cell and a loss."""
    bl.manual_seed(0)
    cell, x = nn.LSTMCell(3, 4), bl.randn(2, 2, 3)
    h = c = bl.zeros(2, 4)
    for t in range(2):
        h, c = cell(x[:, t], (h, c))
    return (see((h * h).sum()),)


def lenet(see: Any = bl.see) -> tuple[Any]:
    """LeNet on two images."""
    bl.manual_seed(0)
    model = bl.models.LeNet()
    return (see(F.cross_entropy(model(bl.randn(2, 1, 28, 28)), bl.tensor([1, 7]))),)


OVERLAPS = """() => {
  document.querySelector('.circuit > g').setAttribute('transform', '');
  const seen = '.label text, .label .picture, .gate .body, .terminal rect, .header text';
  const all = [...document.querySelectorAll(seen)].map(e => [e, e.getBoundingClientRect()]);
  const found = [];
  all.forEach(([e, a], i) => all.slice(i + 1).forEach(([f, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const tall = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 2 && tall > 2) found.push([e, f].map(o => o.textContent || o.outerHTML));
  }));
  return found;
}"""

EXAMPLES = [c1, c5, c8, c13, two_layer, lstm, lenet]


# ----- numbers -----


STATISTICS = {
    "norm": np.linalg.norm, "min": np.min, "max": np.max, "mean": np.mean, "low": np.min,
    "high": np.max, "zeros": lambda wide: (wide == 0).mean(),
}  # fmt: skip


def _shown(page: Any, where: str) -> list[dict[str, str]]:
    """Every number under a selector: what is written, its exact text, and what it is of."""
    return page.eval_on_selector_all(
        f"{where} [data-value]",
        "all => all.map(e => ({...e.dataset, text: e.firstChild.textContent}))",
    )


def _agrees(shown: dict[str, str], array: Any) -> bool:
    """The exact text is the engine's number, the written one its rounding."""
    array, kind = np.asarray(array), shown["kind"]
    said = float(shown["value"])
    if kind == "scalar":
        same = array.ndim == 0 and said == float(array)
    elif kind.startswith("element:"):
        index = tuple(int(i) for i in kind.removeprefix("element:").split(","))
        same = said == float(array[index])
    else:
        wide = array.astype(np.float64)
        truth = STATISTICS[kind](wide)
        same = bool(np.isclose(said, truth, rtol=1e-12, atol=1e-15))
    text = shown["text"].removeprefix("‖·‖ ").replace("−", "-")
    written = float(text[:-2]) / 100 if text.endswith("%") else float(text)
    return same and bool(np.isclose(written, said, rtol=5.01e-4, atol=0))


def _of_wire(graph: Graph, shown: dict[str, str]) -> Any:
    found = graph.wires[int(shown["wire"][1:])]
    if shown["role"] == "part":
        parts = [g.downstream[i] for g, i in found.readers if f"g{g.id}" == shown["reader"]]
        exact = float(shown["value"])
        return next(p for p in parts if p is not None and np.isclose(_norm(p), exact, rtol=1e-9))
    return found.value if shown["role"] == "value" else found.grad


def _norm(array: Any) -> float:
    array = np.asarray(array)
    return float(array if array.ndim == 0 else np.linalg.norm(array.astype(np.float64)))


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda f: f.__name__)
def test_example(browser: Chromium, make: Any) -> None:
    """Every number on the page is the engine's, and nothing covers anything else."""
    circuit = drawn(make, open="all")
    with browser.open(circuit.snapshot()) as page:
        assert page.evaluate(OVERLAPS) == []
        _check_wires(circuit.graph, _shown(page, ".circuit"))
        for gate in circuit.graph.gates:
            page.locator(f'[data-item="g{gate.id}"]').evaluate("e => e.focus()")
            page.keyboard.press("Enter")
            page.wait_for_selector(f'[data-panel="g{gate.id}"]')
            _check_gate(gate, _shown(page, ".rule"))


@pytest.mark.parametrize("make", [c13, two_layer], ids=lambda f: f.__name__)
def test_numbers_of_every_wire(browser: Chromium, make: Any) -> None:
    """Statistics, the ends of histograms and single elements, and the parts that copies add up."""
    circuit = drawn(make, open="all")
    kinds = set()
    with browser.open(circuit.snapshot()) as page:
        for w in circuit.graph.wires:
            line = page.locator(f'.circuit .wire[data-wire="w{w.id}"]')
            if not line.count():
                continue
            line.first.dispatch_event("click")
            page.wait_for_selector(f'[data-panel="w{w.id}"]')
            shown = _shown(page, ".panel")
            held = [s for s in shown if "gate" not in s]
            assert len(held) >= 1 + (w.grad is not None)
            assert not [s for s in held if not _agrees(s, _of_wire(circuit.graph, s))]
            kinds |= {s["kind"].split(":")[0] for s in held}
            parts = [float(s["value"]) for s in shown if "gate" in s]
            truth = [_norm(part) for _, _, part in w.contributions]
            assert np.allclose(parts, truth, rtol=1e-12, atol=0) and len(parts) == len(truth)
    if make is two_layer:
        assert kinds >= {"norm", "min", "max", "mean", "zeros", "low", "high", "element"}


def _check_wires(graph: Graph, shown: list[dict[str, str]]) -> None:
    assert not [s for s in shown if not _agrees(s, _of_wire(graph, s))]
    found = {(s["wire"], s["role"]) for s in shown}
    for w in graph.wires:  # every wire that is read shows its value and its gradient
        if w.readers and w.grad is not None:
            assert {(f"w{w.id}", "value"), (f"w{w.id}", "grad")} <= found


def _check_gate(gate: Gate, shown: list[dict[str, str]]) -> None:
    receivers = {i for i, d in enumerate(gate.downstream) if d is not None}
    assert {int(s["input"]) for s in shown} == receivers
    upstream = next((u for u in gate.upstream if u is not None), None)
    for s in shown:
        i = int(s["input"])
        truth = {"upstream": upstream, "downstream": gate.downstream[i]}
        if s["role"] == "local":
            truth["local"] = local(gate, i)
        assert _agrees(s, truth[s["role"]]), (gate, s)


def test_the_first_circuit(browser: Chromium) -> None:
    """f = (x + y) z as the courses draw it."""
    with browser.open(bl.see("(x + y) * z", x=-2, y=5, z=-4).snapshot()) as page:
        values = [s["text"] for s in _shown(page, ".circuit .forward")]
        grads = [s["text"] for s in _shown(page, ".circuit .backward")]
        assert sorted(values) == sorted(["−2", "5", "−4", "3", "−12"])
        assert sorted(grads) == sorted(["−4", "−4", "3", "−4", "1"])
        page.locator(".gate", has_text="×").click()
        sums = page.locator(".product").all_inner_texts()
        assert [" ".join(s.split()) for s in sums] == [
            "upstream 1 × local −4 = downstream −4",
            "upstream 1 × local 3 = downstream 3",
        ]
        assert page.locator(".pattern").inner_text() == "swaps"
        assert page.locator(".panel .katex").count() >= 5


def test_not_a_number(browser: Chromium) -> None:
    wires = [wire("x", "nan", "-inf", "input"), wire("y", 1.0, 1.0, maker="g")]
    gate = chain(1)["circuit"]["gates"][0] | {"id": "g", "inputs": ["x"], "outputs": ["y"]}
    with browser.open(snapshot_of({"wires": wires, "gates": [gate], "groups": []}, "y")) as page:
        shown = _shown(page, '.circuit .label[data-wire="x"]')
    assert [s["text"] for s in shown] == ["NaN", "−∞"]


# ----- the walk -----


def _sentence(page: Any) -> str:
    return page.locator(".bar .sentence").inner_text()


def _known(page: Any) -> list[str]:
    return page.eval_on_selector_all(
        ".circuit .label .number",
        "all => all.filter(e => getComputedStyle(e).visibility === 'visible')"
        ".map(e => e.firstChild.textContent)",
    )


def test_walk_by_keys(browser: Chromium) -> None:
    circuit = drawn(c1)
    with browser.open(circuit.snapshot()) as page:
        everything = _known(page)
        page.keyboard.press("Home")
        assert sorted(_known(page)) == sorted(["−2", "5", "−4"])
        said = []
        for _ in range(5):
            page.keyboard.press("ArrowRight")
            said.append(_sentence(page))
        forward, backward = circuit.steps()[:2], circuit.steps()[2:]
        assert [*said[:2], *said[3:]] == [*forward, *backward]
        assert "starts at f" in said[2]
        assert _known(page) == everything
        page.keyboard.press("ArrowLeft")
        assert len(_known(page)) == len(everything) - 2 and _sentence(page) == said[3]
        page.keyboard.press("Escape")
        assert _known(page) == everything and page.locator(".gate.chosen").count() == 0
        page.keyboard.press("Home")
        page.keyboard.press("End")
        assert _known(page) == everything and _sentence(page) == said[4]
        assert page.locator(".bar .sentence").get_attribute("aria-live") == "polite"


def test_walk_by_buttons_and_by_itself(browser: Chromium) -> None:
    with browser.open(drawn(c1).snapshot()) as page:
        page.get_by_role("button", name="To the start").click()
        assert page.locator(".count").inner_text() == "0 / 5"
        page.get_by_role("button", name="One step on").click()
        page.get_by_role("button", name="One step on").press("Enter")
        assert page.locator(".count").inner_text() == "2 / 5"
        page.get_by_role("button", name="One step back").click()
        assert page.locator(".gate.now").count() == 1
        page.clock.install()
        page.get_by_role("button", name="Play").click()
        for _ in range(6):
            page.clock.run_for(1500)
        assert page.locator(".count").inner_text() == "5 / 5"
        assert page.get_by_role("button", name="Play").count() == 1
        page.locator("body").press(" ")
        assert page.get_by_role("button", name="Pause").count() == 1
        page.locator(".circuit").press(" ")
        assert page.get_by_role("button", name="Pause").count() == 0


# ----- open, close, find -----


def test_groups_and_gates_open(browser: Chromium) -> None:
    with browser.open(drawn(two_layer, open="none").snapshot()) as page:
        closed = page.locator(".gate").count()
        group = page.locator('.gate.group[aria-expanded="false"]').first
        key = group.get_attribute("data-item")
        does(page, group.dblclick)
        assert page.locator(f'.header[data-item="{key}"]').get_attribute("aria-expanded") == "true"
        assert page.locator(".gate").count() > closed
        does(page, lambda: page.keyboard.press("-"))
        assert page.locator(".gate").count() == closed
        page.locator(f'[data-item="{key}"]').focus()
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")  # choose, then open
        does(page, lambda: page.keyboard.press("Enter"))
        inner = page.locator('.gate:not(.group)[aria-expanded="false"]').first
        opened = inner.get_attribute("data-item")
        inner.click()
        does(page, lambda: page.keyboard.press("+"))
        assert page.locator(f'.header[data-item="{opened}"]').count() == 1
        does(page, lambda: page.locator(".panel .open").click())
        assert page.locator(f'.header[data-item="{opened}"]').count() == 0


def test_numbers_inside_a_gate(browser: Chromium) -> None:
    """The scalar gates inside hold the same numbers as the opened gate's wires."""
    snapshot = drawn(two_layer, open="all").snapshot()
    gate = next(g for g in snapshot["circuit"]["gates"] if g["op"] == "linear")
    with browser.open(snapshot) as page:
        page.locator(f'[data-item="{gate["id"]}"]').evaluate("e => e.focus()")
        does(page, lambda: page.keyboard.press("+"))
        found = {(s["wire"], s["role"]): float(s["value"]) for s in _shown(page, ".circuit")}
    made = 0
    for inner in gate["inside"]["wires"]:
        for role in ("value", "grad"):
            held = inner[role]
            if held is not None and (inner["id"], role) in found:
                made += 1
                assert found[inner["id"], role] == held.get("scalar", held.get("norm"))
    assert made >= 4


def test_search_in_five_thousand_gates(browser: Chromium) -> None:
    with browser.open(chain(5000)) as page:
        assert page.locator(".gate").count() < 200
        page.keyboard.press("/")
        page.keyboard.type("chain.py:4321")
        assert page.locator("#results [role=option]").count() == 1
        does(page, lambda: page.keyboard.press("Enter"))
        assert page.locator('.gate.chosen[data-item="g4321"]').count() == 1
        box = page.locator('.gate[data-item="g4321"]').bounding_box()
        stage = page.locator(".stage").bounding_box()
        assert stage["x"] <= box["x"] <= stage["x"] + stage["width"]
        page.keyboard.press("/")
        page.keyboard.type("add")
        assert "5000 gates found" in page.locator("#results").inner_text()
        page.keyboard.type(" nowhere")
        assert "Nothing found" in page.locator("#results").inner_text()


# ----- for every reader -----


def test_gates_are_focused_in_computing_order(browser: Chromium) -> None:
    with browser.open(drawn(c8).snapshot()) as page:
        page.locator(".language").focus()
        order = []
        for _ in range(8):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.dataset.item"))
        assert order == [f"g{i}" for i in range(8)]
        assert page.evaluate("document.querySelector('.stage').scrollLeft") == 0
        named = page.get_by_role("button", name="sigy = 0.01799")
        assert named.count() == 1 and "gradient 0.5121" in named.get_attribute("aria-label")


def test_the_focus_stays_in_view(browser: Chromium) -> None:
    with browser.open(chain(60), size=PHONE) as page:
        stage = page.locator(".stage").bounding_box()
        page.locator(".language").focus()
        for _ in range(25):
            page.keyboard.press("Tab")
            box = page.locator(":focus").bounding_box()
            assert stage["y"] <= box["y"] <= stage["y"] + stage["height"] - box["height"]


def test_both_languages(browser: Chromium) -> None:
    circuit = drawn(c1)
    with browser.open(circuit.snapshot(), "zh") as page:
        assert page.evaluate("document.documentElement.lang") == "zh"
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert any("\u4e00" <= ch <= "\u9fff" for ch in _sentence(page))
        assert page.get_by_role("tab", name="详情").count() == 1
        does(page, page.locator(".language").click)
        assert _sentence(page) == circuit.steps()[0]
        assert page.evaluate("document.documentElement.lang") == "en"


def test_light_and_dark(browser: Chromium) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    found = {}
    for scheme in ("light", "dark"):
        with browser.open(drawn(c1).snapshot(), scheme=scheme) as page:
            found[scheme] = page.evaluate(paper)
            page.get_by_role("button", name="Light or dark").click()
            found[f"{scheme}, turned"] = page.evaluate(paper)
    assert found["light"] == found["dark, turned"] != found["dark"] == found["light, turned"]


CONTRAST = """() => {
  const light = c => { const n = c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * n[0] + 0.7152 * n[1] + 0.0722 * n[2]; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const color = (e, name) => getComputedStyle(e)[name];
  const papers = [document.body, document.querySelector('.panel')]
    .map(e => color(e, 'backgroundColor'));
  const texts = [...document.querySelectorAll('.circuit text')].map(e => color(e, 'fill'))
    .concat([...document.querySelectorAll('.panel *, .bar *, .head *')]
      .map(e => color(e, 'color')));
  return Math.min(...papers.flatMap(p => [...new Set(texts)].map(t => ratio(t, p))));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: Chromium, scheme: str) -> None:
    with browser.open(drawn(c13).snapshot(), scheme=scheme) as page:
        page.locator(".gate").first.click()
        assert page.evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("make", [c5, two_layer, lenet], ids=lambda f: f.__name__)
def test_on_a_phone(browser: Chromium, make: Any) -> None:
    with browser.open(drawn(make).snapshot(), size=PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert page.evaluate(OVERLAPS) == []
        gate = page.locator(".gate").first.bounding_box()
        stage = page.locator(".stage").bounding_box()
        assert gate["y"] + gate["height"] <= stage["y"] + stage["height"]
        for tab in page.get_by_role("tab").all():  # the parts stand one below the other
            tab.click()
            parts = [
                page.locator(part).bounding_box() for part in ("#page > header", "main", ".panel")
            ]
            ends = [round(part["y"] + part["height"]) for part in parts]
            assert [round(part["y"]) for part in parts] == [0, *ends[:2]] and ends[2] == PHONE[1]


def test_inline_in_a_notebook(browser: Chromium) -> None:
    """In a frame that may run scripts and nothing else."""
    outer = drawn(c1)._repr_html_()
    with browser.open({}, html=f"<!doctype html><body>{outer}") as page:
        frame = page.frame_locator("iframe")
        frame.locator(".circuit .number").first.wait_for()
        assert frame.locator(".circuit .forward .number").count() == 5


def test_without_a_worker(browser: Chromium) -> None:
    with browser.open(drawn(c1).snapshot()) as page:
        page.add_init_script("delete window.Worker")
        page.reload()
        settled(page)
        assert page.locator(".gate").count() == 2


def test_derivation_and_source(browser: Chromium) -> None:
    lines = [
        {"tex": "x", "text": "By x", "kind": "heading", "error": None, "ok": True},
        {"tex": r"\frac{\partial f}{\partial x} = z", "text": "df/dx = z", "kind": "symbols",
         "error": 1e-17, "ok": True},
        {"tex": "= 5", "text": "= 5", "kind": "numbers", "error": 9.0, "ok": False},
    ]  # fmt: skip
    snapshot = drawn(c1).snapshot() | {
        "derivation": {"en": lines, "zh": lines[:1]},
        "source": "def backward():\n    dz = q  # of f = q * z\n",
    }  # fmt: skip
    with browser.open(snapshot) as page:
        page.get_by_role("tab", name="Details").focus()
        page.keyboard.press("ArrowRight")
        marks = page.locator(".derivation .check").all_inner_texts()
        assert [m[0] for m in marks] == ["✓", "✗"] and "1e−17" in marks[0]
        does(page, page.locator(".language").click)
        assert page.locator(".derivation > *").all_inner_texts() == ["By x"]
        page.get_by_role("tab", name="源码").click()
        assert page.locator(".source li").count() == 2
        assert "dz = q" in page.locator(".source").inner_text()


def test_a_newer_snapshot_is_refused(browser: Chromium) -> None:
    page_text = render(drawn(c1).snapshot()).replace('"version":1', '"version":7')
    with browser.open({}, html=page_text) as page:
        assert "snapshot version 7" in page.get_by_role("alert").inner_text()


def test_turned_and_fitted(browser: Chromium) -> None:
    with browser.open(drawn(c8).snapshot()) as page:
        wide = page.locator(".circuit > g").bounding_box()
        does(page, page.get_by_role("button", name="Turn the circuit").click)
        page.keyboard.press("f")
        tall = page.locator(".circuit > g").bounding_box()
        assert wide["width"] > wide["height"] and tall["height"] > tall["width"]
        before = page.locator(".gate").first.bounding_box()["width"]
        page.mouse.move(400, 400)
        page.mouse.wheel(0, -300)
        page.wait_for_function(
            f"document.querySelector('.gate').getBoundingClientRect().width > {before}"
        )
        settled(page)
