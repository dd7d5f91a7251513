"""The event encoder as spikes: converted on what it sees in the fused loop, then replayed in Lava and compared with `==`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.contexts import KEEP, RESET
from spikeplan.evaluation.lava.replay import Program
from spikeplan.experiments.fusion_study.rows import FusionLavaRow
from spikeplan.fusion.streams import CONDITIONS, Stream
from spikeplan.fusion.train import Fuser, FuseTraining, Reel, draw_batch, tick
from spikeplan.lava_procs import compare, replay
from spikeplan.snn.event_encoder import SpikingEventEncoder, event_input


@torch.no_grad()
def watch(fuser: Fuser, stream: Stream, first: int, ticks: int, encoding: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the fused latent and writes down what its event encoder was asked: (T, B, D), (T, B, E), and the error."""
    asked: list[tuple[Tensor, Tensor]] = []
    inner = encoding or fuser.events

    def listen(latent_BD: Tensor, event_BE: Tensor) -> Tensor:
        asked.append((latent_BD, event_input(event_BE)))
        change: Tensor = inner(latent_BD, event_BE)  # type: ignore[misc]
        return change

    state = fuser.cell.begin(stream.truth_NKD[:, first])
    seen = torch.ones(len(stream.light), dtype=torch.bool)
    errors = []
    for k in range(first + 1, first + 1 + ticks):
        state = tick(fuser, state, stream, k, with_events=seen, encoding=listen)
        errors.append((state.latent_BD - stream.truth_NKD[:, k]).abs().mean())
    return torch.stack([z for z, _ in asked]), torch.stack([e for _, e in asked]), torch.stack(errors).mean()


def convert_events(
    fuser: Fuser, reels: list[Reel], config: FuseTraining, thresholds: float | tuple[float, ...], **provenance: Any
) -> tuple[Artifact, dict[str, Any]]:
    """Post-training conversion; the report joins the converter's layers to the error in the fused loop."""
    assert fuser.events is not None
    rng = np.random.default_rng([config.seed, 13])
    batches = [draw_batch(reels, config, rng)[0] for _ in range(4)]
    ticks = reels[0].truth_NKD.shape[1] - 10
    seen = [watch(fuser, stream, 6, ticks) for stream in batches[:3]]
    latent = torch.cat([z.flatten(0, 1) for z, _, _ in seen])
    event = torch.cat([e.flatten(0, 1) for _, e, _ in seen])
    artifact, report = convert(
        fuser.events.of_input(),
        Calibration(latent, event),
        SigmaDelta(thresholds=thresholds),
        role="event encoder",
        **provenance,
    )
    spiking = SpikingEventEncoder(artifact)
    _, _, error = watch(fuser, batches[3], 6, ticks, spiking)
    _, _, dense = watch(fuser, batches[3], 6, ticks)
    macs = sum(count.dense_macs for count in spiking.counts)
    density = sum(count.synops for count in spiking.counts) / macs
    saturated = sum(count.saturated for count in spiking.counts)
    found = {"error": float(error), "error_dense": float(dense), "density": density, "saturated": saturated}
    return artifact, {**report.as_dict(), **found}


def lava_equality(
    artifact: Artifact,
    latent_TD: Tensor,
    event_TE: Tensor,
    *,
    workdir: Path,
    timeout_s: float = 300.0,
    on_progress: Callable[[int, int], None] | None = None,
) -> FusionLavaRow:
    """Windows of one nominal episode, a pass each with the state kept, in Lava and in the integer reference."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = artifact_file.save(artifact, workdir / "events.safetensors")
    program, spiking = Program(artifact), SpikingEventEncoder(artifact)
    for t, row in enumerate(spiking.encode(latent_TD, event_TE)):
        program.run(row, load=RESET if t == 0 else KEEP)
    passes, golden = program.finish()
    trace = replay(path, passes, timeout_s=timeout_s, workdir=workdir, on_progress=on_progress)
    found = compare(golden, trace)
    return FusionLavaRow(
        condition=CONDITIONS[0].name,
        passes=len(passes),
        values_compared=found.values_compared,
        values_different=found.values_different,
        nonzero_share=found.nonzero_share,
        first_difference=found.first_difference,
        saturated=golden.saturated,
    )
