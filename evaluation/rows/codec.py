"""Frozen dataclasses to JSON types and back, with a line that names the field where they do not fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, NotRequired, Self, TypedDict, TypeVar

import msgspec
import numpy as np

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError, quoted, short

T = TypeVar("T")
R = TypeVar("R", bound="Row")


@dataclass(frozen=True, kw_only=True)
class KindRow:
    """What every line has: a `kind`, which each derived class states."""

    kind: ClassVar[str] = ""
    once: ClassVar[bool] = False  # two equal lines of this kind would be counted twice

    def to_json(self) -> dict[str, Any]:
        """The row as JSON types, its kind first."""
        return {"kind": self.kind, **to_json(self)}

    @classmethod
    def from_json(cls, line: object) -> Self:
        """Raises ValueError that names the field which is missing or of another type."""
        return from_json(line, cls)


@dataclass(frozen=True, kw_only=True)
class Row(KindRow):
    """A row of one task."""

    task: str


def to_json(value: Any) -> Any:
    """Dataclasses as objects without the fields that equal their default; arrays, numbers of numpy and counts as JSON types."""
    if is_dataclass(value) and not isinstance(value, type):
        held = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: to_json(each) for field, each in held if not _is_default(each, field)}
    if isinstance(value, OperationCounts):
        return value.dump()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_json(each) for key, each in value.items()}
    return [to_json(each) for each in value] if isinstance(value, list | tuple) else value


def _is_default(value: Any, of: Field[Any]) -> bool:
    if of.default_factory is not MISSING:
        return bool(value == of.default_factory())
    return value is of.default or (isinstance(of.default, tuple) and value == of.default)


def from_json(value: object, kind: type[T]) -> T:
    """What `to_json` wrote. Raises ValueError with the place of the first thing that does not fit."""
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{error!r}") from error


class _Counts(TypedDict):
    """What OperationCounts.dump writes, beside its version."""

    method: str
    reference: str
    precision: str
    spiking: bool
    sequential_steps: int
    interleaved_steps: int
    policy_steps: NotRequired[tuple[int, int]]
    value_steps: NotRequired[tuple[int, int]]
    actions: int
    memory: dict[str, tuple[int, int]]
    counts: list[tuple[str, str, int | None, int | None, dict[str, int]]]
    host_words: dict[str, int]


def _decode(kind: Any, value: Any) -> Any:
    if kind is not OperationCounts:
        return np.array(value, np.float64)
    try:
        msgspec.convert(value, _Counts)  # says by its place what does not fit
        return OperationCounts.load(value)
    except ValueError as error:
        raise ValueError(f"op_counts: {error}") from error


def lines_of(rows: Iterable[Row]) -> str:
    """Rows as the lines of metrics.jsonl."""
    return "".join(json.dumps(row.to_json(), allow_nan=False) + "\n" for row in rows)


def read_rows(path: Path, kinds: Mapping[str, type[Row]]) -> list[Row]:
    """The rows of a metrics.jsonl; none where there is no such file.

    Raises UserError with file and line for what is no JSON, of an unknown kind, has a field that is missing or wrong, or
    repeats a row that is to be there once; and for a file that is no UTF-8 text.
    """
    rows: list[Row] = []
    seen: dict[str, int] = {}  # lines of kinds that must not repeat -> their numbers
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            held = msgspec.json.decode(line)
            kind = held.get("kind") if isinstance(held, dict) else None
            if not isinstance(kind, str) or kind not in kinds:
                raise ValueError(f"no row of kind {quoted(kind)} is known")
            rows.append(kinds[kind].from_json(held))
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{path}, line {number}: {short(error)}; a file of another version? run the command again"
            ) from error
        if kinds[kind].once:
            first = seen.setdefault(json.dumps(held, sort_keys=True), number)
            if first != number:
                raise UserError(
                    f"{path}, line {number}: repeats line {first}, a row of kind {kind!r}; remove one of them"
                )
    return rows


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a results directory, or run again") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8, or run the command again"
        ) from error


def rows_of_kind(rows: Iterable[Row], kind: type[R], task: str | None = None) -> list[R]:
    """Rows of one kind, and of one task if it is named."""
    return [row for row in rows if isinstance(row, kind) and task in (None, row.task)]
