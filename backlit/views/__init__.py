"""The faces of one recorded graph: circuit, derivation, source, nudge, and smaller lenses."""

from backlit.views.graph import Gate as Gate, Graph as Graph, Wire as Wire
from backlit.views.record import Recorded as Recorded, record as record
from backlit.views.see import See as See, see as see
