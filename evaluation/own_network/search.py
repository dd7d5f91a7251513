"""Which placements of a user's network are tried: replicas and spreads."""

from __future__ import annotations

from spikeplan import energy
from spikeplan.core.chips import ChipLimits
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.evaluation.own_network.placed import Asked, PlacedNetwork, place_network
from spikeplan.evaluation.placement_sweep import SPREADS, replicas_of
from spikeplan.placement.place import TooManyCores

MAX_CHIPS = 8  # that a search uses, unless the network itself needs more


def tried(
    asked: Asked,
    chip: ChipLimits,
    catalogue: energy.Catalogue,
    *,
    max_chips: int | None = None,
    on_progress: OnProgress = no_progress,
) -> list[PlacedNetwork]:
    """Placements of 1, 2, 4 ... replicas up to the batch, at every spread, that hold what is known of the chip. A spread that
    adds no core is left out. Without `max_chips` they take MAX_CHIPS, or as many as the network needs.

    The first one is the smallest; it is alone where a limit is broken. Raises TooManyCores where not even that fits a machine.
    """
    least = place_network(asked, chip, catalogue)
    if least.refused:
        return [least]
    most = max(MAX_CHIPS, least.found.chips) if max_chips is None else max_chips
    pairs = [(replicas, spread) for spread in SPREADS for replicas in replicas_of(asked.batch)]
    found = [least]
    seen = {(1, least.found.cores)}
    for number, (replicas, spread) in enumerate(pairs[1:], 1):
        on_progress(number, len(pairs))
        if replicas * least.found.cores > most * chip.cores:
            continue
        try:
            one = place_network(asked, chip, catalogue, replicas=replicas, spread=spread)
        except TooManyCores:
            continue
        same = (replicas, one.found.cores)
        if one.found.chips <= most and not one.refused and same not in seen:
            found.append(one)
            seen.add(same)
    on_progress(len(pairs), len(pairs))
    return found


def time_of(one: PlacedNetwork) -> float:
    """Seconds until the batch is computed."""
    return float(one.batch_s.nominal)


def joules_of(one: PlacedNetwork) -> float:
    return float(one.joules.nominal)
