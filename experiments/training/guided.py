"""Networks for planning a task with another task's world model and its policy: fine-tuned on what that planner asks.

TASK.delta-guided-OTHER.safetensors     sigma-delta form of the whole predictor
TASK.narrow-W-OTHER.safetensors         dense predictor of width W, distilled
TASK.delta-W-guided-OTHER.safetensors   the sigma-delta form of that one

TASK is the world model's, OTHER the one that is planned. All are made from the same records, judged by the planner's own cost;
the records are of episodes that are never reported. Tried and dropped: one network for all such tasks, which plans keep-out
worse, and one for the model's own task, which the plain network plans better.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from spikeplan.core.files import file_digest
from spikeplan.core.guided_planning import RefinedConfig
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.bundle import header, load_bundle, load_narrow, save_narrow
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_refined
from spikeplan.experiments.training.derive import Report, make_delta, narrowed
from spikeplan.snn.finetune_delta import Rollouts
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks import task_of

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage

POLICY = "policy"  # the file that all are derived from, beside the world model that it was made with


def guided_stage(stage: Stage, task: str, width: int | None, report: Report) -> None:
    """Makes the files of one task and width; None: of the whole predictor, sigma-delta alone."""
    if width is None:
        _delta(stage, stage.model.predictor, task, f"delta-guided-{task}", POLICY, report)
        return
    narrow = f"narrow-{width}-{task}"
    _narrow(stage, task, width, narrow, report)
    _delta(stage, load_narrow(stage.file(narrow)), task, f"delta-{width}-guided-{task}", narrow, report)


def _records(stage: Stage, task: str) -> list[Rollouts]:
    return records_of(stage.checkpoint, file_digest(stage.file(POLICY)), task, stage.config.guided_episodes)


def recorded(stage: Stage, task: str) -> str:
    """What the records of a task are, as a file's header keeps it."""
    return f"{stage.config.guided_episodes} episodes of {task_of(task).planner or 'its own planner'}"


@lru_cache(maxsize=1)
def records_of(checkpoint: Path, policy_sha256: str, task: str, episodes: int) -> list[Rollouts]:
    """What planning `task` as it is planned best, with policy and cost-to-go beside the checkpoint, asks; recorded once for all
    stages of a process."""
    bundle, planner = load_bundle(task, checkpoint=str(checkpoint)), task_of(task).planner
    config = planner if isinstance(planner, RefinedConfig) else None
    return record_refined(
        bundle.model,
        bundle.policy(),
        task,
        episodes=episodes,
        seed=RECORD_SEED,
        config=config,
        value=bundle.cost_to_go() if config is not None and config.to_go else None,
    )


def _delta(stage: Stage, source: ResidualPredictor, task: str, name: str, of: str, report: Report) -> None:
    """Fine-tunes and converts `source`, which the file `of` holds."""
    file, training = stage.file(name), stage.config.guided
    known = artifact_file.load(file).provenance if file.exists() else {}
    data = recorded(stage, task)
    if (known.get("training"), known.get("records")) == (f"{training}", data) and stage.stands(known, of):
        return
    artifact, layers = make_delta(
        stage.model, source, _records(stage, task), training, stage.config, report, name=name, task=task
    )
    made = {**stage.made_with(of), **artifact.provenance, "layers": layers, "records": data}
    artifact_file.save(replace(artifact, provenance=made), file)


def _narrow(stage: Stage, task: str, width: int, name: str, report: Report) -> None:
    file, config = stage.file(name), stage.config
    recipe, known = f"{config.guided_distillation} on {recorded(stage, task)}", header(file)
    if known.get("distillation") == recipe and stage.stands(known, POLICY):
        return
    narrow = narrowed(stage.model, _records(stage, task), width, config.guided_distillation, report, name=name)
    save_narrow(narrow, file, **{**stage.made_with(POLICY), "task": task, "distillation": recipe})
