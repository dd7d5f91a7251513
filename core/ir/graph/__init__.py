"""The network graph: nodes, edges, file and reference. What runs here, in Lava or on a chip, is one of these.

To add a kind of node: a frozen dataclass of its own fields here, a step in `reference.py`, one in `lava_procs/graph/steps.py`
(written independently) and one in `lava_procs/graph/fused.py`; the conformance suite draws it once `strategies.py` does.
"""

from __future__ import annotations

from spikeplan.core.ir.graph.base import Input, Node, Shape
from spikeplan.core.ir.graph.functions import Concat, GatedRecurrence, Product, RMSNorm, Select, Sum, Table
from spikeplan.core.ir.graph.graph import Edge, Graph, chain
from spikeplan.core.ir.graph.neurons import LIF, Delta, Integrator, Readout, SigmaDelta
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool
from spikeplan.core.ir.graph.timing import depths, from_first_input, pipelined

KINDS: dict[str, type[Node]] = {
    kind.__name__: kind
    for kind in (
        Input,
        Linear,
        Conv,
        Pool,
        Delta,
        SigmaDelta,
        Readout,
        LIF,
        Integrator,
        Concat,
        Select,
        Sum,
        Product,
        Table,
        GatedRecurrence,
        RMSNorm,
    )
}

__all__ = [
    "KINDS",
    "LIF",
    "Concat",
    "Conv",
    "Delta",
    "Edge",
    "GatedRecurrence",
    "Graph",
    "Input",
    "Integrator",
    "Linear",
    "Node",
    "Pool",
    "Product",
    "RMSNorm",
    "Readout",
    "Select",
    "Shape",
    "SigmaDelta",
    "Sum",
    "Table",
    "chain",
    "depths",
    "from_first_input",
    "pipelined",
]
