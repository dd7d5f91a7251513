"""Chip limits that a network is checked against before it is placed.

Sources: facts behind each figure are listed in energy/devices.toml under [limits.*]; `assumed` marks figures that
Intel has not published (Loihi 1's fan-in/out list is used for Loihi 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ChipLimits:
    """Per-core and per-chip limits. Memory in bytes, widths in bits."""

    name: str
    cores: int
    neurons_per_core: int
    core_memory_bytes: int
    weight_bits: int
    message_bits: int
    state_bits: int
    fan_in: int
    fan_out: int
    graded_messages: bool
    assumed: tuple[str, ...] = field(default=())


LOIHI2 = ChipLimits(
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
LOIHI1 = ChipLimits(
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
CHIPS = {chip.name: chip for chip in (LOIHI2, LOIHI1)}
