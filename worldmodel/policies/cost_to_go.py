"""The policy's cost-to-go: what is left to pay from a latent on, if the policy goes on acting in the model.

    V(z, g) = sum_{t=1..ahead} |z[t] - g|_1;    z[t+1] = predictor(z[t], policy(z[t], g)),    z[0] = z

A planner that adds it at the end of a short horizon sees as far as one with a long horizon, for one small network a candidate.
It knows nothing of places to keep out of, which are known only at plan time: a planner weighs it below the distance.
Shapes: N pairs, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.policies.base import GoalPolicy, Pairs, Report
from spikeplan.worldmodel.policies.training import fit

HEADROOM = 1.25  # of the largest cost that was seen


@dataclass(frozen=True, kw_only=True)
class CostToGoConfig:
    """How a cost-to-go is trained.

    Args:
        ahead: steps that are summed.
        episodes: that the states come from. With 32 it knew too few goals: it told .65 of the variance of what is left on
            keep-out, with 300 .98.
        pairs: states that it is fitted to, at most. `steps`, `rows`, `rate`: of the fit, as a policy's.
    """

    hidden: tuple[int, ...] = (64, 64)
    ahead: int = 20
    episodes: int = 300
    pairs: int = 200_000
    steps: int = 6000
    rows: int = 512
    rate: float = 2e-3

    def __post_init__(self) -> None:
        for name in ("ahead", "episodes", "pairs", "steps", "rows"):
            if getattr(self, name) < 1:
                raise UserError(f"cost-to-go: {name} {getattr(self, name)} must be at least 1")
        if not self.hidden or min(self.hidden) < 1:
            raise UserError(f"cost-to-go: hidden {self.hidden} must be widths of at least 1")


@torch.no_grad()
def costs_to_go(model: WorldModel, policy: GoalPolicy, latent_ND: Tensor, goal_ND: Tensor, ahead: int) -> Tensor:
    """V of each pair (N), by acting: what the network is fitted to."""
    cost, z = latent_ND.new_zeros(len(latent_ND)), latent_ND
    for _ in range(ahead):
        z = model.predictor(z, policy(z, goal_ND))
        cost = cost + (z - goal_ND).abs().sum(-1)
    return cost


def fit_cost_to_go(
    model: WorldModel,
    policy: GoalPolicy,
    latent_ND: Tensor,
    goal_ND: Tensor,
    config: CostToGoConfig,
    *,
    generator: torch.Generator,
    report: Report,
) -> GoalPolicy:
    """A network of one output; `action_limit` is the largest cost that it tells.

    Raises UserError where there is no pair.

    >>> value = fit_cost_to_go(model, policy, latent_ND, goal_ND, CostToGoConfig(), generator=g, report=print)
    >>> value(latent_ND, goal_ND)[:, 0]
    """
    if not len(latent_ND):
        raise UserError("cost-to-go: no state was recorded; plan more episodes")
    chosen = torch.randperm(len(latent_ND), generator=generator)[: config.pairs]
    latent_ND, goal_ND = latent_ND[chosen], goal_ND[chosen]
    cost_N = costs_to_go(model, policy, latent_ND, goal_ND, config.ahead)
    top = HEADROOM * float(cost_N.max().clamp_min(1e-6))
    net = GoalPolicy(policy.latent_dim, 1, action_limit=top, hidden=config.hidden)
    pairs = Pairs(latent_ND, goal_ND, cost_N[:, None])
    fit(net, pairs, config, generator=generator, report=report, stage="cost-to-go")
    return net
