"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spikeplan.experiments.cli.main import main


def _refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()  # what ran before may have shown progress
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("spikeplan: ") and "\n" not in line and "Traceback" not in line
    return line


@pytest.fixture(scope="session")
def refused() -> Callable[[list[str], pytest.CaptureFixture[str]], str]:
    """refused(args, capsys) -> the one line in which the command line refuses."""
    return _refused
