"""`spikeplan convert`, `spikeplan check` and `spikeplan export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.conversion import check, convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.conversion.upgrade import is_version_1, upgrade
from spikeplan.core.chips import CHIPS
from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.network_files import header
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_plans
from spikeplan.experiments.runner.output import open_output, write_report
from spikeplan.experiments.runner.progress import counted, working
from spikeplan.snn.delta import DeltaNetwork
from spikeplan.worldmodel.checkpoint import load_model
from spikeplan.worldmodel.onnx_file import need_onnx, write_onnx

SUFFIX = ".safetensors"


def convert_command(
    checkpoint: str, out: str, *, recipe: str, settings: dict[str, Any], json: str | None, console: Console
) -> None:
    made_by = RECIPES[recipe].made(**settings)
    if not RECIPES[recipe].has_file:
        raise UserError(
            f"--recipe {recipe}: its networks have no file form yet; convert in Python, or choose another recipe"
        )
    target = Path(out)
    if target.suffix != SUFFIX or (target.exists() and not target.is_file()):
        raise UserError(f"--out {out!r}: is no {SUFFIX} file; give a name that ends in {SUFFIX}")
    old = is_version_1(checkpoint)
    if old and settings:
        raise UserError(
            f"{checkpoint}: an artifact of version 0.1 keeps its thresholds and bits; leave out the settings"
        )
    model = None if old else load_model(checkpoint)
    if target.exists() and target.samefile(checkpoint):
        raise UserError(f"--out {out}: is the checkpoint itself; name another file")
    open_output(target.parent)
    if model is None:
        made = upgrade(checkpoint)
        artifact_file.save(made, target)
        if json is not None:
            write_report(json, {"out": out, "upgraded": True, "reference": made.reference})
        console.print(f"{target}: upgraded from version 0.1; reference {made.reference}, thresholds as they ran")
        return
    with counted("recording calibration rollouts, converting") as on_progress:
        plans = record_plans(
            model,
            episodes=8,
            seed=RECORD_SEED,
            on_progress=lambda done, total: on_progress(5 * done, 6 * total),  # the rest takes a fifth as long
        )
        calibration = plans.calibration()
        converted = convert(model.predictor, calibration, made_by, task=model.task, seed=model.seed)
    report = converted.report
    # Not chosen on validation episodes: an untuned artifact runs at its own thresholds.
    converted.artifact.provenance["layers"] = report.as_dict()
    converted.save(target)
    if json is not None:
        write_report(json, {"out": out, "upgraded": False, "layers": report.as_dict()})
    table = Table("layer", "nmse", "density", "saturated", "threshold (LSB)", "threshold", title=escape(f"{target}"))
    for name, row in report.layers.items():
        table.add_row(
            name,
            f"{row.nmse:.4f}",
            f"{row.density:.3f}",
            f"{row.saturated:.2e}",
            str(row.threshold_lsb),
            f"{row.threshold:.4g}",
        )
    console.print(table)
    console.print(
        f"error of the output {report.output_nmse:.4f} of its variance, {report.finest_nmse:.4f} at the finest thresholds"
    )


def check_command(artifact: str, chip: str, *, json: str | None, console: Console) -> int:
    if chip not in CHIPS:
        raise UserError(f"chip {chip!r} is unknown; use one of {', '.join(CHIPS)}")
    if header(Path(artifact)).get("kind") == "lif":
        raise UserError(
            f"{artifact}: a LIF network, check reads sigma-delta ones; `spikeplan place {artifact} --chip {chip}` says "
            "whether it fits"
        )
    with working(f"checking {artifact}", total=3) as step:
        loaded = artifact_file.load(artifact)
        step()
        try:
            DeltaNetwork(loaded)  # what cannot run cannot fit
        except UserError as error:
            raise UserError(f"{artifact}: {error}") from error
        step()
        violations = check(loaded, CHIPS[chip])
        step()
    if json is not None:
        listed = [asdict(violation) | {"text": str(violation)} for violation in violations]
        write_report(json, {"artifact": artifact, "chip": chip, "fits": not violations, "violations": listed})
    for violation in violations:
        console.print(escape(str(violation)))
    said = f"{several(len(violations), 'violation')} on {chip}" if violations else f"fits {chip}"
    console.print(f"{artifact}: {said}")
    return 1 if violations else 0


def export_command(checkpoint: str, out: str, *, json: str | None, console: Console) -> None:
    need_onnx()
    model = load_model(checkpoint)
    folder, generator = open_output(Path(out)), torch.Generator().manual_seed(0)
    image = torch.rand(4, *model.encoder.config.image_shape, generator=generator)
    latent = torch.randn(4, model.predictor.latent_dim, generator=generator)
    action = torch.randn(4, model.predictor.action_dim, generator=generator)
    networks: dict[str, tuple[Any, dict[str, torch.Tensor], str]] = {
        "encoder": (model.encoder, {"image": image}, "latent"),
        "predictor": (model.predictor, {"latent": latent, "action": action}, "next_latent"),
    }
    with working(f"exporting {checkpoint}", total=len(networks)) as step:
        for name, (module, inputs, output) in networks.items():
            write_onnx(module, inputs, folder / f"{name}.onnx", output=output)
            step()
    if json is not None:
        write_report(json, {"checkpoint": checkpoint, "files": [f"{folder / name}.onnx" for name in networks]})
    for name, (_, inputs, output) in networks.items():
        shapes = ", ".join(f"{one} (N, {', '.join(map(str, x.shape[1:]))})" for one, x in inputs.items())
        console.print(f"{folder / name}.onnx: {shapes} -> {output}", soft_wrap=True, highlight=False)
