"""Where a converted network lies on a chip: groups split over neurocores (`spikeplan.core.fit`), copied for spatial candidates.

Replicas: candidates are shared out over N replicas of the network (spatial); those of one replica take turns (time-multiplexed)
and, where the reference keeps state, each keeps a stored context in every core. A batch of candidates inside one Lava process is
a simulation convenience and appears nowhere here.

Cores are taken one after the other; groups that share lie on one core while all limits hold for their sum.

Geometry: cores in tiles of four, tiles in rows of `TILES_PER_ROW`, chips one after the other. A message goes once to every
core of the receiving group, first along the row, then along the column; to another chip it takes the way to the row's end
(`TILES_PER_ROW` hops) over one link between the two. Intel publishes no floor plan of Loihi 2: assumed from Loihi 1
(Davies 2018).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikeplan.core.chips import ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fit import Group, Violation, receiving, split, violations

CORES_PER_TILE = 4
TILES_PER_ROW = 8
MOST_CORES = 1152 * 128  # Hala Point, the largest machine there is
CENTRE = -1  # the replica number of what there is once


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """Neurons first .. first + neurons of a group on one core; several groups may lie on a core."""

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
        return tile_of(self.core)


def tile_of(core: int) -> tuple[int, int]:
    """(column, row) of a core's tile."""
    row, column = divmod(core // CORES_PER_TILE, TILES_PER_ROW)
    return column, row


@dataclass(frozen=True, kw_only=True)
class Placement:
    chip: ChipLimits
    replicas: int
    spread: int
    groups: tuple[Group, ...]
    uses: tuple[CoreUse, ...]
    broken: tuple[Violation, ...]

    @property
    def cores(self) -> int:
        return len({(use.chip, use.core) for use in self.uses})

    @property
    def chips(self) -> int:
        return 1 + max(use.chip for use in self.uses)

    @property
    def cores_at_80(self) -> int:
        """Real compilers fill four fifths (NxTF)."""
        return -(-self.cores * 10 // 8)

    @property
    def chips_at_80(self) -> int:
        return -(-self.cores_at_80 // self.chip.cores)

    @property
    def neurons(self) -> int:
        """Of all replicas: all of them update in every chip step."""
        return sum(use.neurons for use in self.uses)

    def group(self, name: str) -> Group:
        return next(group for group in self.groups if group.name == name)

    def of(self, layer: str, replica: int = 0) -> list[CoreUse]:
        return [use for use in self.uses if use.layer == layer and use.replica in (replica, CENTRE)]


class TooManyCores(UserError):
    """More than the largest machine has."""


def place(groups: Sequence[Group], chip: ChipLimits, *, replicas: int = 1, spread: int = 1) -> Placement:
    """Put groups of neurons on the cores of as many chips as they take.

    Args:
        groups: of one replica, in order of computation, from `groups_of(artifact)` or `with_loop(...).groups`.
        chip: limits of the chip, such as LOIHI2.
        replicas: instances of the network that compute candidates side by side.
        spread: times the least cores a layer may take; more cores shorten a step.

    Raises UserError for numbers below 1, and TooManyCores beyond the largest machine. Limits that no split can meet are
    listed in `broken`, not raised.

    >>> placement = place(groups_of(artifact), LOIHI2, replicas=8)
    >>> placement.cores, placement.chips, placement.broken
    """
    if replicas < 1 or spread < 1:
        raise UserError(f"place: replicas {replicas} and spread {spread} must be >= 1")
    cores = split(groups, chip, replicas=replicas, spread=spread)
    if (needed := replicas * sum(cores.values())) > MOST_CORES:
        raise TooManyCores(
            f"place: {needed:,} cores exceed the largest machine ({MOST_CORES:,}); lower replicas or spread"
        )
    uses: list[CoreUse] = []
    shelf = _Shelf(chip)
    for replica in (*range(replicas), CENTRE):
        shelf.close()
        for group in groups:
            if group.once == (replica == CENTRE):
                receivers = receiving(group, groups, cores, replicas)
                for use in _cut(group, chip, cores[group.name], receivers):
                    number = shelf.take(group, use)
                    uses.append(CoreUse(**use, replica=replica, chip=number // chip.cores, core=number % chip.cores))
    broken = violations(groups, chip, cores, replicas=replicas)
    return Placement(chip=chip, replicas=replicas, spread=spread, groups=tuple(groups), uses=tuple(uses), broken=broken)


def _cut(group: Group, chip: ChipLimits, cores: int, receivers: int) -> Iterator[dict[str, Any]]:
    share, more = divmod(group.neurons, cores)
    first = 0
    for part in range(cores):
        n = share + (part < more)
        yield {
            "layer": group.name,
            "first": first,
            "neurons": n,
            "weight_bytes": group.weight_bytes(n, chip),
            "state_bytes": group.state_bytes(n),
            "axons_in": group.axons_in,
            "axons_out": n * receivers,
        }
        first += n


class _Shelf:
    """Gives out core numbers; keeps the last shared core open while its sums hold."""

    def __init__(self, chip: ChipLimits) -> None:
        self.chip, self.taken, self.open = chip, 0, -1
        self.sums = [0, 0, 0, 0]

    def close(self) -> None:
        self.open = -1

    def take(self, group: Group, use: dict[str, Any]) -> int:
        more = [use["neurons"], use["weight_bytes"] + use["state_bytes"], use["axons_in"], use["axons_out"]]
        chip = self.chip
        room = (chip.neurons_per_core, chip.core_memory_bytes, chip.fan_in, chip.fan_out)
        sums = [a + b for a, b in zip(self.sums, more, strict=True)]
        if group.shares and self.open >= 0 and all(a <= b for a, b in zip(sums, room, strict=True)):
            self.sums = sums
            return self.open
        self.taken += 1
        if group.shares:
            self.open, self.sums = self.taken - 1, more
        return self.taken - 1


def hops(placement: Placement, messages: Mapping[str, float]) -> float:
    """Hops of all replicas for `messages` sent by each group of one replica (any unit: a pass, a plan)."""
    return sum(
        messages.get(sender.layer, 0.0) * share * _distance(sender, receiver)
        for sender, receiver, share in _pairs(placement)
    )


def link_loads(placement: Placement) -> dict[tuple[Any, ...], dict[str, float]]:
    """link -> group -> messages on the link for each message that the group of every replica sends."""
    loads: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sender, receiver, share in _pairs(placement):
        for link in _way(sender, receiver):
            loads[link][sender.layer] += share
    return {link: dict(by_group) for link, by_group in loads.items()}


def _pairs(placement: Placement) -> Iterator[tuple[CoreUse, CoreUse, float]]:
    """(sending core, receiving core, share of the group's messages); a message goes once to every receiving core."""
    table: dict[tuple[str, int], list[CoreUse]] = defaultdict(list)
    for use in placement.uses:
        table[use.layer, use.replica].append(use)
    everywhere = range(placement.replicas)
    for group in placement.groups:
        for replica in (CENTRE,) if group.once else everywhere:
            for name in group.receivers:
                if placement.group(name).once:
                    receivers = table[name, CENTRE]
                else:
                    receivers = [use for to in (everywhere if group.once else (replica,)) for use in table[name, to]]
                for sender in table[group.name, replica]:
                    for receiver in receivers:
                        yield sender, receiver, sender.neurons / group.neurons


def _distance(a: CoreUse, b: CoreUse) -> int:
    if a.chip != b.chip:
        return TILES_PER_ROW
    return abs(a.tile[0] - b.tile[0]) + abs(a.tile[1] - b.tile[1])


def _way(a: CoreUse, b: CoreUse) -> Iterator[tuple[Any, ...]]:
    """Directed links from core to core: (chip, tile, tile), or the one between two chips."""
    if a.chip != b.chip:
        yield ("chips", a.chip, b.chip)
        return
    yield from way(a.chip, a.tile, b.tile)


def way(chip: int, start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
    """Directed links from tile to tile of one chip, first along the row."""
    (x, y), (column, row) = start, end
    while (x, y) != (column, row):
        before = (x, y)
        x, y = (x + (1 if column > x else -1), y) if x != column else (x, y + (1 if row > y else -1))
        yield (chip, before, (x, y))
