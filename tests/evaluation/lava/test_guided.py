"""A guided plan through Lava is compared in all that it recorded, and whole episodes leave no difference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.lava.guided import Reference, differences, guided_episodes
from spikeplan.lava_procs.guided.session import GuidedRecord
from spikeplan.worldmodel.planning.integer_guided import IntegerGuidedTrace

S, H, A, D = 3, 4, 2, 5


def recorded() -> tuple[GuidedRecord, Reference]:
    """The same plan on both sides."""
    rng = np.random.default_rng(0)
    cost, actions, path = rng.integers(1, 99, S), rng.integers(-9, 9, (S, H, A)), rng.integers(-99, 99, (S, H, D))
    trace = IntegerGuidedTrace(
        *(torch.from_numpy(x[None]) for x in (cost, np.array(cost.argmin()), actions, path)), saturated=2
    )
    found = GuidedRecord(
        cost_S=cost,
        winner=int(cost.argmin()),
        actions_HSA=actions.transpose(1, 0, 2),
        path_HSD=path.transpose(1, 0, 2),
        policy_messages_L=np.array([4, 5]),
        predictor_messages_L=np.array([6, 7, 8]),
        value_messages_L=np.array([9]),
        saturated=3,
        seconds=0.1,
    )
    return found, Reference(trace, np.array([4, 5, 6, 7, 8, 9]), 3)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("cost_S", lambda x: x + 1),
        ("winner", lambda x: (x + 1) % S),
        ("actions_HSA", lambda x: x + 1),
        ("path_HSD", lambda x: -x - 1),
        ("policy_messages_L", lambda x: x + 1),
        ("predictor_messages_L", lambda x: x + 1),
        ("value_messages_L", lambda x: x + 1),
        ("saturated", lambda x: x + 1),
    ],
)
def test_every_part_of_a_record_is_compared(field: str, change: Any) -> None:
    found, reference = recorded()
    assert differences(found, reference) == (S + 1 + S * H * (A + D) + 6 + 1, 0)
    wrong = replace(found, **{field: change(getattr(found, field))})
    assert differences(wrong, reference)[1] == np.size(getattr(found, field))


@pytest.mark.slow
def test_an_episode_with_places_to_keep_out_of_leaves_no_difference(tmp_path: Path) -> None:
    """Copies in pairs of a policy that is told of the places, with the cost-to-go at their end."""
    bundle, planner = load_bundle("keep-out"), GuidedConfig(samples=3, horizon=2, mirrored=True, to_go=0.15)
    row = guided_episodes(bundle=bundle, planner=planner, episodes=1, folder=tmp_path, layout="stepwise")
    assert row.values_different == 0 and row.plans == 32
    assert row.values_compared == 32 * (3 + 1 + 2 * 3 * (2 + 32) + 12 + 1)
    assert set(row.messages_per_pass) >= {"policy.code", "policy.out", "code", "out", "value.code", "value.out"}
    assert row.messages_per_pass["out"] == 32 and row.messages_per_pass["policy.out"] == 2
