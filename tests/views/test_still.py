"""Still pictures: every number is the engine's, nothing overlaps, PNG and SVG show the same."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from circuits import c1, c5, c8, c13, scalars, two_layer
from families import FAMILIES

import backlit as bl
from backlit.nn import functional as F
from backlit.views.layers import Edge, Node, place
from backlit.views.scene import Scene, text_width
from backlit.views.still import scene

SVG = "{http://www.w3.org/2000/svg}"


def numbers(svg: str) -> list[float]:
    return [float(t.get("data-value")) for t in ET.fromstring(svg).iter(f"{SVG}text")
            if t.get("data-value")]  # fmt: skip


@pytest.mark.parametrize("make", [c1, c8, c13])
def test_every_number_is_the_engines(make) -> None:
    circuit, expected = make()
    shown = sorted(numbers(circuit.svg()))
    wanted = sorted(x for pair in expected.values() for x in pair)
    np.testing.assert_allclose(shown, wanted, atol=1e-12)


def test_the_neuron() -> None:
    circuit, values, grads = c5()
    shown = numbers(circuit.svg())
    for number in (*values, *grads):
        assert min(abs(number - s) for s in shown) < 1e-12


def test_arrays_show_shape_and_norm() -> None:
    circuit, model, loss = two_layer()
    loss.backward()
    shown = numbers(circuit.svg())
    for p in model.parameters():
        for array in (p.detach().numpy(), p.grad.numpy()):
            assert min(abs(np.linalg.norm(array) - s) for s in shown) < 1e-12
    assert "4×3" in circuit.svg()


# ----- nothing overlaps -----


def model_scene(name: str) -> Scene:
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(0)
    model = make()
    labels = bl.randint(0, classes, (shape[0], *shape[2:]) if name == "unet" else (shape[0],))
    return drawn(bl.see(F.cross_entropy(model(bl.randn(*shape)), labels)))


def drawn(circuit) -> Scene:
    return scene(circuit.graph, circuit.grouping, circuit.title)


SCENES = {
    **{f.__name__: lambda f=f: drawn(f()[0]) for f in (c1, c5, c8, c13, two_layer)},
    **{name: lambda name=name: model_scene(name) for name in FAMILIES},
}


def boxes(found: Scene) -> list[tuple[float, float, float, float]]:
    gates = [(b.left, b.top, b.left + b.width, b.top + b.height) for b in found.boxes]
    inside = [t for t in found.texts if t.middle]  # they stand in their gates
    for text in inside:
        left, _, right, _ = text.box
        assert any(g[0] <= left and right <= g[2] for g in gates), text
    return gates + [t.box for t in found.texts if not t.middle]


def overlap(a, b) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@pytest.mark.parametrize("name", SCENES)
def test_nothing_overlaps(name: str) -> None:
    found = SCENES[name]()
    placed = boxes(found)
    for a, b in itertools.combinations(placed, 2):
        assert not overlap(a, b), (a, b)
    for left, top, right, bottom in placed:
        assert left >= 0 and top >= 0 and right <= found.width and bottom <= found.height
    for line in found.lines:
        for x, y in points_of(line):
            through = [b for b in placed if b[0] + 0.5 < x < b[2] - 0.5 and b[1] < y < b[3]]
            assert not through, (name, line, through)


def points_of(line) -> list[tuple[float, float]]:
    """Points along the curve that is drawn, without its ends."""
    found = []
    for (x, y), (px, py) in itertools.pairwise(line.points):
        half = (x + px) / 2
        for t in np.linspace(0, 1, 12):
            s = 1 - t
            weights = s**3, 3 * s * s * t, 3 * s * t * t, t**3
            found.append((
                float(np.dot(weights, (x, half, half, px))),
                float(np.dot(weights, (y, y, py, py))),
            ))  # fmt: skip
    return found[1:-1]


def test_wires_lead_from_left_to_right() -> None:
    for line in SCENES["c8"]().lines:
        xs = [x for x, _ in line.points]
        assert xs == sorted(xs)


# ----- files -----


def test_svg_is_complete_and_names_are_escaped(tmp_path) -> None:
    (x,) = scalars(2)
    svg = bl.see(x * x, title='a < b & "c"').svg(tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text(encoding="utf-8") == svg
    root = ET.fromstring(svg)
    assert root.find(f"{SVG}title").text == 'a < b & "c" = 4'
    assert not any("href" in key for e in root.iter() for key in e.attrib)


def test_png_has_the_size_of_the_picture_and_shows_it(tmp_path) -> None:
    from PIL import Image

    circuit = c13()[0]
    circuit.png(tmp_path / "f.png", scale=1.5)
    picture = Image.open(tmp_path / "f.png").convert("RGB")
    found = drawn(circuit)
    assert abs(picture.width - 1.5 * found.width) <= 1.5
    assert abs(picture.height - 1.5 * found.height) <= 1.5
    colours = {c for _, c in picture.getcolors(1 << 24)}
    assert (23, 122, 52) in colours and (192, 31, 31) in colours


def test_names_in_any_script(tmp_path) -> None:
    (x,) = scalars(2)
    误差 = x * 3
    circuit = bl.see(误差)
    assert "误差" in circuit.svg()
    circuit.png(tmp_path / "f.png")


def test_not_finite_numbers_are_drawn() -> None:
    (x,) = scalars(0.0)
    with np.errstate(all="ignore"):
        svg = bl.see(x.log() * x).svg()
    assert 'data-value="-inf"' in svg and 'data-value="nan"' in svg


# ----- the layout -----


def test_layers_follow_the_longest_path_and_keep_their_gaps() -> None:
    nodes = [Node(k, 10, 20) for k in "abcd"]
    a, b, c, d = nodes
    edges = [Edge(a, b), Edge(b, c), Edge(a, c), Edge(c, d), Edge(a, d)]
    layout = place(nodes, edges, gap=5, between=30)
    assert [n.layer for n in nodes] == [0, 1, 2, 3]
    assert [n.x for n in nodes] == [0, 40, 80, 120] and layout.width == 130
    long = edges[4]
    assert [bend.layer for bend in long.bends] == [1, 2]
    assert abs(long.bends[0].y - b.y) >= 5 + 10 + long.bends[0].height / 2


def test_crossings_are_taken_out() -> None:
    left, right = (
        [Node(f"l{i}", 10, 10) for i in range(5)],
        [Node(f"r{i}", 10, 10) for i in range(5)],
    )
    edges = [Edge(left[i], right[4 - i]) for i in range(5)]
    place([*left, *right], edges, gap=4, between=20)
    order = sorted(range(5), key=lambda i: left[i].y)
    assert sorted(range(5), key=lambda i: right[4 - i].y) == order


def test_text_is_never_wider_than_measured() -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans")
    shown = ("0.1966", "-0.7916", "‖0.1851‖", "conv1.weight", "log softmax", "2×16×32×32", "MMWW",
             "= 0.5121 + (-0.03576)", "BasicBlock 0", "−log p[y]", "Σ σ ×−1")  # fmt: skip
    for text in shown:
        drawn_width = TextPath((0, 0), text, size=13, prop=font).get_extents().width
        assert drawn_width <= text_width(text, 13) * 1.02, text


def test_a_long_circuit_stays_a_picture_that_opens(tmp_path):
    from PIL import Image

    from backlit.views.scene import LONGEST_SIDE, Scene, to_png

    to_png(Scene(50_000, 100), tmp_path / "long.png", 2.0)
    with Image.open(tmp_path / "long.png") as picture:
        assert picture.width <= LONGEST_SIDE
