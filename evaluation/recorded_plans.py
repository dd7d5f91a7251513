"""Record real planning: what the planner fed to the dense predictor, for calibration, fine-tuning and replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.conversion import Calibration
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.snn.finetune_delta import Rollouts
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.cem import CEMPlanner, PlanTrace
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.rollout import counting, rollout
from spikeplan.worldmodel.predictor import DensePredictor, Predictor
from spikeplan.worldmodel.tasks import make_world

RECORD_SEED = 5_000_000  # episodes for calibration and fine-tuning; never reported, never validated on


@dataclass(frozen=True)
class Plans:
    """N recorded plans: latents, goals, and per iteration candidates, latents and costs of the dense teacher."""

    latent_ND: Tensor
    goal_ND: Tensor
    candidates_NISHA: Tensor
    latents_NISHD: Tensor
    cost_NIS: Tensor

    def rollouts(self) -> Rollouts:
        """Every iteration as a record of its own."""
        i = self.candidates_NISHA.shape[1]
        return Rollouts(
            self.latent_ND.repeat_interleave(i, 0),
            self.goal_ND.repeat_interleave(i, 0),
            self.candidates_NISHA.flatten(0, 1),
            self.latents_NISHD.flatten(0, 1),
        )

    def thin(self, stride: int) -> Plans:
        """Every `stride`-th plan."""
        return Plans(
            self.latent_ND[::stride],
            self.goal_ND[::stride],
            self.candidates_NISHA[::stride],
            self.latents_NISHD[::stride],
            self.cost_NIS[::stride],
        )

    def calibration(self, limit: int = 40_000) -> Calibration:
        """Pairs (latent, action) that the predictor saw, thinned evenly."""
        before = torch.cat(
            [
                self.latent_ND[:, None, None, None].expand(-1, *self.latents_NISHD.shape[1:3], -1, -1),
                self.latents_NISHD[:, :, :, :-1],
            ],
            3,
        )
        latent, action = before.flatten(0, 3), self.candidates_NISHA.flatten(0, 3)
        stride = max(1, len(latent) // limit)
        return Calibration(latent[::stride].contiguous(), action[::stride].contiguous())


def record_plans(
    model: WorldModel, *, episodes: int, seed: int, every: int = 3, on_progress: OnProgress = no_progress
) -> Plans:
    """Plan `episodes` with the dense predictor and keep every `every`-th control step. Progress is in actions."""
    world = make_world(model.task)
    planner = CEMPlanner(
        DensePredictor(model.predictor), model.planner, action_dim=world.action_dim, action_limit=world.action_limit
    )
    kept: list[tuple[Tensor, Tensor, PlanTrace]] = []
    done = 0

    def keep(step: int, part: slice, latent: Tensor, goal: Tensor, trace: PlanTrace) -> None:
        if step % every == 0:
            kept.append((latent, goal, trace))

    def acted(actions: int) -> None:
        nonlocal done
        done += actions
        on_progress(done, episodes * world.max_steps)

    run_episodes(
        world,
        ImageLatent(world, model.encoder),
        planner,
        world.sample(episodes, np.random.default_rng(seed)),
        seed=seed,
        block=episodes,
        progress=acted,
        record=keep,
    )
    return Plans(
        torch.cat([k[0] for k in kept]),
        torch.cat([k[1] for k in kept]),
        torch.cat([k[2].candidates_IBSHA.transpose(0, 1) for k in kept]),  # type: ignore[union-attr]
        torch.cat([k[2].latents_IBSHD.transpose(0, 1) for k in kept]),  # type: ignore[union-attr]
        torch.cat([k[2].cost_IBS.transpose(0, 1) for k in kept]),
    )


@torch.no_grad()
def rerun(predictor: Predictor, plans: Plans, reference: str, op_counts: OperationCounts, *, block: int = 16) -> Tensor:
    """The method's latents (N, I, S, H, D) for the recorded candidates."""
    n, iterations, _, _, _ = plans.candidates_NISHA.shape
    latents = torch.empty_like(plans.latents_NISHD)
    for first in range(0, n, block):
        part = slice(first, first + block)
        state: Any = None
        for i in range(iterations):
            candidates = plans.candidates_NISHA[part, i]
            latents[part, i], state = rollout(
                predictor,
                plans.latent_ND[part],
                candidates,
                reference=reference,
                previous=state,
                on_step=counting(op_counts, i),
            )
        op_counts.actions += len(plans.latent_ND[part])
    return latents
