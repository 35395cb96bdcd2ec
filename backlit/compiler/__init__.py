"""Steps as native code: `bl.compile`.

Read compile.py (what a call does), then recorder.py and step.py (capture), guards.py (what is
checked), cells.py (where state lies), entry.py (a run), pipeline.py (the passes).
"""

from __future__ import annotations

from backlit.compiler.compile import Compiled as Compiled, compile as compile
