"""The converted predictor as Lava processes: bit-accurate, torch-free, run in a fresh interpreter of its own."""

from spikeplan.core.ir.trace import Comparison, Passes, Trace, compare
from spikeplan.lava_procs.child import LavaError
from spikeplan.lava_procs.replay import replay

__all__ = ["Comparison", "LavaError", "Passes", "Trace", "compare", "replay"]
