"""Policy-guided planning: the policy proposes, the model imagines, the best copy acts.

    a[s, t] = clip(policy(z[s, t], told) + decay^t * spread * limit * eps[s, t]);   eps[0] = 0
    eps[s, t+1] = c eps[s, t] + sqrt(1 - c^2) w[s, t+1];   c = correlation: 1 is held, 0 is white
    z[s, t+1] = predictor(z[s, t], a[s, t])                      t = 0..H-1, S copies of policy and predictor
    J[s] = sum_t cost(z[s, t+1], goal);   the first action of the copy with the least J is executed

One pass: no sorting, no refit, no mean. The copies start together and see only their own imagined future, so a chip holds them
side by side. `eps` is drawn once a control step and is an argument, as in CEM; held, it has no axis H.
References: all but `previous_iteration`. Copies that start from one latent are ordered by what perturbs them
(`previous_candidate`), or compared with a copy that does the mean of their actions (`mean_candidate`).
Shapes: B episodes, S copies, H steps, D latent, A action.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.charges import book_iteration
from spikeplan.core.counts.operations import ACTING_REFERENCES, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.costs import Cost, Goal, LatentDistance, finite_goal, judge, judged_of
from spikeplan.worldmodel.planning.rollout import counting, unroll
from spikeplan.worldmodel.policies.networks import told_to
from spikeplan.worldmodel.policies.pair import Pair


class GuidedTrace(NamedTuple):
    """One control step: costs (B, S), who won (B), what each copy did (B, S, H, A) and imagined (B, S, H, D)."""

    cost_BS: Tensor
    winner_B: Tensor
    actions_BSHA: Tensor
    latents_BSHD: Tensor


class GuidedPlanner:
    """Copies of a policy act inside the model; the one with the least cost acts in the world.

    Args:
        predictor: a Pair of predictor and policy.
        config: samples, horizon, spread, decay.
        action_limit: actions lie within plus and minus this, in the task's units.
        reference: what a spiking predictor's graded spikes are a change of: zero or previous_step.
        op_counts: is added to with every plan, where given. The policy is booked with the predictor, under its layers' names.

    Raises UserError for a predictor without a policy, for other settings and for another reference.

    >>> planner = GuidedPlanner(Pair(DensePredictor(model.predictor), DensePolicy(policy)), GuidedConfig(), action_dim=2,
    ...                         action_limit=0.08)
    >>> action_BA, plan, trace = planner.plan(latent_BD, goal_BD, planner.noise(len(latent_BD), generator))
    """

    def __init__(
        self,
        predictor: Pair,
        config: GuidedConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
        evaluator: Cost | None = None,
    ) -> None:
        if not isinstance(predictor, Pair):
            raise UserError("guided: this method has no policy; use a method whose name begins with guided")
        if not isinstance(config, GuidedConfig):
            raise UserError(
                f"guided: settings of another planner ({config.label}); use samples, horizon, spread and decay"
            )
        if reference not in ACTING_REFERENCES:
            raise UserError(
                f"guided: reference {reference!r} looks back at an iteration, of which there is one; use "
                f"{', '.join(ACTING_REFERENCES)}"
            )
        self.predictor, self.config, self.reference, self.op_counts = predictor, config, reference, op_counts
        self.action_dim, self.action_limit = action_dim, action_limit
        self.evaluator = predictor.judging(evaluator or LatentDistance(config.energy, config.reduce), config.to_go)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(S, A) where a perturbation is held, else (S, H, A)."""
        c = self.config
        return (c.samples, self.action_dim) if c.correlation == 1 else (c.samples, c.horizon, self.action_dim)

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, S, A), or (B, S, H, A) where it is not held; copy 0 has none."""
        c = self.config
        eps = torch.randn(episodes, *self.noise_shape, generator=generator)
        if c.correlation != 1:
            for t in range(1, c.horizon):
                eps[:, :, t] = c.correlation * eps[:, :, t - 1] + math.sqrt(1 - c.correlation**2) * eps[:, :, t]
        if c.mirrored:
            eps[:, 2::2] = -eps[:, 1:-1:2]
        eps[:, 0] = 0.0
        return eps

    def shift(self, mean_BVA: Tensor) -> Tensor:
        """Nothing is kept from one control step to the next: the policy proposes anew."""
        return mean_BVA

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, GuidedTrace]:
        """One action for each of B episodes: action (B, A), the winner's plan (B, H, A), and the trace. `noise`: a batch of
        `noise_shape`.

        Raises UserError where a latent or a cost is not finite.
        """
        goal = finite_goal(latent_BD, goal)
        c, limit = self.config, self.action_limit
        start_BSD = latent_BD[:, None].expand(-1, c.samples, -1)
        noise_BSHA = noise if noise.dim() == 4 else noise[:, :, None].expand(-1, -1, c.horizon, -1)
        actions: list[Tensor] = []
        told_BG = told_to(self.predictor.policy, goal)

        def propose(t: int, latent_BSD: Tensor) -> Tensor:
            action, counts = self.predictor.propose(latent_BSD, told_BG, state)
            if self.op_counts is not None:
                for layer in counts:
                    self.op_counts.add("predictor", layer, iteration=0, step=t)
            actions.append((action + c.decay**t * c.spread * limit * noise_BSHA[:, :, t]).clamp(-limit, limit))
            return actions[-1]

        state = self.predictor.begin_acting(latent_BD, noise_BSHA, self.reference)
        latents, _ = unroll(
            self.predictor.follow, start_BSD, propose, state, counting(self.op_counts, 0), steps=c.horizon
        )
        taken = torch.stack(actions, 2)
        cost = judge(self.evaluator, latents, taken, goal, self.op_counts)
        if not torch.isfinite(cost).all():
            raise UserError("planner: a cost is not finite; the predictor diverged (check its checkpoint)")
        winner = cost.argmin(1)
        plan = taken[torch.arange(len(taken)), winner]
        if self.op_counts is not None:
            book_iteration(
                self.op_counts,
                c,
                spiking=self.predictor.spiking,
                batch=len(latent_BD),
                action_dim=self.action_dim,
                iteration=0,
                judged=judged_of(self.evaluator, c.horizon, latent_BD, self.action_dim, goal),
            )
        return plan[:, 0], plan, GuidedTrace(cost, winner, taken, latents)

    def anytime(self, latent_BD: Tensor, goal: Tensor | Goal, noise: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Copy after copy: the action (B, A) of the best one so far, and its cost (B). The last is what `plan` returns.

        >>> for action_BA, cost_B in planner.anytime(latent_BD, goal_BD, noise):
        ...     if time.monotonic() > deadline:
        ...         break
        """
        alone = GuidedPlanner(
            self.predictor,
            replace(self.config, samples=1, to_go=0.0),  # the evaluator has it already
            action_dim=self.action_dim,
            action_limit=self.action_limit,
            reference=self.reference,
            op_counts=self.op_counts,
            evaluator=self.evaluator,
        )
        best: tuple[Tensor, Tensor] | None = None
        for copy in range(self.config.samples):
            action_BA, _, trace = alone.plan(latent_BD, goal, noise[:, copy : copy + 1])
            cost_B = trace.cost_BS[:, 0]
            if best is not None:
                worse = cost_B >= best[1]  # the earlier one among equals, as in `plan`
                action_BA, cost_B = torch.where(worse[:, None], best[0], action_BA), torch.where(worse, best[1], cost_B)
            best = action_BA, cost_B
            yield best


def _settings(validated: CEMConfig) -> GuidedConfig:
    """As far as the model was validated to be right, with the same distance."""
    return GuidedConfig(horizon=validated.horizon, energy=validated.energy, reduce=validated.reduce)


PLANNER = PlannerKind(name="guided", make=GuidedPlanner, settings=_settings)
