"""`bench convert`: networks that are not ours become what their forward computes, or are refused by name in one line."""

from __future__ import annotations

import pytest
import torch

from spikeplan.conversion import DeltaTransformer, convert
from spikeplan.experiments.bench.strangers import rows as bench
from spikeplan.experiments.bench.strangers.large import Large, measured
from spikeplan.experiments.bench.strangers.networks import networks


@pytest.fixture(scope="module")
def found() -> list[bench.Outcome]:
    return bench.outcomes()


def test_every_stranger_by_both_recipes(found: list[bench.Outcome]) -> None:
    assert len(networks(bench.D, bench.A)) == 8 and len(found) == 16
    assert [outcome for outcome in found if outcome.wrong] == []
    refused = {(o.network, o.recipe): o.refused for o in found if o.error is None}
    assert {name for name, recipe in refused} == {"layernorm-gelu", "gru", "mingru", "vit", "adaln"}
    assert {recipe for _, recipe in refused} == {"sigma_delta"}, "delta_transformer takes all of them"
    named = {
        "layernorm-gelu": "layer_norm",
        "gru": "sigmoid",
        "mingru": "sigmoid",
        "vit": "layer_norm",
        "adaln": "layer_norm",
    }
    for (network, _), said in refused.items():
        assert said is not None and f"{named[network]} has no exact sigma-delta form" in said
        assert 'use recipe="delta_transformer"' in said and "\n" not in said


def test_an_outcome_that_is_something_else_counts(found: list[bench.Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.Outcome("x", "y", 0.2, None).wrong and bench.Outcome("x", "y", float("nan"), None).wrong
    assert (
        bench.Outcome("x", "y", None, "it fails").wrong
        and bench.Outcome("x", "y", None, f"{found[2].refused}\nx").wrong
    )
    monkeypatch.setattr(bench, "outcomes", lambda: [*found, bench.Outcome("x", "y", 0.2, None)])
    (row,) = bench.strangers_rows()
    assert (row.name, row.ours, row.holds) == ("strangers_wrong", 1.0, False)
    monkeypatch.setattr(bench, "outcomes", lambda: found)
    (row,) = bench.strangers_rows()
    assert (row.ours, row.holds, row.unit) == (
        0.0,
        True,
        "of 16 conversions of networks that are not ours; 5 refused by name",
    )


def test_the_large_one_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = torch.get_num_threads()
    try:
        seen = measured(width=32, depth=2, tokens=4)
    finally:
        torch.set_num_threads(threads)
    assert 0 < seen["output_nmse"] < 0.05 and seen["layers"] == 3 + 4 * 2 and seen["seconds"] > 0
    assert 20_000 < seen["weights"] < 40_000
    with torch.device("meta"):
        assert 3.0e8 < sum(p.numel() for p in Large().parameters()) < 3.1e8

    class Done:
        returncode, stderr = 0, ""
        stdout = '{"seconds": 700.0, "peak_gib": 3.0, "weights": 302000000, "threads": 2, "output_nmse": 0.01}'

    monkeypatch.setattr(bench.subprocess, "run", lambda *args, **kwargs: Done())
    slow, memory = bench.large_rows()
    assert (slow.name, slow.ours, slow.holds) == ("convert_300m_seconds", 700.0, False)
    assert (memory.name, memory.ours, memory.holds) == ("convert_300m_gib", 3.0, True)
    Done.returncode, Done.stderr = 1, "x\nMemoryError"
    (failed,) = bench.large_rows()
    assert failed.ours is None and failed.holds is False and "MemoryError" in failed.unit


def test_the_weights_are_not_copied() -> None:
    """What runs holds int8 weights; the module is not kept."""
    module = Large(width=32, depth=1, tokens=4)
    data = torch.randn(16, 64), torch.rand(16, 7)
    program = convert(module, data, DeltaTransformer()).artifact
    floats = sum(tensor.numel() for tensor in program.constants.values())
    assert floats < 0.1 * sum(step.whole.numel() for step in program.coded)
