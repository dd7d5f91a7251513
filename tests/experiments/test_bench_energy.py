"""Rows of `bench energy`: prices agree by every way, published MACs are met, and a slip in any of them is seen."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.experiments.bench import energy as bench
from spikeplan.experiments.bench import prices, published_macs
from spikeplan.experiments.bench.rows import BenchRow


def test_random_counts_cost_the_same_by_every_way() -> None:
    (row,) = prices.price_rows()
    assert row.name == "prices_different" and row.holds and row.ours == 0
    assert int(row.unit.split()[1].replace(",", "")) > 2000, (
        "50 counts on three or four machines, by three ways and three bounds each"
    )
    counts = prices.random_counts(np.random.default_rng(1), spiking=True)
    ways = {way for way, _ in prices.prices(counts, "loihi2", "sequential")}
    assert ways == {"estimate", "compare", "file", "run", "system"}


def test_a_way_that_forgets_a_core_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As version 0.1: one command took a core a layer, another took one core for all."""
    setup = energy.Setup
    there = import_module("spikeplan.evaluation.profiles.machines")
    monkeypatch.setattr(there, "replace", lambda was, **given: setup(**given, chips=1, cores=1))
    (row,) = prices.price_rows(draws=8)
    assert not row.holds and row.ours and "the first: compare on loihi2" in row.unit


def test_a_way_that_forgets_weights_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    dump = prices.dump_rows

    def forgetful(rows, actions):
        found = dump(rows, actions)
        for row in found["rows"]:
            row["weight_bytes"] = 0
        return found

    monkeypatch.setattr(prices, "dump_rows", forgetful)
    (row,) = prices.price_rows(draws=8)
    assert not row.holds and "the first: file on" in row.unit


@pytest.mark.parametrize("name", published_macs.PUBLISHED)
def test_published_macs_are_met(name: str) -> None:
    stated = published_macs.PUBLISHED[name][1]
    assert f"{published_macs.macs_of(name) / 1e9:.{len(stated.partition('.')[2])}f}" == stated


def test_a_missing_layer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_macs, "STAGES", published_macs.STAGES[:-1])
    first, *rows = published_macs.published_rows()
    assert first.ours == 1 and not first.holds and not next(r for r in rows if r.name.endswith("resnet50")).holds


def test_a_missing_tool_is_no_agreement() -> None:
    known = BenchRow(name="a", ours=1, other=1, unit="synops", goal="equal", holds=True)
    missing = BenchRow(name="b", ours=None, unit="not there", goal="equal", holds=None)
    assert bench._different("counters_different", [known]).holds is True
    row = bench._different("counters_different", [known, missing])
    assert row.holds is None and row.unit == "of 1 counts; not installed: b"
    wrong = BenchRow(name="c", ours=1, other=2, unit="synops", goal="equal", holds=False)
    assert bench._different("counters_different", [known, missing, wrong]).holds is False


@pytest.mark.slow
def test_a_stranger_s_network_is_priced_in_seconds() -> None:
    row = bench.compare_seconds()
    assert row.ours is not None and row.ours < 60, "five seconds are asked for; a busy machine takes longer"
