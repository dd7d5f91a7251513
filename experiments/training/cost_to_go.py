"""TASK.cost-to-go.safetensors: what the policy in the same folder still has to pay, fitted to what refined planning imagines;
TASK.cost-to-go-lif.safetensors: its LIF form.

Its states are those of planning the model's own task: the ends of candidates and of the policy's copies, at every step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spikeplan.core.files import file_digest
from spikeplan.evaluation.bundle import POLICY, TO_GO
from spikeplan.evaluation.network_files import TO_GO_LIF, header, save_lif
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_refined
from spikeplan.experiments.training.derive import Report, make_policy_lif
from spikeplan.snn.finetune_delta import Rollouts
from spikeplan.worldmodel.policies.base import Pairs
from spikeplan.worldmodel.policies.cost_to_go import fit_cost_to_go
from spikeplan.worldmodel.policies.policy_file import TO_GO as RECIPE
from spikeplan.worldmodel.policies.policy_file import PolicyMeta, load_cost_to_go, made_so, save_policy

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage

EVERY = 8  # of the control steps, and of the states imagined in each


def to_go_stage(stage: Stage, report: Report) -> None:
    """Both forms. Not run again where the file was made from this policy with these settings."""
    file, config = stage.file(TO_GO), stage.config.cost_to_go
    source, binary = file_digest(stage.file(POLICY)), header(stage.file(TO_GO_LIF))
    stands = made_so(file, recipe=RECIPE, config=config, source_sha256=source)
    lif = f"{stage.config.policy_spikes}, {stage.config.policy_training}"
    if stands and binary.get("training") == lif and stage.stands(binary, TO_GO):
        return
    model, policy = stage.model, stage.policy
    records = record_refined(model, policy, model.task, episodes=config.episodes, seed=RECORD_SEED, every=EVERY)
    latent_ND, goal_ND = imagined_states(records.rollouts)
    if not stands:
        _fit(stage, latent_ND, goal_ND, source, report)
    value = load_cost_to_go(file, task=model.task, latent_dim=model.predictor.latent_dim)
    with torch.no_grad():
        answers = value(latent_ND, goal_ND)
    net = make_policy_lif(model, value, Pairs(latent_ND, goal_ND, answers), stage.config, report, name=TO_GO_LIF)
    save_lif(net, stage.file(TO_GO_LIF), kind=TO_GO_LIF, training=lif, **stage.made_with(TO_GO))


def _fit(stage: Stage, latent_ND: Tensor, goal_ND: Tensor, source: str, report: Report) -> None:
    model, policy, config = stage.model, stage.policy, stage.config.cost_to_go
    torch.manual_seed(model.seed)
    generator = torch.Generator().manual_seed(model.seed)
    value = fit_cost_to_go(model, policy, latent_ND, goal_ND, config, generator=generator, report=report)
    save_policy(
        value, stage.file(TO_GO), PolicyMeta(task=model.task, recipe=RECIPE, config=config, source_sha256=source)
    )


def imagined_states(records: list[Rollouts]) -> tuple[Tensor, Tensor]:
    """Every EVERY-th latent that was imagined, with the goal of its plan: (N, D) each."""
    latents, goals = [], []
    for one in records:
        flat = one.latents_NSHD.flatten(1, 2)[:, ::EVERY]
        latents.append(flat.flatten(0, 1))
        goals.append(one.goal_ND.repeat_interleave(flat.shape[1], 0))
    return torch.cat(latents), torch.cat(goals)
