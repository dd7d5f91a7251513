"""Arms of a results directory with their operations: what `energy report` prices.

A run keeps the whole ledger of every arm in metrics.jsonl (rows of kind `ledger`), so that it can be priced again when the
catalogue changes or a user brings a device of their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spikeplan.core.counts.ledger import MOST, Ledger, LedgerRow, per_action
from spikeplan.core.errors import UserError
from spikeplan.evaluation.iso_success import family_of
from spikeplan.evaluation.replicas import Copies
from spikeplan.placement.hops import Ways, predictions_of

BATCHED = "batched"
SCHEDULES = ("sequential", "interleaved")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm at one budget; `row` is the metrics row without its ledger. `ways`: None where the run kept no placement.
    `options`: placements of several copies that the run kept; `copies`: the one that this arm is priced with."""

    row: dict[str, Any]
    ledger: Ledger
    ways: Ways | None = None
    options: tuple[Copies, ...] = ()
    copies: Copies | None = None
    sent: float = 1.0  # times the messages that were counted
    counted: dict[str, list[LedgerRow]] = field(
        default_factory=dict, repr=False, compare=False
    )  # one for all placements

    @property
    def name(self) -> str:
        return f"{self.row['arm']} {self.row['budget']}"

    @cached_property
    def placed(self) -> tuple[Arm, ...]:
        """This arm in each of its placements."""
        return tuple(replace(self, copies=option) for option in self.options)

    @property
    def spiking(self) -> bool:
        return self.ledger.spiking

    @property
    def schedules(self) -> tuple[str, ...]:
        return SCHEDULES if self.spiking else (BATCHED,)

    @property
    def family(self) -> str:
        return family_of(self.row)

    @property
    def layers(self) -> int:
        """Neuron layers of the predictor: as many neurocores, the least that interleaving takes."""
        return len({name for (_, name, _, _), c in self.ledger.counts("predictor") if c.updates})

    def rows(self, schedule: str) -> list[LedgerRow]:
        if schedule not in self.counted:
            self.counted[schedule] = self.ledger.rows(schedule)
        rows = self.counted[schedule]
        if self.sent == 1.0:
            return rows
        return [
            replace(row, synops=row.synops * self.sent, messages=row.messages * self.sent)  # type: ignore[arg-type]
            if row.phase == "predictor"
            else row
            for row in rows
        ]

    def on(self, kind: str, rows: Sequence[LedgerRow], scope: str = "loop") -> list[LedgerRow]:
        """Rows with the hops that their messages make on a chip of this kind (`loihi1`, `loihi2`), as it was placed there."""
        if self.ways is None:
            return list(rows)
        return self.ways.rows(rows, kind, scope, predictions=predictions_of(self.ledger))

    def equivalents(self, schedule: str) -> float:
        return per_action(self.rows(schedule), self.ledger.actions)

    def scaled(self, factor: float) -> Arm:
        """As if the predictor sent `factor` times the messages; updates stay."""
        copies = self.copies
        if copies is not None:
            copies = replace(copies, load={name: load.scaled(factor) for name, load in copies.load.items()})
        return replace(self, sent=self.sent * factor, copies=copies, options=())


@dataclass(frozen=True, kw_only=True)
class Energies:
    """What one directory holds: task -> arms, and the rows of its placements."""

    folder: Path
    command: str
    arms: dict[str, list[Arm]]
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
    arms: dict[str, list[Arm]] = {}
    for row in rows:
        if row.get("kind") == "ledger":
            arm = _arm(row, folder)
            arms.setdefault(str(row["task"]), []).append(arm)
    if not arms:
        raise UserError(
            f"{folder}: metrics.jsonl holds no ledgers (the run is older than they are); run the command again, or give "
            "ledgers of your own to energy compare"
        )
    return Energies(
        folder=folder, command=command, arms=arms, placed=[row for row in rows if row.get("kind") == "energy_placed"]
    )


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _arm(row: dict[str, Any], folder: Path) -> Arm:
    """Roles as the front has them: a headline arm is a point of the front, a threshold sweep is none."""
    try:
        _check(row)
        ledger = Ledger.load(row["ledger"])
        ways = None if row.get("ways") is None else Ways.load(row["ways"])
        options = tuple(Copies.read(one) for one in _list(row.get("copies", [])))
        kept = {name: value for name, value in row.items() if name not in ("ledger", "ways", "copies")}
        for schedule in SCHEDULES if ledger.spiking else (BATCHED,):
            # refuses damaged counts here, by the directory's name
            if per_action(ledger.rows(schedule), ledger.actions) <= 0:
                raise ValueError("no operations")
        if (family_of(row) == "spiking") != ledger.spiking:
            raise ValueError(f"spiking is {ledger.spiking}")
        role = {"sweep": "sweep", "admission": "admission"}.get(row["role"], "front")
        row = {**kept, "role": role, "headline": row["role"] == "headline"}
        return Arm(row=row, ledger=ledger, ways=ways, options=options)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}: a damaged ledger of arm {row.get('arm')!r} ({error}); run the command again"
        ) from error


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise ValueError(f"copies is {found!r:.40}")
    return found


def _check(row: dict[str, Any]) -> None:
    """What the report reads of a row beside its counts."""
    ledger = row["ledger"]
    for where, names in ((row, ("task", "arm", "budget", "role")), (ledger, ("arm", "axis", "precision"))):
        for name in names:
            if not isinstance(where[name], str):
                raise ValueError(f"{name} is {where[name]!r}")
    success, threshold, actions = row["success"], row["threshold"], ledger["actions"]
    if type(success) not in (int, float) or not 0 <= success <= 1:
        raise ValueError(f"success is {success!r}")
    if threshold is not None and (type(threshold) not in (int, float) or not threshold >= 0):
        raise ValueError(f"threshold is {threshold!r}")
    steps = ledger["sequential_steps"], ledger["interleaved_steps"]
    if type(actions) is not int or any(type(n) is not int or not 1 <= n < MOST for n in (actions, *steps)):
        raise ValueError(f"actions is {actions!r}, steps are {steps!r}")
    if not isinstance(ledger["spiking"], bool) or not all(
        isinstance(ledger[k], dict) for k in ("memory", "host_words")
    ):
        raise ValueError("spiking, memory or host_words is not what a run writes")
    if not all(isinstance(phase, str) and isinstance(layer, str) for phase, layer, *_ in ledger["counts"]):
        raise ValueError("counts are not of [phase, layer, iteration, step, counts]")
    for key in ("episodes", "ci95"):
        row[key]  # said by its name where it is missing


def full_dense(arms: Sequence[Arm]) -> Arm | None:
    """The dense planner at its full budget: what equal success is measured against."""
    return next((arm for arm in arms if arm.row["arm"] == "dense" and arm.row["headline"]), None)


def headline(arms: Sequence[Arm], name: str) -> Arm | None:
    return next((arm for arm in arms if arm.row["arm"] == name and arm.row["headline"]), None)
