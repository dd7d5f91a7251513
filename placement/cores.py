"""A network of any shape on neurocores: how its layers are cut, what lies on each core, and which limits that breaks.

A core that holds n neurons of a layer needs what `spikeplan.core.fit` says, with two things told apart for convolutions:

    memory      a kernel is stored once a core, not once a neuron (assumed: PilotNet's 158,509 neurons fit 74 cores so alone)
    axons       those of the neurons whose synapses reach the core, and of the cores that a neuron's synapses reach

Each layer is cut into the least number of equal parts that holds every limit, from the last layer to the first, then into
`spread` times as many. A network larger than a chip goes on to the next one. Limits that no cut can hold are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.chips import ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fit import Group, Violation
from spikeplan.core.ir.graph import Linear
from spikeplan.placement.graph import INPUT, Graph, Link, Nodes, reach
from spikeplan.placement.place import MOST_CORES, CoreUse, Placement, TooManyCores

GROWTH = 1.05  # of the number of cores, until a layer's limits hold
Ints = NDArray[np.int64]


def parts_of(neurons: int, cores: int) -> list[tuple[int, int]]:
    """(first, number) of each of so many equal parts."""
    share, more = divmod(neurons, cores)
    sizes = [share + (part < more) for part in range(cores)]
    return list(zip(np.cumsum([0, *sizes[:-1]]).tolist(), sizes, strict=True))


@dataclass(frozen=True, kw_only=True)
class _Room:
    """What a part of a layer takes. `receiving`: cores that each neuron of the layer sends to."""

    layer: Nodes
    links: tuple[Link, ...]
    receiving: Ints
    chip: ChipLimits

    def weight_bytes(self, neurons: int) -> int:
        stored = 0
        for link in self.links:
            own = neurons if isinstance(link.synapse, Linear) else min(neurons, len(link.synapse.weight))
            stored += own * link.fan_in
        return -(-stored * self.chip.weight_bits // 8)

    def state_bytes(self, neurons: int) -> int:
        return -(-neurons * self.layer.words * self.layer.state_bits // 8)

    def bytes_of(self, neurons: int) -> int:
        return self.weight_bytes(neurons) + self.state_bytes(neurons)

    def axons_in(self, first: int, neurons: int) -> int:
        if not self.links:  # a coder takes a value a neuron
            return neurons
        return sum(
            int(np.prod(link.before))
            if isinstance(link.synapse, Linear)
            else int(np.count_nonzero(reach(link, first, neurons)))
            for link in self.links
        )

    def axons_out(self, first: int, neurons: int) -> int:
        return int(self.receiving[first : first + neurons].sum())

    def least(self) -> int:
        """Cores that hold the layer, or one a neuron where none do."""
        chip, n = self.chip, self.layer.neurons
        room = min(chip.neurons_per_core, n)
        while room > 1 and self.bytes_of(room) > chip.core_memory_bytes:
            room = max(1, min(room - 1, room * chip.core_memory_bytes // self.bytes_of(room)))
        cores = max(-(-n // room), min(n, -(-int(self.receiving.sum()) // chip.fan_out)))
        local = any(not isinstance(link.synapse, Linear) for link in self.links)
        while cores < n and not self._holds(cores, local):
            cores = min(n, max(cores + 1, round(cores * GROWTH)))
        return cores

    def _holds(self, cores: int, local: bool) -> bool:
        """More cores help against axons in where synapses are local, and against axons out."""
        parts = parts_of(self.layer.neurons, cores)
        if self.bytes_of(parts[0][1]) > self.chip.core_memory_bytes:
            return False
        if any(self.axons_out(*part) > self.chip.fan_out for part in parts):
            return False
        return not local or all(self.axons_in(*part) <= self.chip.fan_in for part in parts)


def cuts_of(graph: Graph, chip: ChipLimits, *, spread: int = 1) -> dict[str, int]:
    """Cores of each layer in one replica."""
    cores: dict[str, int] = {}
    for layer in reversed(graph.layers):
        least = _room(graph, layer, chip, cores).least()
        cores[layer.name] = min(layer.neurons, spread * least)
        if sum(cores.values()) > MOST_CORES:
            raise TooManyCores(_too_many(sum(cores.values())))
    return {layer.name: cores[layer.name] for layer in graph.layers}


def _too_many(needed: int) -> str:
    return f"place: {needed:,} cores and more exceed the largest machine ({MOST_CORES:,}); lower replicas or spread"


def _room(graph: Graph, layer: Nodes, chip: ChipLimits, cores: dict[str, int]) -> _Room:
    receiving = np.zeros(layer.neurons, dtype=np.int64)
    for link in graph.out_of(layer.name):
        receiving += cores_reached(link, cores[link.dst])
    return _Room(layer=layer, links=tuple(graph.into(layer.name)), receiving=receiving, chip=chip)


def cores_reached(link: Link, cores: int) -> Ints:
    """Of each sending neuron: so many of the receiving layer's cores hold a synapse of it."""
    sending = int(np.prod(link.before))
    if isinstance(link.synapse, Linear):
        return np.full(sending, cores, dtype=np.int64)
    reached = np.zeros(sending, dtype=np.int64)
    for first, neurons in parts_of(int(np.prod(link.after)), cores):
        reached += reach(link, first, neurons) > 0
    return reached


def place_graph(graph: Graph, chip: ChipLimits, *, replicas: int = 1, spread: int = 1) -> Placement:
    """Put a network on the cores of as many chips as it takes.

    Args:
        graph: from `graph_of_network` or `graph_of_artifact`.
        chip: limits of the chip, such as LOIHI2.
        replicas: instances of the network, for inputs that are computed side by side.
        spread: times the least cores a layer may take; more cores shorten a step.

    Raises UserError for numbers below 1, and TooManyCores beyond the largest machine. Limits that no cut can hold are listed
    in `broken`, not raised.

    >>> placement = place_graph(graph_of_network(read_nir("cells.nir")), LOIHI2)
    >>> placement.cores, placement.chips, placement.broken
    """
    if replicas < 1 or spread < 1:
        raise UserError(f"place: replicas {replicas} and spread {spread} must be >= 1")
    cores = cuts_of(graph, chip, spread=spread)
    if (needed := replicas * sum(cores.values())) > MOST_CORES:
        raise TooManyCores(_too_many(needed))
    rooms = {layer.name: _room(graph, layer, chip, cores) for layer in graph.layers}
    table: list[dict[str, Any]] = [
        {
            "layer": name,
            "first": first,
            "neurons": n,
            "weight_bytes": room.weight_bytes(n),
            "state_bytes": room.state_bytes(n),
            "axons_in": room.axons_in(first, n),
            "axons_out": room.axons_out(first, n),
        }
        for name, room in rooms.items()
        for first, n in parts_of(room.layer.neurons, cores[name])
    ]
    uses = []
    for replica in range(replicas):
        for number, use in enumerate(table, replica * len(table)):
            uses.append(CoreUse(**use, replica=replica, chip=number // chip.cores, core=number % chip.cores))
    first = tuple(uses[: len(table)])
    groups = tuple(_group(graph, layer) for layer in graph.layers)
    broken = _broken(graph, chip, first)
    return Placement(chip=chip, replicas=replicas, spread=spread, groups=groups, uses=tuple(uses), broken=broken)


def _group(graph: Graph, layer: Nodes) -> Group:
    """The layer in the words of `spikeplan.core.fit`, for drawings and tables."""
    links = graph.into(layer.name)
    return Group(
        name=layer.name,
        neurons=layer.neurons,
        axons_in=sum(int(np.prod(link.before)) for link in links) or layer.neurons,
        synapses=sum(link.fan_in for link in links),
        words=layer.words,
        message_bits=layer.message_bits,
        state_bits=layer.state_bits,
        receivers=tuple(link.dst for link in graph.out_of(layer.name)),
    )


def _broken(graph: Graph, chip: ChipLimits, uses: tuple[CoreUse, ...]) -> tuple[Violation, ...]:
    binary = not chip.graded_messages
    allowed_bits = 1 if binary else chip.message_bits
    remedy = f"{chip.name} sends binary spikes; use an LIF network" if binary else "lower the messages' bits"
    found = []
    if graph.input_bits > allowed_bits:
        found.append(Violation(INPUT, "message_bits", graph.input_bits, allowed_bits, remedy))
    for layer in graph.layers:
        of_layer = [use for use in uses if use.layer == layer.name]
        memory = max(use.weight_bytes + use.state_bytes for use in of_layer)
        for limit, value, allowed, cure in (
            ("message_bits", layer.message_bits, allowed_bits, remedy),
            ("state_bits", layer.state_bits, chip.state_bits, "rescale the layer"),
            ("core_memory_bytes", memory, chip.core_memory_bytes, "split the layer's inputs over two stages"),
            ("fan_in", max(u.axons_in for u in of_layer), chip.fan_in, "split the layer's inputs over two stages"),
            ("fan_out", max(u.axons_out for u in of_layer), chip.fan_out, "place what it sends to on fewer cores"),
        ):
            if value > allowed:
                found.append(Violation(layer.name, limit, value, allowed, cure, limit in chip.assumed))
    return tuple(found)
