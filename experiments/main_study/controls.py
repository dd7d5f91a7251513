"""Gates and controls of a world model: trained, untrained, shuffled actions, collapsed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.rows import GatesRow
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.gates import measure_gates
from spikeplan.worldmodel.losses import LossWeights
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.train import VALIDATION_SEED, Trainer, recipe


class ShuffledActions(ResidualPredictor):
    """Control: the right network, told another candidate's actions."""

    def forward(self, latent: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return super().forward(latent, action.roll(1, 0 if action.dim() == 2 else 1))


def _success(task: str, encoder: Encoder, predictor: ResidualPredictor, episodes: int) -> float:
    world = make_world(task)
    model = load_bundle(task).model
    planner = CEMPlanner(
        DensePredictor(predictor), model.planner, action_dim=world.action_dim, action_limit=world.action_limit
    )
    drawn = world.sample(episodes, np.random.default_rng(VALIDATION_SEED + 2))
    return float(
        run_episodes(world, ImageLatent(world, encoder), planner, drawn, seed=VALIDATION_SEED + 2).success_N.mean()
    )


def collapsed(task: str, steps: int) -> tuple[Encoder, ResidualPredictor]:
    """The recipe without its anti-collapse terms."""
    none = LossWeights(variance=0.0, covariance=0.0, time=1.0, inverse=0.0)
    trainer = Trainer(replace(recipe(task), losses=none, steps=steps, batch=32))
    trainer.run(steps)
    trainer.modules.eval()
    return trainer.encoder, trainer.predictor


def gates_row(task: str, *, episodes: int, steps: int) -> GatesRow:
    """Gates of the shipped model beside those of the controls, and what each control plans like."""
    model = load_bundle(task).model
    world = make_world(task)
    torch.manual_seed(0)
    blank = Encoder(model.encoder.config)
    d, a, hidden = model.predictor.latent_dim, model.predictor.action_dim, model.predictor.hidden
    untrained = ResidualPredictor(d, a, hidden)
    shuffled = ShuffledActions(d, a, hidden)
    shuffled.load_state_dict(model.predictor.state_dict())
    flat_encoder, flat_predictor = collapsed(task, steps)
    return GatesRow(
        task=task,
        trained=model.metrics,
        untrained=measure_gates(world, blank, untrained, rng=np.random.default_rng(3), clips=64),
        collapsed=measure_gates(world, flat_encoder, flat_predictor, rng=np.random.default_rng(3), clips=64),
        success={
            "trained": _success(task, model.encoder, model.predictor, episodes),
            "untrained predictor": _success(task, model.encoder, untrained, episodes),
            "shuffled actions": _success(task, model.encoder, shuffled, episodes),
            "collapsed": _success(task, flat_encoder, flat_predictor, episodes),
        },
    )
