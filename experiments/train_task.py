"""`spikeplan train TASK`: world model, then everything that is derived from it, into one directory.

TASK.safetensors         encoder + predictor (checkpoint chosen by planning on validation episodes)
TASK.delta.safetensors   sigma-delta artifact, event-rate fine-tuned, thresholds learned, factor chosen on validation
TASK.lif.safetensors     LIF network, fine-tuned with surrogate gradients
TASK.narrow-W.safetensors  dense predictor of width W, distilled: the opponent that spends fewer MACs honestly
TASK.delta-W.safetensors   the sigma-delta form of that one
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conversion import SigmaDelta, convert
from conversion.calibration import chain_of, measure_ranges
from experiments.bundle import NARROW_WIDTHS, header, load_narrow, save_lif, save_narrow
from experiments.jobs import scale_thresholds
from experiments.record import RECORD_SEED, Plans, record_plans
from snn.delta_predictor import DeltaPredictor
from snn.finetune_delta import DeltaChain, DeltaTraining, finetune_delta
from snn.lif import LIFConfig, LIFNetwork, LIFPredictor, LIFTraining, finetune_lif
from spec import artifact as artifact_file
from spec.artifact import Artifact
from spec.ledger import Ledger
from worldmodel.checkpoint import WorldModel, load_model, save_model
from worldmodel.closed_loop import ImageLatent, run_episodes
from worldmodel.distil import Distillation, distil
from worldmodel.planner import CEMPlanner
from worldmodel.predictor import DensePredictor, Predictor, ResidualPredictor
from worldmodel.tasks import make_world
from worldmodel.train import VALIDATION_SEED, TrainConfig, train

Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class DeriveConfig:
    """How the derived networks are made. `factors`: threshold multipliers tried on validation episodes."""

    record_episodes: int = 32
    start_threshold: float = 0.05
    delta: DeltaTraining = field(default_factory=lambda: DeltaTraining(steps=2500, rate_weight=1.5))
    lif: LIFConfig = field(default_factory=LIFConfig)
    lif_training: LIFTraining = field(default_factory=LIFTraining)
    narrow_widths: tuple[int, ...] = NARROW_WIDTHS
    distillation: Distillation = field(default_factory=Distillation)
    factors: tuple[float, ...] = (0.7, 1.0, 1.4)
    axes: tuple[str, ...] = ("none", "mean")
    validation_episodes: int = 100
    allowed_loss: float = 0.01  # of validation success, against dense


def validation_success(
    model: WorldModel, predictor: Predictor, *, axis: str, episodes: int, ledger: Ledger | None
) -> float:
    world = make_world(model.task)
    planner = CEMPlanner(
        predictor, model.planner, action_dim=world.action_dim, action_limit=world.action_limit, axis=axis, ledger=ledger
    )
    drawn = world.sample(episodes, np.random.default_rng(VALIDATION_SEED + 1))
    outcome = run_episodes(world, ImageLatent(world, model.encoder), planner, drawn, seed=VALIDATION_SEED + 1)
    return float(outcome.success_N.mean())


def make_delta(
    model: WorldModel, source: ResidualPredictor, plans: Plans, config: DeriveConfig, report: Report, *, name: str
) -> tuple[Artifact, dict[str, Any]]:
    """Fine-tune `source` on the dense teacher's plans, convert with the learned thresholds, measure the layers."""
    calibration = plans.calibration()
    draft, _ = convert(source, calibration, SigmaDelta(thresholds=config.start_threshold))
    student = copy.deepcopy(source)
    chain = DeltaChain(chain_of(student), draft)
    finetune_delta(
        chain, plans.rollouts(), config.delta, generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report(name, {**row, "total_steps": config.delta.steps}),
    )  # fmt: skip
    artifact, layers = convert(
        student, calibration, SigmaDelta(thresholds=chain.thresholds(), absolute=True), task=model.task,
        seed=model.seed, trained_on_axis=config.delta.axis, training=f"{config.delta}",
    )  # fmt: skip
    return artifact, layers.as_dict()


def choose_threshold(
    model: WorldModel, artifact: Artifact, dense: float, config: DeriveConfig, report: Report, *, name: str
) -> dict[str, Any]:
    """Axis and factor with the fewest synop-equivalents whose validation success stays within `allowed_loss` of dense.
    If none does, the most successful one."""
    n = config.validation_episodes
    rows: list[dict[str, Any]] = []
    for axis in config.axes:
        for factor in config.factors:
            ledger = Ledger(arm="delta", axis=axis, precision="int8", spiking=True, sequential_steps=4)
            success = validation_success(
                model, DeltaPredictor(scale_thresholds(artifact, factor)), axis=axis, episodes=n, ledger=ledger
            )
            predictor_rows = [r for r in ledger.rows("interleaved") if r.phase == "predictor"]
            dense_macs = sum(c.dense_macs for _, c in ledger.counts("predictor"))
            rows.append(
                {
                    "axis": axis, "factor": factor, "success": success,
                    "density": sum(r.synops for r in predictor_rows) / dense_macs,
                    "equivalents": sum(r.synop_equivalents for r in predictor_rows) / dense_macs,
                }
            )  # fmt: skip
            report(
                f"{name} thresholds",
                {"step": len(rows), "total_steps": len(config.axes) * len(config.factors), **rows[-1]},
            )
    good = [row for row in rows if row["success"] >= dense - config.allowed_loss]
    chosen = min(good, key=lambda r: r["equivalents"]) if good else max(rows, key=lambda r: r["success"])
    return {"dense_success": dense, "table": rows, "chosen": chosen}


def make_lif(model: WorldModel, plans: Plans, config: DeriveConfig, report: Report) -> LIFNetwork:
    _, _, outputs = measure_ranges(chain_of(model.predictor), plans.calibration())
    net = LIFNetwork.from_dense(model.predictor.linears(), [r.top for r in outputs[:-1]], config.lif)
    latents, actions = teacher_paths(plans)
    finetune_lif(
        net, latents, actions, config.lif_training, generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report("lif", {**row, "total_steps": config.lif_training.steps}),
    )  # fmt: skip
    return net


def teacher_paths(plans: Plans, samples: int = 16) -> tuple[Tensor, Tensor]:
    """Recorded rollouts as paths: latents (N, H+1, D) with the start in front, actions (N, H, A)."""
    latents = plans.latents_NISHD[:, :, :samples].flatten(0, 2)
    actions = plans.candidates_NISHA[:, :, :samples].flatten(0, 2)
    start = plans.latent_ND.repeat_interleave(len(latents) // len(plans.latent_ND), 0)
    return torch.cat([start[:, None], latents], 1), actions


def make_narrow(model: WorldModel, plans: Plans, width: int, config: DeriveConfig, report: Report) -> ResidualPredictor:
    """The teacher distilled into two hidden layers of `width`."""
    torch.manual_seed(model.seed)
    total = config.distillation.short_steps + config.distillation.steps
    net = ResidualPredictor(model.predictor.latent_dim, model.predictor.action_dim, (width, width))
    distil(
        net, *plans.rollouts(), config.distillation, generator=torch.Generator().manual_seed(model.seed),
        report=lambda row: report(f"narrow-{width}", {**row, "total_steps": total}),
    )  # fmt: skip
    return net


def train_task(config: TrainConfig, derive: DeriveConfig, out: Path, *, report: Report) -> dict[str, Any]:
    """The whole pipeline into `out`; returns the metrics that the headers carry. A stage whose file is there and was
    made with the same settings is not run again."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / config.task
    files = {kind: stem.with_suffix(f".{kind}safetensors") for kind in ("", "delta.", "lif.")}
    model = _known_model(files[""], config)
    if model is None:
        model = train(config, out, report=lambda row: report("world model", {**row, "total_steps": config.steps}))
        save_model(model, files[""])
    plans = record_plans(model, episodes=derive.record_episodes, seed=RECORD_SEED)
    made_with = {"task": config.task, "seed": config.seed, "derive": f"{derive}"}
    n = derive.validation_episodes

    dense = validation_success(model, DensePredictor(model.predictor), axis="none", episodes=n, ledger=None)

    def delta(source: ResidualPredictor, file: Path, name: str) -> Artifact:
        """The sigma-delta form of `source`, made unless `file` already holds it."""
        known = artifact_file.load(file) if file.exists() else None
        if known is not None and known.provenance.get("training") == f"{derive.delta}":
            return known
        made, layers = make_delta(model, source, plans, derive, report, name=name)
        choice = choose_threshold(model, made, dense, derive, report, name=name)
        made = replace(made, provenance={**made.provenance, **made_with, "layers": layers, "thresholds": choice})
        artifact_file.save(made, file)
        return made

    artifact = delta(model.predictor, files["delta."], "delta")
    if f"lif={derive.lif}, lif_training={derive.lif_training}" not in header(files["lif."]).get("derive", ""):
        lif = make_lif(model, plans, derive, report)
        success = validation_success(model, LIFPredictor(lif), axis="none", episodes=n, ledger=None)
        save_lif(lif, files["lif."], **made_with, validation_success=success)
    narrow_success = {}
    for width in derive.narrow_widths:
        file = stem.with_suffix(f".narrow-{width}.safetensors")
        if header(file).get("distillation") != f"{derive.distillation}":
            narrow = make_narrow(model, plans, width, derive, report)
            success = validation_success(model, DensePredictor(narrow), axis="none", episodes=n, ledger=None)
            save_narrow(narrow, file, **made_with, distillation=f"{derive.distillation}", validation_success=success)
        narrow_success[width] = header(file)["validation_success"]
        delta(load_narrow(file), stem.with_suffix(f".delta-{width}.safetensors"), f"delta-{width}")
    return {
        "task": config.task, "seed": config.seed, **model.metrics, "delta": artifact.provenance["thresholds"],
        "lif_validation_success": header(files["lif."])["validation_success"],
        "narrow_validation_success": narrow_success,
    }  # fmt: skip


def _known_model(path: Path, config: TrainConfig) -> WorldModel | None:
    if not path.exists():
        return None
    model = load_model(path)
    return model if model.config == json.loads(json.dumps(asdict(config))) else None
