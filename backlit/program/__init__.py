"""Programs: the captured form of a computation, typed and in single assignment.

Read ir.py (what a Program is), text.py (printed and parsed), verify.py (the rules of the form),
capture.py (from running code to a Program). Knows no operator by name and no Tensor.
"""

from backlit.program.capture import Captured as Captured, capture as capture
from backlit.program.ir import Instr as Instr, Program as Program, Value as Value
from backlit.program.text import parse as parse, write as write
from backlit.program.verify import verify as verify
