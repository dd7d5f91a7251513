"""A graph as one safetensors file: a JSON header, and the arrays. What `save` wrote, `load` makes again, field by field.

Header: format, version, outputs, scales, provenance, edges, and nodes with `type` and the fields of their dataclass; an array
lies under `NODE.FIELD`. Integers are stored in the narrowest type that holds them.
"""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.ir.graph import KINDS
from spikeplan.core.ir.graph.base import Node
from spikeplan.core.ir.graph.graph import Edge, Graph
from spikeplan.core.tensor_file import FileKind

FORMAT, VERSION = "spikeplan-graph", 1
FILE = FileKind(
    key="graph",
    name="network graph",
    form=FORMAT,
    make="make one with `spikeplan convert`",
    again="write it again",
    framework="numpy",
)


def save(graph: Graph, path: str | os.PathLike[str]) -> Path:
    """Write atomically. Raises UserError where the file cannot be written.

    >>> load(save(graph, "net.safetensors")).shapes == graph.shapes
    True
    """
    target = Path(path)
    tensors: dict[str, NDArray[Any]] = {}
    nodes = []
    for node in graph.nodes:
        plain: dict[str, Any] = {"type": type(node).__name__}
        for item in fields(node):
            value = getattr(node, item.name)
            if isinstance(value, np.ndarray):
                tensors[f"{node.name}.{item.name}"] = np.ascontiguousarray(_narrow(value))
            else:
                plain[item.name] = value
        nodes.append(plain)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "nodes": nodes,
        "edges": [asdict(edge) for edge in graph.edges],
        "outputs": graph.outputs,
        "scales": dict(graph.scales),
        "provenance": dict(graph.provenance),
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, lambda path: save_file(tensors, path, metadata=FILE.metadata(header)))
    except OSError as error:
        raise UserError(f"{target}: cannot write the network ({error}); choose a writable directory") from error
    return target


def _narrow(array: NDArray[Any]) -> NDArray[Any]:
    """Integers in the narrowest signed type; real numbers in float64, as they are computed with."""
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    wanted = max(-int(array.min()), int(array.max())) if array.size else 0
    return array.astype(next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if wanted <= np.iinfo(kind).max))


def load(path: str | os.PathLike[str]) -> Graph:
    """Read and check. Raises UserError, in one line with the file's name, for whatever is amiss."""
    header, tensors = FILE.read(path)
    try:
        return _parse(header, tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: damaged {FORMAT} header ({error!r:.120}); {FILE.again}") from error


def _parse(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Graph:
    if header["format"] != FORMAT or header["version"] != VERSION:
        raise UserError(
            f"{header['format']!r:.40} version {header['version']!r:.40}, this build reads {FORMAT} {VERSION}"
        )
    return Graph(
        nodes=tuple(_node(entry, tensors) for entry in header["nodes"]),
        edges=tuple(Edge(**edge) for edge in header["edges"]),
        outputs=tuple(header["outputs"]),
        scales=header["scales"],
        provenance=header["provenance"],
    )


def _node(entry: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Node:
    plain = dict(entry)
    if (kind := KINDS.get(plain.pop("type"))) is None:
        raise UserError(
            f"node '{entry.get('name')}': type {entry['type']!r:.40} is unknown; use one of {', '.join(KINDS)}"
        )
    own = f"{plain['name']}."
    arrays = {item.name: tensors[own + item.name] for item in fields(kind) if own + item.name in tensors}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    try:
        made: Node = kind(**dict[str, Any](values), **dict[str, Any](arrays))
        return made
    except TypeError as error:
        raise UserError(f"node '{entry.get('name')}': {error}; {FILE.again}") from error
