"""`spikeplan convert` and `spikeplan check`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.conversion import SigmaDelta, check, convert
from spikeplan.conversion.upgrade import is_version_1, upgrade
from spikeplan.core.chips import CHIPS
from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_plans
from spikeplan.experiments.runner.output import open_output, write_report
from spikeplan.experiments.runner.progress import counted, working
from spikeplan.snn.delta import DeltaNetwork
from spikeplan.worldmodel.checkpoint import load_model


def convert_command(
    checkpoint: str, out: str, *, threshold: float, bits: int, json: str | None, console: Console
) -> None:
    recipe = SigmaDelta(bits=bits, thresholds=threshold)
    old = is_version_1(checkpoint)
    model = None if old else load_model(checkpoint)
    target = Path(out)
    if not out or (target.exists() and not target.is_file()):
        raise UserError(f"--out {out!r}: is no file to write; name a .safetensors file")
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
        artifact, report = convert(model.predictor, calibration, recipe, task=model.task, seed=model.seed)
    # Not chosen on validation episodes: an untuned artifact runs at its own thresholds.
    artifact.provenance["layers"] = report.as_dict()
    artifact_file.save(artifact, target)
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


def check_command(artifact: str, chip: str, *, json: str | None, console: Console) -> int:
    if chip not in CHIPS:
        raise UserError(f"chip {chip!r} is unknown; use one of {', '.join(CHIPS)}")
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
    console.print(f"{artifact}: {'fits ' + chip if not violations else f'{len(violations)} violations on {chip}'}")
    return 1 if violations else 0
