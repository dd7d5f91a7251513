"""`import spikeplan` is light, and every name that it offers is there."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import spikeplan
from spikeplan.eventdata import open_recording


def test_import_alone_loads_nothing_heavy() -> None:
    """0.02 s on a machine of 2026, of which most is Python's own `typing`; a list does not depend on the machine."""
    code = (
        "import sys, spikeplan; heavy = {'torch', 'numpy', 'scipy', 'matplotlib', 'rich', 'tyro', 'importlib.metadata'}\n"
        "print(sorted(heavy & sys.modules.keys()), sorted(name for name in sys.modules if name.startswith('spikeplan')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "[] ['spikeplan']\n"


def test_each_name_is_imported_when_asked_for() -> None:
    code = (
        "import sys, spikeplan\n"
        "assert 'open_recording' in dir(spikeplan) and 'numpy' not in sys.modules\n"
        "spikeplan.open_recording\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules\n"
        "print(spikeplan.energy.default().device('loihi2').name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "loihi2\n"


def test_the_names_are_those_of_their_packages() -> None:
    assert spikeplan.open_recording is open_recording
    assert spikeplan.__version__ == metadata.version("spikeplan")
    assert all(getattr(spikeplan, name) is not None for name in dir(spikeplan) if not name.startswith("_"))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        spikeplan.nothing  # type: ignore[attr-defined]  # noqa: B018
