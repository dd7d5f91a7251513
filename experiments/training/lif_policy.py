"""The LIF form of a policy, of the world model's own or of another task's: `FILE-lif` beside the policy's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.network_files import POLICY_LIF, header, save_lif
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_guided
from spikeplan.experiments.training.derive import DeriveConfig, Report, make_policy_lif
from spikeplan.snn.lif_policy import LIFPolicy
from spikeplan.worldmodel.policies.training import policy_success

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


def lif_policy_stage(stage: Stage, task: str, source: str, config: DeriveConfig, report: Report) -> None:
    """Fine-tuned on what `config.policy_plans` asks of the policy in `task`; not run again where the file was made so from it.

    `source`: name of the policy's file.
    """
    file = stage.file(f"{source}-lif")
    known = header(file)
    if known.get("training") == config.policy_lif and stage.stands(known, source):
        return
    policy, plans = load_bundle(task, checkpoint=str(stage.checkpoint)).policy(), config.policy_plans
    asked = record_guided(
        stage.model, policy, episodes=config.policy_episodes, seed=RECORD_SEED, config=plans, task=task
    )
    net = make_policy_lif(stage.model, policy, asked, config, report)
    spiking = LIFPolicy(net, action_limit=policy.action_limit, places=policy.places)
    success = float(policy_success(stage.model, spiking, config.validation_episodes, task).mean())
    made = {**stage.made_with(source), "task": task, "training": config.policy_lif, "validation_success": success}
    save_lif(net, file, kind=POLICY_LIF, places=policy.places, **made)
