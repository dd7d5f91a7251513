"""What evaluation and selection of one CEM iteration are charged, the same for every planner.

On chip (spiking methods): one neuron and one synop for every two accumulates of the cost (a distance is one neuron per latent
dimension, candidate and step); a synop for every inner product's term, and one neuron for each of its sums; a threshold search
of `COST_BITS` comparisons per candidate; k additions per variable for mean and spread. Dense methods pay the same operations: a
distance as a subtraction and an addition, a term as a MAC.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.noise import DRAWS as NOISE_DRAWS
from spikeplan.core.planning import Budget

INNER = "inner products"  # layer of evaluation
COST_BITS = STATE_BITS  # of the threshold search: 23 comparisons (no sign), one is added for the ties at the threshold


@dataclass(frozen=True)
class Judged:
    """What the cost of one candidate takes. `accumulates`: additions and subtractions; `terms`: of inner products; `sums`:
    neurons that add those up on a chip. Instances add up."""

    accumulates: int = 0
    terms: int = 0
    sums: int = 0

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.accumulates + other.accumulates, self.terms + other.terms, self.sums + other.sums)


def book_iteration(
    op_counts: OperationCounts,
    budget: Budget,
    *,
    spiking: bool,
    batch: int,
    action_dim: int,
    iteration: int,
    judged: Judged,
    source_on_chip: bool = False,
) -> None:
    """`batch` episodes; `judged`: of one candidate. `source_on_chip`: candidates are made there, from one seed a plan; otherwise
    a host sends them."""
    evaluated = batch * budget.samples * judged.accumulates
    terms, sums = batch * budget.samples * judged.terms, batch * budget.samples * judged.sums
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
    if terms:
        rows.append(
            ("evaluation", _inner(terms, sums) if spiking else LayerCounts(layer=INNER, macs=terms, dense_macs=terms))
        )
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


def _inner(terms: int, sums: int) -> LayerCounts:
    """Inner products on a chip; `dense_macs`: what dense hardware takes for the same."""
    return LayerCounts(
        layer=INNER,
        synops=terms,
        updates=sums,
        updates_active=sums,
        messages=sums,
        message_bits=sums * COST_BITS,
        dense_macs=terms,
    )
