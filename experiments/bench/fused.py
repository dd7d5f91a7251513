"""The fused kernel beside the planner in torch: elites, costs and actions of whole plans, on the same noise.

The kernel runs in Triton's interpreter, so that no GPU is needed; sums are in fp32 on both sides, in another order. What that may
change is stated before it is looked at:

    cost     sqrt(n) 2^-24 of it, n = H D + H (inputs + N1 + N2): a sum of n fp32 terms rounds n times by at most 2^-24, and
             roundings that are as often up as down add up as a random walk
    action   I (k + 4) 2^-24 of the limit: I refits sum k elites each, of which each is rounded four times

Two candidates whose costs are closer than twice the rounding may change places. Where that happens between the last elite and
the first that is none it is a tie: counted, and the plan is not followed further, since from there on the two plan from other
means. Everything else that differs is counted as different.
Shapes: B plans, S candidates, I iterations.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.job import EPISODE_SEED
from spikeplan.evaluation.shard import bundle_of
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, step_generator
from spikeplan.worldmodel.planning.fused import interpreted_plans
from spikeplan.worldmodel.planning.fused.planner import kernel_module
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor
from spikeplan.worldmodel.tasks import make_world

TASKS = ("two-room", "planar-reach")
PLANS = 100
MOST_SECONDS = 60.0
ULP = 2.0**-24  # of fp32: half a unit in the last place, the most that one rounding changes


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of `plans` plans: sets of elites that were compared, how many differ, how many were tied, and how many of these did change
    places; actions that differ; and the largest difference of a cost and an action, each in units of the rounding stated."""

    plans: int = 0
    elites_compared: int = 0
    elites_different: int = 0
    tied: int = 0
    tied_changed: int = 0
    actions_compared: int = 0
    actions_different: int = 0
    cost_off: float = 0.0
    action_off: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Agreement) -> Agreement:
        largest = {name: max(getattr(self, name), getattr(other, name)) for name in ("cost_off", "action_off")}
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__dataclass_fields__
            if name not in largest
        }
        return replace(self, **sums, **largest)


def cost_rounding(module: ResidualPredictor, config: CEMConfig) -> float:
    """Of a cost, as a share of it."""
    inputs = module.latent_dim + module.action_dim
    return float((config.horizon * (module.latent_dim + inputs + sum(module.hidden))) ** 0.5) * ULP


def action_rounding(config: CEMConfig) -> float:
    """Of an action, as a share of its limit."""
    return config.iterations * (config.elites + 4) * ULP


def agreement(
    wanted_IBS: Tensor,
    found_IBS: Tensor,
    rank_IBS: Tensor,
    wanted_BA: Tensor,
    found_BA: Tensor,
    *,
    elites: int,
    limit: float,
    cost_share: float,
    action_share: float,
) -> Agreement:
    """Costs, ranks and actions of the kernel (found) beside the planner's (wanted)."""
    iterations, plans, _ = wanted_IBS.shape
    counted = Agreement(plans=plans)
    for b in range(plans):
        changed = False
        for i in range(iterations):
            cost, own = wanted_IBS[i, b].double(), found_IBS[i, b].double()
            order = cost.argsort(stable=True)
            ours = set(torch.nonzero(rank_IBS[i, b] < elites)[:, 0].tolist())
            theirs = set(order[:elites].tolist())
            last = cost[order[elites - 1]]
            within = 2 * cost_share * last
            near = elites < len(cost) and bool(cost[order[elites]] - last <= within)
            swapped = [(cost[s] - last).abs() <= within for s in ours ^ theirs]
            changed = near and bool(swapped) and all(swapped)
            counted += Agreement(
                elites_compared=1,
                elites_different=int(ours != theirs and not changed),
                tied=int(near),
                tied_changed=int(changed),
                cost_off=float(((own - cost).abs() / cost).nan_to_num(nan=torch.inf).max()) / cost_share,
            )
            if changed:
                break
        if not changed:
            off = float((found_BA[b] - wanted_BA[b]).abs().max()) / (limit * action_share)
            counted += Agreement(actions_compared=1, actions_different=int(not off <= 1), action_off=off)
    return counted


def compare_plans(task: str, plans: int) -> Agreement:
    """`plans` plans of a shipped task from the starts of its episodes to their goals, in images, at the full budget.

    Raises UserError where Triton is not installed.

    >>> compare_plans("two-room", 10).elites_different
    0
    """
    model, world = bundle_of(task, None, None).model, make_world(task)
    episodes = world.sample(plans, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, model.encoder)
    latent_BD = latent_of(episodes.start_NP, episodes.layout_NL)
    goal_BD = latent_of(episodes.goal_NP, episodes.layout_NL)
    config, limit = model.planner, world.action_limit
    planner = CEMPlanner(DensePredictor(model.predictor), config, action_dim=world.action_dim, action_limit=limit)
    noise = planner.noise(plans, step_generator(0, 0))
    wanted_BA, _, wanted = planner.plan(latent_BD, goal_BD, noise)
    began = time.perf_counter()
    found_BA, found = interpreted_plans(model.predictor, config, latent_BD, goal_BD, noise, action_limit=limit)
    seconds = time.perf_counter() - began
    counted = agreement(
        wanted.cost_IBS,
        found.cost_IBS,
        found.rank_IBS,
        wanted_BA,
        found_BA,
        elites=config.elites,
        limit=limit,
        cost_share=cost_rounding(model.predictor, config),
        action_share=action_rounding(config),
    )
    return replace(counted, seconds=seconds)


def fused_rows(plans: int = PLANS) -> list[BenchRow]:
    """Rows of `spikeplan bench energy`; where Triton is missing they say so.

    >>> fused_rows()[0].name
    'fused_elites_different'
    """
    try:
        kernel_module()
    except UserError as error:
        return [BenchRow(name="fused_elites_different", ours=None, unit=f"not measured: {error}", goal="0")]
    found = Agreement()
    for task in TASKS:
        found += compare_plans(task, plans // len(TASKS))
    return rows_of(found)


def rows_of(found: Agreement) -> list[BenchRow]:
    return [
        BenchRow(
            name="fused_elites_different",
            ours=found.elites_different,
            other=found.elites_compared,
            unit=f"sets of elites that differ, and all of {found.plans} plans",
            goal="0",
            holds=found.elites_compared > 0 and found.elites_different == 0,
        ),
        BenchRow(
            name="fused_elites_tied",
            ours=found.tied_changed,
            other=found.tied,
            unit="sets of elites that changed within the rounding, and all whose last place is as close",
        ),
        BenchRow(
            name="fused_actions_different",
            ours=found.actions_different,
            other=found.actions_compared,
            unit=f"actions beyond the rounding, and all; the furthest is {found.action_off:.2g} of it",
            goal="0",
            holds=found.actions_compared > 0 and found.actions_different == 0,
        ),
        BenchRow(
            name="fused_cost_off",
            ours=found.cost_off,
            other=1.0,
            unit="largest difference of a cost, in units of the rounding stated",
            goal="<= 1",
            holds=found.cost_off <= 1,
        ),
        BenchRow(
            name="fused_seconds",
            ours=found.seconds,
            unit=f"s in Triton's interpreter on one core for {found.plans} plans",
            goal=f"<= {MOST_SECONDS:g}",
            holds=found.seconds <= MOST_SECONDS,
        ),
    ]
