"""Recordings of spikes from files, and rates from the command line.

    .json   {"input": {"messages": [n, ...]}, "layers": [{"name": "h1", "messages": [n, ...]}, ...]}, messages of every step, as
            `spikeplan lava run --json` writes it; other keys are left alone
    .npz    an array a layer: (steps,) messages of a step, or (steps, ...) what each neuron sent; or a trace of a replay
    .npy    (steps, neurons): what each neuron sent, all sources one after the other in the network's order

"input" is what comes from outside, for networks whose first layer has synapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError, quoted, short
from spikeplan.core.files import NUMPY_ERRORS
from spikeplan.core.ir.graph.base import MAX_VALUES
from spikeplan.core.json_file import read_json
from spikeplan.placement.graph import INPUT, Graph
from spikeplan.placement.recording import Recording, of_arrays, of_rates

SUFFIXES = (".json", ".npz", ".npy")
ROLE = ".messages"  # of a trace's arrays, by layer


def read_recording(path: str, graph: Graph) -> Recording:
    """The recording of a network's spikes. Raises UserError that names the file for whatever is wrong with it.

    >>> read_recording("spikes.npz", graph).steps
    100
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: suffix {suffix!r} is unknown; a recording is a file of {', '.join(SUFFIXES)}")
    arrays = _json(path) if suffix == ".json" else _npz(path) if suffix == ".npz" else _npy(path, graph)
    return of_arrays(graph, arrays, path)


def _json(path: str) -> dict[str, NDArray[Any]]:
    expected = 'expected {"layers": [{"name", "messages": [...]}]}, as `spikeplan lava run --json` writes it'
    try:
        found = read_json(Path(path))
        rows = [(layer["name"], layer["messages"]) for layer in found["layers"]]
        outside = found.get(INPUT)
        rows += [] if outside is None else [(INPUT, outside["messages"])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no recording ({short(repr(error))}); {expected}") from error
    arrays: dict[str, NDArray[Any]] = {}
    for name, messages in rows:
        whole = isinstance(name, str) and isinstance(messages, list) and messages
        if not whole or not all(type(n) in (int, float) and abs(n) <= MAX_VALUES for n in messages):
            raise UserError(f"{path}: layer {quoted(name)}: messages are {quoted(messages)}; {expected}")
        if name in arrays:
            raise UserError(f"{path}: layer {quoted(name)} is there twice; every layer has one list of messages")
        arrays[name] = np.array(messages, np.float64)
    return arrays


def _npz(path: str) -> dict[str, NDArray[Any]]:
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as found:
            names = list(found.files)
            if "layers" in names:  # a trace
                names = [name for name in names if name.endswith(ROLE)]
            return {name.removesuffix(ROLE): found[name] for name in names}
    except NUMPY_ERRORS as error:
        raise UserError(f"{path}: missing or no .npz of arrays ({short(error)}); record it again") from error


def _npy(path: str, graph: Graph) -> dict[str, NDArray[Any]]:
    try:
        with Path(path).open("rb") as handle:
            found = np.load(handle, allow_pickle=False)
    except NUMPY_ERRORS as error:
        raise UserError(f"{path}: missing or no .npy array ({short(error)}); record it again") from error
    sizes = [int(np.prod(shape)) for shape in graph.sources.values()]
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.shape[1] != sum(sizes):
        each = ", ".join(f"{name} {n}" for name, n in zip(graph.sources, sizes, strict=True))
        shape = getattr(found, "shape", "?")
        raise UserError(f"{path}: shape {shape}; expected (steps, {sum(sizes)}), the neurons of {each}")
    parts = np.split(found, np.cumsum(sizes)[:-1], axis=1)
    return dict(zip(graph.sources, parts, strict=True))


def read_rates(text: str, graph: Graph) -> Recording:
    """Of `--rates`: one number, or pairs `layer=rate` with commas between.

    >>> read_rates("input=0.3,cells=0.05", graph).messages["cells"]
    """
    if "=" not in text:
        return of_rates(graph, _rate(text, text), "--rates")
    rates: dict[str, float] = {}
    for pair in text.split(","):
        name, equals, value = pair.rpartition("=")
        if not equals or name.strip() in rates:
            raise UserError(f"--rates {pair.strip()!r}: expected one layer=rate for each layer, with commas between")
        rates[name.strip()] = _rate(value, pair)
    return of_rates(graph, rates, "--rates")


def _rate(value: str, shown: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise UserError(f"--rates {shown.strip()!r}: expected a number from 0 to 1, or layer=rate pairs") from error


def messages_of(recording: Recording) -> Mapping[str, float]:
    """Mean messages of a step, by source."""
    return {name: float(sent.mean()) for name, sent in recording.messages.items()}
