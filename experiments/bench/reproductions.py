"""Published measurements beside what our models make of the same counts: rows of `spikeplan bench energy`, and a command.

    total         energy.estimate, scope system, in the time that our model gives
    dynamic       operations, memory and step energy: what is above rest
    seconds       chip: max(steps t_barrier, t_synop S, t_update N) of the busiest core where its counts are published, else of
                  an even spread over the cores; GPU: kernels one after the other; NPU: MAC t_mac
    static_watts  the machine at rest
    watts         dynamic / measured seconds + static_watts; or a whole system's at the measured rate

Ours is a band: the low, nominal and high constants with the low, nominal and high counts. A measured value is inside where its
nominal lies in the band. A quantity that the catalogue's figures were derived from is a calibration and counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from spikeplan.energy.catalogue import Band, Catalogue, default
from spikeplan.energy.reproductions import Published, Sourced, load_published
from spikeplan.experiments.bench.reproductions_ours import ENDS, our_band
from spikeplan.experiments.bench.rows import BenchRow, quotient

UNITS = {"total": "J", "dynamic": "J", "seconds": "s", "watts": "W", "static_watts": "W"}


@dataclass(frozen=True, kw_only=True)
class Reproduced:
    """One measured value beside ours. `ours` is None where it could not be recomputed; `why` then says so."""

    published: Published
    quantity: str
    measured: Sourced
    ours: Band | None
    why: str = ""

    @property
    def name(self) -> str:
        return f"reproduced_{self.published.name}_{self.quantity}"

    @property
    def calibration(self) -> bool:
        return self.quantity in self.published.calibrates

    @property
    def ratio(self) -> float | None:
        """Ours over measured; None where either is missing or not above zero."""
        if self.ours is None or self.measured.band.nominal <= 0:
            return None
        return quotient(self.ours.nominal, self.measured.band.nominal)

    @property
    def log_error(self) -> float | None:
        """ln(ours / measured): 0 is right, 0.7 a factor of two."""
        return math.log(self.ratio) if self.ratio else None

    @property
    def inside(self) -> bool | None:
        """Whether the measured value lies in our band."""
        return None if self.ours is None else self.ours.low <= self.measured.band.nominal <= self.ours.high

    @property
    def swept(self) -> tuple[str, ...]:
        """Counts of ours that are not known and go through a range; at rest a machine has its chips alone."""
        if self.ours is None:
            return ()
        return tuple(name for name in self.published.swept if name == "chips" or self.quantity != "static_watts")

    @property
    def partial(self) -> str:
        """What is left out of ours, which is then a lower bound."""
        return "" if self.ours is None or self.quantity == "static_watts" else self.published.partial

    def remarks(self) -> list[str]:
        """What a reader must know, the same in JSON and in the row of the benchmark."""
        one = self.published
        found = [self.why] if self.why else []
        found += ["calibration"] if self.calibration else []
        found += [f"at least: {self.partial}"] if self.partial else []
        found += [f"not published, swept: {', '.join(self.swept)}"] if self.swept else []
        if self.measured.band.low < self.measured.band.high:
            found.append(f"measured {self.measured.band.low:.3g} .. {self.measured.band.high:.3g}")
        return found + [note for note in (one.note, self.measured.note) if note]

    def to_json(self) -> dict[str, Any]:
        one, ours = self.published, self.ours
        return {
            "name": one.name,
            "title": one.title,
            "device": one.device,
            "quantity": self.quantity,
            "unit": UNITS[self.quantity],
            "measured": dict(zip(ENDS, self.measured.band.bounds(), strict=True)),
            "ours": None if ours is None else dict(zip(ENDS, ours.bounds(), strict=True)),
            "ratio": self.ratio,
            "log_error": self.log_error,
            "inside": self.inside,
            "calibration": self.calibration,
            "evidence": self.measured.evidence,
            "source": self.measured.source
            if self.measured.source == one.source
            else f"{one.source}; {self.measured.source}",
            "counts": {key: _stated(count) for key, count in one.counts.items()},
            "remarks": self.remarks(),
        }


def _stated(count: Sourced) -> dict[str, Any]:
    return {
        **dict(zip(ENDS, count.band.bounds(), strict=True)),
        "source": count.source,
        "evidence": count.evidence,
    }


def reproduce(published: Published, catalogue: Catalogue | None = None) -> list[Reproduced]:
    """Every measured quantity of one measurement beside ours.

    >>> [one.quantity for one in reproduce(load_published()[0])]
    ['total', 'dynamic', 'static_watts', 'seconds']
    """
    catalogue = catalogue or default()
    found = []
    for quantity, measured in published.measured.items():
        why = published.missing.get(quantity, "")
        ours = None if why else our_band(published, quantity, catalogue)
        why = f"not recomputed: {why}" if why else ""
        found.append(Reproduced(published=published, quantity=quantity, measured=measured, ours=ours, why=why))
    return found


def reproductions(published: Sequence[Published] | None = None, catalogue: Catalogue | None = None) -> list[Reproduced]:
    """All measurements of the file, or those that are given."""
    return [one for each in published or load_published() for one in reproduce(each, catalogue)]


def reproduction_rows(
    published: Sequence[Published] | None = None, catalogue: Catalogue | None = None
) -> list[BenchRow]:
    """A row a measured value without a goal: it is shown, not passed. First, how many of them lie in our bands.

    >>> reproduction_rows()[0].name
    'reproductions_within_band'
    """
    found = reproductions(published, catalogue)
    count = tally(found)
    within = BenchRow(
        name="reproductions_within_band",
        ours=count.inside,
        other=count.tested,
        ratio=quotient(count.inside, count.tested),
        unit=count.told(),
    )
    return [within, *(_row(one) for one in found)]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many measured values lie in our bands. Calibrations and what was not recomputed are in none of the first three."""

    inside: int
    swept: int  # of those inside, with a count that goes through a range
    tested: int
    calibrations: int
    missing: int
    factor: float | None  # median of max(ours / measured, measured / ours) of the tested

    def told(self) -> str:
        factor = "" if self.factor is None else f"; the median is off by a factor of {self.factor:.2g}"
        return (
            f"measured values in our band, of {self.tested}; {self.swept} of them with counts that are not published and swept; "
            f"{self.calibrations} calibrations and {self.missing} not recomputed are apart{factor}"
        )


def tally(found: Sequence[Reproduced]) -> Tally:
    """Counts of a list of reproductions.

    >>> tally(reproductions()).calibrations > 0
    True
    """
    tested = [one for one in found if one.ours is not None and not one.calibration]
    missing = sum(one.ours is None for one in found)
    factors = [math.exp(abs(one.log_error)) for one in tested if one.log_error is not None]
    return Tally(
        inside=sum(bool(one.inside) for one in tested),
        swept=sum(bool(one.inside and one.swept) for one in tested),
        tested=len(tested),
        calibrations=len(found) - len(tested) - missing,
        missing=missing,
        factor=median(factors) if factors else None,
    )


def _row(one: Reproduced) -> BenchRow:
    words = [UNITS[one.quantity]]
    if one.ours is not None:
        words.append(f"ours {one.ours.low:.3g} .. {one.ours.high:.3g}, {'inside' if one.inside else 'outside'}")
    if one.log_error is not None:
        words.append(f"ln {one.log_error:+.2f}")
    words += [*one.remarks(), f"evidence {one.measured.evidence}"]
    return BenchRow(
        name=one.name,
        ours=None if one.ours is None else one.ours.nominal,
        other=one.measured.band.nominal,
        ratio=one.ratio,
        unit="; ".join(words),
    )
