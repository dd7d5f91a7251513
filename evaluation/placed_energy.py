"""A placement's time and energy per action, through the energy room's models, and what dense devices take for the same plans.

The operation counts of the recorded plans gives the operations; the placement gives the time, the chips, the hops and
the updates of
neurons that wait: every placed neuron of every replica updates in every chip step, also while no candidate is in its layer and
while candidates are being selected. Operation counts have an update a prediction, so this is charged on top (row `waiting`).
Static power is a whole chip's, however few of its cores are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from spikeplan import energy
from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX, CountRow, part_of, total
from spikeplan.core.groups import NeuronGroups
from spikeplan.evaluation.traffic import Traffic
from spikeplan.placement.groups import loop_messages, loop_synops, selection_words, turns_in, with_loop
from spikeplan.placement.hops import hops_per_message, predictions_of, with_hops
from spikeplan.placement.place import Placement, hops, place
from spikeplan.placement.timing import SCHEDULES, ActionTime, Clock, Speed

BOUNDS = ("low", "nominal", "high")
DENSE_DEVICES = ("orin_nano", "h100", "jepa_r")


def speeds_of(device: energy.Device, chips: int) -> dict[str, Speed]:
    """What a chip of the catalogue takes for each part of a step, one for each bound of its figures; several chips have a
    barrier of their own where one is known.

    >>> speeds_of(energy.default().device("loihi2"), chips=1)["nominal"].synop_s
    """
    barrier = "t_barrier_chips" if chips > 1 and "t_barrier_chips" in device.figures else "t_barrier"
    names = {"synop_s": "t_synop", "update_s": "t_update", "link_s": "t_link", "barrier_s": barrier}
    bands = {key: device.figure(name).band for key, name in names.items()}
    return {
        bound: Speed(**{key: getattr(band, bound) for key, band in bands.items()}, barrier_adds=device.kind != "loihi2")
        for bound in BOUNDS
    }


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One extent of a network on a chip: the predictor alone, or the whole loop but for the encoder.

    `host_selects`: in place of a search bit by bit, in which every neuron waits, each iteration's costs go to the host, which
    finds the elites with the operations of a dense method and tells the chip. Their words take the time of the chip's link; how
    soon the host answers is known of no board and is left out.
    """

    traffic: Traffic
    extent: str
    network: NeuronGroups
    found: Placement
    catalogue: energy.Catalogue
    host_selects: bool = False

    @property
    def messages(self) -> dict[str, float]:
        t = self.traffic
        return t.sent | (loop_messages(t.latent_dim, t.action_dim, t.places) if self.extent == "loop" else {})

    @cached_property
    def clocks(self) -> dict[str, Clock]:
        """One for each bound of the timing figures."""
        speeds = speeds_of(self.catalogue.device(self.found.chip.name), self.found.chips)
        restored = self.traffic.contexts(self.found.replicas) > 0
        return {
            bound: Clock(
                self.found, self.network, self.messages, speed, restored=restored, host_selects=self.host_selects
            )
            for bound, speed in speeds.items()
        }

    @cached_property
    def times(self) -> dict[str, dict[str, ActionTime]]:
        """Schedule -> bound."""
        t = self.traffic
        return {
            schedule: {
                b: clock.action(t.planner, schedule, own_passes=t.own_passes) for b, clock in self.clocks.items()
            }
            for schedule in SCHEDULES
        }

    @property
    def hops_per_action(self) -> float:
        """Of the rollouts; the questions and answers of the selection are left out."""

        def of(prefix: str) -> float:
            return hops(self.found, {n: sent for n, sent in self.messages.items() if part_of(n) == prefix})

        predicted, acted, judged = (of(prefix) for prefix in ("", POLICY_PREFIX, VALUE_PREFIX))
        total_hops = sum(
            one.evaluations * (predicted + (acted if one.policy else 0))
            + (one.samples * one.iterations * judged if one.to_go else 0)
            for one in self.traffic.planner.passes
        )
        return total_hops / self.found.replicas

    def rows(self, schedule: str) -> list[CountRow]:
        """The operation counts rows with this placement's hops, and the parts' own synops."""
        t = self.traffic
        kept = [
            row
            for row in t.spiking.rows(schedule)
            if row.layer != "candidates"  # the source makes them on the chip
        ]
        if self.host_selects:
            kept = [on_host(row) if (row.phase, row.layer) == ("selection", "select") else row for row in kept]
            words = sum(one.iterations * selection_words(one) for one in t.planner.passes)
            blank = t.spiking.rows(schedule)[0]
            kept.append(
                CountRow(
                    method=t.method,
                    phase="host",
                    layer="selection",
                    reference=blank.reference,
                    schedule=schedule,
                    precision="int32",
                    host_words=words * t.spiking.actions,
                )
            )
        known, predictions = hops_per_message(self.found), predictions_of(t.spiking)
        if self.extent == "predictor":
            kept = [row for row in kept if row.phase == "predictor"]
            return with_hops(kept, known, {}, predictions=predictions)
        sent = loop_messages(t.latent_dim, t.action_dim, t.places)
        *rest, parts = with_hops(kept, known, sent, predictions=predictions)
        return [*rest, replace(parts, synops=self.parts_synops * t.spiking.actions)]

    @property
    def parts_synops(self) -> int:
        """Of an action, beside the operation counts: into latent, sum and cost, and mu + w e for each number that the
        source makes
        (`spikeplan.core.counts.charges`; its updates are among those of the placed neurons)."""
        t = self.traffic
        return sum(
            loop_synops(t.latent_dim, turns_in(one.samples, self.found.replicas), t.places) * one.evaluations
            + 2 * one.iterations * one.samples * one.variables * t.action_dim
            for one in t.planner.passes
        )

    def waiting(self, rows: Sequence[CountRow], schedule: str) -> int:
        """Updates, over all recorded actions, that no row counts yet."""
        placed = self.found.neurons * self.times[schedule]["nominal"].steps * self.traffic.spiking.actions
        return max(0, placed - total(rows, "updates"))

    def energy(self, schedule: str) -> dict[str, Any]:
        """J an action in scope system; `counted`: without the neurons that wait."""
        rows = self.rows(schedule)
        actions = self.traffic.spiking.actions
        idle = self.waiting(rows, schedule)
        waiting = CountRow(
            method=self.traffic.method,
            phase="predictor",
            layer="waiting",
            reference=self.traffic.reference,
            schedule=schedule,
            updates_idle=idle,
        )
        times = self.times[schedule]
        setup = energy.Setup(chips=self.found.chips, time_s=energy.Band(*(times[b].action_s for b in BOUNDS)))
        chip, catalogue = self.catalogue.device(self.found.chip.name), self.catalogue
        whole, counted, operations = (
            energy.estimate(chip, some, actions, scope=scope, extent=self.extent, setup=setup, catalogue=catalogue)
            for some, scope in (([*rows, waiting], "system"), (rows, "system"), ([*rows, waiting], "chip"))
        )
        return {
            **{b: getattr(whole, b) for b in BOUNDS},
            "unit": whole.unit,
            "scope": "system",
            "evidence": whole.evidence,
            "latency_s": whole.latency_s,
            "without_static": {b: getattr(operations, b) for b in BOUNDS},
            "counted": {b: getattr(counted, b) for b in BOUNDS},
            "waiting_updates": idle / actions,
        }


def on_host(row: CountRow) -> CountRow:
    """What the chip would have searched with, as a dense method's accumulates."""
    return replace(row, synops=0, updates_active=0, updates_idle=0, acs=row.synops)


def placed(
    traffic: Traffic,
    chip: ChipLimits,
    *,
    replicas: int,
    spread: int,
    extent: str,
    catalogue: energy.Catalogue | None = None,
    host_selects: bool = False,
) -> Placed:
    """`catalogue`: whose figures time and energy take; None: the shipped one, with those of a plug-in's chip. `host_selects`: of
    the whole loop; of a predictor alone it means nothing."""
    network = traffic.network(replicas)
    if extent == "loop":
        network = with_loop(
            network,
            traffic.planner,
            latent_dim=traffic.latent_dim,
            action_dim=traffic.action_dim,
            replicas=replicas,
            places=traffic.places,
        )
    found = place(network.groups, chip, replicas=replicas, spread=spread)
    return Placed(
        traffic=traffic,
        extent=extent,
        network=network,
        found=found,
        catalogue=catalogue or energy.default(),
        host_selects=host_selects and extent == "loop",
    )


def dense_energy(traffic: Traffic, extent: str, catalogue: energy.Catalogue | None = None) -> dict[str, dict[str, Any]]:
    """The placed network's own layers in int8 on dense devices, the same plans: J an action in scope system, peak rates."""
    assert traffic.dense is not None
    rows, actions = traffic.dense.rows("batched"), traffic.dense.actions
    found = {}
    for device in DENSE_DEVICES:
        e = asdict(energy.estimate(device, rows, actions, scope="system", extent=extent, catalogue=catalogue))
        found[device] = {key: e[key] for key in (*BOUNDS, "unit", "evidence", "latency_s")}
    return found
