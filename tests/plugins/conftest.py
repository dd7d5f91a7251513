"""Plug-ins are files outside the repository: each test writes one and forgets it afterwards."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeplan.core import registry


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """plug(source) -> path of a file that is a plug-in until the test ends."""
    monkeypatch.setenv(registry.VARIABLE, "")

    def write(source: str, name: str = "mine.py", *, load: bool = True) -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(source))
        if load:
            registry.load_plugins([str(path)])
            monkeypatch.setenv(registry.VARIABLE, os.environ[registry.VARIABLE])
        return path

    return write
