"""Train a world model: clips -> encoder + predictor, checkpoint chosen by planning on validation episodes.

Longer training lowers the loss and can ruin the latent as a metric, so the loss does not choose: every
`validate_every` steps the model plans `validation_episodes` (seeds apart from all reported ones) and the best is kept.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.data import draw_clips
from spikeplan.worldmodel.encoder import Encoder, EncoderConfig
from spikeplan.worldmodel.gates import measure_gates
from spikeplan.worldmodel.losses import LossWeights, jepa_losses
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.predictors import PREDICTORS
from spikeplan.worldmodel.tasks import TASKS, make_world, task_of

VALIDATION_SEED = 7_000_000  # episodes and planner noise used to choose checkpoints and thresholds; never reported


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    task: str
    seed: int = 0
    steps: int = 1800
    schedule_steps: int = 2400  # length of the rate schedule; training stops before its end
    batch: int = 128
    frames: int = 4
    latent_dim: int = 32
    predictor: str = "residual"  # a name in PREDICTORS
    hidden: tuple[int, ...] = (256, 256)
    rate: float = 1e-3
    weight_decay: float = 1e-4
    average: float = 0.995  # decay of the averaged weights that are validated and shipped
    losses: LossWeights = field(default_factory=LossWeights)
    planner: CEMConfig = field(default_factory=CEMConfig)
    validate_every: int = 300
    validation_episodes: int = 100

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or self.frames < 2:
            raise UserError(f"train: steps {self.steps}, batch {self.batch}, frames {self.frames} must be >= 1, 2, 2")


def recipe(task: str, seed: int = 0) -> TrainConfig:
    """Settings that `spikeplan train` uses for a task; UserError where the task has none."""
    settings = task_of(task).recipe
    if settings is None:
        known = [name for name, one in TASKS.items() if one.recipe is not None]
        raise UserError(f"task {task!r} has no training recipe; use one of {', '.join(known)}")
    return TrainConfig(task=task, seed=seed, **settings)


class TrainingStopped(Exception):
    """`stop` said so; the state is in the run's directory and `train` goes on from there."""


class Trainer:
    """State of a run: everything that `resume` needs is in `state()`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.world = make_world(config.task)
        torch.manual_seed(config.seed)
        self.encoder = Encoder(EncoderConfig(image_shape=self.world.image_shape, latent_dim=config.latent_dim))
        make = PREDICTORS[config.predictor].make
        self.predictor = make(config.latent_dim, self.world.action_dim, config.hidden)
        self.inverse = nn.Sequential(
            nn.Linear(2 * config.latent_dim, 256), nn.ReLU(), nn.Linear(256, self.world.action_dim)
        )
        self.modules = nn.ModuleList([self.encoder, self.predictor, self.inverse])
        self.optimizer = torch.optim.AdamW(self.modules.parameters(), config.rate, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, config.rate, total_steps=max(config.steps, config.schedule_steps), pct_start=0.1
        )
        self.averaged = torch.optim.swa_utils.AveragedModel(
            self.modules, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.average), use_buffers=True
        )
        self.rng = np.random.default_rng([config.seed, 1])
        self.step = 0
        self.best: tuple[float, dict[str, Any]] | None = None
        self.history: list[dict[str, Any]] = []
        self.unvalidated: dict[str, Any] | None = None  # row of a step whose validation was cut short

    def state(self) -> dict[str, Any]:
        return {
            "modules": self.modules.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "best": self.best,
            "history": self.history,
            "unvalidated": self.unvalidated,
            "config": asdict(self.config),
        }

    def restore(self, state: dict[str, Any]) -> None:
        if state["config"] != asdict(self.config):
            raise UserError("train: the unfinished run in this directory has another config; remove it or use --out")
        self.modules.load_state_dict(state["modules"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.rng.bit_generator.state = state["rng"]
        self.step, self.best, self.history = state["step"], state["best"], state["history"]
        self.unvalidated = state.get("unvalidated")  # files of version 0.1 have none

    def run(self, until: int, report: Callable[[dict[str, Any]], None] | None = None) -> None:
        """The steps from the next one to number `until`; `report` gets a row after each, when the state may be saved."""

        def finished(step: int, row: dict[str, float]) -> None:
            self.averaged.update_parameters(self.modules)
            self.step = step
            if report:
                report({"step": step, **row})

        descend(
            range(self.step + 1, until + 1),
            self._losses,
            optimizer=self.optimizer,
            schedule=self.schedule,
            clip=lambda: nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0),
            progress=finished,
        )

    def _losses(self, step: int) -> dict[str, Tensor]:
        c = self.config
        self.modules.train()
        clips = draw_clips(self.world, c.batch, c.frames, self.rng)
        latent = self.encoder(clips.image_BTCHW.flatten(0, 1)).unflatten(0, (c.batch, c.frames))
        return jepa_losses(latent, clips.action_BTA / self.world.action_limit, self._scaled, self.inverse, c.losses)

    def _scaled(self, latent: Tensor, action: Tensor) -> Tensor:
        """The predictor takes world units; the losses hand it actions in units of the limit."""
        after: Tensor = self.predictor(latent, action * self.world.action_limit)
        return after

    def validate(self, progress: Callable[[int], None] | None = None) -> float:
        """Planning success on validation episodes; keeps the best weights. An exception from `progress` changes nothing."""
        averaged: Any = self.averaged.module.eval()
        encoder, predictor, _ = averaged
        success = plan_success(self.config, encoder, predictor, progress)
        if self.best is None or success >= self.best[0]:
            weights = {k: v.detach().clone() for k, v in self.averaged.module.state_dict().items()}
            self.best = (success, {"weights": weights, "step": self.step})
        return success

    def finish(self) -> WorldModel:
        """The chosen model, with its gates measured on held-out data."""
        if self.best is None:
            raise UserError("train: no validation was run; the unfinished run in this directory was longer; use --out")
        self.modules.load_state_dict(self.best[1]["weights"])
        self.modules.eval()
        rng = np.random.default_rng([self.config.seed, 2])
        gates = measure_gates(self.world, self.encoder, self.predictor, rng=rng)
        metrics = {"validation_success": self.best[0], "chosen_step": self.best[1]["step"], **gates}
        return WorldModel(
            self.config.task,
            self.encoder,
            self.predictor,
            self.config.planner,
            self.config.seed,
            metrics,
            asdict(self.config),
            self.config.predictor,
        )


def plan_success(
    config: TrainConfig,
    encoder: Encoder,
    predictor: nn.Module,
    progress: Callable[[int], None] | None = None,
) -> float:
    world = make_world(config.task)
    episodes = world.sample(config.validation_episodes, np.random.default_rng(VALIDATION_SEED))
    planner = CEMPlanner(
        DensePredictor(predictor), config.planner, action_dim=world.action_dim, action_limit=world.action_limit
    )
    outcome = run_episodes(
        world, ImageLatent(world, encoder), planner, episodes, seed=VALIDATION_SEED, progress=progress
    )
    return float(outcome.success_N.mean())


def train(
    config: TrainConfig,
    out: Path | None = None,
    *,
    report: Callable[[dict[str, Any]], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> WorldModel:
    """Train a world model to the end, or resume, if `out` holds an unfinished run.

    Args:
        config: `recipe(task, seed)` has a task's own settings.
        out: folder for the state of an unfinished run; None: nothing is kept.
        report: gets a dict per step.
        stop: is asked after every step and within validation; where it says True the state is saved.

    Raises TrainingStopped when stopped, and UserError for a damaged state. A resumed run ends with the same bytes as one
    that was never stopped.

    >>> model = train(recipe("two-room"), Path("runs/two-room"))
    >>> save_model(model, "runs/two-room.safetensors")
    """
    trainer = Trainer(config)
    unfinished = out / "unfinished.pt" if out else None
    if unfinished and unfinished.exists():
        try:
            trainer.restore(torch.load(unfinished, weights_only=True))
        except UserError:
            raise
        except (RuntimeError, EOFError, OSError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
            detail = (str(error).splitlines() or [repr(error)])[0]
            raise UserError(f"{unfinished}: damaged ({detail[:120]}); remove it to start over") from error

    def save() -> None:
        if unfinished:
            write_whole(unfinished, lambda part: torch.save(trainer.state(), part))

    def leave_if_asked(_: int = 0) -> None:
        if stop is not None and stop():
            save()
            raise TrainingStopped(f"stopped after step {trainer.step} of {config.steps}")

    began = time.monotonic()

    def conclude(row: dict[str, Any]) -> None:
        if trainer.step % config.validate_every == 0 or trainer.step == config.steps:
            trainer.unvalidated = row
            found = trainer.validate(leave_if_asked)
            row = {**row, "validation_success": found, "seconds": round(time.monotonic() - began, 1)}
            trainer.unvalidated = None
            trainer.history.append(row)
            save()
        if report:
            report(row)
        leave_if_asked()

    if trainer.unvalidated is not None:
        conclude(trainer.unvalidated)
    trainer.run(config.steps, conclude)
    model = trainer.finish()
    if unfinished:
        unfinished.unlink(missing_ok=True)
    return model
