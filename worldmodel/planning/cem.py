"""Cross-entropy method over imagined latent futures.

    a[s] = clip(mu + sigma * eps[s]),  s = 1..S;  a[0] = mu            candidates
    z[t+1] = predictor(z[t], a[s, t]),  t = 0..H-1                      rollout, one call a step for all B x S
    J[s] = sum_t |z[t] - z_goal|   (or the last step; or squared)       energy
    mu, sigma = mean, std of the k candidates with the least J          refit, I times
                (spread "mad": sqrt(pi/2) mean |a - mu|, which needs no root: what the integer planner takes)

Noise is an argument: eps is drawn once per control step and reused over iterations (common random numbers), the same
for every method. Actions may be chunked: one variable holds for `chunk` steps, so a horizon of H has V = ceil(H / chunk).
Source: Rubinstein 1999; the V-JEPA 2-AC planner (arXiv 2506.09985) sums |delta| over features in the same way.
Shapes: B episodes, S candidates, H steps, V variables, A action, D latent.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.charges import book_iteration
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.costs import Cost, Goal, LatentDistance, finite_goal, judge, judged_of
from spikeplan.worldmodel.planning.rollout import counting, rollout
from spikeplan.worldmodel.predictor import Predictor


class PlanTrace(NamedTuple):
    """One control step of planning, per iteration I. `candidates` and `latents` only when recorded. `best`: of all that was
    imagined."""

    cost_IBS: Tensor
    mean_IBVA: Tensor
    spread_IBVA: Tensor
    candidates_IBSHA: Tensor | None
    latents_IBSHD: Tensor | None
    best_cost_B: Tensor
    best_action_BA: Tensor


class CEMPlanner:
    """The cross-entropy method: sample candidates, imagine them, refit to the elites, take the mean's first action.

    Shapes: B episodes, S candidates, V variables (a variable is held for `chunk` steps), H steps, D latent, A action.

    Args:
        predictor: with `begin` and `step`, dense or spiking.
        config: samples, iterations, elites, horizon.
        action_limit: actions lie within plus and minus this, in the task's units.
        reference: what a spiking predictor's graded spikes are a change of.
        op_counts: is added to with every plan, where given.
        evaluator: another cost than the latent distance.
        spread: of the elites, "std" or "mad" (mean absolute deviation).

    Raises UserError for another spread.

    >>> planner = CEMPlanner(DensePredictor(model.predictor), model.planner, action_dim=2, action_limit=0.1)
    >>> action_BA, mean, trace = planner.plan(latent_BD, goal_BD, planner.noise(len(latent_BD), generator))
    """

    def __init__(
        self,
        predictor: Predictor,
        config: CEMConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
        evaluator: Cost | None = None,
        spread: str = "std",
        first_iteration: int = 0,
    ) -> None:
        if spread not in ("std", "mad"):
            raise UserError(f"CEM: spread {spread!r} is unknown; use std or mad")
        self.spread, self.first_iteration = spread, first_iteration
        self.predictor, self.config, self.reference, self.op_counts = predictor, config, reference, op_counts
        self.action_dim, self.action_limit = action_dim, action_limit
        self.evaluator: Cost = evaluator or LatentDistance(config.energy, config.reduce)

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, S, V, A); candidate 0 is the mean itself."""
        eps = torch.randn(episodes, self.config.samples, self.config.variables, self.action_dim, generator=generator)
        eps[:, 0] = 0.0
        return eps

    def expand(self, variables: Tensor) -> Tensor:
        """(..., V, A) -> (..., H, A)"""
        return variables.repeat_interleave(self.config.chunk, -2)[..., : self.config.horizon, :]

    def chunks(self, plan_BHA: Tensor) -> Tensor:
        """A plan of single actions as variables (B, V, A): means of `chunk` steps, the last action repeated to the end."""
        missing = self.config.variables * self.config.chunk - plan_BHA.shape[1]
        plan = torch.cat([plan_BHA, plan_BHA[:, -1:].expand(-1, missing, -1)], 1)
        chunks: Tensor = plan.unflatten(1, (self.config.variables, self.config.chunk))
        return chunks.mean(2)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        """Warm start: the plan one control step later, its last action repeated."""
        plan = self.expand(mean_BVA)
        return self.chunks(torch.cat([plan[:, 1:], plan[:, -1:]], 1))

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise_BSVA: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, PlanTrace]:
        """One action for each of B episodes: action (B, A), mean (B, V, A) for `shift`, and the trace.

        Args:
            noise_BSVA: standard normal, from `noise`; the same noise makes two planners comparable.
            warm: the shifted mean of the step before; None: zero.
            record: keep candidates and latents in the trace.

        Raises UserError where a latent or a cost is not finite.
        """
        goal = finite_goal(latent_BD, goal)
        c, limit = self.config, self.action_limit
        batch = latent_BD.shape[0]
        mean = torch.zeros(batch, c.variables, self.action_dim) if warm is None else warm
        spread = torch.full_like(mean, c.sigma * limit)
        state: Any = None
        costs, means, spreads, recorded = [], [], [], []
        best_cost, best_action = torch.full((batch,), torch.inf), torch.zeros(batch, self.action_dim)
        for iteration in range(c.iterations):
            variables = (mean[:, None] + spread[:, None] * noise_BSVA).clamp(-limit, limit)
            candidates = self.expand(variables)
            booked = self.first_iteration + iteration
            latents, state = rollout(
                self.predictor,
                latent_BD,
                candidates,
                reference=self.reference,
                previous=state,
                on_step=counting(self.op_counts, booked),
            )
            cost = judge(self.evaluator, latents, candidates, goal, self.op_counts, booked)
            if not torch.isfinite(cost).all():
                raise UserError("planner: a cost is not finite; the predictor diverged (check its checkpoint)")
            least = cost.min(1)
            better = least.values < best_cost
            acting = variables[torch.arange(batch), least.indices, 0]
            best_cost = torch.where(better, least.values, best_cost)
            best_action = torch.where(better[:, None], acting, best_action)
            best = cost.topk(c.elites, dim=1, largest=False).indices
            elite = variables.gather(1, best[..., None, None].expand(-1, -1, *variables.shape[2:]))
            mean = elite.mean(1)
            if self.spread == "std":
                spread = elite.std(1, correction=0)
            else:
                spread = (elite - mean[:, None]).abs().mean(1) * math.sqrt(math.pi / 2)
            spread = spread.clamp_min(c.sigma_floor * limit)
            costs.append(cost)
            means.append(mean)
            spreads.append(spread)
            if record:
                recorded.append((candidates, latents))
            if self.op_counts is not None:
                book_iteration(
                    self.op_counts,
                    c,
                    spiking=self.predictor.spiking,
                    batch=batch,
                    action_dim=self.action_dim,
                    iteration=booked,
                    judged=judged_of(self.evaluator, c.horizon, latent_BD, self.action_dim, goal),
                )
        trace = PlanTrace(
            torch.stack(costs),
            torch.stack(means),
            torch.stack(spreads),
            torch.stack([r[0] for r in recorded]) if record else None,
            torch.stack([r[1] for r in recorded]) if record else None,
            best_cost,
            best_action,
        )
        return mean[:, 0], mean, trace


PLANNER = (
    PlannerKind(name="cem", make=CEMPlanner),
    PlannerKind(name="cem_mad", make=partial(CEMPlanner, spread="mad")),
)
