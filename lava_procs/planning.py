"""Arithmetic of the planning loop's parts, in integers (int64) and in floating point.

    u     = clip(mu + trunc(w e / 2^8), -L, L)          candidate source; e from spikeplan.core.noise
    z     = sat24(z + value)                            latent state, once per prediction
    d     = sat24(sum_D |z - g|);  J = sat24(J + (d >> c))      goal distance
    theta = the k-th least J; elites: J < theta, then ties from the least number on      selection
    mu    = trunc(sum u / k);  w = max(w_min, trunc(C sum |u - mu| / 2^8))       refit
    warm  = trunc(R ((chunk - 1) mu[v] + mu[v+1]) / 2^10)

The floating forms round nothing and know no width; their spread is the same mean absolute deviation. FIXED and FLOAT hold
the two, so that a process's models differ in nothing but that and the types of their ports.
Written from the equations and not from worldmodel/planning/integer_cem.py: the two are compared with ==.
Shapes: S candidates, V variables, A action, D latent. Units: u, mu, L in plan LSB (2^action_shift action LSB); w in
443/256 plan LSB per standard deviation; z, g, d in latent LSB; J in 2^c latent LSB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import STATE_BITS, saturate, trunc_shift
from spikeplan.core.planning import PlanParams

LAYOUTS = ("fused", "stepwise")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def rollout_steps(p: PlanParams, layout: str) -> int:
    """Lava steps of a rollout before the step in which it is judged."""
    return p.horizon if layout == "stepwise" else 0


def lava_steps(p: PlanParams, rollout: int) -> int:
    """Lava steps of a plan: the simulation's, never a chip's."""
    return p.iterations * (rollout + 1)


def propose(mean_VA: Ints, spread_VA: Ints, noise_SVA: Ints, p: PlanParams) -> Ints:
    return np.clip(mean_VA + trunc_shift(spread_VA * noise_SVA, 8), -p.limit, p.limit)


def advance(z_SD: Ints, value_SD: Ints) -> tuple[Ints, int]:
    """New latents, and how many were clipped."""
    return saturate(z_SD + value_SD, STATE_BITS)


def add_distance(cost_S: Ints, z_SD: Ints, goal_D: Ints, p: PlanParams) -> tuple[Ints, int]:
    """New costs, and how often a distance or a cost was clipped."""
    distance, far = saturate(np.abs(z_SD - goal_D).sum(1), STATE_BITS)
    cost, more = saturate(cost_S + (distance >> p.cost_shift), STATE_BITS)
    return cost, far + more


def select(cost_S: Ints, k: int) -> NDArray[np.bool_]:
    """The k least; the threshold is found from its top bit down, ties go to the least numbers."""
    theta = 0
    for bit in reversed(range(STATE_BITS - 1)):
        if np.count_nonzero(cost_S < theta + (1 << bit)) < k:
            theta += 1 << bit
    chosen = cost_S < theta
    ties = np.flatnonzero(cost_S == theta)[: k - np.count_nonzero(chosen)]
    chosen[ties] = True
    return chosen


def refit(u_SVA: Ints, elite_S: NDArray[np.bool_], p: PlanParams) -> tuple[Ints, Ints]:
    best = u_SVA[elite_S]
    mean = trunc_shift(best.sum(0), p.elites.bit_length() - 1)
    deviation = np.abs(best - mean).sum(0)
    return mean, np.maximum(deviation * p.deviation_factor >> 8, p.least_spread)


def warm(mean_VA: Ints, p: PlanParams) -> Ints:
    after = np.concatenate([mean_VA[1:], mean_VA[-1:]])
    if p.chunk == 1:
        return after
    return trunc_shift(((p.chunk - 1) * mean_VA + after) * p.warm_factor, 10)


# Floating forms: the same registers without rounding.


def propose_float(mean_VA: Floats, spread_VA: Floats, noise_SVA: Ints, p: PlanParams) -> Floats:
    return np.clip(mean_VA + spread_VA * noise_SVA / 256.0, -p.limit, p.limit)


def advance_float(z_SD: Floats, value_SD: Floats) -> tuple[Floats, int]:
    return z_SD + value_SD, 0


def add_distance_float(cost_S: Floats, z_SD: Floats, goal_D: Floats, p: PlanParams) -> tuple[Floats, int]:
    return cost_S + np.abs(z_SD - goal_D).sum(1) / 2.0**p.cost_shift, 0


def select_float(cost_S: Floats, k: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(cost_S), bool)
    chosen[np.argsort(cost_S, kind="stable")[:k]] = True
    return chosen


def refit_float(u_SVA: Floats, elite_S: NDArray[np.bool_], p: PlanParams) -> tuple[Floats, Floats]:
    best = u_SVA[elite_S]
    mean = best.mean(0)
    return mean, np.maximum(np.abs(best - mean).sum(0) * p.deviation_factor / 256.0, p.least_spread)


def warm_float(mean_VA: Floats, p: PlanParams) -> Floats:
    after = np.concatenate([mean_VA[1:], mean_VA[-1:]])
    mean: Floats = ((p.chunk - 1) * mean_VA + after) / p.chunk
    return mean


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """One precision's form of everything above."""

    dtype: Any
    propose: Callable[..., NDArray[Any]]
    warm: Callable[..., NDArray[Any]]
    advance: Callable[..., tuple[NDArray[Any], int]]
    add_distance: Callable[..., tuple[NDArray[Any], int]]
    select: Callable[..., NDArray[np.bool_]]
    refit: Callable[..., tuple[NDArray[Any], NDArray[Any]]]


FIXED = Arithmetic(
    dtype=np.int64, propose=propose, warm=warm, advance=advance, add_distance=add_distance, select=select, refit=refit
)
FLOAT = Arithmetic(
    dtype=np.float64,
    propose=propose_float,
    warm=warm_float,
    advance=advance_float,
    add_distance=add_distance_float,
    select=select_float,
    refit=refit_float,
)
