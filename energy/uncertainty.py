"""How sure is a comparison of energies? The figures' bands are drawn, both methods are charged with the same draw.

    draw          every figure that has a band, once for all that share a name: figures of one measurement, or of several
                  machines. ln x is triangular on [ln low, ln mode, ln high]. A constant that both methods use (the encoder's
                  host) cancels as it should.
    probability   share of the draws in which the spiking method takes less energy
    sensitivity   one figure at a time to its low and its high end, the others nominal: which one turns the verdict?

Priors: the bands say where a figure may lie, not how likely each place is, so the probability is given under four of them.
    log-triangular   mode at the nominal figure
    log-uniform      every place in the band alike
    mode-low         mode at the geometric mean of low and nominal; mode-high: of nominal and high
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Band, Catalogue, Device, Figure

PRIORS = ("log-triangular", "log-uniform", "mode-low", "mode-high")

Energies = Callable[[Catalogue], Any]  # J an action; a number, or an array of draws


def draw(catalogue: Catalogue, *, prior: str, draws: int, rng: np.random.Generator) -> Catalogue:
    """The catalogue with an array of `draws` values in place of every band. Figures without a band stay numbers."""
    if prior not in PRIORS:
        raise UserError(f"prior {prior!r} is unknown; use one of {', '.join(PRIORS)}")
    if draws < 1:
        raise UserError(f"{draws} draws: at least one is needed")
    quantile: dict[str, NDArray[np.float64]] = {}

    def value(device: str, figure: Figure) -> Figure:
        if figure.band.low == figure.band.high:
            return figure
        key = figure.shared or f"{device}.{figure.name}"
        if key not in quantile:
            quantile[key] = rng.random(draws)
        return _fixed(figure, _at(figure.band, quantile[key], prior))

    return _each(catalogue, value)


def probability(spiking: Energies, dense: Energies, drawn: Catalogue) -> float:
    """That the spiking method takes less energy."""
    return float(np.mean(np.asarray(spiking(drawn)) < np.asarray(dense(drawn))))


@dataclass(frozen=True, kw_only=True)
class Swing:
    """Ratio of energies, spiking over dense, at both ends of one figure; `turns`: the order is not the nominal one."""

    figure: str
    at_low: float
    at_high: float
    turns: bool

    @property
    def span(self) -> float:
        return abs(float(np.log(self.at_high / self.at_low)))


def sensitivity(spiking: Energies, dense: Energies, catalogue: Catalogue) -> list[Swing]:
    """Widest first; figures that change nothing are left out. A shared figure moves in all its devices."""
    point = _each(catalogue, lambda _, figure: _fixed(figure, figure.band.nominal))
    nominal = _ratio(spiking, dense, point)
    names = {
        figure.shared or f"{device.name}.{figure.name}"
        for device in catalogue.devices.values()
        for figure in device.figures.values()
        if figure.band.low < figure.band.high
    }
    found = []
    for name in sorted(names):
        low, high = (_ratio(spiking, dense, _with(catalogue, name, end)) for end in ("low", "high"))
        if not low == high == nominal:
            found.append(
                Swing(figure=name, at_low=low, at_high=high, turns=not (low < 1) == (high < 1) == (nominal < 1))
            )
    return sorted(found, key=lambda swing: -swing.span)


def _with(catalogue: Catalogue, name: str, end: str) -> Catalogue:
    def value(device: str, figure: Figure) -> Figure:
        moved = name in (figure.shared, f"{device}.{figure.name}")
        return _fixed(figure, getattr(figure.band, end if moved else "nominal"))

    return _each(catalogue, value)


def _ratio(spiking: Energies, dense: Energies, catalogue: Catalogue) -> float:
    return float(spiking(catalogue)) / float(dense(catalogue))


def _fixed(figure: Figure, value: Any) -> Figure:
    return replace(figure, band=Band(value, value, value))


def _each(catalogue: Catalogue, value: Callable[[str, Figure], Figure]) -> Catalogue:
    def device_of(device: Device) -> Device:
        figures: Mapping[str, Figure] = {key: value(device.name, figure) for key, figure in device.figures.items()}
        return replace(device, figures=figures)

    return replace(catalogue, devices={name: device_of(device) for name, device in catalogue.devices.items()})


def _at(band: Band, quantile: NDArray[np.float64], prior: str) -> NDArray[np.float64]:
    """The inverse of the prior's distribution function, in logarithms."""
    low, mode, high = np.log(band.bounds())
    width = high - low
    if prior == "log-uniform":
        return np.asarray(np.exp(low + quantile * width))
    if prior in ("mode-low", "mode-high"):
        mode = np.mean([low if prior == "mode-low" else high, mode])
    rising = low + np.sqrt(quantile * width * (mode - low))
    falling = high - np.sqrt((1 - quantile) * width * (high - mode))
    return np.asarray(np.exp(np.where(quantile < (mode - low) / width, rising, falling)))
