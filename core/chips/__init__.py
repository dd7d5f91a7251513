"""Chips that a network is checked against and placed on, one file each.

To add a chip, drop a file here that exports CHIP (`base.ChipLimits`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.core.chips.base import ChipLimits
from spikeplan.core.chips.loihi1 import LOIHI1
from spikeplan.core.chips.loihi2 import LOIHI2
from spikeplan.core.registry import Registry

CHIPS: Registry[ChipLimits] = Registry("CHIP", "spikeplan.core.chips", ChipLimits, "chip")

__all__ = ["CHIPS", "LOIHI1", "LOIHI2", "ChipLimits"]
