"""Machines together at a control rate: mean watts and latency, waiting and sleep included (model.py). One TOML a system."""

from spikeplan.energy.systems.files import Events, Part, System, check_rate, load_systems, pick_systems
from spikeplan.energy.systems.model import Drawn, Works, draw_of, works_of

__all__ = [
    "Drawn",
    "Events",
    "Part",
    "System",
    "Works",
    "check_rate",
    "draw_of",
    "load_systems",
    "pick_systems",
    "works_of",
]
