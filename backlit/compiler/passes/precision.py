"""Casts: merged, dropped where they change nothing, and brought next to what makes their operand.

Autocast leaves many. A cast of a widened value goes back to the value; a cast behind views goes
before them, into the kernel of whoever made the elements, and stores half of the bytes. What
computes in float32 anyway (products, norms) runs in float32 between casts: the same bits, and no
lowering for 16 bits is needed; convolutions and batch norms have one. Next: simplify.py, which
merges equal casts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backlit import dtypes as dt
from backlit.ops.op import REGISTRY, Spec
from backlit.program.ir import Instr, Operand, Program, Value

from .simplify import drop_dead

HALF = (dt.bfloat16, dt.float16)
# every number of the first is one of the second
EXACT = {
    (dt.bfloat16, dt.float32), (dt.float16, dt.float32), (dt.bfloat16, dt.float64),
    (dt.float16, dt.float64), (dt.float32, dt.float64),
}  # fmt: skip
# views that show every element, so that a cast before them costs no more than after
VIEWS = ("reshape", "permute", "expand", "unsqueeze", "squeeze")
# compute in float32 whatever they are given, and round their results once
WIDENED = {
    "matmul", "linear", "attention", "attention_grad", "lstm", "lstm_grad", "gru", "gru_grad",
    "rnn", "rnn_grad", "layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad", "group_norm",
    "group_norm_grad", "dropout",
}  # fmt: skip


def precision(program: Program) -> Program:
    """Fewer casts, earlier."""
    if not any(v.dtype in HALF or i.op == "cast" for i in program.instrs for v in _made(i)):
        return program
    return _Precision(program).result()


def _made(instr: Instr) -> list[Value]:
    return [v for v in instr.outputs if v is not None]


def _is_half(x: Operand) -> bool:
    return isinstance(x, Value) and x.dtype in HALF


class _Precision:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.known: dict[str, Operand] = {}  # what a name is replaced by
        self.maker: dict[str, Instr] = {}
        self.instrs: list[Instr] = []
        self.readers: dict[str, int] = {}
        self._count = 0
        for x in [*(x for i in program.instrs for x in i.inputs), *program.outputs]:
            if isinstance(x, Value):
                self.readers[x.name] = self.readers.get(x.name, 0) + 1
        self._names = {v.name for i in program.instrs for v in _made(i)}
        self._names |= {v.name for v in program.inputs}

    def result(self) -> Program:
        for instr in self.program.instrs:
            inputs = tuple(self._look(x) for x in instr.inputs)
            instr = replace(instr, inputs=inputs)
            if instr.op == "cast" and isinstance(inputs[0], Value):
                self._cast(instr, inputs[0])
            elif instr.op in WIDENED and any(_is_half(x) for x in inputs):
                self._widen(instr)
            else:
                self._append(instr)
        outputs = tuple(self._look(x) for x in self.program.outputs)
        return drop_dead(replace(self.program, instrs=tuple(self.instrs), outputs=outputs))

    def _look(self, x: Operand) -> Operand:
        return self.known.get(x.name, x) if isinstance(x, Value) else x

    def _append(self, instr: Instr) -> None:
        self.instrs.append(instr)
        for v in _made(instr):
            self.maker[v.name] = instr

    def _new(self, like: Value, dtype: dt.dtype) -> Value:
        while (name := f"{like.name}_{self._count}") in self._names:
            self._count += 1
        self._names.add(name)
        return Value(name, like.shape, dtype)

    def _cast(self, instr: Instr, x: Value) -> None:
        """Skip what changes nothing, start from the narrowest, stand before views."""
        (out,) = instr.outputs
        assert out is not None
        x = self._narrowest(x)
        if x.dtype is out.dtype:
            self.known[out.name] = x
            return
        view = self.maker.get(x.name)
        if view is not None and self._may_pass(view):
            source = view.inputs[0]
            assert isinstance(source, Value)
            early = self._new(source, out.dtype)
            self._cast(replace(instr, inputs=(source,), outputs=(early,)), source)
            self._append(replace(view, inputs=(self._look(early),), outputs=(out,)))
            return
        self._append(replace(instr, inputs=(x,)))

    def _narrowest(self, x: Value) -> Value:
        """The value that was widened to x, exactly."""
        maker = self.maker.get(x.name)
        while maker is not None and maker.op == "cast":
            (source,) = maker.inputs
            if not isinstance(source, Value) or (source.dtype, x.dtype) not in EXACT:
                break
            x, maker = source, self.maker.get(source.name)
        return x

    def _may_pass(self, view: Instr) -> bool:
        """Whether nobody else looks through the view, or at what it shows."""
        source = view.inputs[0] if view.inputs else None
        return (
            view.op in VIEWS
            and REGISTRY[view.op].view
            and isinstance(source, Value)
            and source.name in self.maker
            and self.readers.get(source.name, 0) == 1
            and all(self.readers.get(v.name, 0) == 1 for v in _made(view))
        )

    def _widen(self, instr: Instr) -> None:
        """The operator in float32, its results rounded."""
        inputs = tuple(
            self._wide(x, instr) if isinstance(x, Value) and x.dtype in HALF else x
            for x in instr.inputs
        )
        specs: list[Any] = [Spec(x.shape, x.dtype) if isinstance(x, Value) else x for x in inputs]
        found = REGISTRY[instr.op].infer(*specs, **instr.params)
        dtypes = [s and s.dtype for s in ((found,) if isinstance(found, Spec) else found)]
        outputs = tuple(
            v if v is None or v.dtype is dtype else self._new(v, dtype)
            for v, dtype in zip(instr.outputs, dtypes)
        )
        self._append(replace(instr, inputs=inputs, outputs=outputs))
        for v, exact in zip(instr.outputs, outputs):
            if v is not exact and v is not None:
                self._append(replace(instr, op="cast", inputs=(exact,), outputs=(v,),
                                     params={"dtype": v.dtype}))  # fmt: skip

    def _wide(self, x: Value, near: Instr) -> Value:
        made = self._new(x, dt.float32)
        self._append(replace(near, op="cast", inputs=(x,), outputs=(made,),
                             params={"dtype": dt.float32}))  # fmt: skip
        return made
