"""A job: one method on some episodes of one task, as data. `spikeplan.evaluation.shard` runs it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from spikeplan.core.digest import code_digest
from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.evaluation.methods import METHODS

KEY_LENGTH = 24
EPISODE_SEED = 1_000_000  # reported episodes; validation uses spikeplan.worldmodel.train.VALIDATION_SEED


# Whatever can change a shard: how it is planned and counted, and how its calibration is recorded.
MADE_BY = ("worldmodel", "snn", "conversion", "evaluation")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One method on some episodes of one task: all that decides the result.

    Args:
        role: what the result is for: headline, front or admission. It decides nothing.
        episodes: of the whole set, of which this shard plans `count` from `first` on.
        threshold: factor on the network's thresholds; None: as they are.
        with_planner: name of a planner in PLANNERS; None: the method's own.
        cost: name of a cost in COSTS; None: the latent distance.
        checkpoint, artifact: files other than the shipped ones.

    >>> job = Job(task="two-room", method="sigma_delta", role="front", planner=CEMConfig(), episodes=100, count=100)
    """

    task: str
    method: str
    role: str
    planner: PlannerConfig
    episodes: int
    first: int = 0
    count: int
    seed: int = 0
    reference: str = "zero"
    threshold: float | None = None
    checkpoint: str | None = None
    artifact: str | None = None
    keep_poses: bool = False
    with_planner: str | None = None
    cost: str | None = None

    def key(self, digest: str) -> str:
        """Name of the stored result: settings, `digest` of the trained files, and the code that makes it."""
        text = json.dumps([self.settings, digest, code_digest(*MADE_BY)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides the result, as JSON types: two studies that plan the same may share it, whatever it is for."""
        settings = json.loads(json.dumps(asdict(self)))
        del settings["role"]
        return dict(settings)

    @property
    def planner_name(self) -> str | None:
        """The planner that runs; None for a method that plans nothing."""
        if self.with_planner is not None:
            return self.with_planner
        method = METHODS[self.method]
        return None if method.family == "floor" else method.planner

    @property
    def weight(self) -> float:
        """Rough cost for the progress bar and for scheduling, in dense predictor passes."""
        return METHODS[self.method].relative_cost * self.planner.evaluations * self.count + 1.0


def shards(size: int, shard: int) -> list[tuple[int, int]]:
    return [(first, min(shard, size - first)) for first in range(0, size, shard)]
