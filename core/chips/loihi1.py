"""Limits of Intel's Loihi: binary spikes only."""

from spikeplan.core.chips.base import ChipLimits

CHIP = LOIHI1 = ChipLimits(
    name="loihi1",
    cores=128,
    neurons_per_core=1024,
    core_memory_bytes=128_000,
    weight_bits=8,
    message_bits=1,
    state_bits=24,
    fan_in=4096,
    fan_out=4096,
    graded_messages=False,
)
