"""The sweep: every point against every pair of systems, priced by `estimate` and `draw_of` as any other plan.

At a control rate a chip's watts are linear in density: static power runs all the time, so how long the plan takes decides only
whether it meets the rate. While busy they are not: a step is as long as its slowest part, so the break-even is bisected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.energy import dense
from spikeplan.energy.catalogue import Catalogue, Device
from spikeplan.energy.charge import Setup
from spikeplan.energy.models import estimate
from spikeplan.energy.regime.points import Point, dense_rows, spiking_rows
from spikeplan.energy.regime.rows import ActionRow, RateRow
from spikeplan.energy.regime.terms import chip_term, dense_term
from spikeplan.energy.systems import System, check_rate, draw_of

BISECTIONS = 24
ONCE_A_DAY_HZ = 1 / 86_400
MACHINES = ("orin_nano", "h100", "gap9")
CHIP = "loihi2"  # of the busy energy


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What is swept. `density`: at which watts, winners and terms are told. Raises UserError for axes without values."""

    weight_bytes: Sequence[int] = tuple(2**n for n in range(16, 31, 2))  # 64 KB to 1 GB
    candidates: Sequence[int] = (1, 8, 32, 64, 256, 800)
    rates_hz: Sequence[float] = (1.0, 10.0, 50.0, 200.0)
    density: float = 0.1
    iterations: int = 4
    horizon: int = 12

    def __post_init__(self) -> None:
        if not (self.weight_bytes and self.candidates and self.rates_hz):
            raise UserError("map: an axis has no values; give at least one of weights, candidates and rates")
        if not 0 < self.density <= 1:
            raise UserError(f"map: density {self.density} must lie in (0, 1]")
        for rate in self.rates_hz:
            check_rate(rate)

    def points(self) -> Iterator[Point]:
        for weights in self.weight_bytes:
            for candidates in self.candidates:
                yield Point(
                    weight_bytes=weights, candidates=candidates, iterations=self.iterations, horizon=self.horizon
                )


@dataclass(frozen=True)
class Regimes:
    """All rows, and what could not be priced where."""

    axes: Axes
    rates: list[RateRow] = field(default_factory=list)
    actions: list[ActionRow] = field(default_factory=list)


def regimes(
    axes: Axes,
    catalogue: Catalogue,
    systems: Mapping[str, System],
    *,
    machines: Sequence[str] = MACHINES,
    on_progress: OnProgress = no_progress,
) -> Regimes:
    """The map over `axes`.

    Raises UserError where there is no system of one side.

    >>> regimes(Axes(weight_bytes=(65536,), candidates=(64,)), default(), load_systems()).rates[0].break_even
    """
    sides = {side: {n: s for n, s in systems.items() if s.side == side} for side in ("spiking", "dense")}
    for side, found in sides.items():
        if not found:
            raise UserError(f"map: no {side} system; a map needs one of each side")
    for system in systems.values():
        _refuse_unpriced(system, catalogue)
    points = list(axes.points())
    result = Regimes(axes)
    for number, point in enumerate(points, 1):
        result.actions.extend(_actions(point, axes, catalogue, machines))
        result.rates.extend(_rates(point, axes, catalogue, sides))
        on_progress(number, len(points))
    return result


def _refuse_unpriced(system: System, catalogue: Catalogue) -> None:
    """A system that cannot run the least of plans once a day would lose every point, by a slip in its file. Raises UserError."""
    point = Point(weight_bytes=1, candidates=1, iterations=1, horizon=1)
    if system.side == "spiking":
        rows, setup = spiking_rows(point, 1.0, catalogue.device(system.planner.device))
    else:
        rows, setup = dense_rows(point), Setup()
    draw_of(system, rows, 1, rate_hz=ONCE_A_DAY_HZ, catalogue=catalogue, setup=setup)


def _rates(
    point: Point, axes: Axes, catalogue: Catalogue, sides: Mapping[str, Mapping[str, System]]
) -> Iterator[RateRow]:
    rows = dense_rows(point)
    for rate in axes.rates_hz:
        opponents = {name: _dense_watts(system, rows, rate, catalogue) for name, system in sides["dense"].items()}
        for name, system in sides["spiking"].items():

            def watts_at(density: float, system: System = system, rate: float = rate) -> float | None:
                return _spiking_watts(system, point, density, rate, catalogue)

            fits = _largest(_meets(watts_at))
            told = watts_at(axes.density) if fits >= axes.density else None
            line = _line(watts_at, fits)
            device = catalogue.device(system.planner.device)
            term = "" if told is None else chip_term(device, *spiking_rows(point, axes.density, device), rate, told)
            for other, (watts, why) in opponents.items():
                if line is None:
                    density = 0.0
                elif watts is None:
                    density = fits
                else:
                    density = min(fits, max(0.0, (watts - line[0]) / line[1]))
                yield RateRow(
                    weight_bytes=point.weight_bytes,
                    candidates=point.candidates,
                    rate_hz=rate,
                    spiking=name,
                    dense=other,
                    break_even=density,
                    fits=fits,
                    density=axes.density,
                    spiking_watts=told,
                    spiking_term=term,
                    dense_watts=watts,
                    dense_term=why,
                    winner=_winner(name, told, other, watts),
                )


def _line(watts_at: Callable[[float], float | None], fits: float) -> tuple[float, float] | None:
    """(watts of an empty plan, watts more a unit of density); None where no plan meets the rate."""
    low, high = watts_at(fits / 4), watts_at(fits / 2)
    if not fits or low is None or high is None:
        return None
    slope = (high - low) / (fits / 4)
    return low - slope * fits / 4, slope


def _meets(watts_at: Callable[[float], float | None]) -> Callable[[float], bool]:
    return lambda density: watts_at(density) is not None


def _below(joules_at: Callable[[float], float], most: float) -> Callable[[float], bool]:
    return lambda density: joules_at(density) <= most


def _winner(spiking: str, told: float | None, dense: str, watts: float | None) -> str:
    """Neither, where neither meets the rate."""
    if told is None:
        return "" if watts is None else dense
    return spiking if watts is None or told < watts else dense


def _spiking_watts(system: System, point: Point, density: float, rate: float, catalogue: Catalogue) -> float | None:
    """None where the plan does not meet the rate."""
    rows, setup = spiking_rows(point, density, catalogue.device(system.planner.device))
    try:
        return float(draw_of(system, rows, 1, rate_hz=rate, catalogue=catalogue, setup=setup).watts.nominal)
    except UserError:
        return None


def _dense_watts(
    system: System, rows: Sequence[CountRow], rate: float, catalogue: Catalogue
) -> tuple[float | None, str]:
    """Watts and the largest part of them; None and nothing where the network does not fit or the plan is too slow."""
    try:
        drawn = draw_of(system, rows, 1, rate_hz=rate, catalogue=catalogue)
    except UserError:
        return None, ""
    device = catalogue.device(system.planner.device)
    return float(drawn.watts.nominal), dense_term(device, rows, rate, drawn)


def _largest(holds: Callable[[float], bool]) -> float:
    """The largest density in [0, 1] at which `holds`; 0 where none does. It holds below whatever it holds at."""
    if holds(1.0):
        return 1.0
    low, high = 0.0, 1.0
    if not holds(1e-6):
        return 0.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _actions(point: Point, axes: Axes, catalogue: Catalogue, machines: Sequence[str]) -> Iterator[ActionRow]:
    chip, rows = catalogue.device(CHIP), dense_rows(point)

    def spiking(density: float) -> float:
        priced, setup = spiking_rows(point, density, chip)
        return float(estimate(chip, priced, 1, scope="system", extent="loop", setup=setup, catalogue=catalogue).nominal)

    told = spiking(axes.density)
    term = chip_term(chip, *spiking_rows(point, axes.density, chip), None, told)
    for name in machines:
        for how, joules in _busy(catalogue.device(name), rows, catalogue):
            yield ActionRow(
                weight_bytes=point.weight_bytes,
                candidates=point.candidates,
                chip=CHIP,
                device=name,
                how=how,
                break_even=1.0 if joules is None else _largest(_below(spiking, joules)),
                density=axes.density,
                spiking_joules=told,
                dense_joules=joules,
                spiking_term=term,
            )


def _busy(device: Device, rows: Sequence[CountRow], catalogue: Catalogue) -> list[tuple[str, float | None]]:
    """(how, J an action); None where the network does not fit."""
    try:
        whole = float(estimate(device, rows, 1, scope="system", extent="loop", catalogue=catalogue).nominal)
    except UserError:
        return [("measured" if device.kind == "npu" else "roofline", None)]
    if device.kind == "npu":
        return [("measured", whole)]
    bound = dense.launch_bound(device, rows, 1)
    waiting = [] if bound is None or bound.idle_j is None else [("launches", float(bound.idle_j.nominal))]
    return [("roofline", whole), *waiting]
