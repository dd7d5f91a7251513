"""Operation counts: what every method is charged for, one row for each phase, layer, iteration and rollout step.

    synop_equivalents = macs + acs + synops + 10 * (updates_active + updates_idle + state_restores)

The factor 10 is Intel's own weighting (N-DNS challenge: power proxy = SynOPS + 10 x NeuronOPS). A dense MAC counts
as one synop-equivalent with no update charge: the most favourable count for the dense opponent. Restoring one
neuron's stored state is charged like one update; `without_restores` gives the figure without it.

Rows are sums over all episodes and control steps of a run (`OperationCounts.actions` actions): sum first, then divide.
An *update* is paid by every neuron of a layer in every chip step; it is *active* when the neuron sends a message.

Accesses are counted in words, whatever their width. Spiking: one weight read a synop, one state read and one written an
update or restore. Dense: every weight read once a row and action (a batch of candidates shares it), activations read and
written once a prediction; what a device re-reads beyond that is its model's matter (an encoder's accesses are not counted).

Schedules of a recurrent rollout on one network instance of L neuron layers:
    sequential   a prediction takes `sequential_steps` chip steps (sigma-delta: L; LIF: T + L - 1), and every layer
                 updates in each of them
    interleaved  as many candidates as layers share the pipe, one prediction leaves it every `interleaved_steps`
                 (sigma-delta: 1; LIF: T), the count at which `LayerCounts.updates` is kept. On the previous_step reference each
                 candidate's state is then a stored context, restored at every prediction; the other references keep no state
                 (none), hand it on in pipeline order (order) or restore it anyway (mean, iteration).
    A policy and a predictor take their steps one after the other; the layers of each update in its own steps.
    batched      dense hardware: no chip steps
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

from spikeplan.core.counts.row import (
    ACTING_REFERENCES,
    BYTES,
    COUNTS,
    COUNTS_VERSION,
    MOST,
    PHASES,
    POLICY_PREFIX,
    REFERENCES,
    SCHEDULES,
    UPDATE_WEIGHT,
    VALUE_PREFIX,
    CountRow,
    LayerCounts,
    per_action,
    total,
)
from spikeplan.core.errors import UserError

__all__ = [
    "ACTING_REFERENCES",
    "BYTES",
    "COUNTS",
    "COUNTS_VERSION",
    "MOST",
    "PHASES",
    "POLICY_PREFIX",
    "REFERENCES",
    "SCHEDULES",
    "UPDATE_WEIGHT",
    "VALUE_PREFIX",
    "CountRow",
    "LayerCounts",
    "OperationCounts",
    "per_action",
    "total",
]


PARTS = (POLICY_PREFIX, VALUE_PREFIX)  # networks beside the predictor, by the prefix of their layers


def part_of(layer: str) -> str:
    """The network that a layer belongs to: one of PARTS, or "" for the predictor."""
    return next((prefix for prefix in PARTS if layer.startswith(prefix)), "")


class OperationCounts:
    """Accumulates counts of one run of one method; `rows(schedule)` writes them out."""

    def __init__(
        self,
        *,
        method: str,
        reference: str,
        precision: str,
        spiking: bool,
        sequential_steps: int = 1,
        interleaved_steps: int = 1,
        policy_steps: tuple[int, int] | None = None,
        value_steps: tuple[int, int] | None = None,
    ) -> None:
        """`policy_steps`: how many of both are those of a policy beside the predictor, if there is one. `value_steps`: of a
        cost-to-go, which is none of them."""
        self.policy_steps = None if policy_steps is None else (policy_steps[0], policy_steps[1])
        self.value_steps = None if value_steps is None else (value_steps[0], value_steps[1])
        self.method, self.reference, self.precision, self.spiking = method, reference, precision, spiking
        self.sequential_steps, self.interleaved_steps = sequential_steps, interleaved_steps
        self.actions = 0
        self._counts: dict[tuple[str, str, int | None, int | None], LayerCounts] = {}
        self._memory: dict[str, tuple[int, int]] = {}
        self._host_words: dict[str, int] = defaultdict(int)

    def add(self, phase: str, counts: LayerCounts, *, iteration: int | None = None, step: int | None = None) -> None:
        key = (phase, counts.layer, iteration, step)
        known = self._counts.get(key)
        self._counts[key] = counts if known is None else known + counts

    def add_host_words(self, phase: str, words: int) -> None:
        self._host_words[phase] += words

    @property
    def host_words(self) -> dict[str, int]:
        return dict(self._host_words)

    def set_memory(self, layer: str, *, weight_bytes: int, state_bytes: int) -> None:
        self._memory[layer] = (weight_bytes, state_bytes)

    @property
    def memory(self) -> dict[str, tuple[int, int]]:
        """Layer -> bytes of its weights and of its states."""
        return dict(self._memory)

    def counts(self, phase: str | None = None) -> list[tuple[tuple[str, str, int | None, int | None], LayerCounts]]:
        """Raw (phase, layer, iteration, rollout step) -> counts, for density figures."""
        return [(key, value) for key, value in self._counts.items() if phase is None or key[0] == phase]

    def dump(self) -> dict[str, Any]:
        """JSON form, zeros left out. `load` reads it back; `merge` adds it to the counts of another shard of the same run."""
        return {
            "version": COUNTS_VERSION,
            "method": self.method,
            "reference": self.reference,
            "precision": self.precision,
            "spiking": self.spiking,
            "sequential_steps": self.sequential_steps,
            "interleaved_steps": self.interleaved_steps,
            **({} if self.policy_steps is None else {"policy_steps": list(self.policy_steps)}),
            **({} if self.value_steps is None else {"value_steps": list(self.value_steps)}),
            "actions": self.actions,
            "memory": {layer: list(sizes) for layer, sizes in self._memory.items()},
            "counts": [
                [*key, {name: count for name, count in asdict(value).items() if count and name != "layer"}]
                for key, value in self._counts.items()
            ],
            "host_words": dict(self._host_words),
        }

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> OperationCounts:
        """What `dump` wrote, by this version."""
        if dumped.get("version") != COUNTS_VERSION:
            raise UserError(f"counts of version {dumped.get('version')!r}; this code reads version {COUNTS_VERSION}")
        names = ("method", "reference", "precision", "spiking", "sequential_steps", "interleaved_steps")
        others: dict[str, Any] = {name: dumped.get(name) for name in ("policy_steps", "value_steps")}
        op_counts = cls(**{name: dumped[name] for name in names}, **others)
        op_counts.merge(dumped)
        for layer, (weight_bytes, state_bytes) in dumped["memory"].items():
            op_counts.set_memory(layer, weight_bytes=weight_bytes, state_bytes=state_bytes)
        return op_counts

    def merge(self, dumped: dict[str, Any]) -> None:
        self.actions += dumped["actions"]
        for phase, layer, iteration, step, counts in dumped["counts"]:
            self.add(phase, LayerCounts(layer=layer, **counts), iteration=iteration, step=step)
        for phase, words in dumped["host_words"].items():
            self._host_words[phase] += words

    def _steps_of(self, part: str, leading: dict[str, str]) -> tuple[int, int]:
        """Chip steps, sequential and interleaved, that a prediction takes in a part: policy, cost-to-go or predictor.

        `leading`: the first layer of each part that there is. A dense part runs beside the chip and takes none.
        """
        whole, policy = (self.sequential_steps, self.interleaved_steps), self.policy_steps or (0, 0)
        if part == VALUE_PREFIX:
            return self.value_steps or (0, 0)
        if part == POLICY_PREFIX:
            return policy if "" in leading else whole  # it may act alone
        return whole[0] - policy[0], whole[1] - policy[1]

    def rows(self, schedule: str) -> list[CountRow]:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule {schedule!r} is unknown; use one of {', '.join(SCHEDULES)}")
        if (schedule == "batched") == self.spiking:
            kind = "spiking" if self.spiking else "dense"
            raise ValueError(f"method {self.method!r}: schedule {schedule!r} does not fit a {kind} method")
        rows = []
        same: dict[str, Any] = {"method": self.method, "reference": self.reference, "schedule": schedule}
        # Chip steps are booked once per prediction, on the first layer of each part.
        leading: dict[str, str] = {}
        for name in (key[1] for key in self._counts if key[0] == "predictor"):
            leading.setdefault(part_of(name), name)
        for (phase, layer, iteration, step), c in self._counts.items():
            in_chain = self.spiking and phase == "predictor"
            updates, chip_steps = c.updates, 0
            if in_chain:
                part = part_of(layer)
                alone, each = self._steps_of(part, leading)
                steps = alone if schedule == "sequential" else each
                updates = c.updates * alone // each if schedule == "sequential" and each else c.updates
                chip_steps = c.calls * steps if layer == leading[part] else 0
            switches = 0
            if in_chain and schedule == "interleaved" and self.reference == "previous_step" and part != VALUE_PREFIX:
                switches = max(0, c.updates - c.state_restores)
            weight_bytes, state_bytes = self._memory.get(layer, (None, 0))
            restores = c.state_restores + switches
            if self.spiking and phase != "encoder":
                weight_reads, state_reads, state_writes = c.synops, updates + restores, updates + restores
            else:
                weight_reads = (c.dense_macs or c.macs) // c.calls * self.actions if c.calls else 0
                state_reads, state_writes = c.state_reads, c.state_writes
            rows.append(
                CountRow(
                    **same,
                    phase=phase,
                    layer=layer,
                    iteration=iteration,
                    rollout_step=step,
                    macs=c.macs,
                    acs=c.acs,
                    synops=c.synops,
                    updates_active=c.updates_active,
                    updates_idle=updates - c.updates_active,
                    state_restores=restores,
                    messages=c.messages,
                    message_bits=c.message_bits,
                    weight_bytes=weight_bytes,
                    state_bytes=state_bytes,
                    chip_steps=chip_steps,
                    saturated=c.saturated,
                    dense_macs=c.dense_macs,
                    weight_reads=weight_reads,
                    state_reads=state_reads,
                    state_writes=state_writes,
                    precision=self.precision,
                )
            )
        for phase, words in self._host_words.items():
            rows.append(
                CountRow(
                    **same, phase="host", layer=phase, host_words=words, weight_bytes=0, chip_steps=0, precision="int32"
                )
            )
        return rows
