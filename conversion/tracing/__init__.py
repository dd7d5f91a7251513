"""Tracing: what a module's `forward` computes, as a graph; what converts is that and nothing else.

`trace` makes the graph with torch.export, `affine_net` reads it as neurons and the affine maps between them.
"""

from __future__ import annotations

from spikeplan.conversion.tracing.affine import affine_net
from spikeplan.conversion.tracing.graph import Traced, trace
from spikeplan.conversion.tracing.net import CODE, OUT, AffineNet, Group, Link

__all__ = ["CODE", "OUT", "AffineNet", "Group", "Link", "Traced", "affine_net", "trace"]
