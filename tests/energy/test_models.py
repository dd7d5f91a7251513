"""Energy of operation counts rows: every anchor is derived by hand in its comment from the figures of the catalogue."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeplan.core.counts.operations import UPDATE_WEIGHT, CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import SCOPES, Energy, Setup, default, estimate

MACS = 66 * 256 + 256 * 256 + 256 * 64  # 98,816: one pass of the predictor
SPIKING = {
    "method": "delta",
    "phase": "predictor",
    "layer": "h1",
    "reference": "previous_step",
    "schedule": "interleaved",
    "weight_bytes": 0,
    "chip_steps": 0,
}
DENSE = {
    "method": "dense",
    "phase": "predictor",
    "layer": "mlp",
    "reference": "zero",
    "schedule": "batched",
    "precision": "int8",
    "weight_bytes": 0,
}


def spiking_row(**changes: object) -> CountRow:
    return CountRow(**(SPIKING | {"precision": "int8"} | changes))


def dense_row(**changes: object) -> CountRow:
    return CountRow(**(DENSE | changes))


def nominal(device: str, rows: list[CountRow], actions: int = 1, scope: str = "system", **more: object) -> float:
    return estimate(device, rows, actions, scope=scope, extent="loop", **more).nominal


def test_energy_has_the_pinned_fields():
    pinned = ["device", "method", "scope", "extent", "low", "nominal", "high", "unit", "evidence", "latency_s"]
    assert [f.name for f in fields(Energy)] == pinned
    energy = estimate("loihi2", [spiking_row(synops=1)], 1, scope="compute", extent="predictor")
    assert (energy.device, energy.method, energy.unit) == ("loihi2", "delta", "J/action")
    assert energy.evidence.startswith("D; simulated counts")


def test_loihi2_operations_by_hand():
    # 1000 synops + 10 x (30 active + 50 idle + 20 restores) = 2000 synop-equivalents over 4 actions = 500 each:
    # 500 x 9.1 / 17.6 / 22.4 pJ. Memory and hops are inside, so scope chip is scope compute.
    row = spiking_row(synops=1000, updates_active=30, updates_idle=50, state_restores=20, hops=7, messages=30)
    a = estimate("loihi2", [row], 4, scope="compute", extent="predictor")
    assert (a.low, a.nominal, a.high) == pytest.approx((500 * 9.1e-12, 500 * 17.6e-12, 500 * 22.4e-12))
    assert estimate("loihi2", [row], 4, scope="chip", extent="predictor").nominal == a.nominal
    assert default().device("loihi2").figure("update_weight").band.nominal == UPDATE_WEIGHT


def test_loihi1_operations_and_network_by_hand():
    # A: 23.6 x 100 + 81 x (3 active + 2 restores) + 52 x 7 idle = 2360 + 405 + 364 = 3129 pJ
    # B: + 1.7 x 3 messages + 3.0 / 3.5 / 4.0 x 10 hops = 5.1 + 30 / 35 / 40 pJ
    row = spiking_row(
        synops=100, updates_active=3, updates_idle=7, state_restores=2, messages=3, message_bits=3, hops=10
    )
    assert nominal("loihi1", [row], scope="compute") == pytest.approx(3129e-12)
    b = estimate("loihi1", [row], 1, scope="chip", extent="loop")
    assert (b.low, b.nominal, b.high) == pytest.approx((3164.1e-12, 3169.1e-12, 3174.1e-12))
    assert "hops unknown" not in b.evidence
    unplaced = estimate("loihi1", [replace(row, hops=None)], 1, scope="chip", extent="loop")
    assert unplaced.nominal == pytest.approx(3134.1e-12) and "hops unknown" in unplaced.evidence
    # SANA-FE: 35.5 x 100 + 142.1 x 5 + 72.8 x 7 = 3550 + 710.5 + 509.6 pJ
    assert nominal("loihi1_sanafe", [row], scope="compute") == pytest.approx(4770.1e-12)


def test_static_power_dominates_a_small_network():
    # Facts: 1,280 evaluations x 4 steps x 10 us x 0.2 W = 10.24 mJ. At the nominal 0.232 W: x 1.16 = 11.88 mJ, and
    # 0.386 uJ for each of the 5,120 steps.
    # Dynamic: 576 neurons x 5,120 steps x 10 + 5 % of 1,280 x 98,816 synops = 35.8 M x 17.6 pJ = 0.63 mJ
    steps = 1280 * 4
    row = spiking_row(synops=1280 * MACS // 20, updates_idle=576 * steps, chip_steps=steps)
    setup = Setup(step_s=10e-6)
    operations, whole = nominal("loihi2", [row], scope="compute"), nominal("loihi2", [row], setup=setup)
    assert operations == pytest.approx(0.630e-3, rel=2e-3)
    assert whole - operations == pytest.approx(10.24e-3 * 0.232 / 0.2 + steps * 0.386e-6)
    chip = default().device("loihi2")
    at_200_mw = replace(chip.figure("p_static"), band=replace(chip.figure("p_static").band, nominal=0.2))
    other = replace(chip, figures={**chip.figures, "p_static": at_200_mw})
    assert estimate(other, [row], 1, scope="system", extent="loop", setup=setup).nominal - operations == pytest.approx(
        10.24e-3 + steps * 0.386e-6
    )
    assert nominal("orin_nano", [dense_row(macs=1280 * MACS)], scope="compute") == pytest.approx(0.189e-3, rel=2e-3)


def test_static_power_is_in_every_bound():
    # 50 steps of 200 ns at 90 mW and 0.12 uJ each, at the low end
    row = spiking_row(synops=100, updates_idle=10, chip_steps=50)
    a, c = (estimate("loihi2", [row], 1, scope=scope, extent="loop") for scope in ("compute", "system"))
    assert c.low - a.low == pytest.approx(0.09 * 50 * 200e-9 + 50 * 0.12e-6)
    older = [estimate("loihi1", [row], 1, scope=scope, extent="loop").low for scope in ("compute", "system")]
    assert older[1] > older[0]


def test_loihi_latency_by_hand():
    # max(10 steps x 1.77 us, 1.01 ns x 2000 / 2 cores, 25 ns x 1000 / 2 cores) + 160 words / 160e6 = 17.7 + 1 us; on Loihi 1 the
    # barrier comes on top: 10 x 0.465 + max(3.5 ns x 2000, 8.4 ns x 1000) / 2 = 4.65 + 4.2 us
    rows = [
        spiking_row(synops=2000, updates_idle=1000, chip_steps=10),
        spiking_row(phase="host", layer="predictor", host_words=160),
    ]
    energy = estimate("loihi2", rows, 1, scope="compute", extent="loop", setup=Setup(cores=2))
    assert energy.latency_s == pytest.approx(18.7e-6)
    fewer = [replace(rows[0], chip_steps=1), rows[1]]
    busy = estimate("loihi2", fewer, 1, scope="compute", extent="loop", setup=Setup(cores=2))
    assert busy.latency_s == pytest.approx(13.5e-6), "1000 updates take longer than a barrier"
    old = estimate("loihi1", rows[:1], 1, scope="compute", extent="loop", setup=Setup(cores=2))
    assert old.latency_s == pytest.approx(8.85e-6)
    assert estimate(
        "loihi2", rows, 1, scope="compute", extent="loop", setup=Setup(step_s=1e-3)
    ).latency_s == pytest.approx(10.001e-3)
    assert nominal("loihi2", rows, setup=Setup(chips=3, cores=2)) - nominal(
        "loihi2", rows, scope="compute"
    ) == pytest.approx(3 * (0.72 * 59e-6 + 10 * 0.386e-6)), "several chips wait 5.8 us a step for each other"


def test_a_loop_adds_the_encoder_on_its_host():
    # Encoder 1e9 MACs int8: Orin Nano 1.4925 mJ at the peak, 59.7 us x 2 at eta 0.5; the chip draws 0.232 W too
    encoder = spiking_row(phase="encoder", layer="vit", macs=10**9)
    chip = spiking_row(synops=1000, chip_steps=1)
    alone, loop = nominal("loihi2", [chip]), nominal("loihi2", [chip, encoder])
    wait = 2 * 2e9 / 33.5e12
    assert loop - alone == pytest.approx(wait * (25 + 0.232))
    assert estimate("loihi2", [chip, encoder], 1, scope="system", extent="predictor").nominal == alone
    energy = estimate("loihi2", [chip, encoder], 1, scope="compute", extent="loop", setup=Setup(host_device="jepa_r"))
    assert energy.nominal == pytest.approx(1000 * 17.6e-12 + 77e-6)
    assert "encoder on jepa_r" in energy.evidence and energy.latency_s is None


def test_graded_messages_on_loihi1_are_refused_unless_assumed():
    row = spiking_row(synops=10, messages=2, message_bits=16, chip_steps=1)
    with pytest.raises(UserError, match=r"layer 'h1': 16 bits in 2 messages.*assume_graded"):
        nominal("loihi1", [row])
    energy = estimate("loihi1", [row], 1, scope="compute", extent="loop", setup=Setup(assume_graded=True))
    assert energy.nominal == pytest.approx(236e-12) and "hypothetical" in energy.evidence
    assert nominal("loihi2", [row]) > 0


@pytest.mark.parametrize(
    ("device", "rows", "message"),
    [
        ("loihi2", [dense_row(macs=5)], "a dense predictor .5 MACs. does not run on 'loihi2'"),
        ("loihi1", [dense_row(acs=5)], "does not run on 'loihi1'"),
        ("loihi2", [spiking_row(phase="encoder", macs=5)], "nothing to run on 'loihi2'"),
        ("h100", [spiking_row(synops=5)], "spiking operations cannot run on 'h100'"),
        ("jepa_r", [spiking_row(updates_idle=5)], "spiking operations cannot run on 'jepa_r'"),
        ("loihi2", [spiking_row(synops=5, dram_bytes=1)], "no figure for DRAM"),
        ("loihi2", [spiking_row(synops=5), spiking_row(synops=5, method="lif")], "one method in one schedule"),
        ("loihi2", [spiking_row(synops=5), spiking_row(synops=5, schedule="sequential")], "one method in one schedule"),
        ("loihi2", [], "no operation counts"),
        ("tpu", [dense_row(macs=5)], "'tpu' is unknown; use one of"),
    ],
)
def test_what_cannot_be_estimated_is_refused(device: str, rows: list[CountRow], message: str):
    with pytest.raises(UserError, match=message):
        nominal(device, rows)


@pytest.mark.parametrize("wrong", [{"eta": 1.5}, {"chips": 0}, {"step_s": float("nan")}, {"assume_precision": "int4"}])
def test_a_setup_refuses_nonsense(wrong: dict[str, object]):
    with pytest.raises(UserError, match="Setup"):
        Setup(**wrong)
    row = spiking_row(synops=1)
    for bad in ({"scope": "D", "extent": "loop"}, {"scope": "compute", "extent": "all"}):
        with pytest.raises(UserError, match="is unknown"):
            estimate("loihi2", [row], 1, **bad)
    with pytest.raises(UserError, match="must be > 0"):
        estimate("loihi2", [row], 0, scope="compute", extent="loop")


counts = st.integers(0, 10**9)


@given(
    synops=counts, active=counts, idle=counts, messages=counts, steps=st.integers(0, 10**5), more=st.integers(1, 10**9)
)
def test_counts_files_are_ordered_and_energy_rises_with_synops(
    synops: int, active: int, idle: int, messages: int, steps: int, more: int
):
    row = spiking_row(synops=synops + 1, updates_active=active, updates_idle=idle, messages=messages, chip_steps=steps)
    for device in ("loihi2", "loihi1", "loihi1_sanafe"):
        a, b, c = (estimate(device, [row], 3, scope=scope, extent="loop") for scope in SCOPES)
        for bound in ("low", "nominal", "high"):
            assert 0 < getattr(a, bound) <= getattr(b, bound) <= getattr(c, bound)
        assert c.low <= c.nominal <= c.high
        busier = replace(row, synops=row.synops + more)
        assert nominal(device, [busier], 3) > c.nominal
