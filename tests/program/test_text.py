"""Programs as text: what is written is read again, and no text does worse than be refused."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import dtypes
from backlit.errors import ProgramError
from backlit.program.capture import capture
from backlit.program.ir import Instr, Program, Value
from backlit.program.text import is_name, parse, write

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(is_name)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none())
LITERALS = st.recursive(
    st.one_of(NUMBERS, st.text(max_size=8), st.sampled_from(dtypes.ALL)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=4), inner, max_size=2),
    ),
    max_leaves=5,
)


@st.composite
def programs(draw, depth=2):
    names = iter(draw(st.lists(NAMES, min_size=14, max_size=14, unique=True)))

    def value():
        shape = tuple(draw(st.lists(st.integers(0, 9), max_size=3)))
        return Value(next(names), shape, draw(st.sampled_from(dtypes.ALL)))

    known = [value() for _ in range(draw(st.integers(0, 3)))]
    inputs, instrs = tuple(known), []
    operand = lambda: draw(st.one_of(NUMBERS, *([st.sampled_from(known)] if known else [])))
    for _ in range(draw(st.integers(0, 4))):
        read = tuple(operand() for _ in range(draw(st.integers(0, 3))))
        made = tuple(
            value() if draw(st.booleans()) else None for _ in range(draw(st.integers(1, 2)))
        )
        params = draw(st.dictionaries(NAMES, LITERALS, max_size=3))
        for key in draw(st.lists(NAMES, max_size=depth, unique=True)):
            inner = draw(programs(depth - 1))
            params[key] = draw(st.sampled_from([inner, (inner, 2), {"a": [inner, inner]}]))
        notes = draw(st.lists(st.text(max_size=8), min_size=4, max_size=4))
        instrs.append(Instr(draw(NAMES), read, made, params, *notes))
        known += [v for v in made if v is not None]
    return Program(draw(NAMES), inputs, tuple(instrs), tuple(operand() for _ in range(2)))


@settings(max_examples=100, deadline=None)
@given(programs())
def test_what_is_written_is_read_again(program):
    text = write(program)
    assert parse(text) == program
    assert write(parse(text)) == text


@functools.cache
def example():
    def step(x, w):
        return bl.nn.functional.cross_entropy((x @ w).relu(), bl.tensor([0, 1]))

    program = capture(step, bl.ones(2, 3), bl.ones(3, 4)).program
    x, y = Value("a", (2, 3), bl.float32), Value("b", (3, 4), bl.float32)
    read = (x, y, *(Value(v.name, v.shape, v.dtype) for v in program.inputs[2:]))
    made = tuple(Value(f"out_{v.name}", v.shape, v.dtype) for v in program.outputs)
    return write(Program("g", read, (Instr("fused", read, made, {"body": program}),), made))


def nested():
    inner = capture(lambda h, x: (h * x).tanh(), bl.ones(2), bl.ones(2), name="step").program
    x, y = Value("x", (2,), bl.float32), Value("y", (2,), bl.float32)
    first = Instr("fused", (x, x), (y,), {"body": inner}, "train.py:1")
    outer = Program("outer", (x,), (first,), (y,))
    z = Value("z", (2,), bl.float32)
    return Program("f", (x,), (Instr("fused", (x,), (z,), {"body": outer}),), (z,))


def test_programs_within_programs_are_indented():
    lines = write(nested()).splitlines()
    assert [len(t) - len(t.lstrip()) for t in lines] == [0, 2, 4, 6, 8, 10, 10, 10, 6, 2]
    assert lines[1] == "  z: float32[2] = fused(x, body=program)"
    assert lines[2] == "    program outer(x: float32[2]):"
    assert parse("\n".join(t.strip() for t in lines)) == nested()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y: float32[2] = fused(x, body=program)", "line 3: expected `program"),
        ("y: float32[2] = fused(program)", "before it is made"),
        ("y: float32[2] = fused(x, body={program: 1})", "not a literal"),
        ("return x", "has returned, and then"),
    ],
)
def test_faults_around_inner_programs_are_named(text, message):
    with pytest.raises(ProgramError, match=message):
        parse(f"program f(x: float32[2]):\n  {text}\n  return x")


EDITS = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 6),
        st.one_of(
            st.text(max_size=3),
            st.sampled_from(
                [
                    "(",
                    ")",
                    "=",
                    "**x",
                    "-None",
                    "{**a}",
                    "{[]: 1}",
                    "1j",
                    "...",
                    "9" * 5000,
                    "[" * 300,
                    "-" * 3000,
                    "\x00",
                    "\n",
                    "return ",
                    "#",
                    '"',
                    "\\",
                    "_",
                ]
            ),
        ),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(EDITS)
def test_no_text_does_worse_than_be_refused(edits):
    from backlit.backends.reference import check

    text = example()
    for place, cut, new in edits:
        place %= len(text)
        text = text[:place] + new + text[place + cut :]
    try:
        check(parse(text))
    except ProgramError:
        pass


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y: float32[2] = exp(x, **x)", "by name"),
        ("y: float32[2] = exp(x)(x)", "expected `operator"),
        ("y: float32[2] = exp(-'a')", "not a literal"),
        ("y: float32[2] = exp({[]: 1})", "not a literal"),
        ("y: float32[2] = exp(1j)", "not a literal"),
        ("y: float32[2] = exp(__import__('os'))", "not a literal"),
        ("y: float32[2 3] = exp(x)", "expected `name"),
        ("y: float33[2] = exp(x)", "expected `name"),
        ("nan: float32[2] = exp(x)", "can't be the name"),
        ("None: float32[2] = exp(x)", "can't be the name"),
        ("y: float32[2] = exp(z)", "before it is made"),
        ("y: float32[2] = exp(" + "[" * 500, "line 2|nested"),
        ("y: float32[2] = exp(" + "9" * 5000 + ")", "line 2"),
    ],
)
def test_faults_are_named(line, message):
    with pytest.raises(ProgramError, match=message):
        parse(f"program f(x: float32[2]):\n  {line}\n  return x")


def test_numpys_numbers_are_written_as_numbers():
    instr = Instr("f", (), (None,), {"a": np.float64(1.5), "b": (-0.0, math.inf, -math.inf)})
    program = Program("p", (), (instr,), ())
    assert "a=1.5, b=(-0.0, inf, -inf)" in write(program)
    assert math.copysign(1, parse(write(program)).instrs[0].params["b"][0]) == -1
