"""The choice of thresholds: cheapest first, paired, block by block, never by luck of a short look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeplan.evaluation.threshold_search import Choice, walk

CHOICE = Choice(episodes=200, block=50, allowed_loss=0.01)
DENSE = (np.arange(200) % 10 > 0).astype(float)  # .90


def candidates(*costs: float) -> list[dict[str, Any]]:
    return [{"reference": "zero", "factor": factor, "equivalents": cost} for factor, cost in enumerate(costs)]


def walked(losses: dict[int, float], *costs: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Candidates by number lose that share of the episodes that dense solves, spread evenly."""
    spread = np.random.default_rng(0).permutation(200)

    def success_of(candidate: dict[str, Any], part: slice) -> np.ndarray:
        lost = spread < losses[candidate["factor"]] * 200
        return np.where(lost, 0.0, DENSE)[part]

    return walk(success_of, candidates(*costs), DENSE, CHOICE, lambda row: None)


def test_the_cheapest_that_loses_nothing_is_taken_and_dearer_ones_are_not_run() -> None:
    tried, chosen = walked({0: 0.0, 1: 0.0, 2: 0.5}, 0.3, 0.2, 0.1)
    assert [row["factor"] for row in tried] == [2, 1]
    assert chosen["factor"] == 1 and chosen["episodes"] == 200 and sum(chosen["against_dense"]) == 0


def test_a_hopeless_candidate_costs_one_block() -> None:
    tried, _ = walked({0: 0.0, 1: 0.8}, 0.3, 0.1)
    assert tried[0]["episodes"] == 50 and tried[0]["against_dense"][1] < -CHOICE.allowed_loss


def test_a_loss_that_one_block_cannot_show_is_found_on_all_episodes() -> None:
    tried, chosen = walked({0: 0.0, 1: 0.04}, 0.3, 0.1)
    assert tried[0]["episodes"] > 50 and chosen["factor"] == 0


def test_when_all_lose_the_nearest_is_taken() -> None:
    tried, chosen = walked({0: 0.3, 1: 0.1, 2: 0.6}, 0.3, 0.2, 0.1)
    assert len(tried) == 3 and chosen["factor"] == 1


@pytest.mark.parametrize("episodes", [60, 110])
def test_the_last_block_may_be_short(episodes: int) -> None:
    looked = []

    def success_of(candidate: dict[str, Any], part: slice) -> np.ndarray:
        looked.append(part)
        return DENSE[part]

    choice = Choice(episodes=episodes, block=50)
    tried, _ = walk(success_of, candidates(0.1), DENSE[:episodes], choice, lambda row: None)
    assert tried[0]["episodes"] == episodes and looked[-1].stop == episodes
