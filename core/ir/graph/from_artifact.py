"""A sigma-delta artifact as a network graph: the chain that our predictors and policies are, in the format of everything else.

    delta -> Delta          sigma_delta -> Linear, SigmaDelta          sigma -> Linear, Readout

A layer that several layers feed gets a Linear each and their Sum.

A pass of the artifact is a step of the graph, so no edge has a delay; `pipelined` gives a chip's. The residual edge adds the
output to the next input's latent, which is the planner's business and not the network's: it stays in the provenance.
"""

from __future__ import annotations

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS
from spikeplan.core.ir.artifact import Artifact, Layer
from spikeplan.core.ir.graph.base import Input, Node
from spikeplan.core.ir.graph.functions import Sum
from spikeplan.core.ir.graph.graph import Edge, Graph
from spikeplan.core.ir.graph.neurons import Delta, Readout, SigmaDelta
from spikeplan.core.ir.graph.synapses import Linear

INPUT, WEIGHTS = "x", ".w"


def graph_of_artifact(artifact: Artifact) -> Graph:
    """Raises UserError for a layer that nothing feeds, and for one that more than MAX_PORTS layers feed.

    >>> Running(graph_of_artifact(artifact)).step({"x": x})["out"]
    """
    nodes: list[Node] = [Input(name=INPUT, shape=(artifact.layers[0].n_in,))]
    edges: list[Edge] = []
    for layer in artifact.layers:
        feeds = artifact.feeds(layer.name)
        if (layer is artifact.layers[0]) == bool(feeds):
            raise UserError(f"layer '{layer.name}': fed by {len(feeds)} layers; convert the network again")
        parts, begin = [], 0
        for edge in feeds:
            assert layer.weight is not None  # Layer refuses it
            end = begin + artifact.layer(edge.src).n_out
            name = layer.name + WEIGHTS if len(feeds) == 1 else f"{layer.name}{WEIGHTS}.{edge.src}"
            weight = layer.weight[:, begin:end].astype(np.int64)
            exp = layer.weight_exp + edge.weight_exp
            nodes.append(Linear(name=name, weight=weight, weight_exp=exp, weight_bits=WEIGHT_BITS))
            edges.append(Edge(src=edge.src, dst=name))
            parts.append(name)
            begin = end
        src = INPUT if not parts else parts[0]
        if len(parts) > 1:
            src = f"{layer.name}.sum"
            nodes.append(Sum(name=src, bits=None))
            edges += [Edge(src=part, dst=src, port=port) for port, part in enumerate(parts)]
        nodes.append(_neurons(layer))
        edges.append(Edge(src=src, dst=layer.name))
    residual = [[edge.src, edge.dst] for edge in artifact.edges if edge.role == "residual"]
    return Graph(
        nodes=tuple(nodes),
        edges=tuple(edges),
        outputs=(artifact.layers[-1].name,),
        scales=artifact.scales,
        provenance={**artifact.provenance, "reference": artifact.reference, "residual": residual},
    )


def _neurons(layer: Layer) -> Node:
    if layer.kind == "sigma":
        assert layer.bias is not None  # Layer refuses it
        return Readout(name=layer.name, bias=layer.bias, shift=layer.shift, state_bits=layer.state_bits)
    if layer.kind == "delta":
        return Delta(
            name=layer.name,
            threshold_lsb=layer.threshold_lsb,
            shift=layer.shift,
            message_bits=layer.message_bits,
            state_bits=layer.state_bits,
        )
    assert layer.bias is not None
    return SigmaDelta(
        name=layer.name,
        bias=layer.bias,
        act=layer.act,
        threshold_lsb=layer.threshold_lsb,
        shift=layer.shift,
        message_bits=layer.message_bits,
        state_bits=layer.state_bits,
    )
