"""Equal counts for equal runs: the torch reference's operation counts and one filled from the Lava processes' own messages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeplan.core.counts.operations import REFERENCES, OperationCounts, total
from spikeplan.core.ir.artifact import Artifact, save
from spikeplan.evaluation.lava.replay import program_of
from spikeplan.evaluation.recorded_plans import Plans, rerun
from spikeplan.lava_procs import replay
from spikeplan.lava_procs.counts import counts_of
from spikeplan.snn.delta_predictor import DeltaPredictor

CONFIG = {"method": "delta", "precision": "int8", "spiking": True, "sequential_steps": 4}
COUNTED = (
    "synops",
    "updates_active",
    "updates_idle",
    "state_restores",
    "messages",
    "message_bits",
    "chip_steps",
    "weight_reads",
    "state_reads",
    "state_writes",
)


def plans() -> Plans:
    rng = torch.Generator().manual_seed(3)
    latent = torch.randn(1, 6, generator=rng)
    candidates = 0.05 * torch.randn(1, 2, 4, 3, 2, generator=rng)
    return Plans(latent, latent, candidates, torch.zeros(1, 2, 4, 3, 6), torch.zeros(1, 2, 4))


@pytest.mark.parametrize("reference", REFERENCES)
def test_lava_and_the_reference_count_alike(reference: str, artifact: Artifact, tmp_path: Path):
    golden = OperationCounts(**CONFIG, reference=reference)
    rerun(DeltaPredictor(artifact), plans(), reference, golden)
    passes, _ = program_of(artifact, plans(), reference=reference, iterations=2)
    path = save(artifact, tmp_path / "net.safetensors")
    trace = replay(path, passes, timeout_s=600, workdir=tmp_path / "run")
    lava = OperationCounts(**CONFIG, reference=reference)
    for counts in counts_of(artifact, passes, trace, reference=reference):
        lava.add("predictor", counts)
    ours = [row for row in golden.rows("interleaved") if row.layer != "z"]
    theirs = lava.rows("interleaved")
    assert total(theirs, "synops") > 0 and total(theirs, "messages") > 0
    for layer in [layer.name for layer in artifact.layers]:
        mine, other = ([row for row in rows if row.layer == layer] for rows in (ours, theirs))
        assert {n: total(mine, n) for n in COUNTED} == {n: total(other, n) for n in COUNTED}, layer


def test_a_message_more_is_seen(artifact: Artifact, tmp_path: Path):
    passes, trace = program_of(artifact, plans(), reference="zero", iterations=1)
    before = counts_of(artifact, passes, trace, reference="zero")[1]
    zero = tuple(np.argwhere(trace.messages[before.layer] == 0)[0])
    changed = trace.messages[before.layer].copy()
    changed[zero] = 1
    more = replace(trace, messages={**trace.messages, before.layer: changed})
    after = counts_of(artifact, passes, more, reference="zero")[1]
    assert (after.messages, after.synops) == (before.messages + 1, before.synops + artifact.layers[2].n_out)
