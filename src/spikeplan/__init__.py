"""spikeplan: neuromorphic planning with JEPA world models.

`import spikeplan` loads nothing heavy: each name below is imported when it is first asked for, and so is each package
(`spikeplan.energy`). To offer a name here, add one line to `_HOME`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikeplan.conversion.convert import convert
    from spikeplan.core.registry import load_plugins
    from spikeplan.evaluation.profiles.loop import Loop
    from spikeplan.evaluation.profiles.profile import profile
    from spikeplan.eventdata import open_events, open_recording
    from spikeplan.experiments.notebook.compare import compare
    from spikeplan.experiments.notebook.results import report

    __version__: str

_PACKAGES = (
    "conversion",
    "core",
    "energy",
    "evaluation",
    "eventdata",
    "experiments",
    "fusion",
    "lava_procs",
    "placement",
    "snn",
    "worldmodel",
)
_HOME = {
    "Loop": "spikeplan.evaluation.profiles.loop",
    "compare": "spikeplan.experiments.notebook.compare",
    "convert": "spikeplan.conversion.convert",
    "load_plugins": "spikeplan.core.registry",
    "open_events": "spikeplan.eventdata",
    "open_recording": "spikeplan.eventdata",
    "profile": "spikeplan.evaluation.profiles.profile",
    "report": "spikeplan.experiments.notebook.results",
}

__all__ = [
    "Loop",
    "__version__",
    "compare",
    "convert",
    "load_plugins",
    "open_events",
    "open_recording",
    "profile",
    "report",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"spikeplan.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("spikeplan")
    else:
        raise AttributeError(f"module 'spikeplan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES, *_HOME, "__version__"})
