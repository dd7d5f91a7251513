"""What a results directory holds, read once; every figure and table is a function of this and of nothing else.

    config.json     how the run was made
    summary.json    the figures that the run is judged by (required)
    metrics.jsonl   one JSON object a line; `kind` says what it is
    events.npz      frame (H, W), events (H, W, 3) uint8, caption: the arm as a frame and as events

A kind that is missing is a part that was not run: the report says so. A file that is damaged is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError, short
from spikeplan.core.json_file import read_json
from spikeplan.evaluation.rows import KINDS, FrontRow, Row, from_json, read_rows, rows_of_kind
from spikeplan.evaluation.summary import MethodSummary, Summary, TaskSummary

R = TypeVar("R", bound=Row)
OTHERS = ("planners", "fusion")  # commands whose summary.json is another


@dataclass(frozen=True, kw_only=True)
class EventPicture:
    frame: NDArray[np.float32]
    events: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """`config` is printed as it is; nothing is computed from it."""

    config: dict[str, Any]
    summary: Summary
    rows: list[Row] = field(default_factory=list)
    events: EventPicture | None = None

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys([*self.summary.tasks, *(row.task for row in self.rows)]))

    def of(self, kind: type[R], task: str) -> list[R]:
        return rows_of_kind(self.rows, kind, task)

    def first(self, kind: type[R], task: str) -> R | None:
        return next(iter(self.of(kind, task)), None)

    def task(self, task: str) -> TaskSummary:
        return self.summary.tasks.get(task, TaskSummary())

    def methods(self, task: str) -> dict[str, MethodSummary]:
        return self.task(task).methods

    def pair(self, task: str) -> tuple[MethodSummary, MethodSummary]:
        """The dense and the spiking method that the task's comparison is between; empty where one was not run."""
        one, methods = self.task(task), self.methods(task)
        return methods.get(one.dense, MethodSummary()), methods.get(one.spiking, MethodSummary())

    def front(self, task: str) -> list[FrontRow]:
        return self.of(FrontRow, task)


def load(out: Path) -> Results:
    """Read a results directory. Raises UserError on a missing summary and on damaged files."""
    if out.is_file():
        raise UserError(f"{out}: is a file; name the folder that `spikeplan demo` or `spikeplan plan` wrote")
    if not (out / "summary.json").is_file():
        what = "holds no summary.json" if out.is_dir() else "no such folder"
        raise UserError(
            f"{out}: {what}; make one in minutes with `spikeplan demo --out {out}`, or with `spikeplan plan`"
        )
    return Results(
        config=_json(out / "config.json"),
        summary=read_summary(out),
        rows=read_rows(out / "metrics.jsonl", KINDS),
        events=_events(out / "events.npz"),
    )


def read_summary(out: Path) -> Summary:
    """Raises UserError where summary.json is missing, damaged, or of another version."""
    path = out / "summary.json"
    try:
        return from_json(_json(path), Summary)
    except UserError:
        raise
    except ValueError as error:
        command = _json(out / "config.json").get("command")
        if command in OTHERS:
            raise UserError(
                f"{out}: holds the results of `{command}`, which have a form of their own; demo, results and plan are read"
            ) from error
        raise UserError(f"{path}: {short(error)}; a file of another version? run the command again") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path}: truncated or not JSON ({error}); run the experiment again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a JSON {type(found).__name__} where an object is expected; run the experiment again")
    return found


def _events(path: Path) -> EventPicture | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            frame, events = np.asarray(data["frame"], np.float32), np.asarray(data["events"], np.uint8)
            caption = str(data["caption"]) if "caption" in data else ""
    except (KeyError, ValueError, OSError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: truncated or foreign ({error!r}); run the experiment again") from error
    if frame.ndim != 2 or events.ndim != 3 or events.shape[2] != 3:
        raise UserError(f"{path}: frame {frame.shape} and events {events.shape}; (H, W) and (H, W, 3) are expected")
    return EventPicture(frame=frame, events=events, caption=caption)
