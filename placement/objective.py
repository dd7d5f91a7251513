"""What a placement is chosen for: least time, least energy, or the fewest chips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from spikeplan.core.errors import UserError
from spikeplan.placement.place import Placement

OBJECTIVES = ("time", "energy", "chips")


class Found(Protocol):
    @property
    def found(self) -> Placement: ...


T = TypeVar("T", bound=Found)


@dataclass(frozen=True, kw_only=True)
class Choice(Generic[T]):
    """`order`: those that are fast enough, best first. Where none is, `missed` says so and the fastest stands alone."""

    order: list[T]
    missed: str | None = None

    @property
    def best(self) -> T:
        return self.order[0]

    @property
    def next_best(self) -> T | None:
        return self.order[1] if len(self.order) > 1 else None


def choose(
    placements: Sequence[T],
    objective: str,
    *,
    time_s: Callable[[T], float],
    energy_j: Callable[[T], float],
    within_s: float | None = None,
    what: str = "computes an inference",
) -> Choice[T]:
    """Order placements by an objective; ties go to fewer chips, then to fewer cores, then to less time.

    Args:
        placements: at least one.
        objective: one of OBJECTIVES.
        time_s, energy_j: seconds and Joules of one; energy is asked for only where it decides.
        within_s: seconds that a placement may take.

    Raises UserError for another objective.

    >>> choose(placements, "energy", time_s=lambda one: one.time, energy_j=lambda one: one.joules).best
    """
    if objective not in OBJECTIVES:
        raise UserError(f"objective {objective!r} is unknown; use one of {', '.join(OBJECTIVES)}")
    fitting = [one for one in placements if within_s is None or time_s(one) <= within_s]
    if not fitting:
        assert within_s is not None
        fastest = min(placements, key=time_s)
        return Choice(
            order=[fastest],
            missed=f"no placement {what} in {within_s * 1e3:g} ms; the fastest takes {time_s(fastest) * 1e3:.3g} ms",
        )

    def key(one: T) -> tuple[float, ...]:
        size = (float(one.found.chips), float(one.found.cores), time_s(one))
        first = {"time": time_s, "energy": energy_j}.get(objective)
        return size if first is None else (first(one), *size)

    return Choice(order=sorted(fitting, key=key))
