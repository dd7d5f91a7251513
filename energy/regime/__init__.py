"""Where spikes win: break-even density over weights, candidates and control rate, by the same models as every other price."""

from spikeplan.energy.regime.points import Point, dense_rows, placed, spiking_rows
from spikeplan.energy.regime.rows import ActionRow, RateRow
from spikeplan.energy.regime.sweep import Axes, Regimes, regimes

__all__ = [
    "ActionRow",
    "Axes",
    "Point",
    "RateRow",
    "Regimes",
    "dense_rows",
    "placed",
    "regimes",
    "spiking_rows",
]
