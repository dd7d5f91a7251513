"""Energy and time per action from a scope: `estimate` on a device of the catalogue, and the break-even density."""

from spikeplan.energy.breakeven import BreakEven, break_even, network_break_even
from spikeplan.energy.catalogue import Band, Catalogue, Device, Figure, default, load
from spikeplan.energy.charge import CpuPeak, Setup
from spikeplan.energy.cpu_meter import measure_peak
from spikeplan.energy.dense import LaunchBound, launch_bound
from spikeplan.energy.models import EXTENTS, SCOPES, Energy, estimate

__all__ = [
    "EXTENTS",
    "SCOPES",
    "Band",
    "BreakEven",
    "Catalogue",
    "CpuPeak",
    "Device",
    "Energy",
    "Figure",
    "LaunchBound",
    "Setup",
    "break_even",
    "default",
    "estimate",
    "launch_bound",
    "load",
    "measure_peak",
    "network_break_even",
]
