"""Limits of Intel's Loihi 2."""

from spikeplan.core.chips.base import ChipLimits

CHIP = LOIHI2 = ChipLimits(
    name="loihi2",
    cores=120,
    neurons_per_core=8192,
    core_memory_bytes=192_000,
    weight_bits=8,
    message_bits=32,
    state_bits=24,
    fan_in=4096,
    fan_out=4096,
    graded_messages=True,
    assumed=("fan_in", "fan_out"),
)
