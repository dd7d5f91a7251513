"""What is priced: operation counts by schedule, from a profile or from a file of any simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.evaluation.profiles.loop import Loop, looped
from spikeplan.evaluation.profiles.profile import Profile

INTERLEAVED = "interleaved"


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Rows of one network, by schedule, each summed over `actions`. `where`: the file that they are of. `neurobench`: the profile
    under NeuroBench's names. `depth`: candidates that fill the pipeline; with fewer, none follows another into it: a rollout is a
    recurrence. `notes`: what a reader must know of the counts."""

    name: str
    actions: int
    rows: Mapping[str, Sequence[CountRow]]
    where: str = ""
    neurobench: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 1
    notes: tuple[str, ...] = ()

    @property
    def spiking(self) -> bool:
        return "batched" not in self.rows

    def looped(self, loop: Loop) -> dict[str, list[CountRow]]:
        """Rows of an action by schedule, of those that so many candidates allow."""
        kept = {s: rows for s, rows in self.rows.items() if s != INTERLEAVED or loop.candidates >= self.depth}
        return {schedule: looped(rows, loop) for schedule, rows in (kept or self.rows).items()}


def counted_profile(name: str, profile: Profile) -> Counted:
    counts = profile.op_counts
    rows = {schedule: counts.rows(schedule) for schedule in profile.schedules}
    depth = -(-counts.sequential_steps // counts.interleaved_steps)
    return Counted(name=name, actions=counts.actions, rows=rows, neurobench=profile.neurobench(), depth=depth)


def read_counted(path: Path) -> list[Counted]:
    """The methods of a file of operation counts. Raises UserError for a damaged one and for one method in both kinds."""
    rows, actions = read_rows(path)
    found: dict[str, dict[str, list[CountRow]]] = {}
    for row in rows:
        found.setdefault(row.method, {}).setdefault(row.schedule, []).append(row)
    for method, by_schedule in found.items():
        if "batched" in by_schedule and len(by_schedule) > 1:
            others = ", ".join(sorted(set(by_schedule) - {"batched"}))
            raise UserError(
                f"{path}: method {method!r} is batched and {others}; name its dense and its spiking rows apart"
            )
    for method, by_schedule in found.items():
        without = [s for s, some in by_schedule.items() if not any(row.phase == "predictor" for row in some)]
        if without and len(by_schedule) > 1:
            raise UserError(
                f"{path}: method {method!r} has rows in schedule {without[0]} without a predictor's; write them in each"
            )
    return [
        Counted(name=method, actions=actions, rows=by_schedule, where=str(path))
        for method, by_schedule in found.items()
    ]
