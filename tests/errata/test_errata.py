"""Every page decides: what is printed comes out wrong, the correction right, and swaps flip it."""

from __future__ import annotations

import dataclasses
import io
import re

import numpy as np
import pytest
from rich.console import Console

from backlit import errata
from backlit.errata import CONTROLS, ERRATA
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import (
    Code,
    Computes,
    Derivative,
    Equals,
    Experiment,
    HandWritten,
    Reads,
    smallest_counterexample,
)
from backlit.errata.page import to_html
from backlit.errors import ArgumentError

ONE_OF_EACH_KIND = ("E10", "E12", "E15", "E24", "E36", "E40", "E48", "E52")


def told(found):
    return [(f.verdict.right, f.statement.shown, f.verdict.evidence) for f in found]


def test_there_is_a_page_for_each():
    assert [e.number for e in ERRATA] == [f"E{k}" for k in range(1, 55)]
    assert len({e.number for e in (*ERRATA, *CONTROLS)}) == 54 + len(CONTROLS)


@pytest.mark.parametrize("page", ERRATA, ids=lambda e: e.number)
def test_the_printed_version_is_refuted_and_the_correction_confirmed(page):
    printed, corrected = page.found
    assert printed and corrected
    assert page.refuted, told(printed)
    assert page.confirmed, told(corrected)
    assert page.verdict.en == "refuted"
    assert all(f.verdict.evidence for f in (*printed, *corrected))


@pytest.mark.parametrize("page", CONTROLS, ids=lambda e: e.number)
def test_nothing_right_is_refuted(page):
    assert page.verdict.en == "right", told(page.found[1])


@pytest.mark.parametrize("number", ONE_OF_EACH_KIND)
def test_a_planted_swap_flips_the_verdict(number):
    page = errata.find(number)
    swapped = dataclasses.replace(page, printed=page.corrected, corrected=page.printed)
    assert not swapped.refuted and not swapped.confirmed
    assert swapped.verdict.en == "undecided"
    stands = dataclasses.replace(page, printed=page.corrected)
    assert stands.verdict.en == "stands"


def test_refuted_derivatives_and_code_have_a_counterexample():
    for page in ERRATA:
        for finding in page.found[0]:
            if not isinstance(finding.statement, Experiment):
                assert finding.verdict.counter, (page.number, finding.statement.shown)


def test_no_verdict_is_written_down():
    fields = {f.name for f in dataclasses.fields(Erratum)}
    assert fields == {"number", "text", "title", "why", "printed", "corrected"}
    for page in ERRATA:
        assert {type(s) for s in page.printed} <= {
            Code, Computes, Derivative, Equals, Experiment, HandWritten, Reads
        }  # fmt: skip


def test_printed_code_raises_what_the_text_would():
    for number, error in {"E34": "ValueError", "E35": "ValueError", "E36": "NameError"}.items():
        printed, _ = errata.find(number).found
        assert error in printed[0].verdict.evidence


def test_numbers_of_the_contract():
    found = {n: " ".join(f.verdict.evidence for side in errata.find(n).found for f in side)
             for n in ("E1", "E9", "E10", "E23", "E40")}  # fmt: skip
    assert "0.3333" in found["E1"] and "loss is 1;" in found["E1"]
    numbers = set(re.findall(r"-?\d+\.\d+", found["E9"]))
    assert {"0.8262", "-37.79", "2.7182818", "-0.6321206"} <= numbers
    assert "-0.2369176185" in found["E10"]
    assert "0.5761" in found["E23"]
    assert "[2. 2. 2.]" in found["E40"]


@pytest.mark.parametrize("page", [*ERRATA, *CONTROLS], ids=lambda e: e.number)
def test_words_in_both_languages(page):
    for words in (page.title, page.why):
        assert isinstance(words, Words)
        assert words.en.strip() and not re.search(r"[一-鿿]", words.en)
        assert words.zh.strip()
    assert re.search(r"[一-鿿]", page.title.zh)


def test_the_smallest_counterexample_is_plain_and_wrong():
    text = "f = x^2; df/dx = x"
    assert smallest_counterexample(text, {"x": 3.7}) == (
        "at x = 1: the derivative by x is 2, printed is 1"
    )
    assert smallest_counterexample("f = x^2; df/dx = 2 * x", {"x": 3.7}) == ""
    kink = "f = max(0, x); df/dx = 1[x > 0]"
    assert smallest_counterexample(kink, {"x": 3.7}) == ""


@pytest.mark.parametrize("number", ["E5", "E20", "E40", "E53"])
def test_judging_again_tells_the_same(number):
    page = errata.find(number)
    again = dataclasses.replace(page)
    assert told(again.found[0]) == told(page.found[0])
    assert told(again.found[1]) == told(page.found[1])


def test_an_error_that_is_not_the_codes_is_not_a_verdict():
    def broken():
        raise KeyError("ours")

    with pytest.raises(KeyError):
        Code(broken).judge()


def test_values_that_do_not_compute_refute():
    assert not Computes("W @ x", {"W": np.ones((2, 3)), "x": np.ones(2)}, (2,)).judge().right
    assert not Computes("W @ x", {"W": np.ones((2, 3)), "x": np.ones(3)}, (3,)).judge().right
    assert not Equals("x", "2 * x", ({"x": 1.0},)).judge().right
    assert Equals("x + x", "2 * x", ({"x": 1.0},)).judge().right


# ----- how pages look -----


def printed(which):
    out = io.StringIO()
    errata.show(which, console=Console(file=out, width=100))
    return out.getvalue()


def test_the_list_names_every_page_and_its_verdict():
    text = printed(None)
    for page in (*ERRATA, *CONTROLS):
        (line,) = (x for x in text.split("\n") if x.startswith(page.number + " "))
        assert page.verdict.en in line and page.title.en in line and page.title.zh in line


def test_a_page_shows_both_versions_and_the_numbers():
    text = printed("e10")
    assert text.index("printed") < text.index("corrected")
    for words in ("dL/dw = -(y - t)", "cause: sign", "smallest counter-example", "梯度上升"):
        assert words in text


def test_code_is_shown_as_it_runs():
    text = printed("E36")
    assert "dW2 = model.backward(Z2)" in text and "noqa" not in text


def test_html_is_one_file_for_itself(tmp_path):
    errata.show(html=tmp_path / "errata.html")
    text = (tmp_path / "errata.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|src=", text)
    for page in (*ERRATA, *CONTROLS):
        assert f'<section id="{page.number}">' in text
    one = to_html([errata.find("E48")])
    assert "<table>" not in one and "1 - e^{-x}" in one


def test_html_escapes_what_pages_say():
    page = Erratum("E0", "S0", Words("<b>", "一"), Words("a & b", "二"), (),
                   (Experiment("<i>", lambda: (True, "1 < 2")),))  # fmt: skip
    text = to_html([page])
    assert "&lt;b&gt;" in text and "<b>" not in text and "1 &lt; 2" in text and "a &amp; b" in text


def test_an_unknown_page_is_refused():
    with pytest.raises(ArgumentError, match="no page 'E99'"):
        errata.find("E99")


def test_the_command_line_shows_pages(tmp_path):
    from typer.testing import CliRunner

    from backlit.cli import app

    runner = CliRunner()
    found = runner.invoke(app, ["errata", "E48"])
    assert found.exit_code == 0 and "refuted" in found.output
    assert runner.invoke(app, ["errata", "E99"]).exit_code == 1
    file = tmp_path / "page.html"
    found = runner.invoke(app, ["errata", "E48", "--html", str(file)])
    assert found.exit_code == 0 and "1 page in" in found.output
    assert "<h2>E48" in file.read_text(encoding="utf-8")
