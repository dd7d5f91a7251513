"""Hops of the messages in operation counts, from the placement of the network that sends them.

    hops of a row   its messages x the hops that one message of its group makes
    row `parts`     values that the loop's parts send each other, which operation counts leave out, and their hops

The questions and answers of the selection are left out. Scope `predictor` places the network alone, `loop` the parts too.
One replica on as few cores as hold it: what the energy of a run assumes. A placement is taken as if the chip carried graded
messages, which is assumed there too; one that breaks any other limit gives no hops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from spikeplan.core.chips import CHIPS, ChipLimits
from spikeplan.core.counts.operations import CountRow, OperationCounts, total
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.groups import NeuronGroups
from spikeplan.core.planning import PlanBudget
from spikeplan.placement.groups import loop_messages, with_loop
from spikeplan.placement.place import Placement, hops, place


@dataclass(frozen=True, kw_only=True)
class MessageHops:
    """What a run keeps of its network's placements. `sent`: messages of a prediction by the loop's parts;
    `hops`: chip -> extent -> group -> hops of one message."""

    sent: dict[str, float]
    hops: dict[str, dict[str, dict[str, float]]]

    def __post_init__(self) -> None:
        several = [self.sent, *(groups for extents in self.hops.values() for groups in extents.values())]
        if wrong := [value for groups in several for value in groups.values() if not 0 <= value < math.inf]:
            raise ValueError(f"{wrong[0]!r} hops or messages")

    def rows(self, rows: Sequence[CountRow], chip: str, extent: str, *, predictions: int) -> list[CountRow]:
        """`rows` as placed on `chip`; as they are, hops unknown, where it has no placement."""
        known = self.hops.get(chip, {}).get(extent)
        if known is None:
            return list(rows)
        return with_hops(rows, known, self.sent if extent == "loop" else {}, predictions=predictions)


def message_hops(
    network: Callable[[ChipLimits], NeuronGroups],
    planner: PlanBudget,
    *,
    latent_dim: int,
    action_dim: int,
    places: int = 0,
) -> MessageHops:
    """Of a network placed on every chip that holds it, alone and with its loop."""
    hops_of: dict[str, dict[str, dict[str, float]]] = {}
    for name, chip in CHIPS.items():
        alone = network(chip)
        whole = with_loop(alone, planner, latent_dim=latent_dim, action_dim=action_dim, replicas=1, places=places)
        for extent, groups in (("predictor", alone.groups), ("loop", whole.groups)):
            placement = place(groups, chip)
            if all(violation.limit == "message_bits" for violation in placement.broken):
                hops_of.setdefault(name, {})[extent] = hops_per_message(placement)
    return MessageHops(sent=loop_messages(latent_dim, action_dim, places), hops=hops_of)


def hops_per_message(placement: Placement) -> dict[str, float]:
    """Of each group that every replica has, mean over its cores."""
    return {
        group.name: hops(placement, {group.name: 1.0}) / placement.replicas
        for group in placement.groups
        if not group.once
    }


def with_hops(
    rows: Sequence[CountRow], per_message: dict[str, float], sent: dict[str, float], *, predictions: int
) -> list[CountRow]:
    """`rows`: of one method and schedule. `sent`: messages of a prediction by the loop's parts; what the rows hold of them
    already is not added again."""
    found = [replace(row, hops=round(row.messages * per_message.get(row.layer, 0.0))) for row in rows]
    if not sent or not rows:
        return found
    more = {
        name: max(0, round(count * predictions) - total([row for row in rows if row.layer == name], "messages"))
        for name, count in sent.items()
    }
    messages = sum(more.values())
    return [
        *found,
        CountRow(
            method=rows[0].method,
            phase="evaluation",
            layer="parts",
            reference=rows[0].reference,
            schedule=rows[0].schedule,
            messages=messages,
            message_bits=STATE_BITS * messages,
            precision=rows[0].precision,
            hops=round(sum(count * per_message.get(name, 0.0) for name, count in more.items())),
        ),
    ]


def predictions_of(op_counts: OperationCounts) -> int:
    """Of all recorded actions, own passes of a mean included."""
    calls: dict[str, int] = {}
    for (_, layer, _, _), counts in op_counts.counts("predictor"):
        calls[layer] = calls.get(layer, 0) + counts.calls
    return max(calls.values())  # a policy may act in some of them alone
