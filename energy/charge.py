"""What a device model is asked (`Setup`) and what it answers (`Charge`): three terms, one for each step of the scopes.

    compute = operations     chip = compute + memory and network on chip     system = chip + static power x time, I/O, host

Every term is >= 0, so A <= B <= C holds by construction. Units: J per action, s per action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeplan.core.counts.operations import BYTES, CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import ZERO, Band, Device, Figure
from spikeplan.energy.schema import FURTHEST

# Phases of the loop that a spiking method may leave on a dense host; the predictor is what the method claims to have ported.
HOST_PHASES = ("encoder", "events", "evaluation", "selection", "host")


@dataclass(frozen=True, kw_only=True)
class CpuPeak:
    """What this CPU reaches, measured by `measure_peak`; `power_w` is the caller's, else the catalogue's assumption.

    Raises UserError for a rate that is not finite and > 0.

    >>> Setup(cpu=measure_peak(power_w=15.0))
    """

    flop_per_s: float
    bytes_per_s: float
    cores: int
    precision: str = "fp32"
    power_w: float | None = None

    def __post_init__(self) -> None:
        for name in ("flop_per_s", "bytes_per_s", "cores", "power_w"):
            _positive("CpuPeak", name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How the method is run. By default as many chips and cores as its weights and states fill, a core a layer at least; all
    CEM samples in one batch; catalogue timings.

    The comments below have the units. Raises UserError for settings that are not finite and > 0 or exclude each other.

    >>> estimate("loihi2", rows, actions, scope="system", extent="loop", setup=Setup(cores=32))
    """

    chips: int | None = None  # None: as many as weights and states fill (energy/fit.py)
    cores: int | None = None  # neurocores that share the work evenly; None: the least that hold the network
    step_s: float | None = None  # a throttled Loihi time step; None takes barrier and work from the catalogue
    time_s: Band | None = None  # seconds an action keeps the chips busy, where a placement knows them
    host_device: str = "orin_nano"  # runs the dense phases (the encoder) of a spiking method
    cpu: CpuPeak | None = None
    eta: float | None = None  # share of the peak that a GPU reaches on this network, where it was measured
    assume_precision: str | None = None  # charges dense rows as if quantised to it: hypothetical, and labelled so
    assume_graded: bool = False  # lets Loihi 1 carry graded messages: hypothetical, and labelled so

    def __post_init__(self) -> None:
        for name in ("chips", "cores", "step_s", "eta"):
            _positive("Setup", name, getattr(self, name))
        for bound in () if self.time_s is None else (self.time_s.low, self.time_s.nominal, self.time_s.high):
            _positive("Setup", "time_s", bound)
        if self.time_s is not None and self.step_s is not None:
            raise UserError("Setup: time_s of a placement and a throttled step_s exclude each other; pass one")
        for name in ("chips", "cores"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value != int(value) or value > FURTHEST):
                raise UserError(f"Setup: {name} is {value}; give a whole number")
        if self.eta is not None and self.eta < 1 / FURTHEST:
            raise UserError(f"Setup: eta {self.eta} is no share that a machine reaches; pass a number in (0, 1]")
        if self.eta is not None and self.eta > 1:
            raise UserError(f"Setup: eta {self.eta} is a share of the peak; pass a number in (0, 1]")
        if self.assume_precision is not None and self.assume_precision not in BYTES:
            raise UserError(f"Setup: precision {self.assume_precision!r} is unknown; use one of {', '.join(BYTES)}")


def _positive(where: str, name: str, value: Any) -> None:
    """A number, or an array of draws."""
    if value is not None and not (np.all(value > 0) and np.all(value < np.inf)):
        raise UserError(f"{where}: {name} is {value}; it must be finite and > 0")


@dataclass(frozen=True)
class Term:
    """A part of the energy with the evidence codes of the figures in it and what a reader must know."""

    band: Band = ZERO
    codes: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, figure: Figure, amount: float | Band) -> Term:
        band = figure.band * amount
        return cls(band, frozenset({figure.evidence})) if np.any(band.high > 0) else cls()

    def __add__(self, other: Term) -> Term:
        extra = tuple(note for note in other.notes if note not in self.notes)
        return Term(self.band + other.band, self.codes | other.codes, self.notes + extra)


@dataclass(frozen=True, kw_only=True)
class Charge:
    operations: Term
    memory: Term
    standing: Term
    latency_s: float | None  # nominal; None where the device has no time model

    def __add__(self, other: Charge) -> Charge:
        return Charge(
            operations=self.operations + other.operations,
            memory=self.memory + other.memory,
            standing=self.standing + other.standing,
            latency_s=None if self.latency_s is None or other.latency_s is None else self.latency_s + other.latency_s,
        )


def refuse_graded(device: Device, rows: Sequence[CountRow], setup: Setup) -> tuple[str, ...]:
    """A chip of single bits refuses graded messages unless assumed; then it takes one spike for each, and says so."""
    graded = [row for row in rows if row.message_bits > row.messages and not device.graded_messages]
    if graded and not setup.assume_graded:
        row = graded[0]
        raise UserError(
            f"method '{row.method}', layer '{row.layer}': {row.message_bits} bits in {row.messages} messages, but "
            f"'{device.name}' sends single bits; use loihi2, a binary network, or Setup(assume_graded=True)"
        )
    return ("graded messages on a binary chip, one spike each: hypothetical",) if graded else ()
