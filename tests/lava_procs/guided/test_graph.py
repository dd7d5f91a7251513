"""The guided planner in Lava equals plain numbers in everything it computes, plan after plan, in both layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.prices import Priced
from spikeplan.core.registry import load_plugins
from spikeplan.lava_procs import LavaError
from spikeplan.lava_procs.guided.session import GuidedRecord, GuidedSession

TOP = 2**23 - 1
START_S = 300  # no limit that a busy machine meets
MINE = """
import numpy as np
from spikeplan.core.prices import PriceKind

class Effort:
    most = 2**23 - 1
    def __init__(self, scale):
        self.scale = scale
    def step(self, z_SD, action_SA, goal):
        return self.scale * np.abs(action_SA).sum(1) + np.abs(z_SD - goal.goal_D).max(1) + len(goal.places_KD)

PRICE = PriceKind(name="mine", make=Effort)
"""


def same(found: GuidedRecord, action: np.ndarray, plain: Any) -> None:
    assert (found.actions_HSA == plain.actions).all()
    assert (found.path_HSD == plain.path).all()
    assert found.cost_S.tolist() == plain.cost
    assert found.winner == plain.winner
    assert (action == plain.actions[0, plain.winner]).all()
    assert found.policy_messages_L.tolist() == plain.policy_messages
    assert found.predictor_messages_L.tolist() == plain.predictor_messages
    assert found.value_messages_L.tolist() == plain.value_messages
    assert found.saturated == plain.saturated


@pytest.mark.parametrize(
    ("layout", "reference", "places"),
    [("fused", "zero", 2), ("fused", "previous_step", 0), ("stepwise", "previous_step", 2), ("stepwise", "zero", 0)],
)
def test_every_number_of_every_plan_equals_plain_numbers(
    layout: str,
    reference: str,
    places: int,
    files: tuple[Path, Path],
    params: Callable[..., GuidedParams],
    plain_plan: Callable[..., Any],
    tmp_path: Path,
) -> None:
    p = params() if places else params(places=0, prices=(Priced(name="distance", weight=2),))
    rng = np.random.default_rng(3)
    winners, records = set(), []
    with GuidedSession.open(
        *files, p, timeout_s=START_S, workdir=tmp_path, reference=reference, layout=layout
    ) as session:
        z, goal = np.array([TOP, -TOP, TOP - 3, 0]), np.array([-TOP, TOP, -TOP, 5])
        keep_out = np.full((places, 4), -TOP)
        action, clipped = session.plan(z, goal, keep_out, 5)
        full = plain_plan(p, z, goal, keep_out, 5, reference=reference)
        same(clipped, action, full)
        for number in range(4):
            z, goal = rng.integers(-1500, 1500, 4), rng.integers(-1500, 1500, 4)
            keep_out = z + rng.integers(-900, 900, (places, 4))
            seed = int(rng.integers(1 << 24))
            action, found = session.plan(z, goal, keep_out, seed)
            plain = plain_plan(p, z, goal, keep_out, seed, reference=reference)
            same(found, action, plain)
            winners.add(found.winner)
            records.append((found, plain))
            assert (found.policy_messages_L > 0).all() and (found.predictor_messages_L > 0).all(), number
    assert len(winners) > 1
    assert any(plain.action_clips > 0 for _, plain in records), "the action's limit is met"
    assert any(plain.action_clips < p.samples * p.horizon * 2 for _, plain in records), "and not always"
    assert full.cost == [TOP] * p.samples and clipped.winner == 0, "equals: the least number"
    assert clipped.saturated > max(record.saturated for record, _ in records)


@pytest.mark.parametrize(("layout", "reference"), [("fused", "zero"), ("fused", "previous_step"), ("stepwise", "zero")])
def test_a_cost_to_go_is_charged_once_at_the_end(
    layout: str,
    reference: str,
    files: tuple[Path, Path],
    value_file: Path,
    params: Callable[..., GuidedParams],
    plain_plan: Callable[..., Any],
    tmp_path: Path,
) -> None:
    """Beside copies that stray in pairs. It turns a winner, it goes below zero, and its limit is met."""
    rng, limit = np.random.default_rng(7), 3000
    far: dict[str, Any] = {"mirrored": True, "limit": 2000, "spread": (3000, 2000, 1500, 1000)}
    p = params(**far, to_go_weight=90, to_go_shift=2, to_go_limit=limit)
    opened = {"value_path": value_file, "timeout_s": START_S, "workdir": tmp_path}
    turned = 0
    with GuidedSession.open(*files, p, **opened, reference=reference, layout=layout) as session:
        for seed in range(12):
            z, goal = rng.integers(-1500, 1500, 4), rng.integers(-1500, 1500, 4)
            keep_out = z + rng.integers(-900, 900, (2, 4))
            action, found = session.plan(z, goal, keep_out, seed)
            same(found, action, plain_plan(p, z, goal, keep_out, seed, reference=reference))
            without = plain_plan(params(**far), z, goal, keep_out, seed, reference=reference)
            added = found.cost_S - np.array(without.cost)
            assert (np.abs(added) <= 90 * (limit // 4)).all() and added.any()
            turned += found.winner != without.winner
    assert turned, "it decides"


@pytest.mark.parametrize("layout", ["fused", "stepwise"])
def test_a_policy_that_is_told_of_places_hears_their_mean_and_prices_do_not(
    layout: str,
    told_files: tuple[Path, Path],
    params: Callable[..., GuidedParams],
    plain_plan: Callable[..., Any],
    tmp_path: Path,
) -> None:
    p, rng = params(told=2), np.random.default_rng(6)
    with GuidedSession.open(*told_files, p, timeout_s=START_S, workdir=tmp_path, layout=layout) as session:
        z, goal, mean = rng.integers(-1500, 1500, (3, 4))
        keep_out = z + rng.integers(-900, 900, (2, 4))
        action, found = session.plan(z, np.concatenate([goal, mean]), keep_out, 9)
        same(found, action, plain_plan(p, z, goal, keep_out, 9, mean=mean))
        _, other = session.plan(z, np.concatenate([goal, mean + 700]), keep_out, 9)
        assert (other.actions_HSA != found.actions_HSA).any(), "it listens"


@pytest.mark.parametrize("layout", ["fused", "stepwise"])
def test_a_users_own_price_is_asked(
    layout: str,
    files: tuple[Path, Path],
    params: Callable[..., GuidedParams],
    plain_plan: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    load_plugins([str(tmp_path / "mine.py")])
    p = params(prices=(Priced(name="mine", weight=1, settings={"scale": 7}), Priced(name="distance")))

    def mine(z: list[int], a: list[int], goal: np.ndarray, places: np.ndarray) -> int:
        farthest = max(abs(x - int(g)) for x, g in zip(z, goal, strict=True))
        return 7 * sum(abs(x) for x in a) + farthest + len(places)

    rng = np.random.default_rng(4)
    with GuidedSession.open(*files, p, timeout_s=START_S, workdir=tmp_path / "run", layout=layout) as session:
        z, goal, keep_out = rng.integers(-900, 900, 4), rng.integers(-900, 900, 4), rng.integers(-900, 900, (2, 4))
        for seed in (1, 2):
            action, found = session.plan(z, goal, keep_out, seed)
            same(found, action, plain_plan(p, z, goal, keep_out, seed, price=mine))


def test_a_users_price_that_fails_ends_the_session_and_is_named(
    files: tuple[Path, Path], params: Callable[..., GuidedParams], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE.replace("return self.scale", "return -self.scale"))
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    load_plugins([str(tmp_path / "mine.py")])
    p = params(prices=(Priced(name="mine", settings={"scale": 9000}),))
    zero = np.zeros(4, np.int64)
    with GuidedSession.open(*files, p, timeout_s=START_S, workdir=tmp_path / "run") as session:
        with pytest.raises(LavaError, match="price mine: step returned"):
            session.plan(zero, zero, np.zeros((2, 4), np.int64), 1)
        assert session.closed
