"""A row of operation counts: what one layer did, as every price and table reads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from spikeplan.core.errors import UserError

COUNTS_VERSION = 3
PHASES = ("encoder", "events", "predictor", "evaluation", "selection", "host")
REFERENCES = ("zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration")
ACTING_REFERENCES = REFERENCES[:-1]  # a policy's copies act in one pass: nothing looks back at an iteration
# These tell the layers of other networks of a plan from the predictor's, in counts and placements.
POLICY_PREFIX, VALUE_PREFIX = "policy.", "value."
SCHEDULES = ("sequential", "interleaved", "batched")
BYTES = {"int8": 1, "fp16": 2, "bf16": 2, "int32": 4, "fp32": 4}  # of a word, by a row's precision
UPDATE_WEIGHT = 10
UNKNOWN = ("hops", "weight_bytes", "chip_steps")  # columns that a row may leave open
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
    weight_bytes: int | None = None  # None: never given, which a price refuses where it needs them; 0: there are none
    state_bytes: int = 0
    dram_bytes: int = 0
    host_words: int = 0
    chip_steps: int | None = None  # the same
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
            if value is None and name in UNKNOWN:
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
    """Sum of one column or property over rows; what was never given adds nothing."""
    return sum(getattr(row, field) or 0 for row in rows)


def per_action(rows: Iterable[CountRow], actions: int, field: str = "synop_equivalents") -> float:
    if actions <= 0:
        raise ValueError(f"{actions} actions: counts are divided by the number of actions that they were summed over")
    return total(rows, field) / actions
