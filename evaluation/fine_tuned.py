"""A task's predictor, policy and cost-to-go in graded spikes, fine-tuned together and in one set of integers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX
from spikeplan.core.guided_planning import GuidedConfig, RefinedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.bundle import Bundle
from spikeplan.evaluation.methods.policy import asked
from spikeplan.evaluation.recorded_plans import Recorded, calibration_of
from spikeplan.snn.delta_chain import DeltaChain, SendingChain
from spikeplan.snn.finetune_acting import ActingChains, ActingTraining, Teachers, finetune_acting, strayed
from spikeplan.snn.shrink import shrunk
from spikeplan.worldmodel.policies.base import GoalPolicy, Report
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks import task_of

START = 0.05  # thresholds that fine-tuning begins with, in standard deviations
Thresholds = float | tuple[float, ...]


def planner_of(task: str) -> RefinedConfig | None:
    """The teacher, its copies straying as those of the planner do: it asks for all that guided and refined planning ask for.
    Without a teacher, the planner where it is refined."""
    teacher, planner = task_of(task).teacher, task_of(task).planner
    if teacher is None:
        return planner if isinstance(planner, RefinedConfig) else None
    if not isinstance(planner, GuidedConfig):
        return teacher
    return replace(teacher, spread=planner.spread, decay=planner.decay)


class Tuned(NamedTuple):
    """The sigma-delta forms of all three, in one set of integers, what conversion says of the predictor's layers, and the dense
    networks that they are forms of: predictor, policy and cost-to-go."""

    predictor: Artifact
    policy: Artifact
    value: Artifact
    layers: dict[str, Any]
    dense: tuple[ResidualPredictor, GoalPolicy, GoalPolicy]


def fine_tuned(
    bundle: Bundle,
    source: ResidualPredictor,
    recorded: Recorded,
    training: ActingTraining,
    *,
    report: Report,
    name: str,
    searches: bool = True,
    seed: int | None = None,
) -> Tuned:
    """Fine-tunes copies of `source` and of the task's policy and cost-to-go, and converts them.

    Args:
        recorded: plans of the task; they start what the copies imagine.
        name: what is reported.
        searches: every other step is of a search's candidates.
        seed: of this training; None: the world model's.
    """
    policy, value, calibration = bundle.policy(), bundle.cost_to_go(), calibration_of(recorded.rollouts)
    students = copy.deepcopy(source), copy.deepcopy(policy), copy.deepcopy(value)
    draft, _ = convert(source, calibration, SigmaDelta(thresholds=START))
    drafts = converted(policy, value, draft, calibration, (START, START))
    judging = SendingChain(students[2].linears(), drafts[1])
    chains = ActingChains(
        DeltaChain(chain_of(students[0]), draft), SendingChain(students[1].linears(), drafts[0]), judging
    )
    teachers, generator = (
        Teachers(bundle.model.predictor, policy, value),
        torch.Generator().manual_seed(bundle.model.seed if seed is None else seed),
    )
    finetune_acting(
        chains,
        teachers,
        recorded.starts,
        recorded.rollouts if searches else (),
        training,
        generator=generator,
        report=lambda row: report(name, {**row, "total_steps": training.shared.steps}),
    )
    if training.sparse is not None:
        _shrink(students, chains, teachers, recorded, training, generator)
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
    forms = converted(students[1], students[2], artifact, calibration, learned)
    return Tuned(artifact, *forms, layers.as_dict(), students)


@torch.no_grad()
def _shrink(
    students: Sequence[ResidualPredictor | GoalPolicy],
    chains: ActingChains,
    teachers: Teachers,
    recorded: Recorded,
    training: ActingTraining,
    generator: torch.Generator,
) -> None:
    """Takes out of all three the neurons that lost their weights or never send, on any of the records' starts."""
    starts, limits = recorded.starts, (teachers.policy.action_limit, teachers.value.action_limit)
    stray = strayed(training, len(starts.latent_ND), students[1].action_dim, limits[0], generator=generator)
    trained = (chains.predictor, chains.policy, chains.value)
    for chain in trained:
        chain.watch()
    chains.imagine(starts.latent_ND, starts.told_NG, stray, limits, training.reference)
    for student, chain in zip(students, trained, strict=True):
        _keep(student, chain)


def _keep(student: ResidualPredictor | GoalPolicy, chain: SendingChain) -> None:
    """What is left of one."""
    assert chain.awake is not None
    linears = shrunk(student.linears(), chain.awake[1:])
    student.hidden = tuple(linear.out_features for linear in linears[:-1])
    student.net = nn.Sequential(*[part for one in linears for part in (one, nn.ReLU())][:-1])


def converted(
    policy: GoalPolicy,
    value: GoalPolicy,
    predictor: Artifact,
    data: Calibration,
    thresholds: tuple[Thresholds, Thresholds],
) -> tuple[Artifact, Artifact]:
    """Policy and cost-to-go in the predictor's integers."""
    return (
        convert_policy(policy, predictor, *asked(policy, data), thresholds=thresholds[0], prefix=POLICY_PREFIX),
        convert_policy(value, predictor, *asked(value, data), thresholds=thresholds[1], prefix=VALUE_PREFIX),
    )
