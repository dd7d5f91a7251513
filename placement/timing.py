"""How long a placed network takes: a prediction and an action. The constants are the caller's.

    t_step = max( max over cores (synop_s x synops, update_s x updates),  max over links link_s x messages,  barrier_s )

The barrier is a part among others where it was measured so (Loihi 2, arXiv 2601.10035); where it was measured alone it comes on
top (`Speed.barrier_adds`).

Chip steps are not throttled: a step is over when its slowest core is. Two readings of one prediction:

    pipelined     a new input every step (LIF: every T steps; a policy and a predictor: the longer of both), out after `depth`
                  steps, each as slow as the busiest layer
    fall-through  the next input after the last has left: `depth` steps, in each of which the layer that the message front
                  has reached computes synops and all layers update

Neither sends a message through several layers within one step: a neurocore's message arrives in the next one.
A plan is a recurrence, so the schedule decides which reading applies:

    sequential    one candidate of a replica at a time: every prediction falls through
    interleaved   a replica's candidates follow each other through the pipe; the next rollout step of a candidate waits for its
                  own prediction, so a replica with fewer candidates than layers leaves the pipe partly empty

Every step of a rollout is timed with the layers that are busy in it. A neuron whose state is swapped with a stored context
updates twice. The whole loop adds `selection_steps` an iteration. Passes of a plan follow one another; where no policy acts in
one, its layers send nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups, Stage
from spikeplan.core.planning import Pass, PlanBudget
from spikeplan.placement.groups import selection_steps, turns_in
from spikeplan.placement.load import Load, lasting
from spikeplan.placement.place import CENTRE, Placement, link_loads

SCHEDULES = ("sequential", "interleaved")
Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds of one synaptic operation and one update of a core, one message on a link, one barrier. `barrier_adds`: it begins
    when all else is done."""

    synop_s: float
    update_s: float
    link_s: float
    barrier_s: float
    barrier_adds: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < float("inf"):
                raise ValueError(f"speed: {field.name} {getattr(self, field.name)} must be finite and >= 0")


@dataclass(frozen=True, kw_only=True)
class PredictionTime:
    """Seconds. `every_s`: between predictions of a full pipe. `slowest`: the group, `updates` or `links` that sets the
    longest step of a full pipe."""

    every_s: float
    pipelined_latency_s: float
    fall_through_s: float
    slowest: str


@dataclass(frozen=True, kw_only=True)
class ActionTime:
    """`steps` chip steps an action, of which `selection` between iterations; `step_s` the slowest of a rollout."""

    schedule: str
    steps: int
    selection: int
    step_s: float
    action_s: float


class Clock:
    """Times one placement, in seconds. `messages`: sent by each group of one replica in one prediction.

    `restored`: stored contexts are written back, so neurons of the path update twice a step. `host_selects`: the steps of the
    search are left out; the words to the host and back take their own time (energy/loihi.py).

    >>> Clock(placement, network, {"code": 20.0, "h1": 60.0}, speed).action(CEMConfig(), "interleaved").action_s
    """

    def __init__(
        self,
        placement: Placement,
        network: NeuronGroups,
        messages: Mapping[str, float],
        speed: Speed,
        *,
        restored: bool = False,
        host_selects: bool = False,
    ) -> None:
        self.host_selects = host_selects
        self.placement, self.network, self.speed = placement, network, speed
        self.names = [group.name for group in placement.groups]
        self.on_core = self._synops_a_message()
        loads = link_loads(placement)
        self.on_link = np.array(
            [[by.get(name, 0.0) for name in self.names] for by in loads.values()] or [[0.0] * self._n]
        )
        self.width = {stage.name: stage.steps for stage in network.stages}
        self.per_step = np.array([messages.get(n, 0.0) / self.width.get(n, 1) for n in self.names])
        self.feeds = np.array(
            [[float(name in g.receivers) for name in self.names] for g in placement.groups]
        )  # [from, to]
        crowd: dict[tuple[int, int], int] = {}
        for use in placement.uses:
            twice = restored and use.layer in network.path[: self._layers]
            crowd[use.chip, use.core] = crowd.get((use.chip, use.core), 0) + use.neurons * (2 if twice else 1)
        self.most_updates = max(crowd.values())
        self.updating_s = speed.update_s * self.most_updates

    @property
    def _n(self) -> int:
        return len(self.names)

    @property
    def _layers(self) -> int:
        """Layers of the predictor on the path; the loop's latent, where there is one, works a single step."""
        return len(self.network.path) - self.network.whole_loop

    def _synops_a_message(self) -> Reals:
        """(cores of one replica, groups): synops on the core for a message that arrives at the group."""
        rows: dict[tuple[int, int], Reals] = {}
        for use in self.placement.uses:
            if use.replica in (0, CENTRE):
                group = self.placement.group(use.layer)
                row = rows.setdefault((use.chip, use.core), np.zeros(self._n))
                row[self.names.index(use.layer)] += use.neurons * group.synapses / max(1, group.axons_in)
        return np.array(list(rows.values()))

    def _busiest(self, sending_GP: Reals) -> tuple[Reals, Reals]:
        """Synops of a core and messages of a link, the most, in P steps before which the groups marked 1 have sent."""
        sent = sending_GP * self.per_step[:, None]
        return (self.on_core @ (self.feeds.T @ sent)).max(0), (self.on_link @ sent).max(0)

    def _busy(self, sending_GP: Reals) -> Reals:
        """Seconds of each of those steps."""
        synops, messages = self._busiest(sending_GP)
        busy = np.maximum(synops * self.speed.synop_s, messages * self.speed.link_s)
        return np.asarray(self._lasting(np.maximum(busy, self.updating_s)))

    def prediction(self) -> PredictionTime:
        """Time of one prediction, in a full pipe and alone."""
        each, depth = self.network.every, self.network.depth
        full = self._timeline(np.arange(2 * depth + 4) * each)
        begin = -(-(depth + len(self.network.tail)) // each) * each  # by then every stage is busy
        every = float(full[begin : begin + each].sum())
        alone = self._timeline(np.zeros(1, int), tail=False)
        sent = (
            np.array([n in self.network.path or n in (*self.network.tail, "source") for n in self.names])
            * self.per_step
        )
        synops = (self.on_core * (sent @ self.feeds)[None]).max(0)
        costs = dict(zip(self.names, synops * self.speed.synop_s, strict=True))
        costs["updates"] = self.updating_s
        costs["links"] = float((self.on_link @ sent).max()) * self.speed.link_s
        return PredictionTime(
            every_s=every,
            pipelined_latency_s=depth * every / each,
            fall_through_s=float(alone.sum()),
            slowest=max(costs, key=lambda name: costs[name]),
        )

    def _in(self, one: Pass) -> NeuronGroups:
        return self.network if one.policy else self.network.searching

    def _timeline(self, entries: NDArray[np.int64], *, tail: bool = True) -> Reals:
        """Seconds of each chip step when predictions enter at the steps `entries`."""
        patterns, where = self._patterns(entries, self.network, tail=tail)
        return np.asarray(self._busy(patterns)[where])

    def _patterns(
        self, entries: NDArray[np.int64], network: NeuronGroups, *, tail: bool = True, ending: int = 0
    ) -> tuple[Reals, NDArray[np.intp]]:
        """The kinds of steps (groups, P), by who has sent before them, and which kind each step is. `ending`: how many of the
        last predictions end a candidate that a cost-to-go judges."""
        stages = network.stages[: None if tail else len(network.path)]
        finals = [Stage(name, network.depth + i, 1) for i, name in enumerate(network.finals)] if ending else []
        steps = int(entries.max()) + max(stage.begin + stage.steps for stage in (*stages, *finals))
        active = np.zeros((self._n, steps + 1), bool)  # in the step before: what is active at t arrives at t + 1
        for stage in stages:
            for k in range(stage.steps):
                active[self.names.index(stage.name), entries + stage.begin + k + 1] = True
        for stage in finals:
            active[self.names.index(stage.name), entries[-ending:] + stage.begin + 1] = True
        if network.whole_loop:
            active[self.names.index("latent"), entries] = True
            if not network.policy:  # the action is known: the source sends it while the latent sends z
                active[self.names.index("source"), entries] = True
        patterns, where = np.unique(active[:, :steps], axis=1, return_inverse=True)
        return patterns.astype(float), where.reshape(-1)

    def _entries(self, one: Pass, schedule: str, own_passes: int) -> NDArray[np.int64]:
        """Chip steps of one iteration at which predictions enter."""
        turns = turns_in(one.samples, self.placement.replicas) + own_passes
        depth, each = self._in(one).depth, self._in(one).every
        step, candidate = np.divmod(np.arange(one.horizon * turns), turns)
        if schedule == "sequential":
            return np.asarray((step * turns + candidate) * depth)
        if schedule == "interleaved":
            return np.asarray(step * max(turns * each, depth) + candidate * each)
        raise UserError(f"place: schedule {schedule!r} is unknown; use {' or '.join(SCHEDULES)}")

    def _steps_of(self, one: Pass, schedule: str, own_passes: int) -> tuple[Reals, NDArray[np.intp]]:
        """Kinds of steps, and which kind each is, of one iteration."""
        ending = turns_in(one.samples, self.placement.replicas) if one.to_go else 0
        return self._patterns(self._entries(one, schedule, own_passes), self._in(one), ending=ending)

    def load(self, budget: PlanBudget, schedule: str, *, own_passes: int = 0) -> Load:
        """What `action` times, before the constants come in."""
        parts = [self._load(one, schedule, own_passes) for one in budget.passes]
        steps, synops, synops_sent, fixed, messages, messages_sent = (
            np.concatenate(c) for c in zip(*parts, strict=True)
        )
        return Load(
            steps_J=steps,
            synops_J=synops,
            synops_sent_J=synops_sent,
            fixed_J=fixed,
            messages_J=messages,
            messages_sent_J=messages_sent,
            updates=self.most_updates,
        )

    def _load(self, one: Pass, schedule: str, own_passes: int) -> list[Reals]:
        """Of one pass: how many steps of each kind, then `_columns`."""
        network = self._in(one)
        patterns, where = self._steps_of(one, schedule, own_passes)
        steps = np.bincount(where, minlength=patterns.shape[1]).astype(np.float64)
        columns = self._columns(patterns)
        if network.whole_loop:
            steps = np.append(steps, self._selection(one))
            asked = float(self._asked(one))
            columns = [np.append(c, x) for c, x in zip(columns, (asked, 0.0, asked, asked, 0.0), strict=True)]
        return [one.iterations * steps, *columns]

    def _columns(self, patterns: Reals) -> list[Reals]:
        """Of each kind of step: synops, those of the predictor's messages, those of the others alone; messages, likewise."""
        sent = patterns * self.per_step[:, None]
        own = self.network.path[: self._layers - 1] if self.network.whole_loop else self.network.path
        # The loop takes the last layer's values.
        of_predictor = sent * np.array([[name in own and name != "source"] for name in self.names])
        on_core = self.on_core @ self.feeds.T
        synops, links = on_core @ sent, self.on_link @ sent
        kinds = np.arange(patterns.shape[1])
        core, link = synops.argmax(0), links.argmax(0)
        return [
            synops.max(0),
            (on_core @ of_predictor)[core, kinds],
            (on_core @ (sent - of_predictor)).max(0),
            links.max(0),
            (self.on_link @ of_predictor)[link, kinds],
        ]

    def action(self, budget: PlanBudget, schedule: str, *, own_passes: int = 0) -> ActionTime:
        """`own_passes`: predictions a replica makes beside its candidates' (the mean's, on the references that look at it)."""
        steps, selecting, slowest, seconds = 0, 0, 0.0, 0.0
        for one in budget.passes:
            patterns, where = self._steps_of(one, schedule, own_passes)
            times = self._busy(patterns)[where]
            selection = self._selection(one) if self.network.whole_loop else 0
            steps += one.iterations * (len(times) + selection)
            selecting += one.iterations * selection
            slowest = max(slowest, float(times.max()))
            seconds += one.iterations * float(times.sum() + selection * self._selecting(one))
        return ActionTime(schedule=schedule, steps=steps, selection=selecting, step_s=slowest, action_s=seconds)

    def _selection(self, one: Pass) -> int:
        return selection_steps(one, self.placement.replicas, on_host=self.host_selects)

    def _selecting(self, one: Pass) -> float:
        """Seconds of a selection step: every candidate answers at once, or every replica sends a candidate's variables."""
        if not self.network.whole_loop:
            return 0.0
        busy = max(self._asked(one) * self.speed.synop_s, self._asked(one) * self.speed.link_s)
        return float(self._lasting(max(busy, self.updating_s)))

    def _lasting(self, busy_s: Any) -> Any:
        return lasting(busy_s, self.speed.barrier_s, self.speed.barrier_adds)

    def _asked(self, one: Pass) -> int:
        """Synops of the busiest core, and messages of its link, in a step of the selection: every cost to each of its pairs, or
        to theta."""
        choosing = one.samples * (one.samples - 1) if one.by_pairs else self.placement.group("theta").axons_in
        return max(choosing, self.placement.group("refit").axons_in)
