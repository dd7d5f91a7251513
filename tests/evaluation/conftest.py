"""Small jobs on a shipped network, and one planned action as traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from spikeplan.core.chips import LOIHI2
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.shard import Job
from spikeplan.evaluation.traffic import Traffic, traffic_of
from spikeplan.worldmodel.checkpoint import shipped

TASK = "planar-reach"


def _job(method: str, **changes: object) -> Job:
    planner = load_bundle(TASK).model.planner.at(samples=16, iterations=2, horizon=4)
    base = Job(task=TASK, method=method, role="headline", planner=planner, episodes=8, count=8)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def job() -> Callable[..., Job]:
    """job(method, seed=..., ...): 8 episodes of planar-reach with a small planner."""
    return _job


@pytest.fixture(scope="session")
def delta() -> Traffic:
    return traffic_of(str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors")), LOIHI2)
