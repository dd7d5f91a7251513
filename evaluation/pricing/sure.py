"""How sure is it that a spiking system draws less than a dense one? Episodes resampled and constants drawn together.

    In each draw the episodes come out otherwise (episodes.py), so other plans are within the margin of the full dense planner,
    and every constant is at another place in its band, the same for all systems. Each system takes the plan that then draws
    least and keeps the rate. A pair's ratio is of those two plans.

What a GPU draws between kernels is no constant of a machine but a reading of it (energy/systems/model.py): at its peaks, waiting
at idle power, at full power. It is drawn like a band, once for all GPUs. A plan has the placement that draws least at nominal
figures, in the draws too. Arrays: P priors, N draws; ratios are spiking over dense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.systems import System, Works
from spikeplan.energy.uncertainty import PRIORS, at_quantile, draw_priors, quantiles

BETWEEN = "GPU between kernels"
SURE = 0.975  # of the draws: a pair below it, under any prior, is undecided

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One set of draws. `catalogue`: arrays (P, N) in its bands; `at`: the quantile (N,) of each quantity, BETWEEN among them."""

    catalogue: Catalogue
    at: Mapping[str, Reals]
    draws: int

    def watts(self, works: Works, rate_hz: float) -> Reals:
        """Of a plan that was priced with the catalogue of the draws (P, N); infinite where it does not keep the rate."""
        shape, total = (len(PRIORS), self.draws), np.zeros((len(PRIORS), self.draws))
        for band in works.by(rate_hz).values():
            low, nominal, high = (np.broadcast_to(bound, shape) for bound in band.bounds())
            if np.array_equal(low, high):
                total += nominal
                continue
            for prior, name in enumerate(PRIORS):
                reading = type(band)(low[prior], nominal[prior], high[prior])
                total[prior] += at_quantile(reading, self.at[BETWEEN], name)
        return np.where(np.broadcast_to(works.keeps(rate_hz), shape), total, np.inf)


def sample(catalogue: Catalogue, *, draws: int, rng: np.random.Generator) -> Sample:
    """Raises UserError for no draws.

    >>> sample(default(), draws=2000, rng=np.random.default_rng(0)).catalogue.device("h100").figure("eta").band.nominal.shape
    (4, 2000)
    """
    at = quantiles(catalogue, draws, rng)
    return Sample(catalogue=draw_priors(catalogue, at), at={**at, BETWEEN: rng.random(draws)}, draws=draws)


@dataclass(frozen=True, kw_only=True)
class Plans:
    """The plans of a system at a rate: `watts` (plans, P, N) and in which draws (plans, N) they are good enough.

    `best`: the plan that is cheapest at nominal figures and episodes as they were, with its nominal watts; `price` gives it
    with other figures.
    """

    system: System
    rate_hz: float
    names: Sequence[str]
    watts: Reals
    reached: Bools
    best: str
    nominal: float
    price: Callable[[Catalogue], Works]

    def least(self, shift: int = 0, prior: slice = slice(None)) -> Reals:
        """Watts of the plan that draws least in each draw (P, N); infinite where there is none. `shift`: with the constants of
        another draw."""
        watts = np.roll(self.watts[:, prior], shift, axis=-1)
        return np.asarray(np.where(self.reached[:, None, :], watts, np.inf).min(0))

    def chosen(self) -> dict[str, float]:
        """Share of the draws of the first prior in which each plan is taken, those that are."""
        watts = np.where(self.reached, self.watts[:, 0], np.inf)
        taken = watts.argmin(0)[np.isfinite(watts.min(0))]
        shares = {name: float((taken == number).sum() / watts.shape[1]) for number, name in enumerate(self.names)}
        return dict(sorted(((n, s) for n, s in shares.items() if s), key=lambda one: -one[1]))


def contenders(watts: Reals, reached: Bools) -> list[int]:
    """Plans without those that some other beats whatever is drawn: never dearer (plans, P, N), good enough in the same draws
    (plans, N) and more. What is taken in any draw stays the same."""
    kept: list[int] = []
    for one in sorted(range(len(watts)), key=lambda one: float(watts[one].sum())):
        beaten = (
            other
            for other in kept
            if not (reached[one] & ~reached[other]).any() and bool((watts[other] <= watts[one]).all())
        )
        if next(beaten, None) is None:
            kept.append(one)
    return kept


def pair_rows(plans: Sequence[Plans]) -> list[dict[str, Any]]:
    """Every spiking system against every dense one at each rate: the probability that it draws less, under each prior, and 95 %
    of the ratio under the first. `spiking_only`, `dense_only`: share of the draws in which the other has no plan; the rest
    is over draws in which both have one, and is None without such."""
    least = {(one.system.name, one.rate_hz): one.least() for one in plans}
    rows = []
    for ours, other in _pairs(plans):
        spiking, dense = (least[one.system.name, one.rate_hz] for one in (ours, other))
        has, its = np.isfinite(spiking), np.isfinite(dense)
        both = has & its
        chances = {
            prior: float((spiking[i] < dense[i])[both[i]].mean()) if both[i].any() else None
            for i, prior in enumerate(PRIORS)
        }
        low = high = None
        if both[0].any():
            low, high = map(float, np.quantile(spiking[0][both[0]] / dense[0][both[0]], (0.025, 0.975)))
        rows.append(
            {
                "rate_hz": ours.rate_hz,
                "spiking": ours.system.name,
                "dense": other.system.name,
                "spiking_method": ours.best,
                "dense_method": other.best,
                "ratio": ours.nominal / other.nominal,
                "ratio_low": low,
                "ratio_high": high,
                "probability": chances,
                "spiking_only": float((has & ~its)[0].mean()),
                "dense_only": float((its & ~has)[0].mean()),
                "spiking_plans": ours.chosen(),
                "dense_plans": other.chosen(),
            }
        )
    return rows


def _pairs(plans: Sequence[Plans]) -> list[tuple[Plans, Plans]]:
    return [
        (ours, other)
        for ours in plans
        for other in plans
        if ours.system.side == "spiking" and other.system.side == "dense" and ours.rate_hz == other.rate_hz
    ]


def best_pairs(plans: Sequence[Plans]) -> list[tuple[Plans, Plans]]:
    """At each rate, the spiking and the dense system that draw least at nominal figures."""
    best: dict[float, tuple[Plans, Plans]] = {}
    for pair in _pairs(plans):
        rate = pair[0].rate_hz
        best[rate] = min((best.get(rate, pair), pair), key=lambda two: (two[0].nominal, two[1].nominal))
    return list(best.values())


def undecided(row: dict[str, Any]) -> bool:
    """Whether some prior leaves it open who draws less, or too many draws leave one of the two without a plan."""
    if row["spiking_only"] + row["dense_only"] > 1 - SURE:
        return True
    chances = [chance for chance in row["probability"].values() if chance is not None]
    return any(1 - SURE < chance < SURE for chance in chances)
