"""The doctor: why is this gradient wrong? Names the cause, the element and the evidence.

`doctor` takes what one has (a function, a Function, a hand-written pair); `diagnose` is its
engine, for anything that implements `Subject`. Read next: docs/design/doctor.md.
"""

from __future__ import annotations

from typing import Any

from backlit.check.doctor.examine import diagnose as diagnose
from backlit.check.doctor.report import Cause as Cause, Diagnosis as Diagnosis
from backlit.check.doctor.subject_tensor import TensorSubject, of_function
from backlit.check.doctor.subject_torch import TorchSubject, is_torch
from backlit.check.doctor.subjects import Pair as Pair, Subject as Subject, refuse


def doctor(subject: Any, inputs: Any, *, wrt: Any = None, seed: int = 0) -> Diagnosis:
    """Is this gradient right; if not, why?

    `subject`: a function on tensors, an `autograd.Function`, a pair of NumPy functions
    `forward(**inputs) -> (out, cache)` and `backward(dout, cache) -> {name: gradient}`, or a
    formula that claims derivatives (`"f = x*y; df/dx = y"`, text or LaTeX; `wrt` chooses among
    them). `inputs`: a dictionary or a sequence. Refuses what has no floating point input.

    >>> def forward(x, w):
    ...     return x @ w, (x, w)
    >>> def backward(dout, cache):
    ...     x, w = cache
    ...     return {"x": dout @ w.T, "w": -x.T @ dout}
    >>> inputs = {"x": np.arange(6.0).reshape(2, 3), "w": np.ones((3, 4))}
    >>> found = bl.check.doctor((forward, backward), inputs)
    >>> found.wrong, found.causes[0].name
    (['w'], 'sign')
    """
    if isinstance(subject, str) or (isinstance(subject, tuple) and isinstance(subject[0], str)):
        from backlit.check.formulas import examine

        return examine(subject, inputs, wrt=wrt, seed=seed)
    return diagnose(_subject(subject, inputs), seed=seed)


def _subject(subject: Any, inputs: Any) -> Subject:
    if isinstance(subject, Subject):
        return subject
    if isinstance(subject, (tuple, list)) and len(subject) == 2 and all(map(callable, subject)):
        return Pair(subject[0], subject[1], inputs)
    if not callable(subject):
        raise refuse(subject)
    if is_torch(subject, inputs):
        return TorchSubject(subject, inputs)
    return of_function(subject, inputs) or TensorSubject(subject, inputs)
