"""Recordings of spikes from files and rates from words: every form, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, cells, layered, linear

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.trace import Trace
from spikeplan.evaluation.own_network.files import read_rates, read_recording
from spikeplan.evaluation.own_network.run import run_artifact
from spikeplan.placement.graph import Graph, graph_of_artifact, graph_of_network


def spiking() -> Graph:
    """3 inputs, 4 neurons."""
    one = np.ones(4)
    neuron = cells(du=one, dv=0.2 * one, vth=one, bias=0 * one)
    layer = Layer(name="l0", neuron=neuron, synapse=linear(np.ones((4, 3))))
    return graph_of_network(layered((3,), layer, spikes=True))


def test_recordings_from_files(tmp_path: Path, make_chain: Any) -> None:
    graph = spiking()
    rng = np.random.default_rng(0)
    spikes, cells = rng.random((6, 3)) < 0.5, rng.random((6, 4)) < 0.5
    np.savez(tmp_path / "a.npz", input=spikes, l0=cells.sum(1))
    np.save(tmp_path / "a.npy", np.concatenate([spikes, cells], 1))
    (tmp_path / "a.json").write_text(
        f'{{"input": {{"messages": {spikes.sum(1).tolist()}}}, "steps": 6, '
        f'"layers": [{{"name": "l0", "messages": {cells.sum(1).tolist()}}}]}}'
    )
    for name in ("a.npz", "a.npy", "a.json"):
        found = read_recording(str(tmp_path / name), graph)
        assert found.messages["input"].tolist() == spikes.sum(1).tolist()
        assert found.messages["l0"].tolist() == cells.sum(1).tolist() and found.steps == 6
    net: Artifact = make_chain(
        np.random.default_rng(0), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )
    x = rng.integers(-4000, 4000, (5, 8))
    sent = run_artifact(net, x, "x")
    names = [layer.name for layer in net.layers]
    trace = Trace(
        messages={name: sent[name].astype(int) for name in names[:-1]},
        sigma={},
        ref={},
        value=np.zeros((5, 6), int),
        saturated=dict.fromkeys(names, 0),
    )
    trace.write(tmp_path / "trace.npz")
    of_trace = read_recording(str(tmp_path / "trace.npz"), graph_of_artifact(net))
    assert of_trace.messages[names[1]].tolist() == sent[names[1]].sum(1).tolist()
    assert of_trace.messages[names[-1]].tolist() == [6.0] * 5


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("r.txt", "", "suffix '.txt' is unknown; a recording is a file of .json, .npz, .npy"),
        ("r.json", "{", "no recording ("),
        ("r.json", '{"layers": [{"name": "l0"}]}', 'expected {"layers": [{"name", "messages": [...]}]}'),
        ("r.json", '{"layers": [{"name": "l0", "messages": ["many"]}]}', "layer 'l0': messages are ['many']"),
        ("r.json", '{"layers": [{"name": "l0", "messages": [1e99]}]}', "layer 'l0': messages are [1e+99]"),
        ("r.json", '{"layers": [{"name": "x", "messages": [1]}]}', "layer 'x' is not in the network"),
        ("r.npz", "no archive", "missing or no .npz of arrays"),
        ("r.npy", "no array", "missing or no .npy array"),
        ("none.npz", None, "missing or no .npz of arrays"),
    ],
)
def test_bad_recordings_are_one_line(name: str, content: str | None, expected: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        read_recording(str(tmp_path / name), spiking())
    assert expected in str(error.value) and "\n" not in str(error.value) and name in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("much", "--rates 'much': expected a number from 0 to 1"),
        ("2", "--rates: 2 messages a neuron and step of 'input'; a rate is from 0 to 1"),
        ("input=0.1", "--rates: no rate of 'l0'; give rate of input, l0"),
        ("input=0.1,l0=x", "--rates 'l0=x': expected a number"),
        ("input=0.1,l0", "--rates 'l0': expected one layer=rate for each layer"),
        ("input=0.1,l0=0.1,l0=0.2", "--rates 'l0=0.2': expected one layer=rate for each layer"),
        ("input=0.1,l1=0.1", "layer 'l1' is not in the network; it has input, l0"),
    ],
)
def test_bad_rates_are_one_line(text: str, expected: str) -> None:
    graph = spiking()
    assert read_rates("input=0.5, l0=0.25", graph).messages["l0"].tolist() == [1.0]
    with pytest.raises(UserError) as error:
        read_rates(text, graph)
    assert expected in str(error.value) and "\n" not in str(error.value)
