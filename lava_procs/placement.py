"""Where a converted network lies on a chip: layers split over neurocores, copied for spatial candidates.

Per core of a layer (n of its neurons, K stored contexts):
    neurons   n                                      <= neurons_per_core
    memory    n (n_in weight_bits / 8  +  state words x state bytes x (1 + K))     <= core_memory_bytes
    axons in  n_in                                   <= fan_in
    axons out n x (cores of the next layer)          <= fan_out
The least number of equal cores that meets all four is taken. Where even one neuron does not fit, the limit is broken and
listed with a remedy; nothing is dropped.

Replicas: candidates are shared out over N copies of the network (spatial); those of one copy take turns (time-multiplexed)
and, where the axis keeps state, each keeps a stored context in every core. A batch of candidates inside one Lava process is
a simulation convenience and appears nowhere here.

Geometry: cores in tiles of four, tiles in rows of `TILES_PER_ROW`, chips one after the other; a message to a core in
another tile takes |dx| + |dy| hops. Intel publishes no floor plan of Loihi 2: assumed from Loihi 1 (Davies 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from spec.artifact import Artifact, Layer
from spec.errors import UserError
from spec.limits import ChipLimits

CORES_PER_TILE = 4
TILES_PER_ROW = 8
STATE_WORDS = {"delta": 1, "sigma_delta": 2, "sigma": 1}  # sigma and ref, as the kind has them


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """One neurocore: `first` is the layer's neuron that it begins with."""

    replica: int
    layer: str
    first: int
    neurons: int
    weight_bytes: int
    state_bytes: int
    axons_in: int
    axons_out: int
    chip: int
    core: int

    @property
    def tile(self) -> tuple[int, int]:
        """(column, row) on its chip."""
        row, column = divmod(self.core // CORES_PER_TILE, TILES_PER_ROW)
        return column, row


@dataclass(frozen=True, kw_only=True)
class Broken:
    layer: str
    limit: str
    found: int
    allowed: int
    assumed: bool
    remedy: str

    def __str__(self) -> str:
        note = " (assumed limit)" if self.assumed else ""
        return f"layer '{self.layer}': {self.limit} {self.found} exceeds {self.allowed}{note}; {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class Placement:
    chip: ChipLimits
    replicas: int
    contexts: int
    cores: tuple[CoreUse, ...]
    broken: tuple[Broken, ...]

    @property
    def chips(self) -> int:
        return 1 + max((use.chip for use in self.cores), default=0)

    def of(self, layer: str, replica: int = 0) -> list[CoreUse]:
        return [use for use in self.cores if use.layer == layer and use.replica == replica]


def place(artifact: Artifact, chip: ChipLimits, *, replicas: int = 1, contexts: int = 0) -> Placement:
    """`contexts`: stored contexts a neuron keeps beside its working state."""
    if replicas < 1 or contexts < 0:
        raise UserError(f"place: replicas {replicas} must be >= 1 and contexts {contexts} >= 0")
    broken: list[Broken] = []
    splits = _splits(artifact.layers, chip, contexts, broken)
    cores: list[CoreUse] = []
    for replica in range(replicas):
        for index, (layer, split) in enumerate(zip(artifact.layers, splits, strict=True)):
            receivers = splits[index + 1] if index + 1 < len(splits) else 0
            share, more = divmod(layer.n_out, split)
            first = 0
            for part in range(split):
                n = share + (part < more)
                number = len(cores)
                cores.append(
                    CoreUse(
                        replica=replica, layer=layer.name, first=first, neurons=n,
                        weight_bytes=n * _weights(layer) * chip.weight_bits // 8,
                        state_bytes=n * _state_bytes(layer, contexts), axons_in=layer.n_in, axons_out=n * receivers,
                        chip=number // chip.cores, core=number % chip.cores,
                    )
                )  # fmt: skip
                first += n
    return Placement(chip=chip, replicas=replicas, contexts=contexts, cores=tuple(cores), broken=tuple(broken))


def _weights(layer: Layer) -> int:
    return 0 if layer.weight is None else layer.n_in


def _state_bytes(layer: Layer, contexts: int) -> int:
    return STATE_WORDS.get(layer.kind, 2) * (1 + contexts) * layer.state_bits // 8


def _splits(layers: Sequence[Layer], chip: ChipLimits, contexts: int, broken: list[Broken]) -> list[int]:
    """Cores a layer, from the last to the first: axons out depend on how the receiver is split."""
    splits: list[int] = []
    receivers = 0
    for layer in reversed(layers):
        each = _weights(layer) * chip.weight_bits // 8 + _state_bytes(layer, contexts)
        room = {
            "neurons": chip.neurons_per_core,
            "core_memory_bytes": chip.core_memory_bytes // max(1, each),
            "fan_out": chip.fan_out // receivers if receivers else layer.n_out,
        }
        _check(layer, chip, each, receivers, broken)
        fits = max(1, min(room.values()))
        receivers = -(-layer.n_out // fits)
        splits.append(receivers)
    return splits[::-1]


def _check(layer: Layer, chip: ChipLimits, each: int, receivers: int, broken: list[Broken]) -> None:
    """Limits that no split of this layer's neurons can meet."""
    message = 1 if not chip.graded_messages else chip.message_bits
    for limit, found, allowed, remedy in (
        ("fan_in", layer.n_in, chip.fan_in, "split the layer's inputs over two stages"),
        ("core_memory_bytes", each, chip.core_memory_bytes, "keep fewer contexts (more replicas) or split the inputs"),
        ("fan_out", receivers, chip.fan_out, "place the receiving layer on fewer cores"),
        ("state_bits", layer.state_bits, chip.state_bits, "rescale the layer"),
        ("message_bits", layer.message_bits if layer.kind != "sigma" else 0, message,
         "lower the recipe's bits" if chip.graded_messages else f"{chip.name} sends binary spikes; use the LIF arm"),
    ):  # fmt: skip
        if found > allowed:
            broken.append(
                Broken(layer=layer.name, limit=limit, found=found, allowed=allowed, assumed=limit in chip.assumed,
                       remedy=remedy)
            )  # fmt: skip


def hops(placement: Placement, messages: Mapping[str, float]) -> float:
    """Hops of all copies for `messages` sent by each layer of one copy (any unit: a pass, a plan). A message goes once to
    every core of the next layer; between chips it takes the way to the row's end, once."""
    total = 0.0
    names = list(dict.fromkeys(use.layer for use in placement.cores))
    for replica in range(placement.replicas):
        for source, target in pairwise(names):
            senders, receivers = placement.of(source, replica), placement.of(target, replica)
            width = sum(use.neurons for use in senders)
            for sender in senders:
                sent = messages.get(source, 0.0) * sender.neurons / width
                total += sent * sum(_distance(sender, receiver) for receiver in receivers)
    return total


def _distance(a: CoreUse, b: CoreUse) -> int:
    if a.chip != b.chip:
        return TILES_PER_ROW
    return abs(a.tile[0] - b.tile[0]) + abs(a.tile[1] - b.tile[1])


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds a chip step and an action take; `slowest` names the core's layer that sets the step."""

    step_s: float
    steps: int
    action_s: float
    latency_s: float
    slowest: str


def time_of(
    placement: Placement, artifact: Artifact, messages: Mapping[str, float], *, samples: int, iterations: int, horizon: int,
    schedule: str, synop_s: float, update_s: float, barrier_s: float, select_steps: int = 26,
) -> StepTime:  # fmt: skip
    """t_step = max over cores (a synops, b updates) + t_barrier, of one pass with `messages` sent by each layer.

    sequential    a prediction takes as many steps as layers, and the next begins when it is out (fall-through)
    interleaved   a prediction leaves every step (pipelined); the last one of a rollout step waits for the pipe
    An iteration ends with `select_steps` more: 24 comparisons of the threshold search, mean and spread.
    `latency_s` is what one prediction takes from input to output.
    """
    if schedule not in ("sequential", "interleaved"):
        raise UserError(f"place: schedule {schedule!r} is unknown; use sequential or interleaved")
    slowest, worst = "", -1.0
    before = {layer.name: source.name for source, layer in pairwise(artifact.layers)}
    for use in placement.cores:
        synops = messages.get(before.get(use.layer, ""), 0.0) * use.neurons
        busy = max(synop_s * synops, update_s * use.neurons)
        if busy > worst:
            slowest, worst = use.layer, busy
    step = worst + barrier_s
    depth = len(artifact.layers)
    turns = -(-samples // placement.replicas)
    if schedule == "sequential":
        rollout = horizon * turns * depth
    else:  # a candidate's next step waits for its own prediction, so a pipe that is not full runs empty in between
        rollout = (horizon - 1) * max(turns, depth) + turns + depth - 1
    steps = iterations * (rollout + select_steps)
    return StepTime(step_s=step, steps=steps, action_s=steps * step, latency_s=depth * step, slowest=slowest)
