"""Both forms of the spiking layers: machine code (numba) and torch."""

from __future__ import annotations

import pytest

from spikeplan.snn import delta, lif


@pytest.fixture(params=["machine code", "torch"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        for module in (delta, lif):
            monkeypatch.setattr(module, "compiled", lambda: None)
    else:
        pytest.importorskip("numba")
    return str(request.param)
