"""Energy and time per action from a ledger: `estimate` on a device of the catalogue, and the break-even density."""

from energy.breakeven import BreakEven, break_even, network_break_even
from energy.catalogue import Band, Catalogue, Device, Figure, default, load
from energy.charge import CpuPeak, Setup
from energy.cpu_meter import measure_peak
from energy.dense import LaunchBound, launch_bound
from energy.models import LEDGERS, SCOPES, Energy, estimate

__all__ = [
    "LEDGERS",
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
