"""On how many cores groups of neurons fit, and which limits they break: the one rule behind `check` and placement.

A core that holds n neurons of a group of N needs
    neurons    n                                                             <= neurons_per_core
    memory     n (synapses weight_bits / 8  +  words state_bits / 8)         <= core_memory_bytes
    axons in   neurons elsewhere that send to the group                      <= fan_in
    axons out  n x (cores that receive)                                      <= fan_out
The least number of equal cores that meets all four is taken, then `spread` times as many. Fan-out lists are counted as
Loihi 1's compilers count them: one axon for each pair (neuron, receiving core), however many synapses it reaches there.
Limits that no split of the neurons can meet are listed as violations, with a remedy; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeplan.core.chips import ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.ir.artifact import Artifact

STATE_WORDS = {"delta": 1, "sigma_delta": 2, "sigma": 1}  # sigma and ref, as the kind has them


@dataclass(frozen=True, kw_only=True)
class Group:
    """Neurons of one program. `words`: state words a neuron, stored contexts included. `message_bits` 0: sends nothing.

    once    one for all replicas of the network       shares  may lie on a core together with others that share
    """

    name: str
    neurons: int
    axons_in: int
    synapses: int
    words: int
    message_bits: int
    receivers: tuple[str, ...] = ()
    state_bits: int = STATE_BITS
    once: bool = False
    shares: bool = False

    def __post_init__(self) -> None:
        least = {"neurons": 1, "axons_in": 0, "synapses": 0, "words": 1, "message_bits": 0, "state_bits": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"group '{self.name}': {name} {getattr(self, name)} must be >= {low}")

    def weight_bytes(self, neurons: int, chip: ChipLimits) -> int:
        return -(-neurons * self.synapses * chip.weight_bits // 8)

    def state_bytes(self, neurons: int) -> int:
        return -(-neurons * self.words * self.state_bits // 8)

    def bytes_of(self, neurons: int, chip: ChipLimits) -> int:
        return self.weight_bytes(neurons, chip) + self.state_bytes(neurons)


@dataclass(frozen=True)
class Violation:
    """One limit of a chip that one layer breaks: what was found, what is allowed, and a remedy.

    `assumed`: the limit is an assumption, since no document of the chip states it.

    >>> print(check(artifact, LOIHI1)[0])
    """

    layer: str
    limit: str
    found: int
    allowed: int
    remedy: str
    assumed: bool = False

    def __str__(self) -> str:
        note = " (assumed limit)" if self.assumed else ""
        return f"layer '{self.layer}': {self.limit} {self.found} exceeds {self.allowed}{note}; {self.remedy}"


def groups_of(artifact: Artifact, *, contexts: int = 0) -> tuple[Group, ...]:
    """One group a layer. `contexts`: stored contexts a neuron keeps beside its working state."""
    if contexts < 0:
        raise UserError(f"contexts {contexts} must be >= 0")
    feeds = [edge for edge in artifact.edges if edge.role == "feed"]
    return tuple(
        Group(
            name=layer.name,
            neurons=layer.n_out,
            axons_in=layer.n_in,
            synapses=0 if layer.weight is None else layer.n_in,
            words=STATE_WORDS[layer.kind] * (1 + contexts),
            message_bits=layer.message_bits,
            state_bits=layer.state_bits,
            receivers=tuple(edge.dst for edge in feeds if edge.src == layer.name),
        )
        for layer in artifact.layers
    )


def receiving(group: Group, groups: Sequence[Group], cores: dict[str, int], replicas: int) -> int:
    """Cores that one neuron of `group` sends to; what there is once reaches every replica of what there is many times."""
    by_name = {g.name: g for g in groups}
    return sum(cores[name] * (replicas if group.once and not by_name[name].once else 1) for name in group.receivers)


def split(groups: Sequence[Group], chip: ChipLimits, *, replicas: int = 1, spread: int = 1) -> dict[str, int]:
    """Cores of each group in one replica. Axons out depend on how the receivers are split: repeated until nothing grows."""
    cores = {group.name: 1 for group in groups}
    while True:
        grown = {g.name: max(cores[g.name], _cores(g, groups, chip, cores, replicas, spread)) for g in groups}
        if grown == cores:
            return cores
        cores = grown


def _cores(
    g: Group, groups: Sequence[Group], chip: ChipLimits, cores: dict[str, int], replicas: int, spread: int
) -> int:
    room = min(chip.neurons_per_core, _most(g, chip))
    if receivers := receiving(g, groups, cores, replicas):
        room = min(room, chip.fan_out // receivers)
    least = -(-g.neurons // max(1, room))
    return least if g.shares else min(g.neurons, spread * least)


def _most(group: Group, chip: ChipLimits) -> int:
    """Neurons that a core's memory holds; bytes are whole for each of weights and states."""
    bits = group.synapses * chip.weight_bits + group.words * group.state_bits
    most = min(group.neurons, 8 * chip.core_memory_bytes // bits)
    while most > 0 and group.bytes_of(most, chip) > chip.core_memory_bytes:
        most -= 1
    return most


def violations(
    groups: Sequence[Group], chip: ChipLimits, cores: dict[str, int], *, replicas: int = 1
) -> tuple[Violation, ...]:
    """Limits that no split of the neurons can meet. `cores` as `split` gives them."""
    found: list[Violation] = []
    binary = not chip.graded_messages
    for g in groups:
        for limit, value, allowed, remedy in (
            (
                "message_bits",
                g.message_bits,
                1 if binary else chip.message_bits,
                f"{chip.name} sends binary spikes; use the LIF method" if binary else "lower the recipe's bits",
            ),
            ("state_bits", g.state_bits, chip.state_bits, "rescale the layer"),
            (
                "core_memory_bytes",
                g.bytes_of(1, chip),
                chip.core_memory_bytes,
                "keep fewer contexts (more replicas) or split the layer's inputs over two stages",
            ),
            ("fan_in", g.axons_in, chip.fan_in, "split the layer's inputs over two stages"),
            ("fan_out", receiving(g, groups, cores, replicas), chip.fan_out, "place what it sends to on fewer cores"),
        ):
            if value > allowed:
                found.append(Violation(g.name, limit, value, allowed, remedy, limit in chip.assumed))
    return tuple(found)
