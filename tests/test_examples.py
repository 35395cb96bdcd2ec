"""The examples run in their short form and reach what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
# Experiments leave these pictures in the folder they are given; each has a test of its own.
PICTURES = {
    "activations.py": ["activations.png"],
    "adding.py": ["adding.png", "gradient_by_step.png"],
    "clipping.py": ["clipping.png"],
    "depth.py": ["depth.png"],
    "exploding.py": ["exploding.png"],
    "few_labels.py": ["autoencoder.png"],
    "initialization.py": ["initialization.png"],
    "localization.py": ["localization.png"],
    "minima.py": ["minima.png"],
    "parameters.py": ["parameters.png"],
    "taxonomy.py": ["clip.png", "taxonomy.png"],
    "trajectories.py": ["trajectories.png"],
    "vanishing.py": [f"{kind}_{depth}.png" for kind in ("plain", "residual") for depth in (10, 20)],
}
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name not in PICTURES)


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What each example has printed; each is run once."""
    return {}


def output_of(name: str, printed: dict[str, str], *words: str) -> str:
    if name not in printed:
        command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--smoke", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed[name] = done.stdout
    return printed[name]


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[[str], str]:
    """Runs an experiment with a folder, looks at the pictures, and gives what was printed."""

    def run(name: str) -> str:
        text = output_of(name, {}, str(tmp_path))
        assert sorted(path.name for path in tmp_path.iterdir()) == PICTURES[name]
        assert all(_drawn(path) for path in tmp_path.iterdir())
        return text

    return run


def _drawn(path: Path) -> bool:
    """Whether a picture shows something: more than a few colours."""
    with Image.open(path) as picture:
        return len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize("name", SCRIPTS)
def test_example_runs(name: str, printed: dict[str, str]) -> None:
    assert output_of(name, printed).strip()


def test_both_ways_through_the_circuit_agree(printed: dict[str, str]) -> None:
    text = output_of("circuit.py", printed)
    assert re.search(r" x +3\.0000000000 +2\.0595697956 +2\.0595697956", text)
    assert re.search(r" y +-4\.0000000000 +1\.592232751\d +1\.592232751\d", text)
    assert numbers(r"largest difference: (\S+)", text)[0] < 1e-15


def test_every_wrong_gradient_is_found(printed: dict[str, str]) -> None:
    text = output_of("wrong_gradient.py", printed)
    found = re.findall(r"wrong operator: (\w+) at wrong_gradient\.py", text)
    assert found == ["LostFork", "LostFactor", "LostSum"]
    assert "input 0" not in text.split("LostSum:")[1]  # only the bias is wrong there


def test_the_digits_are_learned(printed: dict[str, str]) -> None:
    text = output_of("digits.py", printed)
    first, last = numbers(r"loss (\S+),", text)
    assert last < 0.7 * first
    assert numbers(r"(\S+)% of", text)[-1] > 30


def test_the_text_is_learned(printed: dict[str, str]) -> None:
    text = output_of("characters.py", printed)
    first, last = numbers(r": (\S+) nats", text)
    assert first > 3.4 and last < 3.0
    assert text.rstrip("\n").count("Tyger Tyge") == 1


def test_a_text_may_be_given(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("abcdefgh " * 40)
    text = output_of("characters.py", {}, "--text", str(book))
    assert set(text.split("character\n")[-1].strip()) <= set("abcdefgh ")
    assert numbers(r": (\S+) nats", text)[-1] < 1.5


def test_wrong_labels_have_the_largest_gradients(printed: dict[str, str]) -> None:
    text = output_of("per_sample.py", printed)
    chosen, found = (int(x) for x in re.findall(r"of the (\d+) samples .* (\d+) have", text)[0])
    assert chosen == 20 and found >= 12


def test_saturated_neurons_learn_late(printed: dict[str, str], tmp_path: Path) -> None:
    text = output_of("saturation.py", {}, str(tmp_path))
    slopes = numbers(r"(?m)^ +\d+ +\S+ +(\S+)$", text)
    assert slopes == [0.25, 0.104994, 6.64806e-3, 4.53958e-5, 2.06115e-9]
    early, late, cross = numbers(r"after (\d+) steps", text)
    assert early < late / 4 and cross < late / 4
    assert re.findall(r"saturated in (\S+):", text) == ["sequential.3"]
    pictures = ["saturated_layer.png", "saturation.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == pictures


def test_deep_sigmoids_fade_and_skips_carry(experiment) -> None:
    text = experiment("vanishing.py")
    pairs = re.findall(r"bound \S+ = (\S+), chain (\S+)", text)
    assert pairs == [("9.537e-07", "9.537e-07"), ("9.095e-13", "9.095e-13")]
    assert re.findall(r"(\d+) layers, (\w+): (\w+)", text) == [
        ("10", "plain", "vanishing"), ("10", "residual", "no"),
        ("20", "plain", "vanishing"), ("20", "residual", "no"),
    ]  # fmt: skip
    ten, twenty = numbers(r"(\S+) times as large", text)
    assert ten > 1e5 and twenty > 1e12
    assert numbers(r"residual layer: (\S+)", text)[0] < 1e-14


def test_recurrences_grow_as_a_power(experiment) -> None:
    text = experiment("exploding.py")
    rows = re.findall(r"(?m)^ +\S+ +\d+ +(\S+) +(\S+)$", text)
    assert len(rows) == 8 and all(a == b for a, b in rows)
    assert re.findall(r"rho (\S+): (\w+)", text) == [
        ("0.8", "vanishing"), ("1", "no"), ("1.3", "exploding")
    ]  # fmt: skip
    assert numbers(r"becomes (\S+)", text) == [1.0]


def test_the_demon_is_right_to_first_order(tmp_path: Path) -> None:
    text = output_of("nudge.py", {}, str(tmp_path))
    assert "<svg" in (tmp_path / "nudge.html").read_text(encoding="utf-8")
    errors = numbers(r"(?m)^0\.\d+ .* (\S+)$", text)
    assert len(errors) == 9
    for big, middle, small in zip(errors[::3], errors[1::3], errors[2::3]):
        assert big > 5 * middle > 25 * small
    assert text.count("the loss falls") == 3 and text.count("delta is the slope") == 3


def test_gates_remember_where_plain_recurrence_does_not(experiment) -> None:
    rows = re.findall(
        r"(\w+): error (\S+) .* (\S+) at the first .* (\S+) at", experiment("adding.py")
    )
    found = {kind: [float(x) for x in numbers] for kind, *numbers in rows}
    assert found["rnn"][0] > 0.12 and found["lstm"][0] < 0.06 and found["gru"][0] < 0.03
    for kind in ("lstm", "gru"):
        assert found[kind][1] > 10 * found["rnn"][1]  # what arrives from the first step


def test_activations_are_what_they_are_and_learn_at_their_own_pace(experiment) -> None:
    text = experiment("activations.py")
    slopes = {row[0]: row[1:] for row in (line.split() for line in text.splitlines()) if row}
    assert slopes["z"][:5] == ["-5", "-1", "0", "1", "5"]
    assert re.findall(r"(?m)^ *sigmoid .*  (\S+)  0\.\.0\.25$", text)
    assert re.findall(r"(?m)^ *tanh .*  -1\.\.1  0\.\.1$", text)
    assert re.findall(r"(?m)^ *ReLU .*  0\.\.50  0\.\.1$", text)
    assert re.search(r"sigmoid.* 0\.5000/0\.250000 ", text)
    assert re.search(r"tanh.* 0\.7616/0\.419974 ", text)
    rows = re.findall(r"(?m)^ *(\w+) +(\d+) +\S+ +(\S+) +(\S+)% ", text)
    count, loss, right = ({row[0]: float(row[i]) for row in rows} for i in (1, 2, 3))
    assert count["sigmoid"] == count["tanh"] == count["ReLU"] == count["PReLU"] - 2
    assert loss["sigmoid"] > 2 > loss["ReLU"] and right["tanh"] > 70


def test_starts_end_in_different_minima(experiment) -> None:
    text = experiment("minima.py")
    rows = re.findall(r"(?m)^ +\d +(\S+) +(\S+) +(\S+)  minimum$", text)
    assert len(rows) == 3
    costs = [float(cost) for cost, _, _ in rows]
    assert max(costs) - min(costs) > 0.01
    assert all(float(g) < 1e-5 < float(curvature) for _, g, curvature in rows)


def test_dense_networks_grow_with_the_image(experiment) -> None:
    text = experiment("parameters.py")
    assert "what was built: yes" in text
    rows = {row[:25].strip(): row[26:].split() for row in text.splitlines()[2:-1]}
    assert rows["64 maps, dense"] == ["201,392,128", "483,388,358,656"]
    assert rows["64 maps, 3x3 convolution"] == ["1,792", "1,792"]
    assert rows["ResNet-20 and ResNet-18"] == ["272,474", "11,689,512"]


def test_labels_of_windows_are_enough_to_point_at_cells(experiment) -> None:
    text = experiment("localization.py")
    after, before = numbers(r"at one in (\S+)%", text), numbers(r", (\S+)% before", text)
    covered = numbers(r"cover (\S+)%", text)
    assert after[0] > 90 and after[1] > 30
    for end, start, chance in zip(after, before, covered):
        assert end > 2 * start and end > 5 * chance


def test_the_start_decides_whether_a_network_learns(experiment) -> None:
    text = experiment("initialization.py")
    pattern = r"(?m)^(.+): loss (\S+), (\S+)% right(.*); before: gradient (\S+), (.*)$"
    rows = re.findall(pattern, text)
    found = {name: rest for name, *rest in rows}
    assert found["zero"][2:] == [", units all alike", "0.0e+00", "vanishing in sequential.1"]
    assert found["all equal"][2] == ", units all alike" and found["Xavier"][2] == ""
    assert "vanishing" in found["tiny, 0.001"][4] and "no alarm" in found["Xavier"][4]
    assert found["large, 1"][4].count("saturated") == 3
    assert found["Xavier, raw pixels"][4] == "saturated in sequential.2"
    right = {name: float(rest[1]) for name, rest in found.items()}
    assert right["Xavier"] > 70 > 50 > max(v for k, v in right.items() if k != "Xavier")
    losses = numbers(r"learning rate .* loss (\S+),", text)
    assert losses[2] < 1 < 2 < losses[0] < 10 < losses[-1]


def test_skips_carry_gradients_that_sigmoids_stop(experiment) -> None:
    pattern = (
        r"(\d+) layers, (\w+): first/last gradient (\S+) .* (\S+)\), .* leaves (\S+) .* (\S+)%"
    )
    rows = re.findall(pattern, experiment("depth.py"))
    assert [row[:2] for row in rows] == [
        ("10", "plain"), ("10", "residual"), ("20", "plain"), ("20", "residual")
    ]  # fmt: skip
    for plain, residual in (rows[:2], rows[2:]):
        ratio, bound, most, right = (float(x) for x in plain[2:])
        assert bound / 10 < ratio < bound and 0.2 < most < 0.25 and right < 30
        assert float(residual[2]) > 0.5 and float(residual[5]) > 70


def test_clipping_lets_an_exploding_network_learn(experiment) -> None:
    text = experiment("clipping.py")
    rows = re.findall(r"last (\S+), rho\^27 (\S+); (.*)$", text, re.MULTILINE)
    assert len(rows) == 3 and rows[2][2] == "exploding"
    for measured, power, _ in rows:
        assert float(measured) == pytest.approx(float(power), rel=1e-4)
    assert "without clipping: diverged" in text
    assert numbers(r"clipped at 1: (\S+)% right", text)[0] > 60


def test_optimizers_go_where_their_formulas_say(experiment) -> None:
    text = experiment("trajectories.py")
    errors = numbers(r"off its closed form by (\S+),", text)
    assert len(errors) == 4 and max(errors) < 1e-12
    assert max(numbers(r"ends (\S+) from", text)) < 0.02
    assert re.search(r"at 0\.99 .* becomes 0\.", text)
    (far,) = numbers(r"at 1\.01 .* becomes (\S+)", text)
    assert far > 10


def test_unlabelled_digits_help(experiment) -> None:
    text = experiment("few_labels.py")
    before, *_, after = numbers(r": (\S+)%", text)
    assert after > before + 2
    code, principal = re.findall(r"error (\S+), from principal ones (\S+)", text)[0]
    assert float(code) < float(principal)


def test_both_kinds_of_networks_learn_images_and_video(experiment) -> None:
    rows = re.findall(r"(\w+), (\w+): .* (\S+)%", experiment("taxonomy.py"))
    right = {(task, kind): float(share) for task, kind, share in rows}
    assert right["image", "features"] > 70 and right["image", "sequence"] > 25
    assert right["video", "features"] > 30 and right["video", "sequence"] > 45  # 10 is guessing
