"""`spikeplan fusion --train`: denoiser, films, both networks side by side, two maps, the conversion; files into one directory.

Films and networks are kept in `parts/` under what they were made from, and not made again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from spikeplan.core.digest import code_digest
from spikeplan.core.files import write_whole
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.shard import one_thread
from spikeplan.experiments.fusion_study.convert import convert_events
from spikeplan.experiments.runner.output import open_output, versions, write_json
from spikeplan.experiments.runner.pool import run_each, run_reporting
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.fusion.checkpoint import CELLS, TASK, events_path, save_fusion
from spikeplan.fusion.denoise import Denoiser
from spikeplan.fusion.maps import fit_denoiser, fit_maps
from spikeplan.fusion.train import Fuser, FuseTraining, Reel, shoot, train_fuser
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.tasks import make_world

THRESHOLDS = 0.1  # of each layer's standard deviation
NETWORKS = ("fused", "twin")


def train_command(out: str, config: FuseTraining, *, console: Console) -> dict[str, Any]:
    folder = open_output(Path(out), command="fusion --train")
    one_thread()
    world, model = make_world(TASK), load_model(shipped(TASK))
    assert (world.image_shape[1] // 2) ** 2 == CELLS
    began = time.monotonic()
    parts = folder / "parts"
    parts.mkdir(exist_ok=True)
    with progress_bar(console) as bar:
        bar.add_task("denoiser", total=None)
        kept_denoiser(parts, config)
    run_each(shoot_part, [(config, block, str(parts)) for block in range(config.films)], console=console, label="films")
    with progress_bar(console) as bar, (folder / "metrics.jsonl").open("w") as log:
        tasks = {name: bar.add_task(name, total=1) for name in NETWORKS}

        def report(name: str, row: dict[str, Any]) -> None:
            bar.update(
                tasks[name],
                completed=row["step"],
                total=row["total_steps"],
                description=f"{name} ({row['stage']}): loss {row['loss']:.4f}",
            )
            log.write(json.dumps({"network": name, **row}) + "\n")

        run_reporting(train_part, [(config, name, str(parts)) for name in NETWORKS], report)
        bar.add_task("maps and conversion", total=None)
        reels = [load_reel(config, block, parts) for block in range(config.films)]
        fused, twin = (load_network(config, name, parts, model.encoder.config.latent_dim) for name in NETWORKS)
        decoder = fit_maps(
            world, model.encoder, fused.cell.body, poses=config.maps_poses, steps=config.maps_steps, seed=config.seed
        )
        artifact, found = convert_events(fused, reels, config, THRESHOLDS, task=TASK, seed=config.seed)
    artifact_file.save(artifact, events_path(folder))
    meta = {"config": asdict(config), "conversion": found, "versions": versions()}
    save_fusion(folder, fused, twin, decoder, kept_denoiser(parts, config), meta)
    write_json(folder / "config.json", {"command": "fusion --train", **meta}, indent=1)
    summary = {"seconds": round(time.monotonic() - began, 1), "conversion": found}
    write_json(folder / "summary.json", summary, indent=1)
    console.print(
        f"event encoder in int8: latent error {found['error']:.4f} (dense {found['error_dense']:.4f}), "
        f"{found['density']:.3f} of the dense synaptic operations; {summary['seconds']:.0f} s"
    )
    return summary


def part_path(parts: Path, what: str, config: FuseTraining) -> Path:
    """Under the digest of what was asked for and of the code that makes it."""
    asked = json.dumps([what, asdict(config)]) + code_digest("fusion", "eventdata", "worldmodel", "snn")
    digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
    return parts / f"{what}-{digest}"


def kept_denoiser(parts: Path, config: FuseTraining) -> Denoiser:
    path = part_path(parts, "denoiser", config).with_suffix(".safetensors")
    if not path.exists():
        made = fit_denoiser(
            make_world(TASK), load_model(shipped(TASK)).encoder, steps=config.denoiser_steps, seed=config.seed
        )
        write_whole(path, lambda target: save_file(made.state_dict(), target))
    denoiser = Denoiser()
    denoiser.load_state_dict(load_file(path))
    return denoiser.eval()


def shoot_part(config: FuseTraining, block: int, folder: str) -> None:
    one_thread()
    path = part_path(Path(folder), f"reel-{block}", config).with_suffix(".npz")
    if path.exists():
        return
    encoder = load_model(shipped(TASK)).encoder
    reel = shoot(make_world(TASK), encoder, kept_denoiser(Path(folder), config), config, block)
    columns: dict[str, Any] = {name: np.asarray(value) for name, value in reel._asdict().items()}
    write_whole(path, lambda target: np.savez(target, **columns))


def load_reel(config: FuseTraining, block: int, parts: Path) -> Reel:
    with np.load(part_path(parts, f"reel-{block}", config).with_suffix(".npz")) as kept:
        return Reel(
            float(kept["light"]),
            int(kept["exposure_ms"]),
            float(kept["electrons"]),
            kept["begin_NF"],
            *(torch.from_numpy(kept[name]) for name in ("frame_NFD", "counts_NKHW", "truth_NKD")),
        )


def train_part(config: FuseTraining, name: str, folder: str, report: Callable[[str, dict[str, Any]], None]) -> None:
    one_thread()
    path = part_path(Path(folder), name, config).with_suffix(".safetensors")
    if path.exists():
        return
    reels = [load_reel(config, block, Path(folder)) for block in range(config.films)]
    fuser = train_fuser(reels, config, with_events=name == "fused", report=lambda row: report(name, row))
    write_whole(path, lambda target: save_file(fuser.state_dict(), target))


def load_network(config: FuseTraining, name: str, parts: Path, latent_dim: int) -> Fuser:
    fuser = Fuser(latent_dim, CELLS, with_events=name == "fused")
    fuser.load_state_dict(load_file(part_path(parts, name, config).with_suffix(".safetensors")))
    return fuser.eval()
