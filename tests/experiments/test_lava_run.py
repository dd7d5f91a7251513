"""`spikeplan lava run`: a network file in, table, JSON and picture out; bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, cells, layered, linear

from spikeplan.conversion.netx import write_netx
from spikeplan.conversion.nir import write_nir
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.graph import Graph
from spikeplan.core.ir.graph.from_artifact import graph_of_artifact
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.experiments.bench.peers.netx import random_network
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.lava_run import run_figure


def lif_network() -> Graph:
    ones = np.ones(4)
    neuron = cells(du=ones, dv=0.2 * ones, vth=ones, bias=0 * ones)
    synapse = linear(np.full((4, 3), 0.5))
    layers = (Layer(name="cells", synapse=synapse, neuron=neuron),)
    return layered((3,), *layers, spikes=True)


def run(args: list[str], folder: Path) -> tuple[dict[str, Any], str]:
    main(["lava", "run", *args, "--json", str(folder / "f.json"), "--svg", str(folder / "f.svg")])
    return json.loads((folder / "f.json").read_text()), (folder / "f.svg").read_text()


def test_netx_file_with_given_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_netx(random_network((2, 8, 8), ((4, 2), 5), seed=0), tmp_path / "n.h5")
    np.save(tmp_path / "x.npy", np.zeros((30, 2, 8, 8), np.int64))
    still, _ = run([str(file), "--inputs", str(tmp_path / "x.npy"), "--steps", "25"], tmp_path)
    assert still["steps"] == 25 and not any(still["layers"][0]["messages"]), "a still input sends nothing"
    assert (still["delay"], still["overflows"], still["precision"]) == (2, 0, "fixed_pt")
    assert [len(layer["states"]["ref"][0]) for layer in still["layers"]] == [5, 5, 5]
    assert "ms a step of simulation" in capsys.readouterr().out


def test_nir_file_with_drawn_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_nir(lif_network(), tmp_path / "n.nir")
    facts, svg = run([str(file), "--steps", "40"], tmp_path)
    (layer,) = facts["layers"]
    assert 10 < sum(layer["messages"]) < 4 * 40 and facts["delay"] == 1
    assert max(map(max, layer["states"]["v"])) <= layer["threshold"] * 64
    assert "cells: v of 4 of 4 neurons" in svg and "messages a neuron" in svg
    assert "threshold 508 LSB" in facts["notes"][0] and "threshold 508 LSB" in capsys.readouterr().out


def test_the_networks_output_is_written_with_its_counts(tmp_path: Path) -> None:
    file, out = write_nir(lif_network(), tmp_path / "n.nir"), tmp_path / "o.npz"
    facts, _ = run([str(file), "--steps", "40", "--out", str(out)], tmp_path)
    with np.load(out) as found:
        spikes, sent, given = found["output.cells"], found["messages.cells"], found["input"]
    assert spikes.shape == (40, 4) and given.shape == (40, 3) and (spikes.sum(1) == sent).all() and sent.any()
    assert facts["outputs"] == {"cells": [4]} and facts["layers"][0]["messages"] == sent.tolist()


def test_an_artifact_runs_as_the_graph_that_it_is(tmp_path: Path) -> None:
    bundle = load_bundle("two-room")
    np.save(
        tmp_path / "x.npy", np.random.default_rng(0).integers(-(2**20), 2**20, (10, bundle.artifact.layers[0].n_in))
    )
    facts, _ = run([str(bundle.artifact_path), "--steps", "10", "--inputs", str(tmp_path / "x.npy")], tmp_path)
    assert [layer["name"] for layer in facts["layers"]] == ["code", "h1", "h2", "out"] and facts["delay"] == 3
    assert all(any(layer["messages"]) for layer in facts["layers"][:2])


def test_a_sigma_delta_network_runs_from_nir_as_from_its_own_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = load_bundle("two-room").beside("delta-64")
    file = write_nir(graph_of_artifact(artifact_file.load(artifact)), tmp_path / "n.nir")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(-3000, 3000, (6, 34)))
    sent = []
    for network in (file, artifact):
        run(
            [str(network), "--inputs", str(tmp_path / "x.npy"), "--steps", "6", "--out", str(tmp_path / "o.npz")],
            tmp_path,
        )
        with np.load(tmp_path / "o.npz") as found:
            sent.append({name: found[name] for name in found.files})
        (tmp_path / "o.npz").unlink()
    assert sent[0].keys() == sent[1].keys() and all((sent[0][key] == sent[1][key]).all() for key in sent[0])
    assert any(array.any() for name, array in sent[0].items() if "out" in name)
    with pytest.raises(SystemExit):
        main(["lava", "run", str(file), "--precision", "floating_pt"])
    assert "a sigma-delta network of integers; leave out --precision" in capsys.readouterr().err


def test_the_figure_needs_the_file_only() -> None:
    layer = {"name": "a", "neurons": 4, "threshold": None, "messages": [1, 2], "states": {}}
    facts = {"steps": 2, "precision": "fixed_pt", "step_ms": 1.0, "layers": [layer]}
    assert (style.svg(run_figure, facts) or "").count("<svg") == 1


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["x.net"], "x.net: no such file"),
        (["x.nir"], "x.nir: no such file"),
        (["x.pt"], "suffix '.pt' is unknown"),
        (["n.nir", "--steps", "0"], "--steps 0 must be from 1"),
        (["n.nir", "--dt", "-1"], "must be > 0 seconds"),
        (["n.nir", "--dt", "1"], "below the time step"),
        (["n.nir", "--precision", "half"], "use one of fixed_pt, floating_pt"),
        (["n.nir", "--residue", "kept"], "--residue 'kept' is unknown"),
        (["n.nir", "--inputs", "n.nir"], "missing or not an input .npy"),
        (["n.nir", "--inputs", "wide.npy"], "inputs of shape (9, 7); expected (steps, 3)"),
        (["n.net", "--dt", "1"], "is for NIR files"),
        (["n.net", "--reset", "subtract"], "is for NIR files"),
        (["n.nir", "--decay", "half"], "use one of euler, exact"),
        (["n.nir", "--out", "n.txt"], "give a name that ends in .npz"),
        (["n.nir", "--seed", "-1"], "--seed -1"),
    ],
)
def test_bad_input_ends_in_one_line(
    args: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nir(lif_network(), "n.nir")
    np.save("wide.npy", np.zeros((9, 7), int))
    with pytest.raises(SystemExit) as stop:
        main(["lava", "run", *args])
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("spikeplan: ") and "\n" not in line and expected in line
