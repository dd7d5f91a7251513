"""What is derived from a world model: sigma-delta artifact, LIF networks, narrow and pruned predictors. One function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from spikeplan.conversion import Calibration
from spikeplan.conversion.calibration import chain_of, measure_ranges
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.methods.smaller import PERCENT, WIDTHS
from spikeplan.evaluation.network_files import LIF, POLICY_LIF
from spikeplan.evaluation.recorded_plans import Plans, calibration_of
from spikeplan.evaluation.threshold_search import Choice
from spikeplan.evaluation.training.sigma_delta import fine_tuned_alone
from spikeplan.snn.finetune_delta import DeltaTraining, Rollouts
from spikeplan.snn.lif import LIFConfig, LIFNetwork, LIFTraining, finetune_lif
from spikeplan.snn.lif_policy import LIFPolicyTraining, finetune_lif_policy
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.distil import Distillation, Records, distil
from spikeplan.worldmodel.policies import GoalPolicy, PolicyConfig
from spikeplan.worldmodel.policies.base import Pairs
from spikeplan.worldmodel.policies.cost_to_go import CostToGoConfig
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.prune import prune, zeros_kept

Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class DeriveConfig:
    """How the derived networks are made and how many validation episodes LIF and narrow networks are measured on."""

    record_episodes: int = 32
    delta: DeltaTraining = field(default_factory=lambda: DeltaTraining(steps=2500, rate_weight=1.5))
    guided_episodes: int = 256  # of each other task that the world model is used for
    # Tried on keep-out at half the budget: rates of 0.8, 1 and 2 are a tenth cheaper and 3 to 10 points worse; a quarter of the
    # episodes and half of the steps are 1 to 4 points worse.
    guided: DeltaTraining = field(default_factory=lambda: DeltaTraining(steps=4000, rate_weight=0.4))
    # Of a predictor together with a policy that is the task's own.
    acting: DeltaTraining = field(default_factory=lambda: DeltaTraining(steps=4000, rate_weight=0.4))
    guided_widths: tuple[int, ...] = (64, 96, 128)
    guided_distillation: Distillation = field(default_factory=lambda: Distillation(steps=8000))
    lif: LIFConfig = field(default_factory=LIFConfig)
    lif_training: LIFTraining = field(default_factory=LIFTraining)
    guided_lif: LIFTraining = field(default_factory=lambda: LIFTraining(steps=3000))
    narrow_widths: tuple[int, ...] = tuple(WIDTHS)
    pruned_percent: tuple[int, ...] = tuple(PERCENT)
    distillation: Distillation = field(default_factory=Distillation)
    pruning: Distillation = field(default_factory=Distillation)
    choice: Choice = field(default_factory=Choice)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    policy_recipe: str = "cloned"  # relabelled was tried: a cold plan is a worse teacher (TwoRoom .89 against .94)
    policy_plans: GuidedConfig = field(default_factory=GuidedConfig)
    policy_episodes: int = 200  # planned so, for what the LIF policy is fitted to
    # Of 1000 validation episodes of TwoRoom the policy alone solves .920 dense, and .906, .924, .924, .918, .924 with 1, 2, 3,
    # 4 and 8 time steps; of PlanarReach 1.000, and .972, .988, .994 with 2, 4 and 8. Each step costs as much again.
    policy_spikes: LIFConfig = field(default_factory=lambda: LIFConfig(time_steps=2))
    policy_training: LIFPolicyTraining = field(default_factory=LIFPolicyTraining)
    cost_to_go: CostToGoConfig = field(default_factory=CostToGoConfig)
    # Of each other task that the world model is used for, told of its places. Tried on keep-out, 600 other episodes, 8 copies:
    # one 128 wide is as good (.92), one not told .89; its own states, relabelled by its teacher, change nothing (.93).
    told: PolicyConfig = field(default_factory=lambda: PolicyConfig(hidden=(64, 64), steps=8000))
    validation_episodes: int = 100

    def __post_init__(self) -> None:
        for name, part in (("policy", self.policy), ("told", self.told), ("cost-to-go", self.cost_to_go)):
            if len(part.hidden) != 2:
                raise UserError(f"{name}: hidden {part.hidden}: its LIF form has exactly 2 hidden layers")

    @property
    def policy_lif(self) -> str:
        """All that decides the LIF form of a policy, as a file's header keeps it."""
        return f"{self.policy_plans}, {self.policy_episodes}, {self.policy_spikes}, {self.policy_training}"


def make_delta(
    model: WorldModel,
    source: ResidualPredictor,
    data: Sequence[Rollouts],
    training: DeltaTraining,
    config: DeriveConfig,
    report: Report,
    *,
    name: str,
    task: str,
) -> tuple[Artifact, dict[str, Any]]:
    """Fine-tune `source` on the dense teacher's plans, convert with the learned thresholds, measure the layers.

    `data`: records of planning `task`; `name`: what is reported.
    """
    artifact, layers = fine_tuned_alone(
        source,
        data,
        calibration_of(data),
        training,
        task=task,
        seed=model.seed,
        report=lambda row: report(name, {**row, "total_steps": training.steps}),
    )
    return artifact, layers.as_dict()


def make_lif(
    model: WorldModel,
    calibration: Calibration,
    paths: tuple[Tensor, Tensor],
    config: DeriveConfig,
    report: Report,
    *,
    name: str = LIF,
) -> LIFNetwork:
    """Initialised from the dense weights, fine-tuned with surrogate gradients on the dense teacher's paths."""
    _, _, outputs = measure_ranges(chain_of(model.predictor), calibration)
    net = LIFNetwork.from_dense(model.predictor.linears(), [r.top for r in outputs[:-1]], config.lif)
    latents, actions = paths
    finetune_lif(
        net,
        latents,
        actions,
        config.lif_training,
        generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report(name, {**row, "total_steps": config.lif_training.steps}),
    )
    return net


def make_policy_lif(
    model: WorldModel,
    policy: GoalPolicy,
    asked: Pairs,
    config: DeriveConfig,
    report: Report,
    *,
    name: str = POLICY_LIF,
) -> LIFNetwork:
    """Initialised from the weights of a dense policy or cost-to-go, fine-tuned to its answers on what is asked of it."""
    # In place of predictor inputs [z, a]: the policy's are [z, told].
    _, _, outputs = measure_ranges(policy.linears(), Calibration(asked.latent_ND, asked.told_NG))
    net = LIFNetwork.from_dense(policy.linears(), [r.top for r in outputs[:-1]], config.policy_spikes)
    finetune_lif_policy(
        net,
        asked.latent_ND,
        asked.told_NG,
        asked.action_NA / policy.action_limit,
        config.policy_training,
        generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report(name, {**row, "total_steps": config.policy_training.steps}),
    )
    return net


def paths_of(records: Rollouts, samples: int = 16) -> tuple[Tensor, Tensor]:
    """Recorded rollouts as paths: latents (N, H+1, D) with the start in front, actions (N, H, A)."""
    latents = records.latents_NSHD[:, :samples].flatten(0, 1)
    start = records.latent_ND.repeat_interleave(len(latents) // len(records.latent_ND), 0)
    return torch.cat([start[:, None], latents], 1), records.candidates_NSHA[:, :samples].flatten(0, 1)


def make_narrow(model: WorldModel, plans: Plans, width: int, config: DeriveConfig, report: Report) -> ResidualPredictor:
    """The teacher distilled into two hidden layers of `width`."""
    return narrowed(model, [plans.rollouts()], width, config.distillation, report, name=f"narrow-{width}")


def narrowed(
    model: WorldModel, data: Sequence[Records], width: int, distillation: Distillation, report: Report, *, name: str
) -> ResidualPredictor:
    """The same from any sets of records."""
    torch.manual_seed(model.seed)
    total = distillation.short_steps + distillation.steps
    net = ResidualPredictor(model.predictor.latent_dim, model.predictor.action_dim, (width, width))
    distil(
        net,
        data,
        distillation,
        generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report(name, {**row, "total_steps": total}),
    )
    return net


def make_pruned(
    model: WorldModel, plans: Plans, percent: int, config: DeriveConfig, report: Report
) -> ResidualPredictor:
    """`percent` of the predictor's weights zero, the rest distilled from the whole network."""
    total = config.pruning.short_steps + config.pruning.steps
    net = prune(model.predictor, percent / 100)
    with zeros_kept(net):
        distil(
            net,
            [plans.rollouts()],
            config.pruning,
            generator=torch.Generator().manual_seed(model.seed),
            report=lambda row: report(f"pruned-{percent}", {**row, "total_steps": total}),
        )
    return net
