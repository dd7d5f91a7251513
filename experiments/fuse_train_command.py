"""`spikeplan fuse --train`: films, both networks, the two maps, the conversion; files into one directory."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.fuse_bundle import CELLS, TASK, events_path, save_fusion
from experiments.fuse_convert import convert_events
from experiments.fuse_maps import fit_denoiser, fit_maps
from experiments.fuse_train import FuseTraining, shoot, train_fuser
from experiments.jobs import one_thread
from experiments.output import open_output, versions, write_json
from experiments.pool import progress_bar
from spec import artifact as artifact_file
from worldmodel.checkpoint import load_model, shipped
from worldmodel.tasks import make_world

THRESHOLDS = 0.1  # of each layer's standard deviation


def train_command(out: str, config: FuseTraining, *, console: Console) -> dict[str, Any]:
    folder = open_output(Path(out), command="fuse --train")
    one_thread()
    world, model = make_world(TASK), load_model(shipped(TASK))
    assert (world.image_shape[1] // 2) ** 2 == CELLS
    began = time.monotonic()
    with progress_bar(console) as bar, (folder / "metrics.jsonl").open("w") as log:
        filming = bar.add_task("denoiser and films", total=config.films + 1)
        denoiser = fit_denoiser(world, model.encoder, steps=config.denoiser_steps, seed=config.seed)
        bar.advance(filming)
        reels = []
        for block in range(config.films):
            reels.append(shoot(world, model.encoder, denoiser, config, block))
            bar.advance(filming)
        networks = {}
        for name in ("fused", "twin"):
            task = bar.add_task(name, total=config.steps)

            def report(row: dict[str, Any], name: str = name, task: Any = task) -> None:
                bar.update(task, completed=row["step"], description=f"{name}: loss {row['loss']:.3f}")
                if row["step"] % 50 == 0 or row["step"] == config.steps:
                    log.write(json.dumps({"network": name, **row}) + "\n")

            networks[name] = train_fuser(reels, config, with_events=name == "fused", report=report)
        fused, twin = networks["fused"], networks["twin"]
        decoder = fit_maps(
            world, model.encoder, fused.cell.body, poses=config.maps_poses, steps=config.maps_steps, seed=config.seed
        )
    artifact, found = convert_events(fused, reels, config, THRESHOLDS, task=TASK, seed=config.seed)
    artifact_file.save(artifact, events_path(folder))
    meta = {"config": asdict(config), "conversion": found, "versions": versions()}
    save_fusion(folder, fused, twin, decoder, denoiser, meta)
    write_json(folder / "config.json", {"command": "fuse --train", **meta}, indent=1)
    summary = {"seconds": round(time.monotonic() - began, 1), "conversion": found}
    write_json(folder / "summary.json", summary, indent=1)
    console.print(
        f"event encoder in int8: latent error {found['error']:.4f} (dense {found['error_dense']:.4f}), "
        f"{found['density']:.3f} of the dense synaptic operations; {summary['seconds']:.0f} s"
    )
    return summary
