"""Record real planning: what the planner fed to the dense predictor, for calibration, fine-tuning and replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeplan.conversion import Calibration
from spikeplan.core.counts.operations import VALUE_PREFIX, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig, RefinedConfig
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.snn.finetune_acting import Starts
from spikeplan.snn.finetune_delta import Judge, Rollouts
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.cem import CEMPlanner, PlanTrace
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, goals_of, run_episodes
from spikeplan.worldmodel.planning.costs import Cost, Goal, LatentDistance
from spikeplan.worldmodel.planning.guided import GuidedPlanner, GuidedTrace
from spikeplan.worldmodel.planning.refined import RefinedPlanner, RefinedTrace, refined_settings
from spikeplan.worldmodel.planning.rollout import counting, rollout
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.policies.base import GoalPolicy, Pairs
from spikeplan.worldmodel.policies.networks import DensePolicy, told_to
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor, Predictor
from spikeplan.worldmodel.tasks import make_world, task_of

RECORD_SEED = 5_000_000  # episodes for calibration and fine-tuning; never reported, never validated on


class Recorded(NamedTuple):
    """Refined planning: what each part of it asked of the dense predictor, the policy's copies last, and where it started."""

    rollouts: list[Rollouts]
    starts: Starts


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
        return calibration_of([self.rollouts()], limit)


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


def record_refined(
    model: WorldModel,
    policy: GoalPolicy,
    task: str,
    *,
    episodes: int,
    seed: int,
    every: int = 3,
    config: RefinedConfig | None = None,
    value: GoalPolicy | None = None,
    judged_by: str | None = None,
) -> Recorded:
    """What refined planning asks of the dense predictor: CEM's candidates, and a policy's copies acting in the model.

    Each set of records judges a future as the planner does.

    Args:
        task: the model's own, or one that its model is used for.
        config: of the planner; as `refined_settings` where not given. Recorded a little farther than it plans, so that a network
            is right to the end.
        value: the policy's cost-to-go, where the planner has one.
        judged_by: the cost, by name, that copies are judged by in fine-tuning; None: the planner's own.

    Raises UserError for a task that the model was not made for.
    """
    world = make_world(task)
    if model.task not in (task, task_of(task).trained_on):
        raise UserError(f"task {task}: its world model is of {task_of(task).trained_on or task}, not of {model.task}")
    latent_of, own = ImageLatent(world, model.encoder), config or refined_settings(model.planner)
    config = replace(own, horizon=own.horizon + 2)
    cost = task_cost(world, latent_of, config)
    to_go = None if value is None else DensePolicy(value, VALUE_PREFIX)
    pair = Pair(DensePredictor(model.predictor), DensePolicy(policy), to_go)
    planner = RefinedPlanner(pair, config, action_dim=world.action_dim, action_limit=world.action_limit, evaluator=cost)
    drawn = world.sample(episodes, np.random.default_rng(seed))
    wanted = goals_of(world, latent_of, drawn.goal_NP, drawn.layout_NL)
    kept: list[tuple[slice, Tensor, Tensor, RefinedTrace]] = []

    def keep(step: int, part: slice, latent: Tensor, goal: Tensor, trace: RefinedTrace) -> None:
        if step % every == 0:
            kept.append((part, latent, goal, trace))

    run_episodes(world, latent_of, planner, drawn, seed=seed, block=episodes, record=keep)
    places = [None if wanted.keep_out_BKD is None else wanted.keep_out_BKD[part] for part, *_ in kept]
    known = [place for place in places if place is not None]
    places_NKD = torch.cat(known) if known else None
    latent_ND, goal_ND = torch.cat([k[1] for k in kept]), torch.cat([k[2] for k in kept])
    named = cost if judged_by is None else task_cost(world, latent_of, config, judged_by)
    own_cost = LatentDistance.of(config) if named is None else named
    told_NG = Goal(goal_ND, places_NKD).told_BG(policy.places)
    starts = Starts(latent_ND, told_NG, judging(own_cost, goal_ND, places_NKD))
    judge = judging(planner.search.evaluator, goal_ND, places_NKD)
    searched: list[Rollouts] = []
    for i in range(config.iterations):
        futures = [(k[3].search.candidates_IBSHA[i], k[3].search.latents_IBSHD[i]) for k in kept]  # type: ignore[index]
        searched.append(_rollouts(latent_ND, goal_ND, futures, judge))
    copies = [(k[3].guided.actions_BSHA, k[3].guided.latents_BSHD) for k in kept]
    return Recorded([*searched, _rollouts(latent_ND, goal_ND, copies, judge)], starts)


def record_guided(
    model: WorldModel,
    policy: GoalPolicy,
    *,
    episodes: int,
    seed: int,
    config: GuidedConfig,
    every: int = 3,
    task: str | None = None,
) -> Pairs:
    """What guided planning asks of the policy, observed and imagined, with the dense policy's answers.

    Copies stray from one another as `config` says, so states beside the policy's own way are among them. `task`: another than the
    model's own, that it is used for.
    """
    world = make_world(task or model.task)
    latent_of, dense = ImageLatent(world, model.encoder), DensePolicy(policy)
    planner = GuidedPlanner(
        Pair(DensePredictor(model.predictor), dense),
        config,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        evaluator=task_cost(world, latent_of, config),
    )
    drawn = world.sample(episodes, np.random.default_rng(seed))
    told_BG = told_to(dense, goals_of(world, latent_of, drawn.goal_NP, drawn.layout_NL))
    kept: list[tuple[Tensor, Tensor]] = []

    def keep(step: int, part: slice, latent: Tensor, goal: Tensor, trace: GuidedTrace) -> None:
        if step % every == 0:
            asked = torch.cat([latent[:, None], trace.latents_BSHD[:, :, :-1].flatten(1, 2)], 1)
            kept.append((asked.flatten(0, 1), told_BG[part].repeat_interleave(asked.shape[1], 0)))

    run_episodes(world, latent_of, planner, drawn, seed=seed, record=keep)
    latent_ND, told_NG = (torch.cat(column) for column in zip(*kept, strict=True))
    with torch.no_grad():
        return Pairs(latent_ND, told_NG, policy(latent_ND, told_NG))


def _rollouts(latent_ND: Tensor, goal_ND: Tensor, futures: Sequence[tuple[Tensor, Tensor]], judge: Judge) -> Rollouts:
    return Rollouts(latent_ND, goal_ND, torch.cat([a for a, _ in futures]), torch.cat([z for _, z in futures]), judge)


def judging(cost: Cost, goal_ND: Tensor, places_NKD: Tensor | None) -> Judge:
    """A cost as fine-tuning asks for it: of the futures of some records."""

    def judge(records: Tensor, latents_BSHD: Tensor, actions_BSHA: Tensor) -> Tensor:
        places = None if places_NKD is None else places_NKD[records]
        return cost.cost(latents_BSHD, actions_BSHA, Goal(goal_ND[records], places))

    return judge


def calibration_of(sets: Sequence[Rollouts], limit: int = 40_000) -> Calibration:
    """Pairs (latent, action) that the predictor saw in all of them, thinned evenly."""
    pairs = []
    for one in sets:
        before = torch.cat(
            [
                one.latent_ND[:, None, None].expand(-1, one.latents_NSHD.shape[1], 1, -1),
                one.latents_NSHD[:, :, :-1],
            ],
            2,
        )
        pairs.append((before.flatten(0, 2), one.candidates_NSHA.flatten(0, 2)))
    latent, action = (torch.cat(column) for column in zip(*pairs, strict=True))
    stride = max(1, len(latent) // limit)
    return Calibration(latent[::stride].contiguous(), action[::stride].contiguous())


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
