"""Rows of the map: what one machine or system takes at a point, and the density at which both sides take the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RateRow:
    """A spiking system beside a dense one at a control rate.

    break_even      density below which the spiking system draws less: 0 never, 1 always
    fits            the largest density at which its plan meets the rate; 0: none, and it does not run at all
    dense_watts     None where the dense system does not run (too slow, or too little memory): the spiking one wins what it fits
    *_term          what of the watts is largest: rest, static, synops, updates, steps, macs, weights, launches
    `spiking_watts` and `spiking_term` are of `density`.
    """

    weight_bytes: int
    candidates: int
    rate_hz: float
    spiking: str
    dense: str
    break_even: float
    fits: float
    density: float
    spiking_watts: float | None
    spiking_term: str
    dense_watts: float | None
    dense_term: str
    winner: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class ActionRow:
    """One chip beside one dense machine, energy of an action while both are busy, nothing before or after.

    `how`: "roofline", a bound that no kernel of a small network reaches, or "launches": idle power while kernels wait.
    An NPU, microcontroller or Raspberry Pi has one price, "measured" on whole networks.
    """

    weight_bytes: int
    candidates: int
    chip: str
    device: str
    how: str
    break_even: float
    density: float
    spiking_joules: float
    dense_joules: float | None
    spiking_term: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
