"""A pickle stream is a program for a stack machine; this one can build plain data and no more.

Each opcode is walked by our own code: numbers, strings, tuples, lists, dicts and sets are made
here, every name goes to `names`, which knows a short list, and nothing is imported or called but
what it gives. Knows nothing of PyTorch. Next: torch_names.py, the list.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from backlit.dtypes import dtype

LONGEST = 1 << 26  # bytes of opcodes; the largest known checkpoints need a hundredth
MOST = 1 << 24  # opcodes: one of a byte can make an object of two hundred
KEYS = (str, int, float, bool, bytes, type(None), dtype)
REFUSED = {
    b"i": "INST", b"o": "OBJ", b"P": "PERSID", b"\x82": "EXT1", b"\x83": "EXT2", b"\x84": "EXT4",
    b"\x92": "NEWOBJ_EX", b"\x96": "BYTEARRAY8", b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}  # fmt: skip


class Refusal(Exception):
    """What a file holds and may not."""

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.message, self.hint = message, hint


class Allowed:
    """A name of the list: a function of ours, or a mark such as a storage's type."""

    __slots__ = ("call", "means", "name")

    def __init__(self, name: str, call: Callable[..., Any] | None = None, means: Any = None):
        self.name, self.call, self.means = name, call, means


class Names(Protocol):
    """What a machine asks: what a name is, what a persistent id is, how a state is set."""

    def find(self, module: str, name: str) -> Any: ...

    def persistent(self, identity: Any) -> Any: ...

    def build(self, target: Any, state: Any) -> None: ...


def key(value: Any) -> Any:
    """A key of a dict or member of a set: plain and cheap to hash, else a file could hang us."""
    parts = value if type(value) is tuple else (value,)
    for part in parts:
        if not isinstance(part, KEYS):
            raise Refusal(f"a {type(value).__name__} as a key")
        if type(part) is int and part.bit_length() > 64:
            raise Refusal(f"a key of {part.bit_length()} bits")
    return value


def plain(value: Any) -> Any:
    """A value to keep: a name of the list is none."""
    if type(value) is Allowed:
        raise Refusal(f"{value.name} itself, not an object made with it")
    return value


class Machine:
    """Walks opcodes from a position; `at` is behind the last one afterwards."""

    def __init__(self, raw: bytes, names: Names, at: int = 0):
        self.raw, self.names, self.at = raw, names, at
        self.end = min(len(raw), at + LONGEST)
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the stream describes."""
        for _ in range(MOST):
            code = self.take(1)
            if code == b".":
                return plain(self.stack.pop())
            action = ACTIONS.get(code)
            if action is None:
                raise Refusal(f"the opcode {REFUSED.get(code, code.hex())}, which is not allowed")
            action(self)
        raise Refusal(f"more than {MOST} opcodes")

    # ----- reading -----

    def take(self, count: int) -> bytes:
        """The next bytes."""
        start, self.at = self.at, self.at + count
        if count < 0 or self.at > self.end:
            long = self.end < len(self.raw)
            raise Refusal("more opcodes than any checkpoint has" if long else "a cut-off end")
        return self.raw[start : self.at]

    def number(self, form: str) -> Any:
        (value,) = struct.unpack("<" + form, self.take(struct.calcsize(form)))
        return value

    def line(self) -> str:
        """Text up to the end of a line; names and numbers are short."""
        ahead = self.raw[self.at : min(self.end, self.at + 4096)]
        length = ahead.find(b"\n")
        if length < 0:
            raise Refusal("a line without an end")
        self.at += length + 1
        return ahead[:length].decode()

    def text(self, form: str) -> str:
        return str(self.take(self.number(form)), "utf-8", "surrogatepass")

    def old_text(self, form: str) -> str:
        """A string as Python 2 wrote it."""
        return str(self.take(self.number(form)), "latin-1")

    def long(self, form: str) -> int:
        return int.from_bytes(self.take(self.number(form)), "little", signed=True)

    # ----- building -----

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        cut = len(self.stack) - count
        self.stack[cut:] = [tuple(self.stack[cut:])]

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refusal(f"appending to a {type(target).__name__}")
        target.extend(map(plain, items))

    def put_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict, Counter):
            raise Refusal(f"items of a {type(target).__name__}")
        for k, v in zip(items[::2], items[1::2], strict=True):
            target[key(k)] = plain(v)

    def dict_of(self, items: list[Any]) -> None:
        self.push({})
        self.put_items(items)

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise Refusal(f"adding to a {type(target).__name__}")
        target.update(map(key, items))

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    # ----- names -----

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push(self.names.find(str(module), str(name)))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Allowed or function.call is None or type(arguments) is not tuple:
            raise Refusal(f"a call of {getattr(function, 'name', type(function).__name__)}")
        self.push(function.call(*arguments))

    def build(self) -> None:
        state = self.stack.pop()
        self.names.build(self.stack[-1], state)


def _pair(m: Machine) -> list[Any]:
    value = m.stack.pop()
    return [m.stack.pop(), value]


def _whole(text: str) -> Any:
    return {"00": False, "01": True}.get(text) if text in ("00", "01") else int(text)


def _unsupported(version: int) -> NoReturn:
    raise Refusal(f"pickle protocol {version}")


Action = Callable[[Machine], Any]
ACTIONS: dict[bytes, Action] = {
    b"\x80": lambda m: (v := m.number("B")) > 5 and _unsupported(v),
    b"\x95": lambda m: m.number("Q"),  # a frame only helps readers of pipes
    # numbers and the like
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.push(_whole(m.line())),
    b"L": lambda m: m.push(int(m.line().rstrip("L"))),
    b"J": lambda m: m.push(m.number("i")),
    b"K": lambda m: m.push(m.number("B")),
    b"M": lambda m: m.push(m.number("H")),
    b"\x8a": lambda m: m.push(m.long("B")),
    b"\x8b": lambda m: m.push(m.long("i")),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    # text and bytes
    b"V": lambda m: m.push(m.line().encode("latin-1").decode("raw-unicode-escape")),
    b"X": lambda m: m.push(m.text("I")),
    b"\x8c": lambda m: m.push(m.text("B")),
    b"\x8d": lambda m: m.push(m.text("Q")),
    b"T": lambda m: m.push(m.old_text("i")),
    b"U": lambda m: m.push(m.old_text("B")),
    b"B": lambda m: m.push(m.take(m.number("I"))),
    b"C": lambda m: m.push(m.take(m.number("B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("Q"))),
    # containers
    b"(": Machine.mark,
    b"0": lambda m: m.stack.pop() if m.stack else m.since_mark(),
    b"1": Machine.since_mark,
    b"2": lambda m: m.push(m.stack[-1]),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(list(map(plain, m.since_mark()))),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.dict_of(m.since_mark()),
    b"s": lambda m: m.put_items(_pair(m)),
    b"u": lambda m: m.put_items(m.since_mark()),
    b"\x8f": lambda m: m.push(set()),
    b"\x90": lambda m: m.add(m.since_mark()),
    b"\x91": lambda m: m.push(frozenset(map(key, m.since_mark()))),
    # the memo
    b"p": lambda m: m.remember(int(m.line())),
    b"q": lambda m: m.remember(m.number("B")),
    b"r": lambda m: m.remember(m.number("I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.push(m.memo[int(m.line())]),
    b"h": lambda m: m.push(m.memo[m.number("B")]),
    b"j": lambda m: m.push(m.memo[m.number("I")]),
    # names
    b"c": lambda m: m.push(m.names.find(m.line(), m.line())),
    b"\x93": Machine.stack_global,
    b"Q": lambda m: m.push(m.names.persistent(m.stack.pop())),
    b"R": Machine.call,
    b"\x81": Machine.call,
    b"b": Machine.build,
}
