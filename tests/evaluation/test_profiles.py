"""A reader's own network: its counts by hand, weight memory included, and its comparison over machines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import spikeplan as sp
from spikeplan.core.errors import UserError
from spikeplan.evaluation.profiles import Comparison
from spikeplan.snn.delta_predictor import DeltaPredictor


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 50))


def test_counts_of_a_module_by_hand() -> None:
    found = sp.profile(mlp(), torch.rand(4, 100))
    assert found.macs == 100 * 300 + 300 * 50 and found.synops == 0
    assert found.op_counts.memory == {"0": (100 * 300 + 300, 0), "2": (300 * 50 + 50, 0)}
    rows = {row.layer: row for row in found.op_counts.rows("batched")}
    assert (rows["0"].state_reads, rows["0"].state_writes) == (4 * 100, 4 * 300)


def test_convolutions_and_other_precisions_count_too() -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 64, 10))
    found = sp.profile(net, torch.rand(2, 1, 8, 8), precision="fp16")
    assert found.macs == 8 * 9 * 64 + 8 * 64 * 10
    assert found.op_counts.memory["0"] == (2 * (8 * 9 + 8), 0)


def test_weights_that_are_fetched_are_paid() -> None:
    """Version 0.1 priced a module without its weights' traffic, a factor of 148 on an H100, and said nothing."""
    table = sp.compare({"mine": sp.profile(mlp(), torch.rand(1, 100))}, ["h100", "orin_nano"])
    by_machine = {row["machine"]: row for row in table.rows}
    weights, rate, power = 45_350, 3.35e12, 700.0  # bytes, HBM of the H100, its board power
    assert by_machine["h100"]["joules"] >= 0.5 * weights / rate * power
    assert table.winner["joules"] == min(row["joules"] for row in table.rows)
    assert all(row["low"] <= row["joules"] <= row["high"] for row in table.rows)


def test_a_spiking_predictor_beside_a_dense_one(make_chain) -> None:
    predictor = DeltaPredictor(make_chain(np.random.default_rng(0)))
    latent, action = torch.randn(5, 4) * 20, torch.randn(5, 2) * 20
    found = sp.profile(predictor, (latent, action))
    assert found.schedules == ("sequential", "interleaved") and 0 < found.synops < found.macs
    table = sp.compare({"spikes": found, "mine": sp.profile(mlp(), torch.rand(1, 100))}, ["loihi2", "h100"])
    assert {(row["name"], row["machine"]) for row in table.rows} == {("spikes", "loihi2"), ("mine", "h100")}
    assert {row["machine"] for row in table.refused} == {"loihi2", "h100"}


def test_a_table_shows_itself() -> None:
    table = sp.compare({"<mine>": sp.profile(mlp(), torch.rand(1, 100))}, ["h100"])
    assert isinstance(table, Comparison) and "h100" in str(table) and "nothing was measured" in str(table)
    assert table._repr_html_().count("<tr>") == 2 and "&lt;mine&gt;" in table._repr_html_()
    frame = table.to_pandas()
    assert list(frame["machine"]) == ["h100"] and frame["joules"][0] == table.rows[0]["joules"]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: sp.profile(3, torch.rand(1, 2)), "int is no torch module"),
        (lambda: sp.profile(mlp(), torch.rand(1, 7)), "does not take these inputs"),
        (lambda: sp.profile(mlp(), ()), "inputs are one tensor or several"),
        (lambda: sp.profile(mlp(), (torch.rand(1, 2), torch.rand(2, 2))), "the same number"),
        (lambda: sp.profile(mlp(), torch.rand(1, 100), precision="int3"), "precision 'int3' is unknown"),
        (lambda: sp.profile(nn.ReLU(), torch.rand(1, 2)), "multiplies nothing"),
        (lambda: sp.compare({}), "no profile was given"),
        (lambda: sp.compare({"a": sp.profile(mlp(), torch.rand(1, 100))}, ["abacus"]), "abacus"),
    ],
)
def test_what_cannot_be_profiled_is_refused(call, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        call()
