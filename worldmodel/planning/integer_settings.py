"""Settings of guided planning in whole numbers: what the integer reference and the Lava graph are given."""

from __future__ import annotations

import math

from spikeplan.core.errors import UserError
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.prices import Priced, made
from spikeplan.worldmodel.planning.integer_cem import SPREAD_OF_SIGMA, TOP, plan_limit

WEIGHT_TOP = 127  # of a cost-to-go: 8 bits, so that it is right within one part in 127


def guided_params(
    config: GuidedConfig,
    prices: tuple[Priced, ...],
    *,
    latent_dim: int,
    action_dim: int,
    action_limit: float,
    action_scale: float,
    places: int,
    told: int = 1,
    value: tuple[float, float] | None = None,
) -> GuidedParams:
    """Quantise a planner's settings. `action_scale`: real value of one action LSB; `places` to keep out of; `told`: latents
    that the policy is told. `value`: of a cost-to-go, one LSB in latent LSB and its limit in its own.

    Raises UserError for what leaves 24 bits, and for a perturbation that is not held.
    """
    if config.correlation != 1:
        raise UserError("integer guided: a perturbation is held; leave out --correlation")
    top, action_shift = plan_limit(action_limit, action_scale)
    reach = max(priced.weight * made(priced).most for priced in prices)
    needed = max(0, (reach // (TOP + 1)).bit_length())
    cost_shift = max(math.ceil(math.log2(config.horizon)), needed)
    weight, shift, most = (0, 0, 0) if value is None else to_go_params(config.to_go, cost_shift, *value)
    return GuidedParams(
        samples=config.samples,
        horizon=config.horizon,
        limit=top,
        action_shift=action_shift,
        spread=tuple(round(config.decay**t * config.spread * top * SPREAD_OF_SIGMA) for t in range(config.horizon)),
        cost_shift=cost_shift,
        latent_dim=latent_dim,
        action_dim=action_dim,
        places=places,
        told=told,
        prices=prices,
        mirrored=config.mirrored,
        to_go_weight=weight,
        to_go_shift=shift,
        to_go_limit=most,
    )


def to_go_params(to_go: float, cost_shift: int, unit: float, limit: float) -> tuple[int, int, int]:
    """Weight, shift and limit of a cost-to-go, as GuidedParams has them. `unit`: its LSB in latent LSB; `limit`: in its own.

    Raises UserError for a weight beyond 8 bits.

    >>> to_go_params(0.25, 3, 4.0, 1000.0)  # 1/8 of a cost LSB each
    (64, 9, 1000)
    """
    wanted = to_go * unit / 2**cost_shift
    if wanted > WEIGHT_TOP:
        raise UserError(
            f"integer guided: the cost-to-go times {to_go:g} is beyond {WEIGHT_TOP} cost LSB; lower --to-go"
        )
    shift = max(0, math.floor(math.log2(WEIGHT_TOP / wanted)))
    return max(1, round(wanted * 2**shift)), shift, round(limit)
