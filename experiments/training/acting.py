"""OTHER/TASK.delta[-W], .policy-delta[-W], .cost-to-go-delta[-W]: the sigma-delta forms of a predictor, of the policy that acts
in it and of its cost-to-go, fine-tuned together and in one set of integers.

The policy's and the cost-to-go's files say which predictor they were made with; they are of no use beside another one.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX
from spikeplan.core.files import file_digest
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.bundle import BESIDE, POLICY, TO_GO, load_bundle
from spikeplan.evaluation.methods.policy import told_anything
from spikeplan.evaluation.recorded_plans import Recorded, calibration_of
from spikeplan.experiments.training.derive import Report
from spikeplan.snn.delta_chain import DeltaChain, SendingChain
from spikeplan.snn.finetune_acting import ActingChains, ActingTraining, Teachers, finetune_acting
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.predictor import ResidualPredictor

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


def acting_stage(
    stage: Stage, source: ResidualPredictor, recorded: Recorded, training: ActingTraining, report: Report, **made: Any
) -> None:
    """Fine-tunes, converts and saves all three. `made`: task, name and size ("" or "-W") of the files, what the predictor is
    derived from and what its header says beside."""
    task, name, size, of, header = (made[key] for key in ("task", "name", "size", "of", "header"))
    bundle = load_bundle(task, checkpoint=str(stage.checkpoint))
    policy, value = bundle.policy(), bundle.cost_to_go()
    calibration = calibration_of(recorded.rollouts)
    students = copy.deepcopy(source), copy.deepcopy(policy), copy.deepcopy(value)
    start = stage.config.start_threshold
    draft, _ = convert(source, calibration, SigmaDelta(thresholds=start))
    drafts = converted(policy, value, draft, calibration, (start, start))
    chains = ActingChains(
        DeltaChain(chain_of(students[0]), draft),
        SendingChain(students[1].linears(), drafts[0]),
        SendingChain(students[2].linears(), drafts[1]),
    )
    finetune_acting(
        chains,
        Teachers(stage.model.predictor, policy, value),
        recorded.starts,
        recorded.rollouts if training.reference == "zero" else (),
        training,
        generator=torch.Generator().manual_seed(stage.model.seed),
        report=lambda row: report(name, {**row, "total_steps": training.shared.steps}),
    )
    artifact, layers = convert(
        students[0],
        calibration,
        SigmaDelta(thresholds=chains.predictor.thresholds(), absolute=True),
        task=task,
        seed=stage.model.seed,
        trained_on_reference=training.reference,
        training=f"{training}",
    )
    assert chains.value is not None
    found = converted(
        students[1], students[2], artifact, calibration, (chains.policy.thresholds(), chains.value.thresholds())
    )
    shared = {**stage.made_with(of), **header}
    whole = {**shared, **artifact.provenance, "layers": layers.as_dict()}
    file = stage.file(name)
    artifact_file.save(replace(artifact, provenance=whole), file)
    for kind, one in zip((POLICY, TO_GO), found, strict=True):
        its = {**shared, **one.provenance, BESIDE: file_digest(file)}
        artifact_file.save(replace(one, provenance=its), stage.file(f"{task}/{kind}-delta{size}"))


Thresholds = float | tuple[float, ...]


def converted(
    policy: GoalPolicy,
    value: GoalPolicy,
    predictor: Artifact,
    data: Calibration,
    thresholds: tuple[Thresholds, Thresholds],
) -> tuple[Artifact, Artifact]:
    """Policy and cost-to-go in the predictor's integers."""
    return (
        convert_policy(policy, predictor, *told_anything(policy, data), thresholds=thresholds[0], prefix=POLICY_PREFIX),
        convert_policy(value, predictor, *told_anything(value, data), thresholds=thresholds[1], prefix=VALUE_PREFIX),
    )
