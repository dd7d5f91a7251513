"""Neuron groups of a predictor: what is placed on a chip.

One group a layer. On a chip of binary spikes the LIF network's graded input is coded bit by bit: `INPUT_BITS` neurons an
input, each bit an axon with weights 2^b as large. A predictor answers for its own groups (`neuron_groups`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikeplan.core.chips import ChipLimits
from spikeplan.core.fit import Group, groups_of
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS
from spikeplan.core.ir.artifact import Artifact

INPUT_BITS = MESSAGE_BITS
BITS_SET = 0.5  # of a coded input: assumed


@dataclass(frozen=True, kw_only=True)
class NeuronGroups:
    """Groups of one copy. `path`: the groups that a prediction crosses until the next may begin, in order; `tail`: those
    after it. `time_steps`: chip steps that a layer works on one prediction (sigma-delta 1, LIF T). `policy`: how many of the
    groups, from the first on, are a policy's, which gets the latent first and whose output becomes the action; 0: none."""

    groups: tuple[Group, ...]
    path: tuple[str, ...]
    tail: tuple[str, ...] = ()
    time_steps: int = 1
    policy: int = 0

    @property
    def whole_loop(self) -> bool:
        return bool(self.tail)

    @property
    def takes_latent(self) -> tuple[str, ...]:
        """The groups that a latent is sent to."""
        first = self.groups[0].name
        return (first, self.takes_action) if self.policy else (first,)

    @property
    def takes_action(self) -> str:
        """The group that an action is sent to."""
        return self.groups[self.policy].name

    @property
    def depth(self) -> int:
        """Chip steps from input to output of one prediction."""
        return len(self.path) + self.time_steps - 1


def network_of(artifact: Artifact, *, contexts: int = 0) -> NeuronGroups:
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
        time_steps=max(policy.time_steps, predictor.time_steps),
        policy=len(policy.groups),
    )


def lif_network(sizes: tuple[int, ...], time_steps: int, chip: ChipLimits) -> NeuronGroups:
    """`sizes`: inputs, hidden layers, outputs. u and v in every neuron."""
    bits = 1 if chip.graded_messages else INPUT_BITS
    names = ["code", *(f"h{i}" for i in range(1, len(sizes) - 1)), "out"]
    groups = [
        Group(
            name="code",
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
