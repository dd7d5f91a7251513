"""`spikeplan train --task TASK --predictors KIND,KIND`: predictors of other shapes, distilled from the task's dense one.

OTHER/TASK.KIND.safetensors   a predictor of KIND for planning OTHER with TASK's world model

They learn from the records that the narrow networks of the task learn from, with the same two losses. A step of theirs takes ten
to thirty times as long as one of a narrow network, so they get fewer and smaller ones: what three training seeds are worth can be
made in half an hour on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.evaluation.bundle import Bundle
from spikeplan.evaluation.fine_tuned import planner_of
from spikeplan.evaluation.recorded_plans import RECORD_SEED, Recorded, record_refined
from spikeplan.worldmodel.distil import Distillation, distil
from spikeplan.worldmodel.predictor_file import save_predictor
from spikeplan.worldmodel.predictors import PREDICTORS
from spikeplan.worldmodel.tasks import task_of

EPISODES = 256  # recorded
DISTILLATION = Distillation(short_steps=6000, short_rows=128, steps=1500, records=8, candidates=8)
Report = Callable[[str, dict[str, Any]], None]


def predictor_path(bundle: Bundle, kind: str) -> Path:
    """The file of a predictor of `kind` beside the other networks of the bundle's task."""
    return bundle.beside(f"{bundle.task}/{kind}")


def check_teacher(task: str) -> None:
    """Raises UserError for a task without a teacher."""
    if task_of(task).teacher is None:
        raise UserError(f"train: task {task} has no teacher to learn other predictors from; use keep-out")


def recorded_for(bundle: Bundle, episodes: int = EPISODES, *, judged_by: str | None = None) -> Recorded:
    """What planning the bundle's task asks of its dense predictor. `judged_by`: the cost, by name, that copies are judged by in
    fine-tuning; None: the task's own. Raises UserError for a task without a teacher."""
    check_teacher(bundle.task)
    return record_refined(
        bundle.model,
        bundle.policy(),
        bundle.task,
        episodes=episodes,
        seed=RECORD_SEED,
        config=planner_of(bundle.task),
        value=bundle.cost_to_go(),
        judged_by=judged_by,
    )


def distilled(
    bundle: Bundle, kind: str, records: Recorded, config: Distillation, *, seed: int, report: Report
) -> nn.Module:
    """A predictor of `kind` with its own widths. `seed`: of its first weights and of the batches."""
    teacher, total = bundle.model.predictor, config.short_steps + config.steps
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net: nn.Module = PREDICTORS[kind].make(teacher.latent_dim, teacher.action_dim)
    distil(
        net,
        records.rollouts,
        config,
        generator=torch.Generator().manual_seed(seed),
        report=lambda row: report(kind, {**row, "total_steps": total}),
    )
    return net


def train_predictor(
    bundle: Bundle,
    kind: str,
    records: Recorded,
    path: Path,
    *,
    seed: int,
    report: Report,
    config: Distillation = DISTILLATION,
) -> nn.Module:
    """Distils one and writes it, with what it was made from."""
    net = distilled(bundle, kind, records, config, seed=seed, report=report)
    save_predictor(
        net,
        kind,
        path,
        task=bundle.task,
        seed=seed,
        teacher_sha256=file_digest(bundle.model_path),
        policy_sha256=file_digest(bundle.policy_path),
        distillation=f"{config}",
        records=f"{len(records.starts.latent_ND)} plans of {planner_of(bundle.task)}, episodes of seed {RECORD_SEED}",
    )
    return net
