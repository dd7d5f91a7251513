"""Methods of a results directory with their operations: what `energy report` prices.

A run keeps the whole operation counts of every method in metrics.jsonl (rows of kind `op_counts`), so that it can be
priced again when the
catalogue changes or a user brings a device of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spikeplan.core.counts.operations import MOST, CountRow, OperationCounts, per_action
from spikeplan.core.errors import UserError
from spikeplan.evaluation.iso_success import family_of
from spikeplan.evaluation.replicas import Copies
from spikeplan.placement.hops import Ways, predictions_of

BATCHED = "batched"
SCHEDULES = ("sequential", "interleaved")


@dataclass(frozen=True, kw_only=True)
class PricedRun:
    """One method at one budget; `row` is the metrics row without its operation counts. `ways`: None where the run kept
    no placement.
    `options`: placements of several copies that the run kept; `copies`: the one that this method is priced with."""

    row: dict[str, Any]
    op_counts: OperationCounts
    ways: Ways | None = None
    options: tuple[Copies, ...] = ()
    copies: Copies | None = None
    sent: float = 1.0  # times the messages that were counted
    counted: dict[str, list[CountRow]] = field(
        default_factory=dict, repr=False, compare=False
    )  # one for all placements

    @property
    def name(self) -> str:
        return f"{self.row['method']} {self.row['budget']}"

    @cached_property
    def placed(self) -> tuple[PricedRun, ...]:
        """This method in each of its placements."""
        return tuple(replace(self, copies=option) for option in self.options)

    @property
    def spiking(self) -> bool:
        return self.op_counts.spiking

    @property
    def schedules(self) -> tuple[str, ...]:
        return SCHEDULES if self.spiking else (BATCHED,)

    @property
    def family(self) -> str:
        return family_of(self.row)

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
        if self.ways is None:
            return list(rows)
        return self.ways.rows(rows, kind, extent, predictions=predictions_of(self.op_counts))

    def equivalents(self, schedule: str) -> float:
        return per_action(self.rows(schedule), self.op_counts.actions)

    def scaled(self, factor: float) -> PricedRun:
        """As if the predictor sent `factor` times the messages; updates stay."""
        copies = self.copies
        if copies is not None:
            copies = replace(copies, load={name: load.scaled(factor) for name, load in copies.load.items()})
        return replace(self, sent=self.sent * factor, copies=copies, options=())


@dataclass(frozen=True, kw_only=True)
class Energies:
    """What one directory holds: task -> methods, and the rows of its placements."""

    folder: Path
    command: str
    methods: dict[str, list[PricedRun]]
    placed: list[dict[str, Any]]


def read_run(folder: Path) -> Energies:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        metrics = [json.loads(line, parse_constant=_no_number) for line in lines]
        command = str(config["command"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{folder}: no results directory ({error}); name one that demo, results or plan wrote"
        ) from error
    rows = [row for row in metrics if isinstance(row, dict)]
    methods: dict[str, list[PricedRun]] = {}
    for row in rows:
        if row.get("kind") == "op_counts":
            method = _method(row, folder)
            methods.setdefault(str(row["task"]), []).append(method)
    if not methods:
        raise UserError(
            f"{folder}: a results directory of version 0.1, or one without operation counts; run the command again, or give "
            "count files of your own to `spikeplan energy compare`"
        )
    return Energies(
        folder=folder,
        command=command,
        methods=methods,
        placed=[row for row in rows if row.get("kind") == "energy_placed"],
    )


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _method(row: dict[str, Any], folder: Path) -> PricedRun:
    """Roles as the front has them: a headline method is a point of the front, a threshold sweep is none."""
    try:
        _check(row)
        op_counts = OperationCounts.load(row["op_counts"])
        ways = None if row.get("ways") is None else Ways.load(row["ways"])
        options = tuple(Copies.read(one) for one in _list(row.get("copies", [])))
        kept = {name: value for name, value in row.items() if name not in ("op_counts", "ways", "copies")}
        for schedule in SCHEDULES if op_counts.spiking else (BATCHED,):
            # refuses damaged counts here, by the directory's name
            if per_action(op_counts.rows(schedule), op_counts.actions) <= 0:
                raise ValueError("no operations")
        if (family_of(row) == "spiking") != op_counts.spiking:
            raise ValueError(f"spiking is {op_counts.spiking}")
        role = {"sweep": "sweep", "admission": "admission"}.get(row["role"], "front")
        row = {**kept, "role": role, "headline": row["role"] == "headline"}
        return PricedRun(row=row, op_counts=op_counts, ways=ways, options=options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: a damaged op_counts of method {row.get('method')!r} ({error}); run the command again"
        ) from error


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise ValueError(f"copies is {found!r:.40}")
    return found


def _check(row: dict[str, Any]) -> None:
    """What the report reads of a row beside its counts."""
    op_counts = row["op_counts"]
    for where, names in (
        (row, ("task", "method", "budget", "role")),
        (op_counts, ("method", "reference", "precision")),
    ):
        for name in names:
            if not isinstance(where[name], str):
                raise ValueError(f"{name} is {where[name]!r}")
    success, threshold, actions = row["success"], row["threshold"], op_counts["actions"]
    if type(success) not in (int, float) or not 0 <= success <= 1:
        raise ValueError(f"success is {success!r}")
    if threshold is not None and (type(threshold) not in (int, float) or not threshold >= 0):
        raise ValueError(f"threshold is {threshold!r}")
    steps = op_counts["sequential_steps"], op_counts["interleaved_steps"]
    if type(actions) is not int or any(type(n) is not int or not 1 <= n < MOST for n in (actions, *steps)):
        raise ValueError(f"actions is {actions!r}, steps are {steps!r}")
    if not isinstance(op_counts["spiking"], bool) or not all(
        isinstance(op_counts[k], dict) for k in ("memory", "host_words")
    ):
        raise ValueError("spiking, memory or host_words is not what a run writes")
    if not all(isinstance(phase, str) and isinstance(layer, str) for phase, layer, *_ in op_counts["counts"]):
        raise ValueError("counts are not of [phase, layer, iteration, step, counts]")
    for key in ("episodes", "ci95"):
        row[key]  # said by its name where it is missing


def full_dense(methods: Sequence[PricedRun]) -> PricedRun | None:
    """The dense planner at its full budget: what equal success is measured against."""
    return next((method for method in methods if method.row["method"] == "dense" and method.row["headline"]), None)


def headline(methods: Sequence[PricedRun], name: str) -> PricedRun | None:
    return next((method for method in methods if method.row["method"] == name and method.row["headline"]), None)
