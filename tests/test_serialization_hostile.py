"""Files made to harm: each is refused with its name and a reason, and nothing in it is run."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import sys
import zipfile

import pytest

import backlit as bl
from backlit.errors import BacklitError, CheckpointError
from backlit.serialization import opcodes

BYTES = struct.pack("<4f", 0, 1, 2, 3)


def text(word: str) -> bytes:
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(n: int) -> bytes:
    raw = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(raw)) + raw


def name(module: str, function: str) -> bytes:
    return f"c{module}\n{function}\n".encode()


def storage(key: str = "0", count: int = 4, kind: str = "FloatStorage") -> bytes:
    words = text("storage") + name("torch", kind) + text(key) + text("cpu") + number(count)
    return b"(" + words + b"tQ"


def numbers(values) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(size=(4,), stride=(1,), offset: int = 0, source: bytes | None = None) -> bytes:
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    window = number(offset) + numbers(size) + numbers(stride)
    end = b"\x89" + name("collections", "OrderedDict") + b")R"
    return rebuild + b"(" + (source or storage()) + window + end + b"tR"


def archive(program: bytes, entries: dict[str, bytes] | None = None, **settings) -> io.BytesIO:
    """A zip as torch.save lays it out; the opcodes are ours."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **settings) as made:
        made.writestr("x/data.pkl", b"\x80\x02" + program + b".")
        for key, raw in ({"data/0": BYTES} if entries is None else entries).items():
            made.writestr(f"x/{key}", raw)
    file.seek(0)
    return file


def stream(program: bytes, behind: bytes = b"") -> io.BytesIO:
    """A file as PyTorch wrote it before 1.6."""
    head = [pickle.dumps(part, 2) for part in
            (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]  # fmt: skip
    return io.BytesIO(b"".join(head) + b"\x80\x02" + program + b"." + behind)


def refused(file: io.BytesIO, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        bl.load(file)


def test_the_files_made_here_are_read_where_they_are_sound():
    assert bl.load(archive(tensor())).tolist() == [0, 1, 2, 3]
    behind = pickle.dumps(["0"], 2) + struct.pack("<q", 4) + BYTES
    assert bl.load(stream(tensor(), behind)).tolist() == [0, 1, 2, 3]


CODE = [
    name("os", "system") + text("touch harm") + b"\x85R",
    name("builtins", "eval") + text("open('harm', 'w')") + b"\x85R",
    b"(" + text("touch harm") + b"ios\nsystem\n",
    text("os") + text("system") + b"\x93" + text("touch harm") + b"\x85R",
    name("torch", "load") + text("harm") + b"\x85R",
    name("torch._utils", "_rebuild_tensor_v2.__globals__"),
    name("collections", "OrderedDict.fromkeys"),
    name("backlit.serialization.torch_names", "_shell"),
    name("functools", "partial"),
    name("collections", "OrderedDict") + name("os", "system") + b"\x85R",
]


@pytest.mark.parametrize("program", CODE)
@pytest.mark.parametrize("form", [archive, stream])
def test_code_is_refused_and_not_run(tmp_path, monkeypatch, program, form):
    monkeypatch.chdir(tmp_path)
    refused(form(program), "holds .*(which is not among|the opcode INST)")
    assert not os.listdir(tmp_path)


OTHERS = {
    "pickles of others": (pickle.dumps(os.path.join), "did not write"),
    "extension": (b"\x82\x01", "EXT1, which is not allowed"),
    "protocol": (b"\x80\x09", "pickle protocol 9"),
    "opcode": (b"\xfe", "the opcode fe"),
    "call of a number": (number(3) + b")R", "a call of int"),
    "call of a type": (name("torch", "FloatStorage") + b")R", "a call of torch.FloatStorage"),
    "new of a type": (name("torch.nn.parameter", "Parameter") + b")\x81", "a call of torch.nn"),
    "state of a tensor": (tensor() + b"}" + text("cell") + number(1) + b"sb", "a state for a"),
    "state of a dict": (b"}}" + text("x") + number(1) + b"sb", "a state for a dict"),
    "other metadata": (
        name("collections", "OrderedDict") + b")R}" + text("clear") + b"Nsb", "a state for"),
    "attributes": (
        name("torch._utils", "_rebuild_parameter_with_state") + b"(" + tensor() + b"\x88N}"
        + text("cell") + b"NstR", "the attribute 'cell'"),
    "module": (b"(" + text("module") + b"NtQ", "a persistent 'module'"),
    "append to a tuple": (b")Na", "appending to a tuple"),
    "empty": (b"", "is damaged"),
    "no memo": (b"h\x07", "is damaged"),
    "pop": (b"0", "is damaged"),
    "short tuple": (b"N\x87", "is damaged"),
    "odd items": (b"}(Nu", "is damaged"),
    "cut off": (b"X\xff\xff\xff\x7fab", "a cut-off end"),
    "text": (b"X\x01\x00\x00\x00\xff", "is damaged"),
    "negative length": (b"\x8b\xff\xff\xff\xff", "a cut-off end"),
    "arguments": (name("torch._utils", "_rebuild_tensor_v2") + b")R", "is damaged"),
    "no storage": (tensor(source=number(1)), "no plain window"),
    "parameter of nothing": (
        name("torch._utils", "_rebuild_parameter") + b"N\x88N\x87R", "not made of a tensor"),
    "requires grad": (
        name("torch._utils", "_rebuild_parameter") + tensor(source=storage(kind="IntStorage"))
        + b"\x88N\x87R", "int32 that requires grad"),
    "strange type": (storage(kind="ComplexFloatStorage"), "a number format"),
    "NumPy objects": (name("numpy", "dtype") + text("O8") + b"\x85R", "a NumPy array of 'O8'"),
    "NumPy text": (name("numpy", "dtype") + text("U4000000000") + b"\x85R", "a NumPy array of"),
    "encoding": (name("_codecs", "encode") + text("a") + text("rot13") + b"\x86R", "rot13"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_data_is_refused(case):
    program, words = OTHERS[case]
    if case == "pickles of others":
        return refused(io.BytesIO(program), words)
    refused(archive(program), words)


WINDOWS = {
    "behind the end": (tensor(offset=1), "reaches element 5 of 4"),
    "far behind": (tensor(offset=1 << 70), "reaches element"),
    "before the start": (tensor(offset=-1), "at -1"),
    "backwards": (tensor(stride=(-1,), offset=3), r"strides \(-1,\)"),
    "large strides": (tensor(stride=(1 << 62,)), "reaches element"),
    "negative size": (tensor(size=(-4,)), r"shape \(-4,\)"),
    "huge and expanded": (tensor(size=(1 << 40, 1 << 40), stride=(0, 0)), "2 axes and"),
    "many axes": (tensor(size=(1,) * 65, stride=(1,) * 65), "65 axes"),
    "unequal": (tensor(size=(2, 2)), r"shape \(2, 2\) with strides \(1,\)"),
    "floats": (tensor(source=b"(" + text("storage") + b"NNNNtQ"), "without a type"),
    "negative storage": (tensor(source=storage(count=-4)), "a size of -4"),
    "storage of no entry": (tensor(source=storage("9")), "'9' without an entry"),
    "path": (tensor(source=storage("../../etc/passwd")), "without an entry"),
    "claims more": (tensor(source=storage(count=1 << 50)), "of 16 bytes, not"),
    "claims less": (tensor(size=(1,), source=storage(count=1)), "of 16 bytes, not 4"),
    "two types": (b"]" + tensor() + b"a" + tensor(source=storage(kind="IntStorage")) + b"a",
                  "in different types"),
}  # fmt: skip


@pytest.mark.parametrize("case", WINDOWS)
def test_windows_stay_within_their_storage(case):
    program, words = WINDOWS[case]
    refused(archive(program), words)


def test_bytes_that_are_no_bools_become_bools():
    source = tensor(source=storage(kind="BoolStorage"))
    assert bl.load(archive(source, {"data/0": b"\0\1\2\xff"})).tolist() == [False, True, True, True]


def test_the_other_byte_order():
    big = {"data/0": struct.pack(">4f", 0, 1, 2, 3), "byteorder": b"big"}
    assert bl.load(archive(tensor(), big)).tolist() == [0, 1, 2, 3]


def test_streams_that_are_cut_off_or_claim_more():
    keys = pickle.dumps(["0"], 2)
    refused(stream(tensor(), keys + struct.pack("<q", 4) + BYTES[:-1]), "cut off")
    refused(stream(tensor(), keys + struct.pack("<q", 1 << 60)), "cut off")
    refused(stream(tensor(), keys), "damaged")
    refused(stream(tensor(), pickle.dumps(["1"], 2)), "other storages")
    refused(stream(tensor(source=storage(count=1 << 60)), keys + struct.pack("<q", 1 << 60)), "cut")
    refused(stream(tensor()), "cut-off end")


def test_zip_files_that_are_not_as_torch_writes_them():
    refused(archive(tensor(), compression=zipfile.ZIP_DEFLATED), "compressed or encrypted")
    refused(archive(b"N", {"code/x.py": b"import os"}), "TorchScript")
    file = archive(tensor())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as more:
        more.writestr("x/data/0", BYTES)
    file.seek(0)
    refused(file, "'x/data/0' twice")
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w") as made:
        made.writestr("word/document.xml", "<a/>")
    foreign.seek(0)
    refused(foreign, "a zip file, but not one of PyTorch")


def test_a_zip_bomb_of_overlapping_entries_is_refused():
    """Many entries of the directory point to the same bytes."""
    file = archive(tensor(), {"data/0": b"\0" * 5000})
    raw = bytearray(file.getvalue())
    end = raw.rindex(b"PK\5\6")
    count, size, start = struct.unpack_from("<HII", raw, end + 10)
    directory = bytes(raw[start : start + size])
    last = directory[directory.rindex(b"PK\1\2") :]
    copies = [last.replace(b"x/data/0", f"x/data/{i}".encode()) for i in range(1, 9)]
    grown = directory + b"".join(copies)
    struct.pack_into("<HHI", raw, end + 8, count + 8, count + 8, len(grown))
    refused(io.BytesIO(bytes(raw[:start]) + grown + bytes(raw[end:])), "overlap|damaged")


def test_damaged_bytes_are_noticed():
    raw = bytearray(archive(tensor()).getvalue())
    place = raw.index(BYTES)
    raw[place + 5] ^= 1
    refused(io.BytesIO(bytes(raw)), "damaged.*CRC")
    refused(io.BytesIO(bytes(raw[: place + 3])), "damaged")


def test_a_memo_bomb_stays_small():
    """Lists of lists of lists, ten of each: written small, and as small in memory."""
    program = b"]q\x00"
    for i in range(1, 100):
        again = b"h" + bytes([i - 1])
        program += b"](" + again * 10 + b"eq" + bytes([i])
    made = bl.load(archive(program, {}))
    assert len(made) == 10 and made[0] is made[9]


def test_keys_that_would_hang_a_dict_are_refused():
    nested = b")" + b"\x85" * 100_000
    refused(archive(b"}" + nested + b"Ns"), "a tuple as a key")
    collide = sys.hash_info.modulus << 40
    refused(archive(b"}" + number(collide) + b"Ns"), "a key of 101 bits")
    refused(archive(b"}]Ns"), "a list as a key")
    refused(archive(b"\x8f(" + nested + b"\x90"), "a tuple as a key")


def test_deep_nesting_is_no_crash():
    made = bl.load(archive(b"]" * 50_000 + b"a" * 49_999, {}))
    depth = 1
    while made:
        made, depth = made[0], depth + 1
    assert depth == 50_000


def test_opcodes_end_somewhere(monkeypatch):
    monkeypatch.setattr(opcodes, "LONGEST", 100)
    refused(archive(b"N0" * 100), "more opcodes|data.pkl of")
    refused(stream(b"N0" * 100), "more opcodes")
    monkeypatch.undo()
    monkeypatch.setattr(opcodes, "MOST", 50)
    refused(archive(b"\x8f" * 60), "more than 50 opcodes")
    assert bl.load(archive(b"\x8f" * 40, {})) == set()
    decimal = b"I" + b"9" * 5000 + b"\n"
    monkeypatch.undo()
    refused(archive(decimal), "a line without an end|damaged")


def test_random_damage_never_escapes_as_another_error():
    sound = [
        archive(b"]" + tensor() + b"a" + tensor((2, 2), (2, 1)) + b"a").getvalue(),
        stream(tensor(), pickle.dumps(["0"], 2) + struct.pack("<q", 4) + BYTES).getvalue(),
    ]
    draw = random.Random(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(1500):
        raw = bytearray(draw.choice(sound))
        for _ in range(draw.randint(1, 3)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        try:
            bl.load(io.BytesIO(bytes(raw)))
            outcomes["read"] += 1
        except BacklitError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 500
