"""OTHER/TASK.delta[-W], .policy-delta[-W], .cost-to-go-delta[-W]: the sigma-delta forms of a predictor, of the policy that acts
in it and of its cost-to-go, fine-tuned together and in one set of integers.

The policy's and the cost-to-go's files say which predictor they were made with; they are of no use beside another one.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX
from spikeplan.core.files import file_digest
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.bundle import BESIDE, POLICY, TO_GO, Bundle, load_bundle
from spikeplan.evaluation.methods.policy import told_anything
from spikeplan.evaluation.recorded_plans import Recorded, calibration_of
from spikeplan.experiments.training.derive import Report
from spikeplan.snn.delta_chain import DeltaChain, SendingChain
from spikeplan.snn.finetune_acting import ActingChains, ActingTraining, Teachers, finetune_acting
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.predictor import ResidualPredictor

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


class Tuned(NamedTuple):
    """The sigma-delta forms of all three, in one set of integers, and what conversion says of the predictor's layers."""

    predictor: Artifact
    policy: Artifact
    value: Artifact
    layers: dict[str, Any]


def fine_tuned(
    bundle: Bundle,
    source: ResidualPredictor,
    recorded: Recorded,
    training: ActingTraining,
    *,
    start: float,
    report: Report,
    name: str,
    searches: bool = True,
) -> Tuned:
    """Fine-tunes copies of `source` and of the task's policy and cost-to-go, and converts them. `start`: the thresholds that they
    begin with, in standard deviations; `name`: what is reported; `searches`: every other step is of a search's candidates."""
    policy, value, calibration = bundle.policy(), bundle.cost_to_go(), calibration_of(recorded.rollouts)
    students = copy.deepcopy(source), copy.deepcopy(policy), copy.deepcopy(value)
    draft, _ = convert(source, calibration, SigmaDelta(thresholds=start))
    drafts = converted(policy, value, draft, calibration, (start, start))
    judging = SendingChain(students[2].linears(), drafts[1])
    chains = ActingChains(
        DeltaChain(chain_of(students[0]), draft), SendingChain(students[1].linears(), drafts[0]), judging
    )
    finetune_acting(
        chains,
        Teachers(bundle.model.predictor, policy, value),
        recorded.starts,
        recorded.rollouts if searches else (),
        training,
        generator=torch.Generator().manual_seed(bundle.model.seed),
        report=lambda row: report(name, {**row, "total_steps": training.shared.steps}),
    )
    artifact, layers = convert(
        students[0],
        calibration,
        SigmaDelta(thresholds=chains.predictor.thresholds(), absolute=True),
        task=bundle.task,
        seed=bundle.model.seed,
        trained_on_reference=training.reference,
        training=f"{training}",
    )
    learned = chains.policy.thresholds(), judging.thresholds()
    return Tuned(artifact, *converted(students[1], students[2], artifact, calibration, learned), layers.as_dict())


def acting_stage(
    stage: Stage,
    source: ResidualPredictor,
    recorded: Recorded,
    training: ActingTraining,
    report: Report,
    *,
    task: str,
    size: str,
    of: str,
    header: dict[str, Any],
) -> None:
    """Makes and saves all three. `size`: "" or "-W" of the files; `of`: what the predictor is derived from; `header`: what its
    file says beside."""
    bundle, name = load_bundle(task, checkpoint=str(stage.checkpoint)), f"{task}/delta{size}"
    start = stage.config.start_threshold
    done = fine_tuned(bundle, source, recorded, training, start=start, report=report, name=name)
    shared, file = {**stage.made_with(of), **header}, stage.file(name)
    artifact_file.save(
        replace(done.predictor, provenance={**shared, **done.predictor.provenance, "layers": done.layers}), file
    )
    for kind, one in ((POLICY, done.policy), (TO_GO, done.value)):
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
