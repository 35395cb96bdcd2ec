"""Steps as native code: `bl.compile`.

Read compile.py (which executable runs) and call.py (arguments), then recorder.py, step.py and
vjp.py (capture), guards.py (what is checked), cells.py (where state lies), entry.py (a run),
pipeline.py and build.py (passes and backend).
"""

from __future__ import annotations

from backlit.compiler.compile import Compiled as Compiled, compile as compile
