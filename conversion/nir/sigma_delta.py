"""Sigma-delta networks in NIR: a proposal for three nodes that NIR has not, written and read without a loss.

Each node has a `type`, as in NIR's files, and holds integers. Parameters are those of core/ir/graph/neurons.py, where the
equations are; each has its name and its units there.

    Delta        sends what changed of its input                         threshold_lsb, shift, message_bits, state_bits, residue
    SigmaDelta   sums changes up, sends what changed of act(sum + bias)  the same, bias, act, target_bits
    Readout      sums changes up, sends the value                        bias, shift, state_bits, wrap

Weights between them are NIR's own Linear and Conv2d with whole numbers; the exponent and the bits of a weight, and the bits of an
input, are their metadata under `spikeplan`, as JSON. nir itself refuses such a file by the node's type; it cannot misread it. A
graph that is read is the graph that was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, make_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.conversion.nir.synapses import conv_out
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Conv, Delta, Edge, Graph, Input, Linear, Node, Readout, SigmaDelta

KEY = "spikeplan"  # of metadata
OWN: dict[str, type[Node]] = {"Delta": Delta, "SigmaDelta": SigmaDelta, "Readout": Readout}
PLAIN: dict[str, type[Node]] = {"Input": Input, "Linear": Linear, "Conv2d": Conv}


def is_sigma_delta(graph: Graph) -> bool:
    """Whether a graph has nodes that NIR has not and these are of this file."""
    return any(isinstance(node, tuple(OWN.values())) for node in graph.nodes)


def nodes_and_edges(nir: Any, graph: Graph) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """NIR's nodes, ours among them, and its edges. Raises UserError for other nodes and for edges that delay."""
    for edge in graph.edges:
        if edge.delay_steps:
            raise UserError(
                f"NIR: the edge {edge.src} -> {edge.dst} delays by {edge.delay_steps} steps; write the graph before `pipelined`"
            )
    nodes = {node.name: _to_nir(nir, graph, node) for node in graph.nodes}
    return nodes, [(edge.src, edge.dst) for edge in graph.edges]


def has_own(types: Mapping[str, str]) -> bool:
    """`types`: of a file's nodes, by name."""
    return any(kind in OWN for kind in types.values())


def read_graph(path: Path, provenance: dict[str, Any]) -> Graph:
    """Of a file in which `has_own`. Raises UserError for other nodes and for parameters that do not fit."""
    import h5py

    with h5py.File(path, "r") as file:
        root = file["node"]
        kept = _words(root)
        found = {name: _from_nir(name, group) for name, group in root["nodes"].items() if _type(group) != "Output"}
        pairs = [tuple(part.decode() for part in pair) for pair in root["edges"][()]]
    order = kept.get("order", list(found))
    outputs = [src for src, dst in pairs if dst not in found]
    if sorted(order) != sorted(found):
        raise UserError("the order of its nodes names others than it has; export it again")
    return Graph(
        nodes=tuple(found[name] for name in order),
        edges=tuple(Edge(src=src, dst=dst) for src, dst in pairs if dst in found),
        outputs=tuple(kept.get("outputs", outputs)),
        scales=kept.get("scales", {}),
        provenance=kept.get("provenance", {}) | provenance,
    )


def words_of(graph: Graph) -> dict[str, str]:
    """What NIR has no word for of a whole graph, as metadata."""
    kept = {
        "order": [node.name for node in graph.nodes],
        "outputs": list(graph.outputs),
        "scales": dict(graph.scales),
        "provenance": dict(graph.provenance),
    }
    return {KEY: json.dumps(kept)}


def _to_nir(nir: Any, graph: Graph, node: Node) -> Any:
    kind = next((name for name, own in (OWN | PLAIN).items() if type(node) is own), None)
    if kind is None or (isinstance(node, Linear | Conv) and not node.fixed):
        raise node.refuse("no node of the proposal for sigma-delta networks; save the graph in our own format")
    said = {item.name: getattr(node, item.name) for item in fields(node) if item.name != "name"}
    if kind in OWN:
        values = {key: value for key, value in said.items() if value is not None}
        made: Any = _kind(nir, kind, tuple(values))(**values)
        made.input_type = made.output_type = {"input": np.array(graph.shapes[node.name])}
        return made
    arrays = {key: value for key, value in said.items() if isinstance(value, np.ndarray)}
    words = {KEY: json.dumps({key: value for key, value in said.items() if key not in arrays})}
    if isinstance(node, Input):
        return nir.Input(input_type=np.array(node.shape), metadata=words)
    if isinstance(node, Linear):
        return nir.Linear(weight=node.weight, metadata=words)
    assert isinstance(node, Conv)
    before = graph.shapes[graph.into(node.name)[0].src]
    return conv_out(nir, node, before, np.zeros(node.weight.shape[0], np.int64), words)


def _kind(nir: Any, name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """A NIR node of this name, which nir writes as it writes its own."""
    made: Callable[..., Any] = make_dataclass(
        name, [(key, Any) for key in parameters], bases=(nir.ir.node.NIRNode,), eq=False
    )
    return made


def _type(group: Any) -> str:
    said: str = group["type"][()].decode()
    return said


def _words(group: Any) -> dict[str, Any]:
    if "metadata" not in group or KEY not in group["metadata"]:
        return {}
    found = json.loads(group["metadata"][KEY][()].decode())
    if not isinstance(found, dict):
        raise UserError("its metadata is no JSON object; export it again")
    return found


def _from_nir(name: str, group: Any) -> Node:
    kind = _type(group)
    if kind in OWN:
        known = {item.name for item in fields(OWN[kind])} - {"name"}
        said = {key: _plain(group[key][()]) for key in group if key in known}
    elif kind in PLAIN:
        said = _words(group)
        said |= {"weight": group["weight"][()]} if kind != "Input" else {}
        if kind == "Conv2d":
            said |= {key: tuple(said[key]) for key in ("stride", "padding", "dilation") if key in said}
        if kind == "Input" and "shape" not in said:
            said["shape"] = tuple(int(n) for n in np.atleast_1d(group["shape"][()]))
    else:
        raise UserError(
            f"node '{name}' ({kind}) cannot be combined with sigma-delta nodes; use {', '.join(OWN | PLAIN)}"
        )
    try:
        return (OWN | PLAIN)[kind](name=name, **said)
    except TypeError as error:
        raise UserError(f"node '{name}' ({kind}): its parameters are not those of its kind ({error})") from error


def _plain(value: Any) -> Any:
    """Numbers and words as Python has them; arrays as they are."""
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
