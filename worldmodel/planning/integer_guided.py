"""Policy-guided planning in integers, as neurocores can run it: the whole of a plan in 24-bit words.

    e          noise of `spikeplan.core.noise`, 10 bit and sign; one number a copy and action, drawn once a plan; e[0] = 0
    r[s,t]     = trunc(spread[t] e[s] / 2^8)                       plan LSB; spread[t] is decay^t of spread[0]
    a[s,t]     = clip(policy(z[s,t], m) + r[s,t] 2^action_shift, -L 2^action_shift, L 2^action_shift)        action LSB
    z[s,t+1]   = sat24(z[s,t] + value(z[s,t], a[s,t]))             latent LSB
    J[s]       = sum_t sum_i sat24(weight_i trunc(sat24(price_i) / 2^cost_shift)), saturated after each addition
    J[s]       = sat24(J[s] + sat24(weight_V trunc(clip(V(z[s,H], g), -L_V, L_V) / 2^shift_V)))      where there is a cost-to-go
    winner     = the least J; the least number among equals

m: what the policy is told, in latent LSB: g, and the mean of the places where it knows them; the host makes it.
cost_shift = ceil(log2 H), or more where a weight times its price would leave 24 bits. Every trunc rounds toward zero. On
reference previous_step policy and predictor keep their states over the rollout and start it from zero.
Shapes: B episodes, S copies, H steps, A action, D latent, K places, G told.
The Lava graph (lava_procs/guided) computes the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeplan.core import noise
from spikeplan.core.counts.charges import Judged, book_iteration
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.prices import IntegerGoal, whole
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.costs import (
    Cost,
    Goal,
    LatentDistance,
    Units,
    finite_goal,
    judged_of,
    priced_by,
)
from spikeplan.worldmodel.planning.guided import PLANNER as GUIDED
from spikeplan.worldmodel.planning.integer_cem import NOISE_SHIFT, draw_seeds, saturated, shifted
from spikeplan.worldmodel.planning.integer_settings import guided_params
from spikeplan.worldmodel.planning.rollout import counting, unroll
from spikeplan.worldmodel.policies.networks import told_to
from spikeplan.worldmodel.policies.pair import Pair

REFERENCES = ("zero", "previous_step")
NEEDED = {
    "predictor": ("encode", "advance", "latent_scale", "action_scale"),
    "policy": ("advance", "latent_scale", "action_scale"),
}


class IntegerGuidedTrace(NamedTuple):
    """One plan, all integers: costs (B, S), winners (B), actions (B, S, H, A), latents (B, S, H, D), and how many numbers of
    costs were clipped."""

    cost_BS: Tensor
    winner_B: Tensor
    actions_BSHA: Tensor
    latents_BSHD: Tensor
    saturated: int


class IntegerGuided:
    """Guided planning as a chip would do it. Settings as `GuidedPlanner`; policy and predictor are sigma-delta networks.

    Raises UserError for networks in floating point, for scales that differ, and for settings that leave 24 bits.

    >>> planner = IntegerGuided(Pair(DeltaPredictor(artifact), DeltaPolicy(policy, action_limit=0.08)), GuidedConfig(),
    ...                         action_dim=2, action_limit=0.08)
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
        if not isinstance(predictor, Pair) or not isinstance(config, GuidedConfig):
            raise UserError(
                "integer guided: needs a policy and samples, horizon, spread; use a method that begins with guided"
            )
        if reference not in REFERENCES:
            raise UserError(f"integer guided: reference {reference!r} is not offered; use {' or '.join(REFERENCES)}")
        for part, names in NEEDED.items():
            network = getattr(predictor, part)
            if missing := [name for name in names if not hasattr(network, name)]:
                raise UserError(
                    f"integer guided: {part} {type(network).__name__} runs in floating point (it has no "
                    f"{', '.join(missing)}); use a sigma-delta method, or planner guided"
                )
        self.network: Any = predictor.predictor
        self.policy: Any = predictor.policy
        if any(getattr(self.policy, name) != getattr(self.network, name) for name in ("latent_scale", "action_scale")):
            raise UserError(
                "integer guided: policy and predictor have other scales; convert the policy for this predictor"
            )
        self.value: Any = predictor.value_of(config.to_go)
        if self.value is not None and not hasattr(self.value, "advance"):
            raise UserError("integer guided: the cost-to-go runs in floating point; use a sigma-delta method")
        self.predictor, self.config, self.reference, self.op_counts = predictor, config, reference, op_counts
        self.action_dim, self.action_limit = action_dim, action_limit
        self.evaluator: Cost = evaluator or LatentDistance(config.energy, config.reduce)
        self._params: dict[int, GuidedParams] = {}

    @property
    def units(self) -> Units:
        return Units(self.network.latent_scale, self.network.action_scale)

    def params(self, places: int) -> GuidedParams:
        """The constants of a plan with so many places to keep out of."""
        if places not in self._params:
            unit = 1.0 if self.value is None else self.value.output_scale
            self._params[places] = guided_params(
                self.config,
                priced_by(self.evaluator, self.units),
                latent_dim=self.network.latent_dim,
                action_dim=self.action_dim,
                action_limit=self.action_limit,
                action_scale=self.units.action,
                places=places,
                told=1 + self.policy.places,
                value=None if self.value is None else (unit / self.units.latent, self.value.action_limit / unit),
            )
        return self._params[places]

    def encoded(self, latent_BD: Tensor, goal: Goal) -> tuple[Tensor, Tensor, Tensor]:
        """What a plan is given, in latent LSB: the latent, what the policy is told (B, G), and the places (B, K, D)."""
        z, told, places = (
            self.network.encode(each) for each in (latent_BD, told_to(self.policy, goal), goal.places_BKD)
        )
        return z, told, places

    seeds = staticmethod(draw_seeds)

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, S, A) integers; copy 0 has none."""
        return self.noise_of(self.seeds(episodes, generator))

    def noise_of(self, seeds_B: Tensor) -> Tensor:
        """What the chip draws from these seeds: as `noise`."""
        seeds = seeds_B.numpy().astype(np.int64)
        drawn = torch.from_numpy(noise.candidate_noise(seeds, self.config.samples, 1, self.action_dim)[:, :, 0]).long()
        if self.config.mirrored:
            drawn[:, 2::2] = -drawn[:, 1:-1:2]
        return drawn

    def shift(self, mean_BVA: Tensor) -> Tensor:
        """Nothing is kept from one control step to the next."""
        return mean_BVA

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise_BSA: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, IntegerGuidedTrace]:
        """Real latents in, real action (B, A) and the winner's plan (B, H, A) out; everything between is integer."""
        trace = self.plan_integers(*self.encoded(latent_BD, finite_goal(latent_BD, goal)), noise_BSA)
        plan = trace.actions_BSHA[torch.arange(len(latent_BD)), trace.winner_B].float() * self.units.action
        return plan[:, 0], plan, trace

    def plan_integers(self, z_BD: Tensor, told_BG: Tensor, places_BKD: Tensor, noise_BSA: Tensor) -> IntegerGuidedTrace:
        """As `plan`, on what `encoded` gives. The goal is the first that the policy is told."""
        r = self.params(places_BKD.shape[1])
        b, s = len(z_BD), r.samples
        top = r.limit << r.action_shift
        prices, goal_BD = r.made(), told_BG[:, : r.latent_dim]
        goal = IntegerGoal(*(_rows(each, s) for each in (goal_BD, places_BKD)))
        told_BSG = told_BG[:, None].expand(-1, s, -1)
        cost, over, carry = np.zeros(b * s, np.int64), 0, None
        actions: list[Tensor] = []
        book = counting(self.op_counts, 0)

        def propose(t: int, z_BSD: Tensor) -> Tensor:
            nonlocal carry
            value, state, counts = self.policy.advance(z_BSD, told_BSG, carry)
            carry = state if self.reference == "previous_step" else None
            if book is not None:
                book(t, z_BSD, counts)
            step = shifted(r.spread[t] * noise_BSA.long(), NOISE_SHIFT) << r.action_shift
            actions.append((value.long() + step).clamp(-top, top))
            return actions[-1].to(z_BSD.dtype)

        def charge(t: int, z_BSD: Tensor, counts: list[LayerCounts]) -> None:
            nonlocal cost, over
            rows, action = (x.flatten(0, 1).long().numpy() for x in (z_BSD, actions[t]))
            total = np.zeros_like(cost)
            for (weight, price), named in zip(prices, r.prices, strict=True):
                one, far = saturated(torch.from_numpy(whole(named.name, price.step(rows, action, goal), len(rows))))
                term, more = saturated(weight * (one >> r.cost_shift))
                total, over = total + term.numpy(), over + far + more
            reached, beyond = saturated(torch.from_numpy(cost + total))
            cost, over = reached.numpy(), over + beyond
            if book is not None:
                book(t, z_BSD, counts)

        state = self.predictor.begin(z_BD, noise_BSA[:, :, None], self.reference)
        start = z_BD[:, None].expand(-1, s, -1)
        latents, _ = unroll(self.network.advance, start, propose, state, charge, steps=r.horizon)
        cost_BS = torch.from_numpy(cost).unflatten(0, (b, s))
        if self.value is not None:
            end, _, counts = self.value.advance(latents[:, :, -1], goal_BD[:, None].expand(-1, s, -1), None)
            inside = end[..., 0].long().clamp(-r.to_go_limit, r.to_go_limit)
            term, far = saturated(r.to_go_weight * shifted(inside, r.to_go_shift))
            cost_BS, more = saturated(cost_BS + term)
            over += far + more
            for layer in counts if self.op_counts is not None else ():
                self.op_counts.add("predictor", layer, iteration=0)  # type: ignore[union-attr]
        if self.op_counts is not None:
            book_iteration(
                self.op_counts,
                self.config,
                spiking=True,
                batch=b,
                action_dim=self.action_dim,
                iteration=0,
                judged=judged_of(self.evaluator, r.horizon, z_BD, self.action_dim, Goal(goal_BD, places_BKD))
                + Judged(int(self.value is not None)),
                source_on_chip=True,
            )
        return IntegerGuidedTrace(cost_BS, cost_BS.argmin(1), torch.stack(actions, 2), latents.long(), over)


def _rows(x_B: Tensor, s: int) -> np.ndarray[Any, Any]:
    """One row an episode -> one row a copy."""
    return x_B.repeat_interleave(s, 0).long().numpy()


PLANNER = PlannerKind(name="integer_guided", make=IntegerGuided, settings=GUIDED.settings)
