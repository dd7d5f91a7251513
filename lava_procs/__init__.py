"""The converted predictor as Lava processes: bit-accurate, torch-free, run in a fresh interpreter of its own."""

from lava_procs.child import LavaError
from lava_procs.replay import replay
from lava_procs.trace import Comparison, Passes, Trace, compare

__all__ = ["Comparison", "LavaError", "Passes", "Trace", "compare", "replay"]
