"""The inner loops of products hold all their sums in registers, on every kind of machine."""

import re
from dataclasses import replace

import pytest

from backlit.backends.cpu.attention import kernels as attention_kernels
from backlit.backends.cpu.matmul import cuts as matmul_plan
from backlit.backends.cpu.matmul import dots as matmul_dots
from backlit.backends.cpu.matmul import kernels as matmul_kernels
from backlit.backends.cpu.matmul import lowering as matmul
from backlit.backends.cpu.matmul.epilogue import Epilogue, Operand
from backlit.backends.cpu.native import features, jit
from backlit.backends.cpu.recurrent import cells as recurrent_cells
from backlit.backends.cpu.recurrent import kernels as recurrent_kernels
from backlit.backends.cpu.recurrent import lowering as recurrent

WIDE = ",+avx512f,+avx512vl,+avx512bw,+avx512dq"


def plain(dtype: str) -> Epilogue:
    return Epilogue((), (Operand(dtype, True, True),), "sum", matmul.total_alone, False)


@pytest.fixture(params=["avx2", "avx512"])
def machine(request: pytest.FixtureRequest) -> features.Machine:
    """Code for these is only read, so that the tests need no such CPU."""
    found = features.machine()
    if not found.triple.startswith("x86_64"):
        pytest.skip("reads x86 assembly")
    if request.param == "avx2":
        return replace(found, cpu="x86-64-v3", features="+avx2,+fma", vector_bytes=32, registers=16)
    return replace(found, cpu="x86-64-v4", features="+avx2,+fma" + WIDE, vector_bytes=64,
                   registers=32)  # fmt: skip


def inner_loops(assembly: str) -> list[str]:
    """The loops without branches that multiply and add."""
    found = []
    for block in re.split(r"\n(?=\.LBB\d+_\d+:)", assembly):
        block += "\n"
        label = re.match(r"\.LBB\d+_\d+", block)
        end = label and re.search(rf"\tj\w+\t{re.escape(label[0])}\n", block)
        if end and block[: end.start()].count("vfmadd") > 4:
            found.append(block[: end.start()])
    return found


def check(text: str, machine: features.Machine) -> None:
    loops = inner_loops(jit.assembly(text, machine))
    assert loops
    for loop in loops:
        assert "(%rsp)" not in loop, loop


@pytest.mark.parametrize("along", ["k", "i", ""])
@pytest.mark.parametrize("columns", [8, 100, 24, 48])
def test_products(machine, columns, along):
    for element, dtype in (("float", "float32"), ("double", "float64")):
        height, vectors = matmul_plan.tile_shape(machine, element, 1000, columns)
        tiling = matmul_kernels.Tiling(
            element=element, height=height, vectors=vectors, rest=height - 1, tail=0, masked=0,
            padded=True, packs="", along=along, copied=False, blocked=False, batched=False,
        )  # fmt: skip
        check(matmul_kernels.product_text(machine, tiling, plain(dtype)), machine)


@pytest.mark.parametrize("columns", [1, 2, 30])
def test_dots(machine, columns):
    groups = matmul_dots.groups(columns)
    dots = matmul_dots.Dots("float", matmul_dots.height_for(machine, columns), 0, groups, True)
    check(matmul_dots.text(machine, dots, plain("float32")), machine)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that are given to the compiler."""
    found: list[str] = []
    monkeypatch.setattr(jit, "compile_function", lambda text, *_: found.append(text) or 1)
    return found


@pytest.mark.parametrize("cell", [recurrent_cells.LSTM, recurrent_cells.GRU,
                                  recurrent_cells.RNN_TANH], ids=lambda c: c.name)  # fmt: skip
def test_walks(machine, cell, texts):
    units = 2 if cell.gates == 1 else 1
    height = recurrent.tile_height(machine, cell.gates * units)
    shape = recurrent_kernels.Shape("float", height, units, 0, 0, False)
    recurrent_kernels.walk(machine, cell, shape)
    height, vectors = matmul_plan.tile_shape(machine, "float", 1000, 100)
    shape = recurrent_kernels.Shape("float", height, vectors, 0, 0, False, (True, False, False))
    recurrent_kernels.walk_back(machine, cell, shape)
    for text in texts:
        check(text, machine)


def test_attention(machine, texts):
    baked = attention_kernels.Attention("float", False)
    attention_kernels.forward(machine, baked, (3, 2))
    attention_kernels.backward(machine, baked, (3, 2, 2))
    for text in texts:
        check(text, machine)
