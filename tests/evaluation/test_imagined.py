"""One episode with what the policy's copies imagined: poses beside the robot, and a film of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.imagined import imagined_episode
from spikeplan.evaluation.rows import EpisodeRow
from spikeplan.evaluation.shard import Job
from spikeplan.experiments.report.episode_gif import IMAGINED, PLACE, film, frames


@pytest.fixture(scope="module")
def row() -> EpisodeRow:
    planner = GuidedConfig(samples=3, horizon=4)
    return imagined_episode(Job(task="keep-out", method="guided", role="film", planner=planner, episodes=5, count=1))


def test_what_is_imagined_starts_beside_the_robot(row):
    poses, imagined = np.array(row.poses), np.array(row.imagined)
    assert imagined.shape == (32, 3, 4, 2) and len(row.winners or []) == 32
    assert set(row.winners or []) <= {0, 1, 2}
    gap = np.linalg.norm(imagined[:, :, 0] - poses[:-1, None], axis=-1)
    assert np.median(gap) < 0.2 < np.ptp(imagined[..., 0]), "one step away, in the world's own units"


def test_a_film_shows_places_and_futures(row):
    with_futures, without = frames(row), frames(replace(row, imagined=None, winners=None))
    assert (with_futures[:-1] != without[:-1]).any() and (with_futures[-1] == without[-1]).all()
    for colour, picture in ((PLACE, without), (IMAGINED, with_futures)):
        tint = 255 - colour  # how a picture on white leans towards a colour
        assert ((255.0 - picture[0]) @ tint / (np.linalg.norm(tint) * 255) > 0.3).any()
    assert film(row).animation.startswith("data:image/gif")


def test_a_damaged_row_has_no_picture(row):
    with pytest.raises(ValueError, match="imagined poses of shape"):
        frames(replace(row, imagined=(row.imagined or [])[:-1]))


def test_a_planner_without_a_policy_imagines_nothing():
    planner = CEMConfig(samples=4, iterations=1, elites=2, horizon=2)
    with pytest.raises(UserError, match="no policy imagines in it"):
        imagined_episode(Job(task="keep-out", method="dense", role="film", planner=planner, episodes=1, count=1))
