"""What one shard gives, as it is kept in parts/KEY.json and merged by `spikeplan.evaluation.aggregate`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.evaluation.rows import from_json, to_json


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """N episodes of one job.

    Args:
        job: its settings, for a reader of the file.
        success: 0 or 1, N.
        distance: to the goal after the last step, N.
        poses: of the first episode, (1, T + 1, P), where the job keeps them.
        op_counts: summed over all actions; None for a method whose operations are not counted.
        weights_left: layer -> weights that are not zero.

    >>> ShardResult.from_json(json.loads(path.read_text())).success
    """

    job: dict[str, Any]
    success: list[int]
    distance: list[float]
    poses: list[list[list[float]]] | None
    op_counts: OperationCounts | None
    weights_left: dict[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        found: dict[str, Any] = to_json(self)
        return found

    @classmethod
    def from_json(cls, found: object) -> Self:
        """Raises ValueError that names the field which is missing or of another type."""
        return from_json(found, cls)

    def damage(
        self, *, job: dict[str, Any], episodes: int, poses: bool, counted: str | None, actions: int
    ) -> str | None:
        """What is wrong with a result that was read back; None: nothing.

        Args:
            job: the settings that were asked for.
            poses: whether poses are kept.
            counted: the method that operations are counted of; None: they are not.
            actions: that were planned.
        """
        if self.job != job:
            return "job: other settings than the job's"
        if len(self.success) != episodes or not set(self.success) <= {0, 1}:
            return f"success: {episodes} episodes, each 0 or 1, are expected"
        if len(self.distance) != episodes or not all(map(math.isfinite, self.distance)):
            return f"distance: {episodes} finite numbers are expected"
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            return f"seconds: {self.seconds}"
        if not self._poses_fit() or (self.poses is not None) != poses:
            return "poses: one episode's, as rows of equal length, are expected where they are kept"
        if (self.op_counts is not None) != (counted is not None):
            return f"op_counts: there are {'none' if self.op_counts is None else 'some'}"
        return None if self.op_counts is None else self._damaged_counts(self.op_counts, counted, actions)

    def _poses_fit(self) -> bool:
        if self.poses is None:
            return True
        rows = self.poses[0] if len(self.poses) == 1 else []
        return len({len(row) for row in rows}) == 1 and all(math.isfinite(v) for row in rows for v in row)

    def _damaged_counts(self, counts: OperationCounts, method: str | None, actions: int) -> str | None:
        if counts.method != method or counts.actions != actions:
            return f"op_counts: {counts.actions} actions of {counts.method!r}, {actions} of {method!r} are expected"
        if min(counts.sequential_steps, counts.interleaved_steps) < 1:
            return "op_counts: a prediction takes at least one step"
        predictor = {key[1]: layer for key, layer in counts.counts("predictor")}
        if counts.spiking and not sum(layer.dense_macs for _, layer in counts.counts("predictor")):
            return "op_counts: a spiking method without dense MACs of its predictor"
        if not counts.spiking and self.weights_left and not predictor.keys() <= self.weights_left.keys():
            return "weights_left: not of every layer of the predictor"
        if min(self.weights_left.values(), default=0) < 0:
            return "weights_left: a number below zero"
        try:
            for schedule in ("sequential", "interleaved") if counts.spiking else ("batched",):
                counts.rows(schedule)
        except (ValueError, TypeError, ArithmeticError) as error:
            return f"op_counts: {error}"
        return None
