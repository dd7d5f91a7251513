"""The closed loop: a robot that follows the leader through the frozen world model, whatever the estimate it is given.

    z_robot = body(joints)   z_goal = a method's latent of the leader at t_j   CEM on the frozen predictor   t_j = 0.1 s apart

At t_j the robot plans towards where the leader is said to be, and is there at t_(j+1): the measured distance is that of
the robot at t_(j+1) to the leader at t_j, so that a perfect estimate followed perfectly gives zero. The distance to the
leader at t_(j+1), which holds the robot's own lag of one control step, is written down beside it.
Planner, start, noise and the body's latent are the same for every method.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeplan.core.planning import CEMConfig
from spikeplan.fusion.maps import joints_of
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import step_generator
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor
from spikeplan.worldmodel.tasks.world import World

WARM_TICKS = 30  # the estimators listen for 0.3 s before the robot starts
CONTROL_TICKS = 10
CONTROL_STEPS = 20
PLANNER = CEMConfig(samples=32, iterations=5, elites=6, horizon=1)  # nothing is gained by looking further: see docs
Floats = NDArray[np.float64]


class Followed(NamedTuple):
    """Distance to the leader at the time of planning, and at the time of arrival. (N, J)"""

    distance_NJ: Floats
    late_NJ: Floats


def control_ticks() -> NDArray[np.int64]:
    return WARM_TICKS + CONTROL_TICKS * np.arange(CONTROL_STEPS)


@torch.no_grad()
def follow(
    world: World,
    predictor: ResidualPredictor,
    body: nn.Module,
    goal_NJD: Tensor,
    leader_NKP: Floats,
    start_NP: Floats,
    *,
    seed: list[int],
    planner: CEMConfig = PLANNER,
    block: int = 25,
) -> Followed:
    cem = CEMPlanner(DensePredictor(predictor), planner, action_dim=world.action_dim, action_limit=world.action_limit)
    n, ticks = len(start_NP), control_ticks()
    key = int(np.random.SeedSequence(seed).generate_state(1)[0])
    noise = [cem.noise(n, step_generator(key, j)) for j in range(CONTROL_STEPS)]
    distance, late = np.zeros((n, CONTROL_STEPS)), np.zeros((n, CONTROL_STEPS))
    for first in range(0, n, block):
        part = slice(first, first + block)
        pose, warm = start_NP[part].copy(), None
        for j, now in enumerate(ticks):
            z = body(joints_of(world, pose))
            action, mean, _ = cem.plan(z, goal_NJD[part, j], noise[j][part], warm)
            warm = cem.shift(mean)
            pose = world.move(pose, action.numpy().astype(np.float64), np.zeros((len(pose), 0)))
            distance[part, j] = world.distance(pose, leader_NKP[part, now])
            late[part, j] = world.distance(pose, leader_NKP[part, now + CONTROL_TICKS])
    return Followed(distance, late)
