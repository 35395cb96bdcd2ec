"""The page as a file: what it refuses, what it holds, and what it lets in."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib.resources import files

import pytest
from circuits import c1
from pages import chain, snapshot_of, wire

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.views.page import render

MB = 10**6


def _empty(**changes: object) -> dict:
    return {**snapshot_of({"wires": [], "gates": [], "groups": []}, ""), **changes}


@pytest.mark.parametrize(
    "snapshot, language, words",
    [
        (_empty(format="onnx"), "en", "not a snapshot"),
        (_empty(version=2), "en", "version 2"),
        (_empty(version="1"), "en", "version '1'"),
        (_empty(), "fr", "no language 'fr'"),
        ({}, "en", "format is None"),
    ],
)
def test_refused(snapshot: dict, language: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        render(snapshot, language)


def test_nan_must_be_a_word() -> None:
    circuit = {"wires": [wire("x", float("nan"), None)], "gates": [], "groups": []}
    with pytest.raises(ValueError, match="JSON"):
        render(snapshot_of(circuit, "x"))


def _data(page: str) -> str:
    found = re.search(r'<script type="application/json" id="snapshot">(.*?)</script>', page, re.S)
    assert found is not None
    return found.group(1)


def test_data_stays_data() -> None:
    evil = "</script><script>alert(1)</script><!-- \u2028 & \" ' <img onerror=x>"
    snapshot = snapshot_of({"wires": [wire(evil, 1.0, None)], "gates": [], "groups": []}, "x", evil)
    page = render(snapshot)
    assert json.loads(_data(page)) == snapshot
    assert "alert(1)</script>" not in page and "<img" not in page.split("<script>")[0]
    assert page.count("</script>") == 3


def test_only_its_own_scripts_and_styles_run() -> None:
    page = render(c1()[0].snapshot())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None and "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    program = re.search(r"<script>(.*)</script>\s*</body>", page, re.S)
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert program is not None and style is not None
    for text in (program[1], style[1]):
        digest = hashlib.sha256(text.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy[1]


def test_resnet_fits() -> None:
    bl.manual_seed(0)
    loss = F.cross_entropy(models.resnet20()(bl.randn(2, 3, 32, 32)), bl.tensor([3, 5]))
    assert len(_data(bl.see(loss).html()).encode()) <= 3 * MB


def test_five_thousand_gates_fit() -> None:
    assert len(_data(render(chain(5000))).encode()) <= 6 * MB


def test_licences_go_with_the_bundle() -> None:
    text = files("backlit.views.page").joinpath("LICENCES.txt").read_text(encoding="utf-8")
    assert "Eclipse Public License" in text and "KaTeX" in text and "MIT" in text
