"""Episodes that a pair of networks plans, with everything counted: what several benchmarks measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.bundle import Bundle
from spikeplan.evaluation.shard import Job, make_op_counts
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.guided import GuidedPlanner
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import make_world


class _Perturbed(GuidedPlanner):
    """A guided planner whose copies stray by what is made of its draw."""

    def __init__(self, *args: Any, perturb: Callable[[Tensor], Tensor] | None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.perturb = perturb

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        drawn = super().noise(episodes, generator)
        return drawn if self.perturb is None else self.perturb(drawn)


def run(
    bundle: Bundle,
    pair: Pair,
    config: GuidedConfig,
    reference: str,
    episodes: int,
    seed: int,
    cost: str | None = None,
    *,
    perturb: Callable[[Tensor], Tensor] | None = None,
) -> Run:
    """Plans episodes and counts. `cost`: by name; None: the task's own. `perturb`: what copies stray by, given the planner's own
    draw (B, S, A)."""
    world = make_world(bundle.task)
    job = Job(
        task=bundle.task,
        method="guided-sigma_delta",
        role="bench",
        planner=config,
        episodes=episodes,
        count=episodes,
        reference=reference,
    )
    counts, latent_of = make_op_counts(job, pair), ImageLatent(world, bundle.model.encoder)
    planner = _Perturbed(
        pair,
        config,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        reference=reference,
        op_counts=counts,
        evaluator=task_cost(world, latent_of, config, cost),
        perturb=perturb,
    )
    with torch.no_grad():
        done = run_episodes(world, latent_of, planner, world.sample(episodes, np.random.default_rng(seed)), seed=seed)
    return Run(job, done.success_N[None].astype(float), counts, 0.0, None, pair.weights_left())
