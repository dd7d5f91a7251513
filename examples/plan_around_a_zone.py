"""Plan around places that are known only when a plan is made, with a cost of your own, dense and in spikes.

    python examples/plan_around_a_zone.py --episodes 50

In the task keep-out a disc lies on the way, and the planner is shown images of its inside. The world model never saw one. The
policy was cloned from searches round other discs and is told where this one is: alone it walks into it every other time. A few
copies of it, imagined in the model and priced, go round; CEM that starts from them does no better. The cost below adds a price
for detours to the task's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import tyro
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts, per_action
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig, RefinedConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.costs import Goal, Sum
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.tasks import make_world, task_of


@dataclass(frozen=True)
class Settings:
    task: str = "keep-out"
    episodes: int = 20
    copies: int = 8  # of the policy, imagined side by side
    samples: int = 32  # CEM's candidates an iteration
    horizon: int = 8  # of the search; the copies look as far as the task's planner
    detour: float = 0.1  # weight of the price for detours
    seed: int = 0


@dataclass(frozen=True)
class Detour:
    """weight * sum_t |z[t+1] - z[t]|_1: long ways through the latent space cost more."""

    weight: float

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor:
        return self.weight * latents_BSHD.diff(dim=2).abs().sum((-1, -2))

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        return 2 * latent_dim * (horizon - 1)


@torch.no_grad()
def plan(method: str, config: PlannerConfig, settings: Settings) -> tuple[float, float]:
    """Share of episodes that reach the goal and enter no disc, and synop-equivalents an action."""
    world, bundle = make_world(settings.task), load_bundle(settings.task)
    predictor = METHODS[method].predictor(Site(bundle))
    sequential, interleaved = predictor.pipeline_steps
    counts = OperationCounts(
        method=method,
        reference="zero",
        precision=predictor.precision,
        spiking=predictor.spiking,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
        policy_steps=getattr(predictor, "policy_steps", None),
    )
    encode = ImageLatent(world, bundle.model.encoder)
    own = task_cost(world, encode, config)
    assert own is not None, "a task with places has a price for them"
    planner = PLANNERS[METHODS[method].planner].make(
        predictor,
        config,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        op_counts=counts,
        evaluator=Sum((own, Detour(settings.detour))),
    )
    episodes = world.sample(settings.episodes, np.random.default_rng(settings.seed))
    outcome = run_episodes(world, encode, planner, episodes, seed=settings.seed)
    schedule = "interleaved" if predictor.spiking else "batched"
    planned = [row for row in counts.rows(schedule) if row.phase != "encoder"]  # every method pays the same encoder
    return float(outcome.success_N.mean()), per_action(planned, counts.actions)


def main(settings: Settings) -> dict[str, tuple[float, float]]:
    own = task_of(settings.task).planner
    if settings.episodes < 1 or not isinstance(own, GuidedConfig):
        raise SystemExit(
            f"error: {settings.episodes} episodes of {settings.task}: at least one, of keep-out or keep-out-two"
        )
    guided = own.at(samples=settings.copies)
    refined = RefinedConfig(
        samples=settings.samples, elites=4, iterations=3, horizon=settings.horizon, chunk=2, copies=settings.copies
    )
    asked: dict[str, PlannerConfig] = {
        "policy": DirectConfig(),
        "guided": guided,
        "guided-sigma_delta": guided,
        "refined": refined,
        "refined-sigma_delta": refined,
    }
    print(
        f"{settings.episodes} episodes of {settings.task}; these discs were never seen in training; the encoder is left out"
    )
    results = {}
    for method, config in asked.items():
        results[method] = success, operations = plan(method, config, settings)
        print(
            f"  {method:20} success {success:.2f}   {operations / 1e6:6.2f} M synop-equivalents an action", flush=True
        )
    return results


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
