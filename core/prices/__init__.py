"""Integer prices: what one imagined step costs on the chip, one file each. What a plan costs is their weighted sum.

    J[0] = 0;   J[t+1] = sat24(J[t] + sum_i sat24(weight_i * trunc(sat24(price_i[t+1]) / 2^cost_shift)))

A price is whole and never negative. To add one, drop a file here that exports PRICE (`base.PriceKind`), or name your own with
`--plugin`; the Lava worker loads it too, so import torch inside functions, if at all.
"""

from __future__ import annotations

from spikeplan.core.errors import UserError
from spikeplan.core.prices.base import IntegerGoal, Price, Priced, PriceKind, whole
from spikeplan.core.registry import Registry

PRICES: Registry[PriceKind] = Registry("PRICE", "spikeplan.core.prices", PriceKind, "price")


def made(priced: Priced) -> Price:
    """The price that a term names, with its settings. Raises UserError for settings that it does not take."""
    try:
        return PRICES[priced.name].make(**priced.settings)
    except TypeError as error:
        settings = ", ".join(f"{name}={value!r}" for name, value in priced.settings.items()) or "none"
        raise UserError(
            f"price {priced.name}: make takes no such settings ({settings}): {error}; correct `priced` of the cost"
        ) from error


__all__ = ["PRICES", "IntegerGoal", "Price", "PriceKind", "Priced", "made", "whole"]
