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
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from spikeplan.core.errors import UserError

COUNTS_VERSION = 3
PHASES = ("encoder", "events", "predictor", "evaluation", "selection", "host")
REFERENCES = ("zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration")
POLICY_PREFIX = "policy."  # tells a policy's layers from the predictor's in counts and placements
SCHEDULES = ("sequential", "interleaved", "batched")
BYTES = {"int8": 1, "fp16": 2, "bf16": 2, "int32": 4, "fp32": 4}  # of a word, by a row's precision
UPDATE_WEIGHT = 10
MOST = 2**63  # what other tools count in; sums over rows stay finite in float64


@dataclass(frozen=True, kw_only=True)
class LayerCounts:
    """Operations of one layer in one call, summed over its batch. Message counts are of messages *sent* by the layer;
    `synops` are the synaptic operations that these messages cause downstream."""

    layer: str
    macs: int = 0
    acs: int = 0
    synops: int = 0
    updates: int = 0
    updates_active: int = 0
    state_restores: int = 0
    messages: int = 0
    message_bits: int = 0
    saturated: int = 0
    dense_macs: int = 0  # what a dense network would have spent on the same synapses
    calls: int = 0  # predictions (rows) that the counts are summed over
    state_reads: int = 0  # dense layers: activations read and written; spiking layers follow from updates and restores
    state_writes: int = 0

    def __add__(self, other: LayerCounts) -> LayerCounts:
        mine, theirs = vars(self), vars(other)  # asdict copies deeply, and every rollout step of every plan adds
        return LayerCounts(layer=self.layer, **{key: mine[key] + theirs[key] for key in mine if key != "layer"})


@dataclass(frozen=True, kw_only=True)
class CountRow:
    """One line of the operation counts (pinned contract). `control_step` is None where control steps are summed."""

    version: int = COUNTS_VERSION
    method: str
    phase: str
    layer: str
    reference: str
    schedule: str
    control_step: int | None = None
    iteration: int | None = None
    rollout_step: int | None = None
    macs: int = 0
    acs: int = 0
    synops: int = 0
    updates_active: int = 0
    updates_idle: int = 0
    state_restores: int = 0
    messages: int = 0
    message_bits: int = 0
    hops: int | None = None
    weight_bytes: int = 0
    state_bytes: int = 0
    dram_bytes: int = 0
    host_words: int = 0
    chip_steps: int = 0
    saturated: int = 0
    dense_macs: int = 0
    weight_reads: int = 0
    state_reads: int = 0
    state_writes: int = 0
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if self.version != COUNTS_VERSION:
            raise UserError(
                f"{self._where}: counts of version {self.version!r}; this code reads version {COUNTS_VERSION}"
            )
        for name in COUNTS:
            value = getattr(self, name)
            if value is None and name == "hops":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST:
                raise UserError(f"{self._where}: {name} is {value!r:.40}; a count is a finite number >= 0, below 2^63")

    @property
    def _where(self) -> str:
        return f"method {self.method!r}, layer {self.layer!r}"

    @property
    def updates(self) -> int:
        return self.updates_active + self.updates_idle

    @property
    def without_restores(self) -> int:
        return self.macs + self.acs + self.synops + UPDATE_WEIGHT * self.updates

    @property
    def synop_equivalents(self) -> int:
        return self.without_restores + UPDATE_WEIGHT * self.state_restores


COUNTS = tuple(
    f.name
    for f in fields(CountRow)
    if f.type in ("int", "int | None") and f.name not in ("version", "control_step", "iteration", "rollout_step")
)


def total(rows: Iterable[CountRow], field: str) -> int:
    """Sum of one column or property over rows."""
    return sum(getattr(row, field) for row in rows)


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
    ) -> None:
        """`policy_steps`: how many of both are those of a policy beside the predictor, if there is one."""
        self.policy_steps = None if policy_steps is None else (policy_steps[0], policy_steps[1])
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
        op_counts = cls(**{name: dumped[name] for name in names}, policy_steps=dumped.get("policy_steps"))
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

    def _steps_of(self, layer: str) -> tuple[int, int]:
        """Chip steps, sequential and interleaved, in which a layer updates for one prediction."""
        if self.policy_steps is None or layer.startswith(POLICY_PREFIX):
            return self.policy_steps or (self.sequential_steps, self.interleaved_steps)
        return self.sequential_steps - self.policy_steps[0], self.interleaved_steps - self.policy_steps[1]

    def rows(self, schedule: str) -> list[CountRow]:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule {schedule!r} is unknown; use one of {', '.join(SCHEDULES)}")
        if (schedule == "batched") == self.spiking:
            kind = "spiking" if self.spiking else "dense"
            raise ValueError(f"method {self.method!r}: schedule {schedule!r} does not fit a {kind} method")
        rows = []
        same: dict[str, Any] = {"method": self.method, "reference": self.reference, "schedule": schedule}
        # Chip steps are booked once per prediction, on the first predictor layer.
        leading = next((key[1] for key in self._counts if key[0] == "predictor"), None)
        for (phase, layer, iteration, step), c in self._counts.items():
            in_chain = self.spiking and phase == "predictor"
            updates, chip_steps = c.updates, 0
            if in_chain:
                steps = self.sequential_steps if schedule == "sequential" else self.interleaved_steps
                alone, each = self._steps_of(layer)
                updates = c.updates * alone // each if schedule == "sequential" else c.updates
                chip_steps = c.calls * steps if layer == leading else 0
            switches = 0
            if in_chain and schedule == "interleaved" and self.reference == "previous_step":
                switches = max(0, c.updates - c.state_restores)
            weight_bytes, state_bytes = self._memory.get(layer, (0, 0))
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
            rows.append(CountRow(**same, phase="host", layer=phase, host_words=words, precision="int32"))
        return rows


def per_action(rows: Iterable[CountRow], actions: int, field: str = "synop_equivalents") -> float:
    if actions <= 0:
        raise ValueError(f"{actions} actions: counts are divided by the number of actions that they were summed over")
    return total(rows, field) / actions
