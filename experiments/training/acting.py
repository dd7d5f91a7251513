"""OTHER/TASK.delta[-W], .policy-delta[-W], .cost-to-go-delta[-W]: the sigma-delta forms of a predictor, of the policy that acts
in it and of its cost-to-go, fine-tuned together and in one set of integers.

The policy's and the cost-to-go's files say which predictor they were made with; they are of no use beside another one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spikeplan.core.files import file_digest
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.bundle import BESIDE, DENSE, POLICY, TO_GO, load_bundle
from spikeplan.evaluation.fine_tuned import fine_tuned
from spikeplan.evaluation.recorded_plans import Recorded
from spikeplan.experiments.training.derive import Report
from spikeplan.snn.finetune_acting import ActingTraining
from spikeplan.worldmodel.predictor import ResidualPredictor

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


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
    done = fine_tuned(bundle, source, recorded, training, report=report, name=name)
    shared, file = {**stage.made_with(of), **header}, stage.file(name)
    artifact_file.save(
        replace(done.predictor, provenance={**shared, **done.predictor.provenance, "layers": done.layers}), file
    )
    for kind, one in ((POLICY, done.policy), (TO_GO, done.value)):
        dense = bundle.policy_path if kind == POLICY else bundle.to_go_path
        own = {"task": task, "kind": kind, BESIDE: file_digest(file), DENSE: file_digest(dense)}
        its = {**shared, **one.provenance, **own}
        artifact_file.save(replace(one, provenance=its), stage.file(f"{task}/{kind}-delta{size}"))
