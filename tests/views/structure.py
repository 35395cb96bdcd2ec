"""A checker of snapshots: everything that docs/design/snapshot.md says of their structure."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

TEXT = {"en": str, "zh": str}
NUMBER = (int, float)
SPECIAL = ("nan", "inf", "-inf")


def check(snapshot: dict[str, Any]) -> None:
    """Raise AssertionError where a snapshot is not as it must be."""
    text = json.dumps(snapshot, allow_nan=False)
    assert json.loads(text) == snapshot, "not plain data"
    assert snapshot["format"] == "backlit.snapshot" and snapshot["version"] == 1
    assert isinstance(snapshot["title"], str) and snapshot["title"]
    circuit(snapshot["circuit"], {})
    assert snapshot["loss"] in {w["id"] for w in snapshot["circuit"]["wires"]}
    assert set(snapshot) <= {
        "format", "version", "title", "circuit", "loss", "derivation", "source",
    }  # fmt: skip
    for lines in snapshot.get("derivation", {}).values():
        for line in lines:
            assert line["kind"] in ("heading", "words", "symbols", "numbers")
            assert isinstance(line["ok"], bool) and (line["tex"] or line["text"])
    compile(snapshot.get("source", ""), "<source>", "exec")


def circuit(found: dict[str, Any], outer: dict[str, dict]) -> None:
    assert set(found) == {"wires", "gates", "groups"}
    wires = {w["id"]: w for w in found["wires"]}
    assert len(wires) == len(found["wires"]) and not wires.keys() & outer.keys()
    known = outer | wires
    gates = {g["id"] for g in found["gates"]}
    assert len(gates) == len(found["gates"])
    for w in wires.values():
        wire(w, gates)
    made: set[str] = {k for k, w in known.items() if k in outer or w["maker"] is None}
    for g in found["gates"]:
        gate(g, known, made)
    groups(found["groups"], found["gates"])


def tex(text: str) -> None:
    """Braces match, and no symbol has two subscripts or two superscripts."""
    tokens = re.findall(r"\\[A-Za-z]+|\\.|[{}_^&]|[^\s]", text)
    assert not _group(tokens, 0, text)[1:], text


def _group(tokens: list[str], i: int, text: str) -> tuple[int, ...]:
    """Read up to the closing brace; its place, or nothing more at the end."""
    scripts: set[str] = set()
    while i < len(tokens):
        token = tokens[i]
        if token == "}":
            return i, 1
        if token in "_^":
            assert token not in scripts, f"two of {token} in {text}"
            scripts.add(token)
            i += 1
            token = tokens[i]
        else:
            scripts = set()
        if token == "{":
            i, closed = _group(tokens, i + 1, text)
            assert closed, text
        i += 1
    return (i,)


def wire(w: dict[str, Any], gates: set[str]) -> None:
    assert w["kind"] in ("input", "parameter", "constant", "value")
    assert w["name"] and w["tex"] and w["dtype"]
    tex(w["tex"])
    assert (w["kind"] == "value") == (w["maker"] is not None)
    assert w["maker"] is None or w["maker"] in gates
    for numbers_ in (w["value"], w["grad"]):
        if numbers_ is not None:
            numbers(numbers_, w["shape"])


def numbers(n: dict[str, Any], shape: list[int] | None = None) -> None:
    assert ("scalar" in n) != ("norm" in n)
    for key in ("scalar", "norm", "min", "max", "mean", "zeros"):
        if key in n:
            number(n[key])
    if shape is not None:
        assert ("scalar" in n) == (shape == [])
    if "histogram" in n:
        h = n["histogram"]
        assert len(h["counts"]) == 24 and h["low"] < h["high"] and sum(h["counts"]) > 0
    for element in n.get("elements", []):
        number(element["value"])
        if shape is not None:
            assert len(element["index"]) == len(shape)
            assert all(0 <= i < s for i, s in zip(element["index"], shape))
    if "image" in n:
        image(n["image"])


def image(found: dict[str, Any]) -> None:
    from PIL import Image

    head = "data:image/png;base64,"
    assert found["src"].startswith(head)
    drawn = Image.open(io.BytesIO(base64.b64decode(found["src"][len(head) :])))
    assert drawn.size == (found["width"], found["height"]) and max(drawn.size) <= 64
    assert found["what"] in ("image", "filters", "maps", "matrix")


def number(x: Any) -> None:
    assert x in SPECIAL if isinstance(x, str) else isinstance(x, NUMBER)


def gate(g: dict[str, Any], known: dict[str, dict], made: set[str]) -> None:
    for key in g["inputs"]:
        assert key is None or key in made, f"{g['id']} reads {key} before it is made"
    for key in g["outputs"]:
        if key is not None:
            assert key in known
            made.add(key)
    assert g["op"] and g["symbol"] and g["tex"]
    tex(g["tex"])
    assert set(g["forward_text"]) == set(g["backward_text"]) == set(TEXT)
    assert g["forward_text"]["en"] and g["forward_text"]["zh"]
    assert g["backward_text"]["en"] and g["backward_text"]["zh"]
    assert len(g["upstream"]) == len(g["outputs"])
    for b in g["backward"]:
        key = g["inputs"][b["input"]]
        assert key is not None and b["local_tex"]
        tex(b["local_tex"])
        shape = known[key]["shape"]
        numbers(b["upstream"])
        numbers(b["downstream"], shape)
        if b["local"] is not None:
            numbers(b["local"])
        assert not b["factored"] or b["local"] is not None
    if g["inside"] is not None:
        circuit(g["inside"], known)


def groups(found: list[dict[str, Any]], gates: list[dict[str, Any]]) -> None:
    by_id = {g["id"]: g for g in found}
    seen: set[str] = set()
    for g in found:
        assert g["kind"] in ("module", "operator") and g["title"]
        assert g["parent"] is None or g["parent"] in seen, "outer groups come first"
        seen.add(g["id"])
    of = {key: g["id"] for g in found for key in g["gates"]}
    assert len(of) == sum(len(g["gates"]) for g in found), "a gate in two groups"
    for gate_ in gates:
        assert gate_["group"] == of.get(gate_["id"])
        assert gate_["group"] is None or gate_["group"] in by_id
