"""Plan in TwoRoom with the dense predictor and with its spiking twin, on the same episodes, and compare success and cost.

    python examples/plan_two_room.py --episodes 50

A point robot must reach, through a door, the place that a goal image shows. The loop below is the whole job: encode, plan with
the cross-entropy method, act, look again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro

from spikeplan.core.counts.operations import OperationCounts, per_action
from spikeplan.core.ir.artifact import load
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import step_generator
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.tasks import make_world


@dataclass(frozen=True)
class Settings:
    task: str = "two-room"
    episodes: int = 20
    samples: int = 32  # candidates an iteration
    iterations: int = 4
    seed: int = 0


@torch.no_grad()
def plan(predictor: Any, model: Any, settings: Settings) -> tuple[float, float]:
    """Share of episodes that reach the goal, and synop-equivalents an action."""
    world = make_world(settings.task)
    config = model.planner.at(samples=settings.samples, iterations=settings.iterations)
    planner = CEMPlanner(predictor, config, action_dim=world.action_dim, action_limit=world.action_limit)
    sequential, interleaved = getattr(predictor, "pipeline_steps", (1, 1))
    counts = OperationCounts(
        method=type(predictor).__name__,
        reference="zero",
        precision=predictor.precision,
        spiking=predictor.spiking,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
    )
    planner.op_counts = counts

    start, goal, layout = world.sample(settings.episodes, np.random.default_rng(settings.seed))
    encode = model.encoder.eval()
    goal_latent = encode(torch.from_numpy(world.render(goal, layout)))
    pose, warm = start, None
    for step in range(world.max_steps):
        latent = encode(torch.from_numpy(world.render(pose, layout)))
        noise = planner.noise(len(start), step_generator(settings.seed, step))
        action, mean, _ = planner.plan(latent, goal_latent, noise, warm)
        warm = planner.shift(mean)
        pose = world.move(pose, action.numpy().astype(np.float64), layout)
        counts.actions += len(start)
    reached = world.distance(pose, goal) <= world.tolerance
    schedule = "interleaved" if predictor.spiking else "batched"
    return float(reached.mean()), per_action(counts.rows(schedule), counts.actions)


def main(settings: Settings) -> dict[str, tuple[float, float]]:
    path = shipped(settings.task)
    model = load_model(path)
    spiking = load(path.with_name(f"{settings.task}.delta.safetensors"))
    found = {
        "dense": plan(DensePredictor(model.predictor), model, settings),
        "spiking": plan(DeltaPredictor(spiking), model, settings),
    }
    print(f"{settings.episodes} episodes of {settings.task}, {settings.samples} candidates x {settings.iterations}")
    for name, (success, operations) in found.items():
        print(f"  {name:8} success {success:.2f}   {operations / 1e6:.1f} M synop-equivalents an action")
    return found


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
