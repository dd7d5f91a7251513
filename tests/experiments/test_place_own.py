"""`spikeplan place` and `spikeplan lava run --counts` for networks of one's own, from the command line."""

from __future__ import annotations

import itertools
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, cells, layered, linear

from spikeplan.conversion.netx import write_netx
from spikeplan.conversion.nir import write_nir
from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.counts.fan_out import synops
from spikeplan.core.counts.operations import total
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.graph import Conv, Graph, Linear
from spikeplan.evaluation.own_network.run import run_network
from spikeplan.experiments.bench.peers.netx import random_network
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import shipped

DELTA = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))
LIF = str(shipped("two-room").with_suffix("").with_suffix(".lif.safetensors"))


def lif_network(sizes: tuple[int, ...] = (3, 4)) -> Graph:
    layers = []
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        one = np.ones(n_out)
        neuron = cells(du=one, dv=0.2 * one, vth=one, bias=0 * one)
        layers.append(Layer(name=f"l{number}", synapse=linear(np.full((n_out, n_in), 0.5)), neuron=neuron))
    return layered(sizes[:1], *layers, spikes=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    write_nir(lif_network(), "n.nir")
    write_netx(random_network((2, 8, 8), ((4, 2), 5), seed=0), "n.h5")
    return tmp_path


def place(args: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, dict[str, Any] | None]:
    Path("f.json").unlink(missing_ok=True)
    with pytest.raises(SystemExit) as stop:
        main(["place", *args, "--json", "f.json"])
    found = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    facts = json.loads(Path("f.json").read_text()) if Path("f.json").exists() else None
    lines = [line for line in found.err.splitlines(keepends=True) if not line.rstrip().endswith(("...", "left"))]
    return stop.value.code, "".join(lines) if stop.value.code == 2 else found.out, facts


def test_the_run_the_counts_and_the_placement_agree(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lava run` records; `place` takes the record and the inputs alike; the counts have the exact synops of the borders."""
    np.save("x.npy", np.random.default_rng(0).integers(-90, 90, (30, 2, 8, 8)))
    run = ["lava", "run", "n.h5", "--inputs", "x.npy", "--steps", "30", "--counts", "c.json", "--json", "r.json"]
    main(run)
    capsys.readouterr()
    rows, actions = read_rows(Path("c.json"))
    network = random_network((2, 8, 8), ((4, 2), 5), seed=0)
    assert actions == 1 and total(rows, "chip_steps") == 30
    assert total(rows, "updates") == 30 * network.neurons
    assert [row.weight_bytes for row in rows if row.phase == "predictor"] == [
        0,
        *(node.weight.size for node in network.nodes if isinstance(node, Conv | Linear)),
    ]
    code, _, recorded = place(["n.h5", "--recording", "r.json"], capsys)
    assert code == 0 and recorded is not None and recorded["steps"] == 30
    assert recorded["recording"]["messages"] == {
        row.layer: row.messages / 30 for row in rows if row.phase == "predictor"
    }
    code, text, ran = place(["n.h5", "--inputs", "x.npy"], capsys)
    assert code == 0 and ran is not None and ran["recording"]["messages"] == recorded["recording"]["messages"]
    assert "an inference, 30 steps" in text and "The same layers dense in int8 (1,104 MACs, 312 bytes" in text
    assert ran["dense"]["passes"] == 30 and ran["dense"]["macs"] == 1104
    from spikeplan.conversion.netx import read_netx

    read, _ = read_netx("n.h5")
    rasters = run_network(read, np.load("x.npy"))
    for before, after in pairwise(read.layers):
        row = next(row for row in rows if row.layer == before.name)
        synapse = read.node(f"{after.name}.w")
        assert isinstance(synapse, Conv | Linear)
        assert row.synops == synops(rasters[before.name], synapse, read.shapes[before.name])
    assert any(isinstance(node, Conv) for node in read.nodes)
    main(["energy", "compare", "c.json", "--json", "e.json"])
    priced = {row["machine"]: row for row in json.loads(Path("e.json").read_text())["rows"]}
    assert priced["loihi2"]["joules"] > 0


def test_spikes_from_outside_are_in_the_record_and_the_counts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lava", "run", "n.nir", "--steps", "50", "--counts", "c.json", "--json", "r.json"])
    record = json.loads(Path("r.json").read_text())
    rows, _ = read_rows(Path("c.json"))
    sent = sum(record["input"]["messages"])
    assert (rows[0].layer, rows[0].messages, rows[0].synops) == ("input", sent, 4 * sent) and sent > 0
    assert rows[1].messages == sum(record["layers"][0]["messages"])
    code, _, facts = place(["n.nir", "--recording", "r.json", "--steps", "5"], capsys)
    assert code == 0 and facts is not None and facts["recording"]["messages"]["input"] == sent / 50
    assert (facts["steps"], facts["dense"]["passes"], facts["dense"]["macs"]) == (5, 1, 12)
    assert facts["time"]["inference"]["nominal"] == pytest.approx(5 * facts["step"]["seconds"]["nominal"])


def test_any_artifact_on_rates_and_three_dense_costs(
    here: Path, capsys: pytest.CaptureFixture[str], make_chain: Any
) -> None:
    """Without a task in its header; each has the dense cost of its own layers."""
    costs = []
    for widths in ((34, 4, 32), (34, 64, 64, 32), (34, 700, 700, 32)):
        n = len(widths)
        net = make_chain(
            np.random.default_rng(0),
            widths,
            shifts=(2,) * (n - 1) + (0,),
            thresholds=(8,) * (n - 1),
            weight_exps=(0,) * (n - 1),
        )
        path = artifact_file.save(net, here / f"{widths[1]}.safetensors")
        code, text, facts = place([str(path), "--rates", "0.2"], capsys)
        macs = sum(a * b for a, b in itertools.pairwise(widths))
        assert code == 0 and facts is not None and f"({macs:,} MACs, {macs:,} bytes" in text
        costs.append(facts["dense"]["machines"]["orin_nano"]["nominal"])
    assert costs[0] * 10 < costs[1] and costs[1] * 50 < costs[2]
    code, _, facts = place([DELTA, "--rates", "0.1"], capsys)
    assert code == 0 and facts is not None and facts["weights"] == 82_432, "a recording wins over the task"


def test_search_sweep_and_drawing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nir(lif_network((300, 500, 200)), "w.nir")
    args = ["w.nir", "--rates", "0.3", "--steps", "4", "--batch", "4"]
    code, text, facts = place([*args, "--objective", "energy", "--sweep", "--svg", "cores.svg"], capsys)
    assert code == 0 and facts is not None and "Taken for energy: 4 replicas" in text and "next best: " in text
    taken, after = facts["choice"]["taken"], facts["choice"]["next"]
    assert taken["joules"] == min(row["joules"] for row in facts["sweep"]) <= after["joules"]
    assert (facts["replicas"], facts["spread"]) == (taken["replicas"], taken["spread"])
    assert facts["energy"]["nominal"] == taken["joules"] and facts["time"]["batch"]["nominal"] == taken["time_s"]
    assert Path("cores.svg").read_text().count('id="core-0-') == facts["cores"]
    code, text, facts = place([*args, "--for-latency", "0.0001"], capsys)
    assert code == 1 and "no placement tried computes the batch in 0.0001 ms; the fastest takes" in text
    code, text, facts = place([*args, "--for-latency", "100"], capsys)
    assert code == 0 and facts is not None and (facts["replicas"], facts["choice"]["objective"]) == (1, "chips")


def test_own_figures_and_own_chips(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.toml").write_text(
        '[devices.loihi2.figures]\nt_barrier = { value = 1, unit = "ms", source = "mine", evidence = "R" }\n'
    )
    _, _, shipped_facts = place(["n.nir", "--rates", "0.1"], capsys)
    code, _, facts = place(["n.nir", "--rates", "0.1", "--devices", "d.toml"], capsys)
    assert code == 0 and facts is not None and shipped_facts is not None
    assert facts["step"]["seconds"]["nominal"] == pytest.approx(1e-3)
    assert facts["energy"]["nominal"] > 50 * shipped_facts["energy"]["nominal"]
    code, _, facts = place([DELTA, "--devices", "d.toml"], capsys)
    assert code == 0 and facts is not None
    time = facts["loop"]["time"]["interleaved"]["nominal"]
    assert time["action_s"] == pytest.approx(time["steps"] * 1e-3)
    code, text, facts = place(["n.h5", "--rates", "0.1", "--chip", "loihi1"], capsys)
    assert code == 1 and "sends binary spikes; use an LIF network" in text
    assert facts is not None and facts["time"] is None and facts["dense"] is None


def test_a_network_larger_than_a_chip_is_spread_over_several(
    here: Path, capsys: pytest.CaptureFixture[str], make_chain: Any
) -> None:
    n = 8
    net = make_chain(
        np.random.default_rng(0),
        (3000,) * n,
        shifts=(2,) * (n - 1) + (0,),
        thresholds=(8,) * (n - 1),
        weight_exps=(0,) * (n - 1),
    )
    path = str(artifact_file.save(net, here / "wide.safetensors"))
    code, text, facts = place([path, "--rates", "0.1"], capsys)
    assert code == 0 and facts is not None and facts["chips"] > 2 and "of 4 chips" in text
    code, line, _ = place([path, "--rates", "0.1", "--objective", "time", "--max-chips", "2"], capsys)
    assert code == 2 and f"--max-chips 2: the network takes {facts['chips']} chips of loihi2; allow as many" in line


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["n.nir"], "say what its neurons send, in one way: --recording FILE, --inputs FILE or --rates RATE"),
        (["n.nir", "--rates", "1.5"], "a rate is from 0 to 1"),
        (["n.nir", "--rates", "0.1", "--recording", "r.npz"], "say the same in several ways; give one of them"),
        (["n.nir", "--recording", "r.npz"], "r.npz: missing or no .npz"),
        (["n.nir", "--inputs", "n.nir"], "missing or not an input .npy"),
        (["n.nir", "--rates", "0.1", "--replicas", "2"], "2 replicas for a batch of 1; give --batch"),
        (["n.nir", "--rates", "0.1", "--steps", "0"], "--steps 0 must be from 1"),
        (["n.nir", "--rates", "0.1", "--batch", "0"], "--batch 0 must be from 1"),
        (["n.nir", "--rates", "0.1", "--passes", "999999"], "dense layers an inference, more than 20,000"),
        (["n.nir", "--rates", "0.1", "--devices", "none.toml"], "none.toml: no such file"),
        (["n.nir", "--rates", "0.1", "--chip", "loihi"], "chip 'loihi' is unknown"),
        (["n.nir", "--rates", "0.1", "--max-chips", "3"], "--max-chips bounds a search"),
        (["n.nir", "--rates", "0.1", "--objective", "speed"], "--objective 'speed' is unknown"),
        (
            ["n.nir", "--rates", "0.1", "--objective", "time", "--spread", "2"],
            "searches replicas and spread; leave out",
        ),
        (["n.nir", "--rates", "0.1", "--sweep-svg", "s.svg"], "--sweep prints the trade-off of any network"),
        (["n.h5", "--rates", "0.1", "--dt", "1"], "--dt: for NIR files"),
        (["a.safetensors", "--rates", "0.1"], "a.safetensors: no such artifact"),
        (["a.safetensors", "--steps", "3"], "for a network of your own; give --recording, --inputs or --rates"),
        ([LIF, "--rates", "0.1"], "is placed on plans of its task; leave out --recording"),
        (["n.pt", "--rates", "0.1"], "n.pt: no such artifact"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line, facts = place(args, capsys)
    assert code == 2 and facts is None and expected in line
    assert line.startswith("spikeplan: ") and line.count("\n") == 1
