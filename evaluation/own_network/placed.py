"""A placement of a user's network: seconds of a step and of an inference, Joules, and what dense machines take instead.

An inference is so many steps of the recording. `batch` inferences are there at once and are shared out over the replicas, one
after the other on each. Every placed neuron updates in every step, also on a replica that has none left. Energy is that of
`spikeplan.energy.estimate`, with the placement's time and chips, so static power is in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spikeplan import energy
from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.core.fit import Violation
from spikeplan.evaluation.own_network.counts import dense_rows, scaled, spiking_rows
from spikeplan.evaluation.placed_energy import BOUNDS, speeds_of
from spikeplan.placement.cores import place_graph
from spikeplan.placement.graph import Graph
from spikeplan.placement.place import Placement
from spikeplan.placement.recording import Recording
from spikeplan.placement.steps import StepLoad, load_of

MAX_ROWS = 20_000  # of dense operation counts: layers times passes


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is computed. `steps`: of one inference; `batch`: inferences that are there at once; `passes`: of the dense network in
    place of one inference."""

    path: str
    method: str
    graph: Graph
    recording: Recording
    steps: int
    batch: int = 1
    passes: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "passes"):
            if not 1 <= getattr(self, name) <= 10**6:
                raise UserError(f"--{name} {getattr(self, name)} must be from 1 to 1,000,000")
        if (number := self.passes * len(self.graph.links)) > MAX_ROWS:
            raise UserError(
                f"--passes {self.passes}: {number:,} dense layers an inference, more than {MAX_ROWS:,}; give fewer"
            )


@dataclass(frozen=True, kw_only=True)
class PlacedNetwork:
    """One placement of it on one chip of the catalogue."""

    asked: Asked
    catalogue: energy.Catalogue
    found: Placement

    @property
    def refused(self) -> list[Violation]:
        """Limits that the chip is known to have; one that is assumed is a warning."""
        return [violation for violation in self.found.broken if not violation.assumed]

    @cached_property
    def load(self) -> StepLoad:
        return load_of(self.found, self.asked.graph, self.asked.recording)

    @property
    def turns(self) -> int:
        """Inferences that a replica computes one after the other."""
        return -(-self.asked.batch // self.found.replicas)

    @cached_property
    def step_s(self) -> energy.Band:
        """Mean step of the recording."""
        speeds = speeds_of(self.catalogue.device(self.found.chip.name), self.found.chips)
        return energy.Band(*(float(self.load.seconds(speeds[b]).mean()) for b in BOUNDS))

    @cached_property
    def set_by(self) -> dict[str, float]:
        """Share of the steps that synops, updates, links and barrier set, at nominal figures."""
        speeds = speeds_of(self.catalogue.device(self.found.chip.name), self.found.chips)
        return self.load.set_by(speeds["nominal"])

    @property
    def batch_s(self) -> energy.Band:
        """Until the whole batch is computed, when inferences follow each other through the pipe."""
        return self.step_s * (self.turns * self.asked.steps)

    @property
    def inference_s(self) -> energy.Band:
        """The batch's time divided by its inferences."""
        return self.step_s * (self.turns * self.asked.steps / self.asked.batch)

    @property
    def latency_s(self) -> energy.Band:
        """From the first input of an inference to its effect on the output."""
        return self.step_s * (self.asked.steps + self.asked.graph.delay)

    @cached_property
    def rows(self) -> tuple[list[CountRow], int]:
        """Operation counts, and how many inferences they are of."""
        asked = self.asked
        length = asked.recording.steps * asked.recording.repeats
        each = math.gcd(length, asked.steps)
        again, number = asked.steps // each, length // each  # `again` recordings hold `number` inferences
        rows = spiking_rows(asked.graph, asked.recording, method=asked.method, hops=self.load.hops)
        spare = self.found.replicas * self.turns - asked.batch
        return (
            scaled(
                rows,
                again * asked.batch,
                chip_steps=self.turns * asked.steps * number,
                idle=spare * asked.steps * number * asked.graph.neurons,
            ),
            number * asked.batch,
        )

    @cached_property
    def joules(self) -> energy.Energy:
        """J an inference, scope system."""
        return self._estimate("system")

    @property
    def step_joules(self) -> energy.Band:
        """J a step of the whole chip, as an inference has them."""
        return energy.Band(*(getattr(self.joules, b) for b in BOUNDS)) * (1 / self.asked.steps)

    @cached_property
    def without_static(self) -> energy.Energy:
        """The operations, memory and network alone."""
        return self._estimate("chip")

    def _estimate(self, scope: str) -> energy.Energy:
        rows, inferences = self.rows
        setup = energy.Setup(chips=self.found.chips, time_s=self.inference_s)
        device = self.catalogue.device(self.found.chip.name)
        return energy.estimate(
            device, rows, inferences, scope=scope, extent="loop", setup=setup, catalogue=self.catalogue
        )


def place_network(
    asked: Asked, chip: ChipLimits, catalogue: energy.Catalogue, *, replicas: int = 1, spread: int = 1
) -> PlacedNetwork:
    """Raises UserError for more replicas than inferences, and TooManyCores beyond the largest machine.

    >>> place_network(asked, LOIHI2, energy.default()).joules.nominal
    """
    if replicas > asked.batch:
        raise UserError(
            f"place: {replicas} replicas for a batch of {asked.batch}; give --batch, or fewer replicas: others stand idle"
        )
    found = place_graph(asked.graph, chip, replicas=replicas, spread=spread)
    return PlacedNetwork(asked=asked, catalogue=catalogue, found=found)


def dense_machines(asked: Asked, catalogue: energy.Catalogue) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The same layers in int8 on every dense machine that can be priced, cheapest first: J an inference in scope system, seconds
    of the batch; and why the others are not priced."""
    rows = dense_rows(asked.graph, passes=asked.passes, batch=asked.batch)
    found: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    for name, device in catalogue.devices.items():
        if device.spiking:
            continue
        try:
            e = energy.estimate(device, rows, 1, scope="system", extent="loop", catalogue=catalogue)
        except UserError as error:
            refused[name] = str(error)
            continue
        found[name] = {
            **{b: float(getattr(e, b)) / asked.batch for b in BOUNDS},
            "latency_s": e.latency_s,
            "hypothetical": device.hypothetical,
            "evidence": e.evidence,
        }
    return dict(sorted(found.items(), key=lambda one: float(one[1]["nominal"]))), refused
