"""The methods of a results directory with their operation counts: what `energy report` prices.

A run stores all operation counts of every method in metrics.jsonl (rows of kind `op_counts`). It can therefore be priced again
with another catalogue, or with a device of the user's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from spikeplan.core.counts.operations import MOST, CountRow, OperationCounts, per_action
from spikeplan.core.errors import UserError, short
from spikeplan.core.guided_planning import DirectConfig
from spikeplan.core.json_file import read_json
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.replicas import StoredPlacement
from spikeplan.evaluation.rows import KINDS, FrontRow, Interval, OpCountsRow, PlacedEnergyRow, read_rows, rows_of_kind
from spikeplan.placement.hops import predictions_of

BATCHED = "batched"
SCHEDULES = ("sequential", "interleaved")


@dataclass(frozen=True, kw_only=True)
class PricedRun:
    """One method at one budget, with its counts. `placement`: the one that it is priced with; None: one replica, a core a layer.
    `won`: a digit an episode, 1 where it was won; empty where the run did not keep them.

    Roles are the front's: a headline method is a point of the front, a threshold sweep is none.
    """

    row: OpCountsRow
    placement: StoredPlacement | None = None
    won: str = ""
    sent: float = 1.0  # times the messages that were counted
    counted: dict[str, list[CountRow]] = field(
        default_factory=dict, repr=False, compare=False
    )  # one for all placements

    @property
    def method(self) -> str:
        return self.row.method

    @property
    def op_counts(self) -> OperationCounts:
        return self.row.op_counts

    @property
    def success(self) -> float:
        return self.row.success

    @property
    def paired_vs_dense(self) -> Interval | None:
        return self.row.paired_vs_dense

    @property
    def headline(self) -> bool:
        return self.row.role == "headline"

    @property
    def role(self) -> str:
        return self.row.role if self.row.role in ("sweep", "admission") else "front"

    @property
    def name(self) -> str:
        return f"{self.row.method} {self.row.budget}"

    @cached_property
    def placed(self) -> tuple[PricedRun, ...]:
        """This method in each of its placements."""
        return tuple(replace(self, placement=placement) for placement in self.row.placements)

    @property
    def acts_alone(self) -> bool:
        """Whether a policy acts without a planner, by its planner."""
        base = self.method.partition("/")[0]
        return base in METHODS and METHODS[base].planner == DirectConfig.label

    @property
    def spiking(self) -> bool:
        return self.op_counts.spiking

    @property
    def schedules(self) -> tuple[str, ...]:
        return SCHEDULES if self.spiking else (BATCHED,)

    @property
    def family(self) -> str:
        return self.row.family

    @property
    def layers(self) -> int:
        """Neuron layers of the predictor: as many neurocores, the least that interleaving takes."""
        return len({name for (_, name, _, _), c in self.op_counts.counts("predictor") if c.updates})

    def rows(self, schedule: str) -> list[CountRow]:
        if schedule not in self.counted:
            self.counted[schedule] = self.op_counts.rows(schedule)
        rows = self.counted[schedule]
        if self.sent == 1.0:
            return rows
        return [
            replace(row, synops=row.synops * self.sent, messages=row.messages * self.sent)  # type: ignore[arg-type]
            if row.phase == "predictor"
            else row
            for row in rows
        ]

    def on(self, kind: str, rows: Sequence[CountRow], extent: str = "loop") -> list[CountRow]:
        """Rows with the hops that their messages make on a chip of this kind (`loihi1`, `loihi2`), as it was placed there."""
        if self.row.hops is None:
            return list(rows)
        return self.row.hops.rows(rows, kind, extent, predictions=predictions_of(self.op_counts))

    def equivalents(self, schedule: str) -> float:
        return per_action(self.rows(schedule), self.op_counts.actions)

    def scaled(self, factor: float) -> PricedRun:
        """As if the predictor sent `factor` times the messages; updates stay."""
        placement = self.placement
        if placement is not None:
            load = {name: load.scaled(factor) for name, load in placement.load.items()}
            placement = replace(placement, load=load)
        return replace(self, sent=self.sent * factor, placement=placement, row=replace(self.row, placements=()))


@dataclass(frozen=True, kw_only=True)
class PricedFolder:
    """What one directory holds: task -> methods, and the rows of its placements."""

    folder: Path
    command: str
    methods: dict[str, list[PricedRun]]
    placed: list[PlacedEnergyRow]


def read_run(folder: Path) -> PricedFolder:
    """Raises UserError for a folder that is no results directory, is damaged, or holds no operation counts."""
    try:
        command = str(read_json(folder / "config.json")["command"])
        if not (folder / "metrics.jsonl").exists():
            raise ValueError("no metrics.jsonl")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: no results directory ({short(error)}); name one that demo, results or plan wrote"
        ) from error
    rows = read_rows(folder / "metrics.jsonl", KINDS)
    won = {_point(row): row.episodes_won for row in rows_of_kind(rows, FrontRow)}
    methods: dict[str, list[PricedRun]] = {}
    for row in rows_of_kind(rows, OpCountsRow):
        run, episodes_won = _checked(row, folder), won.get(_point(row), "")
        kept = set(episodes_won) <= {"0", "1"} and len(episodes_won) == row.episodes
        methods.setdefault(row.task, []).append(replace(run, won=episodes_won) if kept else run)
    if not methods:
        raise UserError(
            f"{folder}: a results directory of version 0.1, or one without operation counts; run the command again, or give "
            "count files of your own to `spikeplan energy compare`"
        )
    return PricedFolder(folder=folder, command=command, methods=methods, placed=rows_of_kind(rows, PlacedEnergyRow))


def _point(row: OpCountsRow | FrontRow) -> tuple[object, ...]:
    """What a row of the front and the counts of the same run have in common."""
    sweep = row.role == "sweep"
    return row.task, row.method, row.budget, row.reference, row.threshold, sweep, row.episodes, round(row.success, 9)


def _checked(row: OpCountsRow, folder: Path) -> PricedRun:
    """A run that can be priced. Raises UserError by the directory's name where its counts are damaged."""
    try:
        counts = row.op_counts
        steps = counts.sequential_steps, counts.interleaved_steps
        if type(counts.actions) is not int or any(
            type(n) is not int or not 1 <= n < MOST for n in (counts.actions, *steps)
        ):
            raise ValueError(f"actions is {counts.actions!r}, steps are {steps!r}")
        if not 0 <= row.success <= 1 or not (row.threshold is None or row.threshold >= 0):
            raise ValueError(f"success is {row.success!r}, threshold is {row.threshold!r}")
        if (row.family == "spiking") != counts.spiking:
            raise ValueError(f"spiking is {counts.spiking}")
        run = PricedRun(row=row)
        for schedule in run.schedules:
            if per_action(run.rows(schedule), counts.actions) <= 0:
                raise ValueError("no operations")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: damaged operation counts of method {row.method!r} ({short(error)}); run the command again"
        ) from error
    return run


def full_dense(methods: Sequence[PricedRun]) -> PricedRun | None:
    """The dense planner at its full budget: what equal success is measured against."""
    return next(iter(headline(methods, "dense", "fp32")), None)


def full_int8(methods: Sequence[PricedRun]) -> PricedRun | None:
    """The same with its network in 8 bits."""
    return next(iter(headline(methods, "dense", "int8")), None)


def headline(methods: Sequence[PricedRun], family: str, precision: str | None = None) -> list[PricedRun]:
    """Those of the headline, of one family and precision; None: of any."""
    return [
        method
        for method in methods
        if method.headline and method.family == family and precision in (None, method.op_counts.precision)
    ]
