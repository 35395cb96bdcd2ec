"""The verifier finds every kind of planted fault."""

import dataclasses

import pytest

import backlit as bl
from backlit.backends.reference import check
from backlit.errors import ProgramError
from backlit.program.capture import capture
from backlit.program.ir import Instr, Program, Value


def program():
    def step(x, w):
        values, places = (x @ w).sigmoid().max(dim=1)
        return (values * 2.0).sum(), places

    return capture(step, bl.ones(2, 3), bl.ones(3, 4)).program


def changed(number, **fields):
    p = program()
    instrs = list(p.instrs)
    instrs[number] = dataclasses.replace(instrs[number], **fields)
    return dataclasses.replace(p, instrs=tuple(instrs))


def test_what_was_captured_is_right():
    assert check(program()) == program()


def test_planted_faults_are_found():
    p = program()
    matmul, _, extreme, mul = p.instrs[:4]
    x, w = p.inputs
    faults = {
        "no such operator": changed(1, op="sigmoyd"),
        "used before it is made": changed(0, inputs=(x, mul.outputs[0])),
        "was made as": changed(1, inputs=(Value("matmul_0", (4, 2), bl.float32),)),
        "made twice": changed(1, outputs=(matmul.outputs[0],)),
        "inner sizes differ": changed(0, inputs=(w, w)),
        "do not fit": changed(1, inputs=(matmul.outputs[0], 1.0)),
        "sigmoid takes x": changed(1, params={"slope": 2}),
        "should be": changed(1, outputs=(Value("s", (2, 4), bl.float64),)),
        "1 outputs, the operator has 2": changed(2, outputs=extreme.outputs[:1]),
        "mul takes": changed(3, inputs=mul.inputs[:1]),
        "has no attribute": changed(0, inputs=(x, 3)),
        "can't be the name": dataclasses.replace(p, inputs=(x, dataclasses.replace(w, name="nan"))),
        "return: 'z'": dataclasses.replace(p, outputs=(Value("z", (), bl.float32),)),
    }
    for message, wrong in faults.items():
        with pytest.raises(ProgramError, match=message):
            check(wrong)


def test_faults_within_inner_programs_are_found():
    p = program()
    made = tuple(dataclasses.replace(v, name=f"out_{v.name}") for v in p.outputs)

    def around(body, operands=p.inputs, outputs=made):
        instr = Instr("fused", operands, outputs, {"body": body})
        return Program("outer", p.inputs, (instr,), outputs)

    x, w = p.inputs
    assert check(around(p))
    with pytest.raises(ProgramError, match=r"\(fused\): in its program .*no such operator"):
        check(around(changed(1, op="sigmoyd")))
    with pytest.raises(ProgramError, match="for the inputs"):
        check(around(p, (w, x)))
    with pytest.raises(ProgramError, match="should be"):
        check(around(p, outputs=made[::-1]))
