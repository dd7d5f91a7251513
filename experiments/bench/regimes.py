"""Rows of `bench energy` on the regime map: how long it takes, and regimes that an independent sweep of version 0.1 found.

That sweep kept a core a layer, added the barrier to a step's work and charged 5.8 us for it. Here each layer is spread over the
cores that are left, a step lasts as its slowest part does, and the barrier is the measured 1.77 us. Where this turns a
regime, the row says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from spikeplan.energy.catalogue import default
from spikeplan.energy.regime import ActionRow, Axes, RateRow, Regimes, regimes
from spikeplan.energy.systems import load_systems
from spikeplan.experiments.bench.rows import BenchRow

MOST_S = 60.0
SYSTEMS = ("npu", "npu-loihi2", "orin", "orin-loihi2", "h100")
KB, MB = 1_000, 1_000_000
AXES = Axes(weight_bytes=(82 * KB, MB, 10 * MB, 100 * MB), candidates=(1, 8, 32, 64, 256, 800), rates_hz=(10.0, 50.0))


@dataclass(frozen=True)
class Regime:
    """A statement about the map, and the rule that says whether it is so here. `why`: what turned it, where it is not, and
    `instead`: the rule of what is said in its place."""

    name: str
    says: str
    holds: Callable[[Regimes], bool]
    why: str = ""
    instead: Callable[[Regimes], bool] = lambda found: False


def _actions(
    found: Regimes, device: str, how: str, weights: tuple[int, int], candidates: tuple[int, int]
) -> list[ActionRow]:
    return [
        row
        for row in found.actions
        if (row.device, row.how) == (device, how)
        and weights[0] <= row.weight_bytes <= weights[1]
        and candidates[0] <= row.candidates <= candidates[1]
    ]


def _rates(found: Regimes, spiking: str, dense: str, weights: tuple[int, int]) -> list[RateRow]:
    return [
        row
        for row in found.rates
        if (row.spiking, row.dense) == (spiking, dense) and weights[0] <= row.weight_bytes <= weights[1]
    ]


def _static_share(row: RateRow) -> float:
    static = default().device("loihi2").figure("p_static").band.nominal
    return 0.0 if row.spiking_watts is None else static / row.spiking_watts


BOARDS = "machines of several chips draw 0.72 W a chip at rest, measured with their boards, where the review has 0.23 W"

REGIMES = (
    Regime(
        "beyond_cache_orin",
        "weights of 10 MB and more, up to 8 candidates: spikes win at any density against an Orin's roofline",
        lambda found: all(
            r.break_even > 0.9 for r in _actions(found, "orin_nano", "roofline", (10 * MB, 10**9), (1, 8))
        ),
        why=f"{BOARDS}, so 100 MB win below .79 to 1 and 1 GB below .47 to .63; 10 MB, one chip, at any density",
        instead=lambda found: all(
            low <= r.break_even <= high
            for size, low, high in ((10, 0.995, 1.0), (100, 0.785, 1.0), (1000, 0.465, 0.635))
            for r in _actions(found, "orin_nano", "roofline", (size * MB, size * MB), (1, 8))
        ),
    ),
    Regime(
        "beyond_cache_h100",
        "weights of 100 MB, up to 8 candidates: spikes win at any density against an H100's roofline",
        lambda found: all(r.break_even > 0.9 for r in _actions(found, "h100", "roofline", (100 * MB, 10**9), (1, 8))),
        why=f"{BOARDS}, so 100 MB win below .67 to 1 and 1 GB below .40 to .53",
        instead=lambda found: all(
            low <= r.break_even <= high
            for size, low, high in ((100, 0.665, 1.0), (1000, 0.395, 0.535))
            for r in _actions(found, "h100", "roofline", (size * MB, size * MB), (1, 8))
        ),
    ),
    Regime(
        "launches_h100",
        "82 KB, up to 32 candidates: spikes win at any density against an H100 that waits between kernels",
        lambda found: all(r.break_even > 0.9 for r in _actions(found, "h100", "launches", (82 * KB, 82 * KB), (1, 32))),
    ),
    Regime(
        "density_orin",
        "10 MB and more, 256 candidates and more: below a density of .12 to .17 against an Orin",
        lambda found: all(
            0.12 <= r.break_even <= 0.17 for r in _actions(found, "orin_nano", "roofline", (10 * MB, 10**9), (256, 800))
        ),
        why=f"{BOARDS}, so 100 MB win below .118",
        instead=lambda found: all(
            0.1175 <= r.break_even <= 0.17
            for r in _actions(found, "orin_nano", "roofline", (10 * MB, 10**9), (256, 800))
        ),
    ),
    Regime(
        "density_h100",
        "the same: below .05 to .07 against an H100",
        lambda found: all(
            0.05 <= r.break_even <= 0.07 for r in _actions(found, "h100", "roofline", (10 * MB, 10**9), (256, 800))
        ),
    ),
    Regime(
        "small_loses_roofline",
        "82 KB: spikes lose to an Orin's roofline at any density up to 64 candidates",
        lambda found: all(
            r.break_even < 0.01 for r in _actions(found, "orin_nano", "roofline", (82 * KB, 82 * KB), (1, 64))
        ),
        why="spread over all cores and with the measured step they win below .08 to .12 from 8 candidates on",
        instead=lambda found: all(
            0.08 <= r.break_even <= 0.12 for r in _actions(found, "orin_nano", "roofline", (82 * KB, 82 * KB), (8, 800))
        ),
    ),
    Regime(
        "low_rate",
        "82 KB and 1 MB at 10 Hz, up to 64 candidates: a chip with a host that sleeps draws less than an Orin at any density",
        lambda found: all(
            r.break_even == 1
            for r in _rates(found, "npu-loihi2", "orin", (0, MB))
            if r.candidates <= 64 and r.rate_hz == 10
        ),
    ),
    Regime(
        "too_slow",
        "100 MB with 800 candidates at 10 Hz, 10 MB with 800 at 50 Hz: no plan in spikes meets the rate",
        lambda found: all(
            r.fits == 0
            for r in _rates(found, "npu-loihi2", "orin", (10 * MB, 100 * MB))
            if r.candidates == 800 and (r.weight_bytes, r.rate_hz) in ((100 * MB, 10), (10 * MB, 50))
        ),
    ),
    Regime(
        "static_below_100_hz",
        "82 KB, up to 32 candidates, below 100 Hz: more than 80 % of a chip's system is static power",
        lambda found: all(
            _static_share(r) > 0.8
            for r in _rates(found, "npu-loihi2", "orin", (82 * KB, 82 * KB))
            if r.candidates <= 32 and r.spiking_watts is not None
        ),
    ),
    Regime(
        "npu_wins_where_it_runs",
        "82 KB, up to 32 candidates, 10 Hz: a microcontroller's NPU draws less at any density",
        lambda found: all(
            r.break_even == 0 and r.dense_watts is not None
            for r in _rates(found, "npu-loihi2", "npu", (82 * KB, 82 * KB))
            if r.candidates <= 32 and r.rate_hz == 10
        ),
    ),
    Regime(
        "beside_an_orin",
        "82 KB, up to 256 candidates: a chip beside an Orin that stays on never pays",
        lambda found: all(
            r.break_even == 0
            for r in _rates(found, "orin-loihi2", "orin", (82 * KB, 82 * KB))
            if r.candidates <= 256 and r.dense_watts is not None
        ),
    ),
)


def regime_rows() -> list[BenchRow]:
    """Seconds of the whole map, and each regime: 1 where it is found here, 0 where not."""
    systems = {name: system for name, system in load_systems().items() if name in SYSTEMS}
    began = time.perf_counter()
    regimes(Axes(), default(), {n: s for n, s in load_systems().items() if not s.sensors})
    took = time.perf_counter() - began
    found = regimes(AXES, default(), systems)
    held = {regime.name: regime.holds(found) for regime in REGIMES}
    told = {regime.name: held[regime.name] or regime.instead(found) for regime in REGIMES}
    rows = [
        BenchRow(
            name=f"map_{regime.name}",
            ours=float(held[regime.name]),
            other=1.0,
            unit=regime.says + (f"; here not: {regime.why}" if not held[regime.name] else ""),
            goal="found, or said why not",
            holds=told[regime.name],
        )
        for regime in REGIMES
    ]
    different = [regime for regime in REGIMES if not held[regime.name]]
    return [
        BenchRow(name="map_seconds", ours=took, unit="s, the whole map", goal=f"<= {MOST_S:g}", holds=took <= MOST_S),
        BenchRow(
            name="map_regimes_different",
            ours=len(different),
            unit=f"of {len(REGIMES)} regimes; what is said in its place holds: {sum(told[r.name] for r in different)}",
            goal="0, or said why",
            holds=all(told.values()),
        ),
        *rows,
    ]
