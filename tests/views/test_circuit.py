"""`bl.see(...)`: options, the numbers of the contract, what a notebook and a shell get."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pytest
from circuits import c1, c5, c8, c13, scalars, two_layer
from structure import check

import backlit as bl
from backlit.errors import ArgumentError, BacklitError
from backlit.views.command import read_values, see_command


def wires(circuit) -> dict[str, tuple[float, float]]:
    return {
        w["name"]: (w["value"]["scalar"], w["grad"] and w["grad"]["scalar"])
        for w in circuit.snapshot()["circuit"]["wires"]
    }


@pytest.mark.parametrize("make", [c1, c8, c13])
def test_values_and_gradients_of_the_scalar_examples(make) -> None:
    circuit, expected = make()
    check(circuit.snapshot())
    found = wires(circuit)
    for name, (value, grad) in expected.items():
        assert found[name][0] == pytest.approx(value, abs=1e-12)
        assert found[name][1] == pytest.approx(grad, abs=1e-12)


def test_a_formula_gives_the_same_circuit_as_the_program() -> None:
    by_program = c1()[0].snapshot()["circuit"]
    by_formula = bl.see("(x + y) * z", x=-2, y=5, z=-4).snapshot()
    assert by_formula["title"] == "(x + y) * z"
    for a, b in zip(by_program["gates"], by_formula["circuit"]["gates"]):
        assert (a["op"], a["backward"]) == (
            b["op"],
            [entry | {"local_tex": a["backward"][i]["local_tex"]}
             for i, entry in enumerate(b["backward"])],
        )  # fmt: skip


def test_the_sigmoid_neuron_gate_by_gate() -> None:
    circuit, values, grads = c5()
    gates = circuit.snapshot()["circuit"]["gates"]
    made = {w["id"]: w for w in circuit.snapshot()["circuit"]["wires"]}
    found = [made[g["outputs"][0]] for g in gates]
    np.testing.assert_allclose([w["value"]["scalar"] for w in found], values, atol=1e-12)
    np.testing.assert_allclose([w["grad"]["scalar"] for w in found], grads, atol=1e-12)


@pytest.mark.parametrize("make", [c1, c5, c8, c13])
def test_upstream_times_local_is_downstream_at_every_gate(make) -> None:
    for gate in make()[0].snapshot()["circuit"]["gates"]:
        assert gate["backward"]
        for b in gate["backward"]:
            assert b["factored"]
            product = b["upstream"]["scalar"] * b["local"]["scalar"]
            assert product == pytest.approx(b["downstream"]["scalar"], abs=1e-15)


def test_a_wire_with_several_readers_is_the_sum_of_what_they_hand_back() -> None:
    snapshot = c8()[0].snapshot()["circuit"]
    parts: dict[str, list[float]] = {}
    for gate in snapshot["gates"]:
        for b in gate["backward"]:
            key = gate["inputs"][b["input"]]
            parts.setdefault(key, []).append(b["downstream"]["scalar"])
    grads = {w["id"]: w["grad"] for w in snapshot["wires"]}
    assert {len(p) for p in parts.values()} == {1, 2, 3}
    for key, found in parts.items():
        assert sum(found) == pytest.approx(grads[key]["scalar"], abs=1e-14)


def test_the_gradients_of_a_network_are_the_engines() -> None:
    circuit, model, loss = two_layer()
    loss.backward()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(circuit.graph.wire(name).grad, p.grad.numpy())
        wire = next(
            w for w in circuit.snapshot()["circuit"]["wires"] if w["name"] == name
        )  # fmt: skip
        exact = [e["value"] for e in wire["grad"]["elements"]]
        np.testing.assert_array_equal(exact, p.grad.numpy().reshape(-1))


def test_a_function_with_its_inputs() -> None:
    def square_sum(x: bl.Tensor) -> bl.Tensor:
        return (x * x).sum()

    circuit = bl.see(square_sum, bl.tensor([1.0, 2.0], requires_grad=True))
    assert circuit.title == "square_sum"
    assert circuit.graph.wire("x").grad.tolist() == [2, 4]


def test_a_gradient_to_start_from() -> None:
    (x,) = scalars(3)
    y = bl.stack([x, x * x])
    circuit = bl.see(y, gradient=[1.0, 10.0])
    assert circuit.graph.wire("x").grad == 61
    with pytest.raises(BacklitError, match="only a scalar"):
        bl.see(y)


def test_options_are_checked() -> None:
    f, _ = c1(lambda f: f)
    with pytest.raises(ArgumentError, match="language must be 'en' or 'zh', got 'fr'"):
        bl.see(f, language="fr")
    with pytest.raises(ArgumentError, match="open must be"):
        bl.see(f, open="sometimes")
    with pytest.raises(TypeError, match="elements must be a dict"):
        bl.see(f, elements=[1])
    *_, loss = two_layer()
    with pytest.raises(IndexError, match="has no element"):
        bl.see(loss, elements={"fc1.weight": (9, 0)})
    with pytest.raises(ArgumentError, match="no value 'nowhere'"):
        bl.see(loss, elements={"nowhere": 0})


def test_titles() -> None:
    f, _ = c1(lambda f: (bl.see(f), bl.see(f, title="by hand")))
    assert f[0].title == "f" and f[1].title == "by hand"
    assert repr(f[0]) == "<circuit 'f': 2 gates, 5 wires>"


def test_the_page_holds_the_snapshot_and_the_notebook_the_page(tmp_path) -> None:
    circuit = c13(lambda f: bl.see(f, title='a < b & "c"', language="zh"))[0]
    page = circuit.html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    held = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    assert json.loads(held[1]) == circuit.snapshot()
    frame = circuit._repr_html_()
    inner = re.search(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(inner[1]) == page
    assert '"c"' not in frame.split("srcdoc")[0]


def test_show_writes_a_file_and_opens_the_browser(monkeypatch, tmp_path) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = c1()[0].show()
    assert opened == [file.as_uri()] and file.read_text(encoding="utf-8").startswith("<!doctype")


def test_recording_twice_gives_the_same_snapshot() -> None:
    once, again = two_layer(lambda loss: (bl.see(loss), bl.see(loss)))[0]
    assert once.snapshot() == again.snapshot()


# ----- the shell -----


def test_see_command_prints_and_writes(tmp_path, capsys) -> None:
    files = {k: tmp_path / f"f.{k}" for k in ("html", "svg", "png")}
    see_command("(x + y) * z", ["x=-2", "y=5", "z=-4"], **files, steps=True)
    printed = capsys.readouterr().out
    assert printed.startswith("(x + y) * z")
    assert "The add gate hands its upstream gradient -4 to both inputs." in " ".join(
        printed.split()
    )
    assert files["svg"].read_text(encoding="utf-8").startswith("<svg")
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert files["html"].stat().st_size > 10_000


def test_values_on_the_command_line() -> None:
    assert read_values(["x=-2", " y =1e-3"]) == {"x": -2.0, "y": 1e-3}
    for wrong in ("x", "x=", "=3", "x=two"):
        with pytest.raises(ArgumentError, match="expected a value such as x=-2"):
            read_values([wrong])
    with pytest.raises(ArgumentError, match="x is given twice"):
        read_values(["x=1", "x=2"])
    assert not any(read_values([]))


def test_a_missing_value_is_told() -> None:
    with pytest.raises(BacklitError, match="y"):
        see_command("x * y", ["x=2"])


@pytest.mark.parametrize(
    ("reduction", "shown"),
    [("mean", r"-\frac{1}{N} \sum_n"), ("sum", r"-\sum_n"), ("none", "-{")],
)
def test_the_formula_of_a_loss_follows_its_reduction(reduction: str, shown: str) -> None:
    made = bl.ops.op.REGISTRY["nll_loss"].latex("{x}", "t", reduction=reduction)
    assert made.startswith(shown), made
