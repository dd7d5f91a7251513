"""Whole systems beside somebody else's recomputation of the same counts: the rows of `spikeplan bench energy` on systems.

The other side's watts, its bands and the counts are in energy/systems_review.toml. Our nominal watts must lie in its band, and
a nominal that differs by more than a tenth needs a reason there (`why`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import spikeplan.energy
from spikeplan.core.counts.operations import CountRow
from spikeplan.energy.catalogue import Band, default
from spikeplan.energy.charge import Setup
from spikeplan.energy.systems import Drawn, System, draw_of, load_systems
from spikeplan.experiments.bench.rows import BenchRow, quotient

FILE = Path(spikeplan.energy.__file__).with_name("systems_review.toml")
TENTH = 0.1  # beyond which a difference of nominal watts must be explained


@dataclass(frozen=True, kw_only=True)
class ReviewedSystem:
    """The other side's watts of a system. `leave_out`: machines of ours that it does not have."""

    system: str
    rate_hz: float
    low: float
    nominal: float
    high: float
    leave_out: tuple[str, ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        without = f" without {', '.join(self.leave_out)}" if self.leave_out else ""
        return f"{self.system}{without} at {self.rate_hz:g} Hz"

    def holds(self, watts: float) -> bool:
        """In the other's band, and near its nominal watts or with a reason."""
        near = abs(watts / self.nominal - 1) <= TENTH
        return self.low <= watts <= self.high and (near or bool(self.why))


@cache
def reviewed() -> tuple[ReviewedSystem, ...]:
    """The rows of the file.

    >>> reviewed()[0].system
    'npu'
    """
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["rows"]
    return tuple(ReviewedSystem(**{**row, "leave_out": tuple(row.get("leave_out", ()))}) for row in rows)


def counts(side: str) -> tuple[list[CountRow], Setup]:
    """Operation counts of one action on a side, and the placement's time on the spiking one."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))["counts"]
    dense = CountRow(
        method="review",
        phase="predictor",
        layer="all",
        reference="zero",
        schedule="batched",
        precision="int8",
        **table["dense"],
    )
    if side == "dense":
        return [dense], Setup()
    spiking = replace(
        dense, schedule="interleaved", macs=0, weight_bytes=dense.weight_bytes, updates_active=0, **table["spiking"]
    )
    encoder = replace(dense, phase="encoder", layer="vit", **table["encoder"])
    return [spiking, encoder], Setup(time_s=Band(**{key: ms * 1e-3 for key, ms in table["ms"].items()}))


def drawn(row: ReviewedSystem) -> Drawn:
    """What the system draws by our models."""
    system = _without(load_systems()[row.system], row.leave_out)
    rows, setup = counts(system.side)
    if system.side == "spiking" and system.host is None:
        rows = [one for one in rows if one.phase != "encoder"]
    return draw_of(system, rows, 1, rate_hz=row.rate_hz, catalogue=default(), setup=setup)


def _without(system: System, names: tuple[str, ...]) -> System:
    parts = tuple(part for part in system.parts if part.device not in names)
    events = system.events
    if events is not None and not any(part.does == "encode" for part in parts):
        events = replace(events, macs=0.0, hz=0.0)
    return replace(system, parts=parts, events=events)


def systems_rows() -> list[BenchRow]:
    """A row a system and rate, ours beside the other's nominal watts; last, how many lie outside the other's band.

    >>> systems_rows()[-1].name
    'review_systems_outside_band'
    """
    found: list[BenchRow] = []
    outside: list[str] = []
    for row in reviewed():
        watts = float(drawn(row).watts.nominal)
        if not row.holds(watts):
            outside.append(row.name)
        found.append(
            BenchRow(
                name=f"review_system {row.name}",
                ours=watts,
                other=row.nominal,
                ratio=quotient(watts, row.nominal),
                unit=_unit(row),
            )
        )
    found.append(
        BenchRow(
            name="review_systems_outside_band",
            ours=len(outside),
            other=len(found),
            unit=f"of {len(found)} nominal watts outside the other's band, or a tenth off without a reason"
            + (f": {'; '.join(outside)}" if outside else ""),
            goal="0",
            holds=not outside,
        )
    )
    return found


def _unit(row: ReviewedSystem) -> str:
    band = f"W, the other's band {row.low:g} .. {row.high:g}"
    return f"{band}; {row.why}" if row.why else band
