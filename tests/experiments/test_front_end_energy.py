"""What front ends draw: one rule for all machines, worked by hand; the page's table is what its own counts are worth."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.experiments.fusion_study.front_end_energy import (
    EventRates,
    FrontEndCost,
    front_end,
    front_ends,
    rates_of,
)
from spikeplan.experiments.report.readme_fusion import marks, reprice
from spikeplan.fusion.checkpoint import FuseBundle, load_fusion

ROOT = Path(__file__).resolve().parents[2]
RATES = EventRates(synops=1.15e6, updates=460_800, steps=400)


@pytest.fixture(scope="module")
def bundle() -> FuseBundle:
    return load_fusion(None)


@pytest.fixture(scope="module")
def costs(bundle: FuseBundle) -> dict[tuple[str, str], FrontEndCost]:
    return {(cost.front_end, cost.device): cost for cost in front_ends(bundle, RATES)}


def test_machines_are_on_for_the_whole_second(costs: dict[tuple[str, str], FrontEndCost]) -> None:
    for (name, device), cost in costs.items():
        if cost.watts is None:
            assert (name, device) == ("1 kHz frames", "gap9"), "3.4 ms and waking for each of a thousand"
            continue
        assert all(watts >= rest * (1 - 1e-12) for watts, rest in zip(cost.watts, cost.watts_at_rest, strict=True)), (
            name
        )
    # frames on a microcontroller: 12.19 MMAC x 6.6 pJ, and waking 1.2 ms at 6.6 / 0.28 mW, thirty times a second
    frames = costs["frames", "gap9"]
    waking = 6.6e-3 / 0.28 * 1.2e-3
    assert frames.macs_per_s == 30 * 12_190_720
    awake = 30 * (12_190_720 * 0.28e-9 + 1.2e-3)
    assert frames.watts is not None
    assert frames.watts[1] == pytest.approx(30 * (12_190_720 * 6.6e-12 + waking) + 1e-6 * (1 - awake))
    # events: static power, 1.15 M synops and 0.4608 M updates, 400 steps; the host wakes a hundred times
    events = costs["events", "loihi2 + gap9"]
    chip = 0.232 + (1.15e6 + 10 * 0.4608e6) * 17.6e-12 + 400 * 0.386e-6
    assert events.watts is not None
    assert events.watts[1] == pytest.approx(chip + 3.6768e6 * 6.6e-12 + 100 * waking, rel=1e-4)
    assert events.watts_cameras == pytest.approx((0.003, 0.003, 0.003))
    fused = costs["fused", "loihi2 + orin_nano"]
    assert fused.watts is not None and fused.watts_at_rest[1] == pytest.approx(4.832)
    assert fused.watts_at_rest[1] < fused.watts[1] < 4.84


def test_rates_are_of_counts(bundle: FuseBundle) -> None:
    layers = [LayerCounts(layer=str(i), synops=100, updates=8, calls=20) for i in range(4)]
    assert rates_of(layers, 2.0) == EventRates(synops=200, updates=4 * 8 * 4 / 2, steps=20 * 4 / 2)
    assert front_end(bundle, layers, 2.0) == front_ends(bundle, rates_of(layers, 2.0))


def test_the_page_has_what_its_counts_are_worth(bundle: FuseBundle, tmp_path: Path) -> None:
    page = tmp_path / "fusion.md"
    shutil.copy(ROOT / "docs" / "fusion.md", page)
    text = page.read_text()
    reprice(page, bundle)
    assert page.read_text() == text
    page.write_text(text.replace("| 4.604 (2.18 .. 4.71) |", "| 0.001 (0 .. 0) |"))
    reprice(page, bundle)
    assert page.read_text() == text


def test_the_words_beside_the_table_follow_from_it() -> None:
    page = (ROOT / "docs" / "fusion.md").read_text()
    rows = [row.split(" | ") for row in page.split(marks("cost")[0])[1].split("\n") if row.startswith("| nominal")]
    watts = {(row[1], row[2]): (float(row[8].split()[0]), row[10].strip(" |")) for row in rows if row[8][0].isdigit()}
    events, frames, orin = (
        watts[key] for key in (("events", "loihi2 + gap9"), ("frames", "gap9"), ("frames", "orin_nano"))
    )
    said = " ".join((page + (ROOT / "docs" / "results.md").read_text()).split())
    assert round(events[0] / frames[0]) == 72 and said.count("72 times") == 2
    assert round(orin[0] / events[0]) == 20 and said.count("a twentieth of") >= 2
    assert f"{events[0] + float(events[1]):.2f} W against {frames[0] + float(frames[1]):.2f} W" in said
    assert "of 90 mW" not in page and "200 times" not in said
