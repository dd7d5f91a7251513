"""Our counts and Joules beside NeuroBench, sinabs and SANA-FE; each skips where its tool is not installed."""

from __future__ import annotations

import json
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.experiments.bench.peers import agreement as energy_agreement
from spikeplan.experiments.bench.peers import neurobench as energy_neurobench
from spikeplan.experiments.bench.peers import profiles as energy_profiles
from spikeplan.experiments.bench.peers import sanafe as energy_sanafe
from spikeplan.experiments.bench.peers.agreement import agreement, sinabs_conv
from spikeplan.experiments.bench.peers.rows import NotInstalledError, need
from spikeplan.experiments.bench.peers.sanafe import run_sanafe, sanafe_case, sanafe_loihi1, sanafe_rows
from spikeplan.experiments.bench.plan import bench_command


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(tool) is None, reason=f"{tool} is not installed; `make peers` installs it")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@needs("neurobench")
def test_neurobench_counts_the_lif_networks_spikes():
    """The shipped network; its int8 weights hold zeros, which NeuroBench skips and a chip processes."""
    spikes, given = energy_agreement._lif(seeded())
    assert spikes["ours"] - spikes["explained"] == spikes["other"] > 0
    assert given["ours"] - given["explained"] == given["other"] > 0
    assert 0 < spikes["explained"] < spikes["ours"] / 10
    assert spikes["holds"]
    assert given["holds"]


@needs("neurobench")
def test_neurobench_counts_graded_messages_as_macs():
    (row,) = energy_agreement._delta(seeded())
    assert row["ours"] - row["explained"] == row["other"] > 0
    assert row["holds"]
    assert f"{row['other']} MACs and 0 ACs" in row["note"]


@needs("neurobench")
def test_a_wrong_count_is_seen(monkeypatch: pytest.MonkeyPatch):
    counted = energy_neurobench.neurobench_counts
    monkeypatch.setattr(energy_neurobench, "neurobench_counts", lambda *a: tuple(n + 1 for n in counted(*a)))
    assert [row["holds"] for row in energy_agreement._lif(seeded()) + energy_agreement._delta(seeded())] == [False] * 3


@needs("sinabs")
def test_sinabs_conv_fan_out():
    try:
        rows = sinabs_conv(seeded())
    except NotInstalledError as missing:
        pytest.skip(str(missing))
    assert [row["holds"] for row in rows] == [True] * 4
    assert all(row["ours"] > 1000 for row in rows)


@needs("sanafe")
def test_sanafe_on_loihi_1():
    rows = {row["name"]: row for row in sanafe_loihi1(seeded())}
    assert rows["sanafe_spikes"]["ours"] == rows["sanafe_spikes"]["other"] > 100
    assert rows["sanafe_hops"]["ours"] == rows["sanafe_hops"]["other"] > 1000
    # same constants: synapses and neurons agree to rounding; a hop is priced at the mean of two directions
    operations, whole = rows["sanafe_operations_joules"], rows["sanafe_whole_joules"]
    assert operations["ours"] == pytest.approx(operations["other"], rel=1e-9)
    assert whole["ours"] == pytest.approx(whole["other"], rel=0.01)
    assert all(row["holds"] for row in rows.values())


@needs("sanafe")
def test_a_job_that_sanafe_refuses_is_one_line():
    with pytest.raises(UserError, match=r"SANA-FE ended with 1: .*KeyError"):
        run_sanafe({"spikes": [[1]]})


def test_the_op_counts_that_sanafe_is_compared_with():
    """By hand, from the trace: each spike of h1 meets 4 neurons of h2, each of h2 the 3 outputs; 6 + 2 chip steps."""
    predictor, x = sanafe_case(seeded(), sizes=(5, 6, 4, 3), steps=6)
    rows, job = sanafe_rows(predictor, x, tiles=(0, 2, 5))
    found = {row.layer: row for row in rows}
    sent = sum(map(sum, job["spikes"]))
    assert sent > 0
    assert found["h1"].synops == 4 * sent
    assert (found["h1"].updates, found["h1"].hops) == (0, 2 * sent)
    assert found["h2"].synops == 3 * found["h2"].messages
    assert found["h2"].updates == 4 * 8
    assert found["h2"].hops == 2 * found["h2"].messages  # tile 2 is column 0, row 2; tile 5 column 1, row 1
    assert (found["out"].updates_idle, found["out"].updates_active) == (3 * 8, 0)
    assert job["steps"] == 8
    # weights are what SANA-FE's resolution of 1/64 holds exactly
    assert all(float(w * 64).is_integer() for line in job["weight2"] for w in line)


def test_missing_tools_say_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for name in ("neurobench", "sinabs", "spikingjelly"):
        monkeypatch.setitem(sys.modules, name, None)  # import raises
        for loaded in [key for key in sys.modules if key.startswith(f"{name}.")]:
            monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.setattr(energy_sanafe, "run_sanafe", lambda job: need("no_such_tool.at_all"))
    rows = agreement()
    torchs = next(row for row in rows if row["name"] == "torch_vjepa2_ac_macs")
    rows.remove(torchs)
    assert (torchs["holds"], torchs["ours"]) == (True, torchs["other"])
    assert {row["name"] for row in rows} == set(energy_agreement.TOOLS) - {"torch"}
    assert all(
        row["ours"] is None and row["holds"] is None and "`make peers` installs it" in row["note"] for row in rows
    )
    bench_command("energy", str(tmp_path / "rows.json"), console=Console(width=300))
    written = json.loads((tmp_path / "rows.json").read_text())
    by_name = {row["name"]: row for row in written}
    assert {"name", "ours", "other", "ratio", "unit", "goal", "holds"} == set(written[0])
    assert by_name["counters_different"]["holds"] is None and "not installed: neurobench_lif" in written[0]["unit"]
    assert "sanafe" in by_name and by_name["sanafe"]["ratio"] is None and by_name["torch_vjepa2_ac_macs"]["ratio"] == 1
    printed = capsys.readouterr().out
    assert "neurobench" in printed and "yes" in printed


@pytest.mark.parametrize(
    ("tool", "compare"),
    [
        ("neurobench", energy_profiles.neurobench_profile),
        ("sinabs", energy_profiles.sinabs_profile),
        ("spikingjelly", energy_profiles.spikingjelly_profile),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_profile_is_what_other_counters_count(tool, compare, seed: int):
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed; `make peers` installs it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (row,) = compare(torch.Generator().manual_seed(seed))
    assert row["holds"] and row["other"] > 10_000
