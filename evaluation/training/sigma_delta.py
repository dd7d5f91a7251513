"""A predictor fine-tuned alone in graded spikes, on a dense teacher's plans, and converted at the thresholds that it learned."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.conversion.convert import Converted
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.fine_tuned import START
from spikeplan.snn.delta_chain import DeltaChain
from spikeplan.snn.finetune_delta import DeltaTraining, Rollouts, finetune_delta
from spikeplan.snn.sparse_training import SparseTraining
from spikeplan.worldmodel.predictor import ResidualPredictor


def fine_tuned_alone(
    source: ResidualPredictor,
    data: Sequence[Rollouts],
    calibration: Calibration,
    training: DeltaTraining,
    *,
    task: str,
    seed: int,
    report: Callable[[dict[str, float]], None],
    sparse: SparseTraining | None = None,
) -> Converted[Artifact]:
    """The spiking form of a copy of `source`, for planning `task`. `calibration`: it sets scales; `seed`: of the batches;
    `sparse`: what is taken out meanwhile."""
    draft, _ = convert(source, calibration, SigmaDelta(thresholds=START))
    student = copy.deepcopy(source)
    chain = DeltaChain(chain_of(student), draft)
    generator = torch.Generator().manual_seed(seed)
    finetune_delta(chain, data, training, generator=generator, report=report, sparse=sparse)
    learned = SigmaDelta(thresholds=chain.thresholds(), absolute=True)
    return convert(
        student,
        calibration,
        learned,
        task=task,
        seed=seed,
        trained_on_reference=training.reference,
        training=f"{training}",
    )
