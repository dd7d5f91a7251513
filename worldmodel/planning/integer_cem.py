"""CEM in integers, as neurocores can run it: the whole of a plan in 24-bit words. L1 energy, summed over the rollout.

    e       noise of `spikeplan.core.noise`, 10 bit and sign; drawn once a plan, used in every iteration (e = 0 for candidate 0)
    u       = clip(mu + trunc(w e / 2^8), -L, L)              candidates in plan LSB; w e fits 24 bit
    a[t]    = u[t div chunk] 2^action_shift                   into the predictor, action LSB
    z[t+1]  = sat24(z[t] + value(z[t], a[t]))                 latent LSB
    d[t]    = sat24(sum_D |z[t] - g|),  t = 1..H
    J       = sat24(sum_t trunc(d[t] / 2^cost_shift))         cost_shift = ceil(log2 H): J saturates only if some d does
    theta   = max{T : #{J < T} < k}                           k-th least cost, bit by bit from the top: 23 comparisons
    elite   = {J < theta} and, in order of their number, as many of {J = theta} as make k
    mu      = trunc(sum_elite u / k)                          k a power of two: a shift
    w       = max(w_min, trunc(C m / 2^8)),  m = sum_elite |u - mu|
    warm    = trunc(R ((chunk - 1) mu[v] + mu[v+1]) / 2^10)   R = round(2^10 / chunk): the plan one control step later

w holds 443/256 times the standard deviation, since 443 / 2^16 = 1 / 147.9 undoes the spread of e. It is estimated from the
mean absolute deviation: sigma = sqrt(pi/2) m / k, so C = round(2^8 sqrt(pi/2) 443 / (256 k)). A plan LSB is
2^action_shift action LSB with L < 2^12: 12 bit and sign (at least 2^11 where the action scale leaves that many). Every trunc
rounds toward zero.
Shapes: B episodes, S candidates, H steps, V variables, A action, D latent. Registers are int64 tensors here; core/planning.py
refuses settings whose products would leave 24 bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from spikeplan.core import noise
from spikeplan.core.counts.charges import Judged, book_iteration
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.planning import CEMConfig, PlanParams
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.rollout import counting, unroll

NOISE_SHIFT = 8
SPREAD_OF_SIGMA = 443 / 256  # w per standard deviation
SPREAD_SHIFT = 8
WARM_SHIFT = 10
LIMIT_BITS = 12
TOP = limit(STATE_BITS)


def plan_limit(action_limit: float, action_scale: float) -> tuple[int, int]:
    """The action limit in plan LSB, of LIMIT_BITS bits at most, and `action_shift`: a plan LSB is 2^action_shift action LSB."""
    whole = round(action_limit / action_scale)
    shift = max(0, whole.bit_length() - LIMIT_BITS)
    return whole >> shift, shift


def draw_seeds(episodes: int, generator: torch.Generator) -> Tensor:
    """One 24-bit seed a plan: all that a host injects beside latents."""
    return torch.randint(1 << noise.WORD_BITS, (episodes,), generator=generator)


def plan_params(
    config: CEMConfig, *, latent_dim: int, action_dim: int, action_limit: float, action_scale: float
) -> PlanParams:
    """Quantise a planner's settings; `action_scale` is the artifact's real value of one action LSB."""
    if config.elites & (config.elites - 1):
        near = 1 << max(0, config.elites.bit_length() - 1)
        raise UserError(f"integer CEM: elites {config.elites} must be a power of two; use --elites {min(near, 64)}")
    if config.energy != "l1" or config.reduce != "sum":
        raise UserError(f"integer CEM: energy {config.energy}, {config.reduce}; only l1 summed over steps runs on chip")
    top, shift = plan_limit(action_limit, action_scale)
    return PlanParams(
        samples=config.samples,
        iterations=config.iterations,
        elites=config.elites,
        horizon=config.horizon,
        chunk=config.chunk,
        limit=top,
        action_shift=shift,
        cost_shift=math.ceil(math.log2(config.horizon)),
        start_spread=round(config.sigma * top * SPREAD_OF_SIGMA),
        least_spread=max(1, round(config.sigma_floor * top * SPREAD_OF_SIGMA)),
        deviation_factor=round((1 << SPREAD_SHIFT) * math.sqrt(math.pi / 2) * SPREAD_OF_SIGMA / config.elites),
        warm_factor=round((1 << WARM_SHIFT) / config.chunk),
        latent_dim=latent_dim,
        action_dim=action_dim,
    )


def shifted(x: Tensor, bits: int) -> Tensor:
    """x / 2^bits, rounded toward zero."""
    return x.sign() * (x.abs() >> bits)


def saturated(x: Tensor) -> tuple[Tensor, int]:
    inside = x.clamp(-TOP, TOP)
    return inside, int((inside != x).sum())


def candidates(mean_BVA: Tensor, spread_BVA: Tensor, noise_BSVA: Tensor, r: PlanParams) -> Tensor:
    step = shifted(spread_BVA[:, None] * noise_BSVA, NOISE_SHIFT)
    return (mean_BVA[:, None] + step).clamp(-r.limit, r.limit)


def kth_least(cost_BS: Tensor, k: int) -> Tensor:
    """theta (B,): the greatest T with fewer than k costs below it, searched bit by bit."""
    theta = torch.zeros(len(cost_BS), 1, dtype=cost_BS.dtype)
    for bit in range(STATE_BITS - 2, -1, -1):
        raised = theta + (1 << bit)
        theta = torch.where((cost_BS < raised).sum(1, keepdim=True) < k, raised, theta)
    return theta[:, 0]


def elite_mask(cost_BS: Tensor, k: int) -> Tensor:
    """(B, S) bool, exactly k a row; ties at the threshold go to the least number."""
    theta = kth_least(cost_BS, k)[:, None]
    below, at = cost_BS < theta, cost_BS == theta
    room = k - below.sum(1, keepdim=True)
    return below | (at & (at.cumsum(1) <= room))


def refit(variables_BSVA: Tensor, elite_BS: Tensor, r: PlanParams) -> tuple[Tensor, Tensor]:
    """New mean and spread register."""
    chosen = elite_BS[..., None, None]
    mean = shifted((variables_BSVA * chosen).sum(1), r.elites.bit_length() - 1)
    deviation = ((variables_BSVA - mean[:, None]).abs() * chosen).sum(1)
    return mean, shifted(deviation * r.deviation_factor, SPREAD_SHIFT).clamp_min(r.least_spread)


def warm_start(mean_BVA: Tensor, r: PlanParams) -> Tensor:
    if r.chunk == 1:
        return torch.cat([mean_BVA[:, 1:], mean_BVA[:, -1:]], 1)
    after = torch.cat([mean_BVA[:, 1:], mean_BVA[:, -1:]], 1)
    return shifted(((r.chunk - 1) * mean_BVA + after) * r.warm_factor, WARM_SHIFT)


class IntegerTrace(NamedTuple):
    """One plan, per iteration I; all integers. `latents` (I, B, S, H, D) only when recorded."""

    cost_IBS: Tensor
    elite_IBS: Tensor
    mean_IBVA: Tensor
    spread_IBVA: Tensor
    candidates_IBSVA: Tensor
    latents_IBSHD: Tensor | None
    saturated: int


class IntegerPredictor(Protocol):
    """An integer network: `spikeplan.snn.delta_predictor.DeltaPredictor`."""

    spiking: bool
    latent_dim: int
    latent_scale: float
    action_scale: float

    def encode(self, latent: Tensor) -> Tensor: ...
    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: Any = None) -> Any: ...
    def advance(self, z_BSD: Tensor, action_BSA: Tensor, state: Any) -> tuple[Tensor, Any, list[LayerCounts]]: ...


class IntegerCEM:
    """CEM in integers, as a chip would plan. Shapes: B episodes, S candidates, V variables, D latent, A action.

    Settings as `CEMPlanner`; `predictor` is a `DeltaPredictor`. Raises UserError for another predictor and for
    settings that have no integer form (`plan_params`).

    >>> action_BA, mean, trace = IntegerCEM(predictor, config, action_dim=2, action_limit=0.1).plan(latent, goal, noise)
    """

    def __init__(
        self,
        predictor: IntegerPredictor,
        config: Any,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
    ) -> None:
        needed = ("latent_dim", "latent_scale", "action_scale", "encode", "advance")
        if missing := [name for name in needed if not hasattr(predictor, name)]:
            raise UserError(
                f"integer CEM: {type(predictor).__name__} predicts in floating point (it has no {', '.join(missing)}); "
                "use a sigma-delta method, or planner cem or cem_mad"
            )
        self.predictor, self.config, self.reference, self.op_counts = predictor, config, reference, op_counts
        self.action_dim, self.action_limit = action_dim, action_limit
        self.params = plan_params(
            config,
            latent_dim=predictor.latent_dim,
            action_dim=action_dim,
            action_limit=action_limit,
            action_scale=predictor.action_scale,
        )

    seeds = staticmethod(draw_seeds)

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, S, V, A) integers."""
        r = self.params
        seeds = self.seeds(episodes, generator).numpy().astype(np.int64)
        return torch.from_numpy(noise.candidate_noise(seeds, r.samples, r.variables, self.action_dim)).long()

    def shift(self, mean_BVA: Tensor) -> Tensor:
        """The warm start of the next plan."""
        return warm_start(mean_BVA, self.params)

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal_BD: Tensor,
        noise_BSVA: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, IntegerTrace]:
        """Real latents in, real action out; everything between is integer."""
        if not (torch.isfinite(latent_BD).all() and torch.isfinite(goal_BD).all()):
            raise UserError("planner: a latent is not finite; check the encoder's checkpoint and its input images")
        mean, trace = self.plan_integers(
            self.predictor.encode(latent_BD), self.predictor.encode(goal_BD), noise_BSVA, warm, record=record
        )
        action = (mean[:, 0] << self.params.action_shift).float() * self.predictor.action_scale
        return action, mean, trace

    def plan_integers(
        self, z_BD: Tensor, goal_BD: Tensor, noise_BSVA: Tensor, warm: Tensor | None, *, record: bool = False
    ) -> tuple[Tensor, IntegerTrace]:
        """As `plan`, on latents in latent LSB; returns the mean and the trace."""
        r = self.params
        mean = torch.zeros(len(z_BD), r.variables, self.action_dim, dtype=torch.long) if warm is None else warm
        spread = torch.full_like(mean, r.start_spread)
        state: Any = None
        rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]] = []
        paths: list[Tensor] = []
        over = 0
        for iteration in range(r.iterations):
            variables = candidates(mean, spread, noise_BSVA, r)
            cost, path, clipped, state = self._rollouts(z_BD, goal_BD, variables, state, iteration, record)
            elite = elite_mask(cost, r.elites)
            mean, spread = refit(variables, elite, r)
            rows.append((cost, elite, mean, spread, variables))
            if path is not None:
                paths.append(path)
            over += clipped
            if self.op_counts is not None:
                book_iteration(
                    self.op_counts,
                    r,
                    spiking=True,
                    batch=len(z_BD),
                    action_dim=self.action_dim,
                    iteration=iteration,
                    judged=Judged(2 * z_BD.shape[1] * r.horizon),
                    source_on_chip=True,
                )
        cost_I, elite_I, mean_I, spread_I, variables_I = (torch.stack(column) for column in zip(*rows, strict=True))
        trace = IntegerTrace(
            cost_I, elite_I, mean_I, spread_I, variables_I, torch.stack(paths) if record else None, over
        )
        return mean, trace

    def _rollouts(
        self, z_BD: Tensor, goal_BD: Tensor, variables_BSVA: Tensor, state: Any, iteration: int, record: bool
    ) -> tuple[Tensor, Tensor | None, int, Any]:
        """Costs of all candidates; the latents when recorded; how many costs were clipped; the reference state."""
        r = self.params
        actions = (variables_BSVA << r.action_shift).to(z_BD.dtype)
        actions = actions.repeat_interleave(r.chunk, 2)[:, :, : r.horizon]
        scale = self.predictor.action_scale
        state = self.predictor.begin(z_BD * self.predictor.latent_scale, actions * scale, self.reference, state)
        goal = goal_BD[:, None].long()
        book = counting(self.op_counts, iteration)
        total = _Costs(torch.zeros(len(z_BD), r.samples, dtype=torch.long))

        def charge(t: int, z: Tensor, counts: list[LayerCounts]) -> None:
            distance, clipped = saturated((z.long() - goal).abs().sum(-1))
            total.cost, more = saturated(total.cost + (distance >> r.cost_shift))
            total.over += clipped + more
            if book is not None:
                book(t, z, counts)

        start = z_BD[:, None].expand(-1, r.samples, -1)
        path, state = unroll(self.predictor.advance, start, actions, state, charge)
        return total.cost, path if record else None, total.over, state


@dataclass
class _Costs:
    """Summed on the way, each sum saturated as the chip's."""

    cost: Tensor
    over: int = 0


PLANNER = PlannerKind(name="integer_cem", make=IntegerCEM)
