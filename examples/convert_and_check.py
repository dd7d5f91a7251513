"""Convert a dense predictor to a spiking network, see what each layer loses, and check that it fits a chip.

    python examples/convert_and_check.py --task two-room --thresholds 0.05 0.1 0.2 --out network.safetensors

The calibration data are real plans of the dense network. The file that is written is what runs: in PyTorch, in Lava, and in
`spikeplan place`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from spikeplan.conversion import SigmaDelta, check, convert
from spikeplan.core.chips import CHIPS
from spikeplan.core.ir.artifact import load
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.worldmodel.checkpoint import load_model, shipped


@dataclass(frozen=True)
class Settings:
    task: str = "two-room"
    checkpoint: Path | None = None  # yours, made by `spikeplan train`; None: the shipped one
    thresholds: tuple[float, ...] = (0.05, 0.1, 0.2)  # in standard deviations of each layer
    bits: int = 8
    chip: str = "loihi2"
    worst_nmse: float = 0.05  # of the output: the highest threshold that stays below it is kept
    episodes: int = 4  # of dense planning, for calibration
    seed: int = 1
    out: Path = Path("network.safetensors")


def main(settings: Settings) -> dict[str, Any]:
    model = load_model(settings.checkpoint or shipped(settings.task))
    calibration = record_plans(model, episodes=settings.episodes, seed=settings.seed).calibration()

    errors: dict[float, float] = {}
    made = {}
    for threshold in sorted(settings.thresholds):
        recipe = SigmaDelta(bits=settings.bits, thresholds=threshold)
        made[threshold] = convert(model.predictor, calibration, recipe, task=settings.task)
        print(f"threshold {threshold}:\n{made[threshold].report}")
        errors[threshold] = made[threshold].report.output_nmse

    good = [threshold for threshold, error in errors.items() if error <= settings.worst_nmse]
    if not good:
        raise SystemExit(f"no threshold keeps the output's nmse below {settings.worst_nmse}; give lower ones")
    chosen = max(good)
    path = made[chosen].save(settings.out)
    violations = check(load(path), CHIPS[settings.chip])
    print(f"kept threshold {chosen}: {path}")
    print(f"{settings.chip}: fits" if not violations else f"{settings.chip}: {violations}")
    return {"errors": errors, "chosen": chosen, "path": path, "violations": violations}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
