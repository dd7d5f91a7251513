"""Energy of dense rows on GPU, CPU and ASIC; anchors are derived by hand in their comments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import SCOPES, CpuPeak, Setup, estimate

MACS = 66 * 256 + 256 * 256 + 256 * 64  # 98,816: one pass of the predictor
DENSE = {
    "method": "dense",
    "phase": "predictor",
    "layer": "mlp",
    "reference": "zero",
    "schedule": "batched",
    "precision": "int8",
    "weight_bytes": 0,
}


def dense_row(**changes: object) -> CountRow:
    return CountRow(**(DENSE | changes))


def nominal(device: str, rows: list[CountRow], actions: int = 1, scope: str = "system", **more: object) -> float:
    return estimate(device, rows, actions, scope=scope, extent="loop", **more).nominal


@pytest.mark.parametrize(
    ("device", "precision", "picojoule"),
    [
        ("h100", "fp16", 1.415),
        ("h100", "int8", 0.7075),
        ("orin_nano", "int8", 1.4925),
        ("jepa_r", "int8", 0.077),
        ("digital45", "fp32", 4.6),
        ("digital45", "int8", 0.23),
    ],
)
def test_peak_energy_per_mac(device: str, precision: str, picojoule: float):
    # 2 P / peak: 2 x 700 / 989.4e12, 2 x 700 / 1978.9e12, 2 x 25 / 33.5e12; the others are sums of two operations
    rows = [dense_row(macs=10**9, precision=precision)]
    assert nominal(device, rows, scope="compute") == pytest.approx(picojoule * 1e-3, rel=1e-3)


def test_roofline_by_hand():
    # Orin Nano, one action of 1280 passes in one row: 2 x 1280 x 98,816 / 33.5e12 = 7.551 us;
    # weights once: 98,816 / 102e9 = 0.969 us < 7.551: no stall. Batch 1: 1280 reads = 1240 us: stalls.
    # C at eta 0.5: twice the time; batch 1: memory still decides.
    row = dense_row(macs=1280 * MACS, weight_bytes=MACS)
    busy, fetch = 2 * 1280 * MACS / 33.5e12, MACS / 102e9
    assert (
        nominal("orin_nano", [row], scope="chip")
        == nominal("orin_nano", [row], scope="compute")
        == pytest.approx(25 * busy)
    )
    one = estimate("orin_nano", [row], 1, scope="system", extent="loop", batch=1)
    assert one.nominal == pytest.approx(25 * 1280 * fetch) and one.latency_s == pytest.approx(1280 * fetch)
    c = estimate("orin_nano", [row], 1, scope="system", extent="loop")
    assert (c.low, c.nominal, c.latency_s) == pytest.approx((25 * busy, 50 * busy, 2 * busy))
    measured = estimate("orin_nano", [row], 1, scope="system", extent="loop", setup=Setup(eta=0.01))
    assert measured.low == measured.high == pytest.approx(2500 * busy)
    # Rows are sums over actions: ten times the work in ten actions, each with its own weight read, changes nothing.
    ten = dense_row(macs=12800 * MACS, weight_bytes=MACS)
    assert nominal("orin_nano", [ten], 10, batch=1) == pytest.approx(one.nominal)


def test_cpu_uses_the_measured_peak_and_says_so():
    # 2e9 FLOP at 1e11 FLOP/s = 20 ms; 2 cores x 3.75 / 10 / 20 W
    rows = [dense_row(macs=10**9, precision="fp32")]
    peak = CpuPeak(flop_per_s=1e11, bytes_per_s=1e10, cores=2)
    energy = estimate("cpu", rows, 1, scope="system", extent="loop", setup=Setup(cpu=peak))
    assert (energy.low, energy.nominal, energy.high) == pytest.approx((0.15, 0.4, 0.8))
    assert energy.latency_s == pytest.approx(0.02) and "power assumed" in energy.evidence
    own = estimate("cpu", rows, 1, scope="system", extent="loop", setup=Setup(cpu=replace(peak, power_w=30.0)))
    assert own.low == own.high == pytest.approx(0.6) and "power passed" in own.evidence
    with pytest.raises(UserError, match="measure_peak"):
        nominal("cpu", rows)
    with pytest.raises(UserError, match="measured in fp32, but a row is int8"):
        nominal("cpu", [dense_row(macs=1)], setup=Setup(cpu=peak))


def test_asic_memory_by_hand():
    # A 0.077 x 1000 + 0.007 x 10; B + 500 weight bytes x 2.5 + 8 DRAM bytes x 243.75 pJ; no static power: C = B
    row = dense_row(macs=1000, acs=10, weight_bytes=500, dram_bytes=8)
    assert nominal("jepa_r", [row], scope="compute") == pytest.approx(77.07e-12)
    c = estimate("jepa_r", [row], 1, scope="system", extent="loop")
    assert c.nominal == pytest.approx((77.07 + 1250 + 1950) * 1e-12)
    assert "hypothetical" in c.evidence and "lower bound" in c.evidence and c.latency_s is None


def test_a_precision_without_a_source_is_refused_unless_assumed():
    row = dense_row(macs=10**6, precision="fp32", weight_bytes=4000)
    with pytest.raises(UserError, match=r"orin_nano.*peak_fp32.*not available.*int8 only"):
        nominal("orin_nano", [row])
    assumed = estimate("orin_nano", [row], 1, scope="system", extent="loop", setup=Setup(assume_precision="int8"))
    same = estimate("orin_nano", [dense_row(macs=10**6, weight_bytes=1000)], 1, scope="system", extent="loop")
    assert assumed.nominal == same.nominal and "fp32 charged as int8: hypothetical" in assumed.evidence


@given(macs=st.integers(1, 10**12), weights=st.integers(0, 10**9), batch=st.none() | st.integers(1, 1000))
def test_dense_counts_files_are_ordered(macs: int, weights: int, batch: int | None):
    row = dense_row(macs=macs, weight_bytes=weights)
    for device in ("h100", "orin_nano", "jepa_r", "digital45"):
        a, b, c = (estimate(device, [row], 3, scope=scope, extent="loop", batch=batch) for scope in SCOPES)
        for bound in ("low", "nominal", "high"):
            assert 0 < getattr(a, bound) <= getattr(b, bound) <= getattr(c, bound)
        assert c.low <= c.nominal <= c.high


def test_weights_that_fit_the_cache_are_fetched_once_an_action():
    """H100, 50 MB of L2, two rollout steps of one layer that stalls: 2 MB come once in 3.35e12 B/s, 60 MB twice."""
    for weights, times in ((2_000_000, 1), (60_000_000, 2)):
        rows = [dense_row(macs=1000, weight_bytes=weights, rollout_step=t) for t in (0, 1)]
        assert nominal("h100", rows) == pytest.approx(700 * times * weights / 3.35e12, rel=1e-3)
    apart = [dense_row(macs=1000, weight_bytes=30_000_000, layer=name) for name in ("h1", "h2")]
    again = [replace(row, rollout_step=1) for row in apart]
    assert nominal("h100", apart + again) == pytest.approx(2 * nominal("h100", apart)), "60 MB together do not fit"
