"""Backpropagation by hand: f = (x + σ(y)) / (σ(x) + (x + y)²), gate by gate.

Every gate of the forward pass has one line in the backward pass, in reverse order: upstream
gradient times local derivative, and `+=` where a value was used before. Then Backlit computes the
same values by itself, and both columns are compared; `bl.see` draws the circuit, with
`--html FILE` as a page to walk through. Read next: wrong_gradient.py.
"""

from __future__ import annotations

import argparse
import math

import backlit as bl

POINT = (3.0, -4.0)
FORMULA = """
sigy = sigma(y); num = x + sigy; sigx = sigma(x); xpy = x + y; xpysqr = xpy^2;
den = sigx + xpysqr; invden = 1 / den; f = num * invden
"""


def by_hand(x: float, y: float) -> tuple[dict[str, float], dict[str, float]]:
    """The value of every gate, and the gradient of f by every gate."""
    v = {"x": x, "y": y}
    v["sigy"] = 1 / (1 + math.exp(-y))
    v["num"] = x + v["sigy"]
    v["sigx"] = 1 / (1 + math.exp(-x))
    v["xpy"] = x + y
    v["xpysqr"] = v["xpy"] ** 2
    v["den"] = v["sigx"] + v["xpysqr"]
    v["invden"] = 1 / v["den"]
    v["f"] = v["num"] * v["invden"]

    d = {"f": 1.0}
    d["num"] = v["invden"] * d["f"]
    d["invden"] = v["num"] * d["f"]
    d["den"] = -(v["invden"] ** 2) * d["invden"]
    d["sigx"] = d["den"]
    d["xpysqr"] = d["den"]
    d["xpy"] = 2 * v["xpy"] * d["xpysqr"]
    d["x"] = d["xpy"]
    d["y"] = d["xpy"]
    d["x"] += v["sigx"] * (1 - v["sigx"]) * d["sigx"]
    d["x"] += d["num"]
    d["sigy"] = d["num"]
    d["y"] += v["sigy"] * (1 - v["sigy"]) * d["sigy"]
    return v, d


def by_backlit(x: float, y: float) -> tuple[dict[str, float], dict[str, float]]:
    """The same values and gradients, recorded and walked back."""
    v = {
        "x": bl.tensor(x, dtype=bl.float64, requires_grad=True),
        "y": bl.tensor(y, dtype=bl.float64, requires_grad=True),
    }
    v["sigy"] = v["y"].sigmoid()
    v["num"] = v["x"] + v["sigy"]
    v["sigx"] = v["x"].sigmoid()
    v["xpy"] = v["x"] + v["y"]
    v["xpysqr"] = v["xpy"] ** 2
    v["den"] = v["sigx"] + v["xpysqr"]
    v["invden"] = 1 / v["den"]
    v["f"] = v["num"] * v["invden"]
    for gate in v.values():
        gate.retain_grad()
    v["f"].backward()
    return {k: t.item() for k, t in v.items()}, {k: t.grad.item() for k, t in v.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--x", type=float, default=POINT[0])
    parser.add_argument("--y", type=float, default=POINT[1])
    parser.add_argument("--html", help="write the circuit's page to this file")
    parser.add_argument("--smoke", action="store_true", help="the same: this is short already")
    arguments = parser.parse_args()
    values, gradients = by_hand(arguments.x, arguments.y)
    our_values, our_gradients = by_backlit(arguments.x, arguments.y)
    print(f"{'gate':>8} {'value':>14} {'gradient':>14} {'by Backlit':>14}")
    for gate, value in values.items():
        print(f"{gate:>8} {value:14.10f} {gradients[gate]:14.10f} {our_gradients[gate]:14.10f}")
    worst = max(
        max(abs(values[k] - our_values[k]), abs(gradients[k] - our_gradients[k])) for k in values
    )
    print(f"largest difference: {worst:.1e}\n")

    circuit = bl.see(FORMULA, x=arguments.x, y=arguments.y, title="f(x, y)")
    print(circuit)
    if arguments.html:
        circuit.html(arguments.html)


if __name__ == "__main__":
    main()
