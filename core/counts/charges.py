"""What evaluation and selection of one CEM iteration are charged, the same for every planner.

On chip (spiking methods): one neuron and one synop for every two accumulates of the cost (a distance is one neuron per latent
dimension, candidate and step); a threshold search of `COST_BITS` comparisons per candidate; k additions per variable for mean
and spread. Dense methods pay the same operations as accumulates, a distance as a subtraction and an addition.
"""

from __future__ import annotations

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.noise import DRAWS as NOISE_DRAWS
from spikeplan.core.planning import Budget

COST_BITS = STATE_BITS  # of the threshold search: 23 comparisons (no sign), one is added for the ties at the threshold


def book_iteration(
    op_counts: OperationCounts,
    budget: Budget,
    *,
    spiking: bool,
    batch: int,
    action_dim: int,
    iteration: int,
    accumulates: int,
    source_on_chip: bool = False,
) -> None:
    """`batch` episodes; `accumulates`: additions and subtractions of the cost of one candidate. `source_on_chip`: candidates are
    made there, from one seed a plan; otherwise a host sends them."""
    evaluated = batch * budget.samples * accumulates
    distance = -(-evaluated // 2)
    select = batch * budget.samples * COST_BITS
    refit = 2 * batch * budget.elites * budget.variables * action_dim
    if spiking:
        each = refit // max(1, budget.elites)
        rows = [
            (
                "evaluation",
                LayerCounts(
                    layer="distance",
                    synops=distance,
                    updates=distance,
                    updates_active=distance,
                    messages=distance,
                    message_bits=distance * COST_BITS,
                ),
            ),
            ("selection", LayerCounts(layer="select", synops=select, updates=select, updates_active=select)),
            ("selection", LayerCounts(layer="refit", synops=refit, updates=each, updates_active=each)),
        ]
    else:
        rows = [
            ("evaluation", LayerCounts(layer="distance", acs=evaluated)),
            ("selection", LayerCounts(layer="select", acs=select)),
            ("selection", LayerCounts(layer="refit", acs=refit)),
        ]
    for phase, counts in rows:
        op_counts.add(phase, counts, iteration=iteration)
    numbers = batch * budget.samples * budget.variables * action_dim
    if not source_on_chip:
        op_counts.add_host_words("candidates", numbers)
        return
    if iteration == 0:
        op_counts.add_host_words("seed", batch)
    # the four draws of a number's noise, and mu + w e: two synops
    source = LayerCounts(
        layer="source",
        synops=2 * numbers,
        updates=(NOISE_DRAWS + 1) * numbers,
        updates_active=(NOISE_DRAWS + 1) * numbers,
    )
    op_counts.add("selection", source, iteration=iteration)
