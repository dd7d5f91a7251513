"""`spikeplan train TASK`: world model, then everything that is derived from it, into one directory.

TASK.safetensors         encoder + predictor (checkpoint chosen by planning on validation episodes)
TASK.delta.safetensors   sigma-delta artifact, event-rate fine-tuned, thresholds learned, factor chosen on validation
TASK.lif.safetensors     LIF network, fine-tuned with surrogate gradients
TASK.narrow-W.safetensors  dense predictor of width W, distilled: the opponent that spends fewer MACs honestly
TASK.delta-W.safetensors   the sigma-delta form of that one
TASK.pruned-P.safetensors  dense predictor of which P % of the weights are zero, distilled again
TASK.policy.safetensors    amortised policy: cloned from the dense planner
TASK.policy-lif.safetensors  the LIF form of that one, fine-tuned with surrogate gradients to its actions
TASK.cost-to-go.safetensors  what that policy still has to pay, for the end of a planner's horizon; cost-to-go-lif, its LIF form
OTHER/TASK.policy.safetensors  for each task that is planned with this world model, told of its places (`told.py`)
OTHER/TASK.delta, .lif, .narrow-W, .delta-W   the same networks for planning it with that policy (`guided.py`)
OTHER/TASK.policy-delta[-W], .cost-to-go-delta[-W]   that policy and cost-to-go, fine-tuned together with delta[-W] (`acting.py`)

The derived networks need only the world model, so each is made in a process of its own; the last need the policy, too. A stage
whose file is there, was derived from the same source and with the same settings is not run again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.conversion.upgrade import as_trained, at_operating_point
from spikeplan.core.files import file_digest
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.bundle import POLICY, TO_GO, derived
from spikeplan.evaluation.network_files import LIF, POLICY_LIF, header, load_narrow, save_lif, save_narrow
from spikeplan.evaluation.recorded_plans import RECORD_SEED, Plans, record_plans
from spikeplan.evaluation.threshold_search import choose_thresholds, validation_success
from spikeplan.experiments.runner.interrupts import signals_wait
from spikeplan.experiments.runner.pool import run_reporting
from spikeplan.experiments.training.cost_to_go import to_go_stage
from spikeplan.experiments.training.derive import (
    DeriveConfig,
    Report,
    make_delta,
    make_lif,
    make_narrow,
    make_pruned,
    paths_of,
)
from spikeplan.experiments.training.guided import guided_stage
from spikeplan.experiments.training.lif_policy import lif_policy_stage
from spikeplan.experiments.training.told import told_stage
from spikeplan.snn.lif_predictor import LIFPredictor
from spikeplan.worldmodel.checkpoint import WorldModel, load_model, save_model
from spikeplan.worldmodel.policies import GoalPolicy
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.policy_file import FILE as POLICY_FILE
from spikeplan.worldmodel.policies.policy_file import PolicyMeta, load_policy, made_so, save_policy
from spikeplan.worldmodel.policies.training import policy_success, train_policy
from spikeplan.worldmodel.predictor import DensePredictor, Predictor, ResidualPredictor
from spikeplan.worldmodel.tasks import TASKS, make_world
from spikeplan.worldmodel.train import TrainConfig, train


@dataclass(frozen=True)
class Stage:
    """`name`: delta, guided, told, lif, policy, policy-lif, cost-to-go, pruned-P, or narrow-W (with delta-W). `dense`: its
    success of every validation episode."""

    name: str
    checkpoint: Path
    config: DeriveConfig
    dense: tuple[float, ...]

    @property
    def model(self) -> WorldModel:
        return load_model(self.checkpoint)

    @property
    def policy(self) -> GoalPolicy:
        """The one that stands in the same folder."""
        model = self.model
        sizes = {"latent_dim": model.predictor.latent_dim, "action_dim": model.predictor.action_dim}
        return load_policy(self.file("policy"), task=model.task, **sizes)

    def file(self, name: str) -> Path:
        return derived(self.checkpoint, name)

    def made_with(self, source: str = "") -> dict[str, Any]:
        """`source`: name of the file that the network was derived from; "" is the world model."""
        digest = file_digest(self.file(source) if source else self.checkpoint)
        return {"task": self.model.task, "seed": self.model.seed, "derive": f"{self.config}", "source_sha256": digest}

    def stands(self, made: dict[str, Any], source: str = "") -> bool:
        """Whether a file with this header was derived from the source as it is now."""
        return bool(made.get("source_sha256") == self.made_with(source)["source_sha256"])

    def success(self, predictor: Predictor, episodes: int) -> NDArray[np.float64]:
        """Of the first `episodes` validation episodes."""
        total = self.config.choice.episodes
        return validation_success(self.model, predictor, reference="zero", part=slice(0, episodes), episodes=total)


@lru_cache(maxsize=1)
def plans_of(checkpoint: Path, episodes: int) -> Plans:
    return record_plans(load_model(checkpoint), episodes=episodes, seed=RECORD_SEED)


def run_stage(stage: Stage, report: Report) -> None:
    """Makes the files of one stage; the form that travels to a worker process."""
    if stage.name == POLICY:
        policy_stage(stage, report)
        return
    if stage.name == POLICY_LIF:
        lif_policy_stage(stage, stage.model.task, POLICY, stage.config, report)
        return
    if stage.name == TO_GO:
        to_go_stage(stage, report)
        return
    plans = plans_of(stage.checkpoint, stage.config.record_episodes)
    if stage.name == "delta":
        delta_stage(stage, stage.model.predictor, "delta", plans, report)
    elif stage.name == "lif":
        lif_stage(stage, plans, report)
    elif stage.name.startswith("pruned"):
        narrow_stage(stage, plans, report)
    else:
        narrow_stage(stage, plans, report)
        narrow, name = load_narrow(stage.file(stage.name)), stage.name.replace("narrow", "delta")
        delta_stage(stage, narrow, name, plans, report, of=stage.name)


def delta_stage(
    stage: Stage, source: ResidualPredictor, name: str, plans: Plans, report: Report, *, of: str = ""
) -> None:
    """`of`: name of the file that holds `source`; "" is the world model."""
    file, config = stage.file(name), stage.config
    artifact: Artifact | None = artifact_file.load(file) if file.exists() else None
    known = artifact.provenance if artifact is not None else {}
    if artifact is None or known.get("training") != f"{config.delta}" or not stage.stands(known, of):
        data = [plans.rollouts()]
        artifact, layers = make_delta(
            stage.model, source, data, config.delta, config, report, name=name, task=stage.model.task
        )
        artifact = replace(artifact, provenance={**artifact.provenance, **stage.made_with(of), "layers": layers})
        artifact_file.save(artifact, file)
    if artifact.provenance.get("thresholds", {}).get("settings") == f"{config.choice}":
        return
    if name == "delta":
        source_success = np.array(stage.dense)
    else:
        source_success = stage.success(DensePredictor(source), config.choice.episodes)
    choice = choose_thresholds(
        stage.model,
        as_trained(artifact),
        plans.thin(8),
        source_success,
        config.choice,
        lambda row: report(f"{name} thresholds", row),
    )
    told = replace(artifact, provenance={**artifact.provenance, "thresholds": choice})
    artifact_file.save(at_operating_point(told, choice["chosen"]["reference"], choice["chosen"]["factor"]), file)


def lif_stage(stage: Stage, plans: Plans, report: Report) -> None:
    config = stage.config
    known = header(stage.file("lif"))
    if f"lif={config.lif}, lif_training={config.lif_training}" in known.get("derive", "") and stage.stands(known):
        return
    lif = make_lif(stage.model, plans.calibration(), paths_of(plans.rollouts()), config, report)
    success = float(stage.success(LIFPredictor(lif), config.validation_episodes).mean())
    save_lif(lif, stage.file("lif"), **stage.made_with(), validation_success=success)


def policy_stage(stage: Stage, report: Report) -> None:
    """From the world model and its planner alone."""
    config, recipe = replace(stage.config.policy, seed=stage.model.seed), stage.config.policy_recipe
    file, source = stage.file(POLICY), file_digest(stage.checkpoint)
    if made_so(file, recipe=recipe, config=config, source_sha256=source):
        return
    policy = train_policy(stage.model, recipe, config, report=report)
    success = float(policy_success(stage.model, DensePolicy(policy), stage.config.validation_episodes).mean())
    meta = PolicyMeta(
        task=stage.model.task, recipe=recipe, config=config, source_sha256=source, validation_success=success
    )
    save_policy(policy, file, meta)


def narrow_stage(stage: Stage, plans: Plans, report: Report) -> None:
    """narrow-W or pruned-P."""
    kind, _, size = stage.name.partition("-")
    make, recipe = (
        (make_pruned, f"{stage.config.pruning}") if kind == "pruned" else (make_narrow, f"{stage.config.distillation}")
    )
    file = stage.file(stage.name)
    known = header(file)
    if known.get("distillation") == recipe and stage.stands(known):
        return
    narrow = make(stage.model, plans, int(size), stage.config, report)
    success = float(stage.success(DensePredictor(narrow), stage.config.validation_episodes).mean())
    save_narrow(narrow, file, **stage.made_with(), distillation=recipe, validation_success=success)


def train_task(
    config: TrainConfig, derive: DeriveConfig, out: Path, *, report: Report, workers: int | None = None
) -> dict[str, Any]:
    """The whole pipeline into `out`; returns the metrics that the headers carry."""
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"{config.task}.safetensors"
    model = _known_model(checkpoint, config)
    if model is None:
        model = train_world_model(config, out, checkpoint, report)
    dense = tuple(dense_success(model, derive, report).tolist())
    names = ["policy", "lif", "delta", *(f"narrow-{width}" for width in sorted(derive.narrow_widths, reverse=True))]
    names += [f"pruned-{percent}" for percent in derive.pruned_percent]
    stages = [Stage(name, checkpoint, derive, dense) for name in names]
    run_reporting(run_stage, [(stage,) for stage in stages], report, workers=workers)
    users = [name for name, task in TASKS.items() if task.trained_on == config.task]
    of_policy = [(Stage(name, checkpoint, derive, dense),) for name in (POLICY_LIF, TO_GO)]
    run_reporting(run_stage, of_policy, report, workers=workers)
    run_reporting(told_stage, [(replace(stages[0], name="told"), user) for user in users], report, workers=workers)
    names = ["delta", LIF, *(f"narrow-{width}" for width in sorted(derive.guided_widths, reverse=True))]
    if users:
        guided = [(replace(stages[0], name="guided"), user, name) for user in users for name in names]
        run_reporting(guided_stage, guided, report, workers=workers)
    first = stages[0]
    made = POLICY_FILE.header(first.file("policy"))
    return {
        "task": config.task,
        "seed": config.seed,
        **model.metrics,
        "delta": artifact_file.load(first.file("delta")).provenance["thresholds"],
        "policy_validation_success": made["validation_success"],
        "policy_lif_validation_success": header(first.file(POLICY_LIF))["validation_success"],
        "lif_validation_success": header(first.file("lif"))["validation_success"],
        "narrow_validation_success": {
            width: header(first.file(f"narrow-{width}"))["validation_success"] for width in derive.narrow_widths
        },
        "pruned_validation_success": {
            percent: header(first.file(f"pruned-{percent}"))["validation_success"] for percent in derive.pruned_percent
        },
    }


def train_world_model(config: TrainConfig, out: Path, checkpoint: Path, report: Report) -> WorldModel:
    """A signal takes effect between two steps, with the state saved; the finished network is saved before it does."""
    with signals_wait() as asked:
        model = train(
            config,
            out,
            report=lambda row: report("world model", {**row, "total_steps": config.steps}),
            stop=asked,
        )
        save_model(model, checkpoint)
    return model


def dense_success(model: WorldModel, derive: DeriveConfig, report: Report) -> NDArray[np.float64]:
    """Dense planning on all validation episodes: what every derived network is paired with."""
    total, planned = derive.choice.episodes, 0

    def progress(episodes: int) -> None:
        nonlocal planned
        planned += episodes
        report("dense validation", {"step": planned, "total_steps": total * steps})

    steps = make_world(model.task).max_steps
    predictor = DensePredictor(model.predictor)
    return validation_success(
        model, predictor, reference="zero", part=slice(0, total), episodes=total, progress=progress
    )


def _known_model(path: Path, config: TrainConfig) -> WorldModel | None:
    if not path.exists():
        return None
    model = load_model(path)
    return model if model.config == json.loads(json.dumps(asdict(config))) else None
