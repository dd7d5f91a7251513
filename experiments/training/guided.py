"""Networks for planning a task with another task's world model and its policy: fine-tuned on what that planner asks.

OTHER/TASK.delta.safetensors     sigma-delta form of the whole predictor
OTHER/TASK.lif.safetensors       LIF form of it
OTHER/TASK.narrow-W.safetensors  dense predictor of width W, distilled
OTHER/TASK.delta-W.safetensors   the sigma-delta form of that one
OTHER/TASK.policy-delta[-W], .cost-to-go-delta[-W]   policy and cost-to-go fine-tuned together with it (acting.py)

TASK is the world model's, OTHER the one that is planned. All are made from the same records, judged by the planner's own cost;
the records are of episodes that are never reported. Tried and dropped: one network for all such tasks, which plans keep-out
worse, and one for the model's own task, which the plain network plans better.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.bundle import POLICY, TO_GO, load_bundle
from spikeplan.evaluation.fine_tuned import planner_of
from spikeplan.evaluation.network_files import LIF, header, load_narrow, save_lif, save_narrow
from spikeplan.evaluation.recorded_plans import RECORD_SEED, Recorded, calibration_of, record_refined
from spikeplan.experiments.training.acting import acting_stage
from spikeplan.experiments.training.derive import Report, make_delta, make_lif, narrowed, paths_of
from spikeplan.snn.finetune_acting import ActingTraining
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks import task_of

if TYPE_CHECKING:
    from spikeplan.experiments.training.train_task import Stage


def policy_of(stage: Stage, task: str) -> str:
    """The file that all are derived from, beside the world model: the task's own policy, or the plain one."""
    return f"{task}/{POLICY}" if task_of(task).teacher is not None else POLICY


def guided_stage(stage: Stage, task: str, name: str, report: Report) -> None:
    """Makes the files of one task: delta, lif, or narrow-W with its delta-W."""
    stage.file(f"{task}/delta").parent.mkdir(exist_ok=True)
    if name == "delta":
        _delta(stage, stage.model.predictor, task, f"{task}/delta", policy_of(stage, task), report)
    elif name == LIF:
        _lif(stage, task, report)
    else:
        narrow, width = f"{task}/{name}", int(name.partition("-")[2])
        _narrow(stage, task, width, narrow, report)
        _delta(stage, load_narrow(stage.file(narrow)), task, f"{task}/delta-{width}", narrow, report)


def _records(stage: Stage, task: str) -> Recorded:
    policy = file_digest(stage.file(policy_of(stage, task)))
    return records_of(stage.checkpoint, policy, task, stage.config.guided_episodes)


def recorded(stage: Stage, task: str) -> str:
    """What the records of a task are, as a file's header keeps it."""
    return f"{stage.config.guided_episodes} episodes of {planner_of(task) or 'its own planner'}"


@lru_cache(maxsize=1)
def records_of(checkpoint: Path, policy_sha256: str, task: str, episodes: int) -> Recorded:
    """What planning `task` asks, with policy and cost-to-go beside the checkpoint; recorded once for all stages of a process."""
    bundle, config = load_bundle(task, checkpoint=str(checkpoint)), planner_of(task)
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
    """Fine-tunes and converts `source`, which the file `of` holds; together with the task's own policy where it has one."""
    file, planner = stage.file(name), task_of(task).dearest
    training: DeltaTraining | ActingTraining = stage.config.guided
    if isinstance(planner, GuidedConfig) and task_of(task).teacher is not None:
        training = ActingTraining(copies=planner, shared=stage.config.acting)
    known = artifact_file.load(file).provenance if file.exists() else {}
    data = recorded(stage, task)
    size = name.removeprefix(f"{task}/delta")
    whole = isinstance(training, DeltaTraining) or _belong(stage, task, int(size[1:]) if size else None)
    if whole and (known.get("training"), known.get("records")) == (f"{training}", data) and stage.stands(known, of):
        return
    if isinstance(training, ActingTraining):
        rest: dict[str, Any] = {"task": task, "size": size, "of": of, "header": {"records": data}}
        acting_stage(stage, source, _records(stage, task), training, report, **rest)
        return
    artifact, layers = make_delta(
        stage.model, source, _records(stage, task).rollouts, training, stage.config, report, name=name, task=task
    )
    made = {**stage.made_with(of), **artifact.provenance, "layers": layers, "records": data}
    artifact_file.save(replace(artifact, provenance=made), file)


def _belong(stage: Stage, task: str, width: int | None) -> bool:
    """Whether policy and cost-to-go are there as the bundle takes them beside the predictor: made together with it, and from the
    dense ones as they are."""
    bundle = load_bundle(task, checkpoint=str(stage.checkpoint))
    try:
        return all(bundle.acting(kind, width) is not None for kind in (POLICY, TO_GO))
    except UserError:
        return False


def _lif(stage: Stage, task: str, report: Report) -> None:
    """The whole predictor in LIF spikes, on what the policy's copies imagine and do."""
    file, config, source = stage.file(f"{task}/{LIF}"), stage.config, policy_of(stage, task)
    training, known = f"{config.lif}, {config.guided_lif} on {recorded(stage, task)}", header(file)
    if known.get("training") == training and stage.stands(known, source):
        return
    copies, whole = _records(stage, task).rollouts[-1], replace(config, lif_training=config.guided_lif)
    net = make_lif(stage.model, calibration_of([copies]), paths_of(copies), whole, report, name=f"{task}/{LIF}")
    save_lif(net, file, **{**stage.made_with(source), "task": task, "training": training})


def _narrow(stage: Stage, task: str, width: int, name: str, report: Report) -> None:
    file, config = stage.file(name), stage.config
    recipe, known = f"{config.guided_distillation} on {recorded(stage, task)}", header(file)
    policy = policy_of(stage, task)
    if known.get("distillation") == recipe and stage.stands(known, policy):
        return
    narrow = narrowed(stage.model, _records(stage, task).rollouts, width, config.guided_distillation, report, name=name)
    save_narrow(narrow, file, **{**stage.made_with(policy), "task": task, "distillation": recipe})
