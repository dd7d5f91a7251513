"""OTHER/TASK.policy.safetensors: a policy for planning OTHER with TASK's world model, told what OTHER's planner is told;
OTHER/TASK.policy-lif.safetensors: its LIF form.

It is cloned from OTHER's teacher, a planner that searches with the plain policy and its cost-to-go, on episodes that are never
reported. It stands in two places: alone, as the amortised opponent that has seen such places in training, and in guided planning,
where a few of its copies do what the teacher needs hundreds of candidates for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from spikeplan.core.counts.operations import VALUE_PREFIX
from spikeplan.core.files import file_digest
from spikeplan.core.guided_planning import GuidedConfig, RefinedConfig
from spikeplan.evaluation.bundle import POLICY, TO_GO
from spikeplan.evaluation.recorded_plans import RECORD_SEED
from spikeplan.experiments.training.derive import Report
from spikeplan.experiments.training.lif_policy import lif_policy_stage
from spikeplan.worldmodel.planning.closed_loop import ImageLatent
from spikeplan.worldmodel.planning.refined import RefinedPlanner
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.policies import GoalPolicy
from spikeplan.worldmodel.policies.cloned import demonstrated
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.policies.policy_file import PolicyMeta, load_cost_to_go, made_so, save_policy
from spikeplan.worldmodel.policies.training import fit, policy_success
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.tasks import make_world, task_of

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


def told_stage(stage: Stage, task: str, report: Report) -> None:
    """Both, where the task has a teacher."""
    teacher = task_of(task).teacher
    if teacher is not None:
        _policy(stage, task, teacher, report)
        planner, config = task_of(task).dearest, stage.config
        if isinstance(planner, GuidedConfig):
            config = replace(config, policy_plans=planner.at(to_go=0.0))  # records are made without a cost-to-go
        lif_policy_stage(stage, task, f"{task}/{POLICY}", config, report)


def _policy(stage: Stage, task: str, teacher: RefinedConfig, report: Report) -> None:
    """Not run again where the file was made from this policy, cost-to-go and teacher with these settings."""
    model, name = stage.model, f"{task}/{POLICY}"
    file, config = stage.file(name), replace(stage.config.told, seed=model.seed)
    recipe = f"cloned from {teacher}"
    source = file_digest(stage.file(TO_GO))  # which was made from the policy, and that from the world model
    if made_so(file, recipe=recipe, config=config, source_sha256=source):
        return
    world = make_world(task)
    latent_of = ImageLatent(world, model.encoder)
    value = load_cost_to_go(stage.file(TO_GO), task=model.task, latent_dim=model.predictor.latent_dim)
    planner = RefinedPlanner(
        Pair(DensePredictor(model.predictor), DensePolicy(stage.policy), DensePolicy(value, VALUE_PREFIX)),
        teacher,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        evaluator=task_cost(world, latent_of, teacher),
    )
    drawn = world.sample(config.episodes, np.random.default_rng([RECORD_SEED, model.seed]))
    pairs = demonstrated(world, latent_of, planner, drawn, seed=model.seed, report=report, stage=f"{name} data")
    torch.manual_seed(model.seed)
    policy = GoalPolicy(
        model.predictor.latent_dim,
        world.action_dim,
        action_limit=world.action_limit,
        hidden=config.hidden,
        places=pairs.told_NG.shape[1] > model.predictor.latent_dim,
    )
    fit(policy, pairs, config, generator=torch.Generator().manual_seed(model.seed), report=report, stage=name)
    success = float(policy_success(model, DensePolicy(policy), stage.config.validation_episodes, task).mean())
    save_policy(
        policy,
        file,
        PolicyMeta(task=task, recipe=recipe, config=config, source_sha256=source, validation_success=success),
    )
