"""Sigma-delta networks as NIR files: what is read is what was written, bit by bit, and nir itself cannot misread it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.nir import read_nir, write_nir
from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.graph import Conv, Delta, Graph, Input, SigmaDelta, Sum, chain, pipelined
from spikeplan.core.ir.graph.from_artifact import graph_of_artifact
from spikeplan.core.ir.graph.reference import Running
from spikeplan.worldmodel.checkpoint import shipped

nir = pytest.importorskip("nir")
h5py = pytest.importorskip("h5py")


def same(one: Graph, other: Graph) -> bool:
    """Field by field, arrays with `==`."""
    if one.edges != other.edges or one.outputs != other.outputs or dict(one.scales) != dict(other.scales):
        return False
    for mine, theirs in zip(one.nodes, other.nodes, strict=True):
        if type(mine) is not type(theirs) or vars(mine).keys() != vars(theirs).keys():
            return False
        for key, value in vars(mine).items():
            if not np.array_equal(value, getattr(theirs, key)):
                return False
    return True


def test_a_shipped_network_comes_back_as_it_was(tmp_path: Path) -> None:
    artifact = artifact_file.load(shipped("two-room").with_name("two-room.delta-64.safetensors"))
    graph = graph_of_artifact(artifact)
    again = read_nir(write_nir(graph, tmp_path / "net.nir"))
    assert same(graph, again) and again.provenance["source"] == "net.nir"
    mine, theirs = Running(graph), Running(again)
    for x in np.random.default_rng(0).integers(-2000, 2000, (5, 34)):
        sent = mine.step({"x": x})["out"]
        assert np.array_equal(sent, theirs.step({"x": x})["out"]) and sent.any()


def test_convolutions_and_every_parameter_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    graph = chain(
        [
            Input(name="x", shape=(2, 6, 6), bits=12),
            Delta(name="code", threshold_lsb=3, shift=1, message_bits=5, state_bits=20, input_exp=2),
            Conv(
                name="w",
                weight=rng.integers(-7, 8, (4, 1, 3, 3)),
                padding=(1, 0),
                stride=(2, 1),
                groups=2,
                weight_bits=4,
            ),
            SigmaDelta(
                name="n", threshold_lsb=9, shift=2, bias=rng.integers(-5, 6, (4, 1, 1)), act="identity", target_bits=18
            ),
        ]
    )
    again = read_nir(write_nir(graph, tmp_path / "net.nir"))
    assert same(graph, again)
    assert not same(graph, replace(again, nodes=(*again.nodes[:-1], replace(again.nodes[-1], threshold_lsb=10))))


def test_nir_itself_refuses_the_file(artifact: Artifact, tmp_path: Path) -> None:
    path = write_nir(graph_of_artifact(artifact), tmp_path / "net.nir")
    with pytest.raises(Exception):  # noqa: B017  # an assertion of nir's, without a text
        nir.read(path, type_check=False)


def test_what_the_proposal_has_no_word_for_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    graph = graph_of_artifact(artifact)
    with pytest.raises(UserError, match="delays by 1 steps; write the graph before `pipelined`"):
        write_nir(pipelined(graph), tmp_path / "x.nir")
    summed = Graph(
        nodes=(*graph.nodes, Sum(name="s")),
        edges=(*graph.edges, replace(graph.edges[-1], src="out", dst="s")),
        outputs=("s",),
    )
    with pytest.raises(UserError, match="'s'.*no node of the proposal for sigma-delta networks"):
        write_nir(summed, tmp_path / "x.nir")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda node: node["nodes/h1"].pop("threshold_lsb"), "node 'h1' .SigmaDelta.: its parameters are not those"),
        (lambda node: node["nodes/h1/threshold_lsb"].write_direct(np.array(-4)), "threshold_lsb"),
        (lambda node: node["metadata"].pop("spikeplan"), "no such thing"),
    ],
)
def test_damaged_files_are_one_line(damage: Any, said: str, artifact: Artifact, tmp_path: Path) -> None:
    path = write_nir(graph_of_artifact(artifact), tmp_path / "net.nir")
    with h5py.File(path, "r+") as file:
        damage(file["node"])
    if said == "no such thing":  # without the order of nodes they are sorted, and still run in the order of edges
        assert {type(node) for node in read_nir(path).nodes} == {
            type(node) for node in graph_of_artifact(artifact).nodes
        }
        return
    with pytest.raises(UserError, match=f"net.nir: .*{said}") as found:
        read_nir(path)
    assert "\n" not in str(found.value)
