"""What a results directory holds, read once; every figure and table is a function of this and of nothing else.

    config.json     how the run was made
    summary.json    the figures that the run is judged by (required)
    metrics.jsonl   one JSON object a line; `kind` says what it is
    events.npz      frame (H, W), events (H, W, 3) uint8, caption: the arm as a frame and as events

A kind that is missing is a part that was not run: the report says so. A file that is damaged is an error.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.evaluation.iso_success import family_of

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class EventPicture:
    frame: NDArray[np.float32]
    events: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Results:
    config: Record
    summary: Record
    metrics: list[Record] = field(default_factory=list)
    events: EventPicture | None = None

    @property
    def tasks(self) -> list[str]:
        named = [*mapping(self.summary.get("tasks")), *(str(r["task"]) for r in self.metrics if r.get("task"))]
        return list(dict.fromkeys(named))

    def of(self, kind: str, task: str) -> list[Record]:
        return [r for r in self.metrics if r.get("kind") == kind and r.get("task") == task]

    def first(self, kind: str, task: str) -> Record | None:
        return next(iter(self.of(kind, task)), None)

    def task(self, task: str) -> Record:
        return mapping(mapping(self.summary.get("tasks")).get(task))

    def methods(self, task: str) -> dict[str, Record]:
        return {str(method): mapping(row) for method, row in mapping(self.task(task).get("methods")).items()}

    def front(self, task: str) -> list[Record]:
        """The points of the front; the summary's short form where the metrics hold none."""
        return self.of("front", task) or [mapping(row) for row in sequence(self.task(task).get("front"))]


def mapping(value: Any) -> Record:
    """The value if it is a JSON object, else an empty one: nulls are allowed everywhere."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def finite(value: Any) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def positive(value: Any) -> float | None:
    """A number that a logarithmic reference can show, else None."""
    number = finite(value)
    return number if number is not None and number > 0 else None


def interval(value: Any) -> tuple[float, float] | None:
    """[lo, hi] with both ends finite, else None."""
    low, high = (finite(v) for v in value) if isinstance(value, list) and len(value) == 2 else (None, None)
    return None if low is None or high is None else (low, high)


def numbers(value: Any) -> list[float]:
    """A list of numbers; what is none becomes nan, which a figure leaves out."""
    return [math.nan if (v := finite(item)) is None else v for item in sequence(value)]


def spiking(row: Record) -> bool:
    return family_of(row) == "spiking"


def load(out: Path) -> Results:
    """Read a results directory. Raises UserError on a missing summary and on damaged files."""
    if not (out / "summary.json").is_file():
        raise UserError(f"{out}: holds no summary.json; make one with `spikeplan results --out {out}`")
    return Results(
        config=_json(out / "config.json"),
        summary=_json(out / "summary.json"),
        metrics=_lines(out / "metrics.jsonl"),
        events=_events(out / "events.npz"),
    )


def _json(path: Path) -> Record:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: truncated or not JSON ({error}); run the experiment again") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: a JSON {type(found).__name__} where an object is expected; run the experiment again")
    return found


def _lines(path: Path) -> list[Record]:
    if not path.is_file():
        return []
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); run the experiment again") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: no JSON object; run the experiment again")
        rows.append(row)
    return rows


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
