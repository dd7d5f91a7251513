"""How sure is a comparison of energies? The figures' bands are drawn, both methods are charged with the same draw.

    quantity      what is drawn: one figure, or all that share a name (figures of one measurement, or of several machines).
                  A figure that is `opposed` to the name is at 1 - u where the others are at u: of one measured total, what
                  the one takes the other lacks
    draw          ln x is triangular on [ln low, ln mode, ln high]. A constant that both methods use cancels as it should
    probability   share of the draws in which the spiking method takes less energy
    sensitivity   one quantity at a time to its low and its high end, the others nominal: which one turns the verdict?

Priors: the bands say where a figure may lie, not how likely each place is, so the probability is given under four of them.
    log-triangular   mode at the nominal figure
    log-uniform      every place in the band alike
    mode-low         mode at the geometric mean of low and nominal; mode-high: of nominal and high
All four are asked at the same quantiles, so that what differs between them is the prior and not the draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Band, Catalogue, Device, Figure

ROUNDING = float(np.sqrt(np.finfo(np.float64).eps))  # of a ratio: a quantity that moves it less moves nothing
MIDDLE = 1 / 2  # between the ends
PRIORS = ("log-triangular", "log-uniform", "mode-low", "mode-high")

Energies = Callable[[Catalogue], Any]  # J an action; a number, or an array of draws
Reals = NDArray[np.float64]


def quantity_of(device: str, figure: Figure) -> str:
    """The name of what a figure is drawn with: what it shares or opposes, else its own.

    Raises UserError for a figure that does both: two quantities would be one.

    >>> quantity_of("loihi2", default().device("loihi2").figure("e_step"))
    'loihi2 PilotNet'
    """
    if figure.shared and figure.opposed:
        raise UserError(
            f"{device}.{figure.name}: is shared ({figure.shared}) and opposed ({figure.opposed}); give one of them"
        )
    return figure.shared or figure.opposed or f"{device}.{figure.name}"


def quantities(catalogue: Catalogue) -> dict[str, list[tuple[str, Figure]]]:
    """What may be drawn, with its figures and their machines.

    >>> [figure.name for _, figure in quantities(default())["gap9 weight reuse"]]
    ['e_mac', 't_mac']
    """
    found: dict[str, list[tuple[str, Figure]]] = {}
    for device in (*catalogue.devices.values(), *catalogue.sensors.values()):
        for figure in device.figures.values():
            if figure.band.low < figure.band.high:
                found.setdefault(quantity_of(device.name, figure), []).append((device.name, figure))
    return found


def quantiles(catalogue: Catalogue, draws: int, rng: np.random.Generator) -> dict[str, Reals]:
    """A quantile (draws,) of each quantity. Raises UserError for no draws."""
    if draws < 1:
        raise UserError(f"{draws} draws: at least one is needed")
    return {name: rng.random(draws) for name in quantities(catalogue)}


def draw(catalogue: Catalogue, *, prior: str, draws: int, rng: np.random.Generator) -> Catalogue:
    """The catalogue with an array of `draws` values in place of every band. Figures without a band stay numbers."""
    at = quantiles(catalogue, draws, rng)
    return placed_at(catalogue, at, lambda band, quantile: at_quantile(band, quantile, prior))


def draw_priors(catalogue: Catalogue, at: Mapping[str, Reals], priors: Sequence[str] = PRIORS) -> Catalogue:
    """Arrays (priors, draws) in place of every band: all priors at the same quantiles (draws,).

    >>> draw_priors(default(), quantiles(default(), 10, rng)).device("h100").figure("eta").band.nominal.shape
    (4, 10)
    """
    return placed_at(
        catalogue, at, lambda band, quantile: np.stack([at_quantile(band, quantile, prior) for prior in priors])
    )


def placed_at(catalogue: Catalogue, at: Mapping[str, Reals], place: Callable[[Band, Reals], Any]) -> Catalogue:
    """Every figure with a band at the quantile of its quantity, or at what is left of it where it is opposed."""

    def value(device: str, figure: Figure) -> Figure:
        if figure.band.low == figure.band.high:
            return figure
        quantile = at[quantity_of(device, figure)]
        return _fixed(figure, place(figure.band, 1 - quantile if figure.opposed else quantile))

    return _each(catalogue, value)


def probability(spiking: Energies, dense: Energies, drawn: Catalogue) -> float:
    """That the spiking method takes less energy."""
    return float(np.mean(np.asarray(spiking(drawn)) < np.asarray(dense(drawn))))


@dataclass(frozen=True, kw_only=True)
class Swing:
    """Ratio of energies, spiking over dense, at both ends of one quantity; `turns`: the order is not the nominal one."""

    figure: str
    at_low: float
    at_high: float
    turns: bool

    @property
    def span(self) -> float:
        return abs(float(np.log(self.at_high / self.at_low)))


def sensitivity(spiking: Energies, dense: Energies, catalogue: Catalogue) -> list[Swing]:
    """Widest first; what changes nothing is left out. Figures of one quantity move together, opposed ones the other way."""
    names = list(quantities(catalogue))
    nominal, *ends = np.broadcast_to(
        np.asarray(spiking(at_ends(catalogue, names))) / np.asarray(dense(at_ends(catalogue, names))),
        1 + 2 * len(names),
    )
    return swings(names, float(nominal), np.reshape(ends, (-1, 2)))


def at_ends(catalogue: Catalogue, names: Sequence[str]) -> Catalogue:
    """Arrays of 1 + 2 n values: all nominal; then the first of `names` low, the same high, and so on."""
    moved = np.full((len(names), 1 + 2 * len(names)), MIDDLE)
    for number in range(len(names)):
        moved[number, 2 * number + 1 :][:2] = 0, 1

    def place(band: Band, end: Reals) -> Reals:
        low, nominal, high = band.bounds()
        return np.where(end == MIDDLE, nominal, np.where(end < MIDDLE, low, high))

    nowhere = np.full(moved.shape[1], MIDDLE)
    at = {name: nowhere for name in quantities(catalogue)} | dict(zip(names, moved, strict=True))
    return placed_at(catalogue, at, place)


def swings(names: Sequence[str], nominal: float, ends: Reals) -> list[Swing]:
    """`ends`: ratios (names, 2) with each quantity low and high. Widest first, without those that move nothing."""
    found = [
        Swing(
            figure=name,
            at_low=float(low),
            at_high=float(high),
            turns=not (low < 1) == (high < 1) == (nominal < 1),
        )
        for name, (low, high) in zip(names, ends, strict=True)
        if not np.allclose((low, high), nominal, rtol=ROUNDING, atol=0)
    ]
    return sorted(found, key=lambda swing: (-swing.span, swing.figure))


def at_quantile(band: Band, quantile: Reals, prior: str) -> Reals:
    """The inverse of the prior's distribution function, in logarithms. The bounds may be arrays, too.

    Raises UserError for a prior that is not one of PRIORS.

    >>> at_quantile(Band(1.0, 2.0, 4.0), np.array([0.5]), "log-uniform")
    array([2.])
    """
    if prior not in PRIORS:
        raise UserError(f"prior {prior!r} is unknown; use one of {', '.join(PRIORS)}")
    low, mode, high = (np.log(bound) for bound in band.bounds())
    width = high - low
    if prior == "log-uniform":
        return np.asarray(np.exp(low + quantile * width))
    if prior in ("mode-low", "mode-high"):
        mode = ((low if prior == "mode-low" else high) + mode) / 2
    rising = low + np.sqrt(quantile * width * (mode - low))
    falling = high - np.sqrt((1 - quantile) * width * (high - mode))
    return np.asarray(np.exp(np.where(quantile * width < mode - low, rising, falling)))


def _fixed(figure: Figure, value: Any) -> Figure:
    return replace(figure, band=Band(value, value, value))


def _each(catalogue: Catalogue, value: Callable[[str, Figure], Figure]) -> Catalogue:
    def device_of(device: Device) -> Device:
        figures: Mapping[str, Figure] = {key: value(device.name, figure) for key, figure in device.figures.items()}
        return replace(device, figures=figures)

    def all_of(devices: Mapping[str, Device]) -> dict[str, Device]:
        return {name: device_of(device) for name, device in devices.items()}

    return replace(catalogue, devices=all_of(catalogue.devices), sensors=all_of(catalogue.sensors))
