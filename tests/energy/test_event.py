"""Chips of which little is known: what they are charged, what is said to be missing, what is refused with the remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import Band, Setup, default, estimate, launch_bound
from spikeplan.energy.catalogue import Device, Figure

ROW = CountRow(
    method="delta",
    phase="predictor",
    layer="h",
    reference="zero",
    schedule="interleaved",
    precision="int8",
    synops=1000,
    updates_active=10,
    updates_idle=40,
    state_restores=5,
    messages=10,
    message_bits=10,
    weight_bytes=0,
    chip_steps=3,
)
ENCODER = replace(
    ROW,
    phase="encoder",
    layer="vit",
    macs=10**9,
    synops=0,
    updates_active=0,
    updates_idle=0,
    state_restores=0,
    messages=0,
    message_bits=0,
    chip_steps=0,
)


def of(device: str | Device, scope: str = "system", rows: tuple[CountRow, ...] = (ROW,), **more: object):
    return estimate(device, rows, 1, scope=scope, extent="loop", **more)


def speck() -> Device:
    known = default().device("speck")
    two = Figure(
        name="e_synop", band=Band(2e-12, 2e-12, 2e-12), unit="pJ", source="invented", evidence="assumed", node="x"
    )
    return replace(known, figures={**known.figures, "e_synop": two})


def test_updates_are_charged_where_a_figure_is_known_and_told_where_not():
    # 13.3 nJ x 1000 + 26 nJ x (10 + 40 + 5); 45 pJ x 1000 and neurons for nothing
    assert of("spinnaker").nominal == pytest.approx(13.3e-6 + 1.43e-6)
    cheap = of("spinnaker_seneca")
    assert cheap.nominal == pytest.approx(45e-9) and "updates not charged" in cheap.evidence
    for name in ("spinnaker", "spinnaker2", "seneca"):
        e = of(name)
        assert "lower bound" in e.evidence and e.latency_s is None


def test_speck_and_akida_are_refused_with_what_to_supply():
    for device, message in (
        ("speck", r"e_synop is not available .*supply it: --devices FILE"),
        ("akida", r"t_action is not available .*or Setup.time_s"),
    ):
        with pytest.raises(UserError, match=message):
            of(device)
    graded = replace(ROW, message_bits=80)
    with pytest.raises(UserError, match="e_synop is not available"):
        of("speck", rows=(graded,))
    with pytest.raises(UserError, match="'speck' sends single bits"):
        of(speck(), rows=(graded,))


def test_speck_with_a_figure_of_ones_own():
    without, timed = of(speck()), of(speck(), setup=Setup(step_s=1e-3))
    assert without.nominal == pytest.approx(2e-9) and "static power not charged" in without.evidence
    assert timed.nominal - without.nominal == pytest.approx(0.42e-3 * 3e-3) and timed.latency_s == pytest.approx(3e-3)


def test_a_datasheet_is_power_times_time_and_nothing_else():
    setup = Setup(time_s=Band(1e-3, 2e-3, 3e-3))
    a, c = of("akida", "compute", setup=setup), of("akida", setup=setup)
    assert a.nominal == 0 and (c.low, c.nominal, c.high) == pytest.approx((895e-6, 1962e-6, 3063e-6))


def test_the_chip_stays_on_while_the_host_encodes():
    host = of("orin_nano", rows=(replace(ENCODER, schedule="batched"),))
    setup = Setup(time_s=Band(1e-3, 1e-3, 1e-3))
    both = of("akida", rows=(ROW, ENCODER), setup=setup)
    assert both.nominal == pytest.approx(host.nominal + 981e-3 * (1e-3 + host.latency_s))


def test_dram_is_refused():
    for device in ("seneca", "spinnaker2"):
        with pytest.raises(UserError, match="no figure for DRAM"):
            of(device, rows=(replace(ROW, dram_bytes=1),))


def test_launches_by_hand():
    # 3 rows with MACs are 3 kernels: 3 x 1.3 us at 70 W on top of scope system; sampling without MACs rides along
    dense = [replace(ENCODER, phase="predictor", schedule="batched", macs=10**6, rollout_step=i) for i in range(3)]
    rows = [*dense, replace(dense[0], phase="selection", macs=0, acs=10)]
    bound = launch_bound(default().device("h100"), rows, 1)
    whole = of("h100", rows=tuple(rows))
    assert bound is not None and bound.idle_j is not None and bound.kernels == 3
    assert bound.latency_s.nominal == pytest.approx(whole.nominal / 700 + 3.9e-6)
    assert bound.idle_j.nominal == pytest.approx(whole.nominal + 70 * 3.9e-6)
    assert bound.full_j.nominal == pytest.approx(whole.nominal + 700 * 3.9e-6)
    assert bound.latency_s.low < bound.latency_s.nominal < bound.latency_s.high
    unknown = launch_bound(default().device("thor"), rows, 1)
    assert unknown is not None and unknown.idle_j is None, "no idle power was found for Thor"
    assert launch_bound(default().device("jepa_r"), rows, 1) is None


def test_activations_are_memory_of_an_asic():
    # 8 reads and 4 writes of one byte at 2.5 pJ
    row = replace(ENCODER, phase="predictor", schedule="batched", macs=100)
    more = replace(row, state_reads=8, state_writes=4)
    assert of("jepa_r", "chip", rows=(more,)).nominal - of("jepa_r", "chip", rows=(row,)).nominal == pytest.approx(
        30e-12
    )
