"""What a task asks of its planner beside reaching the goal."""

from __future__ import annotations

from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, TrueLatent
from spikeplan.worldmodel.planning.costs import COSTS, Avoid, Cost, LatentDistance, Sum
from spikeplan.worldmodel.planning.costs.margin import latent_margin
from spikeplan.worldmodel.tasks.world import KeepOut, World

WEIGHT = 30.0  # against a latent distance of one step; chosen on other episodes than the reported ones


def task_cost(
    world: World, latent_of: ImageLatent | TrueLatent, config: PlannerConfig, name: str | None = None
) -> Cost | None:
    """The cost that a plan of this task has: distance, or the cost of this name, and a price for places to keep out of.

    None where the planner's own, the latent distance, is all. Raises UserError for an unknown name.
    """
    kind = None if name is None else COSTS[name]
    own = None if kind is None else kind.make(world, latent_of, config)
    if kind is not None and kind.keeps_out:
        return own
    if not isinstance(world, KeepOut):
        return own
    avoid = Avoid(margin=latent_margin(world, latent_of), weight=WEIGHT)
    return Sum((LatentDistance.of(config) if own is None else own, avoid))
