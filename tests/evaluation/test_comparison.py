"""A comparison of operation counts: loops, systems, machines that could be bought, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import spikeplan as sp
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import Setup, default
from spikeplan.energy.fit import room
from spikeplan.energy.systems import load_systems
from spikeplan.evaluation.profiles.counted import Counted
from spikeplan.evaluation.profiles.loop import looped


def row_of(**changes: object) -> CountRow:
    row = CountRow(method="m", phase="predictor", layer="h", reference="zero", schedule="batched", precision="int8")
    return replace(row, macs=100, weight_bytes=50, state_reads=10, **changes)


def test_a_loop_multiplies_operations_and_no_weights() -> None:
    encoder = replace(row_of(), phase="encoder")
    found = looped([encoder, row_of()], sp.Loop(candidates=8, iterations=2, horizon=3))
    assert found[0] == encoder and len(found) == 1 + 6
    assert {(row.iteration, row.rollout_step) for row in found[1:]} == {(i, t) for i in (0, 1) for t in (0, 1, 2)}
    assert all((row.macs, row.state_reads, row.weight_bytes) == (800, 80, 50) for row in found[1:])
    with pytest.raises(UserError, match="of iterations and rollout steps already"):
        looped([row_of(iteration=0)], sp.Loop(candidates=2))
    with pytest.raises(UserError, match="horizon is 0; give a whole number"):
        sp.Loop(horizon=0)
    with pytest.raises(UserError, match="more than 200,000 rows"):
        looped([row_of()], sp.Loop(iterations=1000, horizon=1000))


def test_systems_end_with_a_ratio_and_a_winner() -> None:
    spikes = replace(
        row_of(), method="s", schedule="interleaved", macs=0, synops=500, updates_idle=20, state_bytes=60, chip_steps=3
    )
    profiles = {
        "dense": Counted(name="dense", actions=1, rows={"batched": [row_of()]}),
        "spikes": Counted(name="spikes", actions=1, rows={"interleaved": [spikes]}),
    }
    table = sp.compare(profiles, ["orin_nano", "loihi2"], rate_hz=[10, 50])  # type: ignore[arg-type]
    shipped = load_systems()
    for row in table.by_system:
        assert shipped[row["system"]].side == ("spiking" if row["name"] == "spikes" else "dense")
        least = min(other["watts"] for other in table.systems if other["rate_hz"] == row["rate_hz"])
        assert row["ratio"] == row["watts"] / least and row["ratio_low"] <= row["ratio"]
    assert table.winner["system"] == "npu" and "the best spiking system" in str(table)
    with pytest.raises(UserError, match="system 'abacus' is unknown; use "):
        sp.compare(profiles, systems=["abacus"], rate_hz=1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="give rate_hz"):
        sp.compare(profiles, systems=["npu"])  # type: ignore[arg-type]
    with pytest.raises(UserError, match="more than a period at 1e\\+06 Hz"):
        sp.compare(profiles, systems=["orin"], rate_hz=1e6)  # type: ignore[arg-type]


def test_neurons_fill_cores_too() -> None:
    """20,000 neurons with one weight each: 3 cores of 8,192, by memory one would do."""
    row = row_of(synops=1, updates_idle=20_000, chip_steps=1, state_bytes=60_000)
    found = room(default().device("loihi2"), [replace(row, macs=0)], Setup())
    assert (found.chips, found.cores) == (1, 3)


@pytest.mark.parametrize(
    ("net", "x", "complaint"),
    [
        (nn.Linear(8, 4), torch.rand(8), r"returns \[4\] for inputs \[8\]: the leading axis is not of calls"),
        (nn.Conv2d(3, 5, 3), torch.rand(3, 9, 9), r"returns \[5, 7, 7\] for inputs"),
        (nn.GRU(4, 5), torch.rand(6, 1, 4), "'GRU' takes time first"),
    ],
)
def test_inputs_without_an_axis_of_calls_are_refused(net: nn.Module, x: Tensor, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        sp.profile(net, x)
    assert sp.profile(net, x, calls=1).op_counts.actions == 1


def test_a_weight_that_is_made_of_weights_is_stored() -> None:
    """Normalised, masked or in another precision: the product is with a weight, and its bytes are read."""

    def normed() -> nn.Module:
        return nn.utils.parametrizations.weight_norm(nn.Linear(100, 100, bias=False))

    x = torch.rand(1, 100)
    x[:, 50:] = 0.0
    net = nn.Sequential(normed(), nn.ReLU(), normed())
    plain = sp.profile(nn.Sequential(nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 100)), x)
    found = sp.profile(net, x)
    assert found.macs == plain.macs and found.density["0"] == 0.5
    assert found.op_counts.memory["0"][0] >= 100 * 100
    flat = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 5))
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(flat.parameters()).clone(), flat.parameters())
    memory = sp.profile(flat, torch.rand(1, 10)).op_counts.memory
    assert {name: weights for name, (weights, _) in memory.items()} == {"0": 110, "1": 55}, "views of one storage"


def test_nothing_to_price_is_refused() -> None:
    with pytest.raises(UserError, match="inputs without a value"):
        sp.profile(nn.Linear(8, 4), torch.rand(0, 8), calls=3)
    empty = Counted(name="x", actions=1, rows={"batched": [replace(row_of(), macs=0)]})
    with pytest.raises(UserError, match="no operations in its rows"):
        sp.compare({"x": empty}, ["orin_nano"])  # type: ignore[dict-item]
