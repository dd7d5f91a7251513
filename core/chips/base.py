"""Chip limits that a network is checked against before it is placed.

Sources: facts behind each figure are listed in energy/devices/reference.toml under [limits.*]; `assumed` marks figures that
Intel has not published (Loihi 1's fan-in/out list is used for Loihi 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ChipLimits:
    """Per-core and per-chip limits. Memory in bytes, widths in bits.

    One file of this folder, or of a plug-in, exports it as CHIP.

    >>> CHIP = ChipLimits(name="mine", cores=16, ..., figures=Path("mine.toml").read_text())
    """

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
    figures: str = ""  # TOML of `[devices.NAME]` as in energy/devices/, where the catalogue has none
