"""Arithmetic of the guided planner's parts, in integers (int64).

    r[s,t]  = trunc(w[t] e[s] / 2^8);   a = clip(b + r 2^k, -L 2^k, L 2^k)      perturbation; e from spikeplan.core.noise
    z       = sat24(z + value)                                                 latent (`advance` of lava_procs/planning.py)
    d       = sum_D |z - g|                                                    price "distance"
    p       = max(0, margin - min_K sum_D |z - o|)                             price "avoid"
    J       = sat24(J + sum_i sat24(weight_i trunc(sat24(price_i) / 2^c)))     cost
    J       = sat24(J + sat24(m trunc(clip(V, -l, l) / 2^h)))                  the cost-to-go, once, at the end
    winner  = the least J, the least number among equals

Written from the equations and not from worldmodel/planning/ nor from core/prices/: they are compared with ==. Only a price that
a user adds is called, since nobody else knows its equation.
Shapes: S copies, A action, D latent, K places to keep out of. Units: b, a in action LSB; r, L in plan LSB (2^k action LSB, k =
action_shift); w in 443/256 plan LSB a standard deviation; z, g, o, prices in latent LSB;
J in 2^c latent LSB; V and l in V's own; m and h are its weight and shift.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import STATE_BITS, saturate, trunc_shift
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.noise import candidate_noise
from spikeplan.core.prices import IntegerGoal, Priced, made, whole

NOISE_SHIFT = 8
Ints = NDArray[np.int64]
PriceOf = Callable[[Ints, Ints, Ints], Ints]  # z (S, D), action (S, A), goal and places (1 + K, D) -> (S,)
Term = tuple[int, PriceOf]  # weight, price


def draw_noise(seed: int, p: GuidedParams) -> Ints:
    """(S, A); copy 0 has none. The same in every imagined step."""
    noise = candidate_noise(np.array([seed], np.int64), p.samples, 1, p.action_dim)[0, :, 0].astype(np.int64)
    if p.mirrored:
        for copy in range(2, p.samples, 2):
            noise[copy] = -noise[copy - 1]
    return noise


def perturb(proposal_SA: Ints, noise_SA: Ints, t: int, p: GuidedParams) -> Ints:
    """What the copies do in imagined step t. The clip is the action's limit, so it is not counted as saturation."""
    top = p.limit << p.action_shift
    offset = trunc_shift(p.spread[t] * noise_SA, NOISE_SHIFT) << p.action_shift
    action: Ints = np.clip(proposal_SA + offset, -top, top)
    return action


def goal_and_places(given_OD: Ints, p: GuidedParams) -> Ints:
    """(1 + K, D): what prices are told, of what the host sends; the mean of the places is the policy's alone."""
    return np.concatenate([given_OD[:1], given_OD[p.told :]])


def terms_of(p: GuidedParams) -> list[Term]:
    return [(priced.weight, price_of(priced)) for priced in p.prices]


def price_of(priced: Priced) -> PriceOf:
    """The price's equation; a user's own goes through the registry. Prices keep no state."""
    if priced.name == "distance":

        def to_goal(z_SD: Ints, action_SA: Ints, goal_OD: Ints) -> Ints:
            distance_S: Ints = np.abs(z_SD - goal_OD[0]).sum(1)
            return distance_S

        return to_goal
    if priced.name == "avoid":
        margin = priced.settings["margin"]

        def keep_out(z_SD: Ints, action_SA: Ints, goal_OD: Ints) -> Ints:
            away_SK = np.stack([np.abs(z_SD - place_D).sum(1) for place_D in goal_OD[1:]], 1)
            inside_S: Ints = np.maximum(margin - away_SK.min(1), 0)
            return inside_S

        return keep_out
    return _users(priced)


def _users(priced: Priced) -> PriceOf:
    price = made(priced)

    def ask(z_SD: Ints, action_SA: Ints, goal_OD: Ints) -> Ints:
        answer = price.step(z_SD.copy(), action_SA.copy(), IntegerGoal(goal_OD[0].copy(), goal_OD[1:].copy()))
        return whole(priced.name, answer, len(z_SD))

    return ask


def charge(
    cost_S: Ints, z_SD: Ints, action_SA: Ints, goal_OD: Ints, terms: list[Term], p: GuidedParams
) -> tuple[Ints, int]:
    """New costs of having come to z by this action, and how many numbers were clipped on the way.

    goal_OD: (1 + K, D), the goal and then the places to keep out of.
    """
    total, clipped = cost_S, 0
    for weight, price in terms:
        inside, over = saturate(price(z_SD, action_SA, goal_OD), STATE_BITS)
        weighed, more = saturate(weight * (inside >> p.cost_shift), STATE_BITS)
        total, clipped = total + weighed, clipped + over + more
    cost, over = saturate(total, STATE_BITS)
    return cost, clipped + over


def charge_end(cost_S: Ints, value_S: Ints, p: GuidedParams) -> tuple[Ints, int]:
    """New costs with what the cost-to-go says of the last latents, and how many numbers were clipped."""
    inside = np.clip(value_S, -p.to_go_limit, p.to_go_limit)
    term, over = saturate(p.to_go_weight * trunc_shift(inside, p.to_go_shift), STATE_BITS)
    cost, more = saturate(cost_S + term, STATE_BITS)
    return cost, over + more


def least(cost_S: Ints) -> int:
    """Number of the least cost; the least number among equals."""
    return int(np.flatnonzero(cost_S == cost_S.min())[0])
