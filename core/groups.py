"""Neuron groups of a predictor: what is placed on a chip.

One group a layer. On a chip of binary spikes the LIF network's graded input is coded bit by bit: `INPUT_BITS` neurons an
input, each bit an axon with weights 2^b as large. A predictor answers for its own groups (`neuron_groups`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.row import VALUE_PREFIX
from spikeplan.core.fit import Group, groups_of
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS
from spikeplan.core.ir.artifact import Artifact

INPUT_BITS = MESSAGE_BITS
BITS_SET = 0.5  # of a coded input: assumed


class Stage(NamedTuple):
    """`steps` chip steps from `begin` on in which a group sends what belongs to one prediction."""

    name: str
    begin: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class NeuronGroups:
    """Groups of one copy. `path`: the groups that a prediction crosses until the next may begin, in order; `tail`: those
    after it. `time_steps`: chip steps that a layer works on one prediction (sigma-delta 1, LIF T); the first one sends once.
    `policy`: how many of the groups, from the first on, are a policy's, which gets the latent first and whose output becomes
    the action; 0: none. `policy_steps`: `time_steps` of those. `value`: how many, from the last one back, are a cost-to-go's,
    which gets the latent that each candidate ends in."""

    groups: tuple[Group, ...]
    path: tuple[str, ...]
    tail: tuple[str, ...] = ()
    time_steps: int = 1
    policy: int = 0
    policy_steps: int = 1
    value: int = 0

    @property
    def finals(self) -> tuple[str, ...]:
        """The groups of a cost-to-go, in order; in the loop its parts stand behind them."""
        names = [group.name for group in self.groups if group.name.startswith(VALUE_PREFIX)]
        return tuple(names) if self.value else ()

    @property
    def out(self) -> Group:
        """The group that puts out what a prediction changes, of a network that has no loop around it yet."""
        return self.groups[-1 - self.value]

    @property
    def whole_loop(self) -> bool:
        return bool(self.tail)

    @property
    def searching(self) -> NeuronGroups:
        """The same groups in a pass where no policy acts: a prediction crosses the predictor's layers alone."""
        aside = self.policy + int(self.whole_loop and self.policy > 0)
        return replace(self, path=self.path[aside:], policy=0, policy_steps=1)

    @property
    def takes_latent(self) -> tuple[str, ...]:
        """The groups that a latent is sent to."""
        first = self.groups[0].name
        return (first, *((self.takes_action,) if self.policy else ()), *self.finals[:1])

    @property
    def takes_action(self) -> str:
        """The group that an action is sent to."""
        return self.groups[self.policy].name

    @property
    def depth(self) -> int:
        """Chip steps from input to output of one prediction."""
        return len(self.path) + self.policy_steps - 1 + self.time_steps - 1

    @property
    def every(self) -> int:
        """Chip steps from one prediction of a full pipe to the next."""
        return max(self.policy_steps, self.time_steps)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """When each group of path and tail works on a prediction. A layer of T time steps passes its spikes on step by step;
        what takes an output (the source, the predictor after a policy, the latent) begins when all T are done."""
        first = self.policy + int(self.whole_loop and self.policy > 0)  # the source stands between
        end = len(self.path) - self.whole_loop
        stages, late = [], 0
        for i, name in enumerate((*self.path, *self.tail)):
            steps = self.policy_steps if 0 < i < self.policy else self.time_steps if first < i < end else 1
            stages.append(Stage(name, i + late, steps))
            if i in (self.policy - 1, end - 1):
                late += steps - 1
        return tuple(stages)


def network_of(artifact: Artifact, *, contexts: int = 0) -> NeuronGroups:
    """Of a chain. Raises UserError for a network that branches."""
    artifact.need("a placement")
    groups = groups_of(artifact, contexts=contexts)
    return NeuronGroups(groups=groups, path=tuple(group.name for group in groups))


def acting(policy: NeuronGroups, predictor: NeuronGroups) -> NeuronGroups:
    """One copy of a policy before a predictor. In the loop (placement/groups.py) the source stands between: it perturbs and
    clips what the policy puts out."""
    *inner, out = policy.groups
    groups = (*inner, replace(out, receivers=(predictor.groups[0].name,), message_bits=STATE_BITS), *predictor.groups)
    return NeuronGroups(
        groups=groups,
        path=(*policy.path, *predictor.path),
        time_steps=predictor.time_steps,
        policy=len(policy.groups),
        policy_steps=policy.time_steps,
    )


def judged_by(network: NeuronGroups, value: NeuronGroups) -> NeuronGroups:
    """A network and a cost-to-go beside it."""
    return replace(network, groups=(*network.groups, *value.groups), value=len(value.groups))


def lif_network(sizes: tuple[int, ...], time_steps: int, chip: ChipLimits, *, prefix: str = "") -> NeuronGroups:
    """`sizes`: inputs, hidden layers, outputs. u and v in every neuron. `prefix`: of the groups' names."""
    bits = 1 if chip.graded_messages else INPUT_BITS
    names = [f"{prefix}{name}" for name in ("code", *(f"h{i}" for i in range(1, len(sizes) - 1)), "out")]
    groups = [
        Group(
            name=names[0],
            neurons=bits * sizes[0],
            axons_in=bits * sizes[0],
            synapses=0,
            words=1,
            message_bits=INPUT_BITS // bits,
            receivers=(names[1],),
        )
    ]
    for i, name in enumerate(names[1:], 1):
        before = groups[-1].neurons
        after = names[i + 1 : i + 2]
        groups.append(
            Group(
                name=name,
                neurons=sizes[i],
                axons_in=before,
                synapses=before,
                words=2,
                message_bits=1 if after else 0,
                receivers=tuple(after),
            )
        )
    return NeuronGroups(groups=tuple(groups), path=tuple(names), time_steps=time_steps)
